// Ops whose result depends on attributes and shapes alone, so that the importer folds them.
//   Constant; ConstantOfShape{shape, value}; Range{start, limit, delta}; Shape{start, end}; Size.
// ONNX ops of the same names; the inputs of ConstantOfShape and Range are constants.
#include "graph/error.h"
#include "graph/op.h"

#include <algorithm>
#include <cmath>

namespace hourglass::ops::constant {
namespace {

using TensorPtr = std::shared_ptr<const HostTensor>;

HostTensor constant_of(const Attrs& attrs) {
  const auto vector = [](DType dtype, const auto& values) {
    return HostTensor(dtype, Shape{static_cast<int64_t>(values.size())}, {values.begin(), values.end()});
  };
  if (attrs.has("value")) return attrs.tensor("value");
  if (attrs.has("value_float")) return HostTensor::scalar(DType::f32, attrs.real("value_float"));
  if (attrs.has("value_floats")) return vector(DType::f32, attrs.floats("value_floats"));
  if (attrs.has("value_int")) return HostTensor::scalar(DType::i64, static_cast<double>(attrs.integer("value_int")));
  if (attrs.has("value_ints")) return vector(DType::i64, attrs.ints("value_ints"));
  fail("has none of value, value_float, value_floats, value_int and value_ints");
}

void infer_constant(InferContext& ctx) {
  const HostTensor value = constant_of(ctx.attrs);
  ctx.outputs.push_back({value.dtype, value.shape});
}
void reference_constant(ReferenceContext& ctx) { ctx.outputs[0] = constant_of(ctx.attrs); }

void infer_constant_of_shape(InferContext& ctx) {
  DType dtype = DType::f32;
  if (ctx.attrs.has("value")) {
    const HostTensor& value = ctx.attrs.tensor("value");
    if (value.values.size() != 1) fail("value has {} elements, expected one", value.values.size());
    dtype = value.dtype;
  }
  ctx.outputs.push_back({dtype, Shape(ctx.attrs.ints("shape"))});
}
void reference_constant_of_shape(ReferenceContext& ctx) {
  const double value = ctx.attrs.has("value") ? ctx.attrs.tensor("value").values[0] : 0;
  std::fill(ctx.outputs[0].values.begin(), ctx.outputs[0].values.end(), value);
}

double single(const Attrs& attrs, const char* name) {
  const HostTensor& tensor = attrs.tensor(name);
  if (tensor.values.size() != 1) fail("{} has {} elements, expected one", name, tensor.values.size());
  return tensor.values[0];
}

void infer_range(InferContext& ctx) {
  const double start = single(ctx.attrs, "start"), limit = single(ctx.attrs, "limit"),
               delta = single(ctx.attrs, "delta");
  if (delta == 0) fail("delta is 0");
  const double count = std::max(0.0, std::ceil((limit - start) / delta));
  if (!(count < 1e12)) fail("{} to {} by {} has too many elements", start, limit, delta);
  ctx.outputs.push_back({ctx.attrs.tensor("start").dtype, Shape{static_cast<int64_t>(count)}});
}
void reference_range(ReferenceContext& ctx) {
  const double start = single(ctx.attrs, "start"), delta = single(ctx.attrs, "delta");
  auto& values = ctx.outputs[0].values;
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = start + static_cast<double>(i) * delta;
}

// Extents [start, end) of src, both clamped.
Dims extents_of(const Attrs& attrs, const Shape& src) {
  const int64_t rank = src.rank();
  const auto clamped = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const int64_t start = clamped(attrs.integer("start"));
  const int64_t end = attrs.has("end") ? clamped(attrs.integer("end")) : rank;
  if (start >= end) return {};
  return {src.dims().begin() + start, src.dims().begin() + end};
}
void infer_shape(InferContext& ctx) {
  ctx.outputs.push_back({DType::i64, Shape{static_cast<int64_t>(extents_of(ctx.attrs, ctx.shape(0)).size())}});
}
void reference_shape(ReferenceContext& ctx) {
  const Dims extents = extents_of(ctx.attrs, ctx.inputs[0]->shape);
  ctx.outputs[0].values.assign(extents.begin(), extents.end());
}

void infer_size(InferContext& ctx) { ctx.outputs.push_back({DType::i64, Shape{}}); }
void reference_size(ReferenceContext& ctx) {
  ctx.outputs[0].values[0] = static_cast<double>(ctx.inputs[0]->shape.elements());
}

constexpr std::string_view kConstant = "its value is a constant";

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Constant",
       .min_inputs = 0,
       .max_inputs = 0,
       .attrs = {AttrSpec::optional("value", AttrKind::tensor), AttrSpec::optional("value_float", AttrKind::real),
                 AttrSpec::optional("value_floats", AttrKind::floats),
                 AttrSpec::optional("value_int", AttrKind::integer), AttrSpec::optional("value_ints", AttrKind::ints)},
       .infer = infer_constant,
       .no_gradient = kConstant,
       .reference = reference_constant},
      {.name = "ConstantOfShape",
       .min_inputs = 0,
       .max_inputs = 0,
       .attrs = {AttrSpec::required("shape", AttrKind::ints), AttrSpec::optional("value", AttrKind::tensor)},
       .const_inputs = {{0, "shape"}},
       .infer = infer_constant_of_shape,
       .no_gradient = kConstant,
       .reference = reference_constant_of_shape},
      {.name = "Range",
       .min_inputs = 0,
       .max_inputs = 0,
       .attrs = {AttrSpec::required("start", AttrKind::tensor), AttrSpec::required("limit", AttrKind::tensor),
                 AttrSpec::required("delta", AttrKind::tensor)},
       .const_inputs = {{0, "start"}, {1, "limit"}, {2, "delta"}},
       .infer = infer_range,
       .no_gradient = kConstant,
       .reference = reference_range},
      {.name = "Shape",
       .attrs = {{"start", int64_t{0}}, AttrSpec::optional("end", AttrKind::integer)},
       .infer = infer_shape,
       .no_gradient = "a shape does not depend on the values",
       .reference = reference_shape,
       .by_type = true},
      {.name = "Size",
       .infer = infer_size,
       .no_gradient = "a size does not depend on the values",
       .reference = reference_size,
       .by_type = true},
  };
  return ops;
}

}  // namespace hourglass::ops::constant
