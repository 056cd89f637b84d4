#include "ops/convolution/pointwise.h"

#include <omp.h>

#include <algorithm>

#include "ops/convolution/source.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/normalization/written_statistics.h"
#include "ops/simd/gemm.h"
#include "ops/simd/isa.h"

namespace hourglass::kernels {
namespace {

constexpr int64_t kLanes = 16;
// Output channels of one panel of the weights.
constexpr int64_t kWidth = 64;
// With fewer source channels a pass that normalises first is no slower; multiply_few() serves some of them.
constexpr int64_t kFewest = 32;
// A chunk of pixels stays in the second-level cache; a multiple of kRows, the rows of sums that stay in registers.
constexpr int64_t kChunkBytes = 64 << 10, kRows = 24;

// Stores sums of pixels, `row` floats apart, plus their bias. kChannels: the number of channels where it is known, or
// 0.
template <class T, int kChannels>
HG_CLONES void store_pixels(const float* sums, int64_t row, int64_t pixels, int64_t channels, const float* bias,
                            T* dst) {
  if constexpr (kChannels > 0) channels = kChannels;
  for (int64_t i = 0; i < pixels; ++i) {
    for (int64_t c = 0; c < channels; ++c) store(dst + i * channels + c, sums[i * row + c] + bias[c]);
  }
}

// sums[pixel][kOut] = src[pixel][kIn] * weights[kIn][kOut], with all weights in AVX-512's registers.
template <int kIn, int kOut>
HG_CLONES void multiply_few(const float* src, const float* weights, int64_t pixels, float* sums) {
  typedef float Vector __attribute__((vector_size(kOut * sizeof(float))));
  Vector w[kIn];
  std::memcpy(w, weights, sizeof w);
  for (int64_t i = 0; i < pixels; ++i) {
    Vector sum = {};
#pragma GCC unroll 16
    for (int c = 0; c < kIn; ++c) sum += w[c] * src[i * kIn + c];
    std::memcpy(sums + i * kOut, &sum, sizeof sum);
  }
}
using MultiplyFew = void (*)(const float* src, const float* weights, int64_t pixels, float* sums);

int64_t few_columns(int64_t channels) { return channels <= 4 ? 4 : channels <= 8 ? 8 : 16; }

// The loop for so many source channels and (rounded up) output channels; null where there is none.
MultiplyFew few_loop(int64_t src_channels, int64_t columns) {
  if (src_channels == 8) {
    return columns == 4 ? multiply_few<8, 4> : columns == 8 ? multiply_few<8, 8> : multiply_few<8, 16>;
  }
  if (src_channels == 16) {
    return columns == 4 ? multiply_few<16, 4> : columns == 8 ? multiply_few<16, 8> : multiply_few<16, 16>;
  }
  return nullptr;
}

struct Layout {
  explicit Layout(const Convolution& convolution) : conv(convolution), normalized(convolution) {}

  Convolution conv;
  NormalizedSource normalized;
  WrittenStatistics statistics;
  const GemmLoops* loops = nullptr;
  MultiplyFew few = nullptr;  // null: by `loops`
  bool is_bf16 = false;
  int64_t pixels = 0, chunk = 0, parts = 1;
  int64_t channels = 0, columns = 0;    // of dst, and rounded up
  int64_t src_channels = 0, depth = 0;  // of src, and as words
  bool in_place = false;                // the sums are written straight into dst
  std::size_t weights = 0, bias = 0, coefficients = 0;
  // Offsets into each thread's scratch memory.
  std::size_t source = 0, buffer = 0, wide = 0, sums = 0, thread_bytes = 0;

  [[nodiscard]] std::size_t element() const { return is_bf16 ? 2 : 4; }
  [[nodiscard]] int64_t pixel_groups() const { return (pixels + kRows - 1) / kRows; }  // groups of kRows pixels
};

class PointwiseKernel final : public ConvolutionKernel {
 public:
  explicit PointwiseKernel(std::shared_ptr<const Layout> layout) : layout_(std::move(layout)) {}
  void bind(const Addresses& at, const dnnl::stream&) override {
    at_ = at;
    const Layout& l = *layout_;
    weight_rows_.clear();
    for (int64_t c = 0; c < l.src_channels; ++c) {
      const auto offset = static_cast<std::size_t>(c * l.channels) * l.element();
      weight_rows_.push_back(static_cast<const char*>(at.src[1]) + offset);
    }
  }

