// ConvResizeGradSrc: ConvGradSrc, and ResizeGrad of the first channels of what that makes.       Internal, made by
// graph/fuse.h where the source of a convolution is a resized image, or one beside another.
//   diff_dst [N,OC,OH,OW], weights [OC,A+B,KH,KW]; attributes as ConvGradSrc's, with src_shape [N,A+B,H,W], and
//   Resize's, by which resized_from [N,A,h,w] became [N,A,H,W]
//   outputs: the gradients of the image before it was resized and, where B > 0, of the other channels
// Kernels: by a blur of the gradient (ops/detail/stretched_grad_src.h), or one after the other.
#include <algorithm>

#include "graph/error.h"
#include "ops/detail/batch_normalization.h"
#include "ops/detail/box.h"
#include "ops/detail/offsets.h"
#include "ops/detail/onednn.h"
#include "ops/detail/resize_taps.h"
#include "ops/detail/separable_map.h"
#include "ops/detail/stretched_grad_src.h"
#include "ops/table.h"

namespace hourglass::ops {
namespace {

Shape with_channels(const Shape& shape, int64_t channels) { return {shape[0], channels, shape[2], shape[3]}; }

// Those of them that the op has.
Attrs attrs_of(const OpDef& op, const Attrs& attrs) {
  Attrs result;
  for (const AttrSpec& spec : op.attrs) {
    const auto found = attrs.all().find(spec.name);
    if (found != attrs.all().end()) result.set(found->first, found->second);
  }
  complete_attrs(op, result);
  return result;
}

const OpDef& conv_op() { return *op_table().find("ConvGradSrc"); }

void infer(InferContext& ctx) {
  const Attrs attrs = attrs_of(conv_op(), ctx.attrs);
  InferContext conv{attrs, ctx.inputs, {}};
  conv_op().infer(conv);
  const TensorType whole = conv.outputs[0];
  const Shape small(ctx.attrs.ints("resized_from"));
  if (small.rank() != 4) fail("resized_from is {}, expected [N,C,H,W]", small);
  const Shape resized = detail::resized_shape(ctx.attrs, small);
  if (detail::crops(ctx.attrs)) fail("Resize sees a part of the image only, which is not supported here");
  if (resized[1] > whole.shape[1] || with_channels(resized, whole.shape[1]) != whole.shape) {
    fail("{} is resized to {}, which is not the first channels of src {}", small, resized, whole.shape);
  }
  ctx.outputs.push_back({whole.dtype, small});
  if (small[1] < whole.shape[1]) {
    ctx.outputs.push_back({whole.dtype, with_channels(whole.shape, whole.shape[1] - small[1])});
  }
}

// The ops that this one stands for.
void reference(ReferenceContext& ctx) {
  const HostTensor whole = std::move(evaluate_reference(conv_op(), attrs_of(conv_op(), ctx.attrs), ctx.inputs)[0]);
  const Shape small(ctx.attrs.ints("resized_from"));
  const auto plane = static_cast<std::ptrdiff_t>(whole.shape[2] * whole.shape[3]);
  std::vector<double> values;
  for (int64_t n = 0; n < whole.shape[0]; ++n) {
    const auto begin = whole.values.begin() + n * whole.shape[1] * plane, middle = begin + small[1] * plane;
    values.insert(values.end(), begin, middle);
    if (ctx.outputs.size() < 2) continue;
    const int64_t others = (whole.shape[1] - small[1]) * plane;
    std::copy(middle, middle + others, ctx.outputs[1].values.begin() + n * others);
  }
  const HostTensor first(whole.dtype, with_channels(whole.shape, small[1]), std::move(values));
  const OpDef& op = *op_table().find("ResizeGrad");
  Attrs attrs = ctx.attrs;
  attrs.set("src_shape", small.dims());
  ctx.outputs[0] = std::move(evaluate_reference(op, attrs_of(op, attrs), {&first})[0]);
}

// The gradient of the whole source in scratch memory, and then a pass over that.
class OneAfterTheOther final : public Kernel {
 public:
  // Offsets into scratch memory.
  struct Places {
    std::size_t whole = 0, image = 0, buffers = 0, scratch = 0;
  };
  // `reorder` is null, or makes a channels-last image of the whole.
  OneAfterTheOther(detail::SeparableMap map, bool is_bf16, const Places& places, std::unique_ptr<Kernel> conv,
                   std::unique_ptr<Kernel> reorder)
      : map_(std::move(map)),
        is_bf16_(is_bf16),
        places_(places),
        conv_(std::move(conv)),
        reorder_(std::move(reorder)) {}

  void bind(const Addresses& at, const dnnl::stream& stream) override {
    at_ = at;
    conv_->bind({at.src, {scratch(places_.whole)}, scratch(places_.scratch)}, stream);
    if (reorder_) reorder_->bind(at, stream);
  }
  void run() noexcept override {
    conv_->run();
    if (reorder_) reorder_->run();
    detail::with_element(is_bf16_, [&](auto* element) { resize<std::remove_pointer_t<decltype(element)>>(); });
  }
  void run_primitives() noexcept override { conv_->run_primitives(); }

 private:
  [[nodiscard]] std::byte* scratch(std::size_t offset) const { return static_cast<std::byte*>(at_.scratch) + offset; }

