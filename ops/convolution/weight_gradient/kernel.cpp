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

// Addresses of the pixels of a row; `zeros` for those outside of the image.
HG_CLONES void find_pixels(const char* row, const int64_t* offsets, int64_t count, const char* zeros,
                           const void** pixels) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) pixels[i] = offsets[i] == kOutside ? zeros : row + offsets[i];
}

struct Schedule {
  Convolution conv;
  std::unique_ptr<const Products> products;
  std::optional<NormalizedSource> normalized;
  View src, dst;
  int64_t parts = 1;
  int64_t band = 1;   // rows of diff_dst at a time
  int64_t slots = 1;  // ring buffer of packed rows of the source: those that a band touches
  // Byte offsets in a row of the pixels that are packed, kOutside for zeros: of the source phase by phase, and of
  // diff_dst.
  std::vector<Dims> src_offsets;
  Dims dst_offsets;
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
  explicit GradWeightsKernel(std::shared_ptr<const Schedule> schedule) : schedule_(std::move(schedule)) {}
  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    const Schedule& s = *schedule_;
    std::fill_n(scratch<char>(0, s.zeros), s.zero_bytes(), '\0');
    if (s.normalized) s.normalized->set_coefficients(at_, scratch<float>(0, s.coefficients));
    parallel_parts(s.parts, [&](int64_t thread, const auto& take) {
      RowPacker mine(*this, thread);
      s.products->begin();
      const int64_t rows = s.dst.n * s.dst.h;
      for (int64_t part = take(); part >= 0; part = take()) {
        mine.begin_part(part);
        const int64_t end = rows * (part + 1) / s.parts;
        for (int64_t row = rows * part / s.parts; row < end;) {
          const int64_t first = row % s.dst.h;
          const int64_t count = std::min({s.band, s.dst.h - first, end - row});
          mine.add_band(row / s.dst.h, first, count);
          row += count;
        }
      }
      s.products->end();
    });
    finish();
  }

 private:
  template <typename T>
  [[nodiscard]] T* scratch(int64_t thread, std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_.scratch) +
                                static_cast<std::size_t>(thread) * schedule_->thread_bytes + offset);
  }
  [[nodiscard]] float* sums_of(int64_t part) const {
    return scratch<float>(0, schedule_->sums) + part * schedule_->part_floats();
  }
  [[nodiscard]] float* bias_of(int64_t part) const { return sums_of(part) + schedule_->products->sums_floats(); }
  [[nodiscard]] const float* coefficients() const {
    return alone() ? nullptr : scratch<float>(0, schedule_->coefficients);
  }
  // Address of a row of src (input 0) or diff_dst (input 1).
  [[nodiscard]] const char* row(const View& view, std::size_t input, int64_t n, int64_t h) const {
    return static_cast<const char*>(at_.src[input]) +
           static_cast<std::size_t>(view.offset(n, 0, h, 0)) * size_of(schedule_->conv.src.dtype);
  }

  // Packs the rows of one thread, band by band, and adds their products.
  class RowPacker {
   public:
    RowPacker(const GradWeightsKernel& kernel, int64_t thread)
        : kernel_(kernel), s_(*kernel.schedule_), thread_(thread) {}

    void begin_part(int64_t part) {
      part_ = part;
      std::fill_n(sums(), s_.part_floats(), 0.0F);
    }

    void add_band(int64_t image, int64_t first, int64_t count) {
      const WindowAxis& h = s_.conv.window.h;
      if (image != image_ || first < first_) put_until_ = 0;
      image_ = image;
      first_ = first;
      const int64_t begin = first * h.stride, end = (first + count - 1) * h.stride + h.extent();
      const char** src = kernel_.scratch<const char*>(thread_, s_.slot_list);
      for (int64_t row = begin; row < end; ++row) {
        const bool read = (row - begin) % h.stride < h.extent();
        src[row - begin] = read ? source(row) : nullptr;
      }
      put_until_ = end;
      std::array<const char*, kMostBandRows> dst;
      for (int64_t i = 0; i < count; ++i) dst[static_cast<std::size_t>(i)] = gradient(first + i, i);
      s_.products->add({.src = src, .dst = dst.data(), .count = count}, sums());
    }

   private:
    [[nodiscard]] float* sums() const { return kernel_.sums_of(part_); }

    const void* const* pixels(const char* row, const Dims& offsets) {
      const char* zeros = kernel_.scratch<char>(0, s_.zeros);
      const void** pixels = kernel_.scratch<const void*>(thread_, s_.pixel_list);
      if (row == nullptr) {
        std::fill_n(pixels, offsets.size(), zeros);
      } else {
        find_pixels(row, offsets.data(), static_cast<int64_t>(offsets.size()), zeros, pixels);
      }
      return pixels;
    }

    // A row of the source, packed. Rows are counted from the padding's first.
    const char* source(int64_t row) {
      const WindowAxis& h = s_.conv.window.h;
      const int64_t at = border_source(s_.conv.padding_mode, row - h.pad_begin, h.src);
      const auto slot = static_cast<std::size_t>(row % s_.slots);
      if (s_.products->src_in_place())
        return s_.normalized && row < put_until_ ? normal_row(slot) : image_row(at, slot);
      char* to = kernel_.scratch<char>(thread_, s_.src_rows + slot * s_.slot_bytes());
      if (row < put_until_) return to;
      const char* from = image_row(at, 0);
      for (std::size_t phase = 0; phase < s_.src_offsets.size(); ++phase) {
        s_.products->put_src(pixels(from, s_.src_offsets[phase]), static_cast<int64_t>(phase), to);
      }
      return to;
    }
    // Row `at` of the source, or null outside; a normalised source is made in that slot.
    const char* image_row(int64_t at, std::size_t slot) const {
      if (at == kOutside) return nullptr;
      if (!s_.normalized) return kernel_.row(s_.src, 0, image_, at);
      char* to = normal_row(slot);
      s_.normalized->read(kernel_.at_, kernel_.coefficients(), image_, at, 0, s_.src.w, to,
                          kernel_.scratch<char>(thread_, s_.normal_buffer));
      return to;
    }
    [[nodiscard]] char* normal_row(std::size_t slot) const {
      return kernel_.scratch<char>(thread_, s_.normal_rows + slot * s_.normal_row_bytes);
    }
    const char* gradient(int64_t row, int64_t index) {
      const char* from = kernel_.row(s_.dst, 1, image_, row);
      if (s_.conv.has_bias) add_to_bias(from);
      if (s_.products->dst_in_place()) return from;
      char* to =
          kernel_.scratch<char>(thread_, s_.dst_rows + static_cast<std::size_t>(index) * s_.products->dst_bytes());
      s_.products->put_dst(pixels(from, s_.dst_offsets), to);
      return to;
    }
    void add_to_bias(const char* from) const {
      auto* of_row = kernel_.scratch<float>(thread_, s_.bias_row);
      const int64_t period = loop_period(s_.dst.c);
      with_element(s_.conv.dst.dtype == DType::bf16, [&](auto* element) {
        using T = std::remove_pointer_t<decltype(element)>;
        sum_row(reinterpret_cast<const T*>(from), s_.dst.w * s_.dst.c, period, of_row);
      });
      float* bias = kernel_.bias_of(part_);
      for (int64_t j = 0; j < period; j += s_.dst.c) add_run(of_row + j, bias, s_.dst.c);
    }

    const GradWeightsKernel& kernel_;
    const Schedule& s_;
    int64_t thread_, part_ = 0, image_ = -1, first_ = 0, put_until_ = 0;
  };

  // Adds the parts' sums in order and copies them to diff_weights, transposed where the operands are swapped.
  void finish() const {
    const Schedule& s = *schedule_;
    const ProductSides& sides = s.products->sides();
    const int64_t rows = sides.left(), columns = sides.right();
    auto* weights = static_cast<float*>(at_.dst[0]);
    if (s.parts > 1) {
      parallel_ranges(s.part_floats(), kLanes, [&](int64_t begin, int64_t end) {
        add_parts(sums_of(0) + begin, end - begin, s.part_floats(), s.parts);
      });
    }
    parallel_for(s.taps() * rows, [&](int64_t i) {
      const int64_t tap = i / rows, m = i % rows;
      for (int64_t n = 0; n < columns; n += kLanes) {
        const float* sum = sums_of(0) + s.products->sums_at(tap, m, n);
        const int64_t count = std::min(kLanes, columns - n);
        if (!sides.swapped) {
          std::copy_n(sum, count, weights + i * columns + n);
        } else {
          for (int64_t j = 0; j < count; ++j) weights[(tap * columns + n + j) * rows + m] = sum[j];
        }
      }
    });
    if (s.conv.has_bias) std::copy_n(bias_of(0), s.dst.c, static_cast<float*>(at_.dst[1]));
  }

  std::shared_ptr<const Schedule> schedule_;
  Addresses at_;
};

