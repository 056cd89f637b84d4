// A network as a map from a JPEG's pixels to a picture, and its application to pictures of any size.
//
// What it is given, z [1, D, H, W]:
//   C   the decoded planes (jpeg_pipeline.h), divided by kMapScale
//   C   the same planes filtered, where `filtered` is set
//   4   the pixel's place in its 8x8 block: cos and sin of the row's and of the column's phase, 2 pi (y mod 8) / 8
//   4   colour only: the same for a period of 16, which blocks of chroma have at half the resolution
//   1   how coarse the quantization is: log2(JpegPipeline::coarseness()) / 4 - 1, everywhere
// C is 1 for gray files, else 3. It makes [1, C, H, W], planes divided by kMapScale.
#pragma once

#include <span>
#include <vector>

#include "engine/restore/jpeg_pipeline.h"
#include "engine/restore/network.h"
#include "engine/runtime/plan.h"
#include "engine/runtime/precision.h"
#include "graph/graph.h"

namespace hourglass {

inline constexpr float kMapScale = 64;  // grey levels
// Sides of what a map is given are multiples of this: the phases then begin anew, and networks may halve four times.
inline constexpr int64_t kMapMultiple = 16;

// D.
int64_t map_input_depth(std::size_t planes, bool filtered);
// Fills z, row-major. All planes have the same size, whose first pixel begins a block; `filtered` may be empty. Throws
// Error when z has another size.
void write_map_input(const std::vector<Plane>& decoded, const std::vector<Plane>& filtered,
                     const JpegPipeline& pipeline, std::span<float> z);
// The network's answer.
std::vector<Plane> read_map_output(const float* image, std::size_t planes, int64_t height, int64_t width);

// How far a pixel of the result reaches into z, in pixels: from the windows of all nodes. Negative where a node looks
// at all of the picture, or nobody knows: then there are no tiles.
int64_t reach_of(const Graph& graph);

struct MapOptions {
  int64_t tile = 512;  // side; a larger picture is cut into tiles that overlap
  int threads = 0;     // 0: all that are available
  Precision precision = Precision::f32;
};

class LearnedMap {
 public:
  // `make` must suit the input as above. weights: of each of the graph's parameters, as Fit::weights() has them; empty:
  // the graph's own values. Throws Error when they don't fit. The table must outlive this.
  LearnedMap(NetworkFactory make, const OpTable& table, std::vector<std::vector<float>> weights,
             const MapOptions& options);

  // What the network makes of the picture, to the same values as if it had been given all of it at once, within
  // rounding: tiles overlap by what a pixel reaches. decoded and filtered as above, of any size.
  [[nodiscard]] std::vector<Plane> apply(const std::vector<Plane>& decoded, const std::vector<Plane>& filtered,
                                         const JpegPipeline& pipeline) const;

 private:
  NetworkFactory make_;
  const OpTable* table_;
  std::vector<std::vector<float>> weights_;
  MapOptions options_;
};

}  // namespace hourglass
