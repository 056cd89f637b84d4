// Resize: dst[n,c,oh,ow] = sum over (h,w) of row[oh,h] * column[ow,w] * src[n,c,h,w].              ONNX Resize-18
//   src: [N,C,H,W], dst: [N,C,OH,OW].  Output o of an axis looks at source coordinate x(o); its row of weights is
//   nearest: 1 at x rounded;  linear: the hat function around x;  cubic: Keys' kernel with parameter cubic_coeff_a.
//   With antialias, where an axis shrinks, both functions are stretched by 1 / scale and their sum is brought to 1.
//   Outside the image the edge is repeated, or with exclude_outside the weights inside are scaled to a sum of 1; with
//   tf_crop_and_resize, which sees the part [start, end] of the image, dst is extrapolation_value there.
//   Upsample (ONNX 1 to 9) is Resize with x(o) = o / scale.
// ResizeWithStatistics: with the outputs of BatchNormalizationStatistics of dst; made by graph/fuse.h.
// Linear in src, so the gradient is the transposed map, diff_src[h,w] = sum row[oh,h] * column[ow,w] * diff_dst[oh,ow],
// gathered by source pixel: no two threads add to one number.
//   Keys, Cubic convolution interpolation for digital image processing, IEEE ASSP 1981, eq. 15.
#include <cmath>

#include "graph/error.h"
#include "ops/detail/filled.h"
#include "ops/detail/loop.h"
#include "ops/detail/onednn.h"
#include "ops/detail/taps.h"
#include "ops/detail/view.h"
#include "ops/detail/written_statistics.h"

namespace hourglass::ops {
namespace {

using detail::Taps;
using detail::View;
using detail::WrittenStatistics;

// ---- definition

enum Axis : int { kH = 2, kW = 3 };

// The whole shape's entry for `axis` of scales or sizes, which may cover some axes only (attribute `axes`).
template <typename T>
T entry(const Attrs& attrs, const std::vector<T>& values, int axis, int rank, T otherwise) {
  if (!attrs.has("axes") || attrs.ints("axes").empty()) return values[static_cast<std::size_t>(axis)];
  const Dims& axes = attrs.ints("axes");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (normalize_axis(axes[i], rank) == axis) return values[i];
  }
  return otherwise;
}

// How one axis is resized. `scale` is what coordinates are computed with: the given one, which need not be dst / src.
struct AxisMap {
  int64_t src = 0, dst = 0;
  double scale = 1;
  double start = 0, end = 1;  // of the part to see, as shares of the axis
};

bool crops(const Attrs& attrs) { return attrs.string("coordinate_transformation_mode") == "tf_crop_and_resize"; }

// What `sizes` asks for, with the aspect ratio kept if so told.
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
    fail("{} '{}' is not supported; expected one of {}", name, value, fmt::join(known, ", "));
  }
}

void check_roi(const Floats& roi, std::size_t axes) {
  if (roi.size() != 2 * axes) fail("roi has {} entries, expected {} starts and as many ends", roi.size(), axes);
  for (const double share : roi) {
    if (!(std::abs(share) <= 1024)) fail("roi holds {}, expected shares of the image's sides", share);
  }
}

// Checks everything and returns the shape that src is resized to.
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

void infer_forward(InferContext& ctx) {
  ctx.outputs.push_back({ctx.inputs[0]->dtype, resized_shape(ctx.attrs, ctx.shape(0))});
}

void infer_with_statistics(InferContext& ctx) {
  infer_forward(ctx);
  detail::infer_written_statistics(ctx);
}

void infer_backward(InferContext& ctx) {
  const Shape src(ctx.attrs.ints("src_shape"));
  const Shape expected = resized_shape(ctx.attrs, src);
  if (ctx.shape(0) != expected) fail("diff_dst has shape {}, expected {}", ctx.shape(0), expected);
  ctx.outputs.push_back({ctx.inputs[0]->dtype, src});
}

