// ConcatBatchNormalization: BatchNormalization of a Concat of two activations along their channels.    Internal, made
// by ops/fused/fuse.h; ops/batch_normalization.cpp has the formulas.
//   Inputs a [N,A,H,W], b [N,B,H,W], scale, bias [A+B]; outputs dst [N,A+B,H,W], mean, inv_std [A+B]; attributes
//   epsilon and alpha as BatchNormalization's.
// The two are never stored side by side: each is normalised straight into its channels of dst, and in the gradient each
// reads its channels of diff_dst and gets a diff of its own.
//
// ConcatBatchNormalizationApply: dst with mean and inv_std given.
#include <algorithm>
#include <array>

#include "graph/error.h"
#include "ops/convolution/source.h"
#include "ops/loops/element.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/normalization/backward.h"
#include "ops/normalization/forward.h"
#include "ops/table.h"

namespace hourglass::ops::concat_batch_normalization {
namespace {

using kernels::Normalization;

// Checks parameters and statistics, inputs from `first` on.
void check_channels(const InferContext& ctx, std::size_t first, int64_t channels) {
  for (std::size_t i = first; i < ctx.inputs.size(); ++i) {
    const TensorType& type = *ctx.inputs[i];
    if (type.dtype != DType::f32 || type.shape != Shape{channels}) {
      fail("input {} is {}:{}, expected f32:{}, one per channel", i, type.dtype, type.shape, channels);
    }
  }
}

void infer_forward(InferContext& ctx) {
  const TensorType dst = kernels::joined(*ctx.inputs[0], *ctx.inputs[1]);
  check_channels(ctx, 2, dst.shape[1]);
  ctx.outputs = {dst};
  if (ctx.inputs.size() == 4) {  // else mean and inv_std are given
    const TensorType statistic{DType::f32, Shape{dst.shape[1]}};
    ctx.outputs.insert(ctx.outputs.end(), {statistic, statistic});
  }
}

void infer_backward(InferContext& ctx) {
  const TensorType dst = kernels::joined(*ctx.inputs[1], *ctx.inputs[2]);
  if (ctx.shape(0) != dst.shape) fail("diff_dst has shape {}, expected {}", ctx.shape(0), dst.shape);
  check_channels(ctx, 3, dst.shape[1]);
  ctx.outputs = {*ctx.inputs[1], *ctx.inputs[2], *ctx.inputs[3], *ctx.inputs[4]};
}

void vjp(VjpContext& ctx) {
  if (!ctx.grad_out().valid()) return;  // only the statistics are used: they are not differentiated
  std::vector<ValueId> inputs{ctx.grad_out()};
  inputs.insert(inputs.end(), ctx.node.inputs.begin(), ctx.node.inputs.end());
  inputs.insert(inputs.end(), {ctx.out(1), ctx.out(2)});
  const std::vector<ValueId> grads = ctx.b.add_all("ConcatBatchNormalizationGrad", std::move(inputs),
                                                   {{"alpha", ctx.node.attrs.real("alpha")}}, ctx.node.name + "/grad");
  for (std::size_t i = 0; i < grads.size(); ++i) {
    if (ctx.wants(i)) ctx.set_grad(i, grads[i]);
  }
}

// ---- references: the two ops that this one stands for

auto reference_of(std::string_view op) { return op_table().find(op)->reference; }

HostTensor joined(const HostTensor& a, const HostTensor& b) {
  const Shape shape = kernels::joined({a.dtype, a.shape}, {b.dtype, b.shape}).shape;
  HostTensor whole(a.dtype, shape);
  auto out = whole.values.begin();
  for (int64_t n = 0; n < shape[0]; ++n) {
    for (const HostTensor* image : {&a, &b}) {
      const int64_t count = image->shape.elements() / image->shape[0];
      out = std::copy_n(image->values.begin() + n * count, count, out);
    }
  }
  return whole;
}

void reference_forward(ReferenceContext& ctx) {
  const HostTensor whole = joined(*ctx.inputs[0], *ctx.inputs[1]);
  std::vector<const HostTensor*> inputs{&whole};
  inputs.insert(inputs.end(), ctx.inputs.begin() + 2, ctx.inputs.end());
  ReferenceContext norm{.attrs = ctx.attrs, .inputs = std::move(inputs), .outputs = std::move(ctx.outputs)};
  reference_of(norm.inputs.size() == 3 ? "BatchNormalization" : "BatchNormalizationApply")(norm);
  ctx.outputs = std::move(norm.outputs);
}

void reference_backward(ReferenceContext& ctx) {
  const HostTensor whole = joined(*ctx.inputs[1], *ctx.inputs[2]);
  std::vector<const HostTensor*> inputs{ctx.inputs[0], &whole};
  inputs.insert(inputs.end(), ctx.inputs.begin() + 3, ctx.inputs.end());
  ReferenceContext norm{.attrs = ctx.attrs,
                        .inputs = std::move(inputs),
                        .outputs = {HostTensor(whole.dtype, whole.shape), ctx.outputs[2], ctx.outputs[3]}};
  reference_of("BatchNormalizationGrad")(norm);
  auto from = norm.outputs[0].values.begin();
  for (int64_t n = 0; n < whole.shape[0]; ++n) {
    for (HostTensor* image : {&ctx.outputs[0], &ctx.outputs[1]}) {
      const int64_t count = image->shape.elements() / image->shape[0];
      std::copy_n(from, count, image->values.begin() + n * count);
      from += count;
    }
  }
  ctx.outputs[2] = std::move(norm.outputs[1]);
  ctx.outputs[3] = std::move(norm.outputs[2]);
}

// ---- kernels

// a and b, inputs `first` and `first + 1`, as slices of the whole, and the layouts of all three.
struct Slices {
  MemoryDesc a_desc, b_desc, whole_desc;
  bool is_bf16;
  Normalization a, b;

