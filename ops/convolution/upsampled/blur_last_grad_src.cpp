#include "ops/convolution/upsampled/blur_last_grad_src.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <span>

#include "ops/convolution/upsampled/blurred_gradient.h"
#include "ops/convolution/upsampled/shared_taps.h"
#include "ops/convolution/upsampled/source.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/loops/rows.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/simd/gemm.h"
#include "ops/simd/isa.h"

namespace hourglass::kernels {
namespace {

using Point = SharedTap;

// Most vectors of source channels in one panel.
constexpr int64_t kVectors = 4;
// Rows of the two ring buffers, of the blurred gradient and of the products for the other channels: three make an
// output row inside the image, four one at its ends.
constexpr int64_t kRing = 4;
// A column block's ring buffers stay in a thread's second-level cache, beside the weights.
constexpr int64_t kRingBytes = 320 << 10;
// Relative error: diff_src is rounded to bf16 before the frame's gradient is added to it.
constexpr double kRoundingBf16 = 1.0 / 128;
// Sides of the frame: top and bottom, left and right.
constexpr int64_t kSides = 4;

template <class T>
HG_CLONES void add_two(const float* a, float of_a, const float* b, float of_b, int64_t count, T* to) {
  for (int64_t i = 0; i < count; ++i) store(to + i, load(to + i) + (of_a * a[i] + of_b * b[i]));
}

// Stores `channels` of pixels whose sums are `width` floats apart.
template <class T>
HG_CLONES void store_pixels(const float* sums, int64_t width, int64_t pixels, int64_t channels, T* dst, int64_t step) {
  for (int64_t i = 0; i < pixels; ++i) {
    for (int64_t c = 0; c < channels; ++c) store(dst + i * step + c, sums[i * width + c]);
  }
}

// sums[p][c] += channel c of the products that the three taps of a filter row have for pixel p: transposed convolution
// by gathering. For pixels [0, count); `products` points to the products of the pixel before p = 0, `step` apart,
// [tap][channel] each, at the row's first tap. kChannels: the number of channels where it is known, or 0.
template <int kChannels>
HG_CLONES void add_taps(const float* products, int64_t step, int64_t count, int64_t channels, float* sums) {
  if constexpr (kChannels > 0) channels = kChannels;
  for (int64_t p = 0; p < count; ++p) {
    const float *left = products + p * step + 2 * channels, *own = left + step - channels,
                *right = own + step - channels;
    for (int64_t c = 0; c < channels; ++c) sums[p * channels + c] += left[c] + own[c] + right[c];
  }
}

struct Schedule {
  Convolution conv;
  const GemmLoops* loops = nullptr;
  bool is_bf16 = false;
  std::optional<BlurAxes> axes;
  std::optional<BlurredGradient> gradient;
  View dst, small, second;  // dst: of diff_dst; second: the channels beside the small image
  bool has_frame = false;
  int64_t width = 0, panels = 0;  // columns of a panel, and panels: the small image's channels
  int64_t words = 0;              // of a pixel of dst
  int64_t columns = 0;            // products for the other channels: taps times channels
  int64_t column_block = 1, column_blocks = 1, row_parts = 1, parts = 1;
  std::size_t weights = 0, second_weights = 0, frames = 0;
  // Offsets into each thread's scratch memory.
  std::size_t mixed = 0, floats = 0, ring = 0, differences = 0, middles = 0, shared = 0, sums = 0, second_ring = 0,
              second_sums = 0, line = 0, thread_bytes = 0;

