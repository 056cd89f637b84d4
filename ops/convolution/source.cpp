#include "ops/convolution/source.h"

#include <omp.h>

#include <algorithm>

#include "graph/error.h"
#include "ops/geometry/resize_taps.h"
#include "ops/loops/copy_box.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {
namespace {

// Writes the normalised image channels-last into scratch memory, reorders it where the kernel wants another layout, and
// runs the kernel with it as input 0.
class BehindNormalization final : public Kernel {
 public:
  // Offsets into scratch memory.
  struct Offsets {
    std::size_t image, coefficients, buffers, scratch;
  };
  // `reorder` is null, or makes the kernel's input 0 of the image. `input` is where input 0 lies then.
  BehindNormalization(NormalizedSource source, const MemoryDesc& image, const Offsets& offsets, std::size_t input,
                      std::unique_ptr<Kernel> reorder, std::unique_ptr<Kernel> kernel)
      : source_(std::move(source)),
        view_(view_of(image)),
        row_bytes_(image.get_size() / static_cast<std::size_t>(view_.n * view_.h)),
        offsets_(offsets),
        input_(input),
        reorder_(std::move(reorder)),
        kernel_(std::move(kernel)) {}

  void bind(const Addresses& at, const dnnl::stream& stream) override {
    at_ = at;
    if (reorder_) reorder_->bind(at, stream);
    // The kernel's other inputs: weights or diff_dst, and a bias, which is the last input.
    kernel_->bind({{scratch(input_), at.src[1], at.src.back()}, at.dst, scratch(offsets_.scratch)}, stream);
  }
  void run() noexcept override {
    auto* coefficients = reinterpret_cast<float*>(scratch(offsets_.coefficients));
    source_.set_coefficients(at_, coefficients);
    parallel_for(view_.n * view_.h, [&](int64_t i) {
      const auto me = static_cast<std::size_t>(omp_get_thread_num());
      source_.read(at_, coefficients, i / view_.h, i % view_.h, 0, view_.w,
                   scratch(offsets_.image) + static_cast<std::size_t>(i) * row_bytes_,
                   scratch(offsets_.buffers) + me * row_bytes_);
    });
    if (reorder_) reorder_->run();
    kernel_->run();
  }
  void run_primitives() noexcept override { kernel_->run_primitives(); }

 private:
  [[nodiscard]] std::byte* scratch(std::size_t offset) const { return static_cast<std::byte*>(at_.scratch) + offset; }

  NormalizedSource source_;
  View view_;
  std::size_t row_bytes_;
  Offsets offsets_;
  std::size_t input_;
  std::unique_ptr<Kernel> reorder_, kernel_;
  Addresses at_;
};

}  // namespace

TensorType joined(const TensorType& a, const TensorType& b) {
  const bool fits = a.shape.rank() == 4 && b.shape.rank() == 4 && a.dtype == b.dtype && is_floating(a.dtype) &&
                    a.shape[0] == b.shape[0] && a.shape[2] == b.shape[2] && a.shape[3] == b.shape[3];
  if (!fits) fail("a is {}:{}, b is {}:{}; they may differ in their channels only", a.dtype, a.shape, b.dtype, b.shape);
  return {a.dtype, Shape{a.shape[0], a.shape[1] + b.shape[1], a.shape[2], a.shape[3]}};
}

NormalizedSource::NormalizedSource(const Convolution& conv, Of of)
    : channels_(conv.src.shape[1]), is_bf16_(conv.src.dtype == DType::bf16) {
  const Shape& whole = conv.src.shape;
  const int64_t first = conv.normalized->first_channels;
  numbers_ = plain({DType::f32, Shape{whole[1]}});
  if (conv.direction == Direction::forward && conv.has_bias) {
    bias_ = plain({DType::f32, Shape{conv.weights.shape[0]}});
  }
  int64_t coefficients = 0;
  const auto add = [&](std::size_t input, int64_t begin, int64_t channels) {
    const MemoryDesc desc = with_tag({conv.src.dtype, Shape{whole[0], channels, whole[2], whole[3]}}, Tag::nhwc);
    const PixelNormalizer normalizer(channels, channels_, conv.normalized->alpha);
    const int64_t dst_channel = of == Of::all ? begin : 0;
    activations_.push_back({input, desc, view_of(desc), begin, dst_channel, normalizer, coefficients, nullptr});
    coefficients += normalizer.coefficient_floats();
  };
  if (of == Of::small) channels_ = first;
  if (of == Of::second) channels_ -= first;
  if (of != Of::second) add(0, 0, first);
  if (of != Of::second && conv.normalized->resized) {
    const auto& [from, attrs] = *conv.normalized->resized;
    Activation& x = activations_[0];
    const View resized = x.view;
    x.desc = with_tag({conv.src.dtype, from}, Tag::nhwc);
    x.view = view_of(x.desc);
    if (of == Of::all) {
      x.map = std::make_shared<const SeparableMap>(x.view, resized, taps_of_axis(attrs, from, 2),
                                                   taps_of_axis(attrs, from, 3), true);
    }
  }
  if (of != Of::small && first < whole[1]) add(kSecondInput, first, whole[1] - first);
}

