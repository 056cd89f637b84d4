// A block of zeroed, 64-byte-aligned memory that lives as long as its owner; large ones ask for huge pages.
#pragma once

#include <cstddef>
#include <utility>

namespace hourglass {

class MemoryBlock {
 public:
  MemoryBlock() = default;
  // Throws Error, with the number of bytes, when the memory can't be had.
  explicit MemoryBlock(std::size_t bytes);
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

}  // namespace hourglass
