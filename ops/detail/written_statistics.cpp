#include "ops/detail/written_statistics.h"

namespace hourglass::detail {
namespace {

class BeforeStatistics final : public Kernel {
 public:
  // The pass' own memory begins at `scratch`.
  BeforeStatistics(std::unique_ptr<Kernel> kernel, const Normalization& dst, const Convolution& conv,
                   std::size_t scratch)
      : kernel_(std::move(kernel)),
        dst_(dst),
        epsilon_(conv.statistics->epsilon),
        is_bf16_(conv.dst.dtype == DType::bf16),
        scratch_(scratch) {}
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

KernelPlan before_statistics(const Convolution& conv, KernelPlan plan) {
  const auto element = static_cast<int64_t>(size_of(conv.dst.dtype));
  const Normalization dst{.walk = {view_of(plan.dst[0]), element}};
  Offsets offsets;
  offsets.add(plan.scratch_bytes);
  const std::size_t scratch = offsets.add(dst.scratch_bytes(size_of(conv.dst.dtype)));
  plan.scratch_bytes = offsets.end();
  plan.dst.insert(plan.dst.end(), 2, plain({DType::f32, Shape{conv.dst.shape[1]}}));
  plan.kernel = std::make_unique<BeforeStatistics>(std::move(plan.kernel), dst, conv, scratch);
  return plan;
}

}  // namespace hourglass::detail
