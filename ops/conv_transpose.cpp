// ConvTranspose: the map whose adjoint is Conv with the same weights and window.                ONNX ConvTranspose-11
//   dst[n,oc,oh,ow] = bias[oc] + sum over ic,kh,kw of src[n,ic,ih,iw] * weights[ic,oc,kh,kw],
//   oh = ih * stride - pad_begin + kh * dilation
//   src [N,C,H,W], weights [C,OC/group,KH,KW], bias [OC],
//   OH = (H - 1) * stride + output_padding + (KH - 1) * dilation + 1 - pad_begin - pad_end
// That is the gradient of a convolution for its source, so it becomes ConvGradSrc, and an Add of the bias.
//   Signals [N,C,W] are images of one row; of volumes [N,C,D,H,W] see convolve_volume().
// Col2Im-18: dst[n,c] = the sum of the blocks [KH,KW] that src [N,C*KH*KW,L] has for each position of a window.
//   It is the transposed convolution whose filters have a single 1 each.
#include <algorithm>

#include "graph/error.h"
#include "graph/op.h"
#include "graph/text.h"
#include "ops/geometry/window.h"
#include "ops/geometry/window_along.h"
#include "ops/memory/filled.h"

namespace hourglass::ops::conv_transpose {
namespace {

using kernels::window_along;

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

// Of a signal, [N,C,W]: as an image of one row.
ValueId convolve_signal(const LowerContext& ctx) {
  Attrs attrs = window_along(ctx.node.attrs, 1, kernels::kNoAxis, 0);
  if (!attrs.ints("output_shape").empty()) attrs.set("output_shape", Dims{1, attrs.ints("output_shape").back()});
  std::vector<ValueId> inputs = ctx.node.inputs;
  for (const std::size_t i : {0, 1}) {
    const Shape shape = ctx.shape(inputs[i]);
    inputs[i] = ctx.reshape(inputs[i], {shape[0], shape[1], 1, shape[2]});
  }
  const ValueId dst = ctx.add("ConvTranspose", std::move(inputs), std::move(attrs));
  const Shape shape = ctx.shape(dst);
  return ctx.reshape(dst, {shape[0], shape[1], shape[3]});
}

// Filters [outputs * pixels, 1, extents]: each has a single 1, the i-th at its (i mod pixels)-th element.
ValueId unit_filters(const LowerContext& ctx, int64_t outputs, int64_t height, int64_t width) {
  const int64_t pixels = height * width;
  HostTensor filters = kernels::filled({outputs * pixels, 1, height, width}, 0);
  for (int64_t i = 0; i < outputs * pixels; ++i) filters.values[static_cast<std::size_t>(i * pixels + i % pixels)] = 1;
  filters.dtype = ctx.b.graph().type(ctx.node.inputs[0]).dtype;
  return ctx.b.constant(std::move(filters), ctx.node.name + "/filters");
}

// A volume, [N,C,D,H,W], in two steps. Its slices as images: each filter of KD slices makes KD channels of them. Then
// the channels are added up at their depth: a transposed convolution of images [D, pixels] by KD filters of a single 1.
ValueId convolve_volume(const LowerContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const ValueId src = ctx.node.inputs[0], weights = ctx.node.inputs[1];
  const Shape s = ctx.shape(src), w = ctx.shape(weights);
  constexpr int64_t kDeepest = 256;
  if (s.elements() == 0) fail("src is {}, it has no elements", s);
  if (w[2] > kDeepest) fail("a kernel of {} slices is too deep, expected {} at most", w[2], kDeepest);
  const Dims& wanted = attrs.ints("output_shape");
  if (!wanted.empty() && wanted.size() != 3 && wanted.size() != 5) {
    fail("output_shape has {} entries, expected 3", wanted.size());
  }
  Attrs of_images = window_along(attrs, 3, 1, 2), along_depth = window_along(attrs, 3, 0, kernels::kNoAxis);
  if (!wanted.empty()) of_images.set("output_shape", Dims(wanted.end() - 2, wanted.end()));
  const ValueId by_depth =
      ctx.add("Transpose", {ctx.reshape(src, {s[0], s[1], s[2], s[3] * s[4]})}, {{"perm", Dims{0, 2, 1, 3}}});
  const ValueId images = ctx.add(
      "ConvTranspose",
      {ctx.reshape(by_depth, {s[0] * s[2], s[1], s[3], s[4]}), ctx.reshape(weights, {w[0], w[1] * w[2], w[3], w[4]})},
      std::move(of_images));
  const Shape made = ctx.shape(images);
  const int64_t channels = made[1] / w[2], pixels = made[2] * made[3];
  const ValueId by_channel = ctx.add("Transpose", {ctx.reshape(images, {s[0], s[2], channels, w[2], pixels})},
                                     {{"perm", Dims{0, 2, 3, 1, 4}}});
  if (!wanted.empty()) along_depth.set("output_shape", Dims{wanted[wanted.size() - 3], pixels});
  along_depth.set("group", int64_t{1});
  along_depth.set("kernel_shape", Dims{w[2], 1});
  const ValueId volume = ctx.add(
      "ConvTranspose", {ctx.reshape(by_channel, {s[0] * channels, w[2], s[2], pixels}), unit_filters(ctx, 1, w[2], 1)},
      std::move(along_depth));
  const ValueId dst = ctx.reshape(volume, {s[0], channels, ctx.shape(volume)[2], made[2], made[3]});
  if (!ctx.has(2)) return dst;
  return ctx.add("Add", {dst, ctx.reshape(ctx.node.inputs[2], {1, channels, 1, 1, 1})});
}

std::vector<ValueId> lower_conv_transpose(LowerContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const ValueId src = ctx.node.inputs[0], weights = ctx.node.inputs[1];
  const Shape s = ctx.shape(src), w = ctx.shape(weights);
  if (s.rank() == 3 && w.rank() == 3) return {convolve_signal(ctx)};
  if (s.rank() == 5 && w.rank() == 5) return {convolve_volume(ctx)};
  if (s.rank() != 4 || w.rank() != 4) {
    fail("src is {} and weights are {}; expected [N,C,H,W] and [C,OC/group,KH,KW], or one or three dimensions behind C",
         s, w);
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

std::vector<ValueId> lower_col2im(LowerContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const Dims &image = attrs.ints("image_shape"), &block = attrs.ints("block_shape");
  const ValueId src = ctx.node.inputs[0];
  const Shape shape = ctx.shape(src);
  if (image.size() != 2 || block.size() != 2 || shape.rank() != 3) {
    fail("src is {}, image_shape [{}] and block_shape [{}]; expected [N,C,L] and two numbers each", shape,
         join(image, ","), join(block, ","));
  }
  constexpr int64_t kLargest = 1 << 10;
  for (const int64_t extent : block) {
    if (extent < 1 || extent > kLargest) fail("block_shape [{}] is out of range", join(block, ","));
  }
  const int64_t taps = block[0] * block[1], channels = shape[1] / taps;
  if (shape[1] % taps != 0 || channels == 0) fail("{} channels are not those of blocks {}", shape[1], join(block, "x"));
  Attrs window{{"kernel_shape", block},
               {"strides", attrs.ints("strides")},
               {"dilations", attrs.ints("dilations")},
               {"pads", attrs.ints("pads")}};
  const kernels::Window windows = kernels::window_of(window, {1, 1, image[0], image[1]}, block);
  if (windows.h.dst * windows.w.dst != shape[2]) {
    fail("src {} has {} blocks, {}x{} windows see the image", shape, shape[2], windows.h.dst, windows.w.dst);
  }
  window.set("group", channels);
  window.set("src_shape", Dims{shape[0], channels, image[0], image[1]});
  return {ctx.add("ConvGradSrc",
                  {ctx.reshape(src, {shape[0], shape[1], windows.h.dst, windows.w.dst}),
                   unit_filters(ctx, channels, block[0], block[1])},
                  std::move(window))};
}

}  // namespace

std::span<const OpDef> family() {
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
                               .lower = lower_conv_transpose},
                              {.name = "Col2Im",
                               .since = 18,
                               .attrs = {AttrSpec::required("image_shape", AttrKind::ints),
                                         AttrSpec::required("block_shape", AttrKind::ints),
                                         {"dilations", Dims{}},
                                         {"pads", Dims{}},
                                         {"strides", Dims{}}},
                               .const_inputs = {{1, "image_shape"}, {2, "block_shape"}},
                               .lower = lower_col2im}};
  return ops;
}

}  // namespace hourglass::ops::conv_transpose