  template <class T>
  void resize() const {
    const detail::View &whole = map_.src(), &small = map_.dst();
    const auto* from = reinterpret_cast<const T*>(scratch(places_.image));
    const int64_t others = whole.c - small.c;
    const int64_t rows = small.n * small.h, parts = detail::parts_of(rows);
    detail::parallel_parts(parts, [&](int64_t thread, const auto& take) {
      auto* buffer = reinterpret_cast<float*>(scratch(places_.buffers)) + thread * map_.buffer_floats();
      for (int64_t part = take(); part >= 0; part = take()) {
        for (int64_t i = rows * part / parts; i < rows * (part + 1) / parts; ++i) {
          const int64_t image = i / small.h, row = i % small.h;
          map_.make_row(from + whole.offset(image, 0, 0, 0), row, buffer,
                        static_cast<T*>(at_.dst[0]) + small.offset(image, 0, row, 0));
          if (others == 0) continue;
          // About where the map has just read.
          const int64_t first = whole.h * row / small.h, last = whole.h * (row + 1) / small.h;
          detail::copy_lanes(from + whole.offset(image, 0, first, 0) + small.c, whole.c,
                             static_cast<T*>(at_.dst[1]) + (image * whole.h + first) * whole.w * others, others, others,
                             (last - first) * whole.w);
        }
      }
    });
  }

  detail::SeparableMap map_;
  bool is_bf16_;
  Places places_;
  std::unique_ptr<Kernel> conv_, reorder_;
  Addresses at_;
};

KernelPlan plan_one_after_the_other(const PlanContext& ctx, const Shape& whole, const Shape& small) {
  using From = detail::Argument::From;
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId diff_dst = b.input("diff_dst", ctx.in(0)), weights = b.input("weights", ctx.in(1));
  b.add("ConvGradSrc", {diff_dst, weights}, attrs_of(conv_op(), ctx.node.attrs), ctx.node.name);
  PlanContext inner(graph, graph.nodes.back(), ctx.engine, ctx.src, ctx.policy);
  KernelPlan conv = conv_op().plan(inner);

  const DType type = ctx.in(0).dtype;
  const MemoryDesc image = detail::with_tag({type, whole}, detail::Tag::nhwc), given = conv.dst[0];
  const MemoryDesc to = detail::with_tag({type, small}, detail::Tag::nhwc);
  const auto transposed = [&](int axis) {
    return detail::transposed(detail::taps_of_axis(ctx.node.attrs, small, axis), small[axis]);
  };
  detail::SeparableMap map(detail::view_of(image), detail::view_of(to), transposed(2), transposed(3));
  detail::Offsets offsets;
  OneAfterTheOther::Places places;
  std::unique_ptr<Kernel> reorder;
  if (given != image) {
    const auto desc = detail::make_reorder(ctx.engine, given, image);
    offsets.add(desc.scratchpad_desc().get_size());
    places.whole = offsets.add(given.get_size());
    places.image = offsets.add(image.get_size());
    reorder = detail::reorder_kernel(ctx.engine, desc,
                                     {DNNL_ARG_FROM, From::scratch, static_cast<int64_t>(places.whole), given},
                                     {DNNL_ARG_TO, From::scratch, static_cast<int64_t>(places.image), image});
  } else {
    places.whole = places.image = offsets.add(image.get_size());
  }
  places.buffers = offsets.add(static_cast<std::size_t>(map.buffer_floats() * omp_get_max_threads()) * sizeof(float));
  places.scratch = offsets.add(conv.scratch_bytes);
  KernelPlan plan{.src = conv.src,
                  .dst = {to},
                  .scratch_bytes = offsets.end(),
                  .implementation = conv.implementation,
                  .rounding = conv.rounding,
                  .kernel = nullptr};
  // The gradient of the whole is rounded on its way.
  if (type == DType::bf16) plan.rounding = std::max(plan.rounding, detail::kBorderRoundingBf16);
  if (ctx.node.outputs.size() > 1) {
    plan.dst.push_back(detail::with_tag({type, with_channels(whole, whole[1] - small[1])}, detail::Tag::nhwc));
  }
  plan.kernel = std::make_unique<OneAfterTheOther>(std::move(map), type == DType::bf16, places, std::move(conv.kernel),
                                                   std::move(reorder));
  return plan;
}

KernelPlan plan(PlanContext& ctx) {
  const Attrs& attrs = ctx.node.attrs;
  const Shape whole(attrs.ints("src_shape")), small(attrs.ints("resized_from"));
  const Shape& weights = ctx.in(1).shape;
  if (attrs.integer("group") == 1 && !attrs.has("band_rows")) {
    detail::Convolution conv{.direction = detail::Direction::grad_src,
                             .window = detail::window_of(attrs, whole, {weights[2], weights[3]}),
                             .src = {ctx.in(0).dtype, whole},
                             .weights = ctx.in(1),
                             .dst = ctx.in(0)};
    if (attrs.has("pad_mode")) conv.border = detail::border_of(attrs.string("pad_mode"));
    conv.normalized = detail::SourceNormalization{.first_channels = small[1]};
    conv.normalized->resized = {small, attrs};
    if (auto plan = detail::plan_stretched_grad_src(conv)) return std::move(*plan);
  }
  return plan_one_after_the_other(ctx, whole, small);
}

}  // namespace

std::span<const OpDef> conv_resize_grad_src_ops() {
  static const OpDef ops[] = {
      {.name = "ConvResizeGradSrc",
       .internal = true,
       .min_inputs = 2,
       .max_inputs = 2,
       .attrs = detail::convolution_attrs(detail::resize_attrs(
           "half_pixel", "round_prefer_floor",
           {AttrSpec::required("src_shape", AttrKind::ints), AttrSpec::required("resized_from", AttrKind::ints)})),
       .infer = infer,
       .plan = plan,
       .reference = reference,
       .bf16_inputs = 0b11},
  };
  return ops;
}

}  // namespace hourglass::ops
