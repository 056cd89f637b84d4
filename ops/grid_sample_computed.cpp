// GridSampleComputed: GridSample (grid_sample.cpp) whose grid is computed while the network runs.
//   src [N,C,H,W], grid [N,OH,OW,2], dst [N,C,OH,OW]: dst[n,c,p] = sum over taps k of w_k(grid[n,p]) src[n,c,at_k].
//   diff_src = GridSampleComputedGrad: the transposed map of diff_dst. diff_grid = GridSampleComputedGridGrad:
//   sum over c and k of diff_dst[n,c,p] src[n,c,at_k] dw_k/dgrid; 0 where the grid points outside of a border that
//   stays, and for mode nearest.
// Kernels: taps are computed anew for each pixel, in double precision, and shared by its channels.
#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

#include "graph/error.h"
#include "ops/geometry/grid_sampling.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/f32_sums.h"
#include "ops/loops/parallel.h"

namespace hourglass::ops::grid_sample_computed {
namespace {

void check(const Attrs& attrs, const Shape& src, const TensorType& grid_type) {
  grid_sampling_of(attrs);
  const Shape& grid = grid_type.shape;
  if (grid_type.dtype != DType::f32) fail("grid is of type {}, expected f32", grid_type.dtype);
  if (src.rank() != 4 || grid.rank() != 4 || grid[0] != src[0] || grid[3] != 2) {
    fail("src is {} and grid is {}, expected [N,C,H,W] and [N,OH,OW,2]", src, grid);
  }
  if (src.elements() == 0) fail("src is {}, it has no elements", src);
}

Shape sampled_shape(const Shape& src, const Shape& grid) { return {src[0], src[1], grid[1], grid[2]}; }

void check_diff_dst(const InferContext& ctx, const Shape& src, const Shape& grid) {
  const Shape expected = sampled_shape(src, grid);
  if (ctx.shape(0) != expected) fail("diff_dst is {}, expected {}", ctx.shape(0), expected);
}

void infer(InferContext& ctx) {
  check(ctx.attrs, ctx.shape(0), *ctx.inputs[1]);
  ctx.outputs.push_back({ctx.inputs[0]->dtype, sampled_shape(ctx.shape(0), ctx.shape(1))});
}

void infer_grad(InferContext& ctx) {
  const Shape src(ctx.attrs.ints("shape"));
  check(ctx.attrs, src, *ctx.inputs[1]);
  check_diff_dst(ctx, src, ctx.shape(1));
  ctx.outputs.push_back({ctx.inputs[0]->dtype, src});
}

void infer_grid_grad(InferContext& ctx) {
  check(ctx.attrs, ctx.shape(1), *ctx.inputs[2]);
  check_diff_dst(ctx, ctx.shape(1), ctx.shape(2));
  ctx.outputs.push_back(*ctx.inputs[2]);
}

void vjp(VjpContext& ctx) {
  if (ctx.wants(0)) {
    Attrs attrs = ctx.node.attrs;
    attrs.set("shape", ctx.in_shape(0).dims());
    ctx.set_grad(0, ctx.b.add("GridSampleComputedGrad", {ctx.grad_out(), ctx.in(1)}, attrs, ctx.node.name + "/grad"));
  }
  if (!ctx.wants(1)) return;
  ctx.set_grad(1, ctx.b.add("GridSampleComputedGridGrad", {ctx.grad_out(), ctx.in(0), ctx.in(1)}, ctx.node.attrs,
                            ctx.node.name + "/grad_grid"));
}

// --- references ---

struct Sizes {
  int64_t images, channels, h, w, in_plane, out_plane;
  Sizes(const Shape& src, const Shape& grid)
      : images(src[0]),
        channels(src[1]),
        h(src[2]),
        w(src[3]),
        in_plane(src[2] * src[3]),
        out_plane(grid[1] * grid[2]) {}
};

// visit(image, pixel of dst, pixel of src, weight, its change with x, with y).
template <typename Visit>
void for_each_tap(const Attrs& attrs, const Sizes& size, const HostTensor& grid, const Visit& visit) {
  const GridSampling how = grid_sampling_of(attrs);
  for (int64_t i = 0; i < size.images * size.out_plane; ++i) {
    const double* at = grid.values.data() + 2 * i;
    for_each_grid_tap(how, at[0], at[1], size.h, size.w, [&](int64_t from, double weight, double by_x, double by_y) {
      visit(i / size.out_plane, i % size.out_plane, from, weight, by_x, by_y);
    });
  }
}

void reference(ReferenceContext& ctx) {
  const Sizes size(ctx.inputs[0]->shape, ctx.inputs[1]->shape);
  for_each_tap(ctx.attrs, size, *ctx.inputs[1],
               [&](int64_t n, int64_t to, int64_t from, double weight, double, double) {
                 for (int64_t c = n * size.channels; c < (n + 1) * size.channels; ++c) {
                   ctx.outputs[0].values[static_cast<std::size_t>(c * size.out_plane + to)] +=
                       weight * ctx.inputs[0]->values[static_cast<std::size_t>(c * size.in_plane + from)];
                 }
               });
}

void reference_grad(ReferenceContext& ctx) {
  const Sizes size(ctx.outputs[0].shape, ctx.inputs[1]->shape);
  for_each_tap(ctx.attrs, size, *ctx.inputs[1],
               [&](int64_t n, int64_t to, int64_t from, double weight, double, double) {
                 for (int64_t c = n * size.channels; c < (n + 1) * size.channels; ++c) {
                   ctx.outputs[0].values[static_cast<std::size_t>(c * size.in_plane + from)] +=
                       weight * ctx.inputs[0]->values[static_cast<std::size_t>(c * size.out_plane + to)];
                 }
               });
}

void reference_grid_grad(ReferenceContext& ctx) {
  const Sizes size(ctx.inputs[1]->shape, ctx.inputs[2]->shape);
  for_each_tap(ctx.attrs, size, *ctx.inputs[2],
               [&](int64_t n, int64_t to, int64_t from, double, double by_x, double by_y) {
                 double* diff = ctx.outputs[0].values.data() + 2 * (n * size.out_plane + to);
                 for (int64_t c = n * size.channels; c < (n + 1) * size.channels; ++c) {
                   const double product = ctx.inputs[0]->values[static_cast<std::size_t>(c * size.out_plane + to)] *
                                          ctx.inputs[1]->values[static_cast<std::size_t>(c * size.in_plane + from)];
                   diff[0] += by_x * product;
                   diff[1] += by_y * product;
                 }
               });
}

// --- kernels ---

struct Tap {
  int64_t pixel;
  float weight, by_x, by_y;
};

// The taps of one position.
struct PixelTaps {
  std::array<Tap, GridTaps::kMost * GridTaps::kMost> taps;
  std::size_t count = 0;

