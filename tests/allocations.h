// Counts what a program allocates. One source file of a program may include this: it defines operator new and delete.
//
//   CHECK(allocations([&] { kernel->run(); }) == 0);
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_THREAD__)
#define HOURGLASS_TSAN 1
#elif defined(__has_feature)
#define HOURGLASS_TSAN __has_feature(thread_sanitizer)
#else
#define HOURGLASS_TSAN 0
#endif

namespace hourglass::test {

// Otherwise there are none, whatever is allocated.
inline constexpr bool kCountsAllocations = !HOURGLASS_TSAN;

inline std::atomic<std::size_t> smallest_counted{0};  // bytes
inline std::atomic<bool> counting{false};
inline std::atomic<int> counted{0};

// Made by all threads while `work` runs, of at least so many bytes each.
template <typename Work>
int allocations(const Work& work, std::size_t at_least = 0) {
  smallest_counted = at_least;
  counted = 0;
  counting = true;
  if (!kCountsAllocations) std::fputs("allocations are not counted: operator new is ThreadSanitizer's\n", stderr);
  work();
  counting = false;
  return counted;
}

inline void* allocate(std::size_t bytes, std::size_t alignment) {
  if (counting && bytes >= smallest_counted) ++counted;
  void* memory = alignment <= alignof(std::max_align_t)
                     ? std::malloc(bytes)
                     : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace hourglass::test

#if !HOURGLASS_TSAN
// Not inlined: GCC would compare the two sides of what it sees of one pair only.
[[gnu::noinline]] void* operator new(std::size_t bytes) { return hourglass::test::allocate(bytes, 0); }
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return hourglass::test::allocate(bytes, 0); }
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return hourglass::test::allocate(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif
