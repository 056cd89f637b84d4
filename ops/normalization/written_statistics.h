// Statistics of a kernel's result for the BatchNormalization that follows, taken while the result is written: a thread
// adds its pixels while they lie in its cache, which saves a pass over memory.
#pragma once

#include <optional>
#include <vector>

#include "ops/loops/element.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/normalization/moments.h"

namespace hourglass::kernels {

// Adds the outputs mean and inv_std to a plan, and their rounding: they are statistics of values rounded to the element
// type.
void add_statistics(int64_t channels, bool is_bf16, KernelPlan& plan);

// Statistics of dst, which is channels-last, to outputs 1 and 2: mean and inv_std. Without an epsilon all calls do
// nothing.
class WrittenStatistics {
 public:
  WrittenStatistics() = default;
  // The pixels of dst are written in parts [0, parts).
  WrittenStatistics(const TensorType& dst, std::optional<double> epsilon, int64_t parts, ScratchLayout& scratch)
      : is_bf16_(dst.dtype == DType::bf16) {
    if (!epsilon) return;
    epsilon_ = *epsilon;
    channels_ = dst.shape[1];
    sums_.emplace(channels_, parts);
    offset_ = scratch.add(sums_->scratch_bytes());
  }

  static const WrittenStatistics& none() {
    static const WrittenStatistics none;
    return none;
  }

  [[nodiscard]] bool wanted() const { return sums_.has_value(); }
  // Adds the outputs, and their rounding, to the plan.
  void add_to(KernelPlan& plan) const {
    if (sums_) add_statistics(channels_, is_bf16_, plan);
  }

  // Calls, in this order: begin(); add() of every pixel, `count` side by side, each part by one thread, best the one
  // that has just written them, and end_part() after its last; end().
  void begin(const Addresses& at) const {
    if (sums_) sums_->clear(scratch(at));
  }
  void add(const Addresses& at, int64_t part, const void* pixels, int64_t count) const {
    if (!sums_) return;
    with_element(is_bf16_, [&](auto* element) {
      using T = std::remove_pointer_t<decltype(element)>;
      sums_->add(scratch(at), part, static_cast<const T*>(pixels), count);
    });
  }
  void end_part(const Addresses& at, int64_t part) const {
    if (sums_) sums_->end_part(scratch(at), part);
  }
  void end(const Addresses& at) const {
    if (sums_) sums_->finish(scratch(at), epsilon_, static_cast<float*>(at.dst[1]), static_cast<float*>(at.dst[2]));
  }

 private:
  [[nodiscard]] void* scratch(const Addresses& at) const { return static_cast<char*>(at.scratch) + offset_; }

  std::optional<MomentSums> sums_;
  double epsilon_ = 0;
  int64_t channels_ = 0;
  bool is_bf16_ = false;
  std::size_t offset_ = 0;
};

// For kernels that can't take statistics while they write: puts a pass that takes them after `plan`, whose output 0 is
// dst in any layout that is viewable.
KernelPlan before_statistics(const TensorType& dst, double epsilon, KernelPlan plan);

}  // namespace hourglass::kernels
