#include "ops/convolution/upsampled/axis.h"

#include <doctest/doctest.h>

#include "tests/ops/doubling.h"

namespace hourglass::kernels {
namespace {

// The axis resized, its borders taken, and convolved; and the same by the mixtures.
void check(const PhaseFiltersAxis& axis, const WindowAxis& w, PaddingMode border, const std::vector<TapList>& resize) {
  const int64_t extent = w.src / 2;
  std::vector<double> x, filter;
  for (int64_t i = 0; i < extent; ++i) x.push_back(static_cast<double>(i * i % 17) - 5);
  for (int64_t k = 0; k < w.kernel; ++k) filter.push_back(static_cast<double>(k * k) - 1.5);
  for (int64_t o = 0; o < w.dst; ++o) {
    CAPTURE(o);
    double expected = 0, got = 0;
    for (int64_t k = 0; k < w.kernel; ++k) {
      const int64_t at = border_source(border, w.position(o, k), w.src);
      if (at == kOutside) continue;
      for (const auto& [i, weight] : resize[static_cast<std::size_t>(at)]) {
        expected += filter[static_cast<std::size_t>(k)] * weight * x[static_cast<std::size_t>(i)];
      }
    }
    const std::vector<float>& mixture =
        axis.mixtures[static_cast<std::size_t>(axis.mixture_of[static_cast<std::size_t>(o)])];
    for (int64_t k = 0; k < w.kernel; ++k) {
      for (int64_t j = 0; j < axis.reach; ++j) {
        const int64_t at = std::clamp<int64_t>(o / 2 + axis.low + j, 0, extent - 1);
        got += filter[static_cast<std::size_t>(k)] *
               static_cast<double>(mixture[static_cast<std::size_t>(k * axis.reach + j)]) *
               x[static_cast<std::size_t>(at)];
      }
    }
    CHECK(got == doctest::Approx(expected).epsilon(1e-5));
  }
}

}  // namespace

TEST_CASE("resizing to twice the length and convolving is one map with two mixtures") {
  for (const int64_t extent : {8, 21}) {
    for (const int64_t kernel : {3, 5}) {
      for (const char* mode : {"linear", "nearest"}) {
        for (const PaddingMode border : {PaddingMode::constant, PaddingMode::reflect, PaddingMode::edge}) {
          CAPTURE(extent);
          CAPTURE(kernel);
          CAPTURE(mode);
          CAPTURE(static_cast<int>(border));
          const std::vector<TapList> resize = doubling(extent, mode);
          const auto axis = phase_filters_axis(window(extent, kernel), border, resize, extent);
          REQUIRE(axis.has_value());
          CHECK(axis->reach <= kernel);
          // What is repeated beside the axis is what repeats beside the resized one.
          if (border == PaddingMode::edge) CHECK(axis->exceptions().empty());
          if (border == PaddingMode::reflect && kernel == 3 && mode == std::string("linear")) {
            CHECK(axis->exceptions() == std::vector<int64_t>{0, 2 * extent - 1});
          }
          check(*axis, window(extent, kernel), border, resize);
        }
      }
    }
  }
}

TEST_CASE("what is not so simple is left to others") {
  const auto is_absent = [](int64_t extent, const WindowAxis& w, PaddingMode border,
                            const std::vector<TapList>& resize) {
    return !phase_filters_axis(w, border, resize, extent).has_value();
  };
  CHECK(is_absent(20, window(20, 3), PaddingMode::wrap, doubling(20, "linear")));      // the far end
  CHECK(is_absent(20, window(20, 3), PaddingMode::reflect, doubling(20, "cubic")));    // more taps than the filter has
  CHECK(is_absent(20, window(20, 1), PaddingMode::constant, doubling(20, "linear")));  // likewise
  CHECK(is_absent(20, window(20, 3), PaddingMode::reflect, doubling(20, "linear", "align_corners")));  // no two alike
  CHECK(is_absent(6, window(6, 3), PaddingMode::reflect, doubling(6, "linear")));
  WindowAxis strided = window(20, 3);
  strided.stride = 2;
  strided.dst = 20;
  CHECK(is_absent(20, strided, PaddingMode::reflect, doubling(20, "linear")));
}

}  // namespace hourglass::kernels
