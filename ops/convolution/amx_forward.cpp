#include "ops/convolution/amx_forward.h"

#include <omp.h>

#include <algorithm>
#include <array>

#include "ops/convolution/source.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/normalization/written_statistics.h"
#include "ops/simd/amx.h"

namespace hourglass::kernels {
namespace {

// A contiguous run of the source, `taps` taps of the filter from `tap` on, that one output pixel reads.
struct Run {
  int64_t row = 0, offset = 0;  // offset from the pixel's first tap, in rows and in elements
  int64_t tap = 0, taps = 0;
};

struct AmxForwardSchedule {
  Convolution conv;
  const AmxLoops* loops = nullptr;
  std::optional<NormalizedSource> normalized;
  WrittenStatistics statistics;
  View src, dst;
  std::vector<Run> runs;
  int64_t run_steps = 0;                      // steps of kAmxDepth elements in a run, rounded up
  int64_t pitch = 0;                          // elements from one output pixel's run to the next one's
  int64_t row_pixels = 0, row = 0;            // pixels of a row with its border, and its elements, rounded up
  int64_t left_border = 0, right_border = 0;  // pixels of the border, of `row_pixels`
  int64_t parts = 1, slots = 1;
  bool reads_in_place = false;  // 1x1: operand A is the source itself, nothing is copied
  std::size_t weights = 0, zeros = 0, coefficients = 0, rows = 0, sums = 0, normal_buffer = 0, thread_bytes = 0;

