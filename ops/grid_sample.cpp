// GridSample: an image seen at positions that a constant grid names; GridSampleComputed (grid_sample_computed.cpp) is
// its form for a grid that depends on the network's input.                          ONNX GridSample-20 (from 16)
//   src [N,C,H,W], grid [N,OH,OW,2] of (x, y), dst [N,C,OH,OW]: dst[n,c,oh,ow] = src[n,c] at that position, where -1
//   and 1 are the image's borders: the centres of the outermost pixels (align_corners) or their outer edges. mode:
//   linear (bilinear), nearest, or cubic (bicubic; a = -0.75). padding_mode: what stands outside the image: zeros, its
//   border's pixels, or the image's reflection. diff_src: GridSampleGrad, the transposed map.
// Kernel: every pixel of dst is a sum of few pixels of src, in each channel of the same: a sparse matrix, whose rows
// are made as the kernel is planned. The gradient's are those of its transpose.
#include <algorithm>
#include <cmath>

#include "graph/error.h"
#include "ops/geometry/grid_sampling.h"
#include "ops/is_computed.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/parallel.h"
#include "ops/transposed.h"

namespace hourglass::ops::grid_sample {
namespace {

struct Sampling {
  GridSampling how;
  const HostTensor& grid;
};

Sampling sampling_of(const Attrs& attrs, const Shape& src) {
  const HostTensor& grid = attrs.tensor("grid");
  if (src.rank() != 4 || grid.shape.rank() != 4 || grid.shape[0] != src[0] || grid.shape[3] != 2) {
    fail("src is {} and grid is {}, expected [N,C,H,W] and [N,OH,OW,2]", src, grid.shape);
  }
  if (src.elements() == 0) fail("src is {}, it has no elements", src);
  for (const double position : grid.values) {
    if (!std::isfinite(position)) fail("the grid has a position of {}", position);
  }
  return {.how = grid_sampling_of(attrs), .grid = grid};
}

// visit(image, pixel of dst, pixel of src, weight) for every tap that sees the image.
template <typename Visit>
void for_each_tap(const Sampling& s, const Shape& src, const Visit& visit) {
  const int64_t pixels = s.grid.shape[1] * s.grid.shape[2];
  for (int64_t i = 0; i < src[0] * pixels; ++i) {
    const double* at = s.grid.values.data() + 2 * i;
    for_each_grid_tap(s.how, at[0], at[1], src[2], src[3], [&](int64_t from, double weight, double, double) {
      if (weight != 0) visit(i / pixels, i % pixels, from, weight);
    });
  }
}

Shape sampled_shape(const Attrs& attrs, const Shape& src) {
  const Shape& grid = sampling_of(attrs, src).grid.shape;
  return {src[0], src[1], grid[1], grid[2]};
}

void infer(InferContext& ctx) { ctx.outputs.push_back({ctx.inputs[0]->dtype, sampled_shape(ctx.attrs, ctx.shape(0))}); }

void infer_grad(InferContext& ctx) { infer_transposed(ctx, sampled_shape); }
void vjp(VjpContext& ctx) { vjp_transposed(ctx, "GridSampleGrad"); }

// visit(offset in src, offset in dst, weight) for every product.
template <typename Visit>
void for_each_product(const Attrs& attrs, const Shape& src, const Visit& visit) {
  const Sampling s = sampling_of(attrs, src);
  const int64_t of_src = src[2] * src[3], of_dst = s.grid.shape[1] * s.grid.shape[2];
  for_each_tap(s, src, [&](int64_t n, int64_t to, int64_t from, double weight) {
    for (int64_t c = 0; c < src[1]; ++c) {
      const int64_t plane = n * src[1] + c;
      visit(static_cast<std::size_t>(plane * of_src + from), static_cast<std::size_t>(plane * of_dst + to), weight);
    }
  });
}

void reference(ReferenceContext& ctx) {
  for_each_product(ctx.attrs, ctx.inputs[0]->shape, [&](std::size_t from, std::size_t to, double weight) {
    ctx.outputs[0].values[to] += weight * ctx.inputs[0]->values[from];
  });
}

void reference_grad(ReferenceContext& ctx) {
  for_each_product(ctx.attrs, ctx.outputs[0].shape, [&](std::size_t from, std::size_t to, double weight) {
    ctx.outputs[0].values[from] += weight * ctx.inputs[0]->values[to];
  });
}

// A sparse matrix for each image, all in one: row r's entries are [begin[r], begin[r + 1]).
struct SparseMatrix {
  std::vector<int64_t> begin;
  std::vector<int32_t> column;
  std::vector<float> weight;
};

SparseMatrix rows_of(const Attrs& attrs, const Shape& src, bool transposed) {
  const Sampling s = sampling_of(attrs, src);
  const int64_t of_src = src[2] * src[3], of_dst = s.grid.shape[1] * s.grid.shape[2];
  if (std::max(of_src, of_dst) > std::numeric_limits<int32_t>::max()) fail("an image of {} is too large", src);
  const int64_t rows = transposed ? of_src : of_dst;
  SparseMatrix result{
      .begin = std::vector<int64_t>(static_cast<std::size_t>(src[0] * rows + 1)), .column = {}, .weight = {}};
  const auto row = [&](int64_t n, int64_t to, int64_t from) {
    return static_cast<std::size_t>(n * rows + (transposed ? from : to));
  };
  for_each_tap(s, src, [&](int64_t n, int64_t to, int64_t from, double) { ++result.begin[row(n, to, from) + 1]; });
  for (std::size_t r = 1; r < result.begin.size(); ++r) result.begin[r] += result.begin[r - 1];
  result.column.resize(static_cast<std::size_t>(result.begin.back()));
  result.weight.resize(result.column.size());
  std::vector<int64_t> next(result.begin.begin(), result.begin.end() - 1);
  for_each_tap(s, src, [&](int64_t n, int64_t to, int64_t from, double weight) {
    const auto at = static_cast<std::size_t>(next[row(n, to, from)]++);
    result.column[at] = static_cast<int32_t>(transposed ? to : from);
    result.weight[at] = static_cast<float>(weight);
  });
  return result;
}

template <class T>
void multiply_rows(const SparseMatrix& m, int64_t first, int64_t count, const T* src, T* dst) {
  for (int64_t r = 0; r < count; ++r) {
    const auto row = static_cast<std::size_t>(first + r);
    float sum = 0;
    for (int64_t e = m.begin[row]; e < m.begin[row + 1]; ++e) {
      const auto entry = static_cast<std::size_t>(e);
      sum += m.weight[entry] * kernels::load(src + m.column[entry]);
    }
    kernels::store(dst + r, sum);
  }
}

// in: the map's source; images of both have the same channels.
KernelPlan plan_map(PlanContext& ctx, SparseMatrix rows) {
  kernels::require_one_float_type(ctx);
  const Shape &in = ctx.in(0).shape, &out = ctx.out().shape;
  const int64_t channels = in[1], images = in[0], in_plane = in[2] * in[3], out_plane = out[2] * out[3];
  KernelPlan plan{.src = {kernels::plain(ctx.in(0))},
                  .dst = {kernels::plain(ctx.out())},
                  .implementation = "loop",
                  .kernel = nullptr};
  kernels::with_element(ctx.out().dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=, m = std::move(rows)](const Addresses& at) {
      constexpr int64_t kPiece = 1024;
      const int64_t pieces = (out_plane + kPiece - 1) / kPiece;
      kernels::parallel_for(images * channels * pieces, [&](int64_t i) {
        const int64_t plane = i / pieces, first = i % pieces * kPiece;
        multiply_rows(m, plane / channels * out_plane + first, std::min(kPiece, out_plane - first),
                      static_cast<const T*>(at.src[0]) + plane * in_plane,
                      static_cast<T*>(at.dst[0]) + plane * out_plane + first);
      });
    });
  });
  return plan;
}

