#include "ops/convolution/upsampled/blur_last_forward.h"

#include <omp.h>

#include <algorithm>
#include <array>

#include "ops/convolution/upsampled/shared_taps.h"
#include "ops/convolution/upsampled/source.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/normalization/written_statistics.h"
#include "ops/simd/gemm.h"
#include "ops/simd/isa.h"

namespace hourglass::kernels {
namespace {

using Side = UpsampledSource::Side;
using Point = SharedTap;

// Most vectors of output channels in one panel.
constexpr int64_t kVectors = 4;
// Rows of the convolved image, already blurred along the row, that one output row is blurred from.
constexpr int64_t kRing = 4;
// A column block's ring buffer stays in a thread's second-level cache, beside the weights.
constexpr int64_t kRingBytes = 224 << 10;
// Rows of the small image in a part; a part convolves one and a third rows besides, its halo.
constexpr int64_t kFewestRows = 16, kMostRows = 64;

// to[i] = the sum over t of blur[t] * from[i + t * step].
HG_CLONES void blur_row(const float* from, int64_t step, const float* blur, int64_t count, float* to) {
  const float b0 = blur[0], b1 = blur[1], b2 = blur[2], b3 = blur[3];
  for (int64_t i = 0; i < count; ++i) {
    to[i] = b0 * from[i] + b1 * from[i + step] + b2 * from[i + 2 * step] + b3 * from[i + 3 * step];
  }
}

HG_CLONES void blur_rows(const float* const* from, const float* blur, int64_t count, float* to) {
  const float b0 = blur[0], b1 = blur[1], b2 = blur[2], b3 = blur[3];
  const float *x0 = from[0], *x1 = from[1], *x2 = from[2], *x3 = from[3];
  for (int64_t i = 0; i < count; ++i) to[i] = b0 * x0[i] + b1 * x1[i] + b2 * x2[i] + b3 * x3[i];
}

// Stores `channels` of pixels whose sums are `width` floats apart, plus their bias.
template <class T>
HG_CLONES void store_pixels(const float* sums, int64_t width, int64_t pixels, int64_t channels, const float* bias,
                            T* dst, int64_t step) {
  for (int64_t i = 0; i < pixels; ++i) {
    for (int64_t c = 0; c < channels; ++c) store(dst + i * step + c, sums[i * width + c] + bias[c]);
  }
}

struct Schedule {
  Convolution conv;
  const GemmLoops* loops = nullptr;
  bool is_bf16 = false;
  std::optional<UpsampledSource> source;
  WrittenStatistics statistics;
  View dst;
  int64_t width = 0, panels = 0;                // columns of a panel, and panels: dst's channels
  int64_t words = 0, second_words = 0;          // of a pixel of the small image, and of the second activation
  int64_t column_block = 1, column_blocks = 1;  // pixels of a row of the small image at a time
  int64_t row_parts = 1, parts = 1;
  std::size_t weights = 0, bias = 0;
  // Offsets into each thread's scratch memory.
  std::size_t rows = 0, second_rows = 0, convolved = 0, middles = 0, shared = 0, ring = 0, sums = 0, thread_bytes = 0;

  [[nodiscard]] std::size_t element() const { return is_bf16 ? 2 : 4; }
  [[nodiscard]] int64_t columns(int64_t panel) const { return std::min(width, up(dst.c, kGemmLanes) - panel * width); }
  // Words of one panel: the filters of all shared products, then all nine taps of the second activation, row by row.
  [[nodiscard]] int64_t panel_words() const { return (kSharedProducts * words + 9 * second_words) * width; }
  // For one column block: pixels of a row of the small image, words of a row with its differences, pixels of a
  // convolved row.
  [[nodiscard]] int64_t row_pixels() const { return column_block + 2; }
  [[nodiscard]] int64_t line_words() const { return 2 * row_pixels() * words; }
  [[nodiscard]] int64_t convolved_pixels() const { return 2 * column_block + 3; }
  [[nodiscard]] int64_t row_floats() const { return 2 * column_block * width; }  // of one panel
};

class BlurLastForward final : public ConvolutionKernel {
 public:
  explicit BlurLastForward(std::shared_ptr<const Schedule> schedule)
      : schedule_(std::move(schedule)), source_(*schedule_->source) {}
  void bind(const Addresses& at, const dnnl::stream&) override {
    at_ = at;
    source_.bind(at);
  }

