#include "ops/detail/amx_grad_weights.h"

#include <algorithm>

#include "ops/detail/amx_loops.h"
#include "ops/detail/loop.h"
#include "ops/detail/offsets.h"
#include "ops/detail/onednn.h"
#include "ops/detail/view.h"

namespace hourglass::detail {
namespace {

constexpr int64_t kLanes = 16, kPixels = 32, kTile = 256;
// Steps of 32 pixels that a tile of sums stays in its register for.
constexpr int64_t kSteps = 16;
// A thread's sums stay in its second-level cache.
constexpr int64_t kSumsBytes = 1 << 20;
constexpr uint16_t kOne = 0x3f80;  // bf16

int64_t up(int64_t count, int64_t grain) { return (count + grain - 1) / grain * grain; }

struct Layout {
  Convolution conv;
  const AmxLoops* loops = nullptr;
  View src, dst;
  int64_t parts = 1;
  int64_t band = 1;          // rows of dst at a time
  int64_t slots = 1;         // rows of the source that a band reads
  int64_t channels = 0;      // rows of the products: the source's, one of ones for the bias, filled up
  int64_t out_channels = 0;  // columns, filled up
  int64_t width = 0;         // of dst, filled up
  // The source's columns by phase: with a stride of 2 the even ones and the odd ones, so that those of a tap lie side by
  // side. For each place of a row of `row` elements, the column that stands there, or kOutside.
  int64_t phases = 1, row = 0;
  std::vector<Dims> columns;
  std::size_t turned = 0, paired = 0, sums = 0, part_bytes = 0, zeros = 0;

  [[nodiscard]] int64_t taps() const { return conv.window.h.kernel * conv.window.w.kernel; }
  [[nodiscard]] int64_t slot() const { return phases * channels * row; }
  [[nodiscard]] int64_t sums_of_tap() const { return channels * out_channels; }
  [[nodiscard]] int64_t paired_row() const { return width / 2 * out_channels; }
};

class AmxGradWeights final : public Kernel {
 public:
  explicit AmxGradWeights(std::shared_ptr<const Layout> layout) : layout_(std::move(layout)) {}
  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    const Layout& l = *layout_;
    std::fill_n(static_cast<char*>(at_.scratch) + l.zeros, zero_bytes(l), '\0');
    parallel_for(l.parts, [&](int64_t part) {
      Part mine(*this, part);
      l.loops->begin();
      const int64_t rows = l.dst.n * l.dst.h;
      const int64_t end = rows * (part + 1) / l.parts;
      for (int64_t row = rows * part / l.parts; row < end;) {
        const int64_t first = row % l.dst.h;
        const int64_t count = std::min({l.band, l.dst.h - first, end - row});
        mine.add_band(row / l.dst.h, first, count);
        row += count;
      }
      l.loops->end();
    });
    finish();
  }

  static std::size_t zero_bytes(const Layout& l) {
    return static_cast<std::size_t>(std::max(l.src.c, l.dst.c)) * sizeof(uint16_t);
  }

