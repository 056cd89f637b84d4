// Layout of a kernel's scratch memory: offsets one after the other, each aligned to a cache line, decided in plan() (as
// oneDNN's memory_tracking). And two roundings that sizes need.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hourglass::kernels {

// The next multiple of `grain`.
inline int64_t up(int64_t count, int64_t grain) { return (count + grain - 1) / grain * grain; }

// The size of a piece when `count` is cut into as few pieces as possible of at most `most`, all of the same size but
// the last. Both are at least 1.
inline int64_t even_piece(int64_t count, int64_t most) {
  const int64_t pieces = (count + most - 1) / most;
  return (count + pieces - 1) / pieces;
}

class ScratchLayout {
 public:
  // Books `bytes` bytes and returns their offset, a multiple of 64.
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