  void run() noexcept override {
    const Schedule& s = *schedule_;
    source_.prepare(alone());
    pack_weights();
    auto* bias = words<float>(0, s.bias);
    std::fill_n(bias, s.panels * s.width, 0.0F);
    if (s.conv.has_bias) std::copy_n(static_cast<const float*>(at_.src[s.conv.bias_input()]), s.dst.c, bias);
    statistics().begin(at_);
    parallel_parts(s.parts, [&](int64_t thread, const auto& take) {
      for (int64_t part = take(); part >= 0; part = take()) {
        Part(*this, thread, part).run();
        statistics().end_part(at_, part);
      }
    });
    statistics().end(at_);
  }

 private:
  template <class T>
  [[nodiscard]] T* words(int64_t thread, std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_.scratch) +
                                static_cast<std::size_t>(thread) * schedule_->thread_bytes + offset);
  }
  [[nodiscard]] const WrittenStatistics& statistics() const {
    return alone() ? WrittenStatistics::none() : schedule_->statistics;
  }
  [[nodiscard]] uint32_t* panel(int64_t index) const {
    return words<uint32_t>(0, schedule_->weights) + index * schedule_->panel_words();
  }
  // The packed filter of one shared product, for the small image.
  [[nodiscard]] uint32_t* filter(int64_t index, int64_t product) const {
    const Schedule& s = *schedule_;
    return panel(index) + product * s.words * s.columns(index);
  }
  // The packed filter row kh for the second activation.
  [[nodiscard]] uint32_t* second_taps(int64_t index, int64_t kh) const {
    const Schedule& s = *schedule_;
    return panel(index) + (kSharedProducts * s.words + 3 * kh * s.second_words) * s.columns(index);
  }

  void pack_weights() const {
    const Schedule& s = *schedule_;
    const int64_t first = s.source->channels(), second = s.source->second_channels();
    parallel_for(s.panels * 9, [&](int64_t i) {
      const int64_t index = i / 9, tap = i % 9, columns = s.columns(index);
      const int64_t channels = std::min(columns, s.dst.c - index * s.width);
      const auto pack = [&](int64_t from, int64_t count, uint32_t* to) {
        const auto* weights = static_cast<const char*>(at_.src[1]);
        for (int64_t c = 0; c < count; c += 2) {
          const void* lines[2];
          for (int64_t j = 0; j < 2; ++j) {
            const int64_t line = tap * (first + second) + from + std::min(c + j, count - 1);
            lines[j] = weights + static_cast<std::size_t>(line * s.dst.c) * s.element();
          }
          const int64_t lines_count = s.is_bf16 ? 2 : std::min<int64_t>(2, count - c);
          s.loops->pack(s.is_bf16, lines, lines_count, index * s.width, channels,
                        to + (s.is_bf16 ? c / 2 : c) * columns, columns);
        }
      };
      pack(0, first, filter(index, product_of_tap(tap)));
      pack(first, second, second_taps(index, tap / 3) + tap % 3 * s.second_words * columns);
    });
    for (int64_t index = 0; index < s.panels; ++index) {
      add_taps_of_middles(s.is_bf16, filter(index, 0), s.words * s.columns(index));
    }
  }

  void multiply(const PixelProduct& product, int64_t count, float* sums, int64_t row, const Gemm::Addend& more = {},
                const Gemm::Addend& and_more = {}) const {
    multiply_pixels(*schedule_->loops, schedule_->is_bf16, product, count, sums, row, more, and_more);
  }
  // Adds the products to the sums.
  void multiply_and_add(const PixelProduct& product, int64_t count, float* sums) const {
    multiply(product, count, sums, product.columns, {sums, product.columns});
  }

