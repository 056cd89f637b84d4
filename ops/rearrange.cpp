// Ops that move or repeat elements:
//   Expand{shape}: broadcasts src against shape; the gradient is SumTo.
//   Tile{repeats}: dst[i] = src[i mod extent]; the gradient sums over the copies.
//   Transpose{perm}: dst's dimension d is src's perm[d]; the gradient is the inverse permutation.
//   DepthToSpace, SpaceToDepth{blocksize, mode}: b x b channels become b x b pixels and back; CRD and DCR say whether
//   the channel or the pixel's position in its block is the outer part of src's channel number.
// ONNX ops of the same names; shape, repeats and perm are constants. Kernels move elements of any type.
#include "graph/error.h"
#include "graph/text.h"
#include "ops/loops/moved_element.h"
#include "ops/loops/parallel.h"
#include "ops/loops/strided_loop.h"
#include "ops/memory/onednn.h"

#include <algorithm>
#include <numeric>

namespace hourglass::ops::rearrange {
namespace {

using kernels::StridedLoop;

// Each of these ops is one nest from src (operand 0) to dst (operand 1).
using MakeNest = StridedLoop<2> (*)(const Attrs& attrs, const Shape& src, const Shape& dst);

void reference_by(MakeNest make_nest, ReferenceContext& ctx) {
  const HostTensor& src = *ctx.inputs[0];
  HostTensor& dst = ctx.outputs[0];
  make_nest(ctx.attrs, src.shape, dst.shape).for_each([&](const auto& at) {
    dst.values[static_cast<std::size_t>(at[1])] = src.values[static_cast<std::size_t>(at[0])];
  });
}

KernelPlan plan_by(MakeNest make_nest, PlanContext& ctx) {
  StridedLoop<2> nest = make_nest(ctx.node.attrs, ctx.in(0).shape, ctx.out().shape);
  nest.collapse();
  KernelPlan result{.src = {kernels::plain(ctx.in(0))},
                    .dst = {kernels::plain(ctx.out())},
                    .implementation = "loop",
                    .kernel = nullptr};
  kernels::with_moved_element(result.dst[0], [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    result.kernel = loop_kernel([nest](const Addresses& at) {
      kernels::copy_nest(nest, static_cast<const T*>(at.src[0]), static_cast<T*>(at.dst[0]));
    });
  });
  return result;
}

template <MakeNest kNest>
void reference(ReferenceContext& ctx) {
  reference_by(kNest, ctx);
}
template <MakeNest kNest>
KernelPlan plan(PlanContext& ctx) {
  return plan_by(kNest, ctx);
}

ValueId emit(VjpContext& ctx, std::string_view op, ValueId input, Attrs attrs) {
  return ctx.b.add(op, {input}, std::move(attrs), ctx.node.name + "/grad");
}

ValueId reshape(VjpContext& ctx, ValueId input, const Dims& shape) {
  return emit(ctx, "Reshape", input, {{"shape", shape}, {"allowzero", int64_t{1}}});
}

// --- Expand ---

void infer_expand(InferContext& ctx) {
  ctx.outputs.push_back({ctx.inputs[0]->dtype, broadcast(ctx.shape(0), Shape(ctx.attrs.ints("shape")))});
}

StridedLoop<2> expand_nest(const Attrs&, const Shape& src, const Shape& dst) {
  return {.extents = dst.dims(), .strides = {kernels::broadcast_strides(src, dst), dst.strides()}};
}

// One number everywhere looks the same in any layout.
KernelPlan plan_expand(PlanContext& ctx) {
  if (ctx.in(0).shape.elements() != 1) return plan<expand_nest>(ctx);
  const bool is_image = ctx.policy == LayoutPolicy::channels_last && ctx.out().shape.rank() == 4;
  const MemoryDesc dst = is_image ? kernels::with_tag(ctx.out(), kernels::Tag::nhwc) : kernels::plain(ctx.out());
  KernelPlan result{.src = {kernels::plain(ctx.in(0))}, .dst = {dst}, .implementation = "loop", .kernel = nullptr};
  kernels::with_moved_element(dst, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    result.kernel = loop_kernel([count = ctx.out().shape.elements()](const Addresses& at) {
      kernels::parallel_ranges(count, 4096, [&](int64_t begin, int64_t end) {
        std::fill(static_cast<T*>(at.dst[0]) + begin, static_cast<T*>(at.dst[0]) + end, *static_cast<T*>(at.src[0]));
      });
    });
  });
  return result;
}

void vjp_expand(VjpContext& ctx) {
  const ValueId dy = ctx.grad_out();
  const bool same = ctx.b.graph().shape(dy) == ctx.in_shape(0);
  ctx.set_grad(0, same ? dy : emit(ctx, "SumTo", dy, {{"shape", ctx.in_shape(0).dims()}}));
}

// --- Tile ---

void infer_tile(InferContext& ctx) {
  const Dims& repeats = ctx.attrs.ints("repeats");
  Dims dims = ctx.shape(0).dims();
  if (repeats.size() != dims.size()) fail("repeats has {} entries for {}", repeats.size(), ctx.shape(0));
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (__builtin_mul_overflow(dims[i], repeats[i], &dims[i])) fail("repeats [{}] are absurd", join(repeats, ","));
  }
  ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(std::move(dims))});
}

