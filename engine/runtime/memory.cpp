#include "engine/runtime/memory.h"

#include <cstdlib>
#include <cstring>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "graph/error.h"

namespace hourglass {
namespace {
constexpr std::size_t kHugePage = std::size_t{2} << 20;
}

MemoryBlock::MemoryBlock(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  data_ = static_cast<char*>(std::aligned_alloc(alignment, rounded));
  if (data_ == nullptr) fail("out of memory: {} MiB could not be had", bytes >> 20);
#if defined(__linux__)
  if (alignment == kHugePage) madvise(data_, rounded, MADV_HUGEPAGE);  // a wish: without it, it is only slower
#endif
  std::memset(data_, 0, rounded);
}

MemoryBlock::~MemoryBlock() { std::free(data_); }

}  // namespace hourglass
