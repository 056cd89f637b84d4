#include "ops/detail/stretched_grad_weights.h"

#include <algorithm>
#include <array>

#include "ops/detail/loop.h"
#include "ops/detail/offsets.h"
#include "ops/detail/onednn.h"
#include "ops/detail/stretched_gradient.h"
#include "ops/detail/stretched_source.h"
#include "ops/detail/view.h"
#include "ops/detail/winograd.h"
#include "ops/detail/winograd_loops.h"

namespace hourglass::detail {
namespace {

using Side = StretchedSource::Side;

constexpr int64_t kLanes = 16;
// Vectors of columns and rows of one product: its sums stay in registers for all of its depth.
constexpr int64_t kVectors = 4, kRows = 24;
// Of a strip, the blurred gradient of two rows stays in a thread's second-level cache beside the sums.
constexpr int64_t kBlurredBytes = 128 << 10;
// A part's sums; a thread has several parts where theirs are no more than this together.
constexpr int64_t kSumsBytes = 1 << 20, kPartsSumsBytes = 256 << 10;

// Two pixels of floats to words of pairs of bf16.
HG_CLONES void pair_pixels(const float* low, const float* high, int64_t count, uint32_t* words) {
  for (int64_t i = 0; i < count; ++i) {
    BFloat16 l, h;
    store(&l, low[i]);
    store(&h, high[i]);
    words[i] = static_cast<uint32_t>(l.bits) | static_cast<uint32_t>(h.bits) << 16;
  }
}

struct Layout {
  Convolution conv;
  const WinogradLoops* loops = nullptr;
  bool is_bf16 = false;
  std::optional<StretchedSource> source;
  std::optional<StretchedGradient> gradient;
  View dst;
  int64_t first = 0, second = 0;  // channels
  int64_t width = 0, panels = 0;  // of columns: dst's channels
  int64_t strip = 1, strips = 1;  // pixels of a row of the small image, from -1 to its extent, at a time
  int64_t parts = 1;
  std::size_t sums = 0, zeros = 0;
  // Of each thread: rows of the sources, as they are and in pairs; the gradient, blurred along columns and then along
  // rows, and as it is.
  std::size_t rows = 0, row_pairs = 0, second_rows = 0, second_pairs = 0, pairs = 0, mixed = 0, blurred = 0,
              plain_row = 0, floats = 0;
  std::size_t thread_bytes = 0;