  Slices(const PlanContext& ctx, std::size_t first)
      : a_desc(kernels::with_tag(ctx.in(first), kernels::Tag::nhwc)),
        b_desc(kernels::with_tag(ctx.in(first + 1), kernels::Tag::nhwc)),
        whole_desc(kernels::with_tag(kernels::joined(ctx.in(first), ctx.in(first + 1)), kernels::Tag::nhwc)),
        is_bf16(ctx.in(first).dtype == DType::bf16),
        a(slice(ctx, a_desc, 0)),
        b(slice(ctx, b_desc, kernels::view_of(a_desc).c)) {}

  // A plan that runs kernel(element, addresses, slice, number of the slice) for both.
  template <typename Function>
  [[nodiscard]] KernelPlan plan(std::vector<MemoryDesc> src, std::vector<MemoryDesc> dst,
                                const Function& kernel) const {
    KernelPlan plan{.src = std::move(src),
                    .dst = std::move(dst),
                    .scratch_bytes = std::max(a.scratch_bytes(element_bytes()), b.scratch_bytes(element_bytes())),
                    .implementation = "loop",
                    .kernel = nullptr};
    kernels::with_element(is_bf16, [&](auto* element) {
      plan.kernel = loop_kernel([kernel, element, a = a, b = b](const Addresses& at) {
        kernel(element, at, a, 0);
        kernel(element, at, b, 1);
      });
    });
    return plan;
  }

