// The source of a convolution that is taken apart as ops/convolution/upsampled/axis.h says, row by row: rows of the
// small image, normalised; rows of the second activation, with its border; and the frame. The frame is a line of pixels
// around the resized image: what the padding mode shows there less what the blur makes there. Since convolution is
// linear, kernels convolve the frame separately and add it.
#pragma once

#include <optional>

#include "ops/convolution/source.h"
#include "ops/convolution/upsampled/axis.h"
#include "ops/memory/scratch_layout.h"

namespace hourglass::kernels {

// The reason with which kernels of upsampled images decline other sources.
inline constexpr const char* kNotUpsampled =
    "no image resized to exactly twice its size in front of a 3x3 filter, of at least 8 pixels a side "
    "(bf16: and an even number of channels)";

// BlurAxis of H and of W, for a source that conv.normalized says is resized. Absent where it is not resized by
// exactly two, and in bf16 where either activation has an odd number of channels, which can't be read in pairs.
struct BlurAxes {
  BlurAxis h, w;
};
std::optional<BlurAxes> blur_axes(const Convolution& conv);

class UpsampledSource {
 public:
  // Absent where blur_axes() is. Books its scratch memory.
  static std::optional<UpsampledSource> of(const Convolution& conv, ScratchLayout& scratch);

  [[nodiscard]] const BlurAxis& h() const { return h_; }
  [[nodiscard]] const BlurAxis& w() const { return w_; }
  [[nodiscard]] int64_t channels() const { return channels_; }                // of the small image
  [[nodiscard]] int64_t second_channels() const { return second_channels_; }  // of the second activation, or 0

  void bind(const Addresses& at) { at_ = at; }
  // Sets the coefficients and makes the frames of all images. Called once a run, outside of parallel loops, before
  // anything is read. With `as_is` nothing is normalised, for Kernel::run_primitives().
  void prepare(bool as_is);

  // Writes `count` pixels of a row of the small image, from `column` on, side by side to `to`, which has room for
  // `count` more after them. Beyond its ends the image repeats its first and last rows and pixels.
  void read(int64_t image, int64_t row, int64_t column, int64_t count, void* to) const;
  // The same of the second activation, which goes on beyond its ends as the padding mode says.
  void read_second(int64_t image, int64_t row, int64_t column, int64_t count, void* to) const;

  // A line of the frame: 2 * extent + 2 pixels with the small image's channels, from position -1 on. The corners belong
  // to the rows; in the columns they are zero. Null where there is nothing to add.
  enum class Side : uint8_t { top, bottom, left, right };
  [[nodiscard]] const void* frame(int64_t image, Side side) const;

 private:
  UpsampledSource(const Convolution& conv, BlurAxes axes, ScratchLayout& scratch);

  template <class T>
  void make_row_of_frame(int64_t image, Side side, float* buffer, T* to) const;
  template <class T>
  void make_column_of_frame(int64_t image, Side side, float* buffer, T* to) const;
  [[nodiscard]] std::size_t line_elements() const;
  void read_image(const NormalizedSource& source, std::size_t coefficients, int64_t image, int64_t row, int64_t column,
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
