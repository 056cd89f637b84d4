#include "ops/convolution/upsampled/phase_filters_amx.h"

#include <omp.h>

#include <algorithm>
#include <array>

#include "ops/convolution/amx_forward.h"
#include "ops/convolution/source.h"
#include "ops/convolution/upsampled/axis.h"
#include "ops/geometry/resize_taps.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/normalization/written_statistics.h"
#include "ops/simd/amx.h"

namespace hourglass::kernels {
namespace {

// Rows of the small image in a part, where there are enough for the threads: a part needs the rows around its own too,
// and keeps them all in memory.
constexpr int64_t kFewestRows = 4, kMostRows = 16;

// to[i] = the sum over t of weights[t * stride] * from[t][i].
template <class T>
HG_CLONES void mix(const T* const* from, const float* weights, int64_t stride, int64_t terms, int64_t count,
                   float* to) {
  constexpr int64_t kBlock = 256;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t n = std::min(kBlock, count - begin);
    std::fill_n(to + begin, n, 0.0F);
    for (int64_t t = 0; t < terms; ++t) {
      const float w = weights[t * stride];
      const T* x = from[t] + begin;
      for (int64_t i = 0; i < n; ++i) to[begin + i] += w * load(x + i);
    }
  }
}

struct Schedule {
  Convolution conv;
  const AmxLoops* loops = nullptr;
  PhaseFiltersAxis h, w;
  std::optional<NormalizedSource> source;  // of the small image
  WrittenStatistics statistics;
  View src, dst;                 // src: the small image
  std::vector<int64_t> columns;  // of dst whose mixture is neither the even nor the odd one
  int64_t steps = 0;             // steps of K for one row of the small image
  int64_t row = 0;               // elements of a row with its border, rounded up
  int64_t parts = 1;
  std::size_t weights = 0, coefficients = 0;
  // Offsets into each thread's scratch memory.
  std::size_t rows = 0, sums = 0, normal_buffer = 0, mixed = 0, mixed_element = 0, lines = 0, thread_bytes = 0;

  // Words of packed weights, all rows of the reach: of 16 output channels; of both phases of the columns; of one
  // exceptional column.
  [[nodiscard]] int64_t panel() const { return h.reach * steps * kAmxTileWords; }
  [[nodiscard]] int64_t pair_words() const { return up(2 * dst.c, kAmxColumns) / kAmxColumns * panel(); }
  [[nodiscard]] int64_t column_words() const { return up(dst.c, kAmxColumns) / kAmxColumns * panel(); }
  // Words of all weights for output rows of one mixture.
  [[nodiscard]] int64_t row_words() const {
    return pair_words() + static_cast<int64_t>(columns.size()) * column_words();
  }
};

class PhaseFiltersForward final : public ConvolutionKernel {
 public:
  explicit PhaseFiltersForward(std::shared_ptr<const Schedule> schedule) : schedule_(std::move(schedule)) {}
  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    const Schedule& s = *schedule_;
    pack_weights();
    statistics().begin(at_);
    s.source->set_coefficients(at_, reinterpret_cast<float*>(scratch(0, s.coefficients)));
    parallel_parts(s.parts, [&](int64_t thread, const auto& take) {
      s.loops->begin();
      RowRange have;
      for (int64_t part = take(); part >= 0; part = take()) {
        const int64_t all = s.src.n * s.src.h, end = all * (part + 1) / s.parts;
        for (int64_t at = all * part / s.parts; at < end;) {
          const int64_t row = at % s.src.h;
          const RowRange rows{at / s.src.h, row, std::min(end - at, s.src.h - row)};
          put_rows(thread, rows, have);
          have = rows;
          for (int64_t phase = 0; phase < 2; ++phase) convolve(thread, rows, phase);
          const auto* made = static_cast<const uint16_t*>(at_.dst[0]) + s.dst.offset(rows.image, 0, 2 * row, 0);
          statistics().add(at_, part, made, 2 * rows.count * s.dst.w);
          at += rows.count;
        }
        statistics().end_part(at_, part);
      }
      s.loops->end();
    });
    statistics().end(at_);
  }

