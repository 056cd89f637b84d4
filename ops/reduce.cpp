// dst = reduction of src over `axes`.
// ONNX ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSumExp, ReduceLogSum,
// ReduceProd;
// GlobalAveragePool and GlobalMaxPool are ReduceMean and ReduceMax over all axes behind the second.
// Internal: SumTo{shape} sums over the dimensions along which `shape` broadcasts to src: the gradient of broadcasting.
//   d Sum = dy, d Mean = dy / n, d L1 = dy sign(x), d L2 = dy x / y, d SumSquare = 2 dy x, each broadcast to src;
//   Max and Min: dy shared evenly by the elements that equal the result.
// ReduceLogSum and ReduceLogSumExp are compositions.
//
// Every kernel accumulates in double, so a loss over millions of pixels is exact to float, and in an order that depends
// on shape, layout and instruction set, not on the number of threads.
#include "graph/error.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/parallel.h"
#include "ops/loops/strided_loop.h"
#include "ops/loops/whole_bounds.h"
#include "ops/loops/whole_numbers.h"
#include "ops/memory/view.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace hourglass::ops::reduce {
namespace {

using kernels::StridedLoop;
using kernels::View;

// Whose gradient rule it is; `shared` is that of Max and Min.
enum class Gradient : uint8_t { sum, mean, l1, sum_square, l2, shared };

// A reduction is finish(combine of map(x), number of elements). `zeros_vanish`: zeros do not change it, so the padding
// lanes of a blocked layout may be walked like the rest.
struct Sum {
  static constexpr auto kGradient = Gradient::sum;
  static constexpr bool kZerosVanish = true;
  static constexpr double kStart = 0;
  static double map(double x) { return x; }
  static double combine(double a, double b) { return a + b; }
  static double finish(double sum, double) { return sum; }
};
struct Mean : Sum {
  static constexpr auto kGradient = Gradient::mean;
  static double finish(double sum, double count) { return sum / count; }
};
struct L1 : Sum {
  static constexpr auto kGradient = Gradient::l1;
  static double map(double x) { return std::abs(x); }
};
struct SumSquare : Sum {
  static constexpr auto kGradient = Gradient::sum_square;
  static double map(double x) { return x * x; }
};
struct L2 : SumSquare {
  static constexpr auto kGradient = Gradient::l2;
  static double finish(double sum, double) { return std::sqrt(sum); }
};
struct Max {
  static constexpr auto kGradient = Gradient::shared;
  static constexpr bool kZerosVanish = false;
  static constexpr double kStart = -std::numeric_limits<double>::infinity();
  static double map(double x) { return x; }
  static double combine(double a, double b) { return a > b ? a : b; }
  static double finish(double x, double) { return x; }
};
struct Min {
  static constexpr auto kGradient = Gradient::shared;
  static constexpr bool kZerosVanish = false;
  static constexpr double kStart = std::numeric_limits<double>::infinity();
  static double map(double x) { return x; }
  static double combine(double a, double b) { return a < b ? a : b; }
  static double finish(double x, double) { return x; }
};
struct Prod {
  static constexpr auto kGradient = Gradient::shared;
  static constexpr bool kZerosVanish = false;
  static constexpr double kStart = 1;
  static double map(double x) { return x; }
  static double combine(double a, double b) { return a * b; }
  static double finish(double x, double) { return x; }
};

// Of i64, which stop at the bounds of 32 bits in the end: no product on the way may be infinite, which times 0 is no
// number.
struct BoundedProd : Prod {
  static double combine(double a, double b) { return std::clamp(a * b, -0x1p62, 0x1p62); }
};
// Of i32 and below, modulo the range of i32.
struct ModuloProd : Prod {
  static double combine(double a, double b) {
    return static_cast<int32_t>(static_cast<int64_t>(a) * static_cast<int64_t>(b));
  }
};

template <class T>
double number(const T* x) {
  return static_cast<double>(kernels::load(x));
}
double number(const int32_t* x) { return *x; }

template <class K, class T>
HG_CLONES double reduce_row(const T* x, int64_t count) {
  double result = K::kStart;
  if constexpr (std::is_base_of_v<Sum, K>) {
#pragma omp simd reduction(+ : result)
    for (int64_t i = 0; i < count; ++i) result += K::map(number(x + i));
  } else {
    for (int64_t i = 0; i < count; ++i) {
      result = K::combine(result, K::map(number(x + i)));
    }
  }
  return result;
}

// acc[j] for `width` neighbours, over `count` rows that are `stride` apart.
template <class K, class T>
HG_CLONES void reduce_columns(const T* x, int64_t stride, int64_t count, double* acc, int64_t width) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      acc[j] = K::combine(acc[j], K::map(number(x + i * stride + j)));
    }
  }
}

