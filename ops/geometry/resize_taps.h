// What Resize's attributes say of an image: its shape, and what each output of an axis is made of. The formulas are in
// ops/resize.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/attrs.h"
#include "graph/shape.h"
#include "ops/geometry/taps.h"

namespace hourglass::kernels {

// The attributes, with these defaults, and `more` behind them.
std::vector<AttrSpec> resize_attrs(const char* coordinates, const char* nearest, const std::vector<AttrSpec>& more);

// The shape that src [N,C,H,W] is resized to. Throws Error for attributes that make no sense.
Shape resized_shape(const Attrs& attrs, const Shape& src);

// Of axis H (2) or W (3): where each output's taps are.
std::vector<TapList> taps_of_axis(const Attrs& attrs, const Shape& src, int axis);
// For each output of the axis, whether it lies outside of the part that tf_crop_and_resize sees: it has no taps then.
std::vector<bool> outside_of_axis(const Attrs& attrs, const Shape& src, int axis);
// Whether a node that may resize what it reads does so: its attributes are Resize's too, and say to what.
bool resizes(const Attrs& attrs);
// Whether it sees a part only.
bool crops(const Attrs& attrs);

}  // namespace hourglass::kernels
