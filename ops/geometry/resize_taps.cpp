#include "ops/geometry/resize_taps.h"

#include <algorithm>
#include <cmath>

#include "graph/error.h"
#include "graph/text.h"

namespace hourglass::kernels {
namespace {

enum Axis : int { kH = 2, kW = 3 };

// The value for `axis` in scales or sizes, which may list some axes only (attribute `axes`).
template <typename T>
T entry(const Attrs& attrs, const std::vector<T>& values, int axis, int rank, T otherwise) {
  if (!attrs.has("axes") || attrs.ints("axes").empty()) return values[static_cast<std::size_t>(axis)];
  const Dims& axes = attrs.ints("axes");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (normalize_axis(axes[i], rank) == axis) return values[i];
  }
  return otherwise;
}

// How one axis is resized. Coordinates are computed with `scale`, the given one, which need not be dst / src.
struct AxisMap {
  int64_t src = 0, dst = 0;
  double scale = 1;
  double start = 0, end = 1;  // of the part to resize (crop), as fractions of the axis
};

// The extents that `sizes` requests, with the aspect ratio kept if an attribute says so.
double scale_for_sizes(const Attrs& attrs, const Shape& src, int axis) {
  const std::string& policy = attrs.string("keep_aspect_ratio_policy");
  const auto ratio = [&](int a) {
    const int64_t extent = src[a];
    return static_cast<double>(entry(attrs, attrs.ints("sizes"), a, src.rank(), extent)) / static_cast<double>(extent);
  };
  if (policy == "stretch") return ratio(axis);
  double chosen = policy == "not_larger" ? HUGE_VAL : 0;
  bool resized = false;
  for (int a = 0; a < src.rank(); ++a) {
    if (entry<int64_t>(attrs, attrs.ints("sizes"), a, src.rank(), -1) < 0) continue;
    chosen = policy == "not_larger" ? std::min(chosen, ratio(a)) : std::max(chosen, ratio(a));
    resized = resized || a == axis;
  }
  return resized ? chosen : 1;
}

AxisMap map_axis(const Attrs& attrs, const Shape& src, int axis) {
  AxisMap map{.src = src[axis]};
  if (crops(attrs)) {
    const Floats& roi = attrs.floats("roi");  // all starts, then all ends
    const auto middle = roi.begin() + static_cast<std::ptrdiff_t>(roi.size() / 2);
    map.start = entry(attrs, Floats(roi.begin(), middle), axis, src.rank(), 0.0);
    map.end = entry(attrs, Floats(middle, roi.end()), axis, src.rank(), 1.0);
  }
  if (!attrs.floats("scales").empty()) {
    map.scale = entry(attrs, attrs.floats("scales"), axis, src.rank(), 1.0);
    // In float, as scales are stored: 10 * 0.7f is 7 only there.
    const float seen = static_cast<float>(map.src) * static_cast<float>(map.end - map.start);
    map.dst = static_cast<int64_t>(std::floor(static_cast<float>(map.scale) * seen));
  } else {
    map.scale = scale_for_sizes(attrs, src, axis);
    const bool stretch = attrs.string("keep_aspect_ratio_policy") == "stretch";
    map.dst = stretch ? entry(attrs, attrs.ints("sizes"), axis, src.rank(), map.src)
                      : std::llround(map.scale * static_cast<double>(map.src));
  }
  return map;
}

void check_one_of(const Attrs& attrs, const char* name, std::initializer_list<std::string_view> known) {
  const std::string& value = attrs.string(name);
  if (std::find(known.begin(), known.end(), value) == known.end()) {
    fail("{} '{}' is not supported; expected one of {}", name, value,
         join(std::span(known.begin(), known.size()), ", "));
  }
}

void check_roi(const Floats& roi, std::size_t axes) {
  if (roi.size() != 2 * axes) fail("roi has {} entries, expected {} starts and as many ends", roi.size(), axes);
  for (const double share : roi) {
    if (!(std::abs(share) <= 1024)) fail("roi holds {}, expected shares of the image's sides", share);
  }
}

// The source coordinate of output o, in pixels.
double source_coordinate(const Attrs& attrs, const AxisMap& map, int64_t o) {
  const std::string& mode = attrs.string("coordinate_transformation_mode");
  const auto x = static_cast<double>(o);
  const auto src = static_cast<double>(map.src), dst = static_cast<double>(map.dst);
  if (mode == "align_corners") return map.dst > 1 ? x * (src - 1) / (dst - 1) : 0;
  if (mode == "asymmetric") return x / map.scale;
  if (mode == "tf_half_pixel_for_nn") return (x + 0.5) / map.scale;
  if (mode == "pytorch_half_pixel") return map.dst > 1 ? (x + 0.5) / map.scale - 0.5 : 0;
  if (mode == "tf_crop_and_resize") {
    if (map.dst == 1) return (map.start + map.end) / 2 * (src - 1);
    return map.start * (src - 1) + x * (map.end - map.start) * (src - 1) / (dst - 1);
  }
  if (mode == "half_pixel_symmetric") {  // the part of the extent that rounding down cut off is shared by both ends
    return src / 2 * (1 - dst / (map.scale * src)) + (x + 0.5) / map.scale - 0.5;
  }
  return (x + 0.5) / map.scale - 0.5;
}

double round_to_nearest(const Attrs& attrs, double x) {
  // A scale stored in float has a relative error of 6e-8: coordinates that near to a half or whole number are rounded
  // to it.
  const double halves = std::round(2 * x) / 2;
  if (std::abs(x - halves) <= 1.2e-7 * std::abs(x)) x = halves;
  const std::string& mode = attrs.string("nearest_mode");
  if (mode == "floor") return std::floor(x);
  if (mode == "ceil") return std::ceil(x);
  if (mode == "round_prefer_ceil") return std::floor(x + 0.5);
  return std::ceil(x - 0.5);
}

// Keys' cubic convolution kernel at distance d (Keys 1981).
double cubic_kernel(double a, double d) {
  d = std::abs(d);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((d - 5) * d + 8) * d * a - 4 * a;
  return 0;
}

bool is_outside(const Attrs& attrs, const AxisMap& map, int64_t o) {
  const double x = source_coordinate(attrs, map, o);
  return crops(attrs) && (x < 0 || x > static_cast<double>(map.src - 1));
}

// The (source index, weight) pairs of output o.
TapList taps_of(const Attrs& attrs, const AxisMap& map, int64_t o) {
  const double x = source_coordinate(attrs, map, o);
  const auto clamp = [&](double i) { return std::clamp<int64_t>(static_cast<int64_t>(i), 0, map.src - 1); };
  const std::string& mode = attrs.string("mode");
  if (is_outside(attrs, map, o)) return {};
  if (mode == "nearest") return {{clamp(round_to_nearest(attrs, x)), 1.0}};
  // With antialias, shrinking: the kernel is widened by the inverse of the scale.
  const bool stretches = attrs.integer("antialias") != 0 && map.scale < 1;
  const double narrow = stretches ? map.scale : 1;
  const auto kernel = [&](double d) {
    return mode == "linear" ? std::max(0.0, 1 - std::abs(d)) : cubic_kernel(attrs.real("cubic_coeff_a"), d);
  };
  const auto first = static_cast<int64_t>(std::floor(x));
  const auto reach = static_cast<int64_t>(std::ceil((mode == "linear" ? 1 : 2) / narrow));
  TapList taps;
  double sum = 0;
  for (int64_t i = first - reach + 1; i <= first + reach; ++i) {
    taps.emplace_back(i, kernel((x - static_cast<double>(i)) * narrow));
    sum += taps.back().second;
  }
  if (stretches) {
    for (auto& [i, w] : taps) w /= sum;
  }
  if (attrs.integer("exclude_outside") != 0) {
    double inside = 0;
    for (auto& [i, w] : taps) {
      if (i < 0 || i >= map.src) w = 0;
      inside += w;
    }
    for (auto& [i, w] : taps) w = inside != 0 ? w / inside : w;
  }
  for (auto& [i, w] : taps) i = clamp(static_cast<double>(i));
  return taps;
}

}  // namespace

