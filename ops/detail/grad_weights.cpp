#include "ops/detail/grad_weights.h"

#include <algorithm>
#include <array>

#include "ops/detail/amx_loops.h"
#include "ops/detail/loop.h"
#include "ops/detail/normalized_source.h"
#include "ops/detail/offsets.h"
#include "ops/detail/onednn.h"
#include "ops/detail/tile_convolution.h"
#include "ops/detail/view.h"
#include "ops/detail/winograd.h"
#include "ops/detail/winograd_loops.h"

namespace hourglass::detail {
namespace {

constexpr int64_t kLanes = 16;
// A band has about so many pixels, in at most so many rows: AMX keeps a tile of sums in its register for all of them.
constexpr int64_t kBandPixels = 512, kBandRows = 16;
// A thread's sums; those of 128 to 128 channels, 3x3, are the largest that it was measured with.
constexpr int64_t kSumsBytes = 1 << 20;
// All that a thread puts aside. Filters that reach over hundreds of rows would need more.
constexpr std::size_t kPartBytes = 16 << 20;

std::size_t bytes_of(int64_t words) { return static_cast<std::size_t>(words) * 4; }

// A row of the source has its columns by phase: with a stride of 2 the even ones and the odd ones, so that those of one
// tap lie side by side. `row` counts from the first row that the window touches, `place` within the phase.
struct Tap {
  int64_t row = 0, phase = 0, place = 0;
};

// What the products are made of. Rows of the products are the source's channels and columns the gradient's or, swapped,
// the other way round, with one tap then.
struct Sides {
  int64_t src_channels = 0, dst_channels = 0;
  bool swapped = false;
  int64_t width = 0;   // pixels of a row of the gradient
  int64_t places = 0;  // of a phase of a row of the source
  int64_t phases = 1;
  int64_t row_stride = 1, column_stride = 1;  // from a pixel of the gradient to the next, in the source
  bool padded = false;                        // some windows leave the source
  std::vector<Tap> taps;

