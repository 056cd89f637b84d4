// GatherND and ScatterND: reads or replaces the slices of a tensor at constant n-dimensional indices.
// ONNX ops of the same names.
//   indices [..., Q]: each row is a position in src's first Q dimensions (behind batch_dims, which both share);
//   negative numbers count from the back. A slice is what lies behind: src's further dimensions.
//   GatherND-12{batch_dims}: dst [indices' dims but the last, slice]: the slices. diff_src: GatherNDGrad.
//   ScatterND-16{reduction}: dst = data with its slices replaced by those of updates, or, reduction = add, with updates
//   added. Where a slice is named twice, the last of those that replace it stays. diff_updates = GatherND of diff_dst;
//   diff_data = diff_dst, without the slices that are replaced: ScatterNDKept. reduction = mul, min or max is a
//   composition: the slices are gathered, joined with the updates by Mul, Min or Max, and put back, in as many rounds
//   as the indices name one slice.
// GatherNDComputed is GatherND for indices that depend on the network's input: GatherComputed (gather.cpp).
// Internal: GatherNDGrad: a tensor of zeros to which each slice of diff_dst is added.
//           ScatterNDKept: src with zeros in those slices.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>

#include "graph/error.h"
#include "ops/is_computed.h"
#include "ops/loops/copy_box.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/grouped_slices.h"
#include "ops/onnx_type.h"
#include "ops/transposed.h"

