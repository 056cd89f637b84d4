// dst = f(src), element by element.      ONNX ops of the same names.      src, dst: any shape
//   diff_src = diff_dst * f'(s), where s is dst if f' is a function of dst (then the forward pass may overwrite its
//   input, and nothing but the output is kept for the backward pass), else src.
// `to` is not ONNX's, graph/fuse.h sets it: the float type that is written, where it is not the one that is read. An
// image of few channels is then channels-last in bf16, as convolutions want it, and row-major in f32, as whoever
// compares or shows images does.
//
// The functions are in ops/detail/unary_functions.h.
#include <optional>

#include "graph/error.h"
#include "ops/detail/elementwise.h"
#include "ops/detail/unary_functions.h"

namespace hourglass::ops {
namespace {

using namespace unary;

constexpr int64_t kFloat = 1, kBFloat16 = 16;  // ONNX's TensorProto.DataType

TensorType result_type(const InferContext& ctx) {
  TensorType type = *ctx.inputs[0];
  if (!ctx.attrs.has("to")) return type;
  const int64_t to = ctx.attrs.integer("to");
  if (to != kFloat && to != kBFloat16) fail("to = {}, expected {} (f32) or {} (bf16)", to, kFloat, kBFloat16);
  type.dtype = to == kFloat ? DType::f32 : DType::bf16;
  return type;
}

template <class F>
void infer(InferContext& ctx) {
  F{ctx.attrs};  // checks the attributes
  ctx.outputs.push_back(result_type(ctx));
}

template <class F>
void infer_grad(InferContext& ctx) {
  if (!(*ctx.inputs[0] == *ctx.inputs[1])) {
    fail("diff_dst is {}:{}, the saved tensor {}:{}", ctx.inputs[0]->dtype, ctx.shape(0), ctx.inputs[1]->dtype,
         ctx.shape(1));
  }
  ctx.outputs.push_back(result_type(ctx));
}

template <class F>
void vjp(VjpContext& ctx) {
  const ValueId saved = F(ctx.node.attrs).from_dst() ? ctx.out(0) : ctx.in(0);
  Attrs attrs = ctx.node.attrs;
  attrs.erase("to");
  const int64_t from = ctx.b.graph().type(ctx.in(0)).dtype == DType::bf16 ? kBFloat16 : kFloat;
  const auto in_source_type = [&](ValueId id) {
    return ctx.node.attrs.has("to") ? ctx.b.add("Cast", {id}, {{"to", from}}) : id;
  };
  ctx.set_grad(
      0, ctx.b.add(F::kGrad, {in_source_type(ctx.grad_out()), in_source_type(saved)}, attrs, ctx.node.name + "/grad"));
}
void vjp_zero(VjpContext&) {}

template <class F>
void reference(ReferenceContext& ctx) {
  const F f(ctx.attrs);
  const auto& src = ctx.inputs[0]->values;
  auto& dst = ctx.outputs[0].values;
  for (std::size_t i = 0; i < src.size(); ++i) dst[i] = f.value(src[i]);
}

template <class F>
void reference_grad(ReferenceContext& ctx) {
  const F f(ctx.attrs);
  const auto& diff_dst = ctx.inputs[0]->values;
  const auto& saved = ctx.inputs[1]->values;
  auto& diff_src = ctx.outputs[0].values;
  for (std::size_t i = 0; i < saved.size(); ++i) diff_src[i] = diff_dst[i] * f.slope(saved[i]);
}

template <class F, class T>
HG_CLONES void forward_row(const T* src, T* dst, int64_t count, const F& function) {
  const F f = function;
  for (int64_t i = 0; i < count; ++i) detail::store(dst + i, f.value(detail::load(src + i)));
}

template <class F, class T>
HG_CLONES void backward_row(const T* diff_dst, const T* saved, T* diff_src, int64_t count, const F& function) {
  const F f = function;
  for (int64_t i = 0; i < count; ++i) {
    detail::store(diff_src + i, detail::load(diff_dst + i) * f.slope(detail::load(saved + i)));
  }
}

// body(f), with a choice that f makes by its attributes made here rather than in the loop, where it would keep the loop
// from being vectorised.
template <class F, typename Body>
void with_choice_made(const F& f, const Body& body) {
  if constexpr (std::is_same_v<F, Gelu>) {
    if (f.by_tanh) {
      body(GeluByTanh{});
    } else {
      body(GeluByErf{});
    }
  } else {
    body(f);
  }
}

// Where the two types differ: floats, some elements at a time.
constexpr int64_t kPiece = 1024;

template <int kChannels>
HG_CLONES void split_row(const float* x, int64_t count, float* planes, int64_t plane) {
  for (int c = 0; c < kChannels; ++c) {
    for (int64_t i = 0; i < count; ++i) planes[c * plane + i] = x[i * kChannels + c];
  }
}

template <int kChannels>
HG_CLONES void join_row(const float* planes, int64_t count, float* x, int64_t plane) {
  for (int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < kChannels; ++c) x[i * kChannels + c] = planes[c * plane + i];
  }
}

// An image of few channels whose pixels are bf16 and channels-last on the one side, and planes of f32 on the other.
class Planes {
 public:
  static constexpr int64_t kMostChannels = 4;