  [[nodiscard]] int64_t left() const { return swapped ? dst_channels : src_channels; }
  [[nodiscard]] int64_t right() const { return swapped ? src_channels : dst_channels; }
};

// A band's rows, in the form of their side.
struct BandRows {
  const char* const* src = nullptr;  // from the first row of the source that the band touches on
  const char* const* dst = nullptr;  // the gradient's
  int64_t count = 0;                 // of the gradient
};

// One kind of instructions: the form of both sides and of the sums.
class Products {
 public:
  Products(Sides sides, std::string name) : s_(std::move(sides)), name_(std::move(name)) {}
  virtual ~Products() = default;
  [[nodiscard]] const Sides& sides() const { return s_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  // Whether the image's own rows are the form.
  [[nodiscard]] bool src_in_place() const { return s_.swapped ? right_in_place() : left_in_place(); }
  [[nodiscard]] bool dst_in_place() const { return s_.swapped ? left_in_place() : right_in_place(); }
  // Sizes of a phase of a row of the source, and of a row of the gradient.
  [[nodiscard]] std::size_t src_bytes() const { return s_.swapped ? right_bytes() : left_bytes(); }
  [[nodiscard]] std::size_t dst_bytes() const { return s_.swapped ? left_bytes() : right_bytes(); }
  // How many pixels of each are put at a time: at least `places` and `width`.
  [[nodiscard]] int64_t src_pixels() const { return s_.swapped ? right_pixels() : left_pixels(); }
  [[nodiscard]] int64_t dst_pixels() const { return s_.swapped ? left_pixels() : right_pixels(); }
  // Pixels are addresses of their first channel.
  void put_src(const void* const* pixels, char* to) const {
    if (s_.swapped) return put_right(pixels, to);
    put_left(pixels, to);
  }
  void put_dst(const void* const* pixels, char* to) const {
    if (s_.swapped) return put_left(pixels, to);
    put_right(pixels, to);
  }

  // Each thread calls begin() before, and end() after all that it adds.
  virtual void begin() const {}
  virtual void end() const {}
  virtual void add(const BandRows& band, float* sums) const = 0;
  // Floats of a tap, and where row `left` of them has the columns [right, right + 16).
  [[nodiscard]] virtual int64_t tap_floats() const = 0;
  [[nodiscard]] virtual int64_t sums_at(int64_t tap, int64_t left, int64_t right) const = 0;

 protected:
  [[nodiscard]] virtual bool left_in_place() const { return false; }
  [[nodiscard]] virtual bool right_in_place() const { return false; }
  [[nodiscard]] virtual std::size_t left_bytes() const = 0;
  [[nodiscard]] virtual std::size_t right_bytes() const = 0;
  [[nodiscard]] virtual int64_t left_pixels() const = 0;
  [[nodiscard]] virtual int64_t right_pixels() const = 0;
  virtual void put_left(const void* const* pixels, char* to) const = 0;
  virtual void put_right(const void* const* pixels, char* to) const = 0;

  // Both sides of pixel row i of the band, for a tap.
  [[nodiscard]] const char* left(const BandRows& band, const Tap& tap, int64_t i) const {
    return s_.swapped ? band.dst[i] : band.src[tap.row + i * s_.row_stride];
  }
  [[nodiscard]] const char* right(const BandRows& band, int64_t i) const {
    return s_.swapped ? band.src[i * s_.row_stride] : band.dst[i];
  }

  Sides s_;

 private:
  std::string name_;
};

// Vectors of f32, or of two bf16 in a word. The left side is cut into panels of kRows channels, the right one into
// panels of kColumns; a panel has a row of words for each step: a pixel, or two. Few channels of f32 stay where they
// are.
class VectorProducts final : public Products {
 public:
  VectorProducts(Sides sides, bool is_bf16, const WinogradLoops& loops)
      : Products(std::move(sides), fmt::format("products:{}{}", loops.isa, is_bf16 ? "_bf16" : "")),
        loops_(loops),
        is_bf16_(is_bf16),
        per_step_(is_bf16 ? 2 : 1),
        columns_(up(s_.right(), kLanes)) {
    const auto is_odd = [](const Tap& tap) { return tap.place % 2 != 0; };
    if (is_bf16 && std::any_of(s_.taps.begin(), s_.taps.end(), is_odd)) copies_ = 2;
    const auto steps = [&](int64_t pixels) { return up(pixels, per_step_) / per_step_; };
    left_steps_ = steps(s_.swapped ? s_.width : s_.places);
    right_steps_ = steps(s_.width);
    const auto stays = [&](int64_t channels, bool is_src) {
      return !is_bf16 && channels <= kFewChannels && !(is_src && s_.padded);
    };
    left_in_place_ = stays(s_.left(), !s_.swapped);
    right_in_place_ = stays(s_.right(), s_.swapped) && s_.right() % kLanes == 0;
  }

  void add(const BandRows& band, float* sums) const override {
    for (int64_t n = 0; n < columns_; n += kColumns) {
      for (int64_t i = 0; i < band.count; ++i) {
        for (int64_t k = 0; k < right_steps_; k += kSteps) {
          WinogradProduct p{.b_step = right_in_place_ ? s_.right() * (s_.swapped ? s_.column_stride : 1)
                                                      : panel_width(s_.right(), n, kColumns),
                            .c_row = columns_,
                            .vectors = panel_width(s_.right(), n, kColumns) / kLanes,
                            .depth = std::min(kSteps, right_steps_ - k),
                            .add = true};
          p.b = words(right(band, i)) + (right_in_place_ ? n : n * right_steps_) + k * p.b_step;
          for (std::size_t t = 0; t < s_.taps.size(); ++t) {
            p.c = sums + static_cast<int64_t>(t) * tap_floats() + n;
            add_rows(words(left(band, s_.taps[t], i)), s_.taps[t], k, p);
          }
        }
      }
    }
  }
  [[nodiscard]] int64_t tap_floats() const override { return s_.left() * columns_; }
  [[nodiscard]] int64_t sums_at(int64_t tap, int64_t left, int64_t right) const override {
    return tap * tap_floats() + left * columns_ + right;
  }

 protected:
  [[nodiscard]] bool left_in_place() const override { return left_in_place_; }
  [[nodiscard]] bool right_in_place() const override { return right_in_place_; }
  [[nodiscard]] std::size_t left_bytes() const override {
    return bytes_of(left_in_place_ ? 0 : copies_ * copy_words());
  }
  [[nodiscard]] std::size_t right_bytes() const override {
    return bytes_of(right_in_place_ ? 0 : right_steps_ * columns_);
  }
  [[nodiscard]] int64_t left_pixels() const override { return left_steps_ * per_step_ + copies_ - 1; }
  [[nodiscard]] int64_t right_pixels() const override { return right_steps_ * per_step_; }

