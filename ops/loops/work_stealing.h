// Work stealing: divides the parts of a parallel loop among threads that are not equally fast. On a machine shared with
// others one thread is often a fifth slower than the next, and with equal shares all would wait for it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace hourglass::kernels {

// Each thread has a share of parts [0, count), which it takes in order from the first one on, so that it finds in its
// cache what it left there in the loop before. A thread whose share is empty takes over the second half of the largest
// share that is left.
class WorkStealing {
 public:
  WorkStealing(int64_t count, int64_t threads) : owners_(std::min(threads, kMostOwners)) {
    for (int64_t i = 0; i < owners_; ++i) shares_[i].range = range(count * i / owners_, count * (i + 1) / owners_);
  }

  // The next part for thread `me`, which no thread has had; -1 when none is left.
  int64_t take(int64_t me);

 private:
  static constexpr int64_t kMostOwners = 512;  // further threads have no share and take over single parts
  // Begin and end in one word, each share in a cache line of its own.
  struct alignas(64) Share {
    uint64_t range;
  };

  static uint64_t range(int64_t begin, int64_t end) {
    return static_cast<uint64_t>(begin) << 32 | static_cast<uint64_t>(end);
  }
  static int64_t begin(uint64_t range) { return static_cast<int64_t>(range >> 32); }
  static int64_t end(uint64_t range) { return static_cast<int64_t>(range & 0xffffffff); }
  static int64_t left(uint64_t range) { return end(range) - begin(range); }

  std::atomic_ref<uint64_t> at(int64_t owner) { return std::atomic_ref<uint64_t>(shares_[owner].range); }

  int64_t owners_;
  Share shares_[kMostOwners];
};

}  // namespace hourglass::kernels
