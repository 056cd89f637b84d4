#include "ops/convolution/convolution.h"

#include "graph/error.h"
#include "graph/text.h"

namespace hourglass::kernels {
namespace {

Dims kernel_of(const Shape& weights) { return {weights[2], weights[3]}; }

}  // namespace

PaddingMode padding_mode_of(const Attrs& attrs) {
  return attrs.has("pad_mode") ? padding_mode_of(attrs.string("pad_mode")) : PaddingMode::constant;
}

Window checked_window(const Attrs& attrs, const Shape& src, const Shape& weights) {
  if (src.rank() != 4 || weights.rank() != 4) {
    fail("src is {} and weights are {}; expected [N,C,H,W] and [OC,C/group,KH,KW], or one or three dimensions behind C",
         src, weights);
  }
  const Dims& kernel_shape = attrs.ints("kernel_shape");
  if (!kernel_shape.empty() && kernel_shape != kernel_of(weights)) {
    fail("kernel_shape is [{}], the weights are {}", join(kernel_shape, ","), weights);
  }
  const int64_t group = attrs.integer("group");
  if (group < 1) fail("group is {}, expected at least 1", group);
  if (src[1] != weights[1] * group) {
    fail("src {} has {} channels, weights {} in {} group(s) expect {}; check what feeds this node", src, src[1],
         weights, group, weights[1] * group);
  }
  if (weights[0] == 0 || weights[0] % group != 0) {
    fail("weights {} make {} channels, which {} groups do not divide", weights, weights[0], group);
  }
  const Window window = window_of(attrs, src, kernel_of(weights));
  const PaddingMode border = padding_mode_of(attrs);
  if (border != PaddingMode::constant) {
    if (group != 1) fail("pad_mode '{}' with {} groups is not supported", attrs.string("pad_mode"), group);
    check_padding(border, window.h.pad_begin, window.h.pad_end, window.h.src, 2);
    check_padding(border, window.w.pad_begin, window.w.pad_end, window.w.src, 3);
  }
  return window;
}

std::vector<AttrSpec> convolution_attrs(const std::vector<AttrSpec>& more) {
  std::vector<AttrSpec> attrs{{"kernel_shape", Dims{}},
                              {"strides", Dims{}},
                              {"pads", Dims{}},
                              {"dilations", Dims{}},
                              {"group", int64_t{1}},
                              {"auto_pad", std::string("NOTSET")},
                              AttrSpec::optional("pad_mode", AttrKind::string),
                              AttrSpec::optional("band_rows", AttrKind::integer)};
  attrs.insert(attrs.end(), more.begin(), more.end());
  return attrs;
}

Convolution convolution_of(const Attrs& attrs, Direction direction, const TensorType& src, const TensorType& weights,
                           const TensorType& dst) {
  return {.direction = direction,
          .window = checked_window(attrs, src.shape, weights.shape),
          .padding_mode = padding_mode_of(attrs),
          .group = attrs.integer("group"),
          .src = src,
          .weights = weights,
          .dst = dst,
          .band_rows = attrs.has("band_rows") ? attrs.integer("band_rows") : 0};
}

}  // namespace hourglass::kernels