// A reduction, chosen when a kernel is planned: templates are the loops over rows alone.
struct RowLoops {
  double (*reduce_row)(const void* x, int64_t count);
  void (*reduce_columns)(const void* x, int64_t stride, int64_t count, double* acc, int64_t width);
};
struct Reduction {
  bool zeros_vanish;
  double start;
  double (*map)(double);
  double (*combine)(double, double);
  double (*finish)(double, double);
  RowLoops f32, bf16;
  RowLoops whole;  // in 32 bits; null where whole numbers are not reduced so
};

template <class K, class T>
constexpr RowLoops kRows = {
    .reduce_row = [](const void* x, int64_t count) { return reduce_row<K>(static_cast<const T*>(x), count); },
    .reduce_columns = [](const void* x, int64_t stride, int64_t count, double* acc,
                         int64_t width) { reduce_columns<K>(static_cast<const T*>(x), stride, count, acc, width); },
};

template <class K>
constexpr RowLoops whole_rows() {
  if constexpr (std::is_same_v<K, Sum> || std::is_same_v<K, Max> || std::is_same_v<K, Min> ||
                std::is_base_of_v<Prod, K>) {
    return kRows<K, int32_t>;
  } else {
    return {};
  }
}

template <class K>
constexpr Reduction kReduction = {
    .zeros_vanish = K::kZerosVanish,
    .start = K::kStart,
    .map = K::map,
    .combine = K::combine,
    .finish = K::finish,
    .f32 = kRows<K, float>,
    .bf16 = kRows<K, kernels::BFloat16>,
    .whole = whole_rows<K>(),
};

// A result of i32 and below counts modulo their range, as in elementwise arithmetic.
template <class K>
Reduction reduction_of(DType dtype) {
  Reduction reduction = kReduction<K>;
  const bool narrow = !is_floating(dtype) && dtype != DType::i64;
  if constexpr (std::is_same_v<K, Prod>) {
    if (narrow) reduction = kReduction<ModuloProd>;
    if (dtype == DType::i64) reduction = kReduction<BoundedProd>;
  }
  if (dtype == DType::i32 && reduction.whole.reduce_row != nullptr) {
    reduction.finish = [](double value, double) {
      return std::isfinite(value) ? kernels::in_whole_type(value, DType::i32) : value;
    };
  }
  return reduction;
}

// What the axes of a node are: from its attributes, all behind the second, or those that SumTo's shape lacks.
enum class Axes : uint8_t { given, spatial, sum_to };

using Mask = std::vector<bool>;  // per dimension of src: reduced?

