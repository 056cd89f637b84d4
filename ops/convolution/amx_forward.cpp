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
  int64_t row = 0, place = 0;  // offset from the pixel's first tap, in rows and in elements
  int64_t tap = 0, taps = 0;
};

struct Layout {
  Convolution conv;
  const AmxLoops* loops = nullptr;
  std::optional<NormalizedSource> normalized;
  WrittenStatistics statistics;
  View src, dst;
  std::vector<Run> runs;
  int64_t run_steps = 0;                      // steps of kAmxDepth elements in a run, rounded up
  int64_t pitch = 0;                          // elements from one output pixel's run to the next one's
  int64_t places = 0, row = 0;                // pixels of a row with its border, and its elements, rounded up
  int64_t left_border = 0, right_border = 0;  // pixels of the border, of `places`
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
  explicit AmxForward(std::shared_ptr<const Layout> layout) : layout_(std::move(layout)) {}
  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    const Layout& l = *layout_;
    pack_weights();
    statistics().begin(at_);
    if (l.normalized) l.normalized->set_coefficients(at_, reinterpret_cast<float*>(scratch(0, l.coefficients)));
    parallel_parts(l.parts, [&](int64_t thread, const auto& take) {
      l.loops->begin();
      const int64_t rows = l.dst.n * l.dst.h;
      int64_t image = -1, put_until = 0;
      for (int64_t part = take(), next = 0; part >= 0; part = take()) {
        if (part < next) image = -1;
        next = part + 1;
        for (int64_t row = rows * part / l.parts; row < rows * next / l.parts; ++row) {
          const WindowAxis& h = l.conv.window.h;
          const int64_t begin = row % l.dst.h * h.stride, end = begin + h.extent();
          if (row / l.dst.h != image) put_until = 0;
          image = row / l.dst.h;
          for (int64_t i = std::max(begin, put_until); i < end && !l.reads_in_place; ++i) put_row(thread, image, i);
          put_until = end;
          convolve_row(thread, image, row % l.dst.h);
          statistics().add(at_, part, static_cast<const uint16_t*>(at_.dst[0]) + row * l.dst.w * l.dst.c, l.dst.w);
        }
        statistics().end_part(at_, part);
      }
      l.loops->end();
    });
    statistics().end(at_);
  }

 private:
  [[nodiscard]] char* scratch(int64_t thread, std::size_t offset) const {
    return static_cast<char*>(at_.scratch) + static_cast<std::size_t>(thread) * layout_->thread_bytes + offset;
  }
  [[nodiscard]] uint16_t* slot(int64_t thread, int64_t row) const {
    return reinterpret_cast<uint16_t*>(scratch(thread, layout_->rows)) + row % layout_->slots * layout_->row;
  }

  [[nodiscard]] const WrittenStatistics& statistics() const {
    return alone() ? WrittenStatistics::none() : layout_->statistics;
  }
  [[nodiscard]] const float* coefficients() const {
    return alone() ? nullptr : reinterpret_cast<const float*>(scratch(0, layout_->coefficients));
  }

  // Packs the weights to panels of 16 output channels, with K in pairs as AMX reads bf16.
  void pack_weights() const {
    const Layout& l = *layout_;
    char* zeros = scratch(0, l.zeros);
    std::fill_n(zeros, l.dst.c * 2, '\0');
    parallel_for(static_cast<int64_t>(l.runs.size()) * l.run_steps, [&](int64_t i) {
      const Run& run = l.runs[static_cast<std::size_t>(i / l.run_steps)];
      std::array<const void*, kAmxDepth> channels;
      for (int64_t j = 0; j < kAmxDepth; ++j) {
        const int64_t c = i % l.run_steps * kAmxDepth + j;
        channels[static_cast<std::size_t>(j)] =
            c < l.run_channels() ? static_cast<const uint16_t*>(at_.src[1]) + (run.tap * l.src.c + c) * l.dst.c
                                 : static_cast<const void*>(zeros);
      }
      l.loops->pair(channels.data(), kAmxDepth, l.dst.c,
                    reinterpret_cast<uint32_t*>(scratch(0, l.weights)) + i * kAmxTileWords, l.panel());
    });
  }

  // Copies a row of the source with its border into the ring buffer. Rows are counted from the padding's first.
  void put_row(int64_t thread, int64_t image, int64_t row) const {
    const Layout& l = *layout_;
    const WindowAxis &h = l.conv.window.h, &w = l.conv.window.w;
    uint16_t* to = slot(thread, row);
    const int64_t from = border_source(l.conv.padding_mode, row - h.pad_begin, h.src);
    // Elements that only fill up the row must be finite: they are multiplied by zero.
    if (from == kOutside) {
      std::fill_n(to, l.row, uint16_t{0});
      return;
    }
    const auto put = [&](int64_t column, int64_t count, uint16_t* pixels) {
      if (l.normalized) {
        l.normalized->read(at_, coefficients(), image, from, column, count, pixels, scratch(thread, l.normal_buffer));
      } else {
        std::copy_n(static_cast<const uint16_t*>(at_.src[0]) + l.src.offset(image, 0, from, column), count * l.src.c,
                    pixels);
      }
    };
    const auto put_border = [&](int64_t place) {
      const int64_t column = border_source(l.conv.padding_mode, place - w.pad_begin, w.src);
      if (column == kOutside) {
        std::fill_n(to + place * l.src.c, l.src.c, uint16_t{0});
      } else {
        put(column, 1, to + place * l.src.c);
      }
    };
    for (int64_t i = 0; i < l.left_border; ++i) put_border(i);
    const int64_t whole = l.places - l.left_border - l.right_border;
    put(l.left_border - w.pad_begin, whole, to + l.left_border * l.src.c);
    for (int64_t i = l.places - l.right_border; i < l.places; ++i) put_border(i);
    std::fill_n(to + l.places * l.src.c, l.row - l.places * l.src.c, uint16_t{0});
  }

  void convolve_row(int64_t thread, int64_t image, int64_t row) const {
    const Layout& l = *layout_;
    const int64_t begin = row * l.conv.window.h.stride;
    std::array<const uint16_t*, kMostAmxRuns> left;
    std::array<const uint32_t*, kMostAmxRuns> right;
    for (std::size_t i = 0; i < l.runs.size(); ++i) {
      left[i] = l.reads_in_place ? static_cast<const uint16_t*>(at_.src[0]) + l.src.offset(image, 0, begin, 0)
                                 : slot(thread, begin + l.runs[i].row) + l.runs[i].place;
      right[i] = reinterpret_cast<const uint32_t*>(scratch(0, l.weights)) +
                 static_cast<int64_t>(i) * l.run_steps * kAmxTileWords;
    }
    l.loops->multiply_pixels(
        {.left = left.data(),
         .left_row = l.pitch,
         .right = right.data(),
         .right_column = l.panel(),
         .pieces = static_cast<int64_t>(l.runs.size()),
         .steps = l.run_steps,
         .pixels = l.dst.w,
         .channels = l.dst.c,
         .bias = l.conv.has_bias ? static_cast<const float*>(at_.src[l.conv.bias_input()]) : nullptr,
         .inner_end = l.dst.w,
         .dst = static_cast<uint16_t*>(at_.dst[0]) + l.dst.offset(image, 0, row, 0),
         .dst_row = l.dst.c,
         .sums = reinterpret_cast<float*>(scratch(thread, l.sums))});
  }

  std::shared_ptr<const Layout> layout_;
  Addresses at_;
};

}  // namespace

