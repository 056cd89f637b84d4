// Places in a kernel's scratch memory, one behind the other.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hourglass::kernels {

// The next multiple of `grain`.
inline int64_t up(int64_t count, int64_t grain) { return (count + grain - 1) / grain * grain; }

// Of so many, cut into as few pieces of at most `most` as will do: how many each has, but for the last.
inline int64_t even_piece(int64_t count, int64_t most) {
  const int64_t pieces = (count + most - 1) / most;
  return (count + pieces - 1) / pieces;
}

class ScratchLayout {
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

}  // namespace hourglass::kernels
