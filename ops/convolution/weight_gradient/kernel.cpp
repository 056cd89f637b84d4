#include "ops/convolution/weight_gradient/kernel.h"

#include <omp.h>

#include <algorithm>
#include <array>

#include "ops/convolution/source.h"
#include "ops/convolution/weight_gradient/products.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/loops/rows.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/normalization/rows.h"

namespace hourglass::kernels {
namespace {

constexpr int64_t kLanes = 16;
// A band has about so many pixels, in at most kMostBandRows rows: AMX keeps a tile of sums in a register for all of a
// band.
constexpr int64_t kBandPixels = 512;
// Most bytes of a part's sums, as for 128 to 128 channels, 3x3, the largest measured. A thread has several parts where
// their sums are no more than kPartsSumsBytes together.
constexpr int64_t kSumsBytes = 1 << 20, kPartsSumsBytes = 256 << 10;
// Most bytes of packed rows that a thread keeps. Filters that span hundreds of rows would need more.
constexpr std::size_t kThreadBytes = 16 << 20;

std::size_t bytes_of(int64_t words) { return static_cast<std::size_t>(words) * 4; }

// Addresses of the pixels of a row; `zeros` for those outside of the image.
HG_CLONES void find_pixels(const char* row, const int64_t* places, int64_t count, const char* zeros,
                           const void** pixels) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) pixels[i] = places[i] == kOutside ? zeros : row + places[i];
}

struct Layout {
  Convolution conv;
  std::unique_ptr<const Products> products;
  std::optional<NormalizedSource> normalized;
  View src, dst;
  int64_t parts = 1;
  int64_t band = 1;   // rows of diff_dst at a time
  int64_t slots = 1;  // ring buffer of packed rows of the source: those that a band touches
  // Byte offsets in a row of the pixels that are packed, kOutside for zeros: of the source phase by phase, and of
  // diff_dst.
  std::vector<Dims> src_places;
  Dims dst_places;
  // Offsets into scratch memory: of each thread, then of all threads together; `sums` has those of each part.
  std::size_t src_rows = 0, dst_rows = 0, bias_row = 0, slot_list = 0, pixel_list = 0;
  std::size_t thread_bytes = 0, sums = 0, zeros = 0;
  // A normalised source: its coefficients, a buffer for one row, and its normalised rows. Products that pack need one
  // row at a time, those that read in place all rows that a band touches.
  std::size_t normal_rows = 0, normal_buffer = 0, coefficients = 0;
  std::size_t normal_row_bytes = 0;

  [[nodiscard]] std::size_t slot_bytes() const { return products->src_bytes(); }
  // Floats of a part's sums: diff_weights, followed by diff_bias.
  [[nodiscard]] int64_t part_floats() const {
    return up(products->sums_floats() + (conv.has_bias ? dst.c : 0), kLanes);
  }
  [[nodiscard]] int64_t taps() const { return static_cast<int64_t>(products->sides().taps.size()); }
  [[nodiscard]] std::size_t zero_bytes() const {
    return static_cast<std::size_t>(std::max(src.c, dst.c)) * size_of(conv.src.dtype);
  }
};