  void put_left(const void* const* pixels, char* to) const override {
    // Pairs of bf16 begin at even places in the first copy, at odd ones in the second.
    for (int64_t copy = 0; copy < copies_; ++copy) {
      put(pixels + copy, s_.left(), kRows, left_steps_, reinterpret_cast<uint32_t*>(to) + copy * copy_words());
    }
  }
  void put_right(const void* const* pixels, char* to) const override {
    put(pixels, s_.right(), kColumns, right_steps_, reinterpret_cast<uint32_t*>(to));
  }

 private:
  // 48 rows are whole tiles of sums, which have 4, 6, 8 or 12 of them; 64 columns are four vectors, or eight.
  static constexpr int64_t kRows = 48, kColumns = 64;
  // Steps at a time: both panels stay in the first-level cache.
  static constexpr int64_t kSteps = 64;
  // So many lie close enough together: with more, the pixels of a panel meet in few sets of the first-level cache.
  static constexpr int64_t kFewChannels = 64;

  static const uint32_t* words(const char* row) { return reinterpret_cast<const uint32_t*>(row); }
  static int64_t panel_width(int64_t channels, int64_t first, int64_t width) {
    return std::min(up(channels, kLanes) - first, width);
  }
  [[nodiscard]] int64_t copy_words() const { return up(s_.left(), kLanes) * left_steps_; }

  void put(const void* const* pixels, int64_t channels, int64_t panel, int64_t steps, uint32_t* to) const {
    for (int64_t c = 0; c < channels; c += panel) {
      loops_.pack(is_bf16_, pixels, steps * per_step_, c, std::min(panel, channels - c), to + c * steps,
                  panel_width(channels, c, panel));
    }
  }

  // All rows of the products, from step k of the tap on; `p` has all but what its left side needs.
  void add_rows(const uint32_t* row, const Tap& tap, int64_t k, WinogradProduct p) const {
    float* const sums = p.c;
    p.a_row = 1;
    for (int64_t m = 0; m < s_.left(); m += kRows) {
      if (left_in_place_) {
        p.a_step = s_.left() * (s_.swapped ? 1 : s_.column_stride);
        p.a = row + tap.phase * s_.left() + (tap.place + k) * p.a_step + m;
      } else {
        p.a_step = panel_width(s_.left(), m, kRows);
        p.a = row + (tap.phase * copies_ + tap.place % copies_) * copy_words() + m * left_steps_ +
              (tap.place / per_step_ + k) * p.a_step;
      }
      p.c = sums + m * columns_;
      p.rows = std::min(kRows, s_.left() - m);
      loops_.multiply(is_bf16_, p);
    }
  }

  const WinogradLoops& loops_;
  bool is_bf16_;
  int64_t per_step_, columns_, copies_ = 1, left_steps_ = 0, right_steps_ = 0;
  bool left_in_place_ = false, right_in_place_ = false;
};

// AMX: channels of the left side are rows of pixels.
class TileProducts final : public Products {
 public:
  TileProducts(Sides sides, const AmxLoops& loops)
      : Products(std::move(sides), "products:avx512_core_amx_bf16"),
        loops_(loops),
        rows_(up(s_.left(), kLanes)),
        columns_(up(s_.right(), kLanes)),
        width_(up(s_.width, kPixels)) {
    // A tap's last step reads 32 pixels on from its place. An odd number of cache lines, so that the rows of a tile
    // don't meet in one set of a cache.
    const int64_t last_place = s_.places - s_.width;
    row_ = (up(width_ + last_place, kPixels) / kPixels | 1) * kPixels;
  }

  void begin() const override { loops_.begin(); }
  void end() const override { loops_.end(); }
  void add(const BandRows& band, float* sums) const override {
    for (int64_t m = 0; m < rows_; m += 2 * kLanes) {
      for (int64_t n = 0; n < columns_; n += 2 * kLanes) {
        for (std::size_t t = 0; t < s_.taps.size(); ++t) add_tap(band, static_cast<int64_t>(t), m, n, sums);
      }
    }
  }
  [[nodiscard]] int64_t tap_floats() const override { return rows_ * columns_; }
  [[nodiscard]] int64_t sums_at(int64_t tap, int64_t left, int64_t right) const override {
    return tap * tap_floats() + (left / kLanes * (columns_ / kLanes) + right / kLanes) * kTile + left % kLanes * kLanes;
  }