  PixelTaps(const GridSampling& how, const Sizes& size, const float* grid) {
    for_each_grid_tap(how, grid[0], grid[1], size.h, size.w,
                      [&](int64_t pixel, double weight, double by_x, double by_y) {
                        taps[count++] = {.pixel = pixel,
                                         .weight = static_cast<float>(weight),
                                         .by_x = static_cast<float>(by_x),
                                         .by_y = static_cast<float>(by_y)};
                      });
  }
  [[nodiscard]] const Tap* begin() const { return taps.data(); }
  [[nodiscard]] const Tap* end() const { return taps.data() + count; }
};

constexpr int64_t kPixels = 256, kChannels = 8;  // of a task

// body(image, first pixel of dst, behind the last).
template <typename Body>
void for_pixels(const Sizes& size, const Body& body) {
  const int64_t tasks = (size.out_plane + kPixels - 1) / kPixels;
  kernels::parallel_for(size.images * tasks, [&](int64_t i) {
    const int64_t first = i % tasks * kPixels;
    body(i / tasks, first, std::min(first + kPixels, size.out_plane));
  });
}

// Row-major, src and what is like it f32 or bf16, the grid and its gradient f32. make(null pointer to the element).
template <typename Make>
KernelPlan plan_plain(const PlanContext& ctx, DType element, const Make& make) {
  if (element != DType::f32 && element != DType::bf16) fail("kernels compute with f32 or bf16, not {}", element);
  KernelPlan plan{.src = {}, .dst = {kernels::plain(ctx.out())}, .implementation = "loop", .kernel = nullptr};
  for (std::size_t i = 0; i < ctx.node.inputs.size(); ++i) plan.src.push_back(kernels::plain(ctx.in(i)));
  kernels::with_element(element == DType::bf16, [&](auto* type) { plan.kernel = loop_kernel(make(type)); });
  return plan;
}

KernelPlan plan_forward(PlanContext& ctx) {
  const Sizes size(ctx.in(0).shape, ctx.in(1).shape);
  return plan_plain(ctx, ctx.in(0).dtype, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    return [size, how = grid_sampling_of(ctx.node.attrs)](const Addresses& at) {
      const auto* src = static_cast<const T*>(at.src[0]);
      const auto* grid = static_cast<const float*>(at.src[1]);
      auto* dst = static_cast<T*>(at.dst[0]);
      for_pixels(size, [&](int64_t n, int64_t first, int64_t last) {
        for (int64_t p = first; p < last; ++p) {
          const PixelTaps taps(how, size, grid + 2 * (n * size.out_plane + p));
          for (int64_t c = n * size.channels; c < (n + 1) * size.channels; ++c) {
            float sum = 0;
            for (const Tap& tap : taps) sum += tap.weight * kernels::load(src + c * size.in_plane + tap.pixel);
            kernels::store(dst + c * size.out_plane + p, sum);
          }
        }
      });
    };
  });
}

// Pixels of dst may see the same of src, so images and channels are divided among the threads, not pixels.
KernelPlan plan_grad(PlanContext& ctx) {
  const Sizes size(ctx.out().shape, ctx.in(1).shape);
  KernelPlan plan = plan_plain(ctx, ctx.out().dtype, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    return [size, how = grid_sampling_of(ctx.node.attrs)](const Addresses& at) {
      const auto* diff_dst = static_cast<const T*>(at.src[0]);
      const auto* grid = static_cast<const float*>(at.src[1]);
      const kernels::F32Sums<T> sums(at);
      const int64_t groups = (size.channels + kChannels - 1) / kChannels;
      kernels::parallel_for(size.images * groups, [&](int64_t i) {
        const int64_t n = i / groups, begin = i % groups * kChannels, end = std::min(begin + kChannels, size.channels);
        const int64_t first = (n * size.channels + begin) * size.in_plane, last = first + (end - begin) * size.in_plane;
        std::fill(sums.data() + first, sums.data() + last, 0.0F);
        for (int64_t p = 0; p < size.out_plane; ++p) {
          const PixelTaps taps(how, size, grid + 2 * (n * size.out_plane + p));
          for (int64_t c = begin; c < end; ++c) {
            const float diff = kernels::load(diff_dst + (n * size.channels + c) * size.out_plane + p);
            float* plane = sums.data() + (n * size.channels + c) * size.in_plane;
            for (const Tap& tap : taps) plane[tap.pixel] += tap.weight * diff;
          }
        }
        sums.finish(first, last);
      });
    };
  });
  plan.scratch_bytes = kernels::f32_sums_bytes(ctx.out());
  return plan;
}