namespace hourglass::ops::scatter {
namespace {

// A tensor as slices of `inner` elements, and the numbers of those that the indices name.
struct Slices {
  int64_t inner = 1;
  Dims named;
  Dims listed;  // the dimensions of a tensor of these slices
};

Slices slices_of(const Attrs& attrs, const Shape& src) {
  const HostTensor& indices = attrs.tensor("indices");
  const int64_t batch = attrs.has("batch_dims") ? attrs.integer("batch_dims") : 0;
  const int rank = indices.shape.rank();
  if (rank < 1) fail("indices are a scalar, expected [..., Q]");
  const int64_t depth = indices.shape[-1];
  if (batch < 0 || batch >= rank || depth < 1 || batch + depth > src.rank()) {
    fail("indices {} with {} batch dimension(s) do not fit {}", indices.shape, batch, src);
  }
  if (src.elements() == 0) fail("{} has no elements", src);
  Slices result;
  result.listed.assign(indices.shape.dims().begin(), indices.shape.dims().end() - 1);
  for (int d = static_cast<int>(batch + depth); d < src.rank(); ++d) {
    result.inner *= src[d];
    result.listed.push_back(src[d]);
  }
  int64_t batches = 1;
  for (int d = 0; d < batch; ++d) {
    if (indices.shape[d] != src[d]) fail("indices {} and {} differ in batch dimension {}", indices.shape, src, d);
    batches *= src[d];
  }
  const Dims values = indices.to_ints();
  const int64_t rows = static_cast<int64_t>(values.size()) / depth;
  result.named.reserve(static_cast<std::size_t>(rows));
  for (int64_t row = 0; row < rows; ++row) {
    int64_t slice = row / (rows / batches);
    for (int64_t k = 0; k < depth; ++k) {
      const int64_t extent = src[static_cast<int>(batch + k)],
                    index = values[static_cast<std::size_t>(row * depth + k)];
      if (index < -extent || index >= extent) fail("index {} is outside [{}, {})", index, -extent, extent);
      slice = slice * extent + (index < 0 ? index + extent : index);
    }
    result.named.push_back(slice);
  }
  return result;
}

bool adds(const Attrs& attrs) {
  const std::string& reduction = attrs.string("reduction");
  if (reduction != "none" && reduction != "add") {
    fail("reduction is '{}', expected none, add, mul, min or max", reduction);
  }
  return reduction == "add";
}

bool names_one_twice(const Slices& slices) {
  return kernels::group_slices(slices.named, slices.inner).groups.size() < slices.named.size();
}

// --- shapes ---

void require_listed(const Slices& slices, const Shape& given, std::string_view name) {
  const Shape expected(slices.listed);
  if (given != expected) fail("{} is {}, expected {}", name, given, expected);
}

Shape listed_shape(const Attrs& attrs, const Shape& src) { return Shape(slices_of(attrs, src).listed); }

void infer_gather(InferContext& ctx) {
  ctx.outputs.push_back({ctx.inputs[0]->dtype, listed_shape(ctx.attrs, ctx.shape(0))});
}

void infer_gather_grad(InferContext& ctx) { infer_transposed(ctx, listed_shape); }

void infer_scatter(InferContext& ctx) {
  adds(ctx.attrs);
  require_listed(slices_of(ctx.attrs, ctx.shape(0)), ctx.shape(1), "updates");
  if (ctx.inputs[0]->dtype != ctx.inputs[1]->dtype) {
    fail("data is {} and updates are {}; both must be of one type", ctx.inputs[0]->dtype, ctx.inputs[1]->dtype);
  }
  ctx.outputs.push_back(*ctx.inputs[0]);
}

void infer_kept(InferContext& ctx) {
  slices_of(ctx.attrs, ctx.shape(0));
  ctx.outputs.push_back(*ctx.inputs[0]);
}

// --- gradients ---

void vjp_gather(VjpContext& ctx) { vjp_transposed(ctx, "GatherNDGrad"); }

void vjp_scatter(VjpContext& ctx) {
  const bool adding = adds(ctx.node.attrs);
  Attrs indices;
  indices.set("indices", ctx.node.attrs.all().at("indices"));
  if (ctx.wants(0)) {
    ctx.set_grad(
        0, adding ? ctx.grad_out() : ctx.b.add("ScatterNDKept", {ctx.grad_out()}, indices, ctx.node.name + "/grad"));
  }
  if (!ctx.wants(1)) return;
  if (!adding && names_one_twice(slices_of(ctx.node.attrs, ctx.in_shape(0)))) {
    fail("a slice is named twice: which of the updates stays, and has a gradient, ONNX does not say");
  }
  ctx.set_grad(1, ctx.b.add("GatherND", {ctx.grad_out()}, indices, ctx.node.name + "/grad_updates"));
}

// --- reductions that are compositions ---

// Rows of the indices, so that those of one round name different slices, and each slice's in their order.
std::vector<Dims> rounds_of(const Slices& slices) {
  std::map<int64_t, std::size_t> times;
  std::vector<Dims> rounds;
  for (std::size_t row = 0; row < slices.named.size(); ++row) {
    const std::size_t round = times[slices.named[row]]++;
    if (round == rounds.size()) rounds.emplace_back();
    rounds[round].push_back(static_cast<int64_t>(row));
  }
  return rounds;
}

std::vector<ValueId> lower_reduction(LowerContext& ctx) {
  const std::string& reduction = ctx.node.attrs.string("reduction");
  const std::string_view op = reduction == "mul" ? "Mul" : reduction == "min" ? "Min" : reduction == "max" ? "Max" : "";
  if (op.empty()) return {};
  const HostTensor& indices = ctx.node.attrs.tensor("indices");
  const Shape data = ctx.shape(ctx.node.inputs[0]);
  const Slices slices = slices_of(ctx.node.attrs, data);
  require_listed(slices, ctx.shape(ctx.node.inputs[1]), "updates");
  const std::vector<Dims> rounds = rounds_of(slices);
  constexpr std::size_t kMostRounds = 64;
  if (rounds.size() > kMostRounds) {
    fail("a slice is named {} times, with reduction = {} up to {} are supported", rounds.size(), reduction,
         kMostRounds);
  }
  const int64_t depth = indices.shape[-1];
  Dims listed(data.dims().begin() + depth, data.dims().end());
  listed.insert(listed.begin(), static_cast<int64_t>(slices.named.size()));
  const ValueId updates = ctx.reshape(ctx.node.inputs[1], listed);
  ValueId dst = ctx.node.inputs[0];
  for (const Dims& rows : rounds) {
    HostTensor chosen(DType::i64, Shape{static_cast<int64_t>(rows.size()), depth});
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(indices.values.begin() + rows[i] * depth, depth,
                  chosen.values.begin() + static_cast<int64_t>(i) * depth);
    }
    const Attrs at{{"indices", std::make_shared<const HostTensor>(std::move(chosen))}};
    const ValueId update =
        rounds.size() == 1
            ? updates
            : ctx.add("Gather", {updates}, {{"indices", std::make_shared<const HostTensor>(HostTensor::ints(rows))}});
    dst = ctx.add("ScatterND", {dst, ctx.add(op, {ctx.add("GatherND", {dst}, at), update})}, at);
  }
  return {dst};
}

// --- references ---

// visit(offset in the whole tensor, offset in the list) for every element of the list.
template <typename Visit>
void for_elements(const Slices& slices, const Visit& visit) {
  std::size_t at = 0;
  for (const int64_t slice : slices.named) {
    for (int64_t i = 0; i < slices.inner; ++i) visit(static_cast<std::size_t>(slice * slices.inner + i), at++);
  }
}

void reference_gather(ReferenceContext& ctx) {
  for_elements(slices_of(ctx.attrs, ctx.inputs[0]->shape),
               [&](std::size_t whole, std::size_t at) { ctx.outputs[0].values[at] = ctx.inputs[0]->values[whole]; });
}

void reference_gather_grad(ReferenceContext& ctx) {
  for_elements(slices_of(ctx.attrs, ctx.outputs[0].shape),
               [&](std::size_t whole, std::size_t at) { ctx.outputs[0].values[whole] += ctx.inputs[0]->values[at]; });
}

void reference_scatter(ReferenceContext& ctx) {
  const bool adding = adds(ctx.attrs);
  const HostTensor& updates = *ctx.inputs[1];
  std::vector<double>& dst = ctx.outputs[0].values;
  dst = ctx.inputs[0]->values;
  for_elements(slices_of(ctx.attrs, ctx.inputs[0]->shape),
               [&](std::size_t whole, std::size_t at) { dst[whole] = updates.values[at] + (adding ? dst[whole] : 0); });
}

void reference_kept(ReferenceContext& ctx) {
  std::vector<double>& dst = ctx.outputs[0].values;
  dst = ctx.inputs[0]->values;
  for_elements(slices_of(ctx.attrs, ctx.inputs[0]->shape), [&](std::size_t whole, std::size_t) { dst[whole] = 0; });
}

// --- kernels ---

// A kernel of row-major tensors; make(null pointer to the element) makes its function.
template <typename Make>
KernelPlan plan_plain(PlanContext& ctx, const Make& make) {
  kernels::require_one_float_type(ctx);
  KernelPlan plan{.src = {}, .dst = {kernels::plain(ctx.out())}, .implementation = "loop", .kernel = nullptr};
  for (std::size_t i = 0; i < ctx.node.inputs.size(); ++i) plan.src.push_back(kernels::plain(ctx.in(i)));
  kernels::with_element(ctx.out().dtype == DType::bf16,
                        [&](auto* element) { plan.kernel = loop_kernel(make(element)); });
  return plan;
}

KernelPlan plan_gather(PlanContext& ctx) {
  return plan_plain(ctx, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    return [s = slices_of(ctx.node.attrs, ctx.in(0).shape)](const Addresses& at) {
      const auto* src = static_cast<const T*>(at.src[0]);
      auto* dst = static_cast<T*>(at.dst[0]);
      const auto slices = static_cast<int64_t>(s.named.size());
      kernels::for_slice_blocks(slices, s.inner, [&](int64_t i, int64_t first, int64_t count) {
        std::memcpy(dst + i * s.inner + first, src + s.named[static_cast<std::size_t>(i)] * s.inner + first,
                    static_cast<std::size_t>(count) * sizeof(T));
      });
    };
  });
}