void vjp(VjpContext& ctx) {
  Attrs attrs = ctx.node.attrs;
  attrs.set("src_shape", ctx.in_shape(0).dims());
  ctx.set_grad(0, ctx.b.add("ResizeGrad", {ctx.grad_out()}, attrs, ctx.node.name + "/grad"));
}

void normalize_resize(NormalizeContext& ctx) {
  if (ctx.opset < 11) {  // src, scales; one coordinate transformation
    if (ctx.inputs.size() > 1) ctx.inputs.insert(ctx.inputs.begin() + 1, kNoValue);
    ctx.attrs.set("coordinate_transformation_mode", std::string("asymmetric"));
    ctx.attrs.set("nearest_mode", std::string("floor"));
  }
  // An empty roi or scales says no more than an absent one.
  for (std::size_t i = 1; i < ctx.inputs.size(); ++i) {
    if (ctx.inputs[i].valid() && ctx.graph.shape(ctx.inputs[i]).elements() == 0) ctx.inputs[i] = kNoValue;
  }
  if (ctx.attrs.has("mode") && ctx.attrs.string("mode") == "bilinear") ctx.attrs.set("mode", std::string("linear"));
}

void normalize_upsample(NormalizeContext& ctx) {
  ctx.op = "Resize";
  if (ctx.attrs.has("height_scale") && ctx.attrs.has("width_scale")) {  // Upsample-1
    ctx.attrs.set("scales", Floats{1, 1, ctx.attrs.real("height_scale"), ctx.attrs.real("width_scale")});
    ctx.attrs.erase("height_scale");
    ctx.attrs.erase("width_scale");
  }
  ctx.opset = 10;
  normalize_resize(ctx);
}

// The exporter's opset is between the ones that know these two.
bool resize_to_onnx(ToOnnxContext& ctx) {
  const std::string& mode = ctx.node.attrs.string("coordinate_transformation_mode");
  return mode != "tf_half_pixel_for_nn" && mode != "half_pixel_symmetric";
}

// Files hold Resize instead; only a graph built by hand has this one.
bool upsample_to_onnx(ToOnnxContext&) { return false; }

// ---- coordinates and weights

// Where output o looks, in source pixels.
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
  if (mode == "half_pixel_symmetric") {  // what flooring the extent cut off is shared by both ends
    return src / 2 * (1 - dst / (map.scale * src)) + (x + 0.5) / map.scale - 0.5;
  }
  return (x + 0.5) / map.scale - 0.5;
}

double round_to_nearest(const Attrs& attrs, double x) {
  // A scale that was stored in float is off by 6e-8 of itself: what comes that near to a half or whole number is one.
  const double halves = std::round(2 * x) / 2;
  if (std::abs(x - halves) <= 1.2e-7 * std::abs(x)) x = halves;
  const std::string& mode = attrs.string("nearest_mode");
  if (mode == "floor") return std::floor(x);
  if (mode == "ceil") return std::ceil(x);
  if (mode == "round_prefer_ceil") return std::floor(x + 0.5);
  return std::ceil(x - 0.5);
}

// Keys' kernel at distance d.
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

using TapList = std::vector<std::pair<int64_t, double>>;

