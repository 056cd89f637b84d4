// Ops that keep every element, in row-major order, under another shape, type or name.
//   Identity; Dropout (which a fit to one image runs without dropping, as in inference); Reshape, Flatten, Squeeze,
//   Unsqueeze (constant shapes and axes); Cast; CastLike.                                   ONNX ops of the same names.
//   diff_src = diff_dst under src's shape or type; through integers and truth values no gradient flows.
#include "graph/error.h"
#include "graph/text.h"
#include "ops/loops/clones.h"
#include "ops/loops/copy_box.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/parallel.h"
#include "ops/loops/stored_element.h"
#include "ops/loops/whole_numbers.h"
#include "ops/onnx_type.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace hourglass::ops::copy {
namespace {

void infer_same(InferContext& ctx) { ctx.outputs.push_back(*ctx.inputs[0]); }

void reference_copy(ReferenceContext& ctx) { ctx.outputs[0].values = ctx.inputs[0]->values; }

void vjp_identity(VjpContext& ctx) { ctx.set_grad(0, ctx.grad_out()); }

// The gradient of a new shape is the old one.
void vjp_reshape(VjpContext& ctx) {
  ctx.set_grad(0, ctx.b.add("Reshape", {ctx.grad_out()}, {{"shape", ctx.in_shape(0).dims()}, {"allowzero", int64_t{1}}},
                            ctx.node.name + "/grad"));
}

// Copies bytes, or nothing when the planner has put dst where src is.
std::unique_ptr<Kernel> copy_kernel(const MemoryDesc& desc) {
  const auto bytes = static_cast<int64_t>(desc.get_size());
  return loop_kernel([bytes](const Addresses& at) { kernels::copy_bytes(at.src[0], at.dst[0], bytes); });
}

KernelPlan plan_identity(PlanContext& ctx) {
  const MemoryDesc desc = ctx.src[0];
  return {.src = {desc}, .dst = {desc}, .in_place = {{0, 0}}, .implementation = "copy", .kernel = copy_kernel(desc)};
}

KernelPlan plan_reshape(PlanContext& ctx) {
  const MemoryDesc desc = kernels::plain(ctx.in(0));
  return {.src = {desc},
          .dst = {kernels::plain(ctx.out())},
          .in_place = {{0, 0}},
          .implementation = "copy",
          .kernel = copy_kernel(desc)};
}

// From opset 12 on, an input says whether to drop.
bool drops(const NormalizeContext& ctx) {
  if (ctx.inputs.size() < 3 || !ctx.inputs[2].valid()) return false;
  const auto& training = ctx.graph.value(ctx.inputs[2]).data;
  return training == nullptr || training->values.empty() || training->values[0] != 0;
}

void normalize_dropout(NormalizeContext& ctx) {
  if (ctx.fixed && drops(ctx)) {
    fail(
        "Dropout with training_mode = 1 in a network that is not trained here: export the network for inference "
        "(model.eval())");
  }
  ctx.notes.emplace_back("Dropout passes its input on: nothing is dropped");
  ctx.op = "Identity";
  ctx.attrs = {};
  ctx.inputs.resize(1);
  ctx.outputs.resize(1);
}

// --- shapes ---

void infer_reshape(InferContext& ctx) {
  const Shape& src = ctx.shape(0);
  Dims dims = ctx.attrs.ints("shape");
  const bool zero_copies = ctx.attrs.integer("allowzero") == 0;
  int64_t known = 1;
  std::size_t open = dims.size();
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && zero_copies) {
      if (static_cast<int>(i) >= src.rank()) fail("shape {} copies extent {} of {}", join(dims, "x"), i, src);
      dims[i] = src[static_cast<int>(i)];
    }
    if (dims[i] == -1) {
      if (open != dims.size()) fail("shape [{}] has more than one -1", join(dims, ","));
      open = i;
    } else if (__builtin_mul_overflow(known, dims[i], &known)) {
      fail("shape [{}] is absurd", join(dims, ","));
    }
  }
  if (open != dims.size()) {
    if (known == 0 || src.elements() % known != 0) fail("{} does not reshape to [{}]", src, join(dims, ","));
    dims[open] = src.elements() / known;
  }
  const Shape shape(std::move(dims));
  if (shape.elements() != src.elements()) fail("{} does not reshape to {}", src, shape);
  ctx.outputs.push_back({ctx.inputs[0]->dtype, shape});
}