Answer plan_amx_forward(const PlanContext&, const Convolution& conv) {
  const auto& [h, w] = conv.window;
  auto layout = std::make_shared<Layout>();
  Layout& l = *layout;
  l.conv = conv;
  l.loops = amx_tiles();
  const MemoryDesc src = with_tag(conv.src, Tag::nhwc), dst = with_tag(conv.dst, Tag::nhwc);
  const MemoryDesc weights = with_tag(conv.weights, Tag::hwio);
  l.src = view_of(src);
  l.dst = view_of(dst);
  for (int64_t i = 0; i < h.kernel; ++i) {
    if (w.dilation == 1) {
      l.runs.push_back({.row = i * h.dilation, .place = 0, .tap = i * w.kernel, .taps = w.kernel});
      continue;
    }
    for (int64_t j = 0; j < w.kernel; ++j) {
      l.runs.push_back({.row = i * h.dilation, .place = j * w.dilation * l.src.c, .tap = i * w.kernel + j, .taps = 1});
    }
  }
  if (l.runs.size() > kMostAmxRuns) return Declined{fmt::format("more than {} runs of taps", kMostAmxRuns)};
  l.run_steps = up(l.run_channels(), kAmxDepth) / kAmxDepth;
  l.pitch = w.stride * l.src.c;
  l.places = (w.dst - 1) * w.stride + w.extent();
  l.left_border = std::clamp<int64_t>(w.pad_begin, 0, l.places);
  l.right_border = std::clamp<int64_t>(l.places - w.pad_begin - w.src, 0, l.places - l.left_border);
  // The last AMX tile reads beyond the last pixel, and the last step beyond its run.
  const int64_t reach = (up(w.dst, kAmxColumns) - 1) * l.pitch + l.runs.back().place + l.run_steps * kAmxDepth;
  l.row = up(std::max(reach, l.places * l.src.c), kAmxDepth);
  l.slots = h.extent();
  l.parts = parts_of(l.dst.n * h.dst);
  // Only where all AMX tiles and steps are full does nothing read beyond the image.
  l.reads_in_place =
      h.is_pointwise() && w.is_pointwise() && !conv.normalized && l.src.c % kAmxDepth == 0 && w.dst % kAmxColumns == 0;

  ScratchLayout offsets;
  const auto bytes = [](int64_t count, std::size_t size) { return static_cast<std::size_t>(count) * size; };
  const std::size_t weights_bytes = bytes(up(l.dst.c, kAmxColumns) / kAmxColumns * l.panel(), sizeof(uint32_t));
  l.weights = offsets.add(weights_bytes);
  l.zeros = offsets.add(bytes(l.dst.c, sizeof(uint16_t)));
  l.statistics = WrittenStatistics(conv.dst, conv.statistics, l.parts, offsets);
  if (conv.normalized) {
    l.normalized.emplace(conv);
    l.coefficients = offsets.add(l.normalized->coefficient_bytes());
  }
  ScratchLayout of_thread;
  l.rows = offsets.end() + of_thread.add(l.reads_in_place ? 0 : bytes(l.slots * l.row, sizeof(uint16_t)));
  l.sums = offsets.end() + of_thread.add(bytes(AmxPixels::kSums, sizeof(float)));
  if (conv.normalized) l.normal_buffer = offsets.end() + of_thread.add(bytes(l.src.w * l.src.c, sizeof(uint16_t)));
  l.thread_bytes = of_thread.end();
  if (weights_bytes > kAmxWeightsBytes) return Declined{"more than 2 MiB of weights"};
  if (l.thread_bytes > kAmxThreadBytes) return Declined{"rows of more than 8 MiB a thread"};

  KernelPlan plan{.src = {src, weights},
                  .dst = {dst},
                  .scratch_bytes = offsets.end() + of_thread.end() * static_cast<std::size_t>(omp_get_max_threads()),
                  .implementation = "avx512_core_amx_bf16",
                  .kernel = nullptr};
  if (conv.has_bias) plan.src.push_back(plain({DType::f32, Shape{conv.weights.shape[0]}}));
  if (l.normalized) {
    plan.src = l.normalized->inputs(weights);
    plan.rounding = l.normalized->rounding();
  }
  l.statistics.add_to(plan);
  plan.kernel = std::make_unique<AmxForward>(std::move(layout));
  return plan;
}

}  // namespace hourglass::kernels