// The (source index, weight) pairs of output o.
TapList taps_of(const Attrs& attrs, const AxisMap& map, int64_t o) {
  const double x = source_coordinate(attrs, map, o);
  const auto clamp = [&](double i) { return std::clamp<int64_t>(static_cast<int64_t>(i), 0, map.src - 1); };
  const std::string& mode = attrs.string("mode");
  if (is_outside(attrs, map, o)) return {};
  if (mode == "nearest") return {{clamp(round_to_nearest(attrs, x)), 1.0}};
  // Shrinking, the kernel is stretched over as many more pixels.
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

std::vector<TapList> taps_of_axis(const Attrs& attrs, const Shape& src, int axis) {
  const AxisMap map = map_axis(attrs, src, axis);
  std::vector<TapList> lists;
  for (int64_t o = 0; o < map.dst; ++o) lists.push_back(taps_of(attrs, map, o));
  return lists;
}

std::vector<TapList> transposed(const std::vector<TapList>& lists, int64_t src) {
  std::vector<TapList> result(static_cast<std::size_t>(src));
  for (std::size_t o = 0; o < lists.size(); ++o) {
    for (const auto& [i, w] : lists[o]) result[static_cast<std::size_t>(i)].emplace_back(static_cast<int64_t>(o), w);
  }
  return result;
}

// ---- extrapolation

// What lies outside of tf_crop_and_resize's image is a constant, and the rest is linear.
std::vector<ValueId> lower_extrapolation(LowerContext& ctx) {
  const double value = ctx.node.attrs.real("extrapolation_value");
  if (!crops(ctx.node.attrs) || value == 0) return {};
  Attrs attrs = ctx.node.attrs;
  attrs.set("extrapolation_value", 0.0);
  const ValueId src = ctx.node.inputs[0], inside = ctx.add("Resize", {src}, attrs);
  const Shape shape = ctx.shape(src), dst = ctx.shape(inside);
  const AxisMap h = map_axis(attrs, shape, kH), w = map_axis(attrs, shape, kW);
  HostTensor outside = detail::filled(Shape{1, 1, dst[kH], dst[kW]}, 0);
  for (int64_t i = 0; i < outside.shape.elements(); ++i) {
    const bool is_out = is_outside(attrs, h, i / dst[kW]) || is_outside(attrs, w, i % dst[kW]);
    outside.values[static_cast<std::size_t>(i)] = is_out ? value : 0;
  }
  return {ctx.add("Add", {inside, ctx.b.constant(std::move(outside), ctx.node.name + "/outside")})};
}

// ---- references

// fn(src element, dst element, weight) for every pair of pixels that meet.
template <typename Function>
void for_each_pair(const Attrs& attrs, const Shape& src, const Shape& dst, const Function& fn) {
  const std::vector<TapList> rows = taps_of_axis(attrs, src, kH), columns = taps_of_axis(attrs, src, kW);
  for (int64_t plane = 0; plane < src[0] * src[1]; ++plane) {
    for (int64_t oh = 0; oh < dst[kH]; ++oh) {
      for (int64_t ow = 0; ow < dst[kW]; ++ow) {
        for (const auto& [h, row_weight] : rows[static_cast<std::size_t>(oh)]) {
          for (const auto& [w, column_weight] : columns[static_cast<std::size_t>(ow)]) {
            fn(static_cast<std::size_t>((plane * src[kH] + h) * src[kW] + w),
               static_cast<std::size_t>((plane * dst[kH] + oh) * dst[kW] + ow), row_weight * column_weight);
          }
        }
      }
    }
  }
}

void reference_forward(ReferenceContext& ctx) {
  const HostTensor& src = *ctx.inputs[0];
  auto& dst = ctx.outputs[0];
  for_each_pair(ctx.attrs, src.shape, dst.shape,
                [&](std::size_t i, std::size_t o, double weight) { dst.values[o] += weight * src.values[i]; });
}

void reference_with_statistics(ReferenceContext& ctx) {
  reference_forward(ctx);
  detail::reference_written_statistics(ctx);
}

void reference_backward(ReferenceContext& ctx) {
  const HostTensor& diff_dst = *ctx.inputs[0];
  auto& diff_src = ctx.outputs[0];
  for_each_pair(ctx.attrs, diff_src.shape, diff_dst.shape, [&](std::size_t i, std::size_t o, double weight) {
    diff_src.values[i] += weight * diff_dst.values[o];
  });
}

// ---- row loops

// dst = sum over r of weight[r] * src[r], rows of `count` elements; up to kRows rows at a time.
constexpr int64_t kRows = 4;

template <class T>
HG_CLONES void combine_rows(const T* const* src, const float* weight, int64_t rows, bool add, float* dst,
                            int64_t count) {
  const T *a = src[0], *b = src[rows > 1 ? 1 : 0], *c = src[rows > 2 ? 2 : 0], *d = src[rows > 3 ? 3 : 0];
  const float wa = weight[0], wb = rows > 1 ? weight[1] : 0, wc = rows > 2 ? weight[2] : 0,
              wd = rows > 3 ? weight[3] : 0;
  if (add) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      dst[i] +=
          wa * detail::load(a + i) + wb * detail::load(b + i) + (wc * detail::load(c + i) + wd * detail::load(d + i));
    }
  } else if (rows == 1) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) dst[i] = wa * detail::load(a + i);
  } else if (rows == 2) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) dst[i] = wa * detail::load(a + i) + wb * detail::load(b + i);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      dst[i] =
          wa * detail::load(a + i) + wb * detail::load(b + i) + (wc * detail::load(c + i) + wd * detail::load(d + i));
    }
  }
}