// Every dimension twice: copies, then elements.
StridedLoop<2> tile_nest(const Attrs& attrs, const Shape& src, const Shape& dst) {
  const Dims &repeats = attrs.ints("repeats"), src_strides = src.strides(), dst_strides = dst.strides();
  StridedLoop<2> nest{};
  for (std::size_t i = 0; i < repeats.size(); ++i) {
    const int64_t extent = src.dims()[i];
    nest.extents.insert(nest.extents.end(), {repeats[i], extent});
    nest.strides[0].insert(nest.strides[0].end(), {0, src_strides[i]});
    nest.strides[1].insert(nest.strides[1].end(), {extent * dst_strides[i], dst_strides[i]});
  }
  return nest;
}

void vjp_tile(VjpContext& ctx) {
  const Dims& repeats = ctx.node.attrs.ints("repeats");
  const Shape src = ctx.in_shape(0);  // a copy: adding nodes moves values
  Dims split, summed;
  for (std::size_t i = 0; i < repeats.size(); ++i) {
    split.insert(split.end(), {repeats[i], src.dims()[i]});
    summed.insert(summed.end(), {1, src.dims()[i]});
  }
  const ValueId split_grad = reshape(ctx, ctx.grad_out(), split);
  ctx.set_grad(0, reshape(ctx, emit(ctx, "SumTo", split_grad, {{"shape", summed}}), src.dims()));
}

// --- Transpose ---

Dims permutation_of(const Attrs& attrs, int rank) {
  Dims perm(static_cast<std::size_t>(rank));
  std::iota(perm.rbegin(), perm.rend(), 0);
  if (attrs.has("perm")) perm = attrs.ints("perm");
  Dims sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted.size() != static_cast<std::size_t>(rank) || sorted[i] != static_cast<int64_t>(i)) {
      fail("perm [{}] does not permute {} dimensions", join(perm, ","), rank);
    }
  }
  return perm;
}

void infer_transpose(InferContext& ctx) {
  Dims dims;
  for (const int64_t d : permutation_of(ctx.attrs, ctx.shape(0).rank()))
    dims.push_back(ctx.shape(0)[static_cast<int>(d)]);
  ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(std::move(dims))});
}

StridedLoop<2> transpose_nest(const Attrs& attrs, const Shape& src, const Shape& dst) {
  const Dims strides = src.strides();
  StridedLoop<2> nest{.extents = dst.dims(), .strides = {Dims{}, dst.strides()}};
  for (const int64_t d : permutation_of(attrs, src.rank()))
    nest.strides[0].push_back(strides[static_cast<std::size_t>(d)]);
  return nest;
}

