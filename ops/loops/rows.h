// Rows of elements: to = value, to += from, to += factor * from, and the sum of several parts' sums.
#pragma once

#include <cstdint>

#include "ops/loops/clones.h"
#include "ops/loops/element.h"

namespace hourglass::kernels {

template <class To>
HG_CLONES void fill_run(To* to, int64_t count, float value) {
  for (int64_t i = 0; i < count; ++i) store(to + i, value);
}

template <class From, class To>
HG_CLONES void add_run(const From* from, To* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) store(to + i, load(to + i) + load(from + i));
}

template <class From, class To>
HG_CLONES void add_scaled(const From* from, float factor, int64_t count, To* to) {
  for (int64_t i = 0; i < count; ++i) store(to + i, load(to + i) + factor * load(from + i));
}

// Adds the sums of parts 1, 2, ... to those of part 0; they are `stride` elements apart. A template, like all functions
// here, so that it may stand in a header.
template <class T>
HG_CLONES void add_parts(T* sums, int64_t count, int64_t stride, int64_t parts) {
  for (int64_t part = 1; part < parts; ++part) {
    const T* from = sums + part * stride;
    for (int64_t i = 0; i < count; ++i) store(sums + i, load(sums + i) + load(from + i));
  }
}

}  // namespace hourglass::kernels