void infer_flatten(InferContext& ctx) {
  const Shape& src = ctx.shape(0);
  int64_t axis = ctx.attrs.integer("axis");
  if (axis < -src.rank() || axis > src.rank()) fail("axis {} is outside [{}, {}]", axis, -src.rank(), src.rank());
  if (axis < 0) axis += src.rank();
  int64_t outer = 1, inner = 1;
  for (int d = 0; d < src.rank(); ++d) (d < axis ? outer : inner) *= src[d];
  ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape{outer, inner}});
}

void infer_squeeze(InferContext& ctx) {
  const Shape& src = ctx.shape(0);
  std::vector<bool> drop(static_cast<std::size_t>(src.rank()), false);
  if (ctx.attrs.has("axes")) {
    for (const int64_t given : ctx.attrs.ints("axes")) {
      const int axis = normalize_axis(given, src.rank());
      if (src[axis] != 1) fail("axis {} of {} has more than one element", axis, src);
      drop[static_cast<std::size_t>(axis)] = true;
    }
  } else {
    for (int d = 0; d < src.rank(); ++d) drop[static_cast<std::size_t>(d)] = src[d] == 1;
  }
  Dims dims;
  for (int d = 0; d < src.rank(); ++d) {
    if (!drop[static_cast<std::size_t>(d)]) dims.push_back(src[d]);
  }
  ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(std::move(dims))});
}

void infer_unsqueeze(InferContext& ctx) {
  const Dims& axes = ctx.attrs.ints("axes");
  const int rank = ctx.shape(0).rank() + static_cast<int>(axes.size());
  Dims dims(static_cast<std::size_t>(rank), 0);
  for (const int64_t given : axes) {
    int64_t& extent = dims[static_cast<std::size_t>(normalize_axis(given, rank))];
    if (extent == 1) fail("axes [{}] name one twice", join(axes, ","));
    extent = 1;
  }
  auto next = ctx.shape(0).dims().begin();
  std::vector<bool> is_new(dims.size(), false);
  for (std::size_t d = 0; d < dims.size(); ++d) is_new[d] = dims[d] == 1;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (!is_new[d]) dims[d] = *next++;
  }
  ctx.outputs.push_back({ctx.inputs[0]->dtype, Shape(std::move(dims))});
}

// --- Cast ---

// Until opset 6 the type was a name.
void normalize_cast(NormalizeContext& ctx) {
  if (ctx.opset >= 6) return;
  const std::string name = ctx.attrs.string("to");
  for (const OnnxType& type : kOnnxTypes) {
    if (type.name == name) {
      ctx.attrs.set("to", type.number);
      return;
    }
  }
  fail("element type '{}' is not supported", name);
}

void infer_cast(InferContext& ctx) { ctx.outputs.push_back({dtype_of(ctx.attrs.integer("to")), ctx.shape(0)}); }

// The bounds of a type of whole numbers, as doubles have them.
std::pair<double, double> bounds_of(DType dtype) {
  switch (dtype) {
    case DType::u8: return {0, 0xff};
    case DType::i8: return {-0x80, 0x7f};
    case DType::i32: return {-0x1p31, 0x1p31 - 1};
    default: return {-0x1p63, 0x1p63};
  }
}

// To a floating type nothing is rounded: a double-precision run has no rounding. A floating number that a whole type
// does not hold becomes its nearest bound, and NaN 0 (ONNX leaves it open); a whole one loses its higher
// bits, as in ONNX.
void reference_cast(ReferenceContext& ctx) {
  HostTensor& dst = ctx.outputs[0];
  dst.values = ctx.inputs[0]->values;
  if (is_floating(dst.dtype)) return;
  const auto [low, high] = bounds_of(dst.dtype);
  const bool was_floating = is_floating(ctx.inputs[0]->dtype);
  for (double& value : dst.values) {
    if (was_floating && dst.dtype != DType::boolean) value = std::isnan(value) ? 0 : std::clamp(value, low, high);
    value = kernels::in_whole_type(value, dst.dtype);
  }
}