void vjp_transpose(VjpContext& ctx) {
  const Dims perm = permutation_of(ctx.node.attrs, ctx.in_shape(0).rank());
  Dims inverse(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i) inverse[static_cast<std::size_t>(perm[i])] = static_cast<int64_t>(i);
  ctx.set_grad(0, emit(ctx, "Transpose", ctx.grad_out(), {{"perm", inverse}}));
}

// A reorder from src's own layout, seen with its dimensions permuted, to a row-major dst.
KernelPlan plan_transpose(PlanContext& ctx) {
  const int rank = ctx.in(0).shape.rank();
  if (rank < 2 || ctx.in(0).shape.elements() == 0) return plan<transpose_nest>(ctx);
  const Dims perm = permutation_of(ctx.node.attrs, rank);
  std::vector<int> position(perm.size());  // of src's dimension in dst, as oneDNN wants it
  for (std::size_t i = 0; i < perm.size(); ++i) position[static_cast<std::size_t>(perm[i])] = static_cast<int>(i);
  const MemoryDesc src = ctx.src[0], seen = src.permute_axes(position), dst = kernels::plain(ctx.out());
  const dnnl::reorder::primitive_desc reorder = kernels::make_reorder(ctx.engine, seen, dst);
  return {.src = {src},
          .dst = {dst},
          .scratch_bytes = reorder.scratchpad_desc().get_size(),
          .implementation = "reorder",
          .kernel = kernels::primitive_kernel(
              dnnl::reorder(reorder), ctx.engine,
              {{DNNL_ARG_FROM, kernels::Argument::From::src, 0, seen},
               {DNNL_ARG_TO, kernels::Argument::From::dst, 0, dst},
               {DNNL_ARG_SCRATCHPAD, kernels::Argument::From::scratchpad, 0, reorder.scratchpad_desc()}})};
}

// --- DepthToSpace, SpaceToDepth ---

int64_t block_of(const Attrs& attrs, const Shape& shape) {
  constexpr int64_t kLargest = 1 << 15;
  const int64_t block = attrs.integer("blocksize");
  if (shape.rank() != 4 || block < 1 || block > kLargest) {
    fail("src is {} and blocksize {}, expected N x C x H x W and 1 to {}", shape, block, kLargest);
  }
  return block;
}

bool is_crd(const Attrs& attrs) {
  const std::string& mode = attrs.string("mode");
  if (mode != "CRD" && mode != "DCR") fail("mode is '{}', expected 'DCR' or 'CRD'", mode);
  return mode == "CRD";
}

void infer_depth_to_space(InferContext& ctx) {
  const Shape& src = ctx.shape(0);
  const int64_t b = block_of(ctx.attrs, src);
  is_crd(ctx.attrs);
  if (src[1] % (b * b) != 0) fail("{} channels do not make blocks of {} x {} pixels", src[1], b, b);
  Dims dims{src[0], src[1] / (b * b), src[2], src[3]};
  for (const std::size_t d : {2, 3}) {
    if (__builtin_mul_overflow(dims[d], b, &dims[d])) fail("blocks of {} x {} make {} too large", b, b, src);
  }
  ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(std::move(dims))});
}

void infer_space_to_depth(InferContext& ctx) {
  const Shape& src = ctx.shape(0);
  const int64_t b = block_of(ctx.attrs, src);
  if (src[2] % b != 0 || src[3] % b != 0) fail("{} does not divide into blocks of {} x {} pixels", src, b, b);
  Dims dims{src[0], src[1], src[2] / b, src[3] / b};
  if (__builtin_mul_overflow(dims[1], b * b, &dims[1])) fail("blocks of {} x {} make {} too large", b, b, src);
  ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(std::move(dims))});
}