  // Nothing where it is no image, or has more channels.
  static std::optional<Planes> of(const TensorType& type) {
    if (type.shape.rank() != 4 || type.shape[1] < 1 || type.shape[1] > kMostChannels) return {};
    return Planes(type.shape);
  }

  // body(pixels, plane, count): `count` pixels, the offset of the first of them, and that of its first channel's place
  // in the planes.
  template <typename Body>
  void run(const Body& body) const {
    const int64_t piece = kPiece / channels_, pieces = (plane_ + piece - 1) / piece;
    detail::parallel_for(images_ * pieces, [&](int64_t i) {
      const int64_t image = i / pieces, first = i % pieces * piece;
      body((image * plane_ + first) * channels_, image * plane_ * channels_ + first, std::min(piece, plane_ - first));
    });
  }
  void split(const float* x, int64_t count, float* planes) const {
    with_channels([&](auto n) { split_row<n()>(x, count, planes, plane_); });
  }
  void join(const float* planes, int64_t count, float* x) const {
    with_channels([&](auto n) { join_row<n()>(planes, count, x, plane_); });
  }
  [[nodiscard]] int64_t channels() const { return channels_; }

 private:
  explicit Planes(const Shape& shape) : images_(shape[0]), channels_(shape[1]), plane_(shape[2] * shape[3]) {}

