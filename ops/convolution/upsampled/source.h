// What a convolution of a upsampled image reads when it is taken apart as ops/convolution/upsampled/axis.h says:
// rows of the small image, normalised; rows of the second activation, as the window sees them; and the frame, one pixel
// wide, of what the border of the upsampled image holds more than the blur makes there.
#pragma once

#include <optional>

#include "ops/convolution/source.h"
#include "ops/convolution/upsampled/axis.h"
#include "ops/memory/scratch_layout.h"

namespace hourglass::kernels {

// What kernels of upsampled images say of a source that is none.
inline constexpr const char* kNotUpsampled =
    "no image resized to exactly twice its size in front of a 3x3 filter, of at least 8 pixels a side (bf16: and an "
    "even "
    "number of channels)";

// Of the source of a convolution, as conv.normalized says it is resized. Absent where it is not, or not so; in bf16 the
// channels of both activations are even, as products of pairs want them.
struct BlurAxes {
  BlurAxis h, w;
};
std::optional<BlurAxes> blur_axes(const Convolution& conv);

class UpsampledSource {
 public:
  // Absent where the axes are.
  static std::optional<UpsampledSource> of(const Convolution& conv, ScratchLayout& scratch);

  [[nodiscard]] const BlurAxis& h() const { return h_; }
  [[nodiscard]] const BlurAxis& w() const { return w_; }
  [[nodiscard]] int64_t channels() const { return channels_; }                // of the small image
  [[nodiscard]] int64_t second_channels() const { return second_channels_; }  // or 0

  void bind(const Addresses& at) { at_ = at; }
  // Sets the coefficients and the frames of all images. Once a run, by all threads, before anything is read; with
  // `as_is` nothing is normalised, for Kernel::run_primitives().
  void prepare(bool as_is);

  // `count` pixels of a row from `column` on, to pixels side by side, where there is room for `count` more behind them.
  // Rows and columns of the small image go on beyond its ends with the first and the last.
  void read(int64_t image, int64_t row, int64_t column, int64_t count, void* to) const;
  // Those of the second activation go on as the border says.
  void read_second(int64_t image, int64_t row, int64_t column, int64_t count, void* to) const;

  // Lines of the frame: 2 * extent + 2 pixels of the small image's channels, from position -1 on. The corners are the
  // rows'; the columns' ends are zero. Null where there is nothing.
  enum class Side : uint8_t { top, bottom, left, right };
  [[nodiscard]] const void* frame(int64_t image, Side side) const;

 private:
  UpsampledSource(const Convolution& conv, BlurAxes axes, ScratchLayout& scratch);

  template <class T>
  void make_row_of_frame(int64_t image, Side side, float* buffer, T* to) const;
  template <class T>
  void make_column_of_frame(int64_t image, Side side, float* buffer, T* to) const;
  [[nodiscard]] std::size_t line_elements() const;
  void read_image(const NormalizedSource& source, int64_t place, int64_t image, int64_t row, int64_t column,
                  int64_t count, char* to, void* buffer) const;
  [[nodiscard]] char* scratch(std::size_t offset) const { return static_cast<char*>(at_.scratch) + offset; }

  BlurAxis h_, w_;
  PaddingMode border_;
  NormalizedSource small_;
  std::optional<NormalizedSource> second_;
  int64_t channels_, second_channels_, images_;
  std::size_t element_;
  bool has_frame_;
  std::size_t small_coefficients_ = 0, second_coefficients_ = 0, lines_ = 0, buffers_ = 0, buffer_bytes_ = 0;
  Addresses at_;
  bool as_is_ = false;
};

}  // namespace hourglass::kernels
