// Shared by AveragePool and MaxPool: pooling of signals and volumes as pooling of images, the walk over rows, and the
// description of the window for oneDNN.
//
// oneDNN's pooling runs where it has an optimised kernel. It has none for dilated windows, and no words for the
// averages of ceil_mode's overhanging windows: those run in loops over kernels::View, one call per row.
#pragma once

#include <memory>
#include <type_traits>

#include "graph/error.h"
#include "graph/op.h"
#include "ops/geometry/window.h"
#include "ops/geometry/window_along.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {

// A row function works on one row of one channel group; channels lie side by side in pieces of at most this many.
inline constexpr int64_t kPoolLanes = 64;

// Row h of channel group g of image n.
struct PoolRow {
  int64_t n, g, h;
};

// body(PoolRow) for every row of every channel group of v.
template <typename Body>
void for_each_row(const View& v, const Body& body) {
  parallel_for(v.n * v.groups * v.h,
               [&](int64_t i) { body(PoolRow{.n = i / (v.h * v.groups), .g = i / v.h % v.groups, .h = i % v.h}); });
}

inline PoolingSpec pooling_spec(dnnl::algorithm algorithm, const Window& window, const MemoryDesc& src,
                                const MemoryDesc& dst) {
  return {.algorithm = algorithm,
          .src = src,
          .dst = dst,
          .kernel = window.kernel(),
          .strides = window.strides(),
          .dilations = window.dilations(),
          .padding_l = window.padding_l(),
          .padding_r = window.padding_r()};
}

// Makes `plan` run oneDNN's forward primitive, where it has an optimised one.
inline bool plan_onednn_pooling(const PlanContext& ctx, const PoolingSpec& spec, KernelPlan& plan) {
  using From = Argument::From;
  const auto desc = make_pooling(ctx.engine, spec);
  if (!has_fast_implementation(desc)) return false;
  plan.implementation = implementation_of(desc);
  plan.scratch_bytes = desc.scratchpad_desc().get_size();
  plan.kernel = primitive_kernel(PoolingForward(desc), ctx.engine,
                                 {{DNNL_ARG_SRC, From::src, 0, spec.src},
                                  {DNNL_ARG_DST, From::dst, 0, spec.dst},
                                  {DNNL_ARG_SCRATCHPAD, From::scratchpad, 0, desc.scratchpad_desc()}});
  return true;
}

// row_function(PoolRow, src[0], dst[0]) for every row of v, which is the view of one of them.
template <typename RowFunction>
std::unique_ptr<Kernel> pooling_loop(DType dtype, const View& v, const RowFunction& row_function) {
  return with_element(dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    return loop_kernel([v, row_function](const Addresses& at) {
      const auto* from = static_cast<const T*>(at.src[0]);
      auto* to = static_cast<T*>(at.dst[0]);
      for_each_row(v, [&](PoolRow row) { row_function(row, from, to); });
    });
  });
}

// The pooling of a signal, [N,C,W], as that of images of one row, and of a volume, [N,C,D,H,W], first along H and W,
// then along D; of anything else nothing. For OpDef::lower.
inline std::vector<ValueId> pool_other_ranks(const LowerContext& ctx) {
  const ValueId src = ctx.node.inputs[0];
  const Attrs& attrs = ctx.node.attrs;
  const Shape s = ctx.shape(src);
  const auto pool = [&](ValueId value, Dims shape, Attrs window) {
    return ctx.add(ctx.node.op->name, {ctx.reshape(value, std::move(shape))}, std::move(window));
  };
  if (s.rank() == 3) {
    const ValueId dst = pool(src, {s[0], s[1], 1, s[2]}, window_along(attrs, 1, kNoAxis, 0));
    return {ctx.reshape(dst, {s[0], s[1], ctx.shape(dst)[3]})};
  }
  if (s.rank() == 5) {
    if (s.elements() == 0) fail("src is {}, it has no elements", s);
    const ValueId slices = pool(src, {s[0], s[1] * s[2], s[3], s[4]}, window_along(attrs, 3, 1, 2));
    const Shape made = ctx.shape(slices);
    const ValueId dst = pool(slices, {s[0], s[1], s[2], made[2] * made[3]}, window_along(attrs, 3, 0, kNoAxis));
    return {ctx.reshape(dst, {s[0], s[1], ctx.shape(dst)[2], made[2], made[3]})};
  }
  return {};
}

}  // namespace hourglass::kernels