  [[nodiscard]] int64_t run_channels() const { return runs[0].taps * src.c; }
  [[nodiscard]] int64_t panel() const {
    return static_cast<int64_t>(runs.size()) * run_steps * kAmxTileWords;
  }  // words
};

class AmxForward final : public ConvolutionKernel {
 public:
  explicit AmxForward(std::shared_ptr<const AmxForwardSchedule> schedule) : schedule_(std::move(schedule)) {}
  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    const AmxForwardSchedule& s = *schedule_;
    pack_weights();
    statistics().begin(at_);
    if (s.normalized) s.normalized->set_coefficients(at_, reinterpret_cast<float*>(scratch(0, s.coefficients)));
    parallel_parts(s.parts, [&](int64_t thread, const auto& take) {
      s.loops->begin();
      const int64_t rows = s.dst.n * s.dst.h;
      int64_t image = -1, put_until = 0;
      for (int64_t part = take(), next = 0; part >= 0; part = take()) {
        if (part < next) image = -1;
        next = part + 1;
        for (int64_t row = rows * part / s.parts; row < rows * next / s.parts; ++row) {
          const WindowAxis& h = s.conv.window.h;
          const int64_t begin = row % s.dst.h * h.stride, end = begin + h.extent();
          if (row / s.dst.h != image) put_until = 0;
          image = row / s.dst.h;
          for (int64_t i = std::max(begin, put_until); i < end && !s.reads_in_place; ++i) put_row(thread, image, i);
          put_until = end;
          convolve_row(thread, image, row % s.dst.h);
          statistics().add(at_, part, static_cast<const uint16_t*>(at_.dst[0]) + row * s.dst.w * s.dst.c, s.dst.w);
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
  [[nodiscard]] uint16_t* slot(int64_t thread, int64_t row) const {
    return reinterpret_cast<uint16_t*>(scratch(thread, schedule_->rows)) + row % schedule_->slots * schedule_->row;
  }

  [[nodiscard]] const WrittenStatistics& statistics() const {
    return alone() ? WrittenStatistics::none() : schedule_->statistics;
  }
  [[nodiscard]] const float* coefficients() const {
    return alone() ? nullptr : reinterpret_cast<const float*>(scratch(0, schedule_->coefficients));
  }

  // Packs the weights to panels of 16 output channels, with K in pairs as AMX reads bf16.
  void pack_weights() const {
    const AmxForwardSchedule& s = *schedule_;
    char* zeros = scratch(0, s.zeros);
    std::fill_n(zeros, s.dst.c * 2, '\0');
    parallel_for(static_cast<int64_t>(s.runs.size()) * s.run_steps, [&](int64_t i) {
      const Run& run = s.runs[static_cast<std::size_t>(i / s.run_steps)];
      std::array<const void*, kAmxDepth> channels;
      for (int64_t j = 0; j < kAmxDepth; ++j) {
        const int64_t c = i % s.run_steps * kAmxDepth + j;
        channels[static_cast<std::size_t>(j)] =
            c < s.run_channels() ? static_cast<const uint16_t*>(at_.src[1]) + (run.tap * s.src.c + c) * s.dst.c
                                 : static_cast<const void*>(zeros);
      }
      s.loops->pair(channels.data(), kAmxDepth, s.dst.c,
                    reinterpret_cast<uint32_t*>(scratch(0, s.weights)) + i * kAmxTileWords, s.panel());
    });
  }

  // Copies a row of the source with its border into the ring buffer. Rows are counted from the padding's first.
  void put_row(int64_t thread, int64_t image, int64_t row) const {
    const AmxForwardSchedule& s = *schedule_;
    const WindowAxis &h = s.conv.window.h, &w = s.conv.window.w;
    uint16_t* to = slot(thread, row);
    const int64_t from = border_source(s.conv.padding_mode, row - h.pad_begin, h.src);
    // Elements that only fill up the row must be finite: they are multiplied by zero.
    if (from == kOutside) {
      std::fill_n(to, s.row, uint16_t{0});
      return;
    }
    const auto put = [&](int64_t column, int64_t count, uint16_t* pixels) {
      if (s.normalized) {
        s.normalized->read(at_, coefficients(), image, from, column, count, pixels, scratch(thread, s.normal_buffer));
      } else {
        std::copy_n(static_cast<const uint16_t*>(at_.src[0]) + s.src.offset(image, 0, from, column), count * s.src.c,
                    pixels);
      }
    };
    const auto put_border = [&](int64_t pixel) {
      const int64_t column = border_source(s.conv.padding_mode, pixel - w.pad_begin, w.src);
      if (column == kOutside) {
        std::fill_n(to + pixel * s.src.c, s.src.c, uint16_t{0});
      } else {
        put(column, 1, to + pixel * s.src.c);
      }
    };
    for (int64_t i = 0; i < s.left_border; ++i) put_border(i);
    const int64_t whole = s.row_pixels - s.left_border - s.right_border;
    put(s.left_border - w.pad_begin, whole, to + s.left_border * s.src.c);
    for (int64_t i = s.row_pixels - s.right_border; i < s.row_pixels; ++i) put_border(i);
    std::fill_n(to + s.row_pixels * s.src.c, s.row - s.row_pixels * s.src.c, uint16_t{0});
  }

  void convolve_row(int64_t thread, int64_t image, int64_t row) const {
    const AmxForwardSchedule& s = *schedule_;
    const int64_t begin = row * s.conv.window.h.stride;
    std::array<const uint16_t*, kMostAmxRuns> left;
    std::array<const uint32_t*, kMostAmxRuns> right;
    for (std::size_t i = 0; i < s.runs.size(); ++i) {
      left[i] = s.reads_in_place ? static_cast<const uint16_t*>(at_.src[0]) + s.src.offset(image, 0, begin, 0)
                                 : slot(thread, begin + s.runs[i].row) + s.runs[i].offset;
      right[i] = reinterpret_cast<const uint32_t*>(scratch(0, s.weights)) +
                 static_cast<int64_t>(i) * s.run_steps * kAmxTileWords;
    }
    s.loops->multiply_pixels(
        {.left = left.data(),
         .left_row = s.pitch,
         .right = right.data(),
         .right_column = s.panel(),
         .pieces = static_cast<int64_t>(s.runs.size()),
         .steps = s.run_steps,
         .pixels = s.dst.w,
         .channels = s.dst.c,
         .bias = s.conv.has_bias ? static_cast<const float*>(at_.src[s.conv.bias_input()]) : nullptr,
         .inner_end = s.dst.w,
         .dst = static_cast<uint16_t*>(at_.dst[0]) + s.dst.offset(image, 0, row, 0),
         .dst_row = s.dst.c,
         .sums = reinterpret_cast<float*>(scratch(thread, s.sums))});
  }

  std::shared_ptr<const AmxForwardSchedule> schedule_;
  Addresses at_;
};

}  // namespace

Answer plan_amx_forward(const PlanContext&, const Convolution& conv) {
  const auto& [h, w] = conv.window;
  auto schedule = std::make_shared<AmxForwardSchedule>();
  AmxForwardSchedule& s = *schedule;
  s.conv = conv;
  s.loops = amx_tiles();
  const MemoryDesc src = with_tag(conv.src, Tag::nhwc), dst = with_tag(conv.dst, Tag::nhwc);
  const MemoryDesc weights = with_tag(conv.weights, Tag::hwio);
  s.src = view_of(src);
  s.dst = view_of(dst);
  for (int64_t i = 0; i < h.kernel; ++i) {
    if (w.dilation == 1) {
      s.runs.push_back({.row = i * h.dilation, .offset = 0, .tap = i * w.kernel, .taps = w.kernel});
      continue;
    }
    for (int64_t j = 0; j < w.kernel; ++j) {
      s.runs.push_back({.row = i * h.dilation, .offset = j * w.dilation * s.src.c, .tap = i * w.kernel + j, .taps = 1});
    }
  }
  if (s.runs.size() > kMostAmxRuns) return Declined{fmt::format("more than {} runs of taps", kMostAmxRuns)};
  s.run_steps = up(s.run_channels(), kAmxDepth) / kAmxDepth;
  s.pitch = w.stride * s.src.c;
  s.row_pixels = (w.dst - 1) * w.stride + w.extent();
  s.left_border = std::clamp<int64_t>(w.pad_begin, 0, s.row_pixels);
  s.right_border = std::clamp<int64_t>(s.row_pixels - w.pad_begin - w.src, 0, s.row_pixels - s.left_border);
  // The last AMX tile reads beyond the last pixel, and the last step beyond its run.
  const int64_t reach = (up(w.dst, kAmxColumns) - 1) * s.pitch + s.runs.back().offset + s.run_steps * kAmxDepth;
  s.row = up(std::max(reach, s.row_pixels * s.src.c), kAmxDepth);
  s.slots = h.extent();
  s.parts = parts_of(s.dst.n * h.dst);
  // Only where all AMX tiles and steps are full does nothing read beyond the image.
  s.reads_in_place =
      h.is_pointwise() && w.is_pointwise() && !conv.normalized && s.src.c % kAmxDepth == 0 && w.dst % kAmxColumns == 0;

  ScratchLayout offsets;
  const auto bytes = [](int64_t count, std::size_t size) { return static_cast<std::size_t>(count) * size; };
  const std::size_t weights_bytes = bytes(up(s.dst.c, kAmxColumns) / kAmxColumns * s.panel(), sizeof(uint32_t));
  s.weights = offsets.add(weights_bytes);
  s.zeros = offsets.add(bytes(s.dst.c, sizeof(uint16_t)));
  s.statistics = WrittenStatistics(conv.dst, conv.statistics, s.parts, offsets);
  if (conv.normalized) {
    s.normalized.emplace(conv);
    s.coefficients = offsets.add(s.normalized->coefficient_bytes());
  }
  ScratchLayout of_thread;
  s.rows = offsets.end() + of_thread.add(s.reads_in_place ? 0 : bytes(s.slots * s.row, sizeof(uint16_t)));
  s.sums = offsets.end() + of_thread.add(bytes(AmxPixels::kSums, sizeof(float)));
  if (conv.normalized) s.normal_buffer = offsets.end() + of_thread.add(bytes(s.src.w * s.src.c, sizeof(uint16_t)));
  s.thread_bytes = of_thread.end();
  if (weights_bytes > kAmxWeightsBytes) return Declined{"more than 2 MiB of weights"};
  if (s.thread_bytes > kAmxThreadBytes) return Declined{"rows of more than 8 MiB a thread"};

  KernelPlan plan{.src = {src, weights},
                  .dst = {dst},
                  .scratch_bytes = offsets.end() + of_thread.end() * static_cast<std::size_t>(omp_get_max_threads()),
                  .implementation = "avx512_core_amx_bf16",
                  .kernel = nullptr};
  if (conv.has_bias) plan.src.push_back(plain({DType::f32, Shape{conv.weights.shape[0]}}));
  if (s.normalized) {
    plan.src = s.normalized->inputs(weights);
    plan.rounding = s.normalized->rounding();
  }
  s.statistics.add_to(plan);
  plan.kernel = std::make_unique<AmxForward>(std::move(schedule));
  return plan;
}

}  // namespace hourglass::kernels
