#include "ops/convolution/upsampled/blur_last_grad_weights.h"

#include <omp.h>

#include <algorithm>
#include <array>

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
using Side = UpsampledSource::Side;

// Most vectors of columns, and rows, of one GEMM call: its sums stay in registers for all of K.
constexpr int64_t kVectors = 4, kRows = 24;
// Two lines of the blurred gradient of a column block stay in a thread's second-level cache beside the sums.
constexpr int64_t kBlurredBytes = 128 << 10;
// Most bytes of a part's sums; a thread has several parts where their sums are no more than kPartsSumsBytes together.
constexpr int64_t kSumsBytes = 2 << 20, kPartsSumsBytes = 448 << 10;

// words[i] = the pair bf16(low[i]), bf16(high[i]).
HG_CLONES void pair_pixels(const float* low, const float* high, int64_t count, uint32_t* words) {
  for (int64_t i = 0; i < count; ++i) {
    BFloat16 l, h;
    store(&l, low[i]);
    store(&h, high[i]);
    words[i] = static_cast<uint32_t>(l.bits) | static_cast<uint32_t>(h.bits) << 16;
  }
}

// to[i] = the sum over p of terms[p][i].
HG_CLONES void add_floats(const float* const* terms, std::size_t count, int64_t elements, float* to) {
  std::copy_n(terms[0], elements, to);
  for (std::size_t p = 1; p < count; ++p) {
    const float* from = terms[p];
    for (int64_t i = 0; i < elements; ++i) to[i] += from[i];
  }
}

HG_CLONES void pair_with_zero(const float* low, int64_t count, uint32_t* words) {
  for (int64_t i = 0; i < count; ++i) {
    BFloat16 l;
    store(&l, low[i]);
    words[i] = l.bits;
  }
}

struct Schedule {
  Convolution conv;
  const GemmLoops* loops = nullptr;
  bool is_bf16 = false;
  std::optional<UpsampledSource> source;
  std::optional<BlurredGradient> gradient;
  View dst;
  int64_t first = 0, second = 0;                // channels
  int64_t width = 0, panels = 0;                // columns of a panel, and panels: dst's channels
  int64_t column_block = 1, column_blocks = 1;  // pixels of a row of the small image, from -1 to its extent, at a time
  int64_t parts = 1;
  std::size_t sums = 0;
  // Offsets into each thread's scratch memory: rows of both activations and their differences, plain and packed;
  // diff_dst blurred along columns, then along rows, and plain.
  std::size_t rows = 0, row_pairs = 0, second_rows = 0, second_pairs = 0, pairs = 0, mixed = 0, blurred = 0,
              middles = 0, right_pairs = 0, plain_row = 0;
  std::size_t thread_bytes = 0;

  [[nodiscard]] std::size_t element() const { return is_bf16 ? 2 : 4; }
  [[nodiscard]] int64_t columns(int64_t panel) const { return std::min(width, up(dst.c, kGemmLanes) - panel * width); }
  [[nodiscard]] int64_t real_columns(int64_t panel) const { return std::min(width, dst.c - panel * width); }
  [[nodiscard]] int64_t channels() const { return first + second; }
  [[nodiscard]] int64_t words() const { return is_bf16 ? first / 2 : first; }  // of a pixel of the small image
  // Floats of a part's sums: [shared product][panel][channel][dst's channels] of the small image, then
  // [tap][panel][channel][dst's channels] of the second activation.
  [[nodiscard]] int64_t sums_floats() const { return (kSharedProducts * first + 9 * second) * panels * width; }
  // Where the sums of one product and panel are.
  [[nodiscard]] int64_t sums_at(int64_t product, int64_t panel) const {
    return (product * panels + panel) * first * width;
  }
  [[nodiscard]] int64_t second_sums_at(int64_t tap, int64_t panel) const {
    return (kSharedProducts * first * panels + (tap * panels + panel) * second) * width;
  }
  // K of a product over `pixels` pixels, in words: in bf16 two pixels are one.
  [[nodiscard]] int64_t depth(int64_t pixels) const { return is_bf16 ? (pixels + 1) / 2 : pixels; }
  // Pairs of lines of the small image, from line -1 on; a pair shares products.
  [[nodiscard]] int64_t pairs_of_lines() const { return (source->h().extent + 3) / 2; }
  [[nodiscard]] int64_t row_pixels() const { return column_block + 2; }
  // Floats of a line of the blurred gradient: of each panel the even pixels, then the odd ones.
  [[nodiscard]] int64_t blurred_floats() const { return panels * 2 * column_block * width; }
  // In bf16: pairs of pixels of a packed line, for all shared taps.
  [[nodiscard]] int64_t pairs_in_line() const { return 3 * depth(column_block); }
  [[nodiscard]] int64_t pair_words() const { return pairs_in_line() * up(first, kGemmLanes); }
};

