// MatMul: dst = op(a) * op(b) over the last two dimensions; those before broadcast.                   ONNX MatMul-13
//   a: [...,M,K], b: [...,K,N], dst: [...,M,N]; op transposes the two where trans_a or trans_b says so (ONNX's MatMul
//   never does). A vector a is a row, a vector b a column, and dst lacks that dimension.
//   diff_a = diff_dst * op(b)', diff_b = op(a)' * diff_dst, each transposed with its op, and summed where it broadcast.
// Gemm: dst = alpha * op(a) * op(b) + beta * c.                                                         ONNX Gemm-13
//   A composition of MatMul, Mul and Add.
// Kernel: oneDNN's matmul, on row-major tensors; a transposed one is the same memory with its strides swapped.
#include "graph/error.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/strided_loop.h"
#include "ops/memory/onednn.h"

#include <algorithm>

namespace hourglass::ops::mat_mul {
namespace {

using kernels::Argument;

// The problem as dst [batch...,m,n] = a [batch...,m,k] * b [batch...,k,n].
struct Product {
  Dims batch;  // dst's dimensions before the last two
  int64_t m = 0, n = 0, k = 0;
  bool trans_a = false, trans_b = false;

  [[nodiscard]] Shape dst() const {
    Dims dims = batch;
    dims.insert(dims.end(), {m, n});
    return Shape(std::move(dims));
  }
};

Product product_of(const Attrs& attrs, const Shape& a, const Shape& b) {
  Product p{.batch = {}, .trans_a = attrs.integer("trans_a") != 0, .trans_b = attrs.integer("trans_b") != 0};
  if (a.rank() < 2 || b.rank() < 2) fail("a is {} and b is {}, expected matrices", a, b);
  p.m = a[p.trans_a ? -1 : -2];
  p.k = a[p.trans_a ? -2 : -1];
  p.n = b[p.trans_b ? -2 : -1];
  if (p.k != b[p.trans_b ? -1 : -2]) {
    fail("a {}{} does not fit b {}{}: {} columns against {} rows", a, p.trans_a ? "'" : "", b, p.trans_b ? "'" : "",
         p.k, b[p.trans_b ? -1 : -2]);
  }
  p.batch =
      broadcast(Shape(Dims(a.dims().begin(), a.dims().end() - 2)), Shape(Dims(b.dims().begin(), b.dims().end() - 2)))
          .dims();
  return p;
}

void infer(InferContext& ctx) {
  if (ctx.inputs[0]->dtype != ctx.inputs[1]->dtype) {
    fail("a is {} and b is {}; both must be of one type", ctx.inputs[0]->dtype, ctx.inputs[1]->dtype);
  }
  ctx.outputs.push_back({ctx.inputs[0]->dtype, product_of(ctx.attrs, ctx.shape(0), ctx.shape(1)).dst()});
}

// --- gradient

ValueId multiply(VjpContext& ctx, ValueId a, bool trans_a, ValueId b, bool trans_b) {
  return ctx.b.add("MatMul", {a, b}, {{"trans_a", int64_t{trans_a}}, {"trans_b", int64_t{trans_b}}},
                   ctx.node.name + "/grad");
}

void set_summed(VjpContext& ctx, std::size_t i, ValueId grad) {
  const Shape wanted = ctx.in_shape(i);  // a copy: adding nodes moves values
  if (ctx.b.graph().shape(grad) != wanted) {
    grad = ctx.b.add("SumTo", {grad}, {{"shape", wanted.dims()}}, ctx.node.name + "/grad");
  }
  ctx.set_grad(i, grad);
}

void vjp(VjpContext& ctx) {
  const ValueId a = ctx.in(0), b = ctx.in(1), dy = ctx.grad_out();
  const bool trans_a = ctx.node.attrs.integer("trans_a") != 0, trans_b = ctx.node.attrs.integer("trans_b") != 0;
  if (ctx.wants(0)) {
    set_summed(ctx, 0, trans_a ? multiply(ctx, b, trans_b, dy, true) : multiply(ctx, dy, false, b, !trans_b));
  }
  if (ctx.wants(1)) {
    set_summed(ctx, 1, trans_b ? multiply(ctx, dy, true, a, trans_a) : multiply(ctx, a, !trans_a, dy, false));
  }
}

// --- reference

// Strides over dst's dimensions with the summed one behind them: [batch...,m,n,k].
Dims strides_over(const Product& p, const Shape& shape, bool is_a, bool transposed) {
  Dims full = p.batch;
  full.insert(full.end(), shape.dims().end() - 2, shape.dims().end());
  const Dims own = kernels::broadcast_strides(shape, Shape(full));
  const std::size_t last = own.size() - 1;
  const int64_t row = own[transposed ? last : last - 1], column = own[transposed ? last - 1 : last];
  Dims strides(own.begin(), own.end() - 2);
  if (is_a) {
    strides.insert(strides.end(), {row, 0, column});
  } else {
    strides.insert(strides.end(), {0, column, row});
  }
  return strides;
}

void reference(ReferenceContext& ctx) {
  const HostTensor &a = *ctx.inputs[0], &b = *ctx.inputs[1];
  HostTensor& dst = ctx.outputs[0];
  const Product p = product_of(ctx.attrs, a.shape, b.shape);
  Dims extents = dst.shape.dims(), dst_strides = dst.shape.strides();
  extents.push_back(p.k);
  dst_strides.push_back(0);
  const kernels::StridedLoop<3> nest{
      .extents = extents,
      .strides = {strides_over(p, a.shape, true, p.trans_a), strides_over(p, b.shape, false, p.trans_b), dst_strides}};
  nest.for_each([&](const auto& at) {
    dst.values[static_cast<std::size_t>(at[2])] +=
        a.values[static_cast<std::size_t>(at[0])] * b.values[static_cast<std::size_t>(at[1])];
  });
}

// --- kernel

// The operand as oneDNN is to see it: of dst's rank, transposed by its strides.
MemoryDesc seen(const TensorType& type, std::size_t rank, bool transposed) {
  Dims dims(rank - type.shape.dims().size(), 1);
  dims.insert(dims.end(), type.shape.dims().begin(), type.shape.dims().end());
  Dims strides = Shape(dims).strides();
  if (transposed) {
    std::swap(dims[rank - 1], dims[rank - 2]);
    std::swap(strides[rank - 1], strides[rank - 2]);
  }
  return {dims, kernels::to_dnnl(type.dtype), strides};
}

KernelPlan plan(PlanContext& ctx) {
  kernels::require_one_float_type(ctx);
  const Product p = product_of(ctx.node.attrs, ctx.in(0).shape, ctx.in(1).shape);
  const std::size_t rank = p.batch.size() + 2;
  KernelPlan result{.src = {kernels::plain(ctx.in(0)), kernels::plain(ctx.in(1))},
                    .dst = {kernels::plain(ctx.out())},
                    .implementation = "empty",
                    .kernel = nullptr};
  if (ctx.out().shape.elements() == 0 || p.k == 0) {
    const std::size_t bytes = result.dst[0].get_size();
    result.kernel = loop_kernel([bytes](const Addresses& at) { std::memset(at.dst[0], 0, bytes); });
    return result;
  }
  const MemoryDesc a = seen(ctx.in(0), rank, p.trans_a), b = seen(ctx.in(1), rank, p.trans_b),
                   dst = seen(ctx.out(), rank, false);
  const auto desc = kernels::make_matmul(ctx.engine, a, b, dst);
  if (!desc) fail("oneDNN has no {} matrix product for this CPU", ctx.in(0).dtype);
  result.scratch_bytes = desc.scratchpad_desc().get_size();
  result.implementation = kernels::implementation_of(desc);
  result.kernel =
      kernels::primitive_kernel(dnnl::matmul(desc), ctx.engine,
                                {{DNNL_ARG_SRC, Argument::From::src, 0, a},
                                 {DNNL_ARG_WEIGHTS, Argument::From::src, 1, b},
                                 {DNNL_ARG_DST, Argument::From::dst, 0, dst},
                                 {DNNL_ARG_SCRATCHPAD, Argument::From::scratchpad, 0, desc.scratchpad_desc()}});
  return result;
}

// --- ONNX's forms

std::vector<ValueId> lower_vectors(LowerContext& ctx) {
  ValueId a = ctx.node.inputs[0], b = ctx.node.inputs[1];
  const Shape from_a = ctx.shape(a), from_b = ctx.shape(b);
  if (from_a.rank() == 0 || from_b.rank() == 0) fail("a is {} and b is {}, expected no scalar", from_a, from_b);
  if (from_a.rank() > 1 && from_b.rank() > 1) return {};
  if (from_a.rank() == 1) a = ctx.reshape(a, {1, from_a[0]});
  if (from_b.rank() == 1) b = ctx.reshape(b, {from_b[0], 1});
  const ValueId dst = ctx.add("MatMul", {a, b}, ctx.node.attrs);
  Dims dims = ctx.shape(dst).dims();
  if (from_b.rank() == 1) dims.pop_back();
  if (from_a.rank() == 1) dims.erase(dims.end() - (from_b.rank() == 1 ? 1 : 2));
  return {ctx.reshape(dst, dims)};
}

// Matrices that are transposed are ONNX's Gemm, and batches of them an Einsum.
bool to_onnx(ToOnnxContext& ctx) {
  const bool trans_a = ctx.attrs.integer("trans_a") != 0, trans_b = ctx.attrs.integer("trans_b") != 0;
  ctx.attrs.erase("trans_a");
  ctx.attrs.erase("trans_b");
  if (!trans_a && !trans_b) return true;
  if (ctx.graph.shape(ctx.node.inputs[0]).rank() != 2 || ctx.graph.shape(ctx.node.inputs[1]).rank() != 2) {
    ctx.op = "Einsum";
    ctx.attrs.set("equation", fmt::format("...{},...{}->...ij", trans_a ? "ki" : "ik", trans_b ? "jk" : "kj"));
    return true;
  }
  ctx.op = "Gemm";
  ctx.attrs.set("transA", int64_t{trans_a});
  ctx.attrs.set("transB", int64_t{trans_b});
  return true;
}

std::vector<ValueId> lower_gemm(LowerContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const ValueId a = ctx.node.inputs[0];
  if (ctx.shape(a).rank() != 2 || ctx.shape(ctx.node.inputs[1]).rank() != 2) {
    fail("a is {} and b is {}, expected matrices", ctx.shape(a), ctx.shape(ctx.node.inputs[1]));
  }
  const auto scaled = [&](ValueId value, const char* factor) {
    const double f = attrs.real(factor);
    return f == 1 ? value : ctx.add("Mul", {value, ctx.number(value, f)});
  };
  ValueId dst = ctx.add("MatMul", {a, ctx.node.inputs[1]},
                        {{"trans_a", attrs.integer("transA")}, {"trans_b", attrs.integer("transB")}});
  dst = scaled(dst, "alpha");
  if (!ctx.has(2)) return {dst};
  const Shape product = ctx.shape(dst), c = ctx.shape(ctx.node.inputs[2]);
  if (broadcast(product, c) != product) fail("c {} does not broadcast to {}", c, product);
  return {ctx.add("Add", {dst, scaled(ctx.node.inputs[2], "beta")})};
}

void normalize_gemm(NormalizeContext& ctx) { ctx.attrs.erase("broadcast"); }

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "MatMul",
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {{"trans_a", int64_t{0}}, {"trans_b", int64_t{0}}},
       .lower = lower_vectors,
       .to_onnx = to_onnx,
       .infer = infer,
       .vjp = vjp,
       .plan = plan,
       .reference = reference,
       .bf16_inputs = 0b11},
      {.name = "Gemm",
       .min_inputs = 2,
       .max_inputs = 3,
       .attrs = {{"alpha", 1.0}, {"beta", 1.0}, {"transA", int64_t{0}}, {"transB", int64_t{0}}},
       .normalize = normalize_gemm,
       .lower = lower_gemm},
  };
  return ops;
}

}  // namespace hourglass::ops::mat_mul
