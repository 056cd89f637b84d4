#include "ops/convolution/amx_grad_src.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <limits>

#include "ops/convolution/amx_forward.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/loops/rows.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/simd/amx.h"

namespace hourglass::kernels {
namespace {

constexpr int64_t kMostPhases = 64;

// One phase of an axis: the positions p = stride * a + rest of the padded source, counted from the padding's first.
// Position a of a phase is the sum over m >= 0 of diff_dst[a - m] times tap rest + stride * m.
struct Phase {
  int64_t rest = 0, taps = 0;

  [[nodiscard]] int64_t tap(int64_t m, int64_t stride) const { return rest + stride * m; }
};

std::vector<Phase> phases_of(const WindowAxis& axis) {
  std::vector<Phase> phases;
  for (int64_t rest = 0; rest < axis.stride; ++rest) {
    phases.push_back({rest, rest < axis.kernel ? (axis.kernel - 1 - rest) / axis.stride + 1 : 0});
  }
  return phases;
}

// Positions of the padded source: the image's own, and those that windows reach.
int64_t positions_of(const WindowAxis& axis) {
  return std::max((axis.dst - 1) * axis.stride + axis.kernel, axis.pad_begin + axis.src);
}

// The product of one phase of rows and one phase of columns: its packed weights, and the columns of diff_src that it
// makes.
struct Product {
  Phase row, column;
  int64_t steps = 0;                       // steps of 32 of K, per row of diff_dst
  std::size_t weights = 0;                 // offset into scratch memory
  int64_t pixels = 0;                      // positions a of the phase
  int64_t inner_begin = 0, inner_end = 0;  // of them, those inside the image; the others are border
  int64_t first = 0;                       // the image's column of inner_begin

  [[nodiscard]] int64_t panel() const { return row.taps * steps * kAmxTileWords; }  // words
};

// A panel's row holds a pair of K; the row that contains k, rounded up.
uint32_t* panel_row(uint32_t* panel, int64_t k) { return panel + (k + 1) / 2 * kAmxColumns; }

// Packs weights of up to 16 source channels, `count` output channels each, to k = first to first + count of a panel.
void pair_weights(const AmxLoops& loops, const uint16_t* weights, int64_t count, int64_t channels, int64_t first,
                  uint32_t* panel) {
  if (count % 2 == 0) {
    loops.pair_rows(weights, count, channels, count, panel + first / 2 * kAmxColumns);
    return;
  }
  for (int64_t k = 0; k < count; ++k) {
    const int64_t at = first + k;
    for (int64_t c = 0; c < kAmxColumns; ++c) {
      uint32_t& word = panel[at / 2 * kAmxColumns + c];
      const uint32_t value = c < channels ? weights[c * count + k] : 0;
      word = at % 2 == 0 ? value : word | value << 16;
    }
  }
}

struct AmxGradSrcSchedule {
  Convolution conv;
  const AmxLoops* loops = nullptr;
  View src, dst;
  std::vector<Product> products;  // [phase of rows][phase of columns]
  int64_t column_phases = 1;
  int64_t margin = 0;  // zero pixels before and after a row of diff_dst
  int64_t row = 0;     // elements of that row with its margins, rounded up
  int64_t slots = 1;
  Dims columns;  // the image's column that each padded column shows
  // Padded rows of the border, and for each row of the image the indices of those that show it.
  Dims border_rows;
  std::vector<Dims> shown;
  std::size_t borders = 0, rows = 0, outer = 0, sums = 0, thread_bytes = 0;

  // Most elements of the border columns that one phase of columns has beside the image.
  [[nodiscard]] int64_t outer_elements() const { return (static_cast<int64_t>(columns.size()) - src.w) * src.c; }
  [[nodiscard]] const Product* products_of(int64_t padded_row) const {
    return products.data() + padded_row % conv.window.h.stride * column_phases;
  }
};

class AmxGradSrc final : public ConvolutionKernel {
 public:
  explicit AmxGradSrc(std::shared_ptr<const AmxGradSrcSchedule> schedule) : schedule_(std::move(schedule)) {}
  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    const AmxGradSrcSchedule& s = *schedule_;
    pack_weights();
    const auto borders = static_cast<int64_t>(s.border_rows.size());
    for (int64_t image = 0; image < s.src.n; ++image) {
      if (borders > 0) {
        parallel_parts(borders, [&](int64_t thread, const auto& take) {
          s.loops->begin();
          RowMaker rows(*this, thread, image);
          for (int64_t i = take(); i >= 0; i = take()) {
            rows.make(s.border_rows[static_cast<std::size_t>(i)], border_row(i));
          }
          s.loops->end();
        });
      }
      const int64_t parts = parts_of(s.src.h);
      parallel_parts(parts, [&](int64_t thread, const auto& take) {
        s.loops->begin();
        RowMaker rows(*this, thread, image);
        for (int64_t part = take(); part >= 0; part = take()) {
          for (int64_t row = s.src.h * part / parts; row < s.src.h * (part + 1) / parts; ++row) {
            auto* to = static_cast<BFloat16*>(at_.dst[0]) + s.src.offset(image, 0, row, 0);
            rows.make(row + s.conv.window.h.pad_begin, to);
            for (const int64_t i : s.shown[static_cast<std::size_t>(row)]) {
              add_run(border_row(i), to, s.src.w * s.src.c);
            }
          }
        }
        s.loops->end();
      });
    }
  }