 private:
  [[nodiscard]] std::size_t element_bytes() const { return is_bf16 ? 2 : 4; }
  [[nodiscard]] Normalization slice(const PlanContext& ctx, const MemoryDesc& desc, int64_t first) const {
    return Normalization::slice(kernels::view_of(desc), 2 * static_cast<int64_t>(element_bytes()),
                                static_cast<float>(ctx.node.attrs.real("alpha")), kernels::view_of(whole_desc).c,
                                first);
  }
};

// Per-channel numbers of an input or output, from the slice's first channel on.
const float* floats(const Addresses& at, std::size_t input, const Normalization& slice) {
  return static_cast<const float*>(at.src[input]) + slice.first;
}
float* float_output(const Addresses& at, std::size_t output, const Normalization& slice) {
  return static_cast<float*>(at.dst[output]) + slice.first;
}

// Row-major descriptors of a node's values from `first` on.
template <typename Ids>
void append_plain(const PlanContext& ctx, const Ids& ids, std::size_t first, std::vector<MemoryDesc>& descs) {
  for (std::size_t i = first; i < ids.size(); ++i) descs.push_back(kernels::plain(ctx.graph.type(ids[i])));
}

KernelPlan plan_forward(PlanContext& ctx) {
  const Slices slices(ctx, 0);
  const double epsilon = ctx.node.attrs.real("epsilon");
  const auto kernel = [epsilon](auto* element, const Addresses& at, const Normalization& slice, std::size_t i) {
    using T = std::remove_pointer_t<decltype(element)>;
    kernels::normalize_forward<T>(slice,
                                  {.src = at.src[i],
                                   .scale = floats(at, 2, slice),
                                   .bias = floats(at, 3, slice),
                                   .dst = at.dst[0],
                                   .mean = float_output(at, 1, slice),
                                   .inv_std = float_output(at, 2, slice),
                                   .scratch = at.scratch},
                                  epsilon);
  };
  KernelPlan plan = slices.plan({slices.a_desc, slices.b_desc}, {slices.whole_desc}, kernel);
  append_plain(ctx, ctx.node.inputs, 2, plan.src);
  append_plain(ctx, ctx.node.outputs, 1, plan.dst);
  return plan;
}

KernelPlan plan_apply(PlanContext& ctx) {
  const Slices slices(ctx, 0);
  const auto kernel = [](auto* element, const Addresses& at, const Normalization& slice, std::size_t i) {
    using T = std::remove_pointer_t<decltype(element)>;
    kernels::normalize_apply<T>(slice, {.src = at.src[i],
                                        .scale = floats(at, 2, slice),
                                        .bias = floats(at, 3, slice),
                                        .mean = floats(at, 4, slice),
                                        .inv_std = floats(at, 5, slice),
                                        .dst = at.dst[0],
                                        .scratch = at.scratch});
  };
  KernelPlan plan = slices.plan({slices.a_desc, slices.b_desc}, {slices.whole_desc}, kernel);
  append_plain(ctx, ctx.node.inputs, 2, plan.src);
  return plan;
}

KernelPlan plan_backward(PlanContext& ctx) {
  Slices slices(ctx, 1);
  kernels::cut_alike(slices.a.walk, slices.b.walk);
  const std::size_t element_bytes = slices.is_bf16 ? 2 : 4;
  kernels::ScratchLayout offsets;
  const std::array<std::size_t, 2> scratch{offsets.add(slices.a.scratch_bytes(element_bytes)),
                                           offsets.add(slices.b.scratch_bytes(element_bytes))};
  const auto addresses = [scratch](const Addresses& at, const Normalization& slice, std::size_t i) {
    return kernels::NormalizationBackward{.diff_dst = at.src[0],
                                          .src = at.src[1 + i],
                                          .scale = floats(at, 3, slice),
                                          .bias = floats(at, 4, slice),
                                          .mean = floats(at, 5, slice),
                                          .inv_std = floats(at, 6, slice),
                                          .diff_src = at.dst[i],
                                          .diff_scale = float_output(at, 2, slice),
                                          .diff_bias = float_output(at, 3, slice),
                                          .scratch = static_cast<char*>(at.scratch) + scratch[i]};
  };
  KernelPlan plan{.src = {slices.whole_desc, slices.a_desc, slices.b_desc},
                  .dst = {slices.a_desc, slices.b_desc},
                  .scratch_bytes = offsets.end(),
                  .in_place = {{0, 1}, {1, 2}},
                  .implementation = "loop",
                  .kernel = nullptr};
  kernels::with_element(slices.is_bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([addresses, a = slices.a, b = slices.b](const Addresses& at) {
      kernels::normalize_backward<T>(a, addresses(at, a, 0), b, addresses(at, b, 1));
    });
  });
  append_plain(ctx, ctx.node.inputs, 3, plan.src);
  append_plain(ctx, ctx.node.outputs, 2, plan.dst);
  return plan;
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "ConcatBatchNormalization",
       .internal = true,
       .min_inputs = 4,
       .max_inputs = 4,
       .attrs = {{"epsilon", 1e-5}, {"alpha", 1.0}},
       .infer = infer_forward,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b0011,
       .again = "ConcatBatchNormalizationApply"},
      {.name = "ConcatBatchNormalizationApply",
       .internal = true,
       .min_inputs = 6,
       .max_inputs = 6,
       .attrs = {{"alpha", 1.0}},
       .infer = infer_forward,
       .plan = plan_apply,
       .reference = reference_forward,
       .bf16_inputs = 0b000011},
      {.name = "ConcatBatchNormalizationGrad",
       .internal = true,
       .min_inputs = 7,
       .max_inputs = 7,
       .attrs = {{"alpha", 1.0}},
       .infer = infer_backward,
       .plan = plan_backward,
       .reference = reference_backward,
       .bf16_inputs = 0b0000111},
  };
  return ops;
}

}  // namespace hourglass::ops::concat_batch_normalization