// The six dimensions N, C, H, BH, W, BW: strides in the deep tensor (operand 0) and in the wide one (operand 1).
StridedLoop<2> depth_nest(int64_t b, bool crd, const Shape& deep, const Shape& wide) {
  const Dims d = deep.strides(), w = wide.strides();
  const int64_t channel = crd ? b * b : 1, pixel = crd ? 1 : wide[1];
  return {.extents = {wide[0], wide[1], deep[2], b, deep[3], b},
          .strides = {Dims{d[0], channel * d[1], d[2], b * pixel * d[1], d[3], pixel * d[1]},
                      Dims{w[0], w[1], b * w[2], w[2], b * w[3], w[3]}}};
}

StridedLoop<2> depth_to_space_nest(const Attrs& attrs, const Shape& src, const Shape& dst) {
  return depth_nest(attrs.integer("blocksize"), is_crd(attrs), src, dst);
}

StridedLoop<2> space_to_depth_nest(const Attrs& attrs, const Shape& src, const Shape& dst) {
  StridedLoop<2> nest = depth_nest(attrs.integer("blocksize"), false, dst, src);
  std::swap(nest.strides[0], nest.strides[1]);
  return nest;
}

// SpaceToDepth knows the DCR order only: CRD is written out.
void vjp_depth_to_space(VjpContext& ctx) {
  const int64_t b = ctx.node.attrs.integer("blocksize");
  if (!is_crd(ctx.node.attrs)) {
    ctx.set_grad(0, emit(ctx, "SpaceToDepth", ctx.grad_out(), {{"blocksize", b}}));
    return;
  }
  const Shape src = ctx.in_shape(0);  // a copy: adding nodes moves values
  const ValueId split_grad = reshape(ctx, ctx.grad_out(), {src[0], src[1] / (b * b), src[2], b, src[3], b});
  ctx.set_grad(0, reshape(ctx, emit(ctx, "Transpose", split_grad, {{"perm", Dims{0, 1, 3, 5, 2, 4}}}), src.dims()));
}

void vjp_space_to_depth(VjpContext& ctx) {
  ctx.set_grad(0, emit(ctx, "DepthToSpace", ctx.grad_out(), {{"blocksize", ctx.node.attrs.integer("blocksize")}}));
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Expand",
       .attrs = {AttrSpec::required("shape", AttrKind::ints)},
       .const_inputs = {{1, "shape", 8}},
       .infer = infer_expand,
       .vjp = vjp_expand,
       .plan = plan_expand,
       .reference = reference<expand_nest>,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "Tile",
       .since = 6,
       .attrs = {AttrSpec::required("repeats", AttrKind::ints)},
       .const_inputs = {{1, "repeats", 6}},
       .infer = infer_tile,
       .vjp = vjp_tile,
       .plan = plan<tile_nest>,
       .reference = reference<tile_nest>,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "Transpose",
       .attrs = {AttrSpec::optional("perm", AttrKind::ints)},
       .infer = infer_transpose,
       .vjp = vjp_transpose,
       .plan = plan_transpose,
       .reference = reference<transpose_nest>,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "DepthToSpace",
       .attrs = {AttrSpec::required("blocksize", AttrKind::integer), {"mode", std::string("DCR")}},
       .infer = infer_depth_to_space,
       .vjp = vjp_depth_to_space,
       .plan = plan<depth_to_space_nest>,
       .reference = reference<depth_to_space_nest>,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "SpaceToDepth",
       .attrs = {AttrSpec::required("blocksize", AttrKind::integer)},
       .infer = infer_space_to_depth,
       .vjp = vjp_space_to_depth,
       .plan = plan<space_to_depth_nest>,
       .reference = reference<space_to_depth_nest>,
       .bf16_inputs = 0b1,
       .linear = true},
  };
  return ops;
}

}  // namespace hourglass::ops::rearrange
