// An axis that is resized to exactly twice its length and then convolved, taken apart in two ways that never make the
// resized axis.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "ops/geometry/padding_mode.h"
#include "ops/geometry/taps.h"
#include "ops/geometry/window.h"

namespace hourglass::kernels {

// Blur last, of three taps.
//
// Resizing is a blur of the zero-stuffed axis, which has zeros between the elements, and a blur and a convolution may
// change places: what is convolved then is mostly zeros. Along both axes an output of the convolution is made of 9 / 4
// products instead of 9, and those are of the small image; with ops/convolution/upsampled/shared_taps.h of 25 / 16.
//   stuffed[2i] = short[i], stuffed[2i + 1] = 0;  resized[t] = sum over d of blur[2 + d] * stuffed[t + d]
//   convolved[2i] = w1 * short[i], convolved[2i + 1] = w0 * short[i] + w2 * short[i + 1];  dst = blur of convolved
// Beyond its ends the short axis repeats its first and last element, so the resized axis goes on there in its own way
// and not as its border says: what the border holds besides, `missing`, is added apart.
struct BlurAxis {
  int64_t extent = 0;              // of the short axis
  std::array<float, 4> blur = {};  // of elements t - 2 to t + 1
  std::vector<TapList> padded =
      {};  // of elements of the short axis: positions -1 to 2 * extent, as the window sees them
  std::vector<TapList> blurred = {};  // and as the blur makes them; the same but for the first and the last
  // What the window sees at the first and at the last of them less what the blur makes there.
  std::array<TapList, 2> missing = {};

  [[nodiscard]] bool ends_differ() const { return !missing[0].empty() || !missing[1].empty(); }
};

// `window` and `border` are those of the resized axis, and `resize` says what its elements are made of. Absent where it
// is not that simple, or so short that its ends would count.
std::optional<BlurAxis> blur_axis(const WindowAxis& window, PaddingMode border, const std::vector<TapList>& resize,
                                  int64_t extent);

// Phase filters.
//
// An axis that is resized to twice its length and then convolved, as one map: both are linear, so an output is a sum
// over elements of the short axis, with weights that the filter's are mixed to. Outputs 2i and 2i + 1 see elements i +
// low to i + low + reach - 1, and but for those at the ends every even output has the same mixture, and every odd one.
struct PhaseFiltersAxis {
  int64_t low = 0, reach = 1;
  // [tap of the filter][element of the reach]. The first two are those of even and odd outputs; elements outside of the
  // axis repeat its first or last.
  std::vector<std::vector<float>> mixtures;
  std::vector<int64_t> mixture_of;  // of each output

  // Outputs with a mixture of their own.
  [[nodiscard]] std::vector<int64_t> exceptions() const;
};

// `window` and `border` are those of the resized axis, and `resize` says what its elements are made of. Absent where it
// is not that simple, or no cheaper.
std::optional<PhaseFiltersAxis> phase_filters_axis(const WindowAxis& window, PaddingMode border,
                                                   const std::vector<TapList>& resize, int64_t extent);

}  // namespace hourglass::kernels