Mask mask_of(Axes which, const Attrs& attrs, const Shape& src) {
  const auto rank = static_cast<std::size_t>(src.rank());
  Mask mask(rank, false);
  if (which == Axes::spatial) {
    if (rank < 3) fail("src is {}, expected N x C and at least one spatial dimension", src);
    std::fill(mask.begin() + 2, mask.end(), true);
  } else if (which == Axes::sum_to) {
    const Shape target(attrs.ints("shape"));
    if (target.rank() > src.rank() || broadcast(target, src) != src) fail("{} does not broadcast to {}", target, src);
    for (std::size_t i = 0; i < rank; ++i) {
      const int axis = static_cast<int>(i) - static_cast<int>(rank) + target.rank();
      mask[i] = axis < 0 || (target[axis] == 1 && src[static_cast<int>(i)] != 1);
    }
  } else {
    const Dims axes = attrs.has("axes") ? attrs.ints("axes") : Dims{};
    if (axes.empty() && attrs.integer("noop_with_empty_axes") == 0) mask.assign(rank, true);
    for (const int64_t axis : axes) mask[static_cast<std::size_t>(normalize_axis(axis, src.rank()))] = true;
  }
  return mask;
}

Shape keepdims_shape(const Shape& src, const Mask& mask) {
  Dims dims = src.dims();
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (mask[i]) dims[i] = 1;
  }
  return Shape(std::move(dims));
}

template <Axes kAxes>
void infer(InferContext& ctx) {
  const Shape& src = ctx.shape(0);
  const Mask mask = mask_of(kAxes, ctx.attrs, src);
  if constexpr (kAxes == Axes::sum_to) {
    ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(ctx.attrs.ints("shape"))});
  } else {
    Dims dims;
    const bool keepdims = kAxes == Axes::spatial || ctx.attrs.integer("keepdims") != 0;
    for (std::size_t i = 0; i < mask.size(); ++i) {
      if (!mask[i]) dims.push_back(src[static_cast<int>(i)]);
      if (mask[i] && keepdims) dims.push_back(1);
    }
    ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(std::move(dims))});
  }
}

void reference_of(ReferenceContext& ctx, const Reduction& reduction, Axes axes) {
  const HostTensor& src = *ctx.inputs[0];
  HostTensor& dst = ctx.outputs[0];
  const Shape kept = keepdims_shape(src.shape, mask_of(axes, ctx.attrs, src.shape));
  std::fill(dst.values.begin(), dst.values.end(), reduction.start);
  const StridedLoop<2> nest{.extents = src.shape.dims(),
                            .strides = {src.shape.strides(), kernels::broadcast_strides(kept, src.shape)}};
  nest.for_each([&](const auto& at) {
    double& y = dst.values[static_cast<std::size_t>(at[1])];
    y = reduction.combine(y, reduction.map(src.values[static_cast<std::size_t>(at[0])]));
  });
  const double count = static_cast<double>(src.shape.elements()) / static_cast<double>(kept.elements());
  for (double& y : dst.values) {
    y = reduction.finish(y, count);
    if (!is_floating(dst.dtype) && std::isfinite(y)) y = kernels::in_whole_type(y, dst.dtype);
  }
}

template <class K, Axes kAxes>
void reference(ReferenceContext& ctx) {
  reference_of(ctx, reduction_of<K>(ctx.outputs[0].dtype), kAxes);
}

// --- gradients ---

ValueId emit(VjpContext& ctx, std::string_view op, std::vector<ValueId> inputs, Attrs attrs = {}) {
  return ctx.b.add(op, std::move(inputs), std::move(attrs), ctx.node.name + "/grad");
}

// `value`, of dst's shape, with the reduced dimensions as 1, so that it broadcasts against src.
ValueId kept(VjpContext& ctx, Axes axes, ValueId value) {
  const Shape shape = keepdims_shape(ctx.in_shape(0), mask_of(axes, ctx.node.attrs, ctx.in_shape(0)));
  if (ctx.b.graph().shape(value) == shape) return value;
  return emit(ctx, "Reshape", {value}, {{"shape", shape.dims()}, {"allowzero", int64_t{1}}});
}

ValueId scalar(VjpContext& ctx, double value) {
  return ctx.b.constant(HostTensor::scalar(ctx.b.graph().type(ctx.in(0)).dtype, value), ctx.node.name + "/constant");
}

