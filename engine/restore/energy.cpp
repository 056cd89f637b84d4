#include "engine/restore/energy.h"

#include <numeric>

#include "graph/error.h"

namespace hourglass {
namespace {

ValueId sum_of_squares(GraphBuilder& b, ValueId x) {
  return b.add("ReduceSumSquare", {x}, {{"keepdims", int64_t{0}}}, "energy/sum");
}

ValueId scaled(GraphBuilder& b, ValueId x, double factor) {
  return b.add("Mul", {x, b.constant(HostTensor::scalar(DType::f32, factor), "energy/scale")}, {}, "energy");
}

// An image of any channels as [1, C, H, W].
ValueId constant_of(GraphBuilder& b, const Image& image, const std::string& name) {
  const Shape shape{1, image.channels, image.height, image.width};
  return b.constant({DType::f32, shape, {image.pixels.begin(), image.pixels.end()}}, name);
}

ValueId difference_to(GraphBuilder& b, ValueId image, const Image& target) {
  const int64_t channels = b.graph().shape(image)[1];
  if (channels != target.channels) {
    fail("the network makes {} channels, the image has {}: use a network with {} output channels", channels,
         target.channels, target.channels);
  }
  return b.add("Sub", {image, constant_of(b, target, "x0")}, {}, "energy/difference");
}

}  // namespace

ValueId mean_of_squares(GraphBuilder& b, ValueId x) {
  return scaled(b, sum_of_squares(b, x), 1.0 / static_cast<double>(b.graph().shape(x).elements()));
}

ValueId mse_energy(GraphBuilder& b, ValueId image, const Image& target) {
  return mean_of_squares(b, difference_to(b, image, target));
}

Problem mse_problem(Network network, const OpTable& table, const Image& target) {
  GraphBuilder builder(network.graph, table);
  const ValueId loss = mse_energy(builder, network.image, target);
  return {.graph = std::move(network.graph), .input = network.input, .image = network.image, .loss = loss};
}

ValueId masked_mse_energy(GraphBuilder& b, ValueId image, const Image& target, const Image& known) {
  const ValueId difference = difference_to(b, image, target);
  const ValueId masked = b.add("Mul", {difference, constant_of(b, known, "known")}, {}, "energy/masked");
  const double count = std::accumulate(known.pixels.begin(), known.pixels.end(), 0.0) * target.channels;
  return scaled(b, sum_of_squares(b, masked), 1.0 / count);
}

ValueId blended_energy(GraphBuilder& builder, ValueId a, ValueId b, double weight) {
  return builder.add("Add", {scaled(builder, a, 1 - weight), scaled(builder, b, weight)}, {}, "energy/blend");
}

ValueId with_total_variation(GraphBuilder& b, ValueId energy, ValueId image, double lambda) {
  const Shape shape = b.graph().shape(image);
  ValueId total = energy;
  for (const int64_t axis : {3, 2}) {
    const int64_t length = shape[static_cast<std::size_t>(axis)];
    if (length < 2) continue;
    const auto part = [&](int64_t from, int64_t to) {
      return b.add("Slice", {image}, {{"starts", Dims{from}}, {"ends", Dims{to}}, {"axes", Dims{axis}}}, "tv/part");
    };
    const ValueId difference = b.add("Sub", {part(1, length), part(0, length - 1)}, {}, "tv/difference");
    const ValueId sum = b.add("ReduceL1", {difference}, {{"keepdims", int64_t{0}}}, "tv/sum");
    total = b.add("Add", {total, scaled(b, sum, lambda / static_cast<double>(shape.elements()))}, {}, "tv/total");
  }
  return total;
}

ValueId cell_energy(GraphBuilder& b, ValueId image, const JpegModel& model, double half_width) {
  ValueId total = kNoValue;
  double count = 0;
  const std::vector<ValueId> coefficients = model.coefficients(b, image);
  for (std::size_t i = 0; i < coefficients.size(); ++i) {
    const ValueId centre = b.constant(model.centres(i), "energy/centres");
    ValueId distance = b.add("Sub", {coefficients[i], centre}, {}, "energy/offset");
    const bool is_complete = model.file().components[i].bits.is_complete();
    if (half_width > 0 || !is_complete) {
      // What lies beyond one step around the middle is open.
      HostTensor half = model.widths(i), minus_half = half;
      for (std::size_t at = 0; at < half.values.size(); ++at) {
        const double step = is_complete ? half.values[at] : model.step(i, at);
        half.values[at] = half_width * step + (half.values[at] - step) / 2;
        minus_half.values[at] = -half.values[at];
      }
      const ValueId inside =
          b.add("Max",
                {b.add("Min", {distance, b.constant(std::move(half), "energy/half_width")}, {}, "energy/min"),
                 b.constant(std::move(minus_half), "energy/half_width")},
                {}, "energy/max");
      distance = b.add("Sub", {distance, inside}, {}, "energy/distance");
    }
    const ValueId sum = sum_of_squares(b, distance);
    total = total.valid() ? b.add("Add", {total, sum}, {}, "energy/total") : sum;
    count += static_cast<double>(b.graph().shape(coefficients[i]).elements());
  }
  return scaled(b, total, 1.0 / (255.0 * 255.0 * count));
}

}  // namespace hourglass