  void run() noexcept override {
    const Layout& l = *layout_;
    prepare();
    parallel_for(l.parts, [&](int64_t part) {
      const int64_t begin = l.pixel_groups() * part / l.parts * kRows,
                    end = l.pixel_groups() * (part + 1) / l.parts * kRows;
      for (int64_t first = begin, last = std::min(end, l.pixels); first < last; first += l.chunk) {
        convolve(part, first, std::min(l.chunk, last - first));
      }
      statistics().end_part(at_, part);
    });
    statistics().end(at_);
  }

 private:
  template <typename T>
  [[nodiscard]] T* scratch(std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_.scratch) + offset);
  }

  [[nodiscard]] const WrittenStatistics& statistics() const {
    return alone() ? WrittenStatistics::none() : layout_->statistics;
  }
  [[nodiscard]] const float* coefficients() const { return alone() ? nullptr : scratch<float>(layout_->coefficients); }
  // Packs weights, bias (rounded up with zeros) and coefficients.
  void prepare() const {
    const Layout& l = *layout_;
    if (l.few != nullptr) {
      widen_weights();
    } else {
      pack_weights();
    }
    auto* bias = scratch<float>(l.bias);
    std::fill_n(bias, l.columns, 0.0F);
    if (l.conv.has_bias) std::copy_n(static_cast<const float*>(at_.src[l.conv.bias_input()]), l.channels, bias);
    l.normalized.set_coefficients(at_, scratch<float>(l.coefficients));
    statistics().begin(at_);
  }

  // The weights as f32, [src_channels][columns].
  void widen_weights() const {
    const Layout& l = *layout_;
    auto* weights = scratch<float>(l.weights);
    std::fill_n(weights, l.src_channels * l.columns, 0.0F);
    with_element(l.is_bf16, [&](auto* element) {
      using T = std::remove_pointer_t<decltype(element)>;
      for (int64_t c = 0; c < l.src_channels; ++c) {
        widen(static_cast<const T*>(at_.src[1]) + c * l.channels, l.channels, weights + c * l.columns);
      }
    });
  }
  // The weights in panels of kWidth columns, as the GEMM reads its operand B.
  void pack_weights() const {
    const Layout& l = *layout_;
    for (int64_t column = 0; column < l.columns; column += kWidth) {
      const int64_t width = std::min(kWidth, l.columns - column);
      l.loops->pack(l.is_bf16, weight_rows_.data(), static_cast<int64_t>(weight_rows_.size()), column,
                    std::min(width, l.channels - column), scratch<uint32_t>(l.weights) + column * l.depth, width);
    }
  }

  void convolve(int64_t part, int64_t first, int64_t count) const {
    const Layout& l = *layout_;
    const std::size_t mine = static_cast<std::size_t>(omp_get_thread_num()) * l.thread_bytes;
    auto* source = scratch<uint32_t>(l.source + mine);
    // Rows and images follow each other without a gap, so pixels are one long row.
    l.normalized.read(at_, coefficients(), 0, 0, first, count, source, scratch<char>(l.buffer + mine));
    auto* dst = static_cast<char*>(at_.dst[0]) + static_cast<std::size_t>(first * l.channels) * l.element();
    float* sums = l.in_place ? reinterpret_cast<float*>(dst) : scratch<float>(l.sums + mine);
    if (l.few != nullptr) {
      multiply_few_channels(source, count, scratch<float>(l.wide + mine), sums);
    } else {
      multiply_panels(source, count, sums);
    }
    if (!l.in_place) store(sums, count, dst);
    statistics().add(at_, part, dst, count);
  }

  // In bf16 the pixels are first widened to f32, in `wide`.
  void multiply_few_channels(const void* source, int64_t count, float* wide, float* sums) const {
    const Layout& l = *layout_;
    if (l.is_bf16) {
      widen(static_cast<const BFloat16*>(source), count * l.src_channels, wide);
      source = wide;
    }
    l.few(static_cast<const float*>(source), scratch<float>(l.weights), count, sums);
  }
  void multiply_panels(const uint32_t* source, int64_t count, float* sums) const {
    const Layout& l = *layout_;
    for (int64_t column = 0; column < l.columns; column += kWidth) {
      const int64_t width = std::min(kWidth, l.columns - column);
      multiply_in_pieces(*l.loops, l.is_bf16,
                         {.a = source,
                          .a_row = l.depth,
                          .a_step = 1,
                          .b = scratch<uint32_t>(l.weights) + column * l.depth,
                          .b_step = width,
                          .c = sums + column,
                          .c_row = l.columns,
                          .rows = count,
                          .vectors = width / kLanes,
                          .depth = l.depth});
    }
  }

