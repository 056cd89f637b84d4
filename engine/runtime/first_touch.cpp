#include "engine/runtime/first_touch.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <numeric>

namespace hourglass {

std::vector<int> page_owners(const std::vector<Lifetime>& values, std::size_t bytes, std::size_t page, int threads) {
  const std::size_t pages = (bytes + page - 1) / page;
  constexpr int kNobody = -1;
  std::vector<int> owners(pages, kNobody);
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a].bytes > values[b].bytes; });
  const auto share = [&](std::size_t at, std::size_t of) {
    return static_cast<int>(std::min(at, of - 1) * static_cast<std::size_t>(threads) / of);
  };
  for (const std::size_t i : order) {
    const Lifetime& value = values[i];
    if (value.bytes == 0) continue;
    const std::size_t last = std::min(pages, (value.offset + value.bytes + page - 1) / page);
    for (std::size_t p = value.offset / page; p < last; ++p) {
      const std::size_t middle = std::max(p * page + page / 2, value.offset) - value.offset;
      if (owners[p] == kNobody) owners[p] = share(middle, value.bytes);
    }
  }
  for (std::size_t p = 0; p < pages; ++p) {
    if (owners[p] == kNobody) owners[p] = share(p, pages);
  }
  return owners;
}

void zero_by_owners(char* data, std::size_t bytes, std::size_t page, const std::vector<int>& owners) {
#pragma omp parallel
  {
    // A team may turn out smaller than asked for.
    const int me = omp_get_thread_num(), threads = omp_get_num_threads();
    for (std::size_t p = 0; p < owners.size(); ++p) {
      if (owners[p] % threads == me) std::memset(data + p * page, 0, std::min(page, bytes - p * page));
    }
  }
}

}  // namespace hourglass