 private:
  [[nodiscard]] char* scratch(int64_t thread, std::size_t offset) const {
    return static_cast<char*>(at_.scratch) + static_cast<std::size_t>(thread) * schedule_->thread_bytes + offset;
  }
  // Rows [first, first + count) of the small image. With the rows around them that the filter reaches, they lie one
  // after the other.
  struct RowRange {
    int64_t image = -1, first = 0, count = 0;
  };
  [[nodiscard]] uint16_t* row_at(int64_t thread, int64_t i) const {
    return reinterpret_cast<uint16_t*>(scratch(thread, schedule_->rows)) + i * schedule_->row;
  }
  [[nodiscard]] uint32_t* weights(int64_t mixture) const {
    return reinterpret_cast<uint32_t*>(scratch(0, schedule_->weights)) + mixture * schedule_->row_words();
  }
  [[nodiscard]] const WrittenStatistics& statistics() const {
    return alone() ? WrittenStatistics::none() : schedule_->statistics;
  }

  // Mixes the phase filters from the given one, and packs them to panels of 16 output channels.
  void pack_weights() const {
    const Schedule& s = *schedule_;
    parallel_parts(static_cast<int64_t>(s.h.mixtures.size()) * s.h.reach, [&](int64_t thread, const auto& take) {
      for (int64_t item = take(); item >= 0; item = take()) {
        const int64_t mixture = item / s.h.reach, k = item % s.h.reach;
        mix_rows(thread, s.h.mixtures[static_cast<std::size_t>(mixture)].data() + k);
        uint32_t* words = weights(mixture) + k * s.steps * kAmxTileWords;
        pack(thread, {0, 1}, words);
        for (std::size_t i = 0; i < s.columns.size(); ++i) {
          const int64_t column = s.w.mixture_of[static_cast<std::size_t>(s.columns[i])];
          pack(thread, {column}, words + s.pair_words() + static_cast<int64_t>(i) * s.column_words());
        }
      }
    });
  }

  // Mixes the filter's rows to one row, [KW][C][OC].
  void mix_rows(int64_t thread, const float* mixture) const {
    const Schedule& s = *schedule_;
    const WindowAxis& h = s.conv.window.h;
    const int64_t count = s.conv.window.w.kernel * s.src.c * s.dst.c;
    std::array<const BFloat16*, kMostAmxRuns> from;
    for (int64_t tap = 0; tap < h.kernel; ++tap) {
      from[static_cast<std::size_t>(tap)] = static_cast<const BFloat16*>(at_.src[1]) + tap * count;
    }
    mix(from.data(), mixture, s.h.reach, h.kernel, count, reinterpret_cast<float*>(scratch(thread, s.mixed)));
  }

  // Mixes that row's columns as each of `mixtures` says, and packs the results side by side.
  void pack(int64_t thread, std::initializer_list<int64_t> mixtures, uint32_t* words) const {
    const Schedule& s = *schedule_;
    const int64_t kernel = s.conv.window.w.kernel, of_tap = s.src.c * s.dst.c;
    const int64_t channels = s.dst.c * static_cast<int64_t>(mixtures.size());
    std::array<const float*, kMostAmxRuns> from;
    for (int64_t tap = 0; tap < kernel; ++tap) {
      from[static_cast<std::size_t>(tap)] = reinterpret_cast<const float*>(scratch(thread, s.mixed)) + tap * of_tap;
    }
    auto* element = reinterpret_cast<float*>(scratch(thread, s.mixed_element));
    auto* lines = reinterpret_cast<BFloat16*>(scratch(thread, s.lines));
    for (int64_t k = 0; k < s.w.reach; ++k) {
      BFloat16* to = lines + k * s.src.c * channels;
      for (const int64_t mixture : mixtures) {
        mix(from.data(), s.w.mixtures[static_cast<std::size_t>(mixture)].data() + k, s.w.reach, kernel, of_tap,
            element);
        for (int64_t c = 0; c < s.src.c; ++c) narrow(element + c * s.dst.c, s.dst.c, to + c * channels);
        to += s.dst.c;
      }
    }
    const int64_t made = s.w.reach * s.src.c;
    std::fill(lines + made * channels, lines + s.steps * kAmxDepth * channels, BFloat16{0});
    for (int64_t step = 0; step < s.steps; ++step) {
      std::array<const void*, kAmxDepth> pixels;
      for (int64_t j = 0; j < kAmxDepth; ++j)
        pixels[static_cast<std::size_t>(j)] = lines + (step * kAmxDepth + j) * channels;
      s.loops->pair(pixels.data(), kAmxDepth, channels, words + step * kAmxTileWords, s.panel());
    }
  }