class GradWeightsKernel final : public ConvolutionKernel {
 public:
  explicit GradWeightsKernel(std::shared_ptr<const Layout> layout) : layout_(std::move(layout)) {}
  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    const Layout& l = *layout_;
    std::fill_n(scratch<char>(0, l.zeros), l.zero_bytes(), '\0');
    if (l.normalized) l.normalized->set_coefficients(at_, scratch<float>(0, l.coefficients));
    parallel_parts(l.parts, [&](int64_t thread, const auto& take) {
      RowPacker mine(*this, thread);
      l.products->begin();
      const int64_t rows = l.dst.n * l.dst.h;
      for (int64_t part = take(); part >= 0; part = take()) {
        mine.begin_part(part);
        const int64_t end = rows * (part + 1) / l.parts;
        for (int64_t row = rows * part / l.parts; row < end;) {
          const int64_t first = row % l.dst.h;
          const int64_t count = std::min({l.band, l.dst.h - first, end - row});
          mine.add_band(row / l.dst.h, first, count);
          row += count;
        }
      }
      l.products->end();
    });
    finish();
  }

 private:
  template <typename T>
  [[nodiscard]] T* scratch(int64_t thread, std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_.scratch) +
                                static_cast<std::size_t>(thread) * layout_->thread_bytes + offset);
  }
  [[nodiscard]] float* sums_of(int64_t part) const {
    return scratch<float>(0, layout_->sums) + part * layout_->part_floats();
  }
  [[nodiscard]] float* bias_of(int64_t part) const { return sums_of(part) + layout_->products->sums_floats(); }
  [[nodiscard]] const float* coefficients() const {
    return alone() ? nullptr : scratch<float>(0, layout_->coefficients);
  }
  // Address of a row of src (input 0) or diff_dst (input 1).
  [[nodiscard]] const char* row(const View& view, std::size_t input, int64_t n, int64_t h) const {
    return static_cast<const char*>(at_.src[input]) +
           static_cast<std::size_t>(view.offset(n, 0, h, 0)) * size_of(layout_->conv.src.dtype);
  }

  // Packs the rows of one thread, band by band, and adds their products.
  class RowPacker {
   public:
    RowPacker(const GradWeightsKernel& kernel, int64_t thread)
        : kernel_(kernel), l_(*kernel.layout_), thread_(thread) {}

    void begin_part(int64_t part) {
      part_ = part;
      std::fill_n(sums(), l_.part_floats(), 0.0F);
    }

    void add_band(int64_t image, int64_t first, int64_t count) {
      const WindowAxis& h = l_.conv.window.h;
      if (image != image_ || first < first_) put_until_ = 0;
      image_ = image;
      first_ = first;
      const int64_t begin = first * h.stride, end = (first + count - 1) * h.stride + h.extent();
      const char** src = kernel_.scratch<const char*>(thread_, l_.slot_list);
      for (int64_t row = begin; row < end; ++row) {
        const bool read = (row - begin) % h.stride < h.extent();
        src[row - begin] = read ? source(row) : nullptr;
      }
      put_until_ = end;
      std::array<const char*, kMostBandRows> dst;
      for (int64_t i = 0; i < count; ++i) dst[static_cast<std::size_t>(i)] = gradient(first + i, i);
      l_.products->add({.src = src, .dst = dst.data(), .count = count}, sums());
    }

   private:
    [[nodiscard]] float* sums() const { return kernel_.sums_of(part_); }

    const void* const* pixels(const char* row, const Dims& places) {
      const char* zeros = kernel_.scratch<char>(0, l_.zeros);
      const void** pixels = kernel_.scratch<const void*>(thread_, l_.pixel_list);
      if (row == nullptr) {
        std::fill_n(pixels, places.size(), zeros);
      } else {
        find_pixels(row, places.data(), static_cast<int64_t>(places.size()), zeros, pixels);
      }
      return pixels;
    }

    // A row of the source, packed. Rows are counted from the padding's first.
    const char* source(int64_t row) {
      const WindowAxis& h = l_.conv.window.h;
      const int64_t at = border_source(l_.conv.padding_mode, row - h.pad_begin, h.src);
      const auto slot = static_cast<std::size_t>(row % l_.slots);
      if (l_.products->src_in_place())
        return l_.normalized && row < put_until_ ? normal_row(slot) : image_row(at, slot);
      char* to = kernel_.scratch<char>(thread_, l_.src_rows + slot * l_.slot_bytes());
      if (row < put_until_) return to;
      const char* from = image_row(at, 0);
      for (std::size_t phase = 0; phase < l_.src_places.size(); ++phase) {
        l_.products->put_src(pixels(from, l_.src_places[phase]), static_cast<int64_t>(phase), to);
      }
      return to;
    }
    // Row `at` of the source, or null outside; a normalised source is made in that slot.
    const char* image_row(int64_t at, std::size_t slot) const {
      if (at == kOutside) return nullptr;
      if (!l_.normalized) return kernel_.row(l_.src, 0, image_, at);
      char* to = normal_row(slot);
      l_.normalized->read(kernel_.at_, kernel_.coefficients(), image_, at, 0, l_.src.w, to,
                          kernel_.scratch<char>(thread_, l_.normal_buffer));
      return to;
    }
    [[nodiscard]] char* normal_row(std::size_t slot) const {
      return kernel_.scratch<char>(thread_, l_.normal_rows + slot * l_.normal_row_bytes);
    }
    const char* gradient(int64_t row, int64_t place) {
      const char* from = kernel_.row(l_.dst, 1, image_, row);
      if (l_.conv.has_bias) add_to_bias(from);
      if (l_.products->dst_in_place()) return from;
      char* to =
          kernel_.scratch<char>(thread_, l_.dst_rows + static_cast<std::size_t>(place) * l_.products->dst_bytes());
      l_.products->put_dst(pixels(from, l_.dst_places), to);
      return to;
    }
    void add_to_bias(const char* from) const {
      auto* of_row = kernel_.scratch<float>(thread_, l_.bias_row);
      const int64_t period = loop_period(l_.dst.c);
      with_element(l_.conv.dst.dtype == DType::bf16, [&](auto* element) {
        using T = std::remove_pointer_t<decltype(element)>;
        sum_row(reinterpret_cast<const T*>(from), l_.dst.w * l_.dst.c, period, of_row);
      });
      float* bias = kernel_.bias_of(part_);
      for (int64_t j = 0; j < period; j += l_.dst.c) add_run(of_row + j, bias, l_.dst.c);
    }

    const GradWeightsKernel& kernel_;
    const Layout& l_;
    int64_t thread_, part_ = 0, image_ = -1, first_ = 0, put_until_ = 0;
  };

  // Adds the parts' sums in order and copies them to diff_weights, transposed where the operands are swapped.
  void finish() const {
    const Layout& l = *layout_;
    const ProductSides& sides = l.products->sides();
    const int64_t rows = sides.left(), columns = sides.right();
    auto* weights = static_cast<float*>(at_.dst[0]);
    if (l.parts > 1) {
      parallel_ranges(l.part_floats(), kLanes, [&](int64_t begin, int64_t end) {
        add_parts(sums_of(0) + begin, end - begin, l.part_floats(), l.parts);
      });
    }
    parallel_for(l.taps() * rows, [&](int64_t i) {
      const int64_t tap = i / rows, m = i % rows;
      for (int64_t n = 0; n < columns; n += kLanes) {
        const float* sum = sums_of(0) + l.products->sums_at(tap, m, n);
        const int64_t count = std::min(kLanes, columns - n);
        if (!sides.swapped) {
          std::copy_n(sum, count, weights + i * columns + n);
        } else {
          for (int64_t j = 0; j < count; ++j) weights[(tap * columns + n + j) * rows + m] = sum[j];
        }
      }
    });
    if (l.conv.has_bias) std::copy_n(bias_of(0), l.dst.c, static_cast<float*>(at_.dst[1]));
  }

  std::shared_ptr<const Layout> layout_;
  Addresses at_;
};