  [[nodiscard]] std::size_t element() const { return is_bf16 ? 2 : 4; }
  [[nodiscard]] int64_t columns_of(int64_t panel) const {
    return std::min(width, up(small.c, kGemmLanes) - panel * width);
  }
  [[nodiscard]] int64_t real_columns(int64_t panel) const { return std::min(width, small.c - panel * width); }
  [[nodiscard]] int64_t panel_words() const { return kSharedProducts * words * width; }
  // Pixels of a row that a column block needs, with those beyond either end of the image.
  [[nodiscard]] int64_t row_pixels() const { return column_block + 4; }
  // Words of a line of the blurred gradient: its even pixels, its odd pixels, and the differences of the odd ones.
  [[nodiscard]] int64_t line_words() const { return 3 * row_pixels() * words; }
  [[nodiscard]] int64_t second_pixels() const { return 2 * column_block + 4; }
  // Floats of one side of the frame: what it adds to the small image (along a row two lines, along a column one), and
  // the frame's own gradient.
  [[nodiscard]] int64_t frame_floats() const { return (2 * std::max(dst.h, dst.w) + 2) * small.c; }
};

class BlurLastGradSrc final : public ConvolutionKernel {
 public:
  explicit BlurLastGradSrc(std::shared_ptr<const Schedule> schedule) : schedule_(std::move(schedule)) {}
  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    const Schedule& s = *schedule_;
    pack_weights();
    parallel_parts(s.parts, [&](int64_t thread, const auto& take) {
      for (int64_t part = take(); part >= 0; part = take()) Part(*this, thread, part).run();
    });
    if (!s.has_frame) return;
    parallel_parts(s.dst.n * kSides, [&](int64_t thread, const auto& take) {
      for (int64_t i = take(); i >= 0; i = take()) make_side(thread, i / kSides, i % kSides);
    });
    parallel_for(s.small.n * s.small.h, [&](int64_t i) { add_sides(i / s.small.h, i % s.small.h); });
  }

