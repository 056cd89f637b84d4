// Comparisons, truth values, and Where, which chooses by them.                            ONNX ops of the same names
//   Equal, Greater, GreaterOrEqual, Less, LessOrEqual: dst = a compared with b, both broadcast.
//   And, Or, Xor: of two truth values; Not: of one.  IsNaN, IsInf{detect_negative, detect_positive}: of a number.
//   None has a gradient: a truth value is constant between its jumps, so nothing flows through it.
//   Where: dst = condition ? x : y, all three broadcast.  dx = condition ? dy : 0, d y = condition ? 0 : dy.
//   While a plan runs, a truth value is a byte.
#include "graph/error.h"
#include "ops/loops/broadcast.h"
#include "ops/loops/clones.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/moved_element.h"
#include "ops/loops/stored_element.h"
#include "ops/loops/strided_loop.h"

#include <cmath>
#include <cstring>

namespace hourglass::ops::logic {
namespace {

using kernels::StridedLoop;

constexpr std::string_view kTruthValue = "its result is a truth value";

struct Equal {
  template <class T>
  static bool holds(T a, T b) {
    return a == b;
  }
};
struct Less {
  template <class T>
  static bool holds(T a, T b) {
    return a < b;
  }
};
struct LessOrEqual {
  template <class T>
  static bool holds(T a, T b) {
    return a <= b;
  }
};
// F of the operands in the other order.
template <class F>
struct Mirrored {};
// Of truth values.
struct And {
  template <class T>
  static bool holds(T a, T b) {
    return a != 0 && b != 0;
  }
};
struct Or {
  template <class T>
  static bool holds(T a, T b) {
    return a != 0 || b != 0;
  }
};
struct Xor {
  template <class T>
  static bool holds(T a, T b) {
    return (a != 0) != (b != 0);
  }
};

template <class F>
constexpr bool kOfNumbers = !std::is_same_v<F, And> && !std::is_same_v<F, Or> && !std::is_same_v<F, Xor>;

// Of one operand.
struct Not {
  explicit Not(const Attrs&) {}
  template <class T>
  bool holds(T x) const {
    return x == 0;
  }
};
struct IsNaN {
  explicit IsNaN(const Attrs&) {}
  template <class T>
  bool holds(T x) const {
    return x != x;
  }
};
struct IsInf {
  bool negative, positive;
  explicit IsInf(const Attrs& attrs)
      : negative(attrs.integer("detect_negative") != 0), positive(attrs.integer("detect_positive") != 0) {}
  template <class T>
  bool holds(T x) const {
    return (positive && x == std::numeric_limits<T>::infinity()) ||
           (negative && x == -std::numeric_limits<T>::infinity());
  }
};

// The operands of an elementwise kernel as it wants them, and the walk over them and dst, which is the last one.
template <std::size_t K>
struct Operands {
  std::vector<MemoryDesc> src;
  MemoryDesc dst;
  StridedLoop<K + 1> nest;
};

template <std::size_t K>
Operands<K> operands_of(const PlanContext& ctx) {
  const TensorType& out = ctx.out();
  // Images of one shape and numbers: in the layout of an image, for the order does not matter.
  bool any_order = true;
  std::size_t major = K;
  for (std::size_t i = 0; i < K; ++i) {
    const bool is_image = ctx.in(i).shape == out.shape;
    any_order = any_order && (is_image || ctx.in(i).shape.elements() == 1);
    const bool is_better = major == K || (is_floating(ctx.in(i).dtype) && !is_floating(ctx.in(major).dtype));
    if (is_image && is_better) major = i;
  }
  MemoryDesc layout = kernels::plain(out);
  any_order = any_order && major < K;
  if (any_order) {
    const MemoryDesc given = kernels::elementwise_layout(ctx.src[major], ctx.in(major));
    if (!kernels::has_padding(given)) layout = kernels::with_type(given, out);
  }
  Operands<K> result{.src = {}, .dst = layout, .nest = {.extents = out.shape.dims(), .strides = {}}};
  if (any_order) result.nest.extents = {out.shape.elements()};
  for (std::size_t i = 0; i < K; ++i) {
    const bool is_image = ctx.in(i).shape == out.shape;
    result.src.push_back(any_order && is_image ? kernels::with_type(layout, ctx.in(i)) : kernels::plain(ctx.in(i)));
    result.nest.strides[i] =
        any_order ? Dims{is_image ? 1 : 0} : kernels::broadcast_strides(ctx.in(i).shape, out.shape);
  }
  result.nest.strides[K] = any_order ? Dims{1} : out.shape.strides();
  result.nest.collapse();
  return result;
}

// --- comparisons, and truth values of two ---

void infer_compare(InferContext& ctx) {
  if (ctx.inputs[0]->dtype != ctx.inputs[1]->dtype) {
    fail("the operands are {} and {}, expected one type: insert a Cast", ctx.inputs[0]->dtype, ctx.inputs[1]->dtype);
  }
  ctx.outputs.push_back({DType::boolean, broadcast(ctx.shape(0), ctx.shape(1))});
}

void infer_truth_values(InferContext& ctx) {
  for (const TensorType* operand : ctx.inputs) {
    if (operand->dtype != DType::boolean) fail("an operand is {}, expected bool", operand->dtype);
  }
  infer_compare(ctx);
}

template <class F>
struct Order {
  using Function = F;
  static constexpr std::size_t kFirst = 0, kSecond = 1;
};
template <class F>
struct Order<Mirrored<F>> {
  using Function = F;
  static constexpr std::size_t kFirst = 1, kSecond = 0;
};

template <class Ordered>
void reference_compare(ReferenceContext& ctx) {
  using F = typename Order<Ordered>::Function;
  const HostTensor &a = *ctx.inputs[Order<Ordered>::kFirst], &b = *ctx.inputs[Order<Ordered>::kSecond];
  HostTensor& dst = ctx.outputs[0];
  const StridedLoop<3> nest{.extents = dst.shape.dims(),
                            .strides = {kernels::broadcast_strides(a.shape, dst.shape),
                                        kernels::broadcast_strides(b.shape, dst.shape), dst.shape.strides()}};
  nest.for_each([&](const auto& at) {
    dst.values[static_cast<std::size_t>(at[2])] =
        F::holds(a.values[static_cast<std::size_t>(at[0])], b.values[static_cast<std::size_t>(at[1])]) ? 1 : 0;
  });
}

// Compares `count` elements; the steps are 1 or 0.
template <class F, class T>
HG_CLONES void compare_row(const void* first, int64_t step_a, const void* second, int64_t step_b, uint8_t* dst,
                           int64_t count) {
  const T *a = static_cast<const T*>(first), *b = static_cast<const T*>(second);
  if (step_a == 1 && step_b == 1) {
    for (int64_t i = 0; i < count; ++i) dst[i] = F::holds(a[i], b[i]);
  } else if (step_a == 1 && step_b == 0) {
    const T y = *b;
    for (int64_t i = 0; i < count; ++i) dst[i] = F::holds(a[i], y);
  } else if (step_a == 0 && step_b == 1) {
    const T x = *a;
    for (int64_t i = 0; i < count; ++i) dst[i] = F::holds(x, b[i]);
  } else {
    std::memset(dst, F::holds(*a, *b) ? 1 : 0, static_cast<std::size_t>(count));
  }
}

struct CompareRow {
  void (*run)(const void* a, int64_t step_a, const void* b, int64_t step_b, uint8_t* dst, int64_t count) = nullptr;
  int64_t bytes = 0;  // of an element of a and b
};

template <class F>
CompareRow compare_row_of(DType dtype) {
  CompareRow row;
  const auto choose = [&]<class T>(T*) { row = {compare_row<F, T>, sizeof(T)}; };
  if (dtype == DType::boolean) {
    choose(static_cast<uint8_t*>(nullptr));
  } else if constexpr (kOfNumbers<F>) {
    if (dtype == DType::f32) {
      choose(static_cast<float*>(nullptr));
    } else {
      kernels::with_stored_whole(dtype, choose);
    }
  }
  return row;
}

// first, second: which operand is which of the row's.
KernelPlan plan_compare_by(const PlanContext& ctx, const CompareRow& row, std::size_t first, std::size_t second) {
  Operands<2> operands = operands_of<2>(ctx);
  return {.src = operands.src,
          .dst = {operands.dst},
          .implementation = "loop",
          .kernel = loop_kernel([nest = operands.nest, row, first, second](const Addresses& at) {
            const auto operand = [&](std::size_t i, int64_t offset) {
              return static_cast<const uint8_t*>(at.src[i]) + offset * row.bytes;
            };
            nest.for_rows([&](const auto& offset, int64_t count) {
              row.run(operand(first, offset[first]), nest.step(first), operand(second, offset[second]),
                      nest.step(second), static_cast<uint8_t*>(at.dst[0]) + offset[2], count);
            });
          })};
}

template <class Ordered>
KernelPlan plan_compare(PlanContext& ctx) {
  using O = Order<Ordered>;
  return plan_compare_by(ctx, compare_row_of<typename O::Function>(ctx.in(0).dtype), O::kFirst, O::kSecond);
}

template <class Ordered>
OpDef compare(std::string_view name) {
  using F = typename Order<Ordered>::Function;
  return {.name = name,
          .min_inputs = 2,
          .max_inputs = 2,
          .normalize = kernels::normalize_broadcast,
          .infer = kOfNumbers<F> ? infer_compare : infer_truth_values,
          .no_gradient = kTruthValue,
          .plan = plan_compare<Ordered>,
          .reference = reference_compare<Ordered>};
}

// --- truth values of one ---

void infer_test(InferContext& ctx) { ctx.outputs.push_back({DType::boolean, ctx.shape(0)}); }

template <class F>
void reference_test(ReferenceContext& ctx) {
  const F test(ctx.attrs);
  for (std::size_t i = 0; i < ctx.inputs[0]->values.size(); ++i) {
    ctx.outputs[0].values[i] = test.holds(ctx.inputs[0]->values[i]) ? 1 : 0;
  }
}

template <class F, class T>
HG_CLONES void test_row(const T* src, uint8_t* dst, int64_t count, const F& function) {
  const F test = function;
  for (int64_t i = 0; i < count; ++i) dst[i] = test.holds(src[i]);
}

template <class F, class T>
KernelPlan plan_test(PlanContext& ctx) {
  Operands<1> operands = operands_of<1>(ctx);
  return {.src = operands.src,
          .dst = {operands.dst},
          .implementation = "loop",
          .kernel = loop_kernel([nest = operands.nest, test = F(ctx.node.attrs)](const Addresses& at) {
            nest.for_rows([&](const auto& offset, int64_t count) {
              test_row(static_cast<const T*>(at.src[0]) + offset[0], static_cast<uint8_t*>(at.dst[0]) + offset[1],
                       count, test);
            });
          })};
}

KernelPlan plan_not(PlanContext& ctx) {
  if (ctx.in(0).dtype != DType::boolean) fail("the operand is {}, expected bool", ctx.in(0).dtype);
  return plan_test<Not, uint8_t>(ctx);
}

template <class F>
KernelPlan plan_float_test(PlanContext& ctx) {
  if (ctx.in(0).dtype != DType::f32) fail("the operand is {}, expected f32", ctx.in(0).dtype);
  return plan_test<F, float>(ctx);
}

// --- Where ---

void infer_where(InferContext& ctx) {
  if (ctx.inputs[0]->dtype != DType::boolean) fail("the condition is {}, expected bool", ctx.inputs[0]->dtype);
  if (ctx.inputs[1]->dtype != ctx.inputs[2]->dtype) {
    fail("the choices are {} and {}, expected one type: insert a Cast", ctx.inputs[1]->dtype, ctx.inputs[2]->dtype);
  }
  ctx.outputs.push_back({ctx.inputs[1]->dtype, broadcast(ctx.shape(0), broadcast(ctx.shape(1), ctx.shape(2)))});
}

StridedLoop<4> where_nest(const Shape& condition, const Shape& x, const Shape& y, const Shape& dst) {
  return {.extents = dst.dims(),
          .strides = {kernels::broadcast_strides(condition, dst), kernels::broadcast_strides(x, dst),
                      kernels::broadcast_strides(y, dst), dst.strides()}};
}

void reference_where(ReferenceContext& ctx) {
  const HostTensor &condition = *ctx.inputs[0], &x = *ctx.inputs[1], &y = *ctx.inputs[2];
  HostTensor& dst = ctx.outputs[0];
  where_nest(condition.shape, x.shape, y.shape, dst.shape).for_each([&](const auto& at) {
    dst.values[static_cast<std::size_t>(at[3])] = condition.values[static_cast<std::size_t>(at[0])] != 0
                                                      ? x.values[static_cast<std::size_t>(at[1])]
                                                      : y.values[static_cast<std::size_t>(at[2])];
  });
}

void vjp_where(VjpContext& ctx) {
  const DType dtype = ctx.b.graph().type(ctx.grad_out()).dtype;
  const ValueId zero = ctx.b.constant(HostTensor::scalar(dtype, 0), ctx.node.name + "/zero");
  for (std::size_t i = 1; i <= 2; ++i) {
    if (!ctx.wants(i)) continue;
    const Shape shape = ctx.in_shape(i);
    ValueId grad = ctx.b.add("Where", {ctx.in(0), i == 1 ? ctx.grad_out() : zero, i == 1 ? zero : ctx.grad_out()}, {},
                             ctx.node.name + "/grad");
    if (ctx.b.graph().shape(grad) != shape) {
      grad = ctx.b.add("SumTo", {grad}, {{"shape", shape.dims()}}, ctx.node.name + "/grad/sum");
    }
    ctx.set_grad(i, grad);
  }
}

template <class T>
HG_CLONES void choose_row(const uint8_t* condition, int64_t step_c, const T* x, int64_t step_x, const T* y,
                          int64_t step_y, T* dst, int64_t count) {
  if (step_c == 1 && step_x == 1 && step_y == 1) {
    for (int64_t i = 0; i < count; ++i) dst[i] = condition[i] != 0 ? x[i] : y[i];
  } else if (step_c == 1 && step_x == 1 && step_y == 0) {
    const T other = *y;
    for (int64_t i = 0; i < count; ++i) dst[i] = condition[i] != 0 ? x[i] : other;
  } else {
    for (int64_t i = 0; i < count; ++i) dst[i] = condition[i * step_c] != 0 ? x[i * step_x] : y[i * step_y];
  }
}

// Elements of that size, whatever they mean.
template <class T>
std::unique_ptr<Kernel> choosing_kernel(const StridedLoop<4>& nest) {
  return loop_kernel([nest](const Addresses& at) {
    nest.for_rows([&](const auto& offset, int64_t count) {
      choose_row(static_cast<const uint8_t*>(at.src[0]) + offset[0], nest.step(0),
                 static_cast<const T*>(at.src[1]) + offset[1], nest.step(1),
                 static_cast<const T*>(at.src[2]) + offset[2], nest.step(2), static_cast<T*>(at.dst[0]) + offset[3],
                 count);
    });
  });
}

KernelPlan plan_where(PlanContext& ctx) {
  Operands<3> operands = operands_of<3>(ctx);
  KernelPlan plan{.src = operands.src, .dst = {operands.dst}, .implementation = "loop", .kernel = nullptr};
  kernels::with_moved_element(operands.dst, [&](auto* element) {
    plan.kernel = choosing_kernel<std::remove_pointer_t<decltype(element)>>(operands.nest);
  });
  return plan;
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      compare<Equal>("Equal"),
      compare<Mirrored<Less>>("Greater"),
      compare<Mirrored<LessOrEqual>>("GreaterOrEqual"),
      compare<Less>("Less"),
      compare<LessOrEqual>("LessOrEqual"),
      compare<And>("And"),
      compare<Or>("Or"),
      compare<Xor>("Xor"),
      {.name = "Not",
       .infer = infer_test,
       .no_gradient = kTruthValue,
       .plan = plan_not,
       .reference = reference_test<Not>},
      {.name = "IsNaN",
       .since = 9,
       .infer = infer_test,
       .no_gradient = kTruthValue,
       .plan = plan_float_test<IsNaN>,
       .reference = reference_test<IsNaN>},
      {.name = "IsInf",
       .since = 10,
       .attrs = {{"detect_negative", int64_t{1}}, {"detect_positive", int64_t{1}}},
       .infer = infer_test,
       .no_gradient = kTruthValue,
       .plan = plan_float_test<IsInf>,
       .reference = reference_test<IsInf>},
      {.name = "Where",
       .since = 9,
       .min_inputs = 3,
       .max_inputs = 3,
       .infer = infer_where,
       .vjp = vjp_where,
       .plan = plan_where,
       .reference = reference_where,
       .bf16_inputs = 0b110},
  };
  return ops;
}

}  // namespace hourglass::ops::logic