 private:
  [[nodiscard]] char* scratch(std::size_t offset) const { return static_cast<char*>(at_.scratch) + offset; }
  template <typename T>
  [[nodiscard]] T* scratch(int64_t thread, std::size_t offset) const {
    return reinterpret_cast<T*>(scratch(static_cast<std::size_t>(thread) * schedule_->thread_bytes + offset));
  }
  [[nodiscard]] BFloat16* border_row(int64_t i) const {
    return reinterpret_cast<BFloat16*>(scratch(schedule_->borders)) + i * schedule_->src.w * schedule_->src.c;
  }

  // Packs the weights, transposed, to panels of 16 source channels. K runs over neighbouring pixels of diff_dst and,
  // within them, their channels.
  void pack_weights() const {
    const AmxGradSrcSchedule& s = *schedule_;
    const int64_t stride_h = s.conv.window.h.stride, stride_w = s.conv.window.w.stride;
    const int64_t panels = up(s.src.c, kAmxColumns) / kAmxColumns, of_tap = s.dst.c * s.src.c;
    const auto* weights = static_cast<const uint16_t*>(at_.src[1]);
    parallel_for(static_cast<int64_t>(s.products.size()) * s.slots * panels, [&](int64_t i) {
      const Product& p = s.products[static_cast<std::size_t>(i / panels / s.slots)];
      const int64_t m = i / panels % s.slots, first = i % panels * kAmxColumns;
      if (m >= p.row.taps) return;
      auto* panel =
          reinterpret_cast<uint32_t*>(scratch(p.weights)) + i % panels * p.panel() + m * p.steps * kAmxTileWords;
      const int64_t channels = std::min(kAmxColumns, s.src.c - first);
      for (int64_t pixel = 0; pixel < p.column.taps; ++pixel) {
        const int64_t tap =
            p.row.tap(m, stride_h) * s.conv.window.w.kernel + p.column.tap(p.column.taps - 1 - pixel, stride_w);
        pair_weights(*s.loops, weights + tap * of_tap + first * s.dst.c, s.dst.c, channels, pixel * s.dst.c, panel);
      }
      std::fill(panel_row(panel, p.column.taps * s.dst.c), panel + p.steps * kAmxTileWords, 0U);
    });
  }

  // Makes rows of the padded diff_src of one image, in one thread. In ascending order each row of diff_dst is copied
  // once.
  class RowMaker {
   public:
    RowMaker(const AmxGradSrc& kernel, int64_t thread, int64_t image)
        : kernel_(kernel), s_(*kernel.schedule_), thread_(thread), image_(image) {}

    // Writes the inner W pixels of a padded row to `to`, and adds the gradient of its border columns to them.
    void make(int64_t padded, BFloat16* to) {
      const WindowAxis& h = s_.conv.window.h;
      const int64_t last = padded / h.stride;
      if (last + 1 < put_until_) put_until_ = kNone;
      for (int64_t i = std::max(last - s_.slots + 1, put_until_); i <= last; ++i) put(i);
      put_until_ = last + 1;
      const Product* products = s_.products_of(padded);
      auto* outer = kernel_.scratch<BFloat16>(thread_, s_.outer);
      for (int64_t i = 0; i < s_.column_phases; ++i) multiply(products[i], last, to, outer);
      if (kernel_.alone()) return;
      for (int64_t i = 0; i < s_.column_phases; ++i) fold(products[i], outer, to);
    }

   private:
    [[nodiscard]] uint16_t* slot(int64_t row) const {
      return kernel_.scratch<uint16_t>(thread_, s_.rows) + (row + s_.slots) % s_.slots * s_.row;
    }