class BlurLastGradWeights final : public ConvolutionKernel {
 public:
  explicit BlurLastGradWeights(std::shared_ptr<const Schedule> schedule)
      : schedule_(std::move(schedule)), source_(*schedule_->source) {}
  void bind(const Addresses& at, const dnnl::stream&) override {
    at_ = at;
    source_.bind(at);
  }

  void run() noexcept override {
    const Schedule& s = *schedule_;
    source_.prepare(alone());
    const int64_t all = s.dst.n * s.column_blocks * s.pairs_of_lines();
    parallel_parts(s.parts, [&](int64_t thread, const auto& take) {
      for (int64_t part = take(); part >= 0; part = take()) {
        std::fill_n(sums_of(part), s.sums_floats(), 0.0F);
        const int64_t end = all * (part + 1) / s.parts;
        for (int64_t at = all * part / s.parts; at < end;) {
          const int64_t pair = at % s.pairs_of_lines(), count = std::min(end - at, s.pairs_of_lines() - pair);
          Run(*this, thread, part, at / s.pairs_of_lines()).add(pair, count);
          at += count;
        }
      }
    });
    finish();
  }

 private:
  template <class T>
  [[nodiscard]] T* words(int64_t thread, std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_.scratch) +
                                static_cast<std::size_t>(thread) * schedule_->thread_bytes + offset);
  }
  [[nodiscard]] float* sums_of(int64_t part) const {
    return words<float>(0, schedule_->sums) + part * schedule_->sums_floats();
  }

  // Neighbouring lines of one column block of an image, one after another.
  class Run {
   public:
    Run(const BlurLastGradWeights& kernel, int64_t thread, int64_t part, int64_t column_block)
        : kernel_(kernel),
          s_(*kernel.schedule_),
          source_(kernel.source_),
          thread_(thread),
          sums_(kernel.sums_of(part)),
          image_(column_block / s_.column_blocks),
          column_(column_block % s_.column_blocks * s_.column_block - 1),
          count_(std::min(s_.column_block, source_.w().extent + 1 - column_)),
          begin_(std::max<int64_t>(2 * column_, 0)),
          end_(std::min(2 * (column_ + count_), s_.dst.w)) {}

    // Pairs [pair, pair + count) of lines of the small image.
    void add(int64_t pair, int64_t count) {
      const int64_t line = 2 * pair - 1;
      have_ = line - 1;
      have_second_ = std::max<int64_t>(2 * line, 0) - 2;
      for (int64_t i = line; i < line + 2 * count; i += 2) {
        add_pair(i);
        add_rows(i);
        add_rows(i + 1);
      }
    }

   private:
    template <class T>
    [[nodiscard]] T* words(std::size_t offset) const {
      return kernel_.words<T>(thread_, offset);
    }
    [[nodiscard]] const char* gradient(int64_t t, int64_t column) const {
      return static_cast<const char*>(kernel_.at_.src[1]) +
             static_cast<std::size_t>(s_.dst.offset(image_, 0, t, column)) * s_.element();
    }

    // A packed operand: `step` words from one pixel (in bf16 pair of pixels) to the next.
    struct Words {
      const uint32_t* at;
      int64_t step;
    };
    // sums += A^T B: `channels` of the small image times the panel's columns, over `depth` words of pixels.
    void multiply(const Words& left, int64_t channels, const Words& right, int64_t depth, int64_t panel,
                  float* sums) const {
      for (int64_t c = 0; c < channels; c += kRows) {
        s_.loops->multiply(s_.is_bf16, {.a = left.at + c,
                                        .a_row = 1,
                                        .a_step = left.step,
                                        .b = right.at,
                                        .b_step = right.step,
                                        .c = sums + c * s_.width,
                                        .c_row = s_.width,
                                        .rows = std::min(kRows, channels - c),
                                        .vectors = s_.columns(panel) / kGemmLanes,
                                        .depth = depth,
                                        .add = true});
      }
    }

    // Packs `count` pixels, `channels` each and `step` pixels apart, as words: f32 stays in place, bf16 is paired into
    // `to`.
    const uint32_t* in_words(const void* pixels, int64_t channels, int64_t step, int64_t count, uint32_t* to) const {
      if (!s_.is_bf16) return static_cast<const uint32_t*>(pixels);
      const auto* from = static_cast<const uint16_t*>(pixels);
      const int64_t row = up(channels, kGemmLanes);
      pack_all(
          count, [&](int64_t i) { return from + std::min(i, count - 1) * step * channels; },
          [&](const void* const* list, int64_t first, int64_t n) {
            s_.loops->pack(true, list, n, 0, channels, to + first / 2 * row, row);
          });
      return to;
    }
    // Calls pack(addresses, first, n) for all pixels, some at a time; in bf16 for an even number of them.
    template <typename Address, typename Pack>
    void pack_all(int64_t count, const Address& address, const Pack& pack) const {
      constexpr int64_t kAtATime = 64;
      std::array<const void*, kAtATime> list;
      for (int64_t first = 0; first < count; first += kAtATime) {
        const int64_t n = std::min(kAtATime, (s_.is_bf16 ? up(count, 2) : count) - first);
        for (int64_t i = 0; i < n; ++i) list[static_cast<std::size_t>(i)] = address(first + i);
        pack(list.data(), first, n);
      }
    }
    [[nodiscard]] int64_t pixel_words(int64_t channels) const {
      return s_.is_bf16 ? up(channels, kGemmLanes) : channels;
    }

    // The pixels of a line that a shared tap is multiplied by: `count` of them, every step-th from `first` on, or of
    // their differences.
    struct Pixels {
      bool are_differences;
      int64_t first, step, count;
    };
    [[nodiscard]] Pixels pixels_of(Point point) const {
      const bool share = columns_share(s_.words());
      const int64_t half = (count_ + 1) / 2;
      switch (point) {
        case Point::even: break;
        case Point::before: return share ? Pixels{true, 0, 2, half} : Pixels{false, 0, 1, count_};
        case Point::behind: return share ? Pixels{true, 1, 2, count_ / 2} : Pixels{false, 1, 1, count_};
        case Point::middle: return share ? Pixels{false, 1, 2, half} : Pixels{};
      }
      return {false, 0, 1, count_};
    }
    using Line = std::array<Words, kSharedTaps>;

    // Memory of a line: its pixels, then their differences.
    [[nodiscard]] char* line_at(int64_t slot) const {
      return words<char>(s_.rows) + static_cast<std::size_t>(slot * 2 * s_.row_pixels() * s_.first) * s_.element();
    }
    // The packed operands of the line in that slot; makes its differences.
    Line line_of(int64_t slot) const {
      char* pixels = line_at(slot);
      char* beside = pixels + static_cast<std::size_t>(s_.row_pixels() * s_.first) * s_.element();
      if (columns_share(s_.words())) differences_beside(s_.is_bf16, pixels, s_.first, count_, beside);
      Line line = {};
      uint32_t* to = words<uint32_t>(s_.row_pairs) + slot * s_.pair_words();
      for (std::size_t i = 0; i < kSharedTaps; ++i) {
        const Pixels p = pixels_of(static_cast<Point>(i));
        const char* from =
            (p.are_differences ? beside : pixels) + static_cast<std::size_t>(p.first * s_.first) * s_.element();
        if (!s_.is_bf16) {
          line[i] = {reinterpret_cast<const uint32_t*>(from), p.step * s_.first};
        } else if (i > 0 && from == pixels) {
          line[i] = line[0];
        } else {
          line[i] = {in_words(from, s_.first, p.step, p.count, to), up(s_.first, kGemmLanes)};
          to += s_.depth(p.count) * up(s_.first, kGemmLanes);
        }
      }
      return line;
    }
    // A row of the small image, packed, from the column block's first pixel on.
    const Line& row(int64_t row) {
      for (; have_ < row; ++have_) {
        const int64_t i = have_ + 1;
        source_.read(image_, i, column_, count_ + 2, line_at(i & 1));
        lines_[static_cast<std::size_t>(i & 1)] = line_of(i & 1);
      }
      return lines_[static_cast<std::size_t>(row & 1)];
    }
    // Row a less row b, packed.
    Line difference(int64_t a, int64_t b) {
      row(std::max(a, b));
      subtract(s_.is_bf16, line_at(a & 1), line_at(b & 1), (count_ + 2) * s_.first, line_at(2));
      return line_of(2);
    }

    // Adds the products of lines i and i + 1 of the small image with rows 2 * i to 2 * i + 3 of the blurred gradient.
    void add_pair(int64_t i) {
      float *even = blurred(0), *before = blurred(1), *behind = even;
      if (!columns_share(s_.words())) {
        // Then rows share none either, and each line of the gradient is packed once for both of its taps.
        for (int64_t row = i; row < i + 2; ++row) {
          if (blur(2 * row, even)) add_line(even, Point::even, this->row(row));
          if (blur(2 * row + 1, even)) add_line(even, Point::before, this->row(row), &this->row(row + 1));
        }
        return;
      }
      if (blur(2 * i, even)) add_line(even, Point::even, row(i));
      const bool is_before = blur(2 * i + 1, before);
      if (is_before) add_line(before, Point::before, difference(i, i + 1));
      if (blur(2 * i + 2, even)) add_line(even, Point::even, row(i + 1));
      const bool is_behind = blur(2 * i + 3, behind);
      if (is_behind) add_line(behind, Point::behind, difference(i + 2, i + 1));
      if (is_before && is_behind) add_run(before, behind, s_.blurred_floats());
      if (is_before || is_behind) add_line(is_behind ? behind : before, Point::middle, row(i + 1));
    }

    [[nodiscard]] float* blurred(int64_t index) const { return words<float>(s_.blurred) + index * s_.blurred_floats(); }
    // Row r of the blurred gradient in the column block: of each panel the even pixels and then the odd ones. False
    // where it is zero.
    bool blur(int64_t r, float* to) const {
      auto* mixed = words<float>(s_.mixed);
      if (!s_.gradient->blur_columns(kernel_.at_.src[1], image_, r, column_, count_, mixed)) return false;
      for (int64_t panel = 0; panel < s_.panels; ++panel) {
        for (int64_t phase = 0; phase < 2; ++phase) {
          s_.gradient->blur_row(mixed, phase, count_, panel * s_.width, s_.real_columns(panel),
                                to + (2 * panel + phase) * s_.column_block * s_.width, s_.width);
        }
      }
      return true;
    }

    // Adds the products of a line of the blurred gradient and a line of the small image to the sums of vertical tap h;
    // and the products with line `behind` to those of vertical tap SharedTap::behind.
    void add_line(const float* gradient, Point h, const Line& line, const Line* behind = nullptr) const {
      for (int64_t panel = 0; panel < s_.panels; ++panel) {
        const Line right = gradient_line(gradient + 2 * panel * s_.column_block * s_.width);
        const auto add = [&](const Line& left, Point of_line) {
          for (std::size_t i = 0; i < kSharedTaps; ++i) {
            const auto w = static_cast<Point>(i);
            const int64_t count = pixels_of(w).count;
            if (count == 0) continue;
            multiply(left[i], s_.first, right[i], s_.depth(count), panel,
                     sums_ + s_.sums_at(product_index(of_line, w), panel));
          }
        };
        add(line, h);
        if (behind != nullptr) add(*behind, Point::behind);
      }
    }

    // Packs a panel's line of the blurred gradient for each shared tap: the even pixels, and the odd ones that the tap
    // meets; for the middle, sums of two odd pixels.
    Line gradient_line(const float* even) const {
      const float* odd = even + s_.column_block * s_.width;
      auto* middles = words<float>(s_.middles);
      for (int64_t m = 0; m < pixels_of(Point::middle).count; ++m) {
        const float* const beside[2] = {odd + 2 * m * s_.width, odd + (2 * m + 1) * s_.width};
        add_floats(beside, 2 * m + 1 < count_ ? 2 : 1, s_.width, middles + m * s_.width);
      }
      Line line = {};
      uint32_t* to = words<uint32_t>(s_.right_pairs);
      for (std::size_t i = 0; i < kSharedTaps; ++i) {
        const auto point = static_cast<Point>(i);
        const Pixels p = pixels_of(point);
        const float* from = point == Point::even     ? even
                            : point == Point::middle ? middles
                            : p.step == 2            ? odd + p.first * s_.width
                                                     : odd;
        const int64_t step = (point == Point::middle ? 1 : p.step) * s_.width;
        line[i] = {reinterpret_cast<const uint32_t*>(from), step};
        if (!s_.is_bf16) continue;
        if (point == Point::behind && p.step == 1) {
          line[i] = line[i - 1];
          continue;
        }
        line[i] = {to, s_.width};
        for (int64_t k = 0; k < p.count; k += 2, to += s_.width) {
          const float* low = from + k * step;
          k + 1 < p.count ? pair_pixels(low, low + step, s_.width, to) : pair_with_zero(low, s_.width, to);
        }
      }
      return line;
    }

    // Packs an even number of pixels of diff_dst, `step` elements apart, of one panel.
    Words plain(const char* pixels, int64_t step, int64_t count, int64_t panel) const {
      const int64_t columns = s_.real_columns(panel);
      if (!s_.is_bf16 && columns % kGemmLanes == 0) {
        return {reinterpret_cast<const uint32_t*>(pixels) + panel * s_.width, step};
      }
      auto* to = words<uint32_t>(s_.plain_row);
      pack_all(
          count, [&](int64_t i) { return pixels + static_cast<std::size_t>(i * step) * s_.element(); },
          [&](const void* const* list, int64_t first, int64_t n) {
            s_.loops->pack(s_.is_bf16, list, n, panel * s_.width, columns,
                           to + (s_.is_bf16 ? first / 2 : first) * s_.width, s_.width);
          });
      return {to, s_.width};
    }

    // A row of the second activation, packed, from the pixel that tap kw of the first output sees.
    const uint32_t* second_row(int64_t row, int64_t kw) {
      const int64_t pixels = 2 * s_.column_block + 3, all_words = (s_.column_block + 2) * pixel_words(s_.second);
      const auto row_at = [&](int64_t i) {
        return words<char>(s_.second_rows) + static_cast<std::size_t>((i & 3) * 2 * pixels * s_.second) * s_.element();
      };
      const auto pairs = [&](int64_t i, int64_t by) {
        return words<uint32_t>(s_.second_pairs) + ((i & 3) * 2 + by) * all_words;
      };
      for (; have_second_ < row; ++have_second_) {
        const int64_t i = have_second_ + 1, count = end_ - begin_ + 2;
        source_.read_second(image_, i, begin_ - 1, count, row_at(i));
        if (!s_.is_bf16) continue;
        in_words(row_at(i), s_.second, 1, count, pairs(i, 0));
        in_words(row_at(i) + static_cast<std::size_t>(s_.second) * 2, s_.second, 1, count - 2, pairs(i, 1));
      }
      if (s_.is_bf16) return pairs(row, kw % 2) + kw / 2 * pixel_words(s_.second);
      return reinterpret_cast<const uint32_t*>(row_at(row)) + kw * s_.second;
    }

    // Adds the products of unblurred diff_dst, of the two rows of dst that belong to row i of the small image.
    void add_rows(int64_t i) {
      if (i < 0 || i >= source_.h().extent || begin_ >= end_) return;
      add_columns_of_frame(2 * i);
      for (int64_t t = 2 * i; t < 2 * i + 2; ++t) {
        if (s_.second > 0 || t == 0 || t == s_.dst.h - 1) add_row(t);
      }
    }

    // Row t of diff_dst with the second activation, and with the rows of the frame.
    void add_row(int64_t t) {
      const int64_t count = end_ - begin_;
      if (s_.second > 0) second_row(t + 1, 0);
      for (int64_t panel = 0; panel < s_.panels; ++panel) {
        const Words right = plain(gradient(t, begin_), s_.dst.c, count, panel);
        const auto add = [&](const uint32_t* left, int64_t channels, int64_t sums) {
          multiply({left, pixel_words(channels)}, channels, right, s_.depth(count), panel, sums_ + sums);
        };
        for (int64_t tap = 0; tap < 9 && s_.second > 0; ++tap) {
          add(second_row(t + tap / 3 - 1, tap % 3), s_.second, s_.second_sums_at(tap, panel));
        }
        const auto add_frame = [&](Side side, int64_t first_tap) {
          const auto* line = static_cast<const char*>(source_.frame(image_, side));
          for (int64_t k = 0; k < 3 && line != nullptr; ++k) {
            const char* pixels = line + static_cast<std::size_t>((begin_ + k) * s_.first) * s_.element();
            add(in_words(pixels, s_.first, 1, count, words<uint32_t>(s_.pairs)), s_.first,
                s_.sums_at(product_of_tap(first_tap + k), panel));
          }
        };
        if (t == 0) add_frame(Side::top, 0);
        if (t == s_.dst.h - 1) add_frame(Side::bottom, 6);
      }
    }

    // Rows t and t + 1 of diff_dst, at the image's left and right side, with the columns of the frame.
    void add_columns_of_frame(int64_t t) {
      const auto add = [&](Side side, int64_t column, int64_t first_tap) {
        const auto* line = static_cast<const char*>(source_.frame(image_, side));
        if (line == nullptr) return;
        for (int64_t panel = 0; panel < s_.panels; ++panel) {
          const Words right = plain(gradient(t, column), s_.dst.stride_h, 2, panel);
          for (int64_t k = 0; k < 3; ++k) {
            const uint32_t* left = in_words(line + static_cast<std::size_t>((t + k) * s_.first) * s_.element(),
                                            s_.first, 1, 2, words<uint32_t>(s_.pairs));
            multiply({left, pixel_words(s_.first)}, s_.first, right, s_.depth(2), panel,
                     sums_ + s_.sums_at(product_of_tap(first_tap + 3 * k), panel));
          }
        }
      };
      if (begin_ == 0) add(Side::left, 0, 0);
      if (end_ == s_.dst.w) add(Side::right, s_.dst.w - 1, 2);
    }

    const BlurLastGradWeights& kernel_;
    const Schedule& s_;
    const UpsampledSource& source_;
    int64_t thread_;
    float* sums_;
    int64_t image_, column_, count_;      // pixels of the small image
    int64_t begin_, end_;                 // and of diff_dst
    int64_t have_ = 0, have_second_ = 0;  // the last rows that were read
    std::array<Line, 2> lines_ = {};      // of the last two rows
  };

  // Adds the parts' sums, in the order of the parts, and the shared products of each tap, to diff_weights.
  void finish() const {
    const Schedule& s = *schedule_;
    parallel_ranges(s.sums_floats(), kGemmLanes, [&](int64_t begin, int64_t end) {
      add_parts(sums_of(0) + begin, end - begin, s.sums_floats(), s.parts);
    });
    auto* weights = static_cast<float*>(at_.dst[0]);
    const float* sums = sums_of(0);
    parallel_for(9 * s.channels(), [&](int64_t i) {
      const int64_t tap = i / s.channels(), channel = i % s.channels();
      for (int64_t panel = 0; panel < s.panels; ++panel) {
        std::array<const float*, 4> terms = {};
        std::size_t count = 0;
        if (channel < s.first) {
          for_each_product_of_tap(
              tap, [&](int64_t product) { terms[count++] = sums + s.sums_at(product, panel) + channel * s.width; });
        } else {
          terms[count++] = sums + s.second_sums_at(tap, panel) + (channel - s.first) * s.width;
        }
        add_floats(terms.data(), count, s.real_columns(panel), weights + i * s.dst.c + panel * s.width);
      }
    });
  }

  std::shared_ptr<const Schedule> schedule_;
  UpsampledSource source_;
  Addresses at_;
};

}  // namespace