 protected:
  [[nodiscard]] std::size_t left_bytes() const override { return bytes_of(rows_ * row_ / 2); }
  [[nodiscard]] std::size_t right_bytes() const override { return bytes_of(width_ / 2 * columns_); }
  [[nodiscard]] int64_t left_pixels() const override { return row_; }
  [[nodiscard]] int64_t right_pixels() const override { return width_; }
  void put_left(const void* const* pixels, char* to) const override {
    loops_.transpose(pixels, row_, s_.left(), reinterpret_cast<uint16_t*>(to), row_);
  }
  void put_right(const void* const* pixels, char* to) const override {
    loops_.pair(pixels, width_, s_.right(), reinterpret_cast<uint32_t*>(to), width_ / 2 * kLanes);
  }

 private:
  static constexpr int64_t kPixels = 32, kTile = 256;

  void add_tap(const BandRows& band, int64_t t, int64_t m, int64_t n, float* sums) const {
    const Tap& tap = s_.taps[static_cast<std::size_t>(t)];
    const int64_t panel = width_ / 2 * kLanes;
    const uint16_t* lefts[kBandRows];
    const uint32_t* rights[kBandRows];
    for (int64_t i = 0; i < band.count; ++i) {
      lefts[i] = reinterpret_cast<const uint16_t*>(left(band, tap, i)) + (tap.phase * rows_ + m) * row_ + tap.place;
      rights[i] = reinterpret_cast<const uint32_t*>(right(band, i)) + n / kLanes * panel;
    }
    loops_.add_products({.left = lefts,
                         .left_row = row_,
                         .right = rights,
                         .right_column = panel,
                         .pieces = band.count,
                         .steps = width_ / kPixels,
                         .rows = std::min<int64_t>(2, (rows_ - m) / kLanes),
                         .columns = std::min<int64_t>(2, (columns_ - n) / kLanes),
                         .sums = sums + sums_at(t, m, n),
                         .sums_row = columns_ / kLanes * kTile,
                         .sums_column = kTile});
  }

  const AmxLoops& loops_;
  int64_t rows_, columns_, width_, row_ = 0;
};

// Null where the CPU has none for `type`.
std::unique_ptr<const Products> make_products(DType type, Sides sides) {
  if (const AmxLoops* loops = type == DType::bf16 ? tile_loops() : nullptr) {
    return std::make_unique<TileProducts>(std::move(sides), *loops);
  }
  // With few channels, oneDNN's direct convolution is ahead (512x512: 8 to 16 channels on AVX2 7.3 ms against 13, 3 to
  // 8 with stride 2 on AVX-512 0.8 against 1.4).
  const bool few = std::min(sides.src_channels, sides.dst_channels) <= 8 && sides.taps.size() > 1;
  const WinogradLoops* loops = winograd_loops(type);
  if (loops == nullptr || few) return nullptr;
  return std::make_unique<VectorProducts>(std::move(sides), type == DType::bf16, *loops);
}

void add(const float* src, float* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i) dst[i] += src[i];
}

// sums[c] += all pixels' channel c.
template <class T>
HG_CLONES void add_pixels(const T* pixels, int64_t count, int64_t channels, float* sums) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < channels; ++c) sums[c] += load(pixels + i * channels + c);
  }
}

struct Layout {
  Convolution conv;
  std::unique_ptr<const Products> products;
  std::optional<NormalizedSource> normalized;
  View src, dst;
  int64_t parts = 1;
  int64_t band = 1;   // rows of the gradient at a time
  int64_t slots = 1;  // rows of the source that a band touches
  // Bytes from a row's begin to the pixel at each place, or kOutside: of the source phase by phase, and of the
  // gradient.
  std::vector<Dims> src_places;
  Dims dst_places;
  // Offsets into scratch memory: of each part, and of all.
  std::size_t src_rows = 0, dst_rows = 0, sums = 0, bias_row = 0, bias = 0, slot_list = 0, pixel_list = 0;
  std::size_t part_bytes = 0, zeros = 0;
  // A normalised source: its rows, one at a time or, where they are the form of the products, all that a band touches;
  // and the place of a row that becomes one.
  std::size_t normal_rows = 0, normal_buffer = 0, coefficients = 0;
  std::size_t normal_row_bytes = 0;