kernels::GroupedSlices grouped_slices(const PlanContext& ctx) {
  const Slices slices = slices_of(ctx.node.attrs, ctx.out().shape);
  return kernels::group_slices(slices.named, slices.inner);
}

// body(group, first, count) for each slice of dst that the indices name, in blocks of its elements.
template <typename Body>
void for_named(const kernels::GroupedSlices& grouped, const Body& body) {
  kernels::for_slice_blocks(static_cast<int64_t>(grouped.groups.size()), grouped.inner,
                            [&](int64_t i, int64_t first, int64_t count) {
                              body(grouped.groups[static_cast<std::size_t>(i)], first, count);
                            });
}

KernelPlan plan_gather_grad(PlanContext& ctx) {
  return plan_plain(ctx, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    const int64_t elements = ctx.out().shape.elements();
    return [elements, grouped = grouped_slices(ctx)](const Addresses& at) {
      auto* dst = static_cast<T*>(at.dst[0]);
      kernels::zero_all(dst, elements);
      kernels::add_slices(grouped, 1, 0, static_cast<const T*>(at.src[0]), dst);
    };
  });
}

KernelPlan plan_scatter(PlanContext& ctx) {
  KernelPlan plan = plan_plain(ctx, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    const bool adding = adds(ctx.node.attrs);
    const int64_t bytes = ctx.out().shape.elements() * static_cast<int64_t>(sizeof(T));
    return [=, grouped = grouped_slices(ctx)](const Addresses& at) {
      const auto* updates = static_cast<const T*>(at.src[1]);
      auto* dst = static_cast<T*>(at.dst[0]);
      kernels::copy_bytes(at.src[0], dst, bytes);
      if (adding) return kernels::add_slices(grouped, 1, 0, updates, dst);
      for_named(grouped, [&](const kernels::SliceGroup& group, int64_t first, int64_t count) {
        std::memcpy(dst + group.target * grouped.inner + first,
                    updates + grouped.order[group.end - 1] * grouped.inner + first,
                    static_cast<std::size_t>(count) * sizeof(T));
      });
    };
  });
  plan.in_place = {{0, 0}};
  return plan;
}

