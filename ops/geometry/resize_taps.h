// Resize's attributes as linear maps: the resized shape, and for each output of an axis the source elements and weights
// (taps) that it is a sum of. The formulas are in ops/resize.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/attrs.h"
#include "graph/shape.h"
#include "ops/geometry/taps.h"

namespace hourglass::kernels {

// Resize's attributes, with these defaults, followed by `more`.
std::vector<AttrSpec> resize_attrs(const char* coordinates, const char* nearest, const std::vector<AttrSpec>& more);

// The shape that src [N,C,H,W] is resized to. Throws Error for attributes that make no sense.
Shape resized_shape(const Attrs& attrs, const Shape& src);

// The taps of each output of axis H (2) or W (3).
std::vector<TapList> taps_of_axis(const Attrs& attrs, const Shape& src, int axis);
// For each output of the axis, whether it lies outside of the part that tf_crop_and_resize sees: it has no taps then.
std::vector<bool> outside_of_axis(const Attrs& attrs, const Shape& src, int axis);
// Whether a node that may resize its source while it reads (FusedConv, ConvGradWeights) does so: then it has Resize's
// attributes too.
bool resizes(const Attrs& attrs);
// Whether the Resize crops, that is, sees a part of the image only (tf_crop_and_resize).
bool crops(const Attrs& attrs);

}  // namespace hourglass::kernels