  // One part: some rows of a column block. `r` counts rows of the convolved (zero-stuffed) image, `t` rows of dst.
  class Part {
   public:
    Part(const BlurLastForward& kernel, int64_t thread, int64_t part)
        : kernel_(kernel),
          s_(*kernel.schedule_),
          source_(kernel.source_),
          thread_(thread),
          part_(part),
          image_(part / (s_.column_blocks * s_.row_parts)),
          column_(part / s_.row_parts % s_.column_blocks * s_.column_block),
          count_(std::min(s_.column_block, source_.w().extent - column_)) {}

    void run() {
      // Two rows of the small image share products.
      const int64_t h = source_.h().extent, pairs = (h + 1) / 2, index = part_ % s_.row_parts;
      const int64_t begin = 4 * (pairs * index / s_.row_parts);
      const int64_t end = std::min(4 * (pairs * (index + 1) / s_.row_parts), 2 * h);
      have_ = begin / 2 - 2;
      have_second_ = begin - 2;
      for (int64_t r = begin - 2; r <= end; ++r) {
        convolve(r);
        if (r > begin) finish(r - 1);
      }
    }

   private:
    // A row of the small image, from the pixel before the column block to the pixel after it, followed by the
    // differences of its pixels.
    const uint32_t* row(int64_t row) {
      const auto row_at = [&](int64_t i) {
        return kernel_.words<uint32_t>(thread_, s_.rows) + (i & 1) * s_.line_words();
      };
      for (; have_ < row; ++have_) {
        uint32_t* to = row_at(have_ + 1);
        source_.read(image_, have_ + 1, column_ - 1, count_ + 2, to);
        add_differences(to);
      }
      return row_at(row);
    }
    void add_differences(uint32_t* line) const {
      if (!columns_share(s_.words)) return;
      differences_beside(s_.is_bf16, line, source_.channels(), count_ + 1, line + s_.row_pixels() * s_.words);
    }
    // Row a less row b, with its differences.
    const uint32_t* difference(int64_t a, int64_t b) {
      row(std::max(a, b));
      uint32_t* to = kernel_.words<uint32_t>(thread_, s_.rows) + 2 * s_.line_words();
      subtract(s_.is_bf16, row(a), row(b), (count_ + 2) * source_.channels(), to);
      add_differences(to);
      return to;
    }
    // A row of the second activation, from the pixel before the column block's outputs on.
    const uint32_t* second_row(int64_t row) {
      const auto row_at = [&](int64_t i) {
        return kernel_.words<uint32_t>(thread_, s_.second_rows) + (i & 3) * 2 * 2 * s_.row_pixels() * s_.second_words;
      };
      for (; have_second_ < row; ++have_second_) {
        source_.read_second(image_, have_second_ + 1, 2 * column_ - 1, 2 * count_ + 2, row_at(have_second_ + 1));
      }
      return row_at(row);
    }
    [[nodiscard]] float* ring(int64_t r, int64_t panel) const {
      return kernel_.words<float>(thread_, s_.ring) + ((r & 3) * s_.panels + panel) * s_.row_floats();
    }

    // A convolved line: the products of a line of the small image with the filters of vertical tap h; even and odd
    // pixels in turn, from the even one before the outputs on. `shared`, laid out alike, is added where it is not null.
    void multiply_line(const uint32_t* line, Point h, int64_t panel, const float* shared, float* to) const {
      using Addend = Gemm::Addend;
      const int64_t columns = s_.columns(panel), step = 2 * columns, words = s_.words, odd = count_ + 1;
      const auto product = [&](const uint32_t* pixels, int64_t pixels_step, Point w, int64_t depth) {
        return PixelProduct{pixels, pixels_step * words, kernel_.filter(panel, product_index(h, w)), depth * words,
                            columns};
      };
      const auto of_shared = [&](int64_t column, int64_t row) {
        return shared == nullptr ? Addend{} : Addend{shared + column * columns, row};
      };
      kernel_.multiply(product(line, 1, Point::even, 1), count_ + 2, to, step, of_shared(0, step));
      if (!columns_share(words)) {
        return kernel_.multiply(product(line, 1, Point::before, 2), odd, to + columns, step, of_shared(1, step));
      }
      auto* middles = kernel_.words<float>(thread_, s_.middles);
      const uint32_t* beside = line + s_.row_pixels() * words;
      const Addend middle{middles, columns};
      kernel_.multiply(product(line + words, 2, Point::middle, 1), (odd + 1) / 2, middles, columns);
      kernel_.multiply(product(beside, 2, Point::before, 1), (odd + 1) / 2, to + columns, 2 * step, middle,
                       of_shared(1, 2 * step));
      kernel_.multiply(product(beside + words, 2, Point::behind, 1), odd / 2, to + columns + step, 2 * step, middle,
                       of_shared(3, 2 * step));
    }