KernelPlan plan_kept(PlanContext& ctx) {
  KernelPlan plan = plan_plain(ctx, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    const int64_t bytes = ctx.out().shape.elements() * static_cast<int64_t>(sizeof(T));
    return [=, grouped = grouped_slices(ctx)](const Addresses& at) {
      auto* dst = static_cast<T*>(at.dst[0]);
      kernels::copy_bytes(at.src[0], dst, bytes);
      for_named(grouped, [&](const kernels::SliceGroup& group, int64_t first, int64_t count) {
        std::memset(dst + group.target * grouped.inner + first, 0, static_cast<std::size_t>(count) * sizeof(T));
      });
    };
  });
  plan.in_place = {{0, 0}};
  return plan;
}

void normalize_gather(NormalizeContext& ctx) {
  if (ctx.inputs.size() > 1 && is_computed(ctx.graph, ctx.inputs[1])) ctx.op = "GatherNDComputed";
}

// The slices are counted through all of src's first Q dimensions as if these were one. In each of them the nearest
// inside is taken for one that is outside.
std::vector<ValueId> lower_gather_computed(LowerContext& ctx) {
  const ValueId src = ctx.node.inputs[0], given = ctx.node.inputs[1];
  const Shape shape = ctx.shape(src), listed = ctx.shape(given);
  const DType dtype = ctx.b.graph().type(given).dtype;
  if (ctx.node.attrs.integer("batch_dims") != 0)
    fail("indices that are computed are supported without batch_dims only");
  const int64_t depth = listed.rank() < 1 ? 0 : listed[-1];
  if (depth < 1 || depth > shape.rank()) fail("indices {} do not fit {}", listed, shape);
  const Shape counted(Dims(shape.dims().begin(), shape.dims().begin() + depth));
  const auto whole = [&](const Dims& values) {
    HostTensor tensor = HostTensor::ints(values);
    tensor.dtype = dtype;
    return ctx.b.constant(std::move(tensor), ctx.node.name + "/constant");
  };
  Dims last = counted.dims();
  for (int64_t& extent : last) --extent;
  const ValueId is_negative = ctx.add("Less", {given, whole({0})});
  const ValueId from_front = ctx.add("Where", {is_negative, ctx.add("Add", {given, whole(counted.dims())}), given});
  const ValueId inside = ctx.add("Max", {ctx.add("Min", {from_front, whole(last)}), whole({0})});
  // From here on no number leaves the 32 bits that count src's elements.
  const ValueId indices = ctx.add("Cast", {inside}, {{"to", number_of(DType::i32)}});
  HostTensor strides = HostTensor::ints(counted.strides());
  strides.dtype = DType::i32;
  const ValueId steps = ctx.b.constant(std::move(strides), ctx.node.name + "/constant");
  const ValueId named =
      ctx.add("ReduceSum", {ctx.add("Mul", {indices, steps})}, {{"axes", Dims{-1}}, {"keepdims", int64_t{0}}});
  Dims slices{counted.elements()};
  slices.insert(slices.end(), shape.dims().begin() + depth, shape.dims().end());
  return {ctx.add("GatherComputed", {ctx.reshape(src, slices), named}, {{"axis", int64_t{0}}})};
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "GatherND",
       .since = 11,
       .attrs = {AttrSpec::required("indices", AttrKind::tensor), {"batch_dims", int64_t{0}}},
       .const_inputs = {{1, "indices"}},
       .normalize = normalize_gather,
       .infer = infer_gather,
       .vjp = vjp_gather,
       .plan = plan_gather,
       .reference = reference_gather,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "GatherNDComputed",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {{"batch_dims", int64_t{0}}},
       .lower = lower_gather_computed},
      {.name = "GatherNDGrad",
       .internal = true,
       .attrs = {AttrSpec::required("indices", AttrKind::tensor),
                 {"batch_dims", int64_t{0}},
                 AttrSpec::required("shape", AttrKind::ints)},
       .infer = infer_gather_grad,
       .plan = plan_gather_grad,
       .reference = reference_gather_grad,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "ScatterND",
       .since = 11,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {AttrSpec::required("indices", AttrKind::tensor), {"reduction", std::string("none")}},
       .const_inputs = {{1, "indices"}},
       .lower = lower_reduction,
       .infer = infer_scatter,
       .vjp = vjp_scatter,
       .plan = plan_scatter,
       .reference = reference_scatter,
       .bf16_inputs = 0b11},
      {.name = "ScatterNDKept",
       .internal = true,
       .attrs = {AttrSpec::required("indices", AttrKind::tensor)},
       .infer = infer_kept,
       .plan = plan_kept,
       .reference = reference_kept,
       .bf16_inputs = 0b1,
       .linear = true},
  };
  return ops;
}

}  // namespace hourglass::ops::scatter
