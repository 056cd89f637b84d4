#include "ops/loops/work_stealing.h"

namespace hourglass::kernels {

int64_t WorkStealing::take(int64_t me) {
  const bool owns = me < owners_;
  while (owns) {
    uint64_t mine = at(me).load(std::memory_order_relaxed);
    if (left(mine) == 0) break;
    if (at(me).compare_exchange_weak(mine, range(begin(mine) + 1, end(mine)))) return begin(mine);
  }
  for (;;) {
    int64_t from = 0;
    uint64_t largest = 0;
    for (int64_t i = 0; i < owners_; ++i) {
      const uint64_t share = at(i).load(std::memory_order_relaxed);
      if (left(share) <= left(largest)) continue;
      from = i;
      largest = share;
    }
    if (left(largest) == 0) return -1;
    const int64_t first = owns ? begin(largest) + left(largest) / 2 : end(largest) - 1;
    if (!at(from).compare_exchange_weak(largest, range(begin(largest), first))) continue;
    // No other thread writes to an empty share.
    if (owns) at(me).store(range(first + 1, end(largest)));
    return first;
  }
}

}  // namespace hourglass::kernels
