#include "engine/runtime/arena.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <utility>

namespace hourglass {
namespace {

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::size_t end(const Lifetime& item) { return item.offset + aligned(item.bytes); }

// Of an order, each with what was on top placed first. All of them take some 20 ms for 400 values.
constexpr int kTries = 50;

// One after another in that order, each at the lowest offset that fits.
std::size_t place(const std::vector<std::size_t>& order, std::vector<Lifetime>& lifetimes) {
  std::size_t total = 0;
  std::vector<const Lifetime*> placed;  // sorted by offset
  for (const std::size_t index : order) {
    Lifetime& item = lifetimes[index];
    std::size_t offset = 0;
    for (const Lifetime* other : placed) {
      if (other->last < item.first || item.last < other->first) continue;
      if (offset + aligned(item.bytes) <= other->offset) break;
      offset = std::max(offset, end(*other));
    }
    item.offset = offset;
    total = std::max(total, end(item));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &item,
                                   [](const Lifetime* a, const Lifetime* b) { return a->offset < b->offset; }),
                  &item);
  }
  return total;
}

}  // namespace

std::size_t assign_offsets(std::vector<Lifetime>& lifetimes) {
  const auto steps = [](const Lifetime& item) { return static_cast<std::size_t>(item.last - item.first + 1); };
  const auto size = [&](const Lifetime& item) { return std::pair(item.bytes, steps(item)); };
  const auto area = [&](const Lifetime& item) { return std::pair(item.bytes * steps(item), item.bytes); };
  const auto duration = [&](const Lifetime& item) { return std::pair(steps(item), item.bytes); };

  if (lifetimes.empty()) return 0;
  const std::size_t least = peak_of(lifetimes);
  std::size_t total = SIZE_MAX;
  std::vector<Lifetime> best;
  std::vector<std::size_t> order(lifetimes.size());
  const auto try_order = [&](const auto& key) {
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return key(lifetimes[a]) > key(lifetimes[b]); });
    // What came to lie on top is placed first the next time.
    for (int i = 0; i < kTries && total > least; ++i) {
      std::vector<Lifetime> placed = lifetimes;
      const std::size_t got = place(order, placed);
      if (got < total) {
        total = got;
        best = placed;
      }
      const auto top = std::find_if(order.begin(), order.end(), [&](std::size_t at) { return end(placed[at]) == got; });
      std::rotate(order.begin(), top, top + 1);
    }
  };
  try_order(size);
  try_order(area);
  try_order(duration);
  lifetimes = std::move(best);
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