    // Copies a row of diff_dst with its margins into the ring buffer.
    void put(int64_t row) const {
      uint16_t* to = slot(row);
      if (row < 0 || row >= s_.dst.h) {
        std::fill_n(to, s_.row, uint16_t{0});
        return;
      }
      const auto* from = static_cast<const uint16_t*>(kernel_.at_.src[0]) + s_.dst.offset(image_, 0, row, 0);
      const int64_t margin = s_.margin * s_.dst.c, count = s_.dst.w * s_.dst.c;
      std::fill_n(to, margin, uint16_t{0});
      std::copy_n(from, count, to + margin);
      std::fill_n(to + margin + count, s_.row - margin - count, uint16_t{0});
    }

    void multiply(const Product& p, int64_t last, BFloat16* to, BFloat16* outer) const {
      std::array<const uint16_t*, kMostAmxRuns> left;
      std::array<const uint32_t*, kMostAmxRuns> right;
      for (int64_t m = 0; m < p.row.taps; ++m) {
        const auto i = static_cast<std::size_t>(m);
        left[i] = slot(last - m) + (s_.margin - std::max<int64_t>(p.column.taps - 1, 0)) * s_.dst.c;
        right[i] = reinterpret_cast<const uint32_t*>(kernel_.scratch(p.weights)) + m * p.steps * kAmxTileWords;
      }
      s_.loops->multiply_pixels({.left = left.data(),
                                 .left_row = s_.dst.c,
                                 .right = right.data(),
                                 .right_column = p.panel(),
                                 .pieces = p.row.taps,
                                 .steps = p.steps,
                                 .pixels = p.pixels,
                                 .channels = s_.src.c,
                                 .inner_begin = p.inner_begin,
                                 .inner_end = p.inner_end,
                                 .dst = reinterpret_cast<uint16_t*>(to + p.first * s_.src.c),
                                 .dst_row = s_.conv.window.w.stride * s_.src.c,
                                 .outer = reinterpret_cast<uint16_t*>(outer + p.column.rest * s_.outer_elements()),
                                 .sums = kernel_.scratch<float>(thread_, s_.sums)});
    }
    void fold(const Product& p, const BFloat16* outer, BFloat16* to) const {
      const int64_t channels = s_.src.c;
      const BFloat16* from = outer + p.column.rest * s_.outer_elements();
      for (int64_t a = 0; a < p.pixels; ++a) {
        if (a == p.inner_begin) a = p.inner_end;
        if (a >= p.pixels) break;
        const int64_t column = s_.columns[static_cast<std::size_t>(a * s_.conv.window.w.stride + p.column.rest)];
        if (column != kOutside) add_run(from, to + column * channels, channels);
        from += channels;
      }
    }

    const AmxGradSrc& kernel_;
    const AmxGradSrcSchedule& s_;
    static constexpr int64_t kNone = std::numeric_limits<int64_t>::min();
    int64_t thread_, image_, put_until_ = kNone;
  };

  std::shared_ptr<const AmxGradSrcSchedule> schedule_;
  Addresses at_;
};

// Whether this kernel is faster than oneDNN. AMX products take source channels in pairs of 16; a single 16 that is left
// over, as with 36 or 132 channels, costs almost as much as a pair. With a stride, oneDNN takes three times as long.
bool is_worth_it(const Convolution& conv) {
  const int64_t channels = conv.src.shape[1];
  return conv.window.h.stride * conv.window.w.stride > 1 || channels <= kAmxColumns ||
         channels % (2 * kAmxColumns) == 0;
}

}  // namespace

