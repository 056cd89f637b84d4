#include "engine/runtime/first_touch.h"

#include <doctest/doctest.h>

#include <omp.h>

#include <algorithm>

#include "engine/runtime/memory.h"
#include "engine/runtime/placement.h"
#include "engine/runtime/team.h"
#include "engine/runtime/topology.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace hourglass::test {

constexpr std::size_t kPage = 4096;

TEST_CASE("first touch: each page belongs to the thread whose share of the largest value lies there") {
  // Eight pages of one value on four threads: two each.
  const std::vector<Lifetime> one{{.bytes = 8 * kPage, .offset = 0}};
  CHECK(page_owners(one, 8 * kPage, kPage, 4) == std::vector<int>{0, 0, 1, 1, 2, 2, 3, 3});
  // A smaller one in its place at another time changes nothing; one behind it has shares of its own.
  std::vector<Lifetime> more = one;
  more.push_back({.bytes = 2 * kPage, .offset = 0});
  more.push_back({.bytes = 4 * kPage, .offset = 8 * kPage});
  CHECK(page_owners(more, 12 * kPage, kPage, 4) == std::vector<int>{0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3});
}

TEST_CASE("first touch: odd sizes, pages without a value, one thread, nothing at all") {
  CHECK(page_owners({}, 4 * kPage, kPage, 2) == std::vector<int>{0, 0, 1, 1});
  CHECK(page_owners({}, 0, kPage, 2).empty());
  CHECK(page_owners({{.bytes = 100, .offset = 3 * kPage + 7}}, 3 * kPage + 107, kPage, 8).size() == 4);
  for (const int threads : {1, 3, 7, 100}) {
    const std::vector<Lifetime> values{{.bytes = 5 * kPage + 1, .offset = 64}, {.bytes = 3, .offset = 9 * kPage}};
    for (const int owner : page_owners(values, 10 * kPage, kPage, threads)) {
      CHECK(owner >= 0);
      CHECK(owner < threads);
    }
  }
}

TEST_CASE("first touch: all of a block is zero, whoever wrote it") {
  std::vector<char> data(5 * kPage + 17, 'x');
  zero_by_owners(data.data(), data.size(), kPage, page_owners({}, data.size(), kPage, 3));
  CHECK(std::count(data.begin(), data.end(), 0) == static_cast<std::ptrdiff_t>(data.size()));
  const MemoryBlock block(3 * kPage + 5, {{.bytes = 100, .offset = 0}});
  CHECK(std::count(block.data(), block.data() + block.size(), 0) == static_cast<std::ptrdiff_t>(block.size()));
}

TEST_CASE("first touch: pages lie on the nodes of the threads that use them") {
#if defined(__linux__) && defined(SYS_move_pages)
  const Topology topology = read_topology();
  const std::vector<CpuSet> places = place_threads(topology, Bind::spread, 2);
  if (topology.nodes < 2 || topology.usable_cores() < 2) {
    MESSAGE("one NUMA node: pages lie there whoever writes to them");
    return;
  }
  const auto node_of = [&](int cpu) {
    return std::find_if(topology.threads.begin(), topology.threads.end(), [&](auto& t) { return t.cpu == cpu; })->node;
  };
  const Team team(2, places);
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const MemoryBlock block(kBytes, {{.bytes = kBytes, .offset = 0}});
  for (const std::size_t half : {0, 1}) {
    void* page = block.data() + half * kBytes / 2 + kBytes / 4;
    int status = -1;
    REQUIRE(syscall(SYS_move_pages, 0, 1UL, &page, nullptr, &status, 0) == 0);
    CHECK(status == node_of(places[half][0]));
  }
#else
  MESSAGE("this system does not say where pages lie");
#endif
}

}  // namespace hourglass::test