Answer plan_with(const Convolution& conv, std::unique_ptr<const Products> products) {
  auto schedule = std::make_shared<Schedule>();
  Schedule& s = *schedule;
  s.conv = conv;
  s.products = std::move(products);
  const MemoryDesc src = with_tag(conv.src, Tag::nhwc), dst = with_tag(conv.dst, Tag::nhwc);
  s.src = view_of(src);
  s.dst = view_of(dst);
  const int64_t sums_bytes = s.products->sums_floats() * static_cast<int64_t>(sizeof(float));
  if (sums_bytes > kSumsBytes) return Declined{fmt::format("more than {} KiB of sums", kSumsBytes >> 10)};
  const auto& [h, w] = conv.window;
  const int64_t rows = s.dst.n * h.dst;
  const int64_t parts = std::clamp<int64_t>(kPartsSumsBytes / std::max<int64_t>(sums_bytes, 1), 1, kPartsPerThread);
  s.parts = std::min<int64_t>(parts * omp_get_max_threads(), parts_of(rows));
  s.band = std::clamp<int64_t>(kBandPixels / w.dst, 1, std::min(h.dst, kMostBandRows));
  s.slots = (s.band - 1) * h.stride + h.extent();
  const auto element = static_cast<int64_t>(size_of(conv.src.dtype));
  for (int64_t phase = 0; phase < s.products->sides().phases; ++phase) {
    Dims offsets;
    for (int64_t i = 0; i < s.products->src_pixels(); ++i) {
      const int64_t at = i * w.stride + phase;
      const bool read = at < (w.dst - 1) * w.stride + w.extent();
      const int64_t column = read ? border_source(conv.padding_mode, at - w.pad_begin, w.src) : kOutside;
      offsets.push_back(column == kOutside ? kOutside : column * s.src.stride_w * element);
    }
    s.src_offsets.push_back(std::move(offsets));
  }
  for (int64_t i = 0; i < s.products->dst_pixels(); ++i) {
    s.dst_offsets.push_back(i < w.dst ? i * s.dst.stride_w * element : kOutside);
  }

  ScratchLayout offsets;
  s.src_rows = offsets.add(static_cast<std::size_t>(s.slots) * s.slot_bytes());
  s.dst_rows = offsets.add(static_cast<std::size_t>(s.band) * s.products->dst_bytes());
  if (conv.has_bias) s.bias_row = offsets.add(bytes_of(loop_period(s.dst.c)));
  s.slot_list = offsets.add(static_cast<std::size_t>(s.slots) * sizeof(void*));
  s.pixel_list = offsets.add(static_cast<std::size_t>(std::max(s.products->src_pixels(), s.products->dst_pixels())) *
                             sizeof(void*));
  if (conv.normalized) {
    s.normalized.emplace(conv);
    s.normal_row_bytes = static_cast<std::size_t>(up(s.src.w * s.src.c * element, 64));
    s.normal_rows =
        offsets.add(static_cast<std::size_t>(s.products->src_in_place() ? s.slots : 1) * s.normal_row_bytes);
    s.normal_buffer = offsets.add(s.normal_row_bytes);
  }
  s.thread_bytes = offsets.end();
  if (s.thread_bytes > kThreadBytes)
    return Declined{fmt::format("rows of more than {} MiB a thread", kThreadBytes >> 20)};
  ScratchLayout of_all;
  of_all.add(s.thread_bytes * static_cast<std::size_t>(omp_get_max_threads()));
  s.sums = of_all.add(bytes_of(s.parts * s.part_floats()));
  s.zeros = of_all.end();

  KernelPlan plan{.src = {src, dst},
                  .dst = {with_tag(conv.weights, Tag::hwio)},
                  .scratch_bytes = 0,
                  .implementation = s.products->name(),
                  .kernel = nullptr};
  if (conv.has_bias) plan.dst.push_back(plain({DType::f32, Shape{conv.weights.shape[0]}}));
  s.coefficients = s.zeros + static_cast<std::size_t>(up(static_cast<int64_t>(s.zero_bytes()), 64));
  plan.scratch_bytes = s.coefficients;
  if (s.normalized) {
    plan.src = s.normalized->inputs(dst);
    plan.rounding = s.normalized->rounding();
    plan.scratch_bytes += s.normalized->coefficient_bytes();
  }
  plan.kernel = std::make_unique<GradWeightsKernel>(std::move(schedule));
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
