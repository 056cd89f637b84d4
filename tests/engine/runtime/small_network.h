// Small training graphs with one thing in their middle, by references, by differences of the loss, and by kernels.
//
//   check(network_with([](Builder& b, ValueId h) { return b.add("Relu", {h}); }));
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>

#include "engine/runtime/compile.h"
#include "graph/autodiff.h"
#include "graph/evaluate.h"
#include "ops/loops/element.h"
#include "ops/table.h"

namespace hourglass::test {

inline constexpr int64_t kSize = 10, kChannels = 8;

inline HostTensor drawn(const Shape& shape, unsigned seed) {
  HostTensor tensor(DType::f32, shape);
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (double& value : tensor.values) value = uniform(random);
  return tensor;
}

struct Network {
  Graph graph;
  ValueId input, image, loss;

  [[nodiscard]] std::map<ValueId, HostTensor> given() const {
    std::map<ValueId, HostTensor> result{{input, drawn(graph.shape(input), 1)}};
    unsigned seed = 2;
    for (const ValueId id : graph.parameters()) {
      result[id] = drawn(graph.shape(id), seed++);
      for (double& value : result[id].values) value *= 0.2;
    }
    return result;
  }
};

class Builder {
 public:
  explicit Builder(Network& network) : b(network.graph, op_table()), network_(network) {}
  GraphBuilder b;

  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attrs attrs = {}) {
    return b.add(op, std::move(inputs), std::move(attrs));
  }
  ValueId number(double value) { return b.constant(HostTensor::scalar(DType::f32, value)); }
  ValueId parameter(const Shape& shape) { return b.parameter("p", {DType::f32, shape}, {}); }
  ValueId input() { return network_.input = b.input("z", {DType::f32, Shape{1, 3, kSize, kSize}}); }
  ValueId conv(ValueId src, int64_t channels, int64_t filter) {
    const Shape weights{channels, b.graph().shape(src)[1], filter, filter};
    return add("Conv", {src, parameter(weights)}, {{"pads", Dims(4, filter / 2)}});
  }
  void finish(ValueId features) {
    network_.image = conv(features, 3, 1);
    const ValueId target = b.constant(drawn(b.graph().shape(network_.image), 99));
    const ValueId difference = add("Sub", {network_.image, target});
    network_.loss = add("ReduceMean", {add("Mul", {difference, difference})}, {{"keepdims", int64_t{0}}});
    b.graph().outputs = {network_.image, network_.loss};
  }

 private:
  Network& network_;
};

using Tail = std::function<ValueId(Builder&, ValueId h)>;

// z -> Conv -> h -> tail -> Conv. h is far below 0 in half of its channels, and at one pixel in all of them; elsewhere
// it is far above.
inline Network network_with(const Tail& tail) {
  Network network;
  Builder b(network);
  HostTensor offset(DType::f32, Shape{1, kChannels, kSize, kSize});
  const int64_t pixels = kSize * kSize;
  for (int64_t i = 0; i < offset.shape.elements(); ++i) {
    offset.values[static_cast<std::size_t>(i)] = i / pixels < kChannels / 2 || i % pixels == 0 ? -10 : 3;
  }
  const ValueId h = b.add("Add", {b.conv(b.input(), kChannels, 3), b.b.constant(offset)});
  b.finish(tail(b, h));
  return network;
}

struct Gradients {
  std::vector<std::vector<float>> values;  // per parameter
  float loss = 0;
};

inline Gradients run(const Network& network, Precision precision, LayoutPolicy policy = LayoutPolicy::channels_last) {
  CompiledTraining compiled = compile_training({network.graph, network.input, network.image, network.loss}, op_table(),
                                               {.precision = precision, .threads = 2, .policy = policy});
  Plan& plan = compiled.plan;
  for (const auto& [id, tensor] : network.given()) {
    plan.write(id, std::vector<float>(tensor.values.begin(), tensor.values.end()));
    if (network.graph.value(id).kind != ValueKind::parameter) continue;
    auto* copy = static_cast<kernels::BFloat16*>(plan.bf16_copy(id));
    if (copy != nullptr) kernels::narrow(plan.data(id), plan.padded_elements(id), copy);
  }
  plan.run();
  Gradients result{.values = {}, .loss = plan.output(network.loss)[0]};
  // A gradient lies in memory as its parameter does: read in the parameter's place, it becomes row-major.
  for (std::size_t i = 0; i < compiled.trained.size(); ++i) {
    const ValueId id = compiled.trained[i];
    const float* gradient = plan.output(compiled.gradients[i]);
    std::copy(gradient, gradient + plan.padded_elements(id), plan.data(id));
    result.values.push_back(plan.read(id));
  }
  return result;
}

inline std::vector<Precision> precisions() {
  return has_native_bf16() ? std::vector{Precision::f32, Precision::bf16} : std::vector{Precision::f32};
}

inline double largest_difference(const std::vector<float>& got, const HostTensor& expected) {
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(got[i] - expected.values[i]);
    if (!(difference <= worst)) worst = difference;  // a NaN counts
  }
  return worst;
}

inline double largest(const HostTensor& tensor) {
  double result = 0;
  for (const double value : tensor.values) result = std::max(result, std::abs(value));
  return result;
}

// The gradients by the references, which must be what differences of the loss say, and by the kernels.
inline void check(const Network& network) {
  const std::vector<ValueId> parameters = network.graph.parameters();
  const Differentiated d = differentiate(network.graph, op_table(), network.loss, parameters);
  const std::map<ValueId, HostTensor> given = network.given();
  const std::vector<HostTensor> expected = evaluate(d.graph, given, d.gradients);
  double scale = 0;
  for (const HostTensor& gradient : expected) scale = std::max(scale, largest(gradient));
  REQUIRE(scale > 1e-3);
  const auto loss_with = [&](ValueId id, std::size_t k, double change) {
    std::map<ValueId, HostTensor> changed = given;
    changed[id].values[k] += change;
    return evaluate(network.graph, changed, {network.loss})[0].values[0];
  };
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    for (std::size_t k = 0; k < expected[i].values.size(); k += 1 + expected[i].values.size() / 16) {
      constexpr double kStep = 1e-5;
      const double difference = loss_with(parameters[i], k, kStep) - loss_with(parameters[i], k, -kStep);
      CHECK(std::abs(expected[i].values[k] - difference / (2 * kStep)) < 1e-6 * scale);
    }
  }
  for (const Precision precision : precisions()) {
    CAPTURE(static_cast<int>(precision));
    const Gradients got = run(network, precision);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      CHECK(largest_difference(got.values[i], expected[i]) < (precision == Precision::f32 ? 1e-4 : 0.1) * scale);
    }
  }
}

}  // namespace hourglass::test
