#include "engine/runtime/memory.h"

#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "engine/runtime/cgroups.h"
#include "engine/runtime/first_touch.h"
#include "graph/error.h"

namespace hourglass {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// The number in a file that holds one, or behind a name in a file of lines "name number".
std::optional<double> number_in(const std::string& path, const std::string& name = {}) {
  std::ifstream file(path);
  for (std::string word; !name.empty() && word != name;) {
    if (!(file >> word)) return {};
  }
  double value = 0;
  if (!(file >> value)) return {};  // as "max" is, for none
  return value;
}

// What one cgroup lets its processes have yet.
std::optional<double> left_in(const std::string& folder, CgroupVersion version) {
  const bool is_v2 = version == CgroupVersion::v2;
  const auto limit = number_in(folder + (is_v2 ? "/memory.max" : "/memory.limit_in_bytes"));
  const auto usage = number_in(folder + (is_v2 ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!limit || !usage) return {};
  const auto cached = number_in(folder + "/memory.stat", is_v2 ? "inactive_file" : "total_inactive_file");
  return std::max(1.0, *limit - *usage + cached.value_or(0));
}

}  // namespace

std::size_t available_memory(const std::string& root) {
  constexpr double kKiB = 1024;
  const auto free_kib = number_in(root + "/proc/meminfo", "MemAvailable:");
  double least = free_kib ? *free_kib * kKiB : 0;
  for_each_cgroup("memory", root, [&](const std::string& folder, CgroupVersion version) {
    const std::optional<double> left = left_in(folder, version);
    if (left) least = least > 0 ? std::min(least, *left) : *left;
  });
  return static_cast<std::size_t>(least);
}

MemoryBlock::MemoryBlock(std::size_t bytes, const std::vector<Lifetime>& values) : size_(bytes) {
  if (bytes == 0) return;
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  data_ = static_cast<char*>(std::aligned_alloc(alignment, rounded));
  if (data_ == nullptr) fail("out of memory: {} MiB could not be had", bytes >> 20);
#if defined(__linux__)
  if (alignment == kHugePage) madvise(data_, rounded, MADV_HUGEPAGE);  // a wish: without it, it is only slower
#endif
  // A page that the system can place: with huge pages it places these.
  constexpr std::size_t kPage = 4096;
  const std::size_t page = alignment == kHugePage ? kHugePage : kPage;
  zero_by_owners(data_, rounded, page, page_owners(values, rounded, page, omp_get_max_threads()));
}

MemoryBlock::~MemoryBlock() { std::free(data_); }

}  // namespace hourglass