void vjp_of(VjpContext& ctx, Gradient rule, Axes axes) {
  const ValueId x = ctx.in(0);
  ValueId dy = kept(ctx, axes, ctx.grad_out());
  if (rule == Gradient::sum || rule == Gradient::mean) {
    const Shape src = ctx.in_shape(0);  // a copy: adding nodes moves values
    const double count = static_cast<double>(src.elements()) / static_cast<double>(ctx.b.graph().shape(dy).elements());
    if (rule == Gradient::mean) dy = emit(ctx, "Mul", {dy, scalar(ctx, 1 / count)});
    if (ctx.b.graph().shape(dy) != src) dy = emit(ctx, "Expand", {dy}, {{"shape", src.dims()}});
    ctx.set_grad(0, dy);
  } else if (rule == Gradient::l1) {
    ctx.set_grad(0, emit(ctx, "GradMul", {dy, emit(ctx, "Sign", {x})}));
  } else if (rule == Gradient::sum_square) {
    ctx.set_grad(0, emit(ctx, "GradMul", {emit(ctx, "Mul", {dy, scalar(ctx, 2)}), x}));
  } else if (rule == Gradient::l2) {
    ctx.set_grad(0, emit(ctx, "GradMul", {emit(ctx, "Div", {dy, kept(ctx, axes, ctx.out(0))}), x}));  // 0 where y is
  } else {
    const ValueId mask = emit(ctx, "EqualMask", {x, kept(ctx, axes, ctx.out(0))});
    ValueId ties = mask;
    const Shape shape = ctx.b.graph().shape(dy);
    if (ctx.b.graph().shape(mask) != shape) ties = emit(ctx, "SumTo", {mask}, {{"shape", shape.dims()}});
    ctx.set_grad(0, emit(ctx, "GradMul", {emit(ctx, "Div", {dy, ties}), mask}));
  }
}

template <class K, Axes kAxes>
void vjp(VjpContext& ctx) {
  vjp_of(ctx, K::kGradient, kAxes);
}

// --- kernels ---

const RowLoops& rows_of(const Reduction& reduction, DType dtype) {
  return dtype == DType::i32 ? reduction.whole : dtype == DType::bf16 ? reduction.bf16 : reduction.f32;
}

const void* element(const void* data, DType dtype, int64_t index) {
  return static_cast<const std::byte*>(data) + index * static_cast<int64_t>(size_of(dtype));
}

void store(void* data, DType dtype, int64_t index, double value) {
  if (dtype == DType::i32) {
    constexpr double kLow = std::numeric_limits<int32_t>::min(), kHigh = std::numeric_limits<int32_t>::max();
    static_cast<int32_t*>(data)[index] = static_cast<int32_t>(std::clamp(value, kLow, kHigh));
    return;
  }
  kernels::with_element(dtype == DType::bf16, [&](auto* type) {
    kernels::store(static_cast<decltype(type)>(data) + index, static_cast<float>(value));
  });
}

// All elements to one, in any dense layout. Zeros must vanish where the layout has padding.
void plan_all(KernelPlan& plan, const Reduction& k, DType dtype, int64_t elements, double count) {
  constexpr int64_t kChunk = 1 << 12;
  const int64_t chunks = (elements + kChunk - 1) / kChunk;
  plan.scratch_bytes = static_cast<std::size_t>(chunks) * sizeof(double);
  plan.kernel = loop_kernel([=, rows = rows_of(k, dtype)](const Addresses& at) {
    auto* partial = static_cast<double*>(at.scratch);
    kernels::parallel_for(chunks, [&](int64_t i) {
      partial[i] = rows.reduce_row(element(at.src[0], dtype, i * kChunk), std::min(kChunk, elements - i * kChunk));
    });
    double total = k.start;
    for (int64_t i = 0; i < chunks; ++i) total = k.combine(total, partial[i]);
    store(at.dst[0], dtype, 0, k.finish(total, count));
  });
}

