// Where GridSample looks: from a position in a grid to the pixels along an axis that it sees, with their weights.
//
// -1 and 1 are the image's borders: the centres of the outermost pixels (align_corners) or their outer edges.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "graph/attrs.h"
#include "graph/error.h"
#include "graph/op.h"

namespace hourglass::ops {

struct GridSampling {
  enum class Mode : uint8_t { nearest, linear, cubic };
  enum class Outside : uint8_t { zeros, border, reflection };
  Mode mode;
  Outside outside;
  bool align_corners;
};

// Throws Error for a mode or a padding mode that there is not.
inline GridSampling grid_sampling_of(const Attrs& attrs) {
  const std::string &mode = attrs.string("mode"), &outside = attrs.string("padding_mode");
  if (outside != "zeros" && outside != "border" && outside != "reflection") {
    fail("padding_mode is '{}', expected zeros, border or reflection", outside);
  }
  const bool linear = mode == "linear" || mode == "bilinear", cubic = mode == "cubic" || mode == "bicubic";
  if (!linear && !cubic && mode != "nearest") fail("mode is '{}', expected linear, nearest or cubic", mode);
  using Mode = GridSampling::Mode;
  using Outside = GridSampling::Outside;
  return {.mode = linear  ? Mode::linear
                  : cubic ? Mode::cubic
                          : Mode::nearest,
          .outside = outside == "zeros"    ? Outside::zeros
                     : outside == "border" ? Outside::border
                                           : Outside::reflection,
          .align_corners = attrs.integer("align_corners") != 0};
}

// As GridSample-16 has it: opset 20 has given two of its modes other names.
inline bool grid_sample_to_onnx(ToOnnxContext& ctx) {
  ctx.op = "GridSample";
  if (ctx.attrs.string("mode") == "cubic") ctx.attrs.set("mode", std::string("bicubic"));
  return true;
}

// Along one axis: the pixels, -1 for zeros, and their weights. slope: the derivative of each weight by the grid's
// coordinate (one-sided at a kink).
struct GridTaps {
  static constexpr int kMost = 4;
  int count = 0;
  int64_t pixel[kMost];
  double weight[kMost], slope[kMost];

  void add(int64_t at, double factor, double change) {
    pixel[count] = at;
    slope[count] = change;
    weight[count++] = factor;
  }
};

// A position in pixels, the first one's centre being at 0. slope: dx / d(grid coordinate).
struct PixelPosition {
  double x, slope;
};

// Mirrored into the image: at the outermost pixels' centres (align_corners) or at their outer edges.
inline PixelPosition reflected(PixelPosition at, int64_t extent, bool align_corners) {
  const double low = align_corners ? 0 : -0.5, span = static_cast<double>(extent) - (align_corners ? 1 : 0);
  if (span <= 0) return {0, 0};
  const double away = std::fabs(at.x - low), rest = std::fmod(away, span);
  const double slope = at.x < low ? -at.slope : at.slope;
  return std::fmod(std::floor(away / span), 2) == 0 ? PixelPosition{low + rest, slope}
                                                    : PixelPosition{low + span - rest, -slope};
}

inline PixelPosition clamped(PixelPosition at, int64_t extent) {
  const auto last = static_cast<double>(extent - 1);
  if (at.x >= 0 && at.x <= last) return at;
  return {at.x > 0 ? last : 0, 0};
}

inline int64_t pixel_inside(double x, int64_t extent, const GridSampling& s) {
  if (s.outside == GridSampling::Outside::reflection) x = reflected({x, 1}, extent, s.align_corners).x;
  if (s.outside == GridSampling::Outside::zeros && (x < 0 || x > static_cast<double>(extent - 1))) return -1;
  return std::llround(clamped({x, 1}, extent).x);
}

// NaN is treated as a position far outside.
inline GridTaps grid_taps(double position, int64_t extent, const GridSampling& s) {
  using Mode = GridSampling::Mode;
  const double size = static_cast<double>(extent) - (s.align_corners ? 1 : 0);
  // Far outside is as outside as any place there.
  constexpr double kFar = 1e9;
  PixelPosition at{s.align_corners ? (position + 1) / 2 * size : ((position + 1) * size - 1) / 2, size / 2};
  if (!(std::fabs(at.x) <= kFar)) at = {at.x > 0 ? kFar : -kFar, 0};
  // Clamping or reflection is applied to each tap of cubic, and to the position itself otherwise.
  if (s.mode != Mode::cubic && s.outside != GridSampling::Outside::zeros) {
    if (s.outside == GridSampling::Outside::reflection) at = reflected(at, extent, s.align_corners);
    at = clamped(at, extent);
  }
  GridTaps taps;
  if (s.mode == Mode::nearest) {
    taps.add(pixel_inside(std::nearbyint(at.x), extent, s), 1, 0);
    return taps;
  }
  const double first = std::floor(at.x), t = at.x - first;
  if (s.mode == Mode::linear) {
    taps.add(pixel_inside(first, extent, s), 1 - t, -at.slope);
    taps.add(pixel_inside(first + 1, extent, s), t, at.slope);
    return taps;
  }
  constexpr double a = -0.75;
  // Of the distance d: |d| <= 1, and 1 < |d| < 2.
  const auto near = [](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  const auto near_slope = [](double d) { return (3 * (a + 2) * d - 2 * (a + 3)) * d; };
  const auto far_slope = [](double d) { return (3 * a * d - 10 * a) * d + 8 * a; };
  const double weights[] = {far(1 + t), near(t), near(1 - t), far(2 - t)};
  const double slopes[] = {far_slope(1 + t), near_slope(t), -near_slope(1 - t), -far_slope(2 - t)};
  for (int k = 0; k < GridTaps::kMost; ++k) {
    taps.add(pixel_inside(first + k - 1, extent, s), weights[k], slopes[k] * at.slope);
  }
  return taps;
}

// visit(pixel of src, weight, its change with the grid's x, with y) for every tap that sees the [h, w] image.
template <typename Visit>
void for_each_grid_tap(const GridSampling& s, double x_position, double y_position, int64_t h, int64_t w,
                       const Visit& visit) {
  const GridTaps x = grid_taps(x_position, w, s), y = grid_taps(y_position, h, s);
  for (int ky = 0; ky < y.count; ++ky) {
    for (int kx = 0; kx < x.count; ++kx) {
      if (y.pixel[ky] < 0 || x.pixel[kx] < 0) continue;
      visit(y.pixel[ky] * w + x.pixel[kx], y.weight[ky] * x.weight[kx], y.weight[ky] * x.slope[kx],
            y.slope[ky] * x.weight[kx]);
    }
  }
}

}  // namespace hourglass::ops