  template <typename Body>
  void with_channels(const Body& body) const {
    switch (channels_) {
      case 1: return body(std::integral_constant<int, 1>());
      case 2: return body(std::integral_constant<int, 2>());
      case 3: return body(std::integral_constant<int, 3>());
      default: return body(std::integral_constant<int, 4>());
    }
  }
  int64_t images_, channels_, plane_;
};

bool is_channels_last(const MemoryDesc& desc) {
  return detail::is_viewable(desc) && detail::view_of(desc).is_channels_last();
}

// body(source, destination), null pointers of the types that the node reads and writes.
template <typename Body>
void with_types(const PlanContext& ctx, const Body& body) {
  for (const TensorType* type : {&ctx.in(0), &ctx.out()}) {
    if (type->dtype != DType::f32 && type->dtype != DType::bf16) {
      fail("kernels compute with f32 or bf16; found {}: insert a Cast", type->dtype);
    }
  }
  detail::with_element(ctx.in(0).dtype == DType::bf16, [&](auto* source) {
    detail::with_element(ctx.out().dtype == DType::bf16, [&](auto* destination) { body(source, destination); });
  });
}

template <class F>
KernelPlan plan_forward(PlanContext& ctx) {
  const MemoryDesc desc = detail::elementwise_layout(ctx.src[0], ctx.in(0));
  const F f(ctx.node.attrs);
  const detail::ElementWalk walk(desc, f.value(0.0F) == 0);
  const bool widens = ctx.in(0).dtype == DType::bf16 && ctx.out().dtype == DType::f32;
  const std::optional<Planes> planes = widens && is_channels_last(desc) ? Planes::of(ctx.in(0)) : std::nullopt;
  KernelPlan plan{.src = {desc},
                  .dst = {planes ? detail::plain(ctx.out()) : detail::with_type(desc, ctx.out())},
                  .implementation = "loop",
                  .kernel = nullptr};
  if (ctx.in(0).dtype == ctx.out().dtype) plan.in_place = {{0, 0}};
  with_types(ctx, [&](auto* source, auto* destination) {
    using S = std::remove_pointer_t<decltype(source)>;
    using D = std::remove_pointer_t<decltype(destination)>;
    with_choice_made(f, [&](const auto& function) {
      plan.kernel = loop_kernel([walk, function, planes](const Addresses& at) {
        const auto* src = static_cast<const S*>(at.src[0]);
        auto* dst = static_cast<D*>(at.dst[0]);
        if constexpr (std::is_same_v<S, detail::BFloat16> && std::is_same_v<D, float>) {
          if (planes) {
            return planes->run([&](int64_t pixels, int64_t plane, int64_t count) {
              float x[kPiece];
              const int64_t n = count * planes->channels();
              detail::widen(src + pixels, n, x);
              forward_row(x, x, n, function);
              planes->split(x, count, dst + plane);
            });
          }
        }
        walk.run(dst, [&](int64_t i, int64_t count) {
          if constexpr (std::is_same_v<S, D>) {
            forward_row(src + i, dst + i, count, function);
          } else {
            float x[kPiece];
            for (const int64_t end = i + count; i < end; i += kPiece) {
              const int64_t n = std::min(kPiece, end - i);
              detail::widen(src + i, n, x);
              forward_row(x, x, n, function);
              detail::narrow(x, n, dst + i);
            }
          }
        });
      });
    });
  });
  return plan;
}

template <class F>
KernelPlan plan_backward(PlanContext& ctx) {
  const MemoryDesc desc = detail::elementwise_layout(ctx.src[1], ctx.in(1));
  const F f(ctx.node.attrs);
  // In the padding lanes diff_dst is zero, but the slope may be infinite there (Log, Sqrt).
  const detail::ElementWalk walk(desc, 0 * f.slope(0.0F) == 0);
  const bool narrows = ctx.in(0).dtype == DType::f32 && ctx.out().dtype == DType::bf16;
  const std::optional<Planes> planes = narrows && detail::is_plain(desc) ? Planes::of(ctx.out()) : std::nullopt;
  KernelPlan plan{.src = {desc, desc},
                  .dst = {planes ? detail::with_tag(ctx.out(), detail::Tag::nhwc) : detail::with_type(desc, ctx.out())},
                  .implementation = "loop",
                  .kernel = nullptr};
  if (ctx.in(0).dtype == ctx.out().dtype) plan.in_place = {{0, 0}, {0, 1}};
  with_types(ctx, [&](auto* source, auto* destination) {
    using S = std::remove_pointer_t<decltype(source)>;
    using D = std::remove_pointer_t<decltype(destination)>;
    with_choice_made(f, [&](const auto& function) {
      plan.kernel = loop_kernel([walk, function, planes](const Addresses& at) {
        const auto* diff_dst = static_cast<const S*>(at.src[0]);
        const auto* saved = static_cast<const S*>(at.src[1]);
        auto* diff_src = static_cast<D*>(at.dst[0]);
        if constexpr (std::is_same_v<S, float> && std::is_same_v<D, detail::BFloat16>) {
          if (planes) {
            return planes->run([&](int64_t pixels, int64_t plane, int64_t count) {
              float dy[kPiece], x[kPiece];
              const int64_t n = count * planes->channels();
              planes->join(diff_dst + plane, count, dy);
              planes->join(saved + plane, count, x);
              backward_row(dy, x, dy, n, function);
              detail::narrow(dy, n, diff_src + pixels);
            });
          }
        }
        walk.run(diff_src, [&](int64_t i, int64_t count) {
          if constexpr (std::is_same_v<S, D>) {
            backward_row(diff_dst + i, saved + i, diff_src + i, count, function);
          } else {
            float dy[kPiece], x[kPiece];
            for (const int64_t end = i + count; i < end; i += kPiece) {
              const int64_t n = std::min(kPiece, end - i);
              detail::widen(diff_dst + i, n, dy);
              detail::widen(saved + i, n, x);
              backward_row(dy, x, dy, n, function);
              detail::narrow(dy, n, diff_src + i);
            }
          }
        });
      });
    });
  });
  return plan;
}

using Cases = std::vector<std::string_view>;

template <class F>
OpDef forward(Cases cases, std::vector<AttrSpec> attrs = {}) {
  return {.name = F::kName,
          .attrs = std::move(attrs),
          .infer = infer<F>,
          .vjp = vjp<F>,
          .plan = plan_forward<F>,
          .reference = reference<F>,
          .bf16_inputs = 0b1,
          .cases = std::move(cases)};
}

template <class F>
OpDef flat(Cases cases) {
  return {.name = F::kName,
          .infer = infer<F>,
          .vjp = vjp_zero,
          .plan = plan_forward<F>,
          .reference = reference<F>,
          .bf16_inputs = 0b1,
          .cases = std::move(cases)};
}

template <class F>
OpDef backward(Cases cases, std::vector<AttrSpec> attrs = {}) {
  return {.name = F::kGrad,
          .internal = true,
          .min_inputs = 2,
          .max_inputs = 2,
          .attrs = std::move(attrs),
          .infer = infer_grad<F>,
          .plan = plan_backward<F>,
          .reference = reference_grad<F>,
          .bf16_inputs = 0b11,
          .cases = std::move(cases)};
}

// Opset 1 declared which inputs an op overwrites.
void normalize_old(NormalizeContext& ctx) { ctx.attrs.erase("consumed_inputs"); }

std::vector<OpDef> make_table() {
  const Cases signed_cases = {"1x8x5x7", "2x17x6x3@-4..4", "13@-9..9", "scalar", "1x3x9x200 | to=1"};
  const Cases positive_cases = {"1x8x5x7@0.5..2", "2x17x6x3@0.1..4", "13@1..20"};
  const Cases grad_cases = {"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3", "13 13@-2..2", "1x3x9x200 1x3x9x200 | to=16"};
  const Cases positive_grad_cases = {"1x8x5x7 1x8x5x7@0.5..2", "2x17x6x3 2x17x6x3@0.3..2"};
  const std::vector<AttrSpec> elu = {{"alpha", 1.0}};
  const std::vector<AttrSpec> selu = {{"alpha", 1.67326319217681884765625}, {"gamma", 1.05070102214813232421875}};
  const std::vector<AttrSpec> hard = {{"alpha", 0.2}, {"beta", 0.5}};
  const std::vector<AttrSpec> clip = {AttrSpec::optional("min", AttrKind::real),
                                      AttrSpec::optional("max", AttrKind::real)};
  const std::vector<AttrSpec> gelu = {{"approximate", std::string("none")}};
  const Cases elu_cases = {"1x8x5x7@-3..3", "2x17x6x3 | alpha=0.3"};
  const Cases elu_grad_cases = {"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3 | alpha=0.3"};
  const Cases selu_cases = {"1x8x5x7@-3..3", "2x17x6x3 | alpha=1.2 gamma=0.8"};

  std::vector<OpDef> ops = {
      forward<Sigmoid>(signed_cases),
      backward<Sigmoid>(grad_cases),
      forward<Tanh>(signed_cases),
      backward<Tanh>(grad_cases),
      forward<Exp>(signed_cases),
      backward<Exp>(grad_cases),
      forward<Log>(positive_cases),
      backward<Log>(positive_grad_cases),
      forward<Sqrt>(positive_cases),
      backward<Sqrt>(positive_grad_cases),
      forward<Abs>(signed_cases),
      backward<Abs>(grad_cases),
      forward<Neg>(signed_cases),
      backward<Neg>(grad_cases),
      forward<Reciprocal>(positive_cases),
      backward<Reciprocal>(positive_grad_cases),
      forward<Softplus>(signed_cases),
      backward<Softplus>(grad_cases),
      forward<Softsign>(signed_cases),
      backward<Softsign>(grad_cases),
      forward<HardSwish>(signed_cases),
      backward<HardSwish>(grad_cases),
      forward<Mish>(signed_cases),
      backward<Mish>(grad_cases),
      forward<Erf>(signed_cases),
      backward<Erf>(grad_cases),
      forward<Sin>(signed_cases),
      backward<Sin>(grad_cases),
      forward<Cos>(signed_cases),
      backward<Cos>(grad_cases),
      forward<Elu>({"1x8x5x7@-3..3", "2x17x6x3 | alpha=0.3", "2x17x6x3 | alpha=-0.7"}, elu),
      backward<Elu>({"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3 | alpha=0.3", "2x17x6x3 2x17x6x3 | alpha=-0.7"}, elu),
      forward<Selu>(selu_cases, selu),
      backward<Selu>({"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3 | alpha=1.2 gamma=0.8"}, selu),
      forward<Celu>(elu_cases, elu),
      backward<Celu>(elu_grad_cases, elu),
      forward<HardSigmoid>({"1x8x5x7@-4..4", "2x17x6x3 | alpha=0.4 beta=0.31"}, hard),
      backward<HardSigmoid>({"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3@-4..4 | alpha=0.4 beta=0.31"}, hard),
      forward<ThresholdedRelu>(elu_cases, elu),
      backward<ThresholdedRelu>(elu_grad_cases, elu),
      forward<Clip>({"1x8x5x7", "2x17x6x3 | min=-0.5 max=0.4", "2x17x6x3 | min=0.2", "9 | max=-0.1"}, clip),
      backward<Clip>({"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3 | min=-0.5 max=0.4"}, clip),
      forward<Gelu>({"1x8x5x7@-4..4", "2x17x6x3 | approximate=tanh"}, gelu),
      backward<Gelu>({"1x8x5x7 1x8x5x7", "2x17x6x3 2x17x6x3 | approximate=tanh"}, gelu),
      flat<Floor>(signed_cases),
      flat<Ceil>(signed_cases),
      flat<Round>(signed_cases),
      flat<Sign>(signed_cases),
  };
  for (OpDef& op : ops) {
    if (!op.internal) op.normalize = normalize_old;
    if (op.name == "Clip") op.const_inputs = {{1, "min", 11}, {2, "max", 11}};
    op.linear = op.name == "Neg";
    op.casts = true;
    op.attrs.push_back(AttrSpec::optional("to", AttrKind::integer));
  }
  return ops;
}

}  // namespace

std::span<const OpDef> unary_ops() {
  static const std::vector<OpDef> ops = make_table();
  return ops;
}

}  // namespace hourglass::ops
