#include "engine/restore/operator_task.h"

#include <algorithm>
#include <optional>

#include "engine/restore/energy.h"
#include "engine/restore/pixel_psnr.h"
#include "engine/runtime/plan.h"
#include "graph/error.h"
#include "graph/op.h"
#include "graph/text.h"

namespace hourglass {
namespace {

Dims without_leading_ones(const Dims& dims) {
  return {std::find_if(dims.begin(), dims.end(), [](int64_t extent) { return extent != 1; }), dims.end()};
}

// The file for one size.
Graph fixed_operator(const OnnxFile& file, const OpTable& table, int64_t height, int64_t width,
                     const std::string& output) {
  Graph graph = file.bind(table, {.height = height, .width = width, .fixed = true, .output = output}).graph;
  if (graph.outputs.size() != 1) {
    fail("the operator has {} outputs, '{}': say by --degradation-output NAME which one is the measurement",
         graph.outputs.size(), join(file.output_names(), "', '"));
  }
  if (const std::vector<ValueId> drawn = graph.parameters(); !drawn.empty()) {
    fail("the operator draws '{}' at random: a degradation must be known, give it as an initializer",
         graph.value(drawn.front()).name);
  }
  if (graph.value(graph.outputs[0]).kind != ValueKind::computed) fail("the operator does not read the image");
  return graph;
}

class OperatorTask : public Task {
 public:
  OperatorTask(Graph op, const Array& measurement)
      : op_(std::move(op)), measurement_(measurement.values), plan_(op_, {}) {
    const Shape &image = op_.shape(op_.inputs[0]), &made = op_.shape(op_.outputs[0]);
    baseline_ = Image(image[3], image[2], static_cast<int>(image[1]));
    // A measurement that is no image of that size says nothing by itself: grey.
    if (image == made) {
      baseline_.pixels = measurement_;
      clamp(baseline_);
    } else {
      std::fill(baseline_.pixels.begin(), baseline_.pixels.end(), 0.5F);
    }
  }

  [[nodiscard]] const Image& baseline() const override { return baseline_; }

  ValueId energy(GraphBuilder& builder, ValueId image) const override {
    const ValueId made = builder.append(op_, image, "degradation/");
    const Shape shape = builder.graph().shape(made);
    const ValueId target =
        builder.constant({DType::f32, shape, {measurement_.begin(), measurement_.end()}}, "measurement");
    const ValueId difference = builder.add("Sub", {made, target}, {}, "energy/difference");
    return mean_of_squares(builder, difference);
  }

  [[nodiscard]] double psnr_degraded(const float* image) const override {
    plan_.write(op_.inputs[0], {image, image + baseline_.pixels.size()});
    plan_.run();
    const auto count = static_cast<int64_t>(measurement_.size());
    return psnr_of_mse(squared_distance(plan_.output(op_.outputs[0]), measurement_.data(), count) /
                       static_cast<double>(count));
  }

 private:
  Graph op_;
  std::vector<float> measurement_;
  Image baseline_;
  mutable Plan plan_;  // of the operator alone, which keeps nothing from run to run
};

}  // namespace

std::unique_ptr<Task> make_operator_task(const OnnxFile& op, const OpTable& table, const Array& measurement,
                                         const OperatorTaskOptions& options) {
  const ImageInput input = op.image_input();
  if (input.channels != 1 && input.channels != 3) {
    fail("the operator takes an image of {} channels, expected 1 (gray) or 3 (RGB)", input.channels);
  }
  const Dims wanted = without_leading_ones(measurement.shape);
  const Dims& shape = measurement.shape;
  if (shape.size() < 2 && (options.height == 0 || options.width == 0) && (input.height == 0 || input.width == 0)) {
    fail("the measurement has {} dimension, which says no image size: give it", shape.size());
  }
  std::optional<Error> reason;
  for (const int64_t factor : {1, 2, 3, 4, 8}) {
    const auto side = [&](int64_t fixed, int64_t asked, std::size_t from_back) {
      return fixed != 0 ? fixed : asked != 0 ? asked : factor * shape[shape.size() - from_back];
    };
    const int64_t height = side(input.height, options.height, 2), width = side(input.width, options.width, 1);
    try {
      Graph graph = fixed_operator(op, table, height, width, options.output);
      const Shape& made = graph.shape(graph.outputs[0]);
      if (without_leading_ones(made.dims()) == wanted) {
        return std::make_unique<OperatorTask>(std::move(graph), measurement);
      }
      if (!reason) {
        reason = Error(fmt::format("of an image of {}x{}, the operator makes {}; the measurement is {}", width, height,
                                   made, Shape(measurement.shape)));
      }
    } catch (const Error& error) {
      if (!reason) reason = error;
    }
  }
  throw *reason;
}

Array measure(const OnnxFile& op, const OpTable& table, const Image& image, const std::string& output) {
  const ImageInput input = op.image_input();
  if (input.channels != image.channels) {
    fail("the operator takes an image of {} channels, this one has {}", input.channels, image.channels);
  }
  const Graph graph = fixed_operator(op, table, image.height, image.width, output);
  Plan plan(graph, {});
  plan.write(graph.inputs[0], image.pixels);
  plan.run();
  const Shape& shape = graph.shape(graph.outputs[0]);
  const float* made = plan.output(graph.outputs[0]);
  return {.shape = shape.dims(), .values = {made, made + shape.elements()}};
}

}  // namespace hourglass
