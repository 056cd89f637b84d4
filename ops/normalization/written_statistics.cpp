#include "ops/normalization/written_statistics.h"

#include <algorithm>

#include "ops/loops/element.h"
#include "ops/memory/view.h"
#include "ops/normalization/forward.h"

namespace hourglass::kernels {
namespace {

class BeforeStatistics final : public Kernel {
 public:
  // The pass's own scratch memory begins at `scratch`.
  BeforeStatistics(std::unique_ptr<Kernel> kernel, const Normalization& dst, bool is_bf16, double epsilon,
                   std::size_t scratch)
      : kernel_(std::move(kernel)), dst_(dst), epsilon_(epsilon), is_bf16_(is_bf16), scratch_(scratch) {}
  void bind(const Addresses& at, const dnnl::stream& stream) override {
    at_ = at;
    kernel_->bind(at, stream);
  }
  void run() noexcept override {
    kernel_->run();
    const NormalizationStatistics statistics{.src = at_.dst[0],
                                             .mean = static_cast<float*>(at_.dst[1]),
                                             .inv_std = static_cast<float*>(at_.dst[2]),
                                             .scratch = static_cast<char*>(at_.scratch) + scratch_};
    with_element(is_bf16_, [&](auto* element) {
      normalization_statistics<std::remove_pointer_t<decltype(element)>>(dst_, statistics, epsilon_);
    });
  }
  void run_primitives() noexcept override { kernel_->run_primitives(); }

 private:
  std::unique_ptr<Kernel> kernel_;
  Normalization dst_;
  double epsilon_;
  bool is_bf16_;
  std::size_t scratch_;
  Addresses at_;
};

}  // namespace

void add_statistics(int64_t channels, bool is_bf16, KernelPlan& plan) {
  constexpr double kRoundingBf16 = 1.0 / 256;
  plan.dst.insert(plan.dst.end(), 2, plain({DType::f32, Shape{channels}}));
  if (is_bf16) plan.rounding = std::max(plan.rounding, kRoundingBf16);
}

KernelPlan before_statistics(const TensorType& type, double epsilon, KernelPlan plan) {
  const std::size_t element = size_of(type.dtype);
  const Normalization dst{.walk = {view_of(plan.dst[0]), static_cast<int64_t>(element)}};
  ScratchLayout offsets;
  offsets.add(plan.scratch_bytes);
  const std::size_t scratch = offsets.add(dst.scratch_bytes(element));
  plan.scratch_bytes = offsets.end();
  add_statistics(type.shape[1], type.dtype == DType::bf16, plan);
  plan.kernel =
      std::make_unique<BeforeStatistics>(std::move(plan.kernel), dst, type.dtype == DType::bf16, epsilon, scratch);
  return plan;
}

}  // namespace hourglass::kernels
