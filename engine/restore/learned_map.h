// A network as a map from a spoiled picture (degradation.h) and what the filter makes of it to a better picture, and
// its application to pictures of any size.
//
// What it is given, z [1, D, H, W], where C is 3 for Y Cb Cr or R G B, and 1 for luma alone:
//   C   the filtered planes, divided by kMapScale
//   C   the spoiled planes minus the filtered ones, divided by n
//   8   the pixel's place in its 8x8 block: cos and sin of the row's and of the column's phase, 2 pi (y mod 8) / 8;
//       and the same for a period of 16, which blocks of chroma have at half the resolution; zeros without blocks
//   1   how strong the degradation is: log2(MapConditions::strength) / 4 - 1, everywhere
//   1   n / kMapScale, everywhere
// n is MapConditions::noise, about the size of the errors that are to be undone. So a network that multiplies its
// correction by the last channel is equally good at small and at large ones. It makes [1, C, H, W], planes divided by
// kMapScale. A gray picture has zeros where a map of three planes wants the others.
#pragma once

#include <span>
#include <vector>

#include "engine/restore/degradation.h"
#include "engine/restore/network.h"
#include "engine/restore/task.h"
#include "engine/runtime/plan.h"
#include "engine/runtime/precision.h"
#include "graph/graph.h"

namespace hourglass {

inline constexpr float kMapScale = 64;  // grey levels
// Sides of what a map is given are multiples of this: the phases then begin anew, and networks may halve four times. Of
// one that halves more often they are multiples of 32, 64 or 128.
inline constexpr int64_t kMapMultiple = 16;

// D.
int64_t map_input_depth(int64_t channels);
// The last channel of z.
int64_t map_noise_channel(int64_t channels);
// Fills z, row-major. All planes have the same size; where there are blocks, their first pixel begins one.
void write_map_input(const std::vector<Plane>& degraded, const std::vector<Plane>& filtered,
                     const MapConditions& conditions, int64_t channels, std::span<float> z);

enum class PlaneColors : uint8_t { rgb, ycbcr };  // what three planes are

// Networks from an image to an image, [1, C, H, W] to the same, as maps: they are given the filtered picture, R G B or
// luma from 0 (black) to 1 (white), and make such a picture. Others stay as they are. The table must outlive it.
NetworkFactory as_map(NetworkFactory make, const OpTable& table, PlaneColors colors);

// How far a pixel of the result reaches into z, in pixels: from the windows of all nodes. Negative where a node looks
// at all of the picture, or nobody knows: then there are no tiles.
int64_t reach_of(const Graph& graph);

// The planes with their rows, their columns, or both in reverse order; with rows and columns exchanged.
std::vector<Plane> mirrored(const std::vector<Plane>& planes, bool rows, bool columns);
std::vector<Plane> transposed(const std::vector<Plane>& planes);

// A map's input and output.
struct MapValues {
  ValueId input, image;
  int64_t channels = 0;  // C
};
// Throws Error where the graph is no map for pictures of that size.
MapValues map_values(const Graph& graph, int64_t height, int64_t width);

struct MapOptions {
  int64_t tile = 512;  // side; a larger picture is cut into tiles that overlap
  int threads = 0;     // 0: all that are available
  Precision precision = Precision::f32;
  // The picture is given turned in eight ways, and the mean taken: eight times the work. In four where
  // not MapConditions::transposes.
  bool symmetries = false;
};

class LearnedMap {
 public:
  // make: networks from what stands above to one or three planes. weights: of each of the graph's parameters, as
  // Fit::weights() has them; empty: the graph's own values. The table must outlive this.
  LearnedMap(NetworkFactory make, const OpTable& table, std::vector<std::vector<float>> weights,
             const MapOptions& options);

  // What the network makes of the picture, to the same values as if it had been given all of it at once, within
  // rounding: tiles overlap by what a pixel reaches. degraded and filtered may have any size; of their planes, those
  // beyond the network's come back as filtered, and so do the tiles that are left where `advance` ends it early. Throws
  // Error where the network does not suit.
  [[nodiscard]] std::vector<Plane> apply(const std::vector<Plane>& degraded, const std::vector<Plane>& filtered,
                                         const MapConditions& conditions, const Advance& advance = {}) const;

  // What apply() to a picture of that size holds for the network, in bytes, planned on paper. Throws Error where the
  // network does not suit.
  [[nodiscard]] std::size_t planned_bytes(int64_t height, int64_t width) const;

 private:
  // How a picture is given to the network: filled up to height x width, in tiles of rows x columns that overlap by
  // twice the margin.
  struct Tiling {
    int64_t height = 0, width = 0, rows = 0, columns = 0, margin = 0;
  };
  [[nodiscard]] Tiling tiling_of(int64_t height, int64_t width) const;
  // The same without transposed pictures.
  [[nodiscard]] std::vector<Plane> apply_upright(const std::vector<Plane>& degraded, const std::vector<Plane>& filtered,
                                                 const MapConditions& conditions, const Advance& advance) const;

  NetworkFactory make_;
  const OpTable* table_;
  std::vector<std::vector<float>> weights_;
  MapOptions options_;
};

}  // namespace hourglass