  // Reads all rows that `rows` need; rows that the thread has already are moved.
  void put_rows(int64_t thread, const RowRange& rows, const RowRange& have) const {
    const Schedule& s = *schedule_;
    const int64_t around = s.h.reach - 1;
    const bool go_on = rows.image == have.image && rows.first == have.first + have.count;
    if (go_on) std::copy_n(row_at(thread, have.count), around * s.row, row_at(thread, 0));
    for (int64_t i = go_on ? around : 0; i < rows.count + around; ++i) {
      put_row(rows.image, rows.first + s.h.low + i, row_at(thread, i), scratch(thread, s.normal_buffer));
    }
  }

  // Normalises a row of the small image. Outside of the image, its first and last rows and pixels repeat.
  void put_row(int64_t image, int64_t row, uint16_t* to, void* buffer) const {
    const Schedule& s = *schedule_;
    const int64_t channels = s.src.c, before = -s.w.low, behind = s.w.reach - 1 - before;
    uint16_t *inner = to + before * channels, *end = inner + s.src.w * channels;
    const float* coefficients = alone() ? nullptr : reinterpret_cast<const float*>(scratch(0, s.coefficients));
    s.source->read(at_, coefficients, image, std::clamp<int64_t>(row, 0, s.src.h - 1), 0, s.src.w, inner, buffer);
    for (int64_t i = 0; i < before; ++i) std::copy_n(inner, channels, to + i * channels);
    for (int64_t i = 0; i < behind; ++i) std::copy_n(end - channels, channels, end + i * channels);
    // Elements that only fill up the row must be finite: they are multiplied by zero.
    std::fill(end + behind * channels, to + s.row, uint16_t{0});
  }

  // Makes every second row of dst, from `rows`. Exceptional columns are overwritten afterwards, column by column, for
  // as many rows as have the same mixture.
  void convolve(int64_t thread, const RowRange& rows, int64_t phase) const {
    const Schedule& s = *schedule_;
    const auto mixture = [&](int64_t i) {
      return s.h.mixture_of[static_cast<std::size_t>(2 * (rows.first + i) + phase)];
    };
    for (int64_t i = 0, end = 0; i < rows.count; i = end) {
      while (end < rows.count && mixture(end) == mixture(i)) ++end;
      const uint32_t* words = weights(mixture(i));
      auto* to = static_cast<uint16_t*>(at_.dst[0]) + s.dst.offset(rows.image, 0, 2 * (rows.first + i) + phase, 0);
      for (int64_t k = i; k < end; ++k) {
        multiply(thread, row_at(thread, k), s.src.c, s.src.w, words, 2 * s.dst.c,
                 {to + 2 * (k - i) * s.dst.stride_h, 2 * s.dst.c});
      }
      for (std::size_t c = 0; c < s.columns.size(); ++c) {
        const int64_t column = s.columns[c];
        multiply(thread, row_at(thread, i) + column / 2 * s.src.c, s.row, end - i,
                 words + s.pair_words() + static_cast<int64_t>(c) * s.column_words(), s.dst.c,
                 {to + column * s.dst.c, 2 * s.dst.stride_h});
      }
    }
  }

  // Pixels of dst, `step` elements apart.
  struct Target {
    uint16_t* pixels;
    int64_t step;
  };
  // Makes `channels` of `count` pixels. Their sources are `step` elements apart, from `src` on in the first row of the
  // reach.
  void multiply(int64_t thread, const uint16_t* src, int64_t step, int64_t count, const uint32_t* words,
                int64_t channels, const Target& dst) const {
    const Schedule& s = *schedule_;
    std::array<const uint16_t*, kMostAmxRuns> left;
    std::array<const uint32_t*, kMostAmxRuns> right;
    for (int64_t k = 0; k < s.h.reach; ++k) {
      left[static_cast<std::size_t>(k)] = src + k * s.row;
      right[static_cast<std::size_t>(k)] = words + k * s.steps * kAmxTileWords;
    }
    s.loops->multiply_pixels({.left = left.data(),
                              .left_row = step,
                              .right = right.data(),
                              .right_column = s.panel(),
                              .pieces = s.h.reach,
                              .steps = s.steps,
                              .pixels = count,
                              .channels = channels,
                              .inner_end = count,
                              .dst = dst.pixels,
                              .dst_row = dst.step,
                              .sums = reinterpret_cast<float*>(scratch(thread, s.sums))});
  }

  std::shared_ptr<const Schedule> schedule_;
  Addresses at_;
};

}  // namespace