 private:
  template <class T>
  [[nodiscard]] T* words(int64_t thread, std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_.scratch) +
                                static_cast<std::size_t>(thread) * schedule_->thread_bytes + offset);
  }
  [[nodiscard]] const char* gradient(int64_t image, int64_t row, int64_t column) const {
    const Schedule& s = *schedule_;
    return static_cast<const char*>(at_.src[0]) +
           static_cast<std::size_t>(s.dst.offset(image, 0, row, column)) * s.element();
  }
  // The packed filter of one shared product. Convolution transposed: the tap before the middle is the filter's last,
  // the tap after it the first.
  [[nodiscard]] uint32_t* filter(int64_t panel, int64_t product) const {
    const Schedule& s = *schedule_;
    return words<uint32_t>(0, s.weights) + panel * s.panel_words() + product * s.words * s.columns_of(panel);
  }
  [[nodiscard]] uint32_t* filter_of_tap(int64_t panel, int64_t tap) const {
    return filter(panel, product_of_tap(8 - tap));
  }

  void pack_weights() const {
    const Schedule& s = *schedule_;
    const int64_t channels = s.conv.src.shape[1];
    with_element(s.is_bf16, [&](auto* element) {
      using T = std::remove_pointer_t<decltype(element)>;
      constexpr int64_t kPerWord = 4 / sizeof(T);
      const auto* weights = static_cast<const T*>(at_.src[1]);
      // Transposes channels [first, first + count) of a tap, to columns from `to` on.
      const auto transpose = [&](int64_t tap, int64_t first, int64_t count, T* to, int64_t columns) {
        for (int64_t c = 0; c < count; ++c) {
          const T* from = weights + (tap * channels + first + c) * s.dst.c;
          for (int64_t k = 0; k < s.dst.c; ++k) to[(k / kPerWord * columns + c) * kPerWord + k % kPerWord] = from[k];
        }
      };
      parallel_for(9 * (s.panels + 1), [&](int64_t i) {
        const int64_t tap = i % 9, panel = i / 9;
        if (panel == s.panels) {
          if (s.second.c == 0) return;
          auto* to = words<T>(0, s.second_weights) + tap * s.second.c * kPerWord;
          return transpose(tap, s.small.c, s.second.c, to, up(s.columns, kGemmLanes));
        }
        transpose(tap, panel * s.width, s.real_columns(panel), reinterpret_cast<T*>(filter_of_tap(panel, tap)),
                  s.columns_of(panel));
      });
    });
    for (int64_t panel = 0; panel < s.panels; ++panel) {
      add_taps_of_middles(s.is_bf16, filter(panel, 0), s.words * s.columns_of(panel));
    }
  }

  void multiply(const PixelProduct& product, int64_t count, float* sums, int64_t row, const Gemm::Addend& more = {},
                const Gemm::Addend& and_more = {}) const {
    multiply_pixels(*schedule_->loops, schedule_->is_bf16, product, count, sums, row, more, and_more);
  }

  // One part: some rows of a column block of the small image.
  class Part {
   public:
    Part(const BlurLastGradSrc& kernel, int64_t thread, int64_t part)
        : kernel_(kernel),
          s_(*kernel.schedule_),
          thread_(thread),
          image_(part / (s_.column_blocks * s_.row_parts)),
          begin_(part / s_.row_parts % s_.column_blocks * s_.column_block),
          end_(std::min(begin_ + s_.column_block, s_.small.w)),
          rows_begin_(first_row(part % s_.row_parts)),
          rows_end_(std::min(first_row(part % s_.row_parts + 1), s_.small.h)),
          first_(begin_ == 0 ? -2 : begin_),
          count_((end_ == s_.small.w ? end_ + 1 : end_) - first_) {}

    void run() {
      have_ = 2 * rows_begin_ - 3;
      have_second_ = 2 * rows_begin_ - 2;
      for (int64_t i = rows_begin_; i < rows_end_; ++i) {
        add_small(i);
        for (int64_t q = 2 * i; q < 2 * i + 2 && s_.second.c > 0; ++q) add_second(q);
      }
    }

   private:
    template <class T>
    [[nodiscard]] T* words(std::size_t offset) const {
      return kernel_.words<T>(thread_, offset);
    }

    // The first row of a part. It is even, because two rows share products.
    [[nodiscard]] int64_t first_row(int64_t row_part) const {
      return 2 * ((s_.small.h + 1) / 2 * row_part / s_.row_parts);
    }

    // ---- the small image

    // A line of the blurred gradient: its even pixels from first_ on, its odd pixels from the one before on, and the
    // odd ones' differences.
    [[nodiscard]] uint32_t* odd_pixels(uint32_t* line) const { return line + s_.row_pixels() * s_.words; }
    [[nodiscard]] uint32_t* differences(uint32_t* line) const { return line + 2 * s_.row_pixels() * s_.words; }
    void add_differences(uint32_t* line) const {
      if (columns_share(s_.words)) {
        differences_beside(s_.is_bf16, odd_pixels(line), s_.dst.c, count_, differences(line));
      }
    }

    // Row r of the blurred gradient. The three rows before it are in the ring buffer.
    uint32_t* blurred(int64_t r) {
      uint32_t* line = words<uint32_t>(s_.ring) + (r & 3) * s_.line_words();
      if (r <= have_) return line;
      have_ = r;
      auto* mixed = words<float>(s_.mixed);
      if (!s_.gradient->blur_columns(kernel_.at_.src[0], image_, r, first_ - 1, count_ + 1, mixed)) {
        std::fill_n(line, s_.line_words(), uint32_t{0});
        return line;
      }
      for (int64_t phase = 0; phase < 2; ++phase) {
        uint32_t* to = phase == 0 ? line : odd_pixels(line);
        const float* from = mixed + (phase == 0 ? 2 * s_.dst.c : 0);
        const int64_t pixels = phase == 0 ? count_ : count_ + 1;
        auto* floats = s_.is_bf16 ? words<float>(s_.floats) : reinterpret_cast<float*>(to);
        s_.gradient->blur_row(from, phase, pixels, 0, s_.dst.c, floats, s_.dst.c);
        if (s_.is_bf16) narrow(floats, pixels * s_.dst.c, reinterpret_cast<BFloat16*>(to));
      }
      add_differences(line);
      return line;
    }
    // Row a less row b of the blurred gradient.
    uint32_t* difference(int64_t a, int64_t b) {
      uint32_t *from = blurred(a), *less = blurred(b), *to = words<uint32_t>(s_.differences);
      subtract(s_.is_bf16, from, less, count_ * s_.dst.c, to);
      subtract(s_.is_bf16, odd_pixels(from), odd_pixels(less), (count_ + 1) * s_.dst.c, odd_pixels(to));
      add_differences(to);
      return to;
    }

    struct Line {
      const uint32_t* at;
      Point h;
    };
    // sums = the products of all lines with the filters of their taps, plus `shared`, laid out alike, where it is not
    // null.
    template <typename Lines>
    void multiply_lines(const Lines& lines, int64_t panel, const float* shared, float* sums) const {
      using Addend = Gemm::Addend;
      const int64_t columns = s_.columns_of(panel), words = s_.words, befores = (count_ + 1) / 2;
      const int64_t odd = s_.row_pixels(), beside = 2 * odd;
      auto* middles = this->words<float>(s_.middles);
      for (std::size_t i = 0; i < lines.size(); ++i) {
        const bool is_last = i + 1 == lines.size();
        const auto product = [&](int64_t pixel, int64_t step, Point w, int64_t depth) {
          return PixelProduct{lines[i].at + pixel * words, step * words,
                              kernel_.filter(panel, product_index(lines[i].h, w)), depth * words, columns};
        };
        kernel_.multiply(product(0, 1, Point::even, 1), count_, sums, columns, {i == 0 ? shared : sums, columns});
        if (!columns_share(words)) {
          kernel_.multiply(product(odd, 1, Point::before, 2), count_, sums, columns, {sums, columns});
          continue;
        }
        const Addend middle{is_last ? middles : nullptr, columns};
        kernel_.multiply(product(odd + 1, 2, Point::middle, 1), befores, middles, columns,
                         {i == 0 ? nullptr : middles, columns});
        kernel_.multiply(product(beside, 2, Point::before, 1), befores, sums, 2 * columns, {sums, 2 * columns}, middle);
        kernel_.multiply(product(beside + 1, 2, Point::behind, 1), count_ / 2, sums + columns, 2 * columns,
                         {sums + columns, 2 * columns}, middle);
      }
    }

    void add_small(int64_t i) {
      // The blur sees the small image repeat its first and last row beyond its ends; their gradient is added to these
      // rows.
      const bool is_first = i == 0, is_last = i == s_.small.h - 1, is_even = i % 2 == 0;
      std::array<Line, 6> all;
      std::size_t count = 0;
      if (is_first) all[count++] = {blurred(-2), Point::even};
      if (is_first) all[count++] = {blurred(-1), Point::behind};
      blurred(2 * i - 1);
      all[count++] = {blurred(2 * i), Point::even};
      const uint32_t* last = blurred(2 * i + 1);
      all[count++] = is_even ? Line{difference(2 * i - 1, 2 * i + 1), Point::before}
                             : Line{difference(2 * i + 1, 2 * i - 1), Point::behind};
      if (is_last) all[count++] = {last, Point::before};
      if (is_last) all[count++] = {blurred(2 * i + 2), Point::even};
      const std::span<const Line> lines(all.data(), count);
      for (int64_t panel = 0; panel < s_.panels; ++panel) {
        const int64_t columns = s_.columns_of(panel);
        float* shared = words<float>(s_.shared) + panel * s_.row_pixels() * s_.width;
        if (is_even) multiply_lines(std::array{Line{last, Point::middle}}, panel, nullptr, shared);
        auto* sums = words<float>(s_.sums);
        multiply_lines(lines, panel, shared, sums);
        float* inside = sums + (begin_ - first_) * columns;
        if (first_ < begin_) add_scaled(inside - columns, 1, columns, inside);
        if (first_ + count_ > end_) {
          add_scaled(inside + (end_ - begin_) * columns, 1, columns, inside + (end_ - 1 - begin_) * columns);
        }
        with_element(s_.is_bf16, [&](auto* element) {
          using T = std::remove_pointer_t<decltype(element)>;
          auto* to = static_cast<T*>(kernel_.at_.dst[0]) + s_.small.offset(image_, 0, i, begin_) + panel * s_.width;
          store_pixels(inside, columns, end_ - begin_, s_.real_columns(panel), to, s_.small.c);
        });
      }
    }

    // ---- the other channels

    // Products of row t of diff_dst for the other channels, from two pixels before the column block on; null outside of
    // the image.
    const float* products(int64_t t) {
      if (t < 0 || t >= s_.dst.h) return nullptr;
      const int64_t columns = up(s_.columns, kGemmLanes);
      const auto sums_of = [&](int64_t row) {
        return words<float>(s_.second_ring) + (row & 3) * s_.second_pixels() * columns;
      };
      for (have_second_ = std::max<int64_t>(have_second_, -1); have_second_ < t; ++have_second_) {
        const int64_t row = have_second_ + 1, left = 2 * begin_ - 2, right = 2 * end_ + 2;
        const int64_t from = std::max<int64_t>(left, 0), to = std::min(right, s_.dst.w);
        float* sums = sums_of(row);
        std::fill_n(sums, (from - left) * columns, 0.0F);
        kernel_.multiply({reinterpret_cast<const uint32_t*>(kernel_.gradient(image_, row, from)), s_.words,
                          kernel_.words<uint32_t>(0, s_.second_weights), s_.words, columns},
                         to - from, sums + (from - left) * columns, columns);
        std::fill_n(sums + (to - left) * columns, (right - to) * columns, 0.0F);
      }
      return sums_of(t);
    }

    void add_second(int64_t q) {
      const int64_t channels = s_.second.c, columns = up(s_.columns, kGemmLanes), pixels = 2 * (end_ - begin_);
      auto* sums = words<float>(s_.second_sums);
      std::fill_n(sums, (pixels + 2) * channels, 0.0F);
      products(std::min(q + 1, s_.dst.h - 1));
      // Row q, and the border rows that show it.
      const auto shows = [&](int64_t row) {
        return row == q || ((row == -1 || row == s_.dst.h) && border_source(s_.conv.padding_mode, row, s_.dst.h) == q);
      };
      for (const int64_t row : {int64_t{-1}, q, s_.dst.h}) {
        if (!shows(row)) continue;
        for (int64_t kh = 0; kh < 3; ++kh) {
          const float* from = products(row + 1 - kh);
          if (from == nullptr) continue;
          from += 3 * kh * channels;
          switch (channels) {
            case 4: add_taps<4>(from, columns, pixels + 2, channels, sums); break;
            case 8: add_taps<8>(from, columns, pixels + 2, channels, sums); break;
            default: add_taps<0>(from, columns, pixels + 2, channels, sums);
          }
        }
      }
      // The border columns, added to the pixels that they show.
      float* inside = sums + channels;
      const auto fold = [&](int64_t column) {
        const int64_t to = border_source(s_.conv.padding_mode, column, s_.dst.w);
        if (to == kOutside) return;
        add_scaled(inside + (column - 2 * begin_) * channels, 1, channels, inside + (to - 2 * begin_) * channels);
      };
      if (begin_ == 0) fold(-1);
      if (end_ == s_.small.w) fold(s_.dst.w);
      with_element(s_.is_bf16, [&](auto* element) {
        using T = std::remove_pointer_t<decltype(element)>;
        narrow(inside, pixels * channels,
               static_cast<T*>(kernel_.at_.dst[1]) + s_.second.offset(image_, 0, q, 2 * begin_));
      });
    }

    const BlurLastGradSrc& kernel_;
    const Schedule& s_;
    int64_t thread_, image_, begin_, end_, rows_begin_, rows_end_;
    int64_t first_, count_;               // columns with those beyond the image's ends
    int64_t have_ = 0, have_second_ = 0;  // the last rows that were made
  };

  // ---- the frame of the small image: the adjoint of UpsampledSource's

  [[nodiscard]] float* side(int64_t image, int64_t side) const {
    return words<float>(0, schedule_->frames) + (image * kSides + side) * schedule_->frame_floats();
  }

  // Computes one side of the frame's gradient and spreads it over the small image's elements along that side: for a row
  // by the weights `padded` and by `blurred`, for a column by `padded`.
  void make_side(int64_t thread, int64_t image, int64_t which) const {
    const Schedule& s = *schedule_;
    const bool is_row = which < 2, is_end = which % 2 != 0;
    const BlurAxis& along = is_row ? s.axes->w : s.axes->h;
    const int64_t extent = 2 * along.extent, tap = is_end ? 2 : 0;
    // diff_dst along that side, with two zero pixels before and after it.
    auto* line = words<uint32_t>(thread, s.line);
    std::fill_n(line, (extent + 4) * s.words, uint32_t{0});
    const std::size_t pixel = static_cast<std::size_t>(s.words) * 4;
    for (int64_t i = 0; i < extent; ++i) {
      const int64_t last_row = is_end ? s.dst.h - 1 : 0, last_column = is_end ? s.dst.w - 1 : 0;
      const char* from = is_row ? gradient(image, last_row, i) : gradient(image, i, last_column);
      std::copy_n(from, pixel, reinterpret_cast<char*>(line + (i + 2) * s.words));
    }
    float *to = side(image, which), *frame = to + extent * s.small.c;
    std::fill_n(to, s.frame_floats(), 0.0F);
    auto* sums = words<float>(thread, s.sums);
    // Positions -1 to extent; a column leaves its ends, the corners, to the rows.
    const int64_t begin = is_row ? 0 : 1, end = is_row ? extent + 2 : extent + 1;
    for (int64_t first = begin; first < end; first += s.column_block) {
      const int64_t count = std::min(s.column_block, end - first);
      for (int64_t panel = 0; panel < s.panels; ++panel) {
        for (int64_t k = 0; k < 3; ++k) {
          // Position p is tap k's of the output p + 1 - k.
          const uint32_t* weights = filter_of_tap(panel, is_row ? 3 * tap + k : 3 * k + tap);
          multiply({line + (first + 2 - k) * s.words, s.words, weights, s.words, s.columns_of(panel)}, count, sums,
                   s.columns_of(panel), {k > 0 ? sums : nullptr, s.columns_of(panel)});
        }
        store_pixels(sums, s.columns_of(panel), count, s.real_columns(panel), frame + panel * s.width, s.small.c);
        for (int64_t i = 0; i < count; ++i) {
          spread(is_row, along, first + i, frame + i * s.small.c + panel * s.width, s.real_columns(panel),
                 to + panel * s.width);
        }
      }
    }
  }
  void spread(bool is_row, const BlurAxis& along, int64_t position, const float* from, int64_t channels,
              float* to) const {
    const int64_t c = schedule_->small.c;
    const auto add = [&](const TapList& list, float* line) {
      for (const auto& [element, weight] : list) {
        add_scaled(from, static_cast<float>(weight), channels, line + element * c);
      }
    };
    const auto at = static_cast<std::size_t>(position);
    add(along.padded[at], to);
    if (is_row) add(along.blurred[at], to + along.extent * c);
  }

  void add_sides(int64_t image, int64_t row) const {
    const Schedule& s = *schedule_;
    const auto &h = s.axes->h, &w = s.axes->w;
    const int64_t c = s.small.c, line = s.small.w * c;
    with_element(s.is_bf16, [&](auto* element) {
      using T = std::remove_pointer_t<decltype(element)>;
      auto* to = static_cast<T*>(at_.dst[0]) + s.small.offset(image, 0, row, 0);
      for (int64_t end = 0; end < 2; ++end) {
        const auto weight_of = [&](const std::vector<TapList>& lists) {
          double sum = 0;
          for (const auto& [at, weight] : end == 0 ? lists.front() : lists.back()) sum += at == row ? weight : 0;
          return static_cast<float>(sum);
        };
        const float padded = weight_of(h.padded), blurred = weight_of(h.blurred), *from = side(image, end);
        if (padded != 0 || blurred != 0) add_two(from, padded, from + line, -blurred, line, to);
        for (const auto& [at, weight] : w.missing[static_cast<std::size_t>(end)]) {
          add_scaled(side(image, 2 + end) + row * c, static_cast<float>(weight), c, to + at * c);
        }
      }
    });
  }

  std::shared_ptr<const Schedule> schedule_;
  Addresses at_;
};

}  // namespace

