// How a normalisation walks over a tensor: which threads take which chunks of it, and in which order. Both directions
// are two passes over memory (sums, then an elementwise map) and bound by its bandwidth. Channels don't mix, so both
// passes run channel group by channel group, and the second finds its data in the cache.
#pragma once

#include <algorithm>
#include <cstdint>

#include <omp.h>

#include "ops/loops/parallel.h"
#include "ops/memory/view.h"
#include "ops/normalization/rows.h"

namespace hourglass::kernels {

// Elements of a chunk, about: enough that folding its sums, once per chunk and channel, costs nothing; few enough that
// float sums of them are good to six digits, and that two arrays of them stay in a second-level cache.
constexpr int64_t kChunk = 16384;
// Below this many elements a second thread costs more than it brings.
constexpr int64_t kSerial = 16384;
// A channel group of at most kOwnBytes, all arrays together, is one thread's work if there are enough groups: it needs
// no barrier. Other groups are cut into chunks that all threads share, a batch of groups of kBatchBytes at a time. Both
// keep the working set of all threads in a cache of 8 MB or more for the second pass.
constexpr int64_t kOwnBytes = 4 << 20;
constexpr int64_t kBatchBytes = 8 << 20;

// How a tensor is cut. Parts and splits are fixed in plan(), so the sums don't depend on which thread takes which.
struct NormalizationWalk {
  View v;
  int64_t rows, row_pixels;      // of a channel group of one image; one row where the plane is dense
  int64_t chunk_pixels, chunks;  // pixels in a chunk, and chunks in a row
  int64_t period;                // of the coefficient vectors
  int64_t workers;               // threads, or 1 where that is enough
  int64_t parts;                 // into which shared work is cut
  int64_t splits;                // sets of sums for a group: 1 (one thread's work) or `parts`
  int64_t batch;                 // groups at a time

  NormalizationWalk(const View& view, int64_t bytes_per_element) : v(view) {
    const bool dense = v.stride_h == v.w * v.block;
    rows = dense ? 1 : v.h;
    row_pixels = dense ? v.h * v.w : v.w;
    period = loop_period(v.block);
    const int64_t group_elements = v.n * v.h * v.w * v.block;
    // Two chunks a thread at least, where the image is large enough to be shared.
    const int64_t share = group_elements / (2 * omp_get_max_threads());
    chunk_pixels = period * std::max<int64_t>(8, std::min(kChunk, share) / period) / v.block;
    chunks = (row_pixels + chunk_pixels - 1) / chunk_pixels;
    const int64_t group_bytes = std::max<int64_t>(group_elements * bytes_per_element, 1);
    workers = group_elements * v.groups < kSerial ? 1 : omp_get_max_threads();
    parts = workers == 1 ? 1 : kPartsPerThread * workers;
    const bool even = v.groups % workers == 0 || v.groups >= 8 * workers;
    splits = even && group_bytes <= kOwnBytes ? 1 : parts;
    batch = std::max<int64_t>(1, kBatchBytes / group_bytes);
  }
  [[nodiscard]] int64_t chunk_elements() const { return chunk_pixels * v.block; }  // at most
  [[nodiscard]] int64_t channels() const { return v.groups * v.block; }            // padding included
  [[nodiscard]] double count() const { return static_cast<double>(v.n * v.h * v.w); }

  // fn(group, offset, pixels) for each chunk of one split of groups [first, last).
  template <typename Function>
  void for_chunks(int64_t split, int64_t first, int64_t last, const Function& fn) const {
    for_share(split, splits, first, last, fn);
  }
  // The same for one of `shares` shares of equal size.
  template <typename Function>
  void for_share(int64_t share, int64_t shares, int64_t first, int64_t last, const Function& fn) const {
    const int64_t per_group = v.n * rows * chunks;
    const int64_t total = (last - first) * per_group;
    for (int64_t i = total * share / shares; i < total * (share + 1) / shares; ++i) {
      const int64_t group = first + i / per_group;
      const int64_t chunk = i % chunks, row = i / chunks % rows, n = i / chunks / rows % v.n;
      const int64_t begin = chunk * chunk_pixels;
      fn(group, v.offset(n, group, row, 0) + begin * v.block, std::min(chunk_pixels, row_pixels - begin));
    }
  }

  // fn(worker, part) for all parts; a worker is a thread, and has one part at a time.
  template <typename Function>
  void for_parts(const Function& fn) const {
    if (workers == 1) return fn(0, 0);
    parallel_parts(parts, [&](int64_t worker, const auto& take) {
      for (int64_t part = take(); part >= 0; part = take()) fn(worker, part);
    });
  }

  // For batches [first, last) of groups: reduce(worker, split, first, last) for every split, then finish(first, last)
  // once, then apply(worker, split, first, last) for every split.
  template <typename Reduce, typename Finish, typename Apply>
  void run(const Reduce& reduce, const Finish& finish, const Apply& apply) const {
    if (splits == 1) {
      parallel_for(workers, [&](int64_t worker) {
        for (int64_t group = v.groups * worker / workers; group < v.groups * (worker + 1) / workers; ++group) {
          reduce(worker, 0, group, group + 1);
          finish(group, group + 1);
          apply(worker, 0, group, group + 1);
        }
      });
      return;
    }
    for (int64_t first = 0; first < v.groups; first += batch) {
      const int64_t last = std::min(first + batch, v.groups);
      for_parts([&](int64_t worker, int64_t split) { reduce(worker, split, first, last); });
      finish(first, last);
      for_parts([&](int64_t worker, int64_t split) { apply(worker, split, first, last); });
    }
  }
};

// Makes chunks so small that another array of them in f32 stays in a first-level cache.
void cut_finer(NormalizationWalk& walk);
// Gives two channels-last walks over the same pixels the same chunks, so that both can be processed chunk by chunk.
void cut_alike(NormalizationWalk& a, NormalizationWalk& b);

// What is normalised, and where its counterpart lies: forward the result, backward diff_dst.
struct Normalization {
  NormalizationWalk walk;
  float alpha = 1;
  // The counterpart may be a slice of the channels of a channels-last image: its pixels have `stride` elements, of
  // which those from `first` on belong to this normalisation. stride 0: it lies as the walk's own tensor does.
  int64_t stride = 0, first = 0;

  [[nodiscard]] bool is_slice() const { return stride != 0; }
  // Whether the loops can step over the other channels of a slice: then a pixel of the slice is a period of theirs.
  [[nodiscard]] bool is_direct() const { return !is_slice() || walk.period == walk.v.block; }
  // Scratch memory, for elements of `element_bytes`.
  [[nodiscard]] std::size_t scratch_bytes(std::size_t element_bytes) const;

  // The normalisation of the channels-last `slice`, whose counterpart are the channels from `first` on of an image of
  // `channels`. bytes_per_element is the walk's.
  static Normalization slice(const View& slice, int64_t bytes_per_element, float alpha, int64_t channels,
                             int64_t first) {
    Normalization n{.walk = {slice, bytes_per_element}, .alpha = alpha, .stride = channels, .first = first};
    // Whole vectors: the loops step from pixel to pixel of the image.
    if (slice.block % 16 == 0) n.walk.period = slice.block;
    return n;
  }
};

}  // namespace hourglass::kernels