Answer plan_amx_grad_src(const PlanContext&, const Convolution& conv) {
  const auto& [h, w] = conv.window;
  const bool is_pointwise = h.is_pointwise() && w.is_pointwise();
  if (h.dilation != 1 || w.dilation != 1) return Declined{"dilated"};
  if (h.stride > kMostPhases || w.stride > kMostPhases || h.stride * w.stride > kMostPhases) {
    return Declined{fmt::format("strides of more than {} phases", kMostPhases)};
  }
  if (has_wide_border(conv)) return Declined{"a border that shows many pixels"};
  if (!is_worth_it(conv)) return Declined{"oneDNN is faster with so many channels, which fill no pair of tiles"};
  if (is_pointwise && conv.src.shape != conv.dst.shape) return Declined{"pointwise, and not in place"};
  auto schedule = std::make_shared<AmxGradSrcSchedule>();
  AmxGradSrcSchedule& s = *schedule;
  s.conv = conv;
  s.loops = amx_tiles();
  const MemoryDesc src = with_tag(conv.src, Tag::nhwc), dst = with_tag(conv.dst, Tag::nhwc);
  s.src = view_of(src);
  s.dst = view_of(dst);
  const int64_t rows = positions_of(h), columns = positions_of(w);
  for (int64_t i = 0; i < columns; ++i) s.columns.push_back(border_source(conv.padding_mode, i - w.pad_begin, w.src));
  s.shown.resize(static_cast<std::size_t>(h.src));
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = i - h.pad_begin, row = border_source(conv.padding_mode, at, h.src);
    if (row == at || row == kOutside) continue;
    s.shown[static_cast<std::size_t>(row)].push_back(static_cast<int64_t>(s.border_rows.size()));
    s.border_rows.push_back(i);
  }
  const std::vector<Phase> row_phases = phases_of(h), column_phases = phases_of(w);
  s.column_phases = static_cast<int64_t>(column_phases.size());
  for (const Phase& phase : row_phases) s.slots = std::max(s.slots, phase.taps);
  for (const Phase& phase : column_phases) s.margin = std::max(s.margin, phase.taps - 1);
  if (static_cast<std::size_t>(s.slots) > kMostAmxRuns) {
    return Declined{fmt::format("more than {} rows of taps", kMostAmxRuns)};
  }

  ScratchLayout offsets;
  const auto bytes = [](int64_t count, std::size_t size) { return static_cast<std::size_t>(count) * size; };
  std::size_t weights_bytes = 0;
  for (const Phase& row : row_phases) {
    for (const Phase& column : column_phases) {
      Product p{.row = row, .column = column};
      p.steps = up(column.taps * s.dst.c, kAmxDepth) / kAmxDepth;
      p.pixels = (columns - column.rest + w.stride - 1) / w.stride;
      p.inner_begin = (std::max<int64_t>(0, w.pad_begin - column.rest) + w.stride - 1) / w.stride;
      p.inner_end = (std::max<int64_t>(0, w.pad_begin + w.src - column.rest) + w.stride - 1) / w.stride;
      p.first = p.inner_begin * w.stride + column.rest - w.pad_begin;
      const std::size_t of_product = bytes(up(s.src.c, kAmxColumns) / kAmxColumns * p.panel(), sizeof(uint32_t));
      p.weights = offsets.add(of_product);
      weights_bytes += of_product;
      const int64_t begin = (s.margin - std::max<int64_t>(column.taps - 1, 0)) * s.dst.c;
      s.row = std::max(s.row, begin + (up(p.pixels, kAmxColumns) - 1) * s.dst.c + p.steps * kAmxDepth);
      s.products.push_back(p);
    }
  }
  s.row = up(std::max(s.row, (s.margin + s.dst.w) * s.dst.c), kAmxDepth);
  s.borders = offsets.add(bytes(static_cast<int64_t>(s.border_rows.size()) * s.src.w * s.src.c, sizeof(BFloat16)));
  ScratchLayout of_thread;
  s.rows = offsets.end() + of_thread.add(bytes(s.slots * s.row, sizeof(uint16_t)));
  s.outer = offsets.end() + of_thread.add(bytes(s.column_phases * s.outer_elements(), sizeof(BFloat16)));
  s.sums = offsets.end() + of_thread.add(bytes(AmxPixels::kSums, sizeof(float)));
  s.thread_bytes = of_thread.end();
  if (weights_bytes > kAmxWeightsBytes) return Declined{"more than 2 MiB of weights"};
  if (s.thread_bytes > kAmxThreadBytes) return Declined{"rows of more than 8 MiB a thread"};

  KernelPlan plan{.src = {dst, with_tag(conv.weights, Tag::hwio)},
                  .dst = {src},
                  .scratch_bytes = offsets.end() + of_thread.end() * static_cast<std::size_t>(omp_get_max_threads()),
                  .implementation = "avx512_core_amx_bf16",
                  .rounding = conv.padding_mode == PaddingMode::constant ? 0 : kBorderRoundingBf16,
                  .kernel = nullptr};
  // In place, since a row of diff_dst is copied before its memory is written: 32 channels at 512x512 take 1.2 instead
  // of 1.8 ms.
  if (is_pointwise && s.src.c == s.dst.c) plan.in_place = {{0, 0}};
  plan.kernel = std::make_unique<AmxGradSrc>(std::move(schedule));
  return plan;
}

}  // namespace hourglass::kernels