bool resizes(const Attrs& attrs) {
  return (attrs.has("scales") && !attrs.floats("scales").empty()) ||
         (attrs.has("sizes") && !attrs.ints("sizes").empty());
}

bool crops(const Attrs& attrs) { return attrs.string("coordinate_transformation_mode") == "tf_crop_and_resize"; }

std::vector<AttrSpec> resize_attrs(const char* coordinates, const char* nearest, const std::vector<AttrSpec>& more) {
  std::vector<AttrSpec> attrs = {{"mode", std::string("nearest")},
                                 {"coordinate_transformation_mode", std::string(coordinates)},
                                 {"nearest_mode", std::string(nearest)},
                                 {"cubic_coeff_a", -0.75},
                                 {"exclude_outside", int64_t{0}},
                                 {"extrapolation_value", 0.0},  // of tf_crop_and_resize only
                                 {"antialias", int64_t{0}},
                                 {"keep_aspect_ratio_policy", std::string("stretch")},
                                 AttrSpec::optional("axes", AttrKind::ints),
                                 {"roi", Floats{}},  // of tf_crop_and_resize only
                                 {"scales", Floats{}},
                                 {"sizes", Dims{}}};
  attrs.insert(attrs.end(), more.begin(), more.end());
  return attrs;
}

Shape resized_shape(const Attrs& attrs, const Shape& src) {
  check_one_of(attrs, "mode", {"nearest", "linear", "cubic"});
  check_one_of(attrs, "coordinate_transformation_mode",
               {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
                "tf_half_pixel_for_nn", "tf_crop_and_resize"});
  check_one_of(attrs, "nearest_mode", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  check_one_of(attrs, "keep_aspect_ratio_policy", {"stretch", "not_larger", "not_smaller"});
  if (src.rank() != 4) fail("src has shape {}, expected [N,C,H,W]", src);
  if (src.elements() == 0) fail("src has shape {}, expected at least one element", src);
  const std::size_t scales = attrs.floats("scales").size(), sizes = attrs.ints("sizes").size();
  if ((scales == 0) == (sizes == 0)) {
    fail("{} scales and {} sizes given, expected one of the two", scales, sizes);
  }
  const std::size_t axes = attrs.has("axes") ? attrs.ints("axes").size() : 0;
  const std::size_t expected = axes == 0 ? 4 : axes;
  if (scales + sizes != expected) {
    fail("{} {} given, expected {}", scales + sizes, scales != 0 ? "scales" : "sizes", expected);
  }
  if (crops(attrs)) check_roi(attrs.floats("roi"), expected);
  for (const double scale : attrs.floats("scales")) {
    if (!(scale > 0) || scale > 65536) fail("scale {} is out of range, expected a positive one up to 65536", scale);
  }
  Dims dims(4);
  for (int axis = 0; axis < 4; ++axis) {
    const AxisMap map = map_axis(attrs, src, axis);
    if (map.dst < 1) fail("axis {} is resized from {} to {}, expected at least 1", axis, map.src, map.dst);
    if (axis < kH && map.dst != map.src) {
      fail("axis {} is resized from {} to {}; only H and W of [N,C,H,W] can be", axis, map.src, map.dst);
    }
    dims[static_cast<std::size_t>(axis)] = map.dst;
  }
  return Shape(std::move(dims));
}

std::vector<TapList> taps_of_axis(const Attrs& attrs, const Shape& src, int axis) {
  const AxisMap map = map_axis(attrs, src, axis);
  std::vector<TapList> lists;
  for (int64_t o = 0; o < map.dst; ++o) lists.push_back(taps_of(attrs, map, o));
  return lists;
}

std::vector<bool> outside_of_axis(const Attrs& attrs, const Shape& src, int axis) {
  const AxisMap map = map_axis(attrs, src, axis);
  std::vector<bool> outside;
  for (int64_t o = 0; o < map.dst; ++o) outside.push_back(is_outside(attrs, map, o));
  return outside;
}

}  // namespace hourglass::kernels