std::vector<MemoryDesc> NormalizedSource::inputs(const MemoryDesc& other) const {
  std::vector<MemoryDesc> inputs{activations_[0].desc, other, numbers_, numbers_, numbers_, numbers_};
  const bool has_bias = bias_.get_size() > 0;
  if (activations_.size() > 1 || has_bias)
    inputs.push_back(activations_.size() > 1 ? activations_[1].desc : MemoryDesc());
  if (has_bias) inputs.push_back(bias_);
  return inputs;
}

std::size_t NormalizedSource::coefficient_bytes() const {
  const Activation& last = activations_.back();
  return static_cast<std::size_t>(last.coefficients + last.normalizer.coefficient_floats()) * sizeof(float);
}

void NormalizedSource::set_coefficients(const Addresses& at, float* coefficients) const {
  for (const Activation& x : activations_) {
    const auto numbers = [&](std::size_t input) { return static_cast<const float*>(at.src[input]) + x.first; };
    x.normalizer.set_coefficients(numbers(kScaleInput), numbers(kBiasInput), numbers(kMeanInput), numbers(kInvStdInput),
                                  coefficients + x.coefficients);
  }
}

// For run_primitives(): pixels of the small image stand for those of the resized one, so as much is read and written.
template <class T>
void NormalizedSource::copy_resized(const Activation& x, const T* image, int64_t h, int64_t w, int64_t count, T* dst,
                                    int64_t stride) {
  const View &from = x.view, &resized = x.map->dst();
  const T* row = image + h * from.h / resized.h * from.stride_h;
  for (int64_t i = 0, run = 0; i < count; i += run) {
    const int64_t column = (w + i) % from.w;
    run = std::min(count - i, from.w - column);
    copy_lanes(row + column * from.stride_w, from.c, dst + i * stride, stride, from.c, run);
  }
}

void NormalizedSource::read(const Addresses& at, const float* coefficients, int64_t n, int64_t h, int64_t w,
                            int64_t count, void* dst, void* buffer) const {
  with_element(is_bf16_, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    for (const Activation& x : activations_) {
      const auto* image = static_cast<const T*>(at.src[x.input]) + x.view.offset(n, 0, 0, 0);
      const auto* from = image + h * x.view.stride_h + w * x.view.stride_w;
      auto* to = static_cast<T*>(dst) + x.dst_channel;
      if (x.map != nullptr && coefficients == nullptr) {
        copy_resized(x, image, h, w, count, to, channels_);
      } else if (x.map != nullptr) {
        const int64_t period = x.normalizer.period();
        const float* center = coefficients + x.coefficients;
        x.map->make_normalized(image, h, w, count, {center, center + period, center + 2 * period, nullptr, nullptr},
                               period, to, channels_);
      } else if (coefficients == nullptr) {
        copy_lanes(from, x.view.c, to, channels_, x.view.c, count);
      } else {
        x.normalizer.run(from, count, coefficients + x.coefficients, to, static_cast<T*>(buffer));
      }
    }
  });
}

KernelPlan behind_normalization(const dnnl::engine& engine, const Convolution& conv, KernelPlan plan) {
  using From = Argument::From;
  NormalizedSource source(conv);
  const MemoryDesc made = with_tag(conv.src, Tag::nhwc), wanted = plan.src[0];
  const auto desc = make_reorder(engine, made, wanted);
  ScratchLayout scratch;
  scratch.add(desc.scratchpad_desc().get_size());
  BehindNormalization::Offsets offsets{};
  offsets.image = scratch.add(made.get_size());
  const std::size_t input = wanted == made ? offsets.image : scratch.add(wanted.get_size());
  offsets.coefficients = scratch.add(source.coefficient_bytes());
  offsets.buffers = scratch.add(made.get_size() / static_cast<std::size_t>(conv.src.shape[0] * conv.src.shape[2]) *
                                static_cast<std::size_t>(omp_get_max_threads()));
  offsets.scratch = scratch.add(plan.scratch_bytes);
  std::unique_ptr<Kernel> reorder;
  if (wanted != made) {
    reorder = reorder_kernel(engine, desc, {DNNL_ARG_FROM, From::scratch, static_cast<int64_t>(offsets.image), made},
                             {DNNL_ARG_TO, From::scratch, static_cast<int64_t>(input), wanted});
  }
  plan.src = source.inputs(plan.src[1]);
  plan.rounding = std::max(plan.rounding, source.rounding());
  plan.scratch_bytes = scratch.end();
  plan.kernel = std::make_unique<BehindNormalization>(std::move(source), made, offsets, input, std::move(reorder),
                                                      std::move(plan.kernel));
  return plan;
}

}  // namespace hourglass::kernels