KernelPlan plan_forward(PlanContext& ctx) { return plan_map(ctx, rows_of(ctx.node.attrs, ctx.in(0).shape, false)); }
KernelPlan plan_backward(PlanContext& ctx) { return plan_map(ctx, rows_of(ctx.node.attrs, ctx.out().shape, true)); }

void normalize(NormalizeContext& ctx) {
  // Opset 20's names.
  if (ctx.attrs.has("mode")) {
    const std::string mode = ctx.attrs.string("mode");
    if (mode == "bilinear") ctx.attrs.set("mode", std::string("linear"));
    if (mode == "bicubic") ctx.attrs.set("mode", std::string("cubic"));
  }
  if (ctx.inputs.size() > 1 && is_computed(ctx.graph, ctx.inputs[1])) ctx.op = "GridSampleComputed";
}

std::vector<AttrSpec> attrs_and(std::vector<AttrSpec> more) {
  std::vector<AttrSpec> attrs = {AttrSpec::required("grid", AttrKind::tensor),
                                 {"mode", std::string("linear")},
                                 {"padding_mode", std::string("zeros")},
                                 {"align_corners", int64_t{0}}};
  attrs.insert(attrs.end(), more.begin(), more.end());
  return attrs;
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "GridSample",
       .since = 16,
       .attrs = attrs_and({}),
       .const_inputs = {{1, "grid"}},
       .normalize = normalize,
       .to_onnx = grid_sample_to_onnx,
       .infer = infer,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "GridSampleGrad",
       .internal = true,
       .attrs = attrs_and({AttrSpec::required("shape", AttrKind::ints)}),
       .infer = infer_grad,
       .plan = plan_backward,
       .reference = reference_grad,
       .bf16_inputs = 0b1,
       .linear = true},
  };
  return ops;
}

}  // namespace hourglass::ops::grid_sample