void vjp_cast(VjpContext& ctx) {
  if (!ctx.wants(0) || !is_floating(ctx.b.graph().type(ctx.out(0)).dtype)) return;
  const DType from = ctx.b.graph().type(ctx.in(0)).dtype;
  // Conv gives the gradient of weights that are cast to bf16 in f32.
  if (ctx.b.graph().type(ctx.grad_out()).dtype == from) return ctx.set_grad(0, ctx.grad_out());
  ctx.set_grad(0, ctx.b.add("Cast", {ctx.grad_out()}, {{"to", number_of(from)}}, ctx.node.name + "/grad"));
}

// To the type of a second input, whose values don't matter.
void normalize_cast_like(NormalizeContext& ctx) {
  if (ctx.inputs.size() != 2 || !ctx.inputs[1].valid()) fail("has {} inputs, expected 2", ctx.inputs.size());
  ctx.op = "Cast";
  ctx.attrs = {{"to", number_of(ctx.graph.type(ctx.inputs[1]).dtype)}};
  ctx.inputs.resize(1);
}

std::vector<ValueId> lower_cast_like(LowerContext& ctx) {
  return {ctx.add("Cast", {ctx.node.inputs[0]}, {{"to", number_of(ctx.b.graph().type(ctx.node.inputs[1]).dtype)}})};
}

// Elements as they lie in memory, by way of doubles, which hold all of them.
template <class T>
HG_CLONES void read_row(const T* from, double* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<double>(from[i]);
}
template <>
void read_row(const kernels::BFloat16* from, double* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<double>(kernels::load(from + i));
}

// As reference_cast(); an i64 that 32 bits don't hold becomes the nearest that they do.
template <class T>
HG_CLONES void write_row(const double* from, T* to, int64_t count) {
  if constexpr (std::is_integral_v<T>) {
    constexpr double kLow = std::numeric_limits<T>::lowest(), kHigh = std::numeric_limits<T>::max();
    for (int64_t i = 0; i < count; ++i) {
      const double x = from[i];
      to[i] = static_cast<T>(x >= kHigh ? kHigh : x <= kLow ? kLow : x == x ? x : 0.0);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) kernels::store(to + i, static_cast<float>(from[i]));
  }
}

// Of whole numbers.
template <class T>
HG_CLONES void write_modulo_row(const double* from, T* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(static_cast<int64_t>(from[i]));
}

HG_CLONES void write_truth_row(const double* from, uint8_t* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i] != 0;
}

using ReadRow = void (*)(const void* from, int64_t first, double* to, int64_t count);
using WriteRow = void (*)(const double* from, void* to, int64_t first, int64_t count);

ReadRow reader_of(DType dtype) {
  ReadRow read = nullptr;
  kernels::with_stored(dtype, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    read = [](const void* from, int64_t first, double* to, int64_t count) {
      read_row(static_cast<const T*>(from) + first, to, count);
    };
  });
  return read;
}

WriteRow writer_of(DType dtype, bool from_whole) {
  WriteRow write = nullptr;
  if (from_whole && dtype == DType::u8) {
    return [](const double* from, void* to, int64_t first, int64_t count) {
      write_modulo_row(from, static_cast<uint8_t*>(to) + first, count);
    };
  }
  if (from_whole && dtype == DType::i8) {
    return [](const double* from, void* to, int64_t first, int64_t count) {
      write_modulo_row(from, static_cast<int8_t*>(to) + first, count);
    };
  }
  if (dtype == DType::boolean) {
    return [](const double* from, void* to, int64_t first, int64_t count) {
      write_truth_row(from, static_cast<uint8_t*>(to) + first, count);
    };
  }
  kernels::with_stored(dtype, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    write = [](const double* from, void* to, int64_t first, int64_t count) {
      write_row(from, static_cast<T*>(to) + first, count);
    };
  });
  return write;
}

