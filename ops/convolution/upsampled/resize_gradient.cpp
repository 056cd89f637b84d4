#include "ops/convolution/upsampled/resize_gradient.h"

#include <omp.h>

#include <algorithm>

#include "ops/geometry/resize_taps.h"
#include "ops/loops/copy_box.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/resampling/separable_map.h"

namespace hourglass::kernels {
namespace {

// Runs the convolution's kernel into scratch memory, then a pass that splits the gradient and resizes it back.
class BeforeResizeGradient final : public Kernel {
 public:
  // Offsets into scratch memory.
  struct Offsets {
    std::size_t whole = 0, image = 0, buffers = 0, scratch = 0;
  };
  // `reorder` is null, or makes the gradient of the whole source channels-last.
  BeforeResizeGradient(SeparableMap map, bool is_bf16, const Offsets& offsets, std::unique_ptr<Kernel> conv,
                       std::unique_ptr<Kernel> reorder)
      : map_(std::move(map)),
        is_bf16_(is_bf16),
        offsets_(offsets),
        conv_(std::move(conv)),
        reorder_(std::move(reorder)) {}

  void bind(const Addresses& at, const dnnl::stream& stream) override {
    at_ = at;
    conv_->bind({at.src, {scratch(offsets_.whole)}, scratch(offsets_.scratch)}, stream);
    if (reorder_) reorder_->bind(at, stream);
  }
  void run() noexcept override {
    conv_->run();
    if (reorder_) reorder_->run();
    with_element(is_bf16_, [&](auto* element) { resize<std::remove_pointer_t<decltype(element)>>(); });
  }
  void run_primitives() noexcept override { conv_->run_primitives(); }

 private:
  [[nodiscard]] std::byte* scratch(std::size_t offset) const { return static_cast<std::byte*>(at_.scratch) + offset; }

  template <class T>
  void resize() const {
    const View &whole = map_.src(), &small = map_.dst();
    const auto* from = reinterpret_cast<const T*>(scratch(offsets_.image));
    const int64_t others = whole.c - small.c;
    const int64_t rows = small.n * small.h, parts = parts_of(rows);
    parallel_parts(parts, [&](int64_t thread, const auto& take) {
      auto* buffer = reinterpret_cast<float*>(scratch(offsets_.buffers)) + thread * map_.buffer_floats();
      for (int64_t part = take(); part >= 0; part = take()) {
        for (int64_t i = rows * part / parts; i < rows * (part + 1) / parts; ++i) {
          const int64_t image = i / small.h, row = i % small.h;
          map_.make_row(from + whole.offset(image, 0, 0, 0), row, buffer,
                        static_cast<T*>(at_.dst[0]) + small.offset(image, 0, row, 0));
          if (others == 0) continue;
          // Rows that the map has about just read: they are in the cache.
          const int64_t first = whole.h * row / small.h, last = whole.h * (row + 1) / small.h;
          copy_lanes(from + whole.offset(image, 0, first, 0) + small.c, whole.c,
                     static_cast<T*>(at_.dst[1]) + (image * whole.h + first) * whole.w * others, others, others,
                     (last - first) * whole.w);
        }
      }
    });
  }

  SeparableMap map_;
  bool is_bf16_;
  Offsets offsets_;
  std::unique_ptr<Kernel> conv_, reorder_;
  Addresses at_;
};

}  // namespace

KernelPlan before_resize_gradient(const PlanContext& ctx, const Convolution& convolution, KernelPlan conv) {
  using From = Argument::From;
  const Shape& small = convolution.normalized->resized->from;
  const Attrs& attrs = convolution.normalized->resized->attrs;
  const Shape& whole = convolution.src.shape;
  const DType type = convolution.src.dtype;
  const MemoryDesc image = with_tag({type, whole}, Tag::nhwc), given = conv.dst[0];
  const MemoryDesc to = with_tag({type, small}, Tag::nhwc);
  const auto taps = [&](int axis) { return transposed(taps_of_axis(attrs, small, axis), small[axis]); };
  SeparableMap map(view_of(image), view_of(to), taps(2), taps(3));
  ScratchLayout scratch;
  BeforeResizeGradient::Offsets offsets;
  std::unique_ptr<Kernel> reorder;
  if (given != image) {
    const auto desc = make_reorder(ctx.engine, given, image);
    scratch.add(desc.scratchpad_desc().get_size());
    offsets.whole = scratch.add(given.get_size());
    offsets.image = scratch.add(image.get_size());
    reorder =
        reorder_kernel(ctx.engine, desc, {DNNL_ARG_FROM, From::scratch, static_cast<int64_t>(offsets.whole), given},
                       {DNNL_ARG_TO, From::scratch, static_cast<int64_t>(offsets.image), image});
  } else {
    offsets.whole = offsets.image = scratch.add(image.get_size());
  }
  offsets.buffers = scratch.add(static_cast<std::size_t>(map.buffer_floats() * omp_get_max_threads()) * sizeof(float));
  offsets.scratch = scratch.add(conv.scratch_bytes);
  KernelPlan plan{.src = conv.src,
                  .dst = {to},
                  .scratch_bytes = scratch.end(),
                  .implementation = conv.implementation,
                  .rounding = conv.rounding,
                  .kernel = nullptr};
  // The gradient of the whole source is rounded to bf16 in scratch memory.
  if (type == DType::bf16) plan.rounding = std::max(plan.rounding, kBorderRoundingBf16);
  if (small[1] < whole[1]) {
    plan.dst.push_back(with_tag({type, Shape{whole[0], whole[1] - small[1], whole[2], whole[3]}}, Tag::nhwc));
  }
  plan.kernel = std::make_unique<BeforeResizeGradient>(std::move(map), type == DType::bf16, offsets,
                                                       std::move(conv.kernel), std::move(reorder));
  return plan;
}

}  // namespace hourglass::kernels
