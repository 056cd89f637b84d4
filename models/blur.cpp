#include <cmath>

#include "graph/error.h"
#include "models/builder.h"
#include "ops/table.h"

namespace hourglass {

Graph make_blur(const BlurOptions& o, int64_t height, int64_t width) {
  constexpr double kLargestSigma = 64;
  if (!(o.sigma > 0) || o.sigma > kLargestSigma)
    fail("sigma is {}, it must be above 0 and at most {}", o.sigma, kLargestSigma);
  if (o.channels != 1 && o.channels != 3) fail("channels is {}, it must be 1 or 3", o.channels);
  // Beyond three standard deviations there is 0.3 % of it, which the rest takes over.
  const auto radius = static_cast<int64_t>(std::ceil(3 * o.sigma));
  const int64_t taps = 2 * radius + 1;
  std::vector<double> line;
  double sum = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    line.push_back(std::exp(-static_cast<double>(i * i) / (2 * o.sigma * o.sigma)));
    sum += line.back();
  }
  HostTensor filter(DType::f32, Shape{o.channels, 1, taps, taps});
  for (int64_t i = 0; i < filter.shape.elements(); ++i) {
    filter.values[static_cast<std::size_t>(i)] =
        line[static_cast<std::size_t>(i / taps % taps)] * line[static_cast<std::size_t>(i % taps)] / (sum * sum);
  }
  Graph graph;
  graph.name = "blur";
  GraphBuilder b(graph, op_table());
  const ValueId image = b.input("image", {DType::f32, Shape{1, o.channels, height, width}});
  const ValueId padded =
      b.add("Pad", {image}, {{"mode", "edge"}, {"pads", Dims{0, 0, radius, radius, 0, 0, radius, radius}}}, "blur/pad");
  const ValueId made = b.add("Conv", {padded, b.constant(std::move(filter), "blur/filter")},
                             {{"kernel_shape", Dims{taps, taps}}, {"group", o.channels}}, "blur");
  graph.value(made).name = "measurement";
  graph.outputs = {made};
  return graph;
}

}  // namespace hourglass