 private:
  template <typename T>
  [[nodiscard]] T* scratch(int64_t part, std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_.scratch) + static_cast<std::size_t>(part) * layout_->part_bytes +
                                offset);
  }
  [[nodiscard]] const uint16_t* pixel(const View& view, std::size_t input, int64_t n, int64_t h, int64_t w) const {
    if (h == kOutside || w == kOutside) return scratch<uint16_t>(0, layout_->zeros);
    return static_cast<const uint16_t*>(at_.src[input]) + view.offset(n, 0, h, w);
  }

  // A thread's share of the rows.
  class Part {
   public:
    Part(const AmxGradWeights& kernel, int64_t index)
        : kernel_(kernel),
          l_(*kernel.layout_),
          turned_(kernel.scratch<uint16_t>(index, l_.turned)),
          paired_(kernel.scratch<uint32_t>(index, l_.paired)),
          sums_(kernel.scratch<float>(index, l_.sums)) {
      std::fill_n(sums_, l_.taps() * l_.sums_of_tap(), 0.0F);
      if (l_.conv.has_bias) set_ones();
    }

    void add_band(int64_t image, int64_t first, int64_t count) {
      if (image != image_) turned_until_ = 0;
      image_ = image;
      const auto& [h, w] = l_.conv.window;
      const int64_t begin = first * h.stride, end = (first + count - 1) * h.stride + h.extent();
      for (int64_t row = std::max(begin, turned_until_); row < end; ++row) turn(row);
      turned_until_ = end;
      for (int64_t i = 0; i < count; ++i) pair(first + i, i);
      for (int64_t c = 0; c < l_.channels; c += 2 * kLanes) {
        for (int64_t oc = 0; oc < l_.out_channels; oc += 2 * kLanes) {
          for (int64_t tap = 0; tap < l_.taps(); ++tap) add_products(tap, c, oc, begin, count);
        }
      }
    }

   private:
    [[nodiscard]] uint16_t* slot_of(int64_t row) const { return turned_ + row % l_.slots * l_.slot(); }

    void set_ones() {
      for (int64_t i = 0; i < l_.slots * l_.phases; ++i) {
        std::fill_n(turned_ + (i * l_.channels + l_.src.c) * l_.row, l_.row, kOne);
      }
    }

    // A row of the source, counted from the padding's first.
    void turn(int64_t row) {
      const WindowAxis& h = l_.conv.window.h;
      const int64_t from = border_source(l_.conv.border, row - h.pad_begin, h.src);
      for (int64_t phase = 0; phase < l_.phases; ++phase) {
        const Dims& columns = l_.columns[static_cast<std::size_t>(phase)];
        uint16_t* to = slot_of(row) + phase * l_.channels * l_.row;
        for (int64_t p = 0; p < l_.row; p += kPixels) {
          const uint16_t* pixels[kPixels];
          for (int64_t i = 0; i < kPixels; ++i) {
            pixels[i] = kernel_.pixel(l_.src, 0, image_, from, columns[static_cast<std::size_t>(p + i)]);
          }
          l_.loops->transpose(pixels, kPixels, l_.src.c, to + p, l_.row);
        }
        // The transposition has filled the channels up with zeros.
        if (l_.conv.has_bias && l_.src.c % kLanes != 0) std::fill_n(to + l_.src.c * l_.row, l_.row, kOne);
      }
    }

    void pair(int64_t row, int64_t to) {
      uint32_t* words = paired_ + to * l_.paired_row();
      for (int64_t p = 0; p < l_.width; p += kPixels) {
        const uint16_t* pixels[kPixels];
        for (int64_t i = 0; i < kPixels; ++i) {
          pixels[i] = kernel_.pixel(l_.dst, 1, image_, row, p + i < l_.dst.w ? p + i : kOutside);
        }
        l_.loops->pair(pixels, kPixels, l_.dst.c, words + p / 2 * kLanes, l_.width / 2 * kLanes);
      }
    }

    void add_products(int64_t tap, int64_t c, int64_t oc, int64_t begin, int64_t count) {
      const auto& [h, w] = l_.conv.window;
      const int64_t row = begin + tap / w.kernel * h.dilation, column = tap % w.kernel * w.dilation;
      const int64_t offset = (column % w.stride * l_.channels + c) * l_.row + column / w.stride;
      const int64_t panel = l_.width / 2 * kLanes;
      const uint16_t* left[kSteps];
      const uint32_t* right[kSteps];
      for (int64_t i = 0; i < count; ++i) {
        left[i] = slot_of(row + i * h.stride) + offset;
        right[i] = paired_ + i * l_.paired_row() + oc / kLanes * panel;
      }
      const int64_t columns = l_.out_channels / kLanes;
      l_.loops->add_products({.left = left,
                              .left_row = l_.row,
                              .right = right,
                              .right_column = panel,
                              .pieces = count,
                              .steps = l_.width / kPixels,
                              .rows = std::min<int64_t>(2, (l_.channels - c) / kLanes),
                              .columns = std::min<int64_t>(2, (l_.out_channels - oc) / kLanes),
                              .sums = sums_ + tap * l_.sums_of_tap() + (c / kLanes * columns + oc / kLanes) * kTile,
                              .sums_row = columns * kTile,
                              .sums_column = kTile});
    }

    const AmxGradWeights& kernel_;
    const Layout& l_;
    uint16_t* turned_;
    uint32_t* paired_;
    float* sums_;
    int64_t image_ = -1, turned_until_ = 0;
  };

  // The parts' sums to the weights.
  void finish() const {
    const Layout& l = *layout_;
    const int64_t oc = l.dst.c;
    const auto sum = [&](int64_t tap, int64_t c, float* to) {
      for (int64_t o = 0; o < oc; o += kLanes) {
        const int64_t at = tap * l.sums_of_tap() + (c / kLanes * (l.out_channels / kLanes) + o / kLanes) * kTile +
                           c % kLanes * kLanes;
        const int64_t count = std::min(kLanes, oc - o);
        std::copy_n(scratch<float>(0, l.sums) + at, count, to + o);
        for (int64_t part = 1; part < l.parts; ++part) {
          const float* from = scratch<float>(part, l.sums) + at;
          for (int64_t i = 0; i < count; ++i) to[o + i] += from[i];
        }
      }
    };
    auto* weights = static_cast<float*>(at_.dst[0]);
    parallel_for(l.taps() * l.src.c, [&](int64_t i) { sum(i / l.src.c, i % l.src.c, weights + i * oc); });
    if (l.conv.has_bias) sum(0, l.src.c, static_cast<float*>(at_.dst[1]));
  }

  std::shared_ptr<const Layout> layout_;
  Addresses at_;
};

}  // namespace