Answer plan_with(const Convolution& conv, std::unique_ptr<const Products> products) {
  auto layout = std::make_shared<Layout>();
  Layout& l = *layout;
  l.conv = conv;
  l.products = std::move(products);
  const MemoryDesc src = with_tag(conv.src, Tag::nhwc), dst = with_tag(conv.dst, Tag::nhwc);
  l.src = view_of(src);
  l.dst = view_of(dst);
  const int64_t sums_bytes = l.products->sums_floats() * static_cast<int64_t>(sizeof(float));
  if (sums_bytes > kSumsBytes) return Declined{fmt::format("more than {} KiB of sums", kSumsBytes >> 10)};
  const auto& [h, w] = conv.window;
  const int64_t rows = l.dst.n * h.dst;
  const int64_t parts = std::clamp<int64_t>(kPartsSumsBytes / std::max<int64_t>(sums_bytes, 1), 1, kPartsPerThread);
  l.parts = std::min<int64_t>(parts * omp_get_max_threads(), parts_of(rows));
  l.band = std::clamp<int64_t>(kBandPixels / w.dst, 1, std::min(h.dst, kMostBandRows));
  l.slots = (l.band - 1) * h.stride + h.extent();
  const auto element = static_cast<int64_t>(size_of(conv.src.dtype));
  for (int64_t phase = 0; phase < l.products->sides().phases; ++phase) {
    Dims places;
    for (int64_t i = 0; i < l.products->src_pixels(); ++i) {
      const int64_t at = i * w.stride + phase;
      const bool read = at < (w.dst - 1) * w.stride + w.extent();
      const int64_t column = read ? border_source(conv.padding_mode, at - w.pad_begin, w.src) : kOutside;
      places.push_back(column == kOutside ? kOutside : column * l.src.stride_w * element);
    }
    l.src_places.push_back(std::move(places));
  }
  for (int64_t i = 0; i < l.products->dst_pixels(); ++i) {
    l.dst_places.push_back(i < w.dst ? i * l.dst.stride_w * element : kOutside);
  }

  ScratchLayout offsets;
  l.src_rows = offsets.add(static_cast<std::size_t>(l.slots) * l.slot_bytes());
  l.dst_rows = offsets.add(static_cast<std::size_t>(l.band) * l.products->dst_bytes());
  if (conv.has_bias) l.bias_row = offsets.add(bytes_of(loop_period(l.dst.c)));
  l.slot_list = offsets.add(static_cast<std::size_t>(l.slots) * sizeof(void*));
  l.pixel_list = offsets.add(static_cast<std::size_t>(std::max(l.products->src_pixels(), l.products->dst_pixels())) *
                             sizeof(void*));
  if (conv.normalized) {
    l.normalized.emplace(conv);
    l.normal_row_bytes = static_cast<std::size_t>(up(l.src.w * l.src.c * element, 64));
    l.normal_rows =
        offsets.add(static_cast<std::size_t>(l.products->src_in_place() ? l.slots : 1) * l.normal_row_bytes);
    l.normal_buffer = offsets.add(l.normal_row_bytes);
  }
  l.thread_bytes = offsets.end();
  if (l.thread_bytes > kThreadBytes)
    return Declined{fmt::format("rows of more than {} MiB a thread", kThreadBytes >> 20)};
  ScratchLayout of_all;
  of_all.add(l.thread_bytes * static_cast<std::size_t>(omp_get_max_threads()));
  l.sums = of_all.add(bytes_of(l.parts * l.part_floats()));
  l.zeros = of_all.end();

  KernelPlan plan{.src = {src, dst},
                  .dst = {with_tag(conv.weights, Tag::hwio)},
                  .scratch_bytes = 0,
                  .implementation = l.products->name(),
                  .kernel = nullptr};
  if (conv.has_bias) plan.dst.push_back(plain({DType::f32, Shape{conv.weights.shape[0]}}));
  l.coefficients = l.zeros + static_cast<std::size_t>(up(static_cast<int64_t>(l.zero_bytes()), 64));
  plan.scratch_bytes = l.coefficients;
  if (l.normalized) {
    plan.src = l.normalized->inputs(dst);
    plan.rounding = l.normalized->rounding();
    plan.scratch_bytes += l.normalized->coefficient_bytes();
  }
  plan.kernel = std::make_unique<GradWeightsKernel>(std::move(layout));
  return plan;
}

}  // namespace

