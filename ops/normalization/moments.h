// Mean and variance per channel of channels-last pixels, summed by the kernel that writes them, while they lie in its
// cache. Sums are float for up to kChunk elements (walk.h) and taken around an estimate of the mean (shifted data, as
// in Chan, Golub and LeVeque 1983), then folded into double sums.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hourglass::kernels {

// Statistics of pixels that are written part by part.
class MomentSums {
 public:
  // The pixels are cut into parts [0, parts).
  MomentSums(int64_t channels, int64_t parts);

  [[nodiscard]] std::size_t scratch_bytes() const { return static_cast<std::size_t>(parts_) * part_bytes(); }
  // Calls, in this order: clear(); add() of every pixel, each part by one thread, and end_part() after its last;
  // finish(). The same parts in the same order give the same bytes, whichever threads take them.
  void clear(void* scratch) const;
  template <class T>
  void add(void* scratch, int64_t part, const T* pixels, int64_t count) const;
  void end_part(void* scratch, int64_t part) const;
  void finish(void* scratch, double epsilon, float* mean, float* inv_std) const;

 private:
  static constexpr int64_t kFirst = 64;  // most pixels whose mean is the first shift
  struct PartSums;
  [[nodiscard]] PartSums sums_of(void* scratch, int64_t index) const;
  [[nodiscard]] std::size_t part_bytes() const;
  void fold(const PartSums& p) const;

  int64_t channels_, period_, parts_;
};

}  // namespace hourglass::kernels