    // Makes row r of the convolved image, blurs it along the row and puts it into the ring buffer.
    void convolve(int64_t r) {
      const int64_t i = (r - (r & 1)) / 2;
      const auto shared = [&](int64_t panel) {
        return kernel_.words<float>(thread_, s_.shared) + panel * s_.convolved_pixels() * s_.width;
      };
      const bool is_even = (r & 1) == 0;
      const Point h = is_even ? Point::even : (i & 1) != 0 ? Point::before : Point::behind;
      const uint32_t* line = is_even ? row(i) : h == Point::before ? difference(i, i + 1) : difference(i + 1, i);
      auto* convolved = kernel_.words<float>(thread_, s_.convolved);
      for (int64_t panel = 0; panel < s_.panels; ++panel) {
        if (h == Point::before) multiply_line(row(i + 1), Point::middle, panel, nullptr, shared(panel));
        multiply_line(line, h, panel, is_even ? nullptr : shared(panel), convolved);
        blur_row(convolved, s_.columns(panel), source_.w().blur.data(), 2 * count_ * s_.columns(panel), ring(r, panel));
      }
    }

    // Makes row t of dst from rows t - 2 to t + 1 of the ring buffer.
    void finish(int64_t t) {
      const int64_t pixels = 2 * count_;
      auto* dst = static_cast<char*>(kernel_.at_.dst[0]) +
                  static_cast<std::size_t>(s_.dst.offset(image_, 0, t, 2 * column_)) * s_.element();
      auto* sums = kernel_.words<float>(thread_, s_.sums);
      for (int64_t panel = 0; panel < s_.panels; ++panel) {
        const int64_t columns = s_.columns(panel);
        const float* const from[4] = {ring(t - 2, panel), ring(t - 1, panel), ring(t, panel), ring(t + 1, panel)};
        blur_rows(from, source_.h().blur.data(), pixels * columns, sums);
        add_second(t, panel, sums);
        add_frame(t, panel, sums);
        const int64_t first = panel * s_.width;
        with_element(s_.is_bf16, [&](auto* element) {
          using T = std::remove_pointer_t<decltype(element)>;
          store_pixels(sums, columns, pixels, std::min(columns, s_.dst.c - first),
                       kernel_.words<float>(0, s_.bias) + first, reinterpret_cast<T*>(dst) + first, s_.dst.c);
        });
      }
      kernel_.statistics().add(kernel_.at_, part_, dst, pixels);
    }

    void add_second(int64_t t, int64_t panel, float* sums) {
      const int64_t columns = s_.columns(panel), words = s_.second_words;
      if (words == 0) return;
      second_row(t + 1);
      for (int64_t kh = 0; kh < 3; ++kh) {
        kernel_.multiply_and_add({second_row(t - 1 + kh), words, kernel_.second_taps(panel, kh), 3 * words, columns},
                                 2 * count_, sums);
      }
    }

    // Adds the frame (what the border holds more than the blur makes there) to outputs at the image's sides.
    void add_frame(int64_t t, int64_t panel, float* sums) const {
      const int64_t columns = s_.columns(panel), words = s_.words, last = 2 * count_ - 1;
      const auto add = [&](const void* line, int64_t position, int64_t tap, int64_t output, int64_t count) {
        if (line == nullptr) return;
        kernel_.multiply_and_add({static_cast<const uint32_t*>(line) + (position + 1) * words, words,
                                  kernel_.filter(panel, product_of_tap(tap)), words, columns},
                                 count, sums + output * columns);
      };
      for (int64_t k = 0; k < 3; ++k) {
        if (t == 0) add(source_.frame(image_, Side::top), 2 * column_ + k - 1, k, 0, 2 * count_);
        if (t == s_.dst.h - 1) add(source_.frame(image_, Side::bottom), 2 * column_ + k - 1, 6 + k, 0, 2 * count_);
        if (column_ == 0) add(source_.frame(image_, Side::left), t + k - 1, 3 * k, 0, 1);
        if (2 * (column_ + count_) == s_.dst.w) add(source_.frame(image_, Side::right), t + k - 1, 3 * k + 2, last, 1);
      }
    }

