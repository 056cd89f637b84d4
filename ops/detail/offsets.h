// Places in a kernel's scratch memory, one behind the other.
#pragma once

#include <cstddef>

namespace hourglass::detail {

class Offsets {
 public:
  // Room for that many bytes, from a multiple of 64 on.
  std::size_t add(std::size_t bytes) {
    const std::size_t at = end_;
    end_ += (bytes + kAlign - 1) / kAlign * kAlign;
    return at;
  }
  [[nodiscard]] std::size_t end() const { return end_; }

 private:
  static constexpr std::size_t kAlign = 64;
  std::size_t end_ = 0;
};

}  // namespace hourglass::detail