// Height and width, and perhaps batch and channels, of an activation in its own layout. Partial results per (n, channel
// group, chunk of rows) lie in scratch, one per lane.
void plan_spatial(KernelPlan& plan, const Reduction& k, DType dtype, const View& v, bool over_batch, bool over_channels,
                  double count) {
  const int64_t rows = std::max<int64_t>(1, (1 << 12) / std::max<int64_t>(1, v.w * v.block));
  const int64_t chunks = (v.h + rows - 1) / rows;
  plan.scratch_bytes = static_cast<std::size_t>(v.n * v.groups * chunks * v.block) * sizeof(double);
  plan.kernel = loop_kernel([=, kernel_rows = rows_of(k, dtype)](const Addresses& at) {
    auto* partial = static_cast<double*>(at.scratch);
    kernels::parallel_for(v.n * v.groups * chunks, [&](int64_t i) {
      double* acc = partial + i * v.block;
      std::fill(acc, acc + v.block, k.start);
      const int64_t ng = i / chunks;
      for (int64_t h = i % chunks * rows; h < std::min(v.h, (i % chunks + 1) * rows); ++h) {
        const void* row = element(at.src[0], dtype, v.offset(ng / v.groups, ng % v.groups, h, 0));
        if (v.block == 1 && v.stride_w == 1) {
          *acc = k.combine(*acc, kernel_rows.reduce_row(row, v.w));
        } else {
          kernel_rows.reduce_columns(row, v.stride_w, v.w, acc, v.block);
        }
      }
    });
    const auto gather = [&](int64_t n, int64_t c, double total) {
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const int64_t unit = (n * v.groups + c / v.block) * chunks + chunk;
        total = k.combine(total, partial[unit * v.block + c % v.block]);
      }
      return total;
    };
    const int64_t out_n = over_batch ? 1 : v.n, out_c = over_channels ? 1 : v.c;
    for (int64_t n = 0; n < out_n; ++n) {
      for (int64_t c = 0; c < out_c; ++c) {
        double total = k.start;
        for (int64_t in = n; in < (over_batch ? v.n : n + 1); ++in) {
          for (int64_t ic = c; ic < (over_channels ? v.c : c + 1); ++ic) total = gather(in, ic, total);
        }
        store(at.dst[0], dtype, n * out_c + c, k.finish(total, count));
      }
    }
  });
}

// Any dimensions of a row-major tensor: each result is made by one thread, over `reduced` for each index of `outer`; a
// result has up to kBlock neighbours that are made with it where the innermost dimension is kept.
void plan_plain(KernelPlan& plan, const Reduction& k, DType dtype, const Shape& src, const Mask& mask, double count) {
  StridedLoop<2> nest{.extents = src.dims(),
                      .strides = {src.strides(), kernels::broadcast_strides(keepdims_shape(src, mask), src)}};
  nest.collapse();
  // After collapsing, dimensions alternate between kept and reduced.
  struct Dim {
    int64_t extent, src_stride, dst_stride;
  };
  std::vector<Dim> outer, reduced;
  for (std::size_t d = 0; d < nest.extents.size(); ++d) {
    const Dim dim{nest.extents[d], nest.strides[0][d], nest.strides[1][d]};
    (dim.dst_stride == 0 ? reduced : outer).push_back(dim);
  }
  constexpr int64_t kBlock = 128;
  const bool inner_kept = !outer.empty() && outer.back().src_stride == 1;
  const Dim inner = inner_kept ? outer.back() : Dim{1, 0, 0};  // neighbours in dst and in src
  if (inner_kept) outer.pop_back();
  const Dim run = reduced.empty() ? Dim{1, 0, 0} : reduced.back();  // innermost reduced dimension
  if (!reduced.empty()) reduced.pop_back();
  const auto product = [](const std::vector<Dim>& dims) {
    int64_t result = 1;
    for (const Dim& dim : dims) result *= dim.extent;
    return result;
  };
  const int64_t outer_count = product(outer), reduced_count = product(reduced);
  const int64_t blocks = (inner.extent + kBlock - 1) / kBlock;
  plan.kernel = loop_kernel([=, rows = rows_of(k, dtype)](const Addresses& at) {
    kernels::parallel_for(outer_count * blocks, [&](int64_t i) {
      const int64_t block = i % blocks * kBlock;
      const int64_t width = std::min(kBlock, inner.extent - block);
      int64_t from = block, to = block, rest = i / blocks;
      for (std::size_t d = outer.size(); d-- > 0;) {
        from += rest % outer[d].extent * outer[d].src_stride;
        to += rest % outer[d].extent * outer[d].dst_stride;
        rest /= outer[d].extent;
      }
      double acc[kBlock];
      std::fill(acc, acc + width, k.start);
      for (int64_t r = 0; r < reduced_count; ++r) {
        int64_t at_r = from, left = r;
        for (std::size_t d = reduced.size(); d-- > 0;) {
          at_r += left % reduced[d].extent * reduced[d].src_stride;
          left /= reduced[d].extent;
        }
        const void* x = element(at.src[0], dtype, at_r);
        if (run.src_stride == 1) {
          acc[0] = k.combine(acc[0], rows.reduce_row(x, run.extent));
        } else {
          rows.reduce_columns(x, run.src_stride, run.extent, acc, width);
        }
      }
      for (int64_t j = 0; j < width; ++j) store(at.dst[0], dtype, to + j, k.finish(acc[j], count));
    });
  });
}

