// Loop nests over K operands with strides: broadcasting, slicing, transposing and tiling are all "for each index, an
// offset into each operand". References walk element by element; kernels walk rows in parallel, after collapse().
//
//   StridedLoop<2> nest{.extents = dims, .strides = {src_strides, dst_strides}};
//   nest.for_each([&](const auto& at) { dst[at[1]] = src[at[0]]; });
#pragma once

#include <array>

#include "graph/shape.h"
#include "ops/loops/parallel.h"
#include "ops/memory/scratch_layout.h"

namespace hourglass::kernels {

template <std::size_t K>
struct StridedLoop {
  Dims extents;
  std::array<Dims, K> strides;  // in elements, one per extent
  std::array<int64_t, K> start{};

  using Offsets = std::array<int64_t, K>;

  [[nodiscard]] int64_t elements() const {
    int64_t product = 1;
    for (const int64_t extent : extents) product *= extent;
    return product;
  }

  // Merges neighbouring dimensions that every operand walks as one, and drops those of extent 1. At least one stays.
  void collapse() {
    StridedLoop out;
    out.start = start;
    for (std::size_t i = 0; i < extents.size(); ++i) {
      if (extents[i] == 1) continue;
      bool merges = !out.extents.empty();
      for (std::size_t k = 0; k < K && merges; ++k) merges = out.strides[k].back() == strides[k][i] * extents[i];
      if (!merges) out.extents.push_back(1);
      out.extents.back() *= extents[i];
      for (std::size_t k = 0; k < K; ++k) {
        if (merges) out.strides[k].pop_back();
        out.strides[k].push_back(strides[k][i]);
      }
    }
    if (out.extents.empty()) {
      out.extents = {1};
      for (Dims& s : out.strides) s = {0};
    }
    *this = std::move(out);
  }

  // Each element in order, on this thread: body(offsets).
  template <typename Body>
  void for_each(const Body& body) const {
    const int64_t count = elements();
    Dims index(extents.size(), 0);
    Offsets at = start;
    for (int64_t i = 0; i < count; ++i) {
      body(at);
      for (std::size_t d = extents.size(); d-- > 0;) {
        for (std::size_t k = 0; k < K; ++k) at[k] += strides[k][d];
        if (++index[d] < extents[d]) break;
        for (std::size_t k = 0; k < K; ++k) at[k] -= strides[k][d] * extents[d];
        index[d] = 0;
      }
    }
  }

  // Pieces of rows along the innermost dimension, in parallel: body(offsets, count). Element j of a piece is at
  // offsets[k] + j * step(k). Allocates nothing.
  template <typename Body>
  void for_rows(const Body& body) const {
    constexpr int64_t kPiece = 1 << 12;
    const std::size_t last = extents.size() - 1;
    const int64_t row = extents[last];
    if (row == 0) return;
    const int64_t pieces = (row + kPiece - 1) / kPiece;
    parallel_for(elements() / row * pieces, [&](int64_t i) {
      const int64_t begin = i % pieces * kPiece;
      int64_t rest = i / pieces;
      Offsets at = start;
      for (std::size_t k = 0; k < K; ++k) at[k] += strides[k][last] * begin;
      for (std::size_t d = last; d-- > 0;) {
        const int64_t index = rest % extents[d];
        rest /= extents[d];
        for (std::size_t k = 0; k < K; ++k) at[k] += strides[k][d] * index;
      }
      body(at, row - begin < kPiece ? row - begin : kPiece);
    });
  }
  [[nodiscard]] int64_t step(std::size_t k) const { return strides[k].back(); }
};

// Strides that walk `shape` as if it had `full`'s shape: 0 along broadcast dimensions.
Dims broadcast_strides(const Shape& shape, const Shape& full);

// Copies src, operand 0 of a collapsed nest, to dst, operand 1.
template <class T>
void copy_nest(const StridedLoop<2>& nest, const T* src, T* dst) {
  const int64_t src_step = nest.step(0), dst_step = nest.step(1);
  nest.for_rows([&](const auto& at, int64_t count) {
    const T* s = src + at[0];
    T* d = dst + at[1];
    if (src_step == 1 && dst_step == 1) {
      std::memcpy(d, s, static_cast<std::size_t>(count) * sizeof(T));
    } else if (src_step == 0 && dst_step == 1) {
      const T value = *s;
      for (int64_t j = 0; j < count; ++j) d[j] = value;
    } else {
      for (int64_t j = 0; j < count; ++j) d[j * dst_step] = s[j * src_step];
    }
  });
}

}  // namespace hourglass::kernels