// dst[o] = sum over t of weight[t * stride + o] * src[index[t * stride + o]], elements: for row-major rows, and
// channels-last ones with few channels, whose taps are spread out to elements.
template <class T, int kTaps>
HG_CLONES void gather_elements(const float* src, const int32_t* index, const float* weight, int64_t taps,
                               int64_t stride, T* dst, int64_t count) {
  if constexpr (kTaps > 0) taps = kTaps;
#pragma omp simd
  for (int64_t o = 0; o < count; ++o) {
    float sum = 0;
    for (int64_t t = 0; t < taps; ++t) sum += weight[t * stride + o] * src[index[t * stride + o]];
    detail::store(dst + o, sum);
  }
}

// The same for pixels of kBlock channels (0: `block` of them).
template <class T, int kBlock, int kTaps>
HG_CLONES void gather_pixels(const float* src, const int32_t* index, const float* weight, int64_t taps, int64_t stride,
                             T* dst, int64_t count, int64_t block) {
  if constexpr (kBlock > 0) block = kBlock;
  const auto pixel = [&](int64_t t, int64_t o) { return src + index[t * stride + o] * block; };
  for (int64_t o = 0; o < count; ++o) {
    T* out = dst + o * block;
    if constexpr (kTaps == 1) {
      const float* a = pixel(0, o);
      const float wa = weight[o];
#pragma omp simd
      for (int64_t i = 0; i < block; ++i) detail::store(out + i, wa * a[i]);
    } else if constexpr (kTaps == 2) {
      const float *a = pixel(0, o), *b = pixel(1, o);
      const float wa = weight[o], wb = weight[stride + o];
#pragma omp simd
      for (int64_t i = 0; i < block; ++i) detail::store(out + i, wa * a[i] + wb * b[i]);
    } else if constexpr (kTaps == 4) {
      const float *a = pixel(0, o), *b = pixel(1, o), *c = pixel(2, o), *d = pixel(3, o);
      const float wa = weight[o], wb = weight[stride + o], wc = weight[2 * stride + o], wd = weight[3 * stride + o];
#pragma omp simd
      for (int64_t i = 0; i < block; ++i) detail::store(out + i, (wa * a[i] + wb * b[i]) + (wc * c[i] + wd * d[i]));
    } else {
      constexpr int64_t kLanes = 16;
      for (int64_t begin = 0; begin < block; begin += kLanes) {
        const int64_t lanes = std::min(kLanes, block - begin);
        float sum[kLanes] = {};
        for (int64_t t = 0; t < taps; ++t) {
          const float w = weight[t * stride + o];
          const float* a = pixel(t, o) + begin;
          for (int64_t i = 0; i < lanes; ++i) sum[i] += w * a[i];
        }
        for (int64_t i = 0; i < lanes; ++i) detail::store(out + begin + i, sum[i]);
      }
    }
  }
}