  [[nodiscard]] std::size_t element() const { return is_bf16 ? 2 : 4; }
  [[nodiscard]] int64_t columns(int64_t panel) const { return std::min(width, up(dst.c, kLanes) - panel * width); }
  [[nodiscard]] int64_t real_columns(int64_t panel) const { return std::min(width, dst.c - panel * width); }
  [[nodiscard]] int64_t channels() const { return first + second; }
  // Of a part: [tap][channel][dst's channels, panel by panel].
  [[nodiscard]] int64_t sums_floats() const { return 9 * channels() * panels * width; }
  // Where the sums of a tap and of channels from `channel` on are, of one panel.
  [[nodiscard]] int64_t sums_at(int64_t tap, int64_t panel, int64_t channel) const {
    return ((tap * panels + panel) * channels() + channel) * width;
  }
  // Words that `pixels` are in depth: in bf16 two are one.
  [[nodiscard]] int64_t depth(int64_t pixels) const { return is_bf16 ? (pixels + 1) / 2 : pixels; }
  [[nodiscard]] int64_t lines() const { return source->h().extent + 2; }  // of the small image, from -1 on
};

class StretchedGradWeights final : public ConvolutionKernel {
 public:
  explicit StretchedGradWeights(std::shared_ptr<const Layout> layout)
      : layout_(std::move(layout)), source_(*layout_->source) {}
  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    const Layout& l = *layout_;
    source_.prepare(at_, alone());
    const int64_t all = l.dst.n * l.strips * l.lines();
    parallel_parts(l.parts, [&](int64_t thread, const auto& take) {
      for (int64_t part = take(); part >= 0; part = take()) {
        std::fill_n(sums_of(part), l.sums_floats(), 0.0F);
        const int64_t end = all * (part + 1) / l.parts;
        for (int64_t at = all * part / l.parts; at < end;) {
          const int64_t line = at % l.lines(), count = std::min(end - at, l.lines() - line);
          Run(*this, thread, part, at / l.lines()).add(line - 1, count);
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
                                static_cast<std::size_t>(thread) * layout_->thread_bytes + offset);
  }
  [[nodiscard]] float* sums_of(int64_t part) const {
    return words<float>(0, layout_->sums) + part * layout_->sums_floats();
  }

  // Lines of one strip of an image, one after another.
  class Run {
   public:
    Run(const StretchedGradWeights& kernel, int64_t thread, int64_t part, int64_t strip)
        : kernel_(kernel),
          l_(*kernel.layout_),
          source_(kernel.source_),
          thread_(thread),
          sums_(kernel.sums_of(part)),
          image_(strip / l_.strips),
          column_(strip % l_.strips * l_.strip - 1),
          count_(std::min(l_.strip, source_.w().extent + 1 - column_)),
          begin_(std::max<int64_t>(2 * column_, 0)),
          end_(std::min(2 * (column_ + count_), l_.dst.w)) {}

    // Lines [line, line + count) of the small image, from -1 on.
    void add(int64_t line, int64_t count) {
      have_ = line - 1;
      have_second_ = std::max<int64_t>(2 * line, 0) - 2;
      for (int64_t i = line; i < line + count; ++i) {
        add_convolved(2 * i);
        if (i < source_.h().extent) add_convolved(2 * i + 1);
        if (i < 0 || i >= source_.h().extent || begin_ >= end_) continue;
        add_columns_of_frame(2 * i);
        for (int64_t t = 2 * i; t < 2 * i + 2; ++t) {
          if (l_.second > 0 || t == 0 || t == l_.dst.h - 1) add_row(t);
        }
      }
    }

   private:
    template <class T>
    [[nodiscard]] T* words(std::size_t offset) const {
      return kernel_.words<T>(thread_, offset);
    }
    [[nodiscard]] const char* gradient(int64_t t, int64_t column) const {
      return static_cast<const char*>(kernel_.at_.src[1]) +
             static_cast<std::size_t>(l_.dst.offset(image_, 0, t, column)) * l_.element();
    }

    // The products' right side.
    struct Right {
      const uint32_t* words;
      int64_t step;
    };
    // sums (+)= of `depth` words of `channels` of pixels and of the panel's columns.
    void multiply(const uint32_t* pixels, int64_t pixel_words, int64_t channels, const Right& right, int64_t depth,
                  int64_t panel, float* sums) const {
      for (int64_t c = 0; c < channels; c += kRows) {
        l_.loops->multiply(l_.is_bf16, {.a = pixels + c,
                                        .a_row = 1,
                                        .a_step = pixel_words,
                                        .b = right.words,
                                        .b_step = right.step,
                                        .c = sums + c * l_.width,
                                        .c_row = l_.width,
                                        .rows = std::min(kRows, channels - c),
                                        .vectors = l_.columns(panel) / kLanes,
                                        .depth = depth,
                                        .add = true});
      }
    }

    // `count` pixels, `channels` each, as words: in bf16 in pairs, put into `to`.
    const uint32_t* in_words(const void* pixels, int64_t channels, int64_t count, uint32_t* to) const {
      if (!l_.is_bf16) return static_cast<const uint32_t*>(pixels);
      const auto* from = static_cast<const uint16_t*>(pixels);
      const int64_t row = up(channels, kLanes);
      pack_all(
          count, [&](int64_t i) { return from + std::min(i, count - 1) * channels; },
          [&](const void* const* list, int64_t first, int64_t n) {
            l_.loops->pack(true, list, n, 0, channels, to + first / 2 * row, row);
          });
      return to;
    }
    // pack(addresses, first, n) of all pixels, some at a time; in bf16 an even number of them.
    template <typename Address, typename Pack>
    void pack_all(int64_t count, const Address& address, const Pack& pack) const {
      constexpr int64_t kAtATime = 64;
      std::array<const void*, kAtATime> list;
      for (int64_t first = 0; first < count; first += kAtATime) {
        const int64_t n = std::min(kAtATime, (l_.is_bf16 ? up(count, 2) : count) - first);
        for (int64_t i = 0; i < n; ++i) list[static_cast<std::size_t>(i)] = address(first + i);
        pack(list.data(), first, n);
      }
    }
    [[nodiscard]] int64_t pixel_words(int64_t channels) const { return l_.is_bf16 ? up(channels, kLanes) : channels; }

    // Row of the small image, from the strip's first pixel or the one behind it on.
    const uint32_t* row(int64_t row, int64_t shift) {
      const int64_t pixels = l_.strip + 2, all_words = (l_.strip / 2 + 1) * pixel_words(l_.first);
      const auto place = [&](int64_t i) {
        return words<char>(l_.rows) + static_cast<std::size_t>((i & 1) * 2 * pixels * l_.first) * l_.element();
      };
      const auto pairs = [&](int64_t i, int64_t by) {
        return words<uint32_t>(l_.row_pairs) + ((i & 1) * 2 + by) * all_words;
      };
      for (; have_ < row; ++have_) {
        const int64_t i = have_ + 1;
        source_.read(image_, i, column_, count_ + 2, place(i));
        if (!l_.is_bf16) continue;
        for (int64_t by = 0; by < 2; ++by) {
          in_words(place(i) + static_cast<std::size_t>(by * l_.first) * 2, l_.first, up(count_, 2), pairs(i, by));
        }
      }
      if (l_.is_bf16) return pairs(row, shift);
      return reinterpret_cast<const uint32_t*>(place(row)) + shift * l_.first;
    }

    // Row r of the blurred gradient, with all taps that its pixels meet.
    void add_convolved(int64_t r) {
      if (!blur(r)) return;
      const int64_t i = (r - (r & 1)) / 2, depth = l_.depth(count_), step = pixel_words(l_.first);
      const auto add = [&](const uint32_t* pixels, int64_t tap, int64_t phase) {
        for (int64_t panel = 0; panel < l_.panels; ++panel) {
          multiply(pixels, step, l_.first, {blurred(panel, phase), l_.width}, depth, panel,
                   sums_ + l_.sums_at(tap, panel, 0));
        }
      };
      const auto add_row = [&](int64_t at, int64_t kh) {
        add(row(at, 0), 3 * kh + 1, 0);
        add(row(at, 0), 3 * kh, 1);
        add(row(at, 1), 3 * kh + 2, 1);
      };
      if ((r & 1) == 0) {
        add_row(i, 1);
      } else {
        row(i + 1, 0);
        add_row(i, 0);
        add_row(i + 1, 2);
      }
    }

    [[nodiscard]] uint32_t* blurred(int64_t panel, int64_t phase) const {
      return words<uint32_t>(l_.blurred) + (panel * 2 + phase) * l_.depth(l_.strip) * l_.width;
    }

    // Even and odd pixels of row r of the blurred gradient, of the strip's columns. False where it is zero.
    bool blur(int64_t r) const {
      auto* mixed = words<float>(l_.mixed);
      if (!l_.gradient->blur_columns(kernel_.at_.src[1], image_, r, column_, count_, mixed)) return false;
      for (int64_t panel = 0; panel < l_.panels; ++panel) {
        for (int64_t phase = 0; phase < 2; ++phase) {
          auto* floats = l_.is_bf16 ? words<float>(l_.floats) : reinterpret_cast<float*>(blurred(panel, phase));
          l_.gradient->blur_row(mixed, phase, count_, panel * l_.width, l_.real_columns(panel), floats, l_.width);
          if (l_.is_bf16) pair(floats, count_, blurred(panel, phase));
        }
      }
      return true;
    }

    // Pixels of floats, a panel's, to pairs; behind the last of an odd number stands zero.
    void pair(float* floats, int64_t count, uint32_t* to) const {
      if (count % 2 != 0) std::fill_n(floats + count * l_.width, l_.width, 0.0F);
      for (int64_t i = 0; i < count; i += 2) {
        pair_pixels(floats + i * l_.width, floats + (i + 1) * l_.width, l_.width, to + i / 2 * l_.width);
      }
    }

    // `count` pixels of the gradient, `step` elements apart, of one panel.
    Right plain(const char* pixels, int64_t step, int64_t count, int64_t panel) const {
      const int64_t columns = l_.real_columns(panel);
      if (!l_.is_bf16 && columns % kLanes == 0) {
        return {reinterpret_cast<const uint32_t*>(pixels) + panel * l_.width, step};
      }
      auto* to = words<uint32_t>(l_.plain_row);
      const char* zeros = kernel_.words<char>(0, l_.zeros);
      pack_all(
          count,
          [&](int64_t i) { return i < count ? pixels + static_cast<std::size_t>(i * step) * l_.element() : zeros; },
          [&](const void* const* list, int64_t first, int64_t n) {
            l_.loops->pack(l_.is_bf16, list, n, panel * l_.width, columns,
                           to + (l_.is_bf16 ? first / 2 : first) * l_.width, l_.width);
          });
      return {to, l_.width};
    }

    // Of the second activation, from the pixel that the first output's tap kw sees on.
    const uint32_t* second_row(int64_t row, int64_t kw) {
      const int64_t pixels = 2 * l_.strip + 3, all_words = (l_.strip + 2) * pixel_words(l_.second);
      const auto place = [&](int64_t i) {
        return words<char>(l_.second_rows) + static_cast<std::size_t>((i & 3) * 2 * pixels * l_.second) * l_.element();
      };
      const auto pairs = [&](int64_t i, int64_t by) {
        return words<uint32_t>(l_.second_pairs) + ((i & 3) * 2 + by) * all_words;
      };
      for (; have_second_ < row; ++have_second_) {
        const int64_t i = have_second_ + 1, count = end_ - begin_ + 2;
        source_.read_second(image_, i, begin_ - 1, count, place(i));
        if (!l_.is_bf16) continue;
        in_words(place(i), l_.second, count, pairs(i, 0));
        in_words(place(i) + static_cast<std::size_t>(l_.second) * 2, l_.second, count - 2, pairs(i, 1));
      }
      if (l_.is_bf16) return pairs(row, kw % 2) + kw / 2 * pixel_words(l_.second);
      return reinterpret_cast<const uint32_t*>(place(row)) + kw * l_.second;
    }

    // Row t of the gradient as it is: with the second activation, and with the frame's rows.
    void add_row(int64_t t) {
      const int64_t count = end_ - begin_;
      if (l_.second > 0) second_row(t + 1, 0);
      for (int64_t panel = 0; panel < l_.panels; ++panel) {
        const Right right = plain(gradient(t, begin_), l_.dst.c, count, panel);
        const auto add = [&](const uint32_t* left, int64_t channels, int64_t channel, int64_t tap) {
          multiply(left, pixel_words(channels), channels, right, l_.depth(count), panel,
                   sums_ + l_.sums_at(tap, panel, channel));
        };
        for (int64_t tap = 0; tap < 9 && l_.second > 0; ++tap) {
          add(second_row(t + tap / 3 - 1, tap % 3), l_.second, l_.first, tap);
        }
        const auto add_frame = [&](Side side, int64_t first_tap) {
          const auto* line = static_cast<const char*>(source_.frame(image_, side));
          for (int64_t k = 0; k < 3 && line != nullptr; ++k) {
            const char* pixels = line + static_cast<std::size_t>((begin_ + k) * l_.first) * l_.element();
            add(in_words(pixels, l_.first, count, words<uint32_t>(l_.pairs)), l_.first, 0, first_tap + k);
          }
        };
        if (t == 0) add_frame(Side::top, 0);
        if (t == l_.dst.h - 1) add_frame(Side::bottom, 6);
      }
    }

    // Rows t and t + 1 of the gradient at the image's sides, with the frame's columns.
    void add_columns_of_frame(int64_t t) {
      const auto add = [&](Side side, int64_t column, int64_t first_tap) {
        const auto* line = static_cast<const char*>(source_.frame(image_, side));
        if (line == nullptr) return;
        for (int64_t panel = 0; panel < l_.panels; ++panel) {
          const Right right = plain(gradient(t, column), l_.dst.stride_h, 2, panel);
          for (int64_t k = 0; k < 3; ++k) {
            const uint32_t* left = in_words(line + static_cast<std::size_t>((t + k) * l_.first) * l_.element(),
                                            l_.first, 2, words<uint32_t>(l_.pairs));
            multiply(left, pixel_words(l_.first), l_.first, right, l_.depth(2), panel,
                     sums_ + l_.sums_at(first_tap + 3 * k, panel, 0));
          }
        }
      };
      if (begin_ == 0) add(Side::left, 0, 0);
      if (end_ == l_.dst.w) add(Side::right, l_.dst.w - 1, 2);
    }

    const StretchedGradWeights& kernel_;
    const Layout& l_;
    const StretchedSource& source_;
    int64_t thread_;
    float* sums_;
    int64_t image_, column_, count_;      // pixels of the small image
    int64_t begin_, end_;                 // and of the gradient
    int64_t have_ = 0, have_second_ = 0;  // the last rows that were read
  };

  // The parts' sums to the weights.
  void finish() const {
    const Layout& l = *layout_;
    parallel_ranges(l.sums_floats(), kLanes, [&](int64_t begin, int64_t end) {
      add_parts(sums_of(0) + begin, end - begin, l.sums_floats(), l.parts);
    });
    auto* weights = static_cast<float*>(at_.dst[0]);
    parallel_for(9 * l.channels(), [&](int64_t i) {
      for (int64_t panel = 0; panel < l.panels; ++panel) {
        std::copy_n(sums_of(0) + l.sums_at(i / l.channels(), panel, i % l.channels()), l.real_columns(panel),
                    weights + i * l.dst.c + panel * l.width);
      }
    });
  }

  std::shared_ptr<const Layout> layout_;
  StretchedSource source_;
  Addresses at_;
};

}  // namespace

std::optional<KernelPlan> plan_stretched_grad_weights(const Convolution& conv) {
  const WinogradLoops* loops = winograd_loops(conv.src.dtype);
  if (conv.direction != Direction::grad_weights || loops == nullptr || conv.has_bias ||
      conv.dst.dtype != conv.src.dtype || conv.weights.dtype != DType::f32) {
    return std::nullopt;
  }
  Offsets offsets;
  auto layout = std::make_shared<Layout>();
  Layout& l = *layout;
  l.source = StretchedSource::of(conv, offsets);
  if (!l.source) return std::nullopt;
  l.conv = conv;
  l.loops = loops;
  l.is_bf16 = conv.src.dtype == DType::bf16;
  const MemoryDesc dst = with_tag(conv.dst, Tag::nhwc);
  l.dst = view_of(dst);
  l.gradient.emplace(l.source->h(), l.source->w(), l.dst, l.is_bf16);
  l.first = l.source->channels();
  l.second = l.source->second_channels();
  l.width = std::min(kVectors * kLanes, up(l.dst.c, kLanes));
  l.panels = (l.dst.c + l.width - 1) / l.width;
  const int64_t sums_bytes = l.sums_floats() * 4;
  if (sums_bytes > kSumsBytes) return std::nullopt;

  const int64_t threads = omp_get_max_threads(), w = l.source->w().extent + 2;
  const int64_t most = std::max<int64_t>(kBlurredBytes / (4 * l.panels * l.width * 4), kLanes);
  l.strip = up(even_piece(w, most), 2);
  l.strips = (w + l.strip - 1) / l.strip;
  const int64_t parts = std::clamp<int64_t>(kPartsSumsBytes / sums_bytes, 1, kPartsPerThread);
  l.parts = std::min(parts * threads, parts_of(l.dst.n * l.strips * l.lines()));

  const auto bytes = [](int64_t words) { return static_cast<std::size_t>(words) * 4; };
  l.sums = offsets.add(bytes(l.parts * l.sums_floats()));
  l.zeros = offsets.add(bytes(up(l.dst.c, kLanes)));
  Offsets of_thread;
  const auto add = [&](int64_t words) { return offsets.end() + of_thread.add(bytes(words)); };
  const int64_t first_words = up(l.first, kLanes), second_words = up(l.second, kLanes);
  l.rows = add(2 * 2 * (l.strip + 2) * l.first);
  if (l.is_bf16) l.row_pairs = add(2 * 2 * (l.strip / 2 + 1) * first_words);
  l.second_rows = add(4 * 2 * (2 * l.strip + 3) * l.second);
  if (l.is_bf16) l.second_pairs = add(4 * 2 * (l.strip + 2) * second_words);
  if (l.is_bf16) l.pairs = add((l.strip + 2) * first_words);
  l.mixed = add(l.gradient->mixed_floats(l.strip));
  l.blurred = add(l.panels * 2 * l.depth(l.strip) * l.width);
  l.plain_row = add((2 * l.strip + 2) * l.width);
  if (l.is_bf16) l.floats = add((l.strip + 1) * l.width);
  l.thread_bytes = of_thread.end();

  const NormalizedSource all(conv);
  KernelPlan plan{.src = all.inputs(dst),
                  .dst = {with_tag(conv.weights, Tag::hwio)},
                  .scratch_bytes = offsets.end() + l.thread_bytes * static_cast<std::size_t>(threads),
                  .implementation = fmt::format("stretched:{}{}", loops->isa, l.is_bf16 ? "_bf16" : ""),
                  .rounding = all.rounding(),
                  .kernel = nullptr};
  plan.kernel = std::make_unique<StretchedGradWeights>(std::move(layout));
  return plan;
}

}  // namespace hourglass::detail
