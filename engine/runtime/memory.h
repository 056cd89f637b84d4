// Memory: how much there is to be had, and a block of it.
//
// A block of zeroed, 64-byte-aligned memory that lives as long as its owner; large ones ask for huge pages.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "engine/runtime/arena.h"

namespace hourglass {

class MemoryBlock {
 public:
  MemoryBlock() = default;
  // Throws Error, with the number of bytes, when the memory can't be had.
  // Each page is first written to by the thread of the present team that uses most of the `values` in it
  // (first_touch.h).
  explicit MemoryBlock(std::size_t bytes, const std::vector<Lifetime>& values = {});
  ~MemoryBlock();
  MemoryBlock(MemoryBlock&& other) noexcept { swap(other); }
  MemoryBlock& operator=(MemoryBlock&& other) noexcept {
    swap(other);
    return *this;
  }

  [[nodiscard]] char* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  void swap(MemoryBlock& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

// Bytes that this process can have before the system or the narrowest of the cgroups around it (versions 1 and 2) runs
// out: what is free, and what caches of files would give back. 0 where nobody knows. `root` is a test's.
std::size_t available_memory(const std::string& root = "");

}  // namespace hourglass