// ---- kernels

// Below this many channels side by side, a channels-last row is gathered by elements.
constexpr int64_t kPixelBlock = 8;
constexpr int64_t kSerial = 16384;  // elements

// What a tile of a combined row holds at most, in floats: small enough to stay in the first-level cache with its
// sources and its result, so that reading and writing memory overlap. Whole rows take a fifth to a half longer (128 x
// 256 x 256).
constexpr int64_t kTile = 1024;

// One separable map. A row of dst is made tile by tile: rows of src are combined into a buffer, and that is gathered.
// Columns are counted in pixels, or in elements when the block is small.
struct Map {
  struct Tile {
    int64_t begin, end;          // columns of dst
    int64_t src_begin, src_end;  // columns of src that they need
  };
  View src, dst;
  Taps rows, columns;  // the columns' indices are relative to their tile's src_begin
  std::vector<Tile> tiles;
  int64_t column;  // elements
  int64_t buffer;  // elements of a tile's combined row, whole cache lines
  int64_t workers;

  Map(const View& src_view, const View& dst_view, Taps row_taps, std::vector<TapList> column_lists)
      : src(src_view), dst(dst_view), rows(std::move(row_taps)), columns(spread(std::move(column_lists))) {
    column = by_elements() ? 1 : dst.block;
    for (int64_t o = 0; o < columns.dst; ++o) {
      int64_t low = columns.src, high = 0;
      for (int64_t t = 0; t < columns.count; ++t) {
        low = std::min(low, columns.at(t, o));
        high = std::max(high, columns.at(t, o) + 1);
      }
      if (!tiles.empty()) {
        Tile& last = tiles.back();
        const int64_t begin = std::min(last.src_begin, low), end = std::max(last.src_end, high);
        if ((end - begin) * column <= kTile) {
          last = {last.begin, o + 1, begin, end};
          continue;
        }
      }
      tiles.push_back({o, o + 1, low, high});
    }
    buffer = 0;
    for (const Tile& tile : tiles) {
      buffer = std::max(buffer, (tile.src_end - tile.src_begin) * column);
      for (int64_t o = tile.begin; o < tile.end; ++o) {
        for (int64_t t = 0; t < columns.count; ++t) {
          columns.index[static_cast<std::size_t>(t * columns.dst + o)] -= static_cast<int32_t>(tile.src_begin);
        }
      }
    }
    buffer = (buffer + 15) / 16 * 16;
    workers = dst.n * dst.groups * dst.h * dst.w * dst.block < kSerial ? 1 : omp_get_max_threads();
  }
  [[nodiscard]] bool by_elements() const { return dst.block < kPixelBlock; }
  [[nodiscard]] std::size_t scratch_bytes() const { return static_cast<std::size_t>(workers * buffer) * sizeof(float); }

 private:
  [[nodiscard]] Taps spread(std::vector<TapList> lists) const {
    if (!by_elements()) return {src.w, std::move(lists)};
    std::vector<TapList> elements;
    for (const TapList& list : lists) {
      for (int64_t lane = 0; lane < dst.block; ++lane) {
        elements.push_back(list);
        for (auto& [i, w] : elements.back()) i = i * dst.block + lane;
      }
    }
    return {src.w * dst.block, std::move(elements)};
  }
};

template <class T, int kTaps>
void gather(const Map& map, const Map::Tile& tile, const float* combined, T* dst) {
  const int64_t stride = map.columns.dst, taps = map.columns.count, count = tile.end - tile.begin;
  const int32_t* index = map.columns.index.data() + tile.begin;
  const float* weight = map.columns.weight.data() + tile.begin;
  dst += tile.begin * map.column;
  switch (map.column) {
    case 1: return gather_elements<T, kTaps>(combined, index, weight, taps, stride, dst, count);
    case 8: return gather_pixels<T, 8, kTaps>(combined, index, weight, taps, stride, dst, count, 8);
    case 16: return gather_pixels<T, 16, kTaps>(combined, index, weight, taps, stride, dst, count, 16);
    case 32: return gather_pixels<T, 32, kTaps>(combined, index, weight, taps, stride, dst, count, 32);
    case 128: return gather_pixels<T, 128, kTaps>(combined, index, weight, taps, stride, dst, count, 128);
    default: return gather_pixels<T, 0, kTaps>(combined, index, weight, taps, stride, dst, count, map.column);
  }
}