Answer plan_blur_last_grad_weights(const PlanContext&, const Convolution& conv) {
  const GemmLoops* loops = gemm_loops(conv.src.dtype);
  if (conv.has_bias) return Declined{"a gradient of the bias"};
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
  s.gradient.emplace(s.source->h(), s.source->w(), s.dst, s.is_bf16);
  s.first = s.source->channels();
  s.second = s.source->second_channels();
  s.width = std::min(kVectors * kGemmLanes, up(s.dst.c, kGemmLanes));
  s.panels = (s.dst.c + s.width - 1) / s.width;
  const int64_t sums_bytes = s.sums_floats() * 4;
  if (sums_bytes > kSumsBytes) return Declined{"more than 2 MiB of sums"};

  const int64_t threads = omp_get_max_threads(), w = s.source->w().extent + 2;
  const int64_t most = std::max<int64_t>(kBlurredBytes / (4 * s.panels * s.width * 4), kGemmLanes);
  s.column_block = up(even_piece(w, most), 2);
  s.column_blocks = (w + s.column_block - 1) / s.column_block;
  const int64_t parts = std::clamp<int64_t>(kPartsSumsBytes / sums_bytes, 1, kPartsPerThread);
  s.parts = std::min(parts * threads, parts_of(s.dst.n * s.column_blocks * s.pairs_of_lines()));

  const auto bytes = [](int64_t words) { return static_cast<std::size_t>(words) * 4; };
  s.sums = offsets.add(bytes(s.parts * s.sums_floats()));
  ScratchLayout of_thread;
  const auto add = [&](int64_t words) { return offsets.end() + of_thread.add(bytes(words)); };
  const int64_t first_words = up(s.first, kGemmLanes), second_words = up(s.second, kGemmLanes);
  s.rows = add(3 * 2 * s.row_pixels() * s.first);
  if (s.is_bf16) s.row_pairs = add(3 * s.pair_words());
  s.second_rows = add(4 * 2 * (2 * s.column_block + 3) * s.second);
  if (s.is_bf16) s.second_pairs = add(4 * 2 * (s.column_block + 2) * second_words);
  if (s.is_bf16) s.pairs = add((s.column_block + 2) * first_words);
  s.mixed = add(s.gradient->mixed_floats(s.column_block));
  s.blurred = add(2 * s.blurred_floats());
  s.middles = add((s.column_block / 2 + 1) * s.width);
  if (s.is_bf16) s.right_pairs = add(s.pairs_in_line() * s.width);
  s.plain_row = add((2 * s.column_block + 2) * s.width);
  s.thread_bytes = of_thread.end();

  const NormalizedSource all(conv);
  KernelPlan plan{.src = all.inputs(dst),
                  .dst = {with_tag(conv.weights, Tag::hwio)},
                  .scratch_bytes = offsets.end() + s.thread_bytes * static_cast<std::size_t>(threads),
                  .implementation = isa_of(*loops, conv.src.dtype),
                  .rounding = all.rounding(),
                  .kernel = nullptr};
  plan.kernel = std::make_unique<BlurLastGradWeights>(std::move(schedule));
  return plan;
}

}  // namespace hourglass::kernels