Answer plan_narrow_1x1(const PlanContext&, const Convolution& conv) {
  auto products = narrow_1x1_products(conv.src.dtype, product_sides(conv));
  if (products == nullptr) return Declined{"1x1, with at most 8 channels on a side only"};
  return plan_with(conv, std::move(products));
}

Answer plan_narrow_3x3(const PlanContext&, const Convolution& conv) {
  auto products = narrow_3x3_products(conv.src.dtype, product_sides(conv));
  if (products == nullptr)
    return Declined{"nine taps, at most 16 channels on both sides, on one of them whole vectors"};
  return plan_with(conv, std::move(products));
}

Answer plan_amx_grad_weights(const PlanContext&, const Convolution& conv) {
  return plan_with(conv, amx_products(product_sides(conv)));
}

Answer plan_vector_grad_weights(const PlanContext&, const Convolution& conv) {
  // oneDNN's direct convolution is faster then.
  const bool is_1x1 = conv.window.h.kernel * conv.window.w.kernel == 1;
  if (std::min(conv.src.shape[1], conv.dst.shape[1]) <= 8 && !is_1x1) return Declined{"at most 8 channels on a side"};
  return plan_with(conv, vector_products(conv.src.dtype, product_sides(conv)));
}

}  // namespace hourglass::kernels