KernelPlan plan_grid_grad(PlanContext& ctx) {
  const Sizes size(ctx.in(1).shape, ctx.in(2).shape);
  return plan_plain(ctx, ctx.in(1).dtype, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    return [size, how = grid_sampling_of(ctx.node.attrs)](const Addresses& at) {
      const auto* diff_dst = static_cast<const T*>(at.src[0]);
      const auto* src = static_cast<const T*>(at.src[1]);
      const auto* grid = static_cast<const float*>(at.src[2]);
      auto* diff_grid = static_cast<float*>(at.dst[0]);
      for_pixels(size, [&](int64_t n, int64_t first, int64_t last) {
        for (int64_t p = first; p < last; ++p) {
          const int64_t position = 2 * (n * size.out_plane + p);
          const PixelTaps taps(how, size, grid + position);
          float x = 0, y = 0;
          for (int64_t c = n * size.channels; c < (n + 1) * size.channels; ++c) {
            float by_x = 0, by_y = 0;
            for (const Tap& tap : taps) {
              const float value = kernels::load(src + c * size.in_plane + tap.pixel);
              by_x += tap.by_x * value;
              by_y += tap.by_y * value;
            }
            const float diff = kernels::load(diff_dst + c * size.out_plane + p);
            x += diff * by_x;
            y += diff * by_y;
          }
          diff_grid[position] = x;
          diff_grid[position + 1] = y;
        }
      });
    };
  });
}

std::vector<AttrSpec> attrs_and(std::vector<AttrSpec> more) {
  std::vector<AttrSpec> attrs = {
      {"mode", std::string("linear")}, {"padding_mode", std::string("zeros")}, {"align_corners", int64_t{0}}};
  attrs.insert(attrs.end(), more.begin(), more.end());
  return attrs;
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "GridSampleComputed",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = attrs_and({}),
       .to_onnx = grid_sample_to_onnx,
       .infer = infer,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference,
       .bf16_inputs = 0b01},
      {.name = "GridSampleComputedGrad",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = attrs_and({AttrSpec::required("shape", AttrKind::ints)}),
       .infer = infer_grad,
       .plan = plan_grad,
       .reference = reference_grad,
       .bf16_inputs = 0b01},
      {.name = "GridSampleComputedGridGrad",
       .internal = true,
       .min_inputs = 3,
       .max_inputs = 3,
       .attrs = attrs_and({}),
       .infer = infer_grid_grad,
       .plan = plan_grid_grad,
       .reference = reference_grid_grad,
       .bf16_inputs = 0b011},
  };
  return ops;
}

}  // namespace hourglass::ops::grid_sample_computed