// From or to whole numbers.
KernelPlan plan_conversion(const PlanContext& ctx) {
  const MemoryDesc given = kernels::elementwise_layout(ctx.src[0], ctx.in(0));
  const MemoryDesc src = kernels::has_padding(given) ? kernels::plain(ctx.in(0)) : given;
  const int64_t elements = ctx.in(0).shape.elements();
  const ReadRow read = reader_of(ctx.in(0).dtype);
  const WriteRow write = writer_of(ctx.out().dtype, !is_floating(ctx.in(0).dtype));
  return {.src = {src},
          .dst = {kernels::with_type(src, ctx.out())},
          .implementation = "loop",
          .kernel = loop_kernel([=](const Addresses& at) {
            constexpr int64_t kBlock = 512;
            kernels::parallel_for((elements + kBlock - 1) / kBlock, [&](int64_t i) {
              const int64_t first = i * kBlock, count = std::min(kBlock, elements - first);
              double block[kBlock];
              read(at.src[0], first, block, count);
              write(block, at.dst[0], first, count);
            });
          })};
}

KernelPlan plan_cast(PlanContext& ctx) {
  const auto is_float = [](DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; };
  if (!is_float(ctx.in(0).dtype) || !is_float(ctx.out().dtype)) return plan_conversion(ctx);
  if (ctx.in(0).dtype == ctx.out().dtype) return plan_identity(ctx);
  const MemoryDesc src = kernels::elementwise_layout(ctx.src[0], ctx.in(0));
  const MemoryDesc dst = kernels::with_type(src, ctx.out());
  const dnnl::reorder::primitive_desc reorder = kernels::make_reorder(ctx.engine, src, dst);
  return {.src = {src},
          .dst = {dst},
          .scratch_bytes = reorder.scratchpad_desc().get_size(),
          .implementation = "reorder",
          .kernel = kernels::primitive_kernel(
              dnnl::reorder(reorder), ctx.engine,
              {{DNNL_ARG_FROM, kernels::Argument::From::src, 0, src},
               {DNNL_ARG_TO, kernels::Argument::From::dst, 0, dst},
               {DNNL_ARG_SCRATCHPAD, kernels::Argument::From::scratchpad, 0, reorder.scratchpad_desc()}})};
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Identity",
       .infer = infer_same,
       .vjp = vjp_identity,
       .plan = plan_identity,
       .reference = reference_copy,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "Dropout",
       .attrs = {{"ratio", 0.5}, {"seed", int64_t{0}}, {"is_test", int64_t{0}}},
       .normalize = normalize_dropout,
       .infer = infer_same,
       .vjp = vjp_identity,
       .plan = plan_identity,
       .reference = reference_copy,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "Reshape",
       .attrs = {AttrSpec::required("shape", AttrKind::ints), {"allowzero", int64_t{0}}},
       .const_inputs = {{1, "shape", 5}},
       .infer = infer_reshape,
       .vjp = vjp_reshape,
       .plan = plan_reshape,
       .reference = reference_copy,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "Flatten",
       .attrs = {{"axis", int64_t{1}}},
       .infer = infer_flatten,
       .vjp = vjp_reshape,
       .plan = plan_reshape,
       .reference = reference_copy,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "Squeeze",
       .attrs = {AttrSpec::optional("axes", AttrKind::ints)},
       .const_inputs = {{1, "axes", 13}},
       .infer = infer_squeeze,
       .vjp = vjp_reshape,
       .plan = plan_reshape,
       .reference = reference_copy,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "Unsqueeze",
       .attrs = {AttrSpec::required("axes", AttrKind::ints)},
       .const_inputs = {{1, "axes", 13}},
       .infer = infer_unsqueeze,
       .vjp = vjp_reshape,
       .plan = plan_reshape,
       .reference = reference_copy,
       .bf16_inputs = 0b1,
       .linear = true},
      {.name = "Cast",
       .attrs = {AttrSpec::required("to", AttrKind::integer), {"saturate", int64_t{1}}},
       .normalize = normalize_cast,
       .infer = infer_cast,
       .vjp = vjp_cast,
       .plan = plan_cast,
       .reference = reference_cast,
       .again = "Cast"},
      {.name = "CastLike",
       .since = 15,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = {{"saturate", int64_t{1}}},
       .normalize = normalize_cast_like,
       .lower = lower_cast_like},
  };
  return ops;
}

}  // namespace hourglass::ops::copy
