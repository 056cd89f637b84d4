// Takes a convolution of an image resized to exactly twice its size apart, one axis at a time, in two ways that never
// make the resized axis: blur last and phase filters. Both rest on the linearity of the resize; the axes are separable.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "ops/geometry/padding_mode.h"
#include "ops/geometry/taps.h"
#include "ops/geometry/window.h"

namespace hourglass::kernels {

// Blur last, for a filter of three taps w0, w1, w2 (the noble identity of multirate filtering; transposed convolution).
//
// Resizing by two is zero-stuffing (zeros between the elements) followed by a blur. Convolution and blur commute, so
// the zero-stuffed axis is convolved first and blurred last; half of what is convolved is zero. Along both axes an
// output then takes 9 / 4 products instead of 9, all with pixels of the small image; with shared taps
// (ops/convolution/upsampled/shared_taps.h) 25 / 16.
//   stuffed[2i] = short[i], stuffed[2i + 1] = 0;  resized[t] = sum over d of blur[2 + d] * stuffed[t + d]
//   convolved[2i] = w1 * short[i], convolved[2i + 1] = w0 * short[i] + w2 * short[i + 1];  dst = blur of convolved
// Outside of the resized axis the blur sees the short axis go on with its first and last element, whereas the
// convolution must see what the padding mode says there. The difference, `missing`, is convolved and added separately.
struct BlurAxis {
  int64_t extent = 0;              // of the short axis
  std::array<float, 4> blur = {};  // weights of stuffed elements t - 2 to t + 1
  // Positions -1 to 2 * extent of the resized axis as weights of short elements: as the window sees them, padding mode
  // included, and as the blur makes them. They differ at most in the first and the last.
  std::vector<TapList> padded = {};
  std::vector<TapList> blurred = {};
  // At the first and the last of these positions: padded less blurred.
  std::array<TapList, 2> missing = {};

  [[nodiscard]] bool ends_differ() const { return !missing[0].empty() || !missing[1].empty(); }
};

// `window` and `border` are those of the resized axis; `resize` lists the short elements and weights of each resized
// element. Absent unless the window is 3 wide with stride, dilation and padding 1, the axis is doubled, and the resize
// is a blur of four taps; and for an axis so short that its ends would dominate.
std::optional<BlurAxis> blur_axis(const WindowAxis& window, PaddingMode border, const std::vector<TapList>& resize,
                                  int64_t extent);

// Phase filters (sub-pixel convolution): the blur folded into the filter.
//
// Resize and convolution together are one linear map of the short axis. An output is a sum over `reach` short elements,
// and its weights, a mixture, are the filter's taps combined by the resize's weights. Outputs 2i and 2i + 1 see short
// elements i + low to i + low + reach - 1; all even outputs have one mixture and all odd ones another, except at the
// ends.
struct PhaseFiltersAxis {
  int64_t low = 0, reach = 1;
  // [tap of the filter][element of the reach]: how much of the tap goes to the short element. The first two mixtures
  // are those of even and odd outputs, where elements outside of the short axis repeat its first or last.
  std::vector<std::vector<float>> mixtures;
  std::vector<int64_t> mixture_of;  // index of each output's mixture

  // Outputs whose mixture is neither the even nor the odd one.
  [[nodiscard]] std::vector<int64_t> exceptions() const;
};

// Arguments as of blur_axis(). Absent unless the stride is 1 and the axis is doubled before and after the convolution;
// where a phase filter would have more taps than the filter; and for more than four mixtures besides even and odd.
std::optional<PhaseFiltersAxis> phase_filters_axis(const WindowAxis& window, PaddingMode border,
                                                   const std::vector<TapList>& resize, int64_t extent);

}  // namespace hourglass::kernels
