#include "ops/memory/view.h"

#include "graph/error.h"

namespace hourglass::kernels {
namespace {

bool fill(const Blocking& b, View& v) {
  if (b.dims.size() != 4 || b.offset != 0) return false;
  v.n = b.dims[0];
  v.c = b.dims[1];
  v.h = b.dims[2];
  v.w = b.dims[3];
  v.stride_n = b.strides[0];
  v.stride_h = b.strides[2];
  v.stride_w = b.strides[3];
  if (b.inner_blocks.size() == 1 && b.inner_axes[0] == 1) {
    v.block = b.inner_blocks[0];
    v.stride_g = b.strides[1];
  } else if (b.inner_blocks.empty() && b.strides[3] == 1) {
    v.block = 1;
    v.stride_g = b.strides[1];
  } else if (b.inner_blocks.empty() && b.strides[1] == 1) {
    v.block = v.c;
    v.stride_g = v.c;
  } else if (b.inner_blocks.empty() && v.c == 1) {
    v.block = 1;
    v.stride_g = b.strides[1];
  } else {
    return false;
  }
  v.groups = (v.c + v.block - 1) / v.block;
  return true;
}

}  // namespace

bool is_viewable(const MemoryDesc& desc) {
  View v;
  return fill(blocking_of(desc), v);
}

View view_of(const MemoryDesc& desc) {
  View v;
  if (!fill(blocking_of(desc), v)) fail("layout {} is not an activation's", describe(desc));
  return v;
}

}  // namespace hourglass::kernels
