// LeakyRelu: dst = src > 0 ? src : alpha * src.            ONNX LeakyRelu-16.  src, dst: any shape
//   diff_src = diff_dst * (dst > 0 ? 1 : alpha): for alpha >= 0 dst is positive exactly where src is, so the gradient
//   reads dst, and the forward pass may overwrite its input.  (alpha < 0 keeps src instead.)
// Relu is LeakyRelu with alpha = 0: it chooses, where a product with 0 would make NaN of an infinity.     ONNX Relu-14
#include "ops/elementwise.h"
#include "ops/loops/clones.h"
#include "ops/loops/math.h"

namespace hourglass::ops::leaky_relu {
namespace {

namespace math = kernels::math;

void infer_same(InferContext& ctx) { ctx.outputs.push_back(*ctx.inputs[0]); }

// NaN stays NaN.
template <class R>
HG_INLINE R activate(R x, R alpha) {
  return alpha == 0 ? (x < 0 ? R(0) : x) : x > 0 ? x : alpha * x;
}

double alpha_of(const Attrs& attrs) { return attrs.has("alpha") ? attrs.real("alpha") : 0.0; }

// LeakyReluGrad takes (diff_dst, src): with alpha >= 0 the gradient rule passes dst in src's place.
void vjp(VjpContext& ctx) {
  const double alpha = alpha_of(ctx.node.attrs);
  const ValueId sign = alpha >= 0 ? ctx.out(0) : ctx.in(0);
  ctx.set_grad(0, ctx.b.add("LeakyReluGrad", {ctx.grad_out(), sign}, {{"alpha", alpha}}, ctx.node.name + "/grad"));
}

void reference_forward(ReferenceContext& ctx) {
  const double alpha = alpha_of(ctx.attrs);
  const auto& src = ctx.inputs[0]->values;
  auto& dst = ctx.outputs[0].values;
  for (std::size_t i = 0; i < src.size(); ++i) dst[i] = activate(src[i], alpha);
}

void reference_backward(ReferenceContext& ctx) {
  const double alpha = alpha_of(ctx.attrs);
  const auto& diff_dst = ctx.inputs[0]->values;
  const auto& src = ctx.inputs[1]->values;
  auto& diff_src = ctx.outputs[0].values;
  for (std::size_t i = 0; i < src.size(); ++i) diff_src[i] = src[i] > 0 ? diff_dst[i] : math::chain(diff_dst[i], alpha);
}

HG_CLONES void forward(const float* src, float* dst, int64_t count, float alpha) {
  if (alpha == 0) {
    for (int64_t i = 0; i < count; ++i) dst[i] = activate(src[i], 0.0F);
  } else {
    for (int64_t i = 0; i < count; ++i) dst[i] = src[i] > 0 ? src[i] : alpha * src[i];
  }
}

HG_CLONES void backward(const float* diff_dst, const float* src, float* diff_src, int64_t count, float alpha) {
  if (alpha == 0) {
    for (int64_t i = 0; i < count; ++i) diff_src[i] = src[i] > 0 ? diff_dst[i] : 0.0F;
  } else {
    for (int64_t i = 0; i < count; ++i) diff_src[i] = src[i] > 0 ? diff_dst[i] : alpha * diff_dst[i];
  }
}

Row row_forward(const Attrs& attrs, std::size_t) {
  return [alpha = static_cast<float>(alpha_of(attrs))](const RowSource* src, float* dst, int64_t count) {
    forward(src[0].data, dst, count, alpha);
  };
}

Row row_backward(const Attrs& attrs, std::size_t) {
  return [alpha = static_cast<float>(alpha_of(attrs))](const RowSource* src, float* dst, int64_t count) {
    backward(src[0].data, src[1].data, dst, count, alpha);
  };
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "LeakyRelu",
       .attrs = {{"alpha", 0.01}},
       .infer = infer_same,
       .vjp = vjp,
       .plan = plan_by_row,
       .row = row_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b1,
       .again = "LeakyRelu"},
      {.name = "Relu",
       .infer = infer_same,
       .vjp = vjp,
       .plan = plan_by_row,
       .row = row_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b1,
       .again = "Relu"},
      {.name = "LeakyReluGrad",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {{"alpha", 0.01}},
       .infer = infer_same,
       .plan = plan_by_row,
       .row = row_backward,
       .reference = reference_backward,
       .bf16_inputs = 0b11},
  };
  return ops;
}

}  // namespace hourglass::ops::leaky_relu