  void store(const float* sums, int64_t count, void* dst) const {
    const Layout& l = *layout_;
    with_element(l.is_bf16, [&](auto* element) {
      using T = std::remove_pointer_t<decltype(element)>;
      const auto put = l.channels == 3    ? store_pixels<T, 3>  // an image
                       : l.channels == 8  ? store_pixels<T, 8>
                       : l.channels == 16 ? store_pixels<T, 16>
                                          : store_pixels<T, 0>;
      put(sums, l.columns, count, l.channels, scratch<float>(l.bias), static_cast<T*>(dst));
    });
  }

  std::shared_ptr<const Layout> layout_;
  Addresses at_;
  std::vector<const void*> weight_rows_;
};

bool is_pointwise(const Convolution& conv) { return conv.window.h.is_pointwise() && conv.window.w.is_pointwise(); }

// The plan with the loop `few` or, where that is null, with the GEMM of `loops`.
KernelPlan plan_with(const Convolution& conv, MultiplyFew few, const GemmLoops* loops) {
  const bool is_bf16 = conv.src.dtype == DType::bf16;
  const int64_t channels = conv.dst.shape[1], src_channels = conv.src.shape[1];
  auto layout = std::make_shared<Layout>(conv);
  Layout& l = *layout;
  l.loops = loops;
  l.few = few;
  l.is_bf16 = is_bf16;
  const Shape& shape = conv.dst.shape;
  l.pixels = shape[0] * shape[2] * shape[3];
  l.parts = parts_of(l.pixel_groups());
  l.channels = channels;
  l.columns = few != nullptr ? few_columns(channels) : up(channels, kLanes);
  l.src_channels = src_channels;
  l.depth = is_bf16 ? l.src_channels / 2 : l.src_channels;
  l.in_place = !is_bf16 && l.columns == l.channels && !conv.has_bias;
  const auto pixel_bytes = static_cast<int64_t>(l.src_channels * static_cast<int64_t>(l.element()));
  l.chunk = std::max<int64_t>(4 * kRows, up(kChunkBytes / pixel_bytes, kRows));
  l.chunk = std::min<int64_t>(l.chunk, 40 * kRows);

  ScratchLayout offsets;
  const auto bytes = [](int64_t count) { return static_cast<std::size_t>(count); };
  l.weights = offsets.add(bytes((few != nullptr ? src_channels : l.depth) * l.columns * 4));
  l.bias = offsets.add(bytes(l.columns * 4));
  l.coefficients = offsets.add(l.normalized.coefficient_bytes());
  l.statistics = WrittenStatistics(conv.dst, conv.statistics, l.parts, offsets);
  ScratchLayout of_thread;
  l.source = offsets.end() + of_thread.add(bytes(l.chunk * pixel_bytes));
  l.buffer = offsets.end() + of_thread.add(bytes(l.chunk * pixel_bytes));
  if (few != nullptr && is_bf16) l.wide = offsets.end() + of_thread.add(bytes(l.chunk * src_channels * 4));
  if (!l.in_place) l.sums = offsets.end() + of_thread.add(bytes(l.chunk * l.columns * 4));
  l.thread_bytes = of_thread.end();
  offsets.add(of_thread.end() * bytes(omp_get_max_threads()));

  KernelPlan plan{.src = l.normalized.inputs(with_tag(conv.weights, Tag::hwio)),
                  .dst = {with_tag(conv.dst, Tag::nhwc)},
                  .scratch_bytes = offsets.end(),
                  .implementation = few != nullptr ? "loop" : isa_of(*loops, conv.src.dtype),
                  .rounding = l.normalized.rounding(),
                  .kernel = nullptr};
  l.statistics.add_to(plan);
  plan.kernel = std::make_unique<PointwiseKernel>(std::move(layout));
  return plan;
}

}  // namespace

Answer plan_pointwise_few(const PlanContext&, const Convolution& conv) {
  const int64_t channels = conv.dst.shape[1];
  if (!is_pointwise(conv)) return Declined{"pointwise only"};
  const MultiplyFew few = channels <= 16 ? few_loop(conv.src.shape[1], few_columns(channels)) : nullptr;
  if (few == nullptr) return Declined{"8 or 16 channels to at most 16 only"};
  return plan_with(conv, few, nullptr);
}

Answer plan_pointwise_vector(const PlanContext&, const Convolution& conv) {
  const int64_t src_channels = conv.src.shape[1];
  if (!is_pointwise(conv)) return Declined{"pointwise only"};
  if (src_channels < kFewest) return Declined{fmt::format("fewer than {} channels", kFewest)};
  if (conv.src.dtype == DType::bf16 && src_channels % 2 != 0) return Declined{"an odd number of channels in bf16"};
  return plan_with(conv, nullptr, gemm_loops(conv.src.dtype));
}

}  // namespace hourglass::kernels
