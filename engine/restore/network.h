// A network bound to an image: the canvas it needs, and a view of its output that is exactly the image.
//
// Hourglasses halve their input several times, so most sizes don't fit as they are. The canvas is the smallest one, at
// least the image's size, for which the network's output has the input's size. The image is its upper left corner:
// the energy sees only that part, so nothing has to be invented beyond the border, and nothing is ever cropped from
// the image.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/image/image.h"
#include "graph/graph.h"

namespace hourglass {

// Makes the network's graph for a canvas; throws Error when the size does not suit it.
using NetworkFactory = std::function<Graph(int64_t height, int64_t width)>;

struct Network {
  Graph graph;
  ValueId input;  // z
  ValueId image;  // [1, C, height, width], a Slice of the output where the canvas is larger
  int64_t canvas_height = 0, canvas_width = 0;
  int64_t multiple = 1;  // the canvas' sides are multiples of this
};

// Throws Error, with the network's own words, when no canvas up to 128 pixels larger suits; those alone when they are
// the same for every canvas, since then the size is not to blame.
Network bind_network(const NetworkFactory& make, const OpTable& table, int64_t height, int64_t width);

// The same for an image's size and channels: a colour network restores a gray image through its luma. Throws Error when
// the channels don't fit.
Network bind_network(const NetworkFactory& make, const OpTable& table, const Image& image);

}  // namespace hourglass
