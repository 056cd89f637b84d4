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

struct Schedule {
  explicit Schedule(const Convolution& convolution) : conv(convolution), normalized(convolution) {}

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
  explicit PointwiseKernel(std::shared_ptr<const Schedule> schedule) : schedule_(std::move(schedule)) {}
  void bind(const Addresses& at, const dnnl::stream&) override {
    at_ = at;
    const Schedule& s = *schedule_;
    weight_rows_.clear();
    for (int64_t c = 0; c < s.src_channels; ++c) {
      const auto offset = static_cast<std::size_t>(c * s.channels) * s.element();
      weight_rows_.push_back(static_cast<const char*>(at.src[1]) + offset);
    }
  }

  void run() noexcept override {
    const Schedule& s = *schedule_;
    prepare();
    parallel_for(s.parts, [&](int64_t part) {
      const int64_t begin = s.pixel_groups() * part / s.parts * kRows,
                    end = s.pixel_groups() * (part + 1) / s.parts * kRows;
      for (int64_t first = begin, last = std::min(end, s.pixels); first < last; first += s.chunk) {
        convolve(part, first, std::min(s.chunk, last - first));
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
    return alone() ? WrittenStatistics::none() : schedule_->statistics;
  }
  [[nodiscard]] const float* coefficients() const {
    return alone() ? nullptr : scratch<float>(schedule_->coefficients);
  }
  // Packs weights, bias (rounded up with zeros) and coefficients.
  void prepare() const {
    const Schedule& s = *schedule_;
    if (s.few != nullptr) {
      widen_weights();
    } else {
      pack_weights();
    }
    auto* bias = scratch<float>(s.bias);
    std::fill_n(bias, s.columns, 0.0F);
    if (s.conv.has_bias) std::copy_n(static_cast<const float*>(at_.src[s.conv.bias_input()]), s.channels, bias);
    s.normalized.set_coefficients(at_, scratch<float>(s.coefficients));
    statistics().begin(at_);
  }

  // The weights as f32, [src_channels][columns].
  void widen_weights() const {
    const Schedule& s = *schedule_;
    auto* weights = scratch<float>(s.weights);
    std::fill_n(weights, s.src_channels * s.columns, 0.0F);
    with_element(s.is_bf16, [&](auto* element) {
      using T = std::remove_pointer_t<decltype(element)>;
      for (int64_t c = 0; c < s.src_channels; ++c) {
        widen(static_cast<const T*>(at_.src[1]) + c * s.channels, s.channels, weights + c * s.columns);
      }
    });
  }
  // The weights in panels of kWidth columns, as the GEMM reads its operand B.
  void pack_weights() const {
    const Schedule& s = *schedule_;
    for (int64_t column = 0; column < s.columns; column += kWidth) {
      const int64_t width = std::min(kWidth, s.columns - column);
      s.loops->pack(s.is_bf16, weight_rows_.data(), static_cast<int64_t>(weight_rows_.size()), column,
                    std::min(width, s.channels - column), scratch<uint32_t>(s.weights) + column * s.depth, width);
    }
  }

  void convolve(int64_t part, int64_t first, int64_t count) const {
    const Schedule& s = *schedule_;
    const std::size_t mine = static_cast<std::size_t>(omp_get_thread_num()) * s.thread_bytes;
    auto* source = scratch<uint32_t>(s.source + mine);
    // Rows and images follow each other without a gap, so pixels are one long row.
    s.normalized.read(at_, coefficients(), 0, 0, first, count, source, scratch<char>(s.buffer + mine));
    auto* dst = static_cast<char*>(at_.dst[0]) + static_cast<std::size_t>(first * s.channels) * s.element();
    float* sums = s.in_place ? reinterpret_cast<float*>(dst) : scratch<float>(s.sums + mine);
    if (s.few != nullptr) {
      multiply_few_channels(source, count, scratch<float>(s.wide + mine), sums);
    } else {
      multiply_panels(source, count, sums);
    }
    if (!s.in_place) store(sums, count, dst);
    statistics().add(at_, part, dst, count);
  }

  // In bf16 the pixels are first widened to f32, in `wide`.
  void multiply_few_channels(const void* source, int64_t count, float* wide, float* sums) const {
    const Schedule& s = *schedule_;
    if (s.is_bf16) {
      widen(static_cast<const BFloat16*>(source), count * s.src_channels, wide);
      source = wide;
    }
    s.few(static_cast<const float*>(source), scratch<float>(s.weights), count, sums);
  }
  void multiply_panels(const uint32_t* source, int64_t count, float* sums) const {
    const Schedule& s = *schedule_;
    for (int64_t column = 0; column < s.columns; column += kWidth) {
      const int64_t width = std::min(kWidth, s.columns - column);
      multiply_in_pieces(*s.loops, s.is_bf16,
                         {.a = source,
                          .a_row = s.depth,
                          .a_step = 1,
                          .b = scratch<uint32_t>(s.weights) + column * s.depth,
                          .b_step = width,
                          .c = sums + column,
                          .c_row = s.columns,
                          .rows = count,
                          .vectors = width / kGemmLanes,
                          .depth = s.depth});
    }
  }

  void store(const float* sums, int64_t count, void* dst) const {
    const Schedule& s = *schedule_;
    with_element(s.is_bf16, [&](auto* element) {
      using T = std::remove_pointer_t<decltype(element)>;
      const auto put = s.channels == 3    ? store_pixels<T, 3>  // an image
                       : s.channels == 8  ? store_pixels<T, 8>
                       : s.channels == 16 ? store_pixels<T, 16>
                                          : store_pixels<T, 0>;
      put(sums, s.columns, count, s.channels, scratch<float>(s.bias), static_cast<T*>(dst));
    });
  }

  std::shared_ptr<const Schedule> schedule_;
  Addresses at_;
  std::vector<const void*> weight_rows_;
};

bool is_pointwise(const Convolution& conv) { return conv.window.h.is_pointwise() && conv.window.w.is_pointwise(); }

// The plan with the loop `few` or, where that is null, with the GEMM of `loops`.
KernelPlan plan_with(const Convolution& conv, MultiplyFew few, const GemmLoops* loops) {
  const bool is_bf16 = conv.src.dtype == DType::bf16;
  const int64_t channels = conv.dst.shape[1], src_channels = conv.src.shape[1];
  auto schedule = std::make_shared<Schedule>(conv);
  Schedule& s = *schedule;
  s.loops = loops;
  s.few = few;
  s.is_bf16 = is_bf16;
  const Shape& shape = conv.dst.shape;
  s.pixels = shape[0] * shape[2] * shape[3];
  s.parts = parts_of(s.pixel_groups());
  s.channels = channels;
  s.columns = few != nullptr ? few_columns(channels) : up(channels, kGemmLanes);
  s.src_channels = src_channels;
  s.depth = is_bf16 ? s.src_channels / 2 : s.src_channels;
  s.in_place = !is_bf16 && s.columns == s.channels && !conv.has_bias;
  const auto pixel_bytes = static_cast<int64_t>(s.src_channels * static_cast<int64_t>(s.element()));
  s.chunk = std::max<int64_t>(4 * kRows, up(kChunkBytes / pixel_bytes, kRows));
  s.chunk = std::min<int64_t>(s.chunk, 40 * kRows);

  ScratchLayout offsets;
  const auto bytes = [](int64_t count) { return static_cast<std::size_t>(count); };
  s.weights = offsets.add(bytes((few != nullptr ? src_channels : s.depth) * s.columns * 4));
  s.bias = offsets.add(bytes(s.columns * 4));
  s.coefficients = offsets.add(s.normalized.coefficient_bytes());
  s.statistics = WrittenStatistics(conv.dst, conv.statistics, s.parts, offsets);
  ScratchLayout of_thread;
  s.source = offsets.end() + of_thread.add(bytes(s.chunk * pixel_bytes));
  s.buffer = offsets.end() + of_thread.add(bytes(s.chunk * pixel_bytes));
  if (few != nullptr && is_bf16) s.wide = offsets.end() + of_thread.add(bytes(s.chunk * src_channels * 4));
  if (!s.in_place) s.sums = offsets.end() + of_thread.add(bytes(s.chunk * s.columns * 4));
  s.thread_bytes = of_thread.end();
  offsets.add(of_thread.end() * bytes(omp_get_max_threads()));

  KernelPlan plan{.src = s.normalized.inputs(with_tag(conv.weights, Tag::hwio)),
                  .dst = {with_tag(conv.dst, Tag::nhwc)},
                  .scratch_bytes = offsets.end(),
                  .implementation = few != nullptr ? "loop" : isa_of(*loops, conv.src.dtype),
                  .rounding = s.normalized.rounding(),
                  .kernel = nullptr};
  s.statistics.add_to(plan);
  plan.kernel = std::make_unique<PointwiseKernel>(std::move(schedule));
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
