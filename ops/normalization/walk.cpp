#include "ops/normalization/walk.h"

#include <numeric>

#include "ops/normalization/scratch.h"

namespace hourglass::kernels {

std::size_t Normalization::scratch_bytes(std::size_t element_bytes) const {
  const int64_t chunks = is_direct() ? 0 : walk.workers * walk.chunk_elements();
  return Scratch::bytes(walk) + static_cast<std::size_t>(chunks) * element_bytes;
}

void cut_finer(NormalizationWalk& walk) {
  constexpr int64_t kPieces = 4;
  const int64_t grain = walk.period / walk.v.block;
  walk.chunk_pixels = std::max(grain, walk.chunk_pixels / kPieces / grain * grain);
  walk.chunks = (walk.row_pixels + walk.chunk_pixels - 1) / walk.chunk_pixels;
}

void cut_alike(NormalizationWalk& a, NormalizationWalk& b) {
  const int64_t grain = std::lcm(a.period / a.v.block, b.period / b.v.block);
  const int64_t pixels = std::max(grain, std::min(a.chunk_pixels, b.chunk_pixels) / grain * grain);
  const int64_t workers = std::max(a.workers, b.workers), parts = std::max(a.parts, b.parts),
                splits = std::max(a.splits, b.splits);
  for (NormalizationWalk* walk : {&a, &b}) {
    walk->chunk_pixels = pixels;
    walk->chunks = (walk->row_pixels + pixels - 1) / pixels;
    walk->workers = workers;
    walk->parts = parts;
    walk->splits = splits;
  }
}

}  // namespace hourglass::kernels