    const BlurLastForward& kernel_;
    const Schedule& s_;
    const UpsampledSource& source_;
    int64_t thread_, part_, image_, column_, count_;
    int64_t have_ = 0, have_second_ = 0;  // the last rows that were read
  };

  std::shared_ptr<const Schedule> schedule_;
  UpsampledSource source_;
  Addresses at_;
};

}  // namespace

Answer plan_blur_last_forward(const PlanContext&, const Convolution& conv) {
  const GemmLoops* loops = gemm_loops(conv.src.dtype);
  ScratchLayout offsets;
  auto schedule = std::make_shared<Schedule>();
  Schedule& s = *schedule;
  s.source = UpsampledSource::of(conv, offsets);
  if (!s.source) return Declined{kNotUpsampled};
  s.conv = conv;
  s.loops = loops;
  s.is_bf16 = conv.src.dtype == DType::bf16;
  const MemoryDesc dst = with_tag(conv.dst, Tag::nhwc);
  s.dst = view_of(dst);
  const auto per_word = static_cast<int64_t>(4 / s.element());
  s.words = s.source->channels() / per_word;
  s.second_words = s.source->second_channels() / per_word;
  s.width = std::min(kVectors * kGemmLanes, up(s.dst.c, kGemmLanes));
  s.panels = (s.dst.c + s.width - 1) / s.width;

  const int64_t threads = omp_get_max_threads(), h = s.source->h().extent, w = s.source->w().extent;
  const int64_t most = std::max<int64_t>(kRingBytes / (kRing * 2 * s.panels * s.width * 4), kGemmLanes);
  s.column_block = up(even_piece(w, most), 2);
  s.column_blocks = (w + s.column_block - 1) / s.column_block;
  const int64_t columns = s.dst.n * s.column_blocks;
  s.row_parts = std::clamp(kPartsPerThread * threads / columns, std::max<int64_t>(h / kMostRows, 1),
                           std::max<int64_t>(h / kFewestRows, 1));
  s.row_parts = std::clamp((threads + columns - 1) / columns, s.row_parts, (h + 1) / 2);
  s.parts = columns * s.row_parts;

  const auto bytes = [](int64_t words) { return static_cast<std::size_t>(words) * 4; };
  s.weights = offsets.add(bytes(s.panels * s.panel_words()));
  s.bias = offsets.add(bytes(s.panels * s.width));
  s.statistics = WrittenStatistics(conv.dst, conv.statistics, s.parts, offsets);
  ScratchLayout of_thread;
  const auto add = [&](int64_t words) { return offsets.end() + of_thread.add(bytes(words)); };
  s.rows = add(3 * s.line_words());
  s.second_rows = add(4 * 2 * 2 * s.row_pixels() * s.second_words);
  s.convolved = add(s.convolved_pixels() * s.width);
  s.middles = add((s.column_block / 2 + 1) * s.width);
  s.shared = add(s.panels * s.convolved_pixels() * s.width);
  s.ring = add(kRing * s.panels * s.row_floats());
  s.sums = add(s.row_floats());
  s.thread_bytes = of_thread.end();

  const NormalizedSource all(conv);
  KernelPlan plan{.src = all.inputs(with_tag(conv.weights, Tag::hwio)),
                  .dst = {dst},
                  .scratch_bytes = offsets.end() + s.thread_bytes * static_cast<std::size_t>(threads),
                  .implementation = isa_of(*loops, conv.src.dtype),
                  .rounding = all.rounding(),
                  .kernel = nullptr};
  s.statistics.add_to(plan);
  plan.kernel = std::make_unique<BlurLastForward>(std::move(schedule));
  return plan;
}

}  // namespace hourglass::kernels
