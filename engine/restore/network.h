// A network bound to an image: the input that it needs, and a view of its output that is exactly the image.
//
// The input is noise and may have any size. It gets the smallest one for which the network's output, the canvas, covers
// the image, whose upper left corner the image is: the energy sees only that part, so nothing has to be invented beyond
// the border, and nothing is ever cropped from the image.
//
// Of most networks the output has the input's size. Hourglasses halve it several times, so most sizes don't fit as they
// are, and multiples of 2, 4, 8, ... are tried. Others make an output of k times the input's size (generators, Deep
// Decoder, super-resolution), or a border smaller or larger (convolutions without padding): k and the border are read
// off the first size that can be bound.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/image/image.h"
#include "graph/graph.h"

namespace hourglass {

class OnnxFile;

// Makes the network's graph for an input of that size; throws Error when the size does not suit it.
using NetworkFactory = std::function<Graph(int64_t height, int64_t width)>;

// Of an ONNX file, with the weights that it brings, and of one of its outputs where there are several. What the
// importer has to say of the size made last goes to *notes, where they are wanted. The table and the notes must outlive
// it.
NetworkFactory network_of(const OnnxFile& file, const OpTable& table, const std::string& output = {},
                          std::vector<std::string>* notes = nullptr);

// The sides of the input that a file fixes; 0: any.
struct FixedSides {
  int64_t height = 0, width = 0;
};

struct Network {
  Graph graph;
  ValueId input;  // z
  ValueId image;  // [1, C, height, width], a Slice of the output where the canvas is larger
  int64_t canvas_height = 0, canvas_width = 0;
  int64_t multiple = 1;  // the input's sides are multiples of this, those that are not fixed
};

// Throws Error, with the network's own words, when no input that makes a canvas up to 128 pixels larger than the image
// suits, or of up to 512 pixels; those alone when they are the same for every size, since then it is not to blame.
Network bind_network(const NetworkFactory& make, const OpTable& table, int64_t height, int64_t width,
                     const FixedSides& fixed = {});

// Lets a network make an image of that many channels: a colour one makes a gray image by its luma. Throws Error when
// the channels don't fit.
void adapt_channels(Network& network, const OpTable& table, int channels);

// Both, for an image's size and channels.
Network bind_network(const NetworkFactory& make, const OpTable& table, const Image& image,
                     const FixedSides& fixed = {});

}  // namespace hourglass
