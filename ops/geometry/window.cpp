#include "ops/geometry/window.h"

#include <algorithm>

#include "graph/error.h"
#include "graph/text.h"

namespace hourglass::kernels {
namespace {

constexpr std::size_t kSpatial = 2;

// Largest extent of any image here; larger numbers in a file would overflow later arithmetic.
constexpr int64_t kLargest = 1 << 20;

// The list attribute, or `count` times `fallback` when it is empty or the op has none.
Dims list_or(const Attrs& attrs, const std::string& name, std::size_t count, int64_t fallback, int64_t lowest) {
  Dims values = attrs.has(name) ? attrs.ints(name) : Dims{};
  if (values.empty()) return Dims(count, fallback);
  if (values.size() != count) fail("{} has {} values, {} expected for 2-D images", name, values.size(), count);
  for (const int64_t value : values) {
    if (value < lowest) fail("{} is [{}], every value must be at least {}", name, join(values, ","), lowest);
    if (value > kLargest) fail("{} is [{}], values may be {} at most", name, join(values, ","), kLargest);
  }
  return values;
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Pads as auto_pad says, and counts the positions of the window.
void complete(WindowAxis& axis, const std::string& auto_pad, bool ceil_mode) {
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    axis.dst = ceil_div(axis.src, axis.stride);
    const int64_t total = std::max<int64_t>((axis.dst - 1) * axis.stride + axis.extent() - axis.src, 0);
    axis.pad_begin = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
    axis.pad_end = total - axis.pad_begin;
    return;
  }
  const int64_t room = axis.src + axis.pad_begin + axis.pad_end - axis.extent();
  if (room < 0) {
    fail("a kernel that spans {} pixels does not fit into {} pixels padded by {} and {}", axis.extent(), axis.src,
         axis.pad_begin, axis.pad_end);
  }
  axis.dst = (ceil_mode ? ceil_div(room, axis.stride) : room / axis.stride) + 1;
  // A window that would start after the source is left out, as in PyTorch and ONNX.
  if (ceil_mode && (axis.dst - 1) * axis.stride >= axis.src + axis.pad_begin) --axis.dst;
}

}  // namespace

Window window_of(const Attrs& attrs, const Shape& src, const Dims& kernel) {
  if (src.rank() != 4) fail("src is {}; only 2-D images, [N,C,H,W], are supported", src);
  if (src.elements() == 0) fail("src is {}, it has no elements", src);
  const Dims strides = list_or(attrs, "strides", kSpatial, 1, 1);
  const Dims dilations = list_or(attrs, "dilations", kSpatial, 1, 1);
  const Dims pads = list_or(attrs, "pads", 2 * kSpatial, 0, 0);
  const std::string auto_pad = attrs.has("auto_pad") ? attrs.string("auto_pad") : "NOTSET";
  if (auto_pad != "NOTSET" && auto_pad != "SAME_UPPER" && auto_pad != "SAME_LOWER" && auto_pad != "VALID") {
    fail("auto_pad is '{}', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", auto_pad);
  }
  const bool has_pads = std::any_of(pads.begin(), pads.end(), [](int64_t pad) { return pad != 0; });
  if (auto_pad != "NOTSET" && has_pads) {
    fail("pads is [{}] although auto_pad is {}; give one of them", join(pads, ","), auto_pad);
  }
  const bool ceil_mode = attrs.has("ceil_mode") && attrs.integer("ceil_mode") != 0;

  Window window;
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    WindowAxis& axis = i == 0 ? window.h : window.w;
    if (kernel[i] > kLargest) fail("the kernel is {}, extents may be {} at most", join(kernel, "x"), kLargest);
    if (kernel[i] < 1) fail("the kernel is {}, every extent must be at least 1", join(kernel, "x"));
    axis = {.src = src[static_cast<int>(2 + i)],
            .kernel = kernel[i],
            .stride = strides[i],
            .dilation = dilations[i],
            .pad_begin = pads[i],
            .pad_end = pads[kSpatial + i]};
    complete(axis, auto_pad, ceil_mode);
  }
  return window;
}

Window pooling_window(const Attrs& attrs, const Shape& src) {
  const Dims& kernel = attrs.ints("kernel_shape");
  if (kernel.size() != kSpatial) {
    fail("kernel_shape has {} values, {} expected: only 2-D pooling is supported", kernel.size(), kSpatial);
  }
  return window_of(attrs, src, kernel);
}

void require_source_in_every_window(const Window& window) {
  for (const WindowAxis* axis : {&window.h, &window.w}) {
    for (int64_t o = 0; o < axis->dst; ++o) {
      const auto [first, end] = axis->taps(o);
      if (first == end) {
        fail(
            "output {} of an axis of {} pixels sees only padding (kernel {}, dilation {}, pads {} and {}); use smaller "
            "pads",
            o, axis->src, axis->kernel, axis->dilation, axis->pad_begin, axis->pad_end);
      }
    }
  }
}

}  // namespace hourglass::kernels
