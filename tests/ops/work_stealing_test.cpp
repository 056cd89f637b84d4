#include "ops/loops/work_stealing.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "ops/loops/parallel.h"

namespace hourglass::kernels {
namespace {

// What each thread took, in order.
std::vector<std::vector<int64_t>> taken(int64_t count, int64_t owners, int64_t threads) {
  WorkStealing shares(count, owners);
  std::vector<std::vector<int64_t>> parts(static_cast<std::size_t>(threads));
  std::vector<std::thread> team;
  for (int64_t me = 0; me < threads; ++me) {
    team.emplace_back([&, me] {
      for (int64_t part = shares.take(me); part >= 0; part = shares.take(me)) {
        parts[static_cast<std::size_t>(me)].push_back(part);
      }
    });
  }
  for (std::thread& thread : team) thread.join();
  return parts;
}

void check_each_once(const std::vector<std::vector<int64_t>>& taken, int64_t count) {
  std::vector<int> times(static_cast<std::size_t>(count), 0);
  for (const std::vector<int64_t>& parts : taken) {
    for (const int64_t part : parts) {
      REQUIRE(part < count);
      ++times[static_cast<std::size_t>(part)];
    }
  }
  CHECK(times == std::vector<int>(static_cast<std::size_t>(count), 1));
}

}  // namespace

TEST_CASE("every part is taken once, whatever the threads") {
  for (int round = 0; round < 200; ++round) {
    for (const int64_t threads : {1, 2, 3, 8}) {
      for (const int64_t count : {0, 1, 2, 7, 64, 1000}) {
        CAPTURE(threads);
        CAPTURE(count);
        check_each_once(taken(count, threads, threads), count);
      }
    }
  }
  // More threads than have shares, and fewer.
  check_each_once(taken(100, 600, 520), 100);
  check_each_once(taken(100, 4, 1), 100);
  check_each_once(taken(100, 2, 5), 100);
}

TEST_CASE("a thread takes its own share in order, and a slow one is relieved") {
  constexpr int64_t kCount = 64;
  WorkStealing shares(kCount, 2);
  // The first is four times as fast.
  std::vector<std::vector<int64_t>> parts(2);
  for (int64_t turn = 0;; ++turn) {
    const int64_t me = turn % 5 == 4 ? 1 : 0, part = shares.take(me);
    if (part < 0) break;
    parts[static_cast<std::size_t>(me)].push_back(part);
  }
  check_each_once(parts, kCount);
  REQUIRE(parts[0].size() == 52);
  for (int64_t i = 0; i < 32; ++i) CHECK(parts[0][static_cast<std::size_t>(i)] == i);
  // Of the 24 that the other one has left then, the second half, in order again.
  for (int64_t i = 0; i < 12; ++i) CHECK(parts[0][static_cast<std::size_t>(32 + i)] == 52 + i);
  for (int64_t i = 0; i < 10; ++i) CHECK(parts[1][static_cast<std::size_t>(i)] == 32 + i);
}

TEST_CASE("loops cover their ranges once") {
  for (const int64_t count : {0, 1, 5, 33, 4096, 100'000}) {
    CAPTURE(count);
    std::vector<int> by_index(static_cast<std::size_t>(count), 0), by_range = by_index;
    parallel_for(count, [&](int64_t i) { ++by_index[static_cast<std::size_t>(i)]; });
    parallel_ranges(count, 7, [&](int64_t begin, int64_t end) {
      CHECK(begin % 7 == 0);
      for (int64_t i = begin; i < end; ++i) ++by_range[static_cast<std::size_t>(i)];
    });
    const std::vector<int> once(static_cast<std::size_t>(count), 1);
    CHECK(by_index == once);
    CHECK(by_range == once);
  }
}

}  // namespace hourglass::kernels
