// Fitted networks as files: the statistics of normalisations, the input, and what a fit goes on from.
#include "engine/restore/fitted_network.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "engine/restore/draw_weights.h"
#include "engine/restore/energy.h"
#include "graph/error.h"
#include "graph/evaluate.h"
#include "graph/onnx_export.h"
#include "graph/onnx_import.h"
#include "models/builder.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

constexpr int64_t kSide = 32;

Image target() {
  Image image(kSide, kSide, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<float>(0.5 + 0.4 * std::sin(static_cast<double>(i) / 9));
  }
  return image;
}

Problem problem_of(Graph network) {
  const ValueId input = network.inputs.at(0), image = network.outputs.at(0);
  GraphBuilder builder(network, op_table());
  const ValueId loss = mse_energy(builder, image, target());
  return {.graph = std::move(network), .input = input, .image = image, .loss = loss};
}

FitOptions quiet_fit() {
  FitOptions options;
  options.threads = 1;
  options.input_noise = 0;
  return options;
}

double psnr_between(const std::vector<double>& a, const std::vector<float>& b) {
  double squares = 0;
  for (std::size_t i = 0; i < b.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return 10 * std::log10(static_cast<double>(b.size()) / squares);
}

const Node* find_node(const Graph& graph, std::string_view op) {
  const auto it = std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& n) { return n.op->name == op; });
  return it == graph.nodes.end() ? nullptr : &*it;
}

Graph skip() { return make_skip({.channels = {6, 8}, .skips = {2, 0}, .input_depth = 3}, kSide, kSide); }

// After a few iterations.
FittedNetwork fit(const Graph& network, const FitOptions& options, std::vector<float>* next_image = nullptr) {
  Fit fit(problem_of(network), op_table(), options);
  for (int i = 0; i < 5; ++i) fit.step();
  FittedNetwork fitted = fitted_network(network, fitted_weights(fit), op_table(), 1);
  if (next_image != nullptr) {
    fit.step();  // its image is computed before the update
    next_image->assign(fit.image(), fit.image() + fit.average().size());
  }
  return fitted;
}

TEST_CASE("a fitted network shows what the fit's next iteration shows") {
  std::vector<float> next;
  const FittedNetwork fitted = fit(skip(), quiet_fit(), &next);
  REQUIRE(fitted.image.size() == next.size());
  CHECK(psnr_between({fitted.image.begin(), fitted.image.end()}, next) > 90);
}

TEST_CASE("with its file and its own input, as a function that needs no training, the image is the same") {
  for (const bool fits_input : {false, true}) {
    CAPTURE(fits_input);
    FitOptions options = quiet_fit();
    options.optimize_input = fits_input;
    const FittedNetwork fitted = fit(skip(), options);
    const std::string bytes = export_onnx(fitted.graph);
    const Graph read = import_onnx(bytes, "fitted.onnx", op_table(), {.fixed = true}).graph;
    REQUIRE(read.value(read.inputs[0]).data != nullptr);
    const HostTensor image = evaluate(read, {{read.inputs[0], *read.value(read.inputs[0]).data}}, read.outputs).front();
    CHECK(psnr_between(image.values, fitted.image) > 90);
    // The statistics are those of z, and no others': BatchNormalization brings them.
    CHECK(find_node(read, "BatchNormalization") == nullptr);
  }
}

TEST_CASE("a fit goes on from the file where the first one ended") {
  const FittedNetwork fitted = fit(skip(), quiet_fit());
  const Graph read = import_onnx(export_onnx(fitted.graph), "fitted.onnx", op_table()).graph;
  CHECK(find_node(read, "BatchNormalization") != nullptr);
  CHECK(read.parameters().size() == skip().parameters().size());
  FitOptions other_seed = quiet_fit();
  other_seed.seed = 99;
  Fit again(problem_of(read), op_table(), other_seed);
  again.step();
  CHECK(psnr_between({fitted.image.begin(), fitted.image.end()},
                     {again.image(), again.image() + again.average().size()}) > 90);
}

TEST_CASE("weights that are drawn again depend on the seed, as those of a topology do") {
  const FittedNetwork fitted = fit(skip(), quiet_fit());
  Graph read = import_onnx(export_onnx(fitted.graph), "fitted.onnx", op_table()).graph;
  CHECK(draw_weights(read).empty());
  CHECK(read.value(read.inputs[0]).data == nullptr);
  const Graph drawn = skip();
  std::vector<ValueId> before = drawn.parameters(), after = read.parameters();
  REQUIRE(before.size() == after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    const Value& a = drawn.value(before[i]);
    const Value& b = read.value(read.find(a.name));
    CAPTURE(a.name);
    if (a.init.low < a.init.high) {
      CHECK(b.data == nullptr);
      CHECK(b.init.high == doctest::Approx(a.init.high));
      CHECK(b.init.low == doctest::Approx(a.init.low));
    } else {
      REQUIRE(b.data != nullptr);
      CHECK(b.data->values == std::vector<double>(b.data->values.size(), a.init.low));
    }
  }
}

TEST_CASE("a linear layer's weights are drawn by how many inputs it has, also where they are stored transposed") {
  for (const bool transposed : {false, true}) {
    Graph graph;
    GraphBuilder b(graph, op_table());
    const ValueId z = b.input("z", {DType::f32, Shape{1, 4}});
    const Shape shape = transposed ? Shape{64, 4} : Shape{4, 64};
    const auto values = std::make_shared<const HostTensor>(DType::f32, shape);
    const ValueId weights = b.parameter("weights", {DType::f32, shape}, {}, values);
    graph.outputs = {b.add("MatMul", {z, weights}, {{"trans_b", int64_t{transposed}}})};
    CHECK(draw_weights(graph).empty());
    CHECK(graph.value(weights).init.high == doctest::Approx(0.5));
  }
}

TEST_CASE("weights that do not fit or are no numbers are refused") {
  const Graph network = skip();
  Fit fit(problem_of(network), op_table(), quiet_fit());
  FittedWeights weights = fitted_weights(fit);
  FittedWeights fewer = weights;
  fewer.parameters.pop_back();
  CHECK_THROWS_AS(fitted_network(network, fewer, op_table(), 1), Error);
  weights.parameters[0][0] = std::nanf("");
  CHECK_THROWS_AS(fitted_network(network, weights, op_table(), 1), Error);
}

}  // namespace
}  // namespace hourglass::test