  [[nodiscard]] std::size_t slot_bytes() const { return src_places.size() * products->src_bytes(); }
  [[nodiscard]] int64_t taps() const { return static_cast<int64_t>(products->sides().taps.size()); }
  [[nodiscard]] std::size_t zero_bytes() const {
    return static_cast<std::size_t>(std::max(src.c, dst.c)) * size_of(conv.src.dtype);
  }
};

class GradWeightsKernel final : public Kernel {
 public:
  explicit GradWeightsKernel(std::shared_ptr<const Layout> layout) : layout_(std::move(layout)) {}
  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    const Layout& l = *layout_;
    std::fill_n(scratch<char>(0, l.zeros), l.zero_bytes(), '\0');
    if (l.normalized) l.normalized->set_coefficients(at_, scratch<float>(0, l.coefficients));
    parallel_for(l.parts, [&](int64_t part) {
      Part mine(*this, part);
      l.products->begin();
      const int64_t rows = l.dst.n * l.dst.h;
      const int64_t end = rows * (part + 1) / l.parts;
      for (int64_t row = rows * part / l.parts; row < end;) {
        const int64_t first = row % l.dst.h;
        const int64_t count = std::min({l.band, l.dst.h - first, end - row});
        mine.add_band(row / l.dst.h, first, count);
        row += count;
      }
      l.products->end();
    });
    finish();
  }

 private:
  template <typename T>
  [[nodiscard]] T* scratch(int64_t part, std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_.scratch) + static_cast<std::size_t>(part) * layout_->part_bytes +
                                offset);
  }
  // A row of the source or the gradient.
  [[nodiscard]] const char* row(const View& view, std::size_t input, int64_t n, int64_t h) const {
    return static_cast<const char*>(at_.src[input]) +
           static_cast<std::size_t>(view.offset(n, 0, h, 0)) * size_of(layout_->conv.src.dtype);
  }

  // A thread's share of the rows.
  class Part {
   public:
    Part(const GradWeightsKernel& kernel, int64_t index) : kernel_(kernel), l_(*kernel.layout_), index_(index) {
      std::fill_n(sums(), l_.taps() * l_.products->tap_floats(), 0.0F);
      if (l_.conv.has_bias) std::fill_n(kernel_.scratch<float>(index, l_.bias), l_.dst.c, 0.0F);
    }

    void add_band(int64_t image, int64_t first, int64_t count) {
      if (image != image_) put_until_ = 0;
      image_ = image;
      const WindowAxis& h = l_.conv.window.h;
      const int64_t begin = first * h.stride, end = (first + count - 1) * h.stride + h.extent();
      const char** src = kernel_.scratch<const char*>(index_, l_.slot_list);
      for (int64_t row = begin; row < end; ++row) {
        const bool read = (row - begin) % h.stride < h.extent();
        src[row - begin] = read ? source(row) : nullptr;
      }
      put_until_ = end;
      std::array<const char*, kBandRows> dst;
      for (int64_t i = 0; i < count; ++i) dst[static_cast<std::size_t>(i)] = gradient(first + i, i);
      l_.products->add({.src = src, .dst = dst.data(), .count = count}, sums());
    }

   private:
    [[nodiscard]] float* sums() const { return kernel_.scratch<float>(index_, l_.sums); }

    const void* const* pixels(const char* row, const Dims& places) {
      const char* zeros = kernel_.scratch<char>(0, l_.zeros);
      const void** pixels = kernel_.scratch<const void*>(index_, l_.pixel_list);
      for (std::size_t i = 0; i < places.size(); ++i) {
        pixels[i] = row == nullptr || places[i] == kOutside ? zeros : row + places[i];
      }
      return pixels;
    }

    // A row of the source, counted from the padding's first.
    const char* source(int64_t row) {
      const WindowAxis& h = l_.conv.window.h;
      const int64_t at = border_source(l_.conv.border, row - h.pad_begin, h.src);
      const auto slot = static_cast<std::size_t>(row % l_.slots);
      if (l_.products->src_in_place())
        return l_.normalized && row < put_until_ ? normal_row(slot) : image_row(at, slot);
      char* to = kernel_.scratch<char>(index_, l_.src_rows + slot * l_.slot_bytes());
      if (row < put_until_) return to;
      const char* from = image_row(at, 0);
      for (std::size_t phase = 0; phase < l_.src_places.size(); ++phase) {
        l_.products->put_src(pixels(from, l_.src_places[phase]), to + phase * l_.products->src_bytes());
      }
      return to;
    }
    // Row `at` of the source, or null outside; a normalised one is made in that slot.
    const char* image_row(int64_t at, std::size_t slot) const {
      if (at == kOutside) return nullptr;
      if (!l_.normalized) return kernel_.row(l_.src, 0, image_, at);
      char* to = normal_row(slot);
      l_.normalized->read(kernel_.at_, kernel_.scratch<float>(0, l_.coefficients), image_, at, 0, l_.src.w, to,
                          kernel_.scratch<char>(index_, l_.normal_buffer));
      return to;
    }
    [[nodiscard]] char* normal_row(std::size_t slot) const {
      return kernel_.scratch<char>(index_, l_.normal_rows + slot * l_.normal_row_bytes);
    }
    const char* gradient(int64_t row, int64_t place) {
      const char* from = kernel_.row(l_.dst, 1, image_, row);
      if (l_.conv.has_bias) add_to_bias(from);
      if (l_.products->dst_in_place()) return from;
      char* to =
          kernel_.scratch<char>(index_, l_.dst_rows + static_cast<std::size_t>(place) * l_.products->dst_bytes());
      l_.products->put_dst(pixels(from, l_.dst_places), to);
      return to;
    }
    void add_to_bias(const char* from) const {
      auto* of_row = kernel_.scratch<float>(index_, l_.bias_row);
      std::fill_n(of_row, l_.dst.c, 0.0F);
      with_element(l_.conv.dst.dtype == DType::bf16, [&](auto* element) {
        using T = std::remove_pointer_t<decltype(element)>;
        add_pixels(reinterpret_cast<const T*>(from), l_.dst.w, l_.dst.c, of_row);
      });
      add(of_row, kernel_.scratch<float>(index_, l_.bias), l_.dst.c);
    }

    const GradWeightsKernel& kernel_;
    const Layout& l_;
    int64_t index_, image_ = -1, put_until_ = 0;
  };

  // The parts' sums to the weights.
  void finish() const {
    const Layout& l = *layout_;
    const Sides& sides = l.products->sides();
    const int64_t rows = sides.left(), columns = sides.right();
    auto* weights = static_cast<float*>(at_.dst[0]);
    parallel_for(l.taps() * rows, [&](int64_t i) {
      const int64_t tap = i / rows, m = i % rows;
      for (int64_t n = 0; n < columns; n += kLanes) {
        const int64_t at = l.products->sums_at(tap, m, n), count = std::min(kLanes, columns - n);
        float* sum = scratch<float>(0, l.sums) + at;
        for (int64_t part = 1; part < l.parts; ++part) add(scratch<float>(part, l.sums) + at, sum, count);
        if (!sides.swapped) {
          std::copy_n(sum, count, weights + i * columns + n);
        } else {
          for (int64_t j = 0; j < count; ++j) weights[(n + j) * rows + m] = sum[j];
        }
      }
    });
    if (!l.conv.has_bias) return;
    auto* bias = static_cast<float*>(at_.dst[1]);
    std::copy_n(scratch<float>(0, l.bias), l.dst.c, bias);
    for (int64_t part = 1; part < l.parts; ++part) add(scratch<float>(part, l.bias), bias, l.dst.c);
  }

  std::shared_ptr<const Layout> layout_;
  Addresses at_;
};

