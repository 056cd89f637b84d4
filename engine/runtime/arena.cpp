#include "engine/runtime/arena.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace hourglass {
namespace {

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

std::size_t assign_offsets(std::vector<Lifetime>& lifetimes) {
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });
  std::size_t total = 0;
  std::vector<const Lifetime*> placed;  // sorted by offset
  for (const std::size_t index : order) {
    Lifetime& item = lifetimes[index];
    std::size_t offset = 0;
    for (const Lifetime* other : placed) {
      if (other->last < item.first || item.last < other->first) continue;
      if (offset + aligned(item.bytes) <= other->offset) break;
      offset = std::max(offset, other->offset + aligned(other->bytes));
    }
    item.offset = offset;
    total = std::max(total, offset + aligned(item.bytes));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &item,
                                   [](const Lifetime* a, const Lifetime* b) { return a->offset < b->offset; }),
                  &item);
  }
  return total;
}

std::size_t peak_of(const std::vector<Lifetime>& lifetimes) {
  std::map<int, std::ptrdiff_t> change;
  for (const Lifetime& item : lifetimes) {
    change[item.first] += static_cast<std::ptrdiff_t>(aligned(item.bytes));
    change[item.last + 1] -= static_cast<std::ptrdiff_t>(aligned(item.bytes));
  }
  std::ptrdiff_t now = 0, peak = 0;
  for (const auto& [step, bytes] : change) {
    now += bytes;
    peak = std::max(peak, now);
  }
  return static_cast<std::size_t>(peak);
}

}  // namespace hourglass
