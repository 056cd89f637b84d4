// HG_CLONES: run-time choice of the instruction set for row loops in plain C++ (function multiversioning).
//
// The build is portable (no -march=native). Inner loops over a row are marked HG_CLONES: the compiler makes one version
// for each of x86-64-v4, -v3 and the baseline, and the loader picks the best for the CPU at hand. The parallel loop
// stands outside:
//
//   template <class T> HG_CLONES void scale_row(const T* src, T* dst, int64_t count, float factor) {
//     for (int64_t i = 0; i < count; ++i) store(dst + i, load(src + i) * factor);
//   }
//   parallel_for(rows, [&](int64_t row) { scale_row(...); });
//
// Lambdas and OpenMP regions are not cloned, so the arithmetic must be in the marked function.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define HG_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HG_CLONES
#endif
