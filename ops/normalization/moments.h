// Mean and variance of pixels as they are written.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hourglass::kernels {

// The statistics of channels-last pixels, for kernels that take them while they write.
class MomentSums {
 public:
  // For parts [0, parts) of the pixels.
  MomentSums(int64_t channels, int64_t parts);

  [[nodiscard]] std::size_t scratch_bytes() const { return static_cast<std::size_t>(parts_) * part_bytes(); }
  // In turn: clear(); add() of every pixel, of each part by one thread, and end_part() behind its last; finish(). The
  // same parts in the same order give the same bytes, whatever the threads.
  void clear(void* scratch) const;
  template <class T>
  void add(void* scratch, int64_t part, const T* pixels, int64_t count) const;
  void end_part(void* scratch, int64_t part) const;
  void finish(void* scratch, double epsilon, float* mean, float* inv_std) const;

 private:
  static constexpr int64_t kFirst = 64;  // pixels whose mean is the first to be summed around
  struct Part;
  [[nodiscard]] Part part_at(void* scratch, int64_t index) const;
  [[nodiscard]] std::size_t part_bytes() const;
  void fold(const Part& p) const;

  int64_t channels_, period_, parts_;
};

}  // namespace hourglass::kernels
