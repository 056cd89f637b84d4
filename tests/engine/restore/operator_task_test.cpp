// A degradation given as an ONNX file.
#include "engine/restore/operator_task.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/restore/restore.h"
#include "graph/error.h"
#include "graph/evaluate.h"
#include "graph/onnx_export.h"
#include "models/builder.h"
#include "ops/table.h"
#include "tests/graph/onnx_maker.h"

namespace hourglass::test {
namespace {

OnnxFile file_of(const Graph& graph, bool open = true) {
  return OnnxFile::parse(export_onnx(graph, {.dynamic_size = open}), "op.onnx");
}

Graph halving() {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId image = b.input("image", {DType::f32, Shape{1, 1, 8, 8}});
  graph.outputs = {b.add("AveragePool", {image}, {{"kernel_shape", Dims{2, 2}}, {"strides", Dims{2, 2}}})};
  return graph;
}

HostTensor picture(int64_t channels, int64_t height, int64_t width) {
  HostTensor image(DType::f32, Shape{1, channels, height, width});
  for (std::size_t i = 0; i < image.values.size(); ++i) {
    const auto x = static_cast<double>(i % static_cast<std::size_t>(width));
    const auto y = static_cast<double>(i / static_cast<std::size_t>(width));
    image.values[i] = 0.5 + 0.4 * std::sin(0.9 * x + 0.3 * y) * std::cos(0.2 * y);
  }
  return image;
}

Array measured(const Graph& op, const HostTensor& image) {
  const HostTensor made = evaluate(op, {{op.inputs[0], image}}, op.outputs)[0];
  return {.shape = made.shape.dims(), .values = {made.values.begin(), made.values.end()}};
}

std::string refusal(const OnnxFile& op, const Array& measurement, const OperatorTaskOptions& options = {}) {
  try {
    make_operator_task(op, op_table(), measurement, options);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("the energy and the PSNR are those of the operator's output") {
  const Graph blur = make_blur({.sigma = 0.8, .channels = 1}, 12, 16);
  const HostTensor original = picture(1, 12, 16);
  const auto task = make_operator_task(file_of(blur), op_table(), measured(blur, original), {});
  CHECK(task->baseline().width == 16);
  CHECK(task->baseline().height == 12);
  const std::vector<float> pixels(original.values.begin(), original.values.end());
  CHECK(task->psnr_degraded(pixels.data()) > 100);
  std::vector<float> lighter = pixels;
  for (float& value : lighter) value += 0.1F;
  CHECK(task->psnr_degraded(lighter.data()) == doctest::Approx(20).epsilon(1e-4));

  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId image = b.input("x", {DType::f32, original.shape});
  const ValueId loss = task->energy(b, image);
  HostTensor moved = original;
  for (double& value : moved.values) value += 0.1;
  CHECK(evaluate(graph, {{image, moved}}, {loss})[0].values[0] == doctest::Approx(0.01).epsilon(1e-5));
}

TEST_CASE("an operator's BatchNormalization takes the statistics that its file says") {
  // y = BatchNormalization(x) with scale 0.5, bias 0.1, running mean 0.3 and variance 2; or in training mode.
  const auto normalization = [](int opset, bool trains) {
    ModelMaker m(opset);
    m.input("x", {1, 1, -1, -1});
    for (const auto& [name, number] : {std::pair{"scale", 0.5F}, {"bias", 0.1F}, {"mean", 0.3F}, {"variance", 2.0F}}) {
      m.empty(name, {1}, onnx::TensorProto::FLOAT).add_float_data(number);
    }
    std::vector<std::string> outputs{"y"};
    if (trains) outputs.insert(outputs.end(), {"new_mean", "new_variance"});
    auto& node = m.node("BatchNormalization", {"x", "scale", "bias", "mean", "variance"}, outputs);
    ModelMaker::attr(node, "epsilon", 0.25F);
    if (opset >= 14) ModelMaker::attr(node, "training_mode", int64_t{trains});
    m.output("y");
    return OnnxFile::parse(m.bytes(), "op.onnx");
  };
  Image image(8, 6, 1);
  const HostTensor drawn = picture(1, 6, 8);
  image.pixels.assign(drawn.values.begin(), drawn.values.end());
  double sum = 0, squares = 0;
  for (const double value : drawn.values) sum += value, squares += value * value;
  const double mean = sum / 48, variance = squares / 48 - mean * mean;
  for (const int opset : {9, 15}) {
    for (const bool trains : {false, true}) {
      if (opset < 14 && trains) continue;  // said by outputs that newer files do not have
      CAPTURE(opset);
      CAPTURE(trains);
      const OnnxFile op = normalization(opset, trains);
      const Array made = measure(op, op_table(), image);
      const double center = trains ? mean : 0.3, spread = std::sqrt((trains ? variance : 2) + 0.25);
      for (std::size_t i = 0; i < made.values.size(); ++i) {
        CHECK(made.values[i] == doctest::Approx((drawn.values[i] - center) / spread * 0.5 + 0.1).epsilon(1e-5));
      }
      // The same operator is undone.
      CHECK(make_operator_task(op, op_table(), made, {})->psnr_degraded(image.pixels.data()) > 100);
    }
  }
}

TEST_CASE("the image's size follows from the measurement's") {
  const Graph half = halving();
  const Array measurement = measured(half, picture(1, 8, 8));
  const auto task = make_operator_task(file_of(half), op_table(), measurement, {});
  CHECK(task->baseline().width == 8);
  CHECK(task->baseline().pixels.front() == 0.5F);
  const auto odd = make_operator_task(file_of(half), op_table(), measurement, {.height = 9, .width = 8});
  CHECK(odd->baseline().height == 9);
}

TEST_CASE("a fit brings back what a blur took away") {
  const Graph blur = make_blur({.sigma = 1, .channels = 1}, 32, 32);
  const HostTensor original = picture(1, 32, 32);
  const auto task = make_operator_task(file_of(blur), op_table(), measured(blur, original), {});
  RestoreOptions options;
  options.iterations = 150;
  options.fit.input_noise = 0;
  Image sharp(32, 32, 1);
  sharp.pixels.assign(original.values.begin(), original.values.end());
  options.original = sharp;
  const auto network = [](int64_t height, int64_t width) {
    return make_skip({.channels = {8, 16}, .skips = {2, 2}, .input_depth = 3, .output_channels = 1}, height, width);
  };
  double first = 0, last = 0;
  restore(*task, network, op_table(), options, [&](const RestoreStep& step) {
    (step.iteration == 1 ? first : last) = step.psnr_degraded;
    return true;
  });
  CHECK(first < 20);
  CHECK(last > 26);
}

TEST_CASE("operators that are refused") {
  const auto says = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  const Graph half = halving();
  const Array measurement = measured(half, picture(1, 8, 8));
  CHECK(says(refusal(file_of(half), measurement, {.height = 20, .width = 8}),
             "of an image of 8x20, the operator makes 1x1x10x4; the measurement is 1x1x4x4"));
  CHECK(says(refusal(file_of(half), {.shape = {16}, .values = std::vector<float>(16)}), "says no image size: give it"));
  CHECK(says(refusal(file_of(make_skip({.channels = {4}, .skips = {0}, .input_depth = 3}, 8, 8)),
                     {.shape = {3, 8, 8}, .values = std::vector<float>(192)}),
             "a degradation must be known, give it as an initializer"));
  CHECK(says(refusal(file_of(make_skip({.channels = {4}, .skips = {0}, .input_depth = 2}, 8, 8)),
                     {.shape = {3, 8, 8}, .values = std::vector<float>(192)}),
             "takes an image of 2 channels"));
}

}  // namespace hourglass::test
