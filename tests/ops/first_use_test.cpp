// What a process uses of oneDNN for the first time: a program of its own, since others have used it before.
#include <doctest/doctest.h>
#include <sys/wait.h>  // waitpid
#include <unistd.h>    // fork

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <thread>
#include <vector>

#include "graph/error.h"
#include "ops/memory/onednn.h"

namespace hourglass::kernels {
namespace {

constexpr int kThreads = 2, kSecondsAtMost = 10;

// Reorders to f32 and within a type, each at the same time as the other threads'. True when all of them are there.
bool make_reorders(std::atomic<int>& arrived) {
  const dnnl::engine engine = make_engine();
  int expected = 0;
  try {
    for (const DType from : {DType::bf16, DType::i32, DType::i8, DType::u8}) {
      for (const DType to : {from, DType::f32}) {
        const Shape shape{2, 16, 3, 3};
        const MemoryDesc src = plain({from, shape}), dst = with_tag({to, shape}, Tag::nChw16c);
        expected += kThreads;
        for (++arrived; arrived < expected;) {
        }
        make_reorder(engine, src, dst);
      }
    }
  } catch (const dnnl::error&) {
    arrived = kThreads * 100;  // nobody waits
    return false;
  }
  return true;
}

// Leaves the process.
[[noreturn]] void make_reorders_side_by_side() {
  alarm(kSecondsAtMost);  // a map that two have written to may have no end
  std::atomic<int> arrived = 0, good = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] { good += static_cast<int>(make_reorders(arrived)); });
    }
  }
  // Not _exit(): what was freed twice is found on the way out.
  std::exit(good == kThreads ? 0 : 1);
}

}  // namespace

TEST_CASE("the first reorders of a process can be made by two threads at once") {
  // One in four processes breaks where they can't.
  int broken = 0;
  std::cout.flush();  // or each child prints it again
  for (int i = 0; i < 100; ++i) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) make_reorders_side_by_side();
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    broken += static_cast<int>(status != 0);
  }
  CHECK(broken == 0);
}

}  // namespace hourglass::kernels