// Row `oh` of the rows whose source starts at `src`.
template <class T>
void map_row(const Map& map, const T* src, int64_t oh, float* buffer, T* dst) {
  for (const Map::Tile& tile : map.tiles) {
    const float* combined = buffer;
    const T* sources[kRows] = {};
    float weights[kRows] = {};
    for (int64_t t = 0; t < map.rows.count; t += kRows) {
      const int64_t rows = std::min(kRows, map.rows.count - t);
      for (int64_t r = 0; r < rows; ++r) {
        sources[r] = src + map.rows.at(t + r, oh) * map.src.stride_h + tile.src_begin * map.column;
        weights[r] = map.rows.weight_at(t + r, oh);
      }
      if constexpr (std::is_same_v<T, float>) {
        if (map.rows.count == 1 && weights[0] == 1) {  // nearest: nothing to combine
          combined = sources[0];
          break;
        }
      }
      combine_rows(sources, weights, rows, t > 0, buffer, (tile.src_end - tile.src_begin) * map.column);
    }
    switch (map.columns.count) {
      case 1: gather<T, 1>(map, tile, combined, dst); break;
      case 2: gather<T, 2>(map, tile, combined, dst); break;
      case 4: gather<T, 4>(map, tile, combined, dst); break;
      default: gather<T, 0>(map, tile, combined, dst);
    }
  }
}

template <class T>
void run_map(const Map& map, const WrittenStatistics& statistics, const Addresses& at) {
  const auto* src = static_cast<const T*>(at.src[0]);
  auto* dst = static_cast<T*>(at.dst[0]);
  const int64_t total = map.dst.n * map.dst.groups * map.dst.h;
  detail::parallel_for(map.workers, [&](int64_t worker) {
    float* buffer = static_cast<float*>(at.scratch) + worker * map.buffer;
    for (int64_t row = total * worker / map.workers; row < total * (worker + 1) / map.workers; ++row) {
      const int64_t oh = row % map.dst.h, group = row / map.dst.h % map.dst.groups,
                    n = row / map.dst.h / map.dst.groups;
      T* out = dst + map.dst.offset(n, group, oh, 0);
      map_row(map, src + map.src.offset(n, group, 0, 0), oh, buffer, out);
      statistics.add(at, out, map.dst.w);
    }
  });
}

// To dst of type `type`; with an epsilon, and a channels-last dst, with its statistics.
KernelPlan plan_map(const MemoryDesc& src_desc, const MemoryDesc& dst_desc, const TensorType& type,
                    const std::vector<TapList>& rows, const std::vector<TapList>& columns,
                    std::optional<double> epsilon = {}) {
  const View src = detail::view_of(src_desc), dst = detail::view_of(dst_desc);
  const auto map = std::make_shared<const Map>(src, dst, Taps(src.h, rows), columns);
  detail::Offsets offsets;
  offsets.add(map->scratch_bytes());
  const WrittenStatistics statistics(type, epsilon, offsets);
  KernelPlan plan{.src = {src_desc},
                  .dst = {dst_desc},
                  .scratch_bytes = offsets.end(),
                  .implementation = "loop",
                  .kernel = nullptr};
  statistics.add_to(plan);
  detail::with_element(type.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([map, statistics](const Addresses& at) {
      statistics.begin(at);
      run_map<T>(*map, statistics, at);
      statistics.end(at);
    });
  });
  return plan;
}