KernelPlan plan_of(PlanContext& ctx, const Reduction& reduction, Axes axes) {
  TensorType in = ctx.in(0);
  if (in.dtype == DType::i64) in.dtype = DType::i32;  // as both lie in memory
  if (in.dtype != DType::i32) {
    kernels::require_one_float_type(ctx);
  } else if (reduction.whole.reduce_row == nullptr) {
    fail("no kernel reduces whole numbers so: insert a Cast to float");
  }
  kernels::require_32_bits(ctx);
  const Mask mask = mask_of(axes, ctx.node.attrs, in.shape);
  const double count = static_cast<double>(in.shape.elements()) / static_cast<double>(ctx.out().shape.elements());
  const bool everything = ctx.out().shape.elements() == 1;
  const MemoryDesc dense = kernels::elementwise_layout(ctx.src[0], in);
  KernelPlan result{.src = {dense}, .dst = {kernels::plain(ctx.out())}, .implementation = "loop", .kernel = nullptr};
  if (everything && (reduction.zeros_vanish || !kernels::has_padding(dense))) {
    plan_all(result, reduction, in.dtype, kernels::padded_elements(dense), count);
  } else if (in.shape.rank() == 4 && kernels::is_viewable(dense) && mask[2] && mask[3]) {
    plan_spatial(result, reduction, in.dtype, kernels::view_of(dense), mask[0], mask[1], count);
  } else {
    result.src[0] = kernels::plain(in);
    plan_plain(result, reduction, in.dtype, in.shape, mask, count);
  }
  return result;
}

template <class K, Axes kAxes>
KernelPlan plan(PlanContext& ctx) {
  return plan_of(ctx, reduction_of<K>(ctx.in(0).dtype), kAxes);
}

template <class K>
RowSum row_sum() {
  return {.sum = [](const float* src, int64_t count) { return reduce_row<K>(src, count); }, .finish = K::finish};
}

// Null for a reduction that is no sum.
template <class K>
constexpr auto kRowSum = std::is_base_of_v<Sum, K> ? row_sum<K> : nullptr;

std::vector<ValueId> lower_log_sum(LowerContext& ctx) {
  return {ctx.add("Log", {ctx.add("ReduceSum", {ctx.node.inputs[0]}, ctx.node.attrs)})};
}

