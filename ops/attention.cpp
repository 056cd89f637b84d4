// Attention{scale, is_causal, q_num_heads, kv_num_heads}(Q, K, V, mask).                      ONNX Attention-23
//   dst = softmax(scale Q K' + mask) V, for each image and head.
//   Q [N,heads,queries,size], K [N,kv_heads,keys,size], V [N,kv_heads,keys,v_size], dst [N,heads,queries,v_size]; or
//   each as [N,queries,heads*size], where q_num_heads and kv_num_heads say how many there are. Several heads of Q may
//   share one of K and V. scale is 1 / sqrt(size) unless it is given. mask (optional) is added to the scores or, of
//   truth values, says which of them count; is_causal: a query sees the keys up to its own position.
// A composition. What serves texts (past_key, past_value, softcap, the further outputs) is not supported.
#include <cmath>

#include "graph/error.h"
#include "graph/op.h"
#include "ops/memory/filled.h"

namespace hourglass::ops::attention {
namespace {

// [N,positions,heads*size] as [N,heads,positions,size]; what has four dimensions stays.
ValueId by_heads(const LowerContext& ctx, ValueId value, const std::string& heads_attr) {
  const Shape shape = ctx.shape(value);
  if (shape.rank() == 4) return value;
  const int64_t heads = ctx.node.attrs.has(heads_attr) ? ctx.node.attrs.integer(heads_attr) : 0;
  if (shape.rank() != 3 || heads < 1 || shape[2] % heads != 0) {
    fail("{} is {}, expected [N,heads,positions,size] or [N,positions,{}*size]", ctx.b.graph().value(value).name, shape,
         heads_attr);
  }
  const ValueId split = ctx.reshape(value, {shape[0], shape[1], heads, shape[2] / heads});
  return ctx.add("Transpose", {split}, {{"perm", Dims{0, 2, 1, 3}}});
}

// Each head as often as `heads` asks for.
ValueId shared(const LowerContext& ctx, ValueId value, int64_t heads) {
  const Shape shape = ctx.shape(value);
  if (shape[1] == heads) return value;
  if (heads % shape[1] != 0) fail("{} heads can't share {}", heads, shape[1]);
  const int64_t each = heads / shape[1];
  const ValueId one = ctx.reshape(value, {shape[0], shape[1], 1, shape[2], shape[3]});
  const ValueId all = ctx.add("Expand", {one}, {{"shape", Dims{shape[0], shape[1], each, shape[2], shape[3]}}});
  return ctx.reshape(all, {shape[0], heads, shape[2], shape[3]});
}

// The scores where `seen`, else as low as can be.
ValueId masked(const LowerContext& ctx, ValueId scores, ValueId seen) {
  return ctx.add("Where", {seen, scores, ctx.number(scores, -HUGE_VAL)});
}

std::vector<ValueId> lower_attention(LowerContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  if (ctx.has(4) || ctx.has(5) || ctx.has(6)) fail("past_key, past_value and nonpad_kv_seqlen are not supported");
  if (attrs.real("softcap") != 0) fail("softcap is {}, only 0 is supported", attrs.real("softcap"));
  const ValueId q = by_heads(ctx, ctx.node.inputs[0], "q_num_heads");
  const int64_t heads = ctx.shape(q)[1], queries = ctx.shape(q)[2], size = ctx.shape(q)[3];
  const ValueId k = shared(ctx, by_heads(ctx, ctx.node.inputs[1], "kv_num_heads"), heads);
  const ValueId v = shared(ctx, by_heads(ctx, ctx.node.inputs[2], "kv_num_heads"), heads);
  const double scale = attrs.has("scale") ? attrs.real("scale") : 1 / std::sqrt(static_cast<double>(size));
  const ValueId scaled = ctx.add("Mul", {q, ctx.number(q, scale)});
  ValueId scores = ctx.add("MatMul", {scaled, k}, {{"trans_b", int64_t{1}}});
  if (ctx.has(3)) {
    const ValueId mask = ctx.node.inputs[3];
    const bool of_truth_values = ctx.b.graph().type(mask).dtype == DType::boolean;
    scores = of_truth_values ? masked(ctx, scores, mask) : ctx.add("Add", {scores, mask});
  }
  if (attrs.integer("is_causal") != 0) {
    HostTensor seen = kernels::filled({queries, ctx.shape(k)[2]}, 1);
    seen.dtype = DType::boolean;
    for (std::size_t i = 0; i < seen.values.size(); ++i) {
      const auto n = static_cast<int64_t>(i);
      seen.values[i] = n % seen.shape[1] <= n / seen.shape[1] ? 1 : 0;
    }
    scores = masked(ctx, scores, ctx.b.constant(std::move(seen), ctx.node.name + "/seen"));
  }
  const ValueId dst = ctx.add("MatMul", {ctx.add("Softmax", {scores}, {{"axis", int64_t{-1}}}), v});
  if (ctx.shape(ctx.node.inputs[0]).rank() == 4) return {dst};
  const Shape shape = ctx.shape(dst);
  return {ctx.reshape(ctx.add("Transpose", {dst}, {{"perm", Dims{0, 2, 1, 3}}}),
                      {shape[0], shape[2], shape[1] * shape[3]})};
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {{.name = "Attention",
                               .since = 23,
                               .min_inputs = 3,
                               .max_inputs = 7,
                               .attrs = {AttrSpec::optional("scale", AttrKind::real),
                                         {"is_causal", int64_t{0}},
                                         AttrSpec::optional("q_num_heads", AttrKind::integer),
                                         AttrSpec::optional("kv_num_heads", AttrKind::integer),
                                         {"softcap", 0.0},
                                         {"softmax_precision", int64_t{0}},
                                         {"qk_matmul_output_mode", int64_t{0}}},
                               .lower = lower_attention}};
  return ops;
}

}  // namespace hourglass::ops::attention