Answer plan_blur_last_grad_src(const PlanContext&, const Convolution& conv) {
  const GemmLoops* loops = gemm_loops(conv.src.dtype);
  auto schedule = std::make_shared<Schedule>();
  Schedule& s = *schedule;
  s.axes = blur_axes(conv);
  if (!s.axes) return Declined{kNotUpsampled};
  s.conv = conv;
  s.loops = loops;
  s.is_bf16 = conv.src.dtype == DType::bf16;
  const Shape& whole = conv.src.shape;
  const int64_t first = conv.normalized->first_channels, second = whole[1] - first;
  if (second > 0 && conv.padding_mode == PaddingMode::wrap)
    return Declined{"a border that wraps around other channels"};
  const MemoryDesc dst = with_tag(conv.dst, Tag::nhwc);
  const MemoryDesc small = with_tag({conv.src.dtype, conv.normalized->resized->from}, Tag::nhwc);
  const MemoryDesc others = with_tag({conv.src.dtype, Shape{whole[0], second, whole[2], whole[3]}}, Tag::nhwc);
  s.dst = view_of(dst);
  s.small = view_of(small);
  if (second > 0) s.second = view_of(others);
  const auto per_word = static_cast<int64_t>(4 / s.element());
  if (s.dst.c % per_word != 0) return Declined{"an odd number of channels in bf16"};
  s.words = s.dst.c / per_word;
  s.gradient.emplace(s.axes->h, s.axes->w, s.dst, s.is_bf16);
  s.has_frame = s.axes->h.ends_differ() || s.axes->w.ends_differ();
  s.width = std::min(kVectors * kGemmLanes, up(first, kGemmLanes));
  s.panels = (first + s.width - 1) / s.width;
  s.columns = 9 * second;

  const int64_t threads = omp_get_max_threads(), h = s.small.h, w = s.small.w;
  const int64_t pixel_bytes = kRing * (3 * s.words + 2 * up(s.columns, kGemmLanes)) * 4;
  const int64_t most = std::max<int64_t>(kRingBytes / pixel_bytes, kGemmLanes);
  s.column_block = up(even_piece(w, most), 2);
  s.column_blocks = (w + s.column_block - 1) / s.column_block;
  const int64_t columns = s.dst.n * s.column_blocks;
  s.row_parts = std::clamp<int64_t>((kPartsPerThread * threads + columns - 1) / columns, 1, (h + 3) / 4);
  s.parts = columns * s.row_parts;

  const auto bytes = [](int64_t words) { return static_cast<std::size_t>(words) * 4; };
  ScratchLayout offsets;
  s.weights = offsets.add(bytes(s.panels * s.panel_words()));
  s.second_weights = offsets.add(bytes(s.words * up(s.columns, kGemmLanes)));
  if (s.has_frame) s.frames = offsets.add(bytes(s.dst.n * kSides * s.frame_floats()));
  ScratchLayout of_thread;
  const auto add = [&](int64_t words) { return offsets.end() + of_thread.add(bytes(words)); };
  s.mixed = add(s.gradient->mixed_floats(s.row_pixels()));
  if (s.is_bf16) s.floats = add(s.row_pixels() * s.dst.c);
  s.ring = add(kRing * s.line_words());
  s.differences = add(s.line_words());
  s.middles = add((s.row_pixels() / 2 + 1) * s.width);
  s.shared = add(s.panels * s.row_pixels() * s.width);
  s.sums = add(s.row_pixels() * s.width);
  s.second_ring = add(kRing * s.second_pixels() * up(s.columns, kGemmLanes));
  s.second_sums = add((s.second_pixels() + 2) * second);
  if (s.has_frame) s.line = add((std::max(s.dst.h, s.dst.w) + 4) * s.words);
  s.thread_bytes = of_thread.end();

  KernelPlan plan{.src = {dst, with_tag(conv.weights, Tag::hwio)},
                  .dst = {small},
                  .scratch_bytes = offsets.end() + s.thread_bytes * static_cast<std::size_t>(threads),
                  .implementation = isa_of(*loops, conv.src.dtype),
                  .rounding = s.is_bf16 ? kRoundingBf16 : 0,
                  .kernel = nullptr};
  if (second > 0) plan.dst.push_back(others);
  plan.kernel = std::make_unique<BlurLastGradSrc>(std::move(schedule));
  return plan;
}

}  // namespace hourglass::kernels