// m + log(sum of e^(src - m)), m the maximum: e^src alone may overflow. A maximum that is infinite is taken for a
// finite one, so that its difference from itself is no NaN.
std::vector<ValueId> lower_log_sum_exp(LowerContext& ctx) {
  constexpr double kFinite = 3e38;
  Attrs keep = ctx.node.attrs;
  keep.set("keepdims", int64_t{1});
  const ValueId src = ctx.node.inputs[0];
  const ValueId most = ctx.add("Clip", {ctx.add("ReduceMax", {src}, keep)}, {{"min", -kFinite}, {"max", kFinite}});
  const ValueId sum = ctx.add("ReduceSum", {ctx.add("Exp", {ctx.add("Sub", {src, most})})}, keep);
  const ValueId dst = ctx.add("Add", {ctx.add("Log", {sum}), most});
  if (ctx.node.attrs.integer("keepdims") != 0) return {dst};
  const Shape shape = ctx.shape(src);
  const Mask mask = mask_of(Axes::given, ctx.node.attrs, shape);
  Dims dims;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (!mask[i]) dims.push_back(shape.dims()[i]);
  }
  return {ctx.reshape(dst, dims)};
}

std::vector<AttrSpec> reduce_attrs() {
  return {AttrSpec::optional("axes", AttrKind::ints), {"keepdims", int64_t{1}}, {"noop_with_empty_axes", int64_t{0}}};
}

template <class K>
OpDef reduce(std::string_view name, bool linear, int axes_input_since) {
  return {.name = name,
          .attrs = reduce_attrs(),
          .const_inputs = {{1, "axes", axes_input_since}},
          .infer = infer<Axes::given>,
          .vjp = vjp<K, Axes::given>,
          .plan = plan<K, Axes::given>,
          .row_sum = kRowSum<K>,
          .reference = reference<K, Axes::given>,
          .bf16_inputs = 0b1,
          .linear = linear};
}

std::vector<OpDef> make_table() {
  std::vector<OpDef> ops = {
      reduce<Sum>("ReduceSum", true, 13),
      reduce<Mean>("ReduceMean", true, 18),
      reduce<Max>("ReduceMax", false, 18),
      reduce<Min>("ReduceMin", false, 18),
      reduce<L1>("ReduceL1", false, 18),
      reduce<L2>("ReduceL2", false, 18),
      reduce<SumSquare>("ReduceSumSquare", false, 18),
      reduce<Prod>("ReduceProd", false, 18),
      {.name = "ReduceLogSum", .attrs = reduce_attrs(), .const_inputs = {{1, "axes", 18}}, .lower = lower_log_sum},
      {.name = "ReduceLogSumExp",
       .attrs = reduce_attrs(),
       .const_inputs = {{1, "axes", 18}},
       .lower = lower_log_sum_exp},
      {.name = "GlobalAveragePool",
       .infer = infer<Axes::spatial>,
       .vjp = vjp<Mean, Axes::spatial>,
       .plan = plan<Mean, Axes::spatial>,
       .reference = reference<Mean, Axes::spatial>,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "GlobalMaxPool",
       .infer = infer<Axes::spatial>,
       .vjp = vjp<Max, Axes::spatial>,
       .plan = plan<Max, Axes::spatial>,
       .reference = reference<Max, Axes::spatial>,
       .bf16_inputs = 0b1},
      {.name = "SumTo",
       .internal = true,
       .attrs = {AttrSpec::required("shape", AttrKind::ints)},
       .infer = infer<Axes::sum_to>,
       .plan = plan<Sum, Axes::sum_to>,
       .reference = reference<Sum, Axes::sum_to>,
       .bf16_inputs = 0b1,
       .linear = true},
  };
  for (OpDef& op : ops) {
    if (op.name != "ReduceProd") continue;
    op.vjp = nullptr;
    op.no_gradient = "a product is meant for shapes; write it as ReduceSum of Log, then Exp";
  }
  return ops;
}

}  // namespace

std::span<const OpDef> family() {
  static const std::vector<OpDef> ops = make_table();
  return ops;
}

}  // namespace hourglass::ops::reduce
