// Softmax:    dst = e^(src - m) / sum of e^(src - m) along `axis`, m the maximum there.              ONNX Softmax-13
// LogSoftmax: dst = src - m - log(sum of e^(src - m)).                                            ONNX LogSoftmax-13
// Before opset 13 the sum went over `axis` (default 1) and all behind it.
// Compositions: where they stand in networks for images (attention over channels), src is small.
#include "graph/error.h"
#include "graph/op.h"

namespace hourglass::ops::softmax {
namespace {

// The older meaning is said by `flatten`.
void normalize(NormalizeContext& ctx) {
  ctx.attrs.set("flatten", int64_t{ctx.opset < 13});
  if (!ctx.attrs.has("axis")) ctx.attrs.set("axis", int64_t{ctx.opset < 13 ? 1 : -1});
}

template <bool kLog>
std::vector<ValueId> lower_softmax(LowerContext& ctx) {
  const ValueId src = ctx.node.inputs[0];
  const int rank = ctx.shape(src).rank();
  const int64_t given = ctx.node.attrs.integer("axis");
  const bool flatten = ctx.node.attrs.integer("flatten") != 0;
  // Flattened, axis = rank means "over nothing".
  Dims axes;
  if (rank > 0 && !(flatten && given == rank)) {
    const int axis = normalize_axis(given, rank);
    for (int a = axis; a < (flatten ? rank : axis + 1); ++a) axes.push_back(a);
  }
  if (axes.empty()) fail("axis {} leaves nothing to sum over in {}", given, ctx.shape(src));
  const ValueId shifted = ctx.add("Sub", {src, ctx.add("ReduceMax", {src}, {{"axes", axes}})});
  const ValueId powers = ctx.add("Exp", {shifted});
  const ValueId sum = ctx.add("ReduceSum", {powers}, {{"axes", axes}});
  if (kLog) return {ctx.add("Sub", {shifted, ctx.add("Log", {sum})})};
  return {ctx.add("Div", {powers, sum})};
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {{.name = "Softmax",
                               .attrs = {{"axis", int64_t{-1}}, {"flatten", int64_t{0}}},
                               .normalize = normalize,
                               .lower = lower_softmax<false>},
                              {.name = "LogSoftmax",
                               .attrs = {{"axis", int64_t{-1}}, {"flatten", int64_t{0}}},
                               .normalize = normalize,
                               .lower = lower_softmax<true>}};
  return ops;
}

}  // namespace hourglass::ops::softmax