// Layouts of source and result whose views agree in block.
std::pair<MemoryDesc, MemoryDesc> layouts_for(const PlanContext& ctx) {
  if (detail::is_viewable(ctx.src[0]) && detail::view_of(ctx.src[0]).dense_rows()) {
    const MemoryDesc dst = detail::in_layout_of(ctx.src[0], ctx.out());
    const View a = detail::view_of(ctx.src[0]), b = detail::view_of(dst);
    if (a.block == b.block && b.dense_rows()) return {ctx.src[0], dst};
  }
  return {detail::plain(ctx.in(0)), detail::plain(ctx.out())};
}

KernelPlan plan_forward_with(const PlanContext& ctx, std::optional<double> epsilon) {
  const auto [src, dst] = layouts_for(ctx);
  const Shape& shape = ctx.in(0).shape;
  const auto plan = [&](std::optional<double> with) {
    return plan_map(src, dst, ctx.out(), taps_of_axis(ctx.node.attrs, shape, kH),
                    taps_of_axis(ctx.node.attrs, shape, kW), with);
  };
  if (!epsilon || detail::view_of(dst).is_channels_last()) return plan(epsilon);
  return detail::before_statistics(ctx.out(), *epsilon, plan({}));
}

KernelPlan plan_forward(PlanContext& ctx) { return plan_forward_with(ctx, {}); }

KernelPlan plan_with_statistics(PlanContext& ctx) { return plan_forward_with(ctx, ctx.node.attrs.real("epsilon")); }

KernelPlan plan_backward(PlanContext& ctx) {
  const auto [diff_dst, diff_src] = layouts_for(ctx);
  const Shape& shape = ctx.out().shape;
  return plan_map(diff_dst, diff_src, ctx.out(), transposed(taps_of_axis(ctx.node.attrs, shape, kH), shape[kH]),
                  transposed(taps_of_axis(ctx.node.attrs, shape, kW), shape[kW]));
}

std::vector<AttrSpec> attrs_with(const char* coordinates, const char* nearest, const std::vector<AttrSpec>& more) {
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

}  // namespace