std::optional<KernelPlan> plan_amx_grad_weights(const Convolution& conv) {
  if (conv.src.dtype != DType::bf16 || conv.dst.dtype != DType::bf16 || conv.weights.dtype != DType::f32 ||
      !has_isa(dnnl::cpu_isa::avx512_core_amx) || amx_loops() == nullptr) {
    return std::nullopt;
  }
  auto layout = std::make_shared<Layout>();
  Layout& l = *layout;
  l.conv = conv;
  l.loops = amx_loops();
  const MemoryDesc src = with_tag(conv.src, Tag::nhwc), dst = with_tag(conv.dst, Tag::nhwc);
  l.src = view_of(src);
  l.dst = view_of(dst);
  const auto& [h, w] = conv.window;
  l.channels = up(l.src.c + (conv.has_bias ? 1 : 0), kLanes);
  l.out_channels = up(l.dst.c, kLanes);
  l.width = up(w.dst, kPixels);
  const int64_t sums_bytes = l.taps() * l.sums_of_tap() * static_cast<int64_t>(sizeof(float));
  const int64_t rows = l.dst.n * l.dst.h;
  if (sums_bytes > kSumsBytes || rows == 0 || l.src.c == 0) return std::nullopt;
  l.parts = std::min<int64_t>(omp_get_max_threads(), rows);
  l.band = std::clamp<int64_t>(kSteps * kPixels / l.width, 1, std::min(h.dst, kSteps));
  l.slots = (l.band - 1) * h.stride + h.extent();
  l.phases = std::min(w.stride, w.extent());
  // An odd number of cache lines, so that the rows of a tile don't meet in one set of a cache.
  l.row = (up(l.width + (w.extent() - 1) / w.stride, kPixels) / kPixels | 1) * kPixels;
  for (int64_t phase = 0; phase < l.phases; ++phase) {
    Dims columns;
    for (int64_t i = 0; i < l.row; ++i) {
      const int64_t at = i * w.stride + phase;
      const bool read = at < (w.dst - 1) * w.stride + w.extent();
      columns.push_back(read ? border_source(conv.border, at - w.pad_begin, w.src) : kOutside);
    }
    l.columns.push_back(std::move(columns));
  }

  Offsets offsets;
  const auto bytes = [](int64_t count, std::size_t size) { return static_cast<std::size_t>(count) * size; };
  l.turned = offsets.add(bytes(l.slots * l.slot(), sizeof(uint16_t)));
  l.paired = offsets.add(bytes(l.band * l.paired_row(), sizeof(uint32_t)));
  l.sums = offsets.add(bytes(sums_bytes, 1));
  l.part_bytes = offsets.end();
  l.zeros = l.part_bytes * static_cast<std::size_t>(l.parts);

  KernelPlan plan{.src = {src, dst},
                  .dst = {with_tag(conv.weights, Tag::hwio)},
                  .scratch_bytes = l.zeros + AmxGradWeights::zero_bytes(l),
                  .implementation = "tiles:avx512_core_amx_bf16",
                  .kernel = nullptr};
  if (conv.has_bias) plan.dst.push_back(plain({DType::f32, Shape{conv.weights.shape[0]}}));
  plan.kernel = std::make_unique<AmxGradWeights>(std::move(layout));
  return plan;
}

}  // namespace hourglass::detail
