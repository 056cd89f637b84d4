// LeakyRelu: dst = src > 0 ? src : alpha * src.            ONNX LeakyRelu-16.  src, dst: any shape
//   diff_src = diff_dst * (dst > 0 ? 1 : alpha), for alpha > 0 the sign of dst is the sign of src, so the forward
//   pass may overwrite its input.  (alpha <= 0 keeps src instead.)
// Relu is LeakyRelu with alpha = 0.                         ONNX Relu-14
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"

namespace hourglass::ops {
namespace {

void infer_same(InferContext& ctx) { ctx.outputs.push_back(*ctx.inputs[0]); }

double alpha_of(const Attrs& attrs) { return attrs.has("alpha") ? attrs.real("alpha") : 0.0; }

// LeakyReluGrad takes (diff_dst, src): with alpha > 0 the vjp passes dst in src's place.
void vjp(VjpContext& ctx) {
  const double alpha = alpha_of(ctx.node.attrs);
  const ValueId sign = alpha > 0 ? ctx.out(0) : ctx.in(0);
  ctx.set_grad(0, ctx.b.add("LeakyReluGrad", {ctx.grad_out(), sign}, {{"alpha", alpha}}, ctx.node.name + "/grad"));
}

void reference_forward(ReferenceContext& ctx) {
  const double alpha = alpha_of(ctx.attrs);
  const auto& src = ctx.inputs[0]->values;
  auto& dst = ctx.outputs[0].values;
  for (std::size_t i = 0; i < src.size(); ++i) dst[i] = src[i] > 0 ? src[i] : alpha * src[i];
}

void reference_backward(ReferenceContext& ctx) {
  const double alpha = alpha_of(ctx.attrs);
  const auto& diff_dst = ctx.inputs[0]->values;
  const auto& src = ctx.inputs[1]->values;
  auto& diff_src = ctx.outputs[0].values;
  for (std::size_t i = 0; i < src.size(); ++i) diff_src[i] = diff_dst[i] * (src[i] > 0 ? 1 : alpha);
}

template <class T>
HG_CLONES void forward_row(const T* src, T* dst, int64_t count, float alpha) {
  for (int64_t i = 0; i < count; ++i) {
    const float x = kernels::load(src + i);
    kernels::store(dst + i, x > 0 ? x : alpha * x);
  }
}

template <class T>
HG_CLONES void backward_row(const T* diff_dst, const T* src, T* diff_src, int64_t count, float alpha) {
  for (int64_t i = 0; i < count; ++i) {
    const float dy = kernels::load(diff_dst + i);
    kernels::store(diff_src + i, kernels::load(src + i) > 0 ? dy : alpha * dy);
  }
}

// Zero stays zero, so the padding lanes of a blocked layout need no care.
constexpr int64_t kGrain = 4096;

KernelPlan plan_forward(PlanContext& ctx) {
  const MemoryDesc desc = ctx.src[0];
  const auto alpha = static_cast<float>(alpha_of(ctx.node.attrs));
  const int64_t count = kernels::padded_elements(desc);
  KernelPlan plan{.src = {desc}, .dst = {desc}, .in_place = {{0, 0}}, .implementation = "loop", .kernel = nullptr};
  kernels::with_element(ctx.in(0).dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      const auto* src = static_cast<const T*>(at.src[0]);
      auto* dst = static_cast<T*>(at.dst[0]);
      kernels::parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
        forward_row(src + begin, dst + begin, end - begin, alpha);
      });
    });
  });
  return plan;
}

KernelPlan plan_backward(PlanContext& ctx) {
  const MemoryDesc desc = ctx.src[1];
  const auto alpha = static_cast<float>(alpha_of(ctx.node.attrs));
  const int64_t count = kernels::padded_elements(desc);
  KernelPlan plan{
      .src = {desc, desc}, .dst = {desc}, .in_place = {{0, 0}}, .implementation = "loop", .kernel = nullptr};
  kernels::with_element(ctx.in(0).dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) {
      const auto* diff_dst = static_cast<const T*>(at.src[0]);
      const auto* src = static_cast<const T*>(at.src[1]);
      auto* diff_src = static_cast<T*>(at.dst[0]);
      kernels::parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
        backward_row(diff_dst + begin, src + begin, diff_src + begin, end - begin, alpha);
      });
    });
  });
  return plan;
}

Row forward_rows(const Attrs& attrs, std::size_t) {
  return [alpha = static_cast<float>(alpha_of(attrs))](const RowSource* src, float* dst, int64_t count) {
    forward_row(src[0].data, dst, count, alpha);
  };
}

Row backward_rows(const Attrs& attrs, std::size_t) {
  return [alpha = static_cast<float>(alpha_of(attrs))](const RowSource* src, float* dst, int64_t count) {
    backward_row(src[0].data, src[1].data, dst, count, alpha);
  };
}

}  // namespace

std::span<const OpDef> leaky_relu_ops() {
  static const OpDef ops[] = {
      {.name = "LeakyRelu",
       .attrs = {{"alpha", 0.01}},
       .infer = infer_same,
       .vjp = vjp,
       .plan = plan_forward,
       .row = forward_rows,
       .reference = reference_forward,
       .bf16_inputs = 0b1,
       .again = "LeakyRelu"},
      {.name = "Relu",
       .infer = infer_same,
       .vjp = vjp,
       .plan = plan_forward,
       .row = forward_rows,
       .reference = reference_forward,
       .bf16_inputs = 0b1,
       .again = "Relu"},
      {.name = "LeakyReluGrad",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {{"alpha", 0.01}},
       .infer = infer_same,
       .plan = plan_backward,
       .row = backward_rows,
       .reference = reference_backward,
       .bf16_inputs = 0b11},
  };
  return ops;
}

}  // namespace hourglass::ops
