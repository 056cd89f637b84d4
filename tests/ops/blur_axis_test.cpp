#include "ops/convolution/upsampled/axis.h"

#include <doctest/doctest.h>

#include "tests/ops/doubling.h"

namespace hourglass::kernels {
namespace {

double sum_of(const TapList& list, const std::vector<double>& x) {
  double sum = 0;
  for (const auto& [i, weight] : list) sum += weight * x[static_cast<std::size_t>(i)];
  return sum;
}

// The axis resized, its borders taken, and convolved; and the same in the other order.
void check(const BlurAxis& axis, const WindowAxis& w, PaddingMode border, const std::vector<TapList>& resize) {
  const int64_t extent = axis.extent;
  const std::vector<double> filter{0.5, -1.25, 2};
  std::vector<double> x;
  for (int64_t i = 0; i < extent; ++i) x.push_back(static_cast<double>(i * i % 17) - 5);
  // Of the zero-stuffed axis, which goes on with its ends.
  const auto convolved = [&](int64_t r) {
    const auto at = [&](int64_t i) { return x[static_cast<std::size_t>(std::clamp<int64_t>(i, 0, extent - 1))]; };
    const int64_t i = (r - (r & 1)) / 2;
    return (r & 1) == 0 ? filter[1] * at(i) : filter[0] * at(i) + filter[2] * at(i + 1);
  };
  for (int64_t o = 0; o < w.dst; ++o) {
    CAPTURE(o);
    double expected = 0, got = 0;
    for (int64_t k = 0; k < w.kernel; ++k) {
      const int64_t at = border_source(border, w.position(o, k), w.src);
      if (at != kOutside)
        expected += filter[static_cast<std::size_t>(k)] * sum_of(resize[static_cast<std::size_t>(at)], x);
    }
    for (int64_t d = -2; d <= 1; ++d)
      got += static_cast<double>(axis.blur[static_cast<std::size_t>(2 + d)]) * convolved(o + d);
    const auto missing = [&](std::size_t position) {
      return sum_of(axis.padded[position], x) - sum_of(axis.blurred[position], x);
    };
    if (o == 0) got += filter[0] * missing(0);
    if (o == w.dst - 1) got += filter[2] * missing(axis.padded.size() - 1);
    CHECK(got == doctest::Approx(expected).epsilon(1e-5));
  }
}

}  // namespace

TEST_CASE("resizing to twice the length and convolving is convolving what is mostly zeros, and a blur") {
  for (const int64_t extent : {8, 21}) {
    for (const char* mode : {"linear", "nearest"}) {
      for (const PaddingMode border :
           {PaddingMode::constant, PaddingMode::reflect, PaddingMode::edge, PaddingMode::wrap}) {
        CAPTURE(extent);
        CAPTURE(mode);
        CAPTURE(static_cast<int>(border));
        const std::vector<TapList> resize = doubling(extent, mode);
        const auto axis = blur_axis(window(extent, 3), border, resize, extent);
        REQUIRE(axis.has_value());
        // What is repeated beside the axis is what repeats beside the resized one, by reflection too where that is
        // nearest.
        const bool repeats =
            border == PaddingMode::edge || (border == PaddingMode::reflect && mode == std::string("nearest"));
        CHECK(axis->ends_differ() != repeats);
        check(*axis, window(extent, 3), border, resize);
      }
    }
  }
}

TEST_CASE("axes that are no blur of zero-stuffed ones are left to others") {
  const auto is_absent = [](int64_t extent, const WindowAxis& w, PaddingMode border,
                            const std::vector<TapList>& resize) {
    return !blur_axis(w, border, resize, extent).has_value();
  };
  CHECK(is_absent(20, window(20, 5), PaddingMode::reflect, doubling(20, "linear")));
  CHECK(is_absent(20, window(20, 3), PaddingMode::reflect, doubling(20, "cubic")));  // a wider blur
  CHECK(is_absent(20, window(20, 3), PaddingMode::reflect, doubling(20, "linear", "align_corners")));
  CHECK(is_absent(6, window(6, 3), PaddingMode::reflect, doubling(6, "linear")));
  WindowAxis unpadded = window(20, 3);
  unpadded.pad_begin = unpadded.pad_end = 0;
  unpadded.dst -= 2;
  CHECK(is_absent(20, unpadded, PaddingMode::constant, doubling(20, "linear")));
}

}  // namespace hourglass::kernels