Sides sides_of(const Convolution& conv) {
  const auto& [h, w] = conv.window;
  const auto leaves = [](const WindowAxis& axis) {
    return axis.pad_begin != 0 || axis.position(axis.dst - 1, axis.kernel - 1) >= axis.src;
  };
  Sides sides{.src_channels = conv.src.shape[1],
              .dst_channels = conv.dst.shape[1],
              .swapped = h.kernel * w.kernel == 1 && conv.dst.shape[1] < conv.src.shape[1],
              .width = w.dst,
              .places = w.dst + (w.extent() - 1) / w.stride,
              .phases = std::min(w.stride, w.extent()),
              .row_stride = h.stride,
              .column_stride = w.stride,
              .padded = leaves(h) || leaves(w),
              .taps = {}};
  for (int64_t i = 0; i < h.kernel; ++i) {
    for (int64_t j = 0; j < w.kernel; ++j) {
      const int64_t column = j * w.dilation;
      sides.taps.push_back({.row = i * h.dilation, .phase = column % w.stride, .place = column / w.stride});
    }
  }
  return sides;
}

}  // namespace

std::optional<KernelPlan> plan_grad_weights(const Convolution& conv) {
  if (conv.src.dtype != conv.dst.dtype || conv.weights.dtype != DType::f32 || conv.src.shape.elements() == 0 ||
      conv.dst.shape.elements() == 0) {
    return std::nullopt;
  }
  auto layout = std::make_shared<Layout>();
  Layout& l = *layout;
  l.conv = conv;
  l.products = make_products(conv.src.dtype, sides_of(conv));
  if (l.products == nullptr) return std::nullopt;
  const MemoryDesc src = with_tag(conv.src, Tag::nhwc), dst = with_tag(conv.dst, Tag::nhwc);
  l.src = view_of(src);
  l.dst = view_of(dst);
  const int64_t sums_bytes = l.taps() * l.products->tap_floats() * static_cast<int64_t>(sizeof(float));
  if (sums_bytes > kSumsBytes) return std::nullopt;
  const auto& [h, w] = conv.window;
  const int64_t rows = l.dst.n * h.dst;
  l.parts = std::min<int64_t>(omp_get_max_threads(), rows);
  l.band = std::clamp<int64_t>(kBandPixels / w.dst, 1, std::min(h.dst, kBandRows));
  l.slots = (l.band - 1) * h.stride + h.extent();
  const auto element = static_cast<int64_t>(size_of(conv.src.dtype));
  for (int64_t phase = 0; phase < l.products->sides().phases; ++phase) {
    Dims places;
    for (int64_t i = 0; i < l.products->src_pixels(); ++i) {
      const int64_t at = i * w.stride + phase;
      const bool read = at < (w.dst - 1) * w.stride + w.extent();
      const int64_t column = read ? border_source(conv.border, at - w.pad_begin, w.src) : kOutside;
      places.push_back(column == kOutside ? kOutside : column * l.src.stride_w * element);
    }
    l.src_places.push_back(std::move(places));
  }
  for (int64_t i = 0; i < l.products->dst_pixels(); ++i) {
    l.dst_places.push_back(i < w.dst ? i * l.dst.stride_w * element : kOutside);
  }

  Offsets offsets;
  l.src_rows = offsets.add(static_cast<std::size_t>(l.slots) * l.slot_bytes());
  l.dst_rows = offsets.add(static_cast<std::size_t>(l.band) * l.products->dst_bytes());
  l.sums = offsets.add(static_cast<std::size_t>(sums_bytes));
  if (conv.has_bias) {
    l.bias_row = offsets.add(bytes_of(l.dst.c));
    l.bias = offsets.add(bytes_of(l.dst.c));
  }
  l.slot_list = offsets.add(static_cast<std::size_t>(l.slots) * sizeof(void*));
  l.pixel_list = offsets.add(static_cast<std::size_t>(std::max(l.products->src_pixels(), l.products->dst_pixels())) *
                             sizeof(void*));
  if (conv.normalized) {
    l.normalized.emplace(conv);
    l.normal_row_bytes = static_cast<std::size_t>(up(l.src.w * l.src.c * element, 64));
    l.normal_rows =
        offsets.add(static_cast<std::size_t>(l.products->src_in_place() ? l.slots : 1) * l.normal_row_bytes);
    l.normal_buffer = offsets.add(l.normal_row_bytes);
  }
  l.part_bytes = offsets.end();
  if (l.part_bytes > kPartBytes) return std::nullopt;
  l.zeros = l.part_bytes * static_cast<std::size_t>(l.parts);

  KernelPlan plan{.src = {src, dst},
                  .dst = {with_tag(conv.weights, Tag::hwio)},
                  .scratch_bytes = 0,
                  .implementation = l.products->name(),
                  .kernel = nullptr};
  if (conv.has_bias) plan.dst.push_back(plain({DType::f32, Shape{conv.weights.shape[0]}}));
  l.coefficients = l.zeros + static_cast<std::size_t>(up(static_cast<int64_t>(l.zero_bytes()), 64));
  plan.scratch_bytes = l.coefficients;
  if (l.normalized) {
    plan.src = l.normalized->inputs(dst);
    plan.rounding = l.normalized->rounding();
    plan.scratch_bytes += l.normalized->coefficient_bytes();
  }
  plan.kernel = std::make_unique<GradWeightsKernel>(std::move(layout));
  return plan;
}

}  // namespace hourglass::detail
