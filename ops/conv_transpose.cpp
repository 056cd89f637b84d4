// ConvTranspose: the map whose adjoint is Conv with the same weights and window.                ONNX ConvTranspose-11
//   dst[n,oc,oh,ow] = bias[oc] + sum over ic,kh,kw of src[n,ic,ih,iw] * weights[ic,oc,kh,kw],  oh = ih * stride -
//   pad_begin
//   + kh * dilation;  src [N,C,H,W], weights [C,OC/group,KH,KW], bias [OC],
//   OH = (H - 1) * stride + output_padding + (KH - 1) * dilation + 1 - pad_begin - pad_end
// That is the gradient of a convolution for its source, so it becomes ConvGradSrc, and an Add of the bias.
#include <algorithm>

#include "graph/error.h"
#include "graph/op.h"
#include "graph/text.h"
#include "ops/geometry/window.h"

namespace hourglass::ops {
namespace {

Dims list_or(const Attrs& attrs, const char* name, std::size_t size, int64_t otherwise) {
  const Dims& values = attrs.ints(name);
  if (values.empty()) return Dims(size, otherwise);
  if (values.size() != size) fail("{} has {} entries, expected {}", name, values.size(), size);
  return values;
}

// One spatial axis: the padding, and the extent that comes out.
struct Axis {
  int64_t pad_begin = 0, pad_end = 0, dst = 0;
};

Axis axis_of(const Attrs& attrs, std::size_t i, int64_t src, int64_t kernel) {
  constexpr int64_t kLargest = 1 << 20;
  const int64_t stride = list_or(attrs, "strides", 2, 1)[i], dilation = list_or(attrs, "dilations", 2, 1)[i];
  const int64_t extra = list_or(attrs, "output_padding", 2, 0)[i];
  for (const int64_t n : {stride, dilation}) {
    if (n < 1 || n > kLargest) fail("a stride or dilation of {} is out of range, expected at least 1", n);
  }
  if (extra < 0 || extra >= stride) {
    fail("output_padding {} is not supported with a stride of {}; expected less than the stride", extra, stride);
  }
  const Dims pads = list_or(attrs, "pads", 4, 0);
  for (const int64_t pad : pads) {
    if (pad < 0 || pad > kLargest) fail("pads [{}] are out of range", join(pads, ","));
  }
  const int64_t full = (src - 1) * stride + extra + (kernel - 1) * dilation + 1;
  const std::string& auto_pad = attrs.string("auto_pad");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  const Dims& wanted = attrs.ints("output_shape");
  if (!same && wanted.empty()) {
    if (auto_pad == "VALID") return {0, 0, full};
    if (auto_pad != "NOTSET") fail("auto_pad '{}' is not known", auto_pad);
    return {pads[i], pads[i + 2], full - pads[i] - pads[i + 2]};
  }
  // The extent is given, the padding follows; the odd one goes to the end for SAME_UPPER, else to the beginning.
  const int64_t dst = wanted.empty() ? src * stride : wanted[wanted.size() - 2 + i];
  if (dst < 1 || dst > full + stride) fail("an output extent of {} does not follow from one of {}", dst, src);
  const int64_t total = full - dst;
  // Beyond what the windows reach, as output_padding does.
  if (total < 0) return {0, 0, dst};
  const int64_t half = total / 2;
  return auto_pad == "SAME_UPPER" ? Axis{half, total - half, dst} : Axis{total - half, half, dst};
}

std::vector<ValueId> lower_conv_transpose(LowerContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const ValueId src = ctx.node.inputs[0], weights = ctx.node.inputs[1];
  const Shape s = ctx.shape(src), w = ctx.shape(weights);
  if (s.rank() != 4 || w.rank() != 4) {
    fail("src is {} and weights are {}; only 2-D is supported: src [N,C,H,W], weights [C,OC/group,KH,KW]", s, w);
  }
  if (s[1] != w[0]) fail("src {} has {} channels, weights {} expect {}; check what feeds this node", s, s[1], w, w[0]);
  const std::size_t given = attrs.ints("output_shape").size();
  if (given != 0 && given != 2 && given != 4) fail("output_shape has {} entries, expected 2", given);
  const Axis h = axis_of(attrs, 0, s[2], w[2]), v = axis_of(attrs, 1, s[3], w[3]);
  if (h.dst < 1 || v.dst < 1) fail("src {} would become {}x{}, expected at least 1x1", s, h.dst, v.dst);
  const int64_t group = attrs.integer("group");
  if (group < 1 || w[1] > (int64_t{1} << 31) / group) fail("group is {}, expected at least 1", group);
  const int64_t channels = w[1] * group;
  Dims pads{h.pad_begin, v.pad_begin, h.pad_end, v.pad_end};
  if (std::all_of(pads.begin(), pads.end(), [](int64_t pad) { return pad == 0; })) pads.clear();
  const ValueId dst = ctx.add("ConvGradSrc", {src, weights},
                              {{"kernel_shape", attrs.ints("kernel_shape")},
                               {"strides", attrs.ints("strides")},
                               {"dilations", attrs.ints("dilations")},
                               {"pads", std::move(pads)},
                               {"group", group},
                               {"src_shape", Dims{s[0], channels, h.dst, v.dst}}});
  if (!ctx.has(2)) return {dst};
  return {ctx.add("Add", {dst, ctx.reshape(ctx.node.inputs[2], {1, channels, 1, 1})})};
}

}  // namespace

std::span<const OpDef> conv_transpose_ops() {
  static const OpDef ops[] = {{.name = "ConvTranspose",
                               .min_inputs = 2,
                               .max_inputs = 3,
                               .attrs = {{"kernel_shape", Dims{}},
                                         {"strides", Dims{}},
                                         {"pads", Dims{}},
                                         {"dilations", Dims{}},
                                         {"output_padding", Dims{}},
                                         {"output_shape", Dims{}},
                                         {"group", int64_t{1}},
                                         {"auto_pad", std::string("NOTSET")}},
                               .lower = lower_conv_transpose}};
  return ops;
}

}  // namespace hourglass::ops