Answer plan_phase_filters_amx(const PlanContext&, const Convolution& conv) {
  const auto& [h, w] = conv.window;
  if (conv.normalized->first_channels != conv.src.shape[1]) return Declined{"a second image beside the resized one"};
  if (conv.has_bias) return Declined{"a bias"};
  if (static_cast<std::size_t>(std::max(h.kernel, w.kernel)) > kMostAmxRuns) {
    return Declined{fmt::format("a filter of more than {} taps a side", kMostAmxRuns)};
  }
  const auto& [from, attrs] = *conv.normalized->resized;
  const auto rows = phase_filters_axis(h, conv.padding_mode, taps_of_axis(attrs, from, 2), from[2]);
  const auto columns = phase_filters_axis(w, conv.padding_mode, taps_of_axis(attrs, from, 3), from[3]);
  if (!rows || !columns) return Declined{"not resized to exactly twice its size, or the filter gets wider"};

  auto schedule = std::make_shared<Schedule>();
  Schedule& s = *schedule;
  s.conv = conv;
  s.loops = amx_tiles();
  s.h = *rows;
  s.w = *columns;
  s.columns = s.w.exceptions();
  s.source.emplace(conv, NormalizedSource::Of::small);
  const MemoryDesc dst = with_tag(conv.dst, Tag::nhwc);
  s.src = view_of(with_tag({conv.src.dtype, from}, Tag::nhwc));
  s.dst = view_of(dst);
  s.steps = up(s.w.reach * s.src.c, kAmxDepth) / kAmxDepth;
  // The last AMX tile reads beyond the last pixel, and the last step beyond its row.
  s.row = up((up(s.src.w, kAmxColumns) - 1) * s.src.c + s.steps * kAmxDepth, kAmxDepth);
  const int64_t lines = s.src.n * s.src.h;
  s.parts = std::clamp(kPartsPerThread * omp_get_max_threads(), lines / kMostRows, lines / kFewestRows);
  s.parts = std::clamp<int64_t>(s.parts, std::min<int64_t>(omp_get_max_threads(), lines), lines);
  // So do the AMX tiles of an exceptional column, from any row of a part on.
  const int64_t slots = (lines + s.parts - 1) / s.parts + s.h.reach - 1 + kAmxColumns - 1;

  ScratchLayout offsets;
  const auto bytes = [](int64_t count, std::size_t size) { return static_cast<std::size_t>(count) * size; };
  const std::size_t weights_bytes = bytes(static_cast<int64_t>(s.h.mixtures.size()) * s.row_words(), sizeof(uint32_t));
  s.weights = offsets.add(weights_bytes);
  s.statistics = WrittenStatistics(conv.dst, conv.statistics, s.parts, offsets);
  s.coefficients = offsets.add(s.source->coefficient_bytes());
  ScratchLayout of_thread;
  s.rows = offsets.end() + of_thread.add(bytes(slots * s.row, sizeof(uint16_t)));
  s.sums = offsets.end() + of_thread.add(bytes(AmxPixels::kSums, sizeof(float)));
  s.normal_buffer = offsets.end() + of_thread.add(bytes(s.src.w * s.src.c, sizeof(uint16_t)));
  s.mixed = offsets.end() + of_thread.add(bytes(w.kernel * s.src.c * s.dst.c, sizeof(float)));
  s.mixed_element = offsets.end() + of_thread.add(bytes(s.src.c * s.dst.c, sizeof(float)));
  s.lines = offsets.end() + of_thread.add(bytes(s.steps * kAmxDepth * 2 * s.dst.c, sizeof(uint16_t)));
  s.thread_bytes = of_thread.end();
  if (weights_bytes > kAmxWeightsBytes) return Declined{"more than 2 MiB of weights"};
  if (s.thread_bytes > kAmxThreadBytes) return Declined{"rows of more than 8 MiB a thread"};

  KernelPlan plan{.src = s.source->inputs(with_tag(conv.weights, Tag::hwio)),
                  .dst = {dst},
                  .scratch_bytes = offsets.end() + of_thread.end() * static_cast<std::size_t>(omp_get_max_threads()),
                  .implementation = "avx512_core_amx_bf16",
                  .rounding = s.source->rounding(),
                  .kernel = nullptr};
  s.statistics.add_to(plan);
  plan.kernel = std::make_unique<PhaseFiltersForward>(std::move(schedule));
  return plan;
}

}  // namespace hourglass::kernels