std::span<const OpDef> resize_ops() {
  static const OpDef ops[] = {
      {.name = "Resize",
       .since = 10,
       .attrs = attrs_with("half_pixel", "round_prefer_floor", {}),
       .const_inputs = {{1, "roi"}, {2, "scales"}, {3, "sizes"}},
       .normalize = normalize_resize,
       .lower = lower_extrapolation,
       .to_onnx = resize_to_onnx,
       .infer = infer_forward,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b1,
       .linear = true,
       .again = "Resize",
       .cases =
           {"1x8x5x7 | mode=linear scales=[1,1,2,2]",
            "2x17x9x4 | scales=[1,1,2,2]",
            "1x3x7x5 | mode=linear scales=[1,1,1.7,0.6]",
            "1x8x9x11 | mode=linear scales=[1,1,0.5,0.5]",
            "1x19x6x8 | mode=linear sizes=[1,19,13,3] coordinate_transformation_mode=align_corners",
            "1x5x6x8 | mode=linear sizes=[1,5,1,1] coordinate_transformation_mode=align_corners",
            "1x5x6x8 | mode=linear sizes=[1,5,1,16] coordinate_transformation_mode=pytorch_half_pixel",
            "1x4x1x1 | mode=linear sizes=[1,4,3,5]",
            "2x2x5x5 | mode=cubic scales=[1,1,2,2]",
            "1x9x7x6 | mode=cubic scales=[1,1,1.7,0.45] cubic_coeff_a=-0.5 exclude_outside=1",
            "1x6x5x8 | mode=cubic sizes=[1,6,11,8] coordinate_transformation_mode=half_pixel_symmetric",
            "1x3x8x6 | scales=[1,1,1.7,0.6] nearest_mode=round_prefer_ceil",
            "1x16x8x6 | scales=[1,1,0.5,3] nearest_mode=ceil coordinate_transformation_mode=asymmetric",
            "1x16x8x6 | scales=[1,1,0.3,0.3] nearest_mode=floor coordinate_transformation_mode=tf_half_pixel_for_nn",
            "1x7x8x6 | mode=linear scales=[1,1,2,2] coordinate_transformation_mode=asymmetric",
            "1x3x6x4 | mode=linear axes=[3,2] sizes=[9,12] keep_aspect_ratio_policy=not_larger",
            "1x3x6x4 | axes=[-2] scales=[1.5]",
            "1x35x4x3 | mode=linear scales=[1,1,5,5]",
            "1x20x40x36 | mode=linear scales=[1,1,2,2]",
            "1x3x9x7 | mode=linear scales=[1,1,0.5,0.4] antialias=1",
            "1x3x9x17 | mode=cubic sizes=[1,3,12,5] antialias=1 exclude_outside=1",
            "1x3x6x5 | mode=linear sizes=[1,3,4,7] coordinate_transformation_mode=tf_crop_and_resize "
            "roi=[0,0,0.2,-0.3,1,1,0.7,1.2]",
            "1x3x6x5 | axes=[2,3] sizes=[5,1] coordinate_transformation_mode=tf_crop_and_resize roi=[0.4,0,1.6,1]"}},
      {.name = "Upsample",
       .since = 1,
       .attrs = attrs_with("asymmetric", "floor", {}),
       .normalize = normalize_upsample,
       .to_onnx = upsample_to_onnx,
       .infer = infer_forward,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b1,
       .linear = true,
       .cases = {"1x8x5x7 | scales=[1,1,2,2]", "1x3x4x4 | mode=linear scales=[1,1,2,3]"}},
      {.name = "ResizeWithStatistics",
       .internal = true,
       .attrs = attrs_with("half_pixel", "round_prefer_floor", {{"epsilon", 1e-5}}),
       .infer = infer_with_statistics,
       .plan = plan_with_statistics,
       .reference = reference_with_statistics,
       .bf16_inputs = 0b1,
       .cases = {"1x8x15x17 | mode=linear scales=[1,1,2,2]", "2x17x9x14 | scales=[1,1,2,2] epsilon=0.1",
                 "1x3x37x35 | mode=linear scales=[1,1,1.7,0.6]",
                 "1x3x48x64@-1000.3..-999.7 | scales=[1,1,2,2] epsilon=1e-9", "1x8x512x1 | scales=[1,1,1,1]",
                 "1x20x40x36 | mode=linear scales=[1,1,2,2]"}},
      {.name = "ResizeGrad",
       .internal = true,
       .attrs = attrs_with("half_pixel", "round_prefer_floor", {AttrSpec::required("src_shape", AttrKind::ints)}),
       .infer = infer_backward,
       .plan = plan_backward,
       .reference = reference_backward,
       .bf16_inputs = 0b1,
       .linear = true,
       .cases = {"1x8x10x14 | mode=linear scales=[1,1,2,2] src_shape=[1,8,5,7]",
                 "2x17x18x8 | scales=[1,1,2,2] src_shape=[2,17,9,4]",
                 "1x3x11x3 | mode=linear scales=[1,1,1.7,0.6] src_shape=[1,3,7,5]",
                 "1x19x13x3 | mode=linear sizes=[1,19,13,3] coordinate_transformation_mode=align_corners "
                 "src_shape=[1,19,6,8]",
                 "2x5x10x10 | mode=cubic scales=[1,1,2,2] src_shape=[2,5,5,5]",
                 "1x3x2x2 | scales=[1,1,0.3,0.3] src_shape=[1,3,8,8]",
                 "1x35x20x15 | mode=linear scales=[1,1,5,5] src_shape=[1,35,4,3]",
                 "1x20x80x72 | mode=linear scales=[1,1,2,2] src_shape=[1,20,40,36]"}},
  };
  return ops;
}

}  // namespace hourglass::ops
