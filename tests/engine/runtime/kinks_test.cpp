// Training graphs at their kinks: where Relu is dead, a norm or a deviation is 0, or a root's slope is infinite, and in
// the fused kernels of these.
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
namespace {

constexpr int64_t kSize = 10, kChannels = 8;

HostTensor drawn(const Shape& shape, unsigned seed) {
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
Network network_with(const Tail& tail) {
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

Gradients run(const Network& network, Precision precision, LayoutPolicy policy = LayoutPolicy::channels_last) {
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

std::vector<Precision> precisions() {
  return has_native_bf16() ? std::vector{Precision::f32, Precision::bf16} : std::vector{Precision::f32};
}

double largest_difference(const std::vector<float>& got, const HostTensor& expected) {
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double difference = std::abs(got[i] - expected.values[i]);
    if (!(difference <= worst)) worst = difference;  // a NaN counts
  }
  return worst;
}

double largest(const HostTensor& tensor) {
  double result = 0;
  for (const double value : tensor.values) result = std::max(result, std::abs(value));
  return result;
}

// The gradients by the references, which must be what differences of the loss say, and by the kernels.
void check(const Network& network) {
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

ValueId relu(Builder& b, ValueId h) { return b.add("Relu", {h}); }

// Of each channel.
ValueId deviation(Builder& b, ValueId y) {
  const Attrs space{{"axes", Dims{2, 3}}};
  const ValueId centered = b.add("Sub", {y, b.add("ReduceMean", {y}, space)});
  return b.add("Sqrt", {b.add("ReduceMean", {b.add("Mul", {centered, centered})}, space)});
}

}  // namespace

TEST_CASE("gradients are the loss's differences where activations are dead, and norms and deviations are 0") {
  const Attrs channels{{"axes", Dims{1}}}, space{{"axes", Dims{2, 3}}};
  const std::vector<std::pair<const char*, Tail>> tails = {
      {"Relu, Sqrt", [](Builder& b, ValueId h) { return b.add("Sqrt", {relu(b, h)}); }},
      {"LeakyRelu of slope 0, Sqrt",
       [](Builder& b, ValueId h) {
         return b.add("Sqrt", {b.add("LeakyRelu", {h}, {{"alpha", 0.0}})});
       }},
      {"Clip, Sqrt",
       [](Builder& b, ValueId h) {
         return b.add("Sqrt", {b.add("Clip", {h}, {{"min", 0.0}})});
       }},
      {"ThresholdedRelu, Sqrt",
       [](Builder& b, ValueId h) {
         return b.add("Sqrt", {b.add("ThresholdedRelu", {h}, {{"alpha", 0.5}})});
       }},
      {"Max, Sqrt",
       [](Builder& b, ValueId h) {
         return b.add("Sqrt", {b.add("Max", {h, b.number(0)})});
       }},
      {"PRelu of slope 0, Sqrt",
       [](Builder& b, ValueId h) {
         return b.add("Sqrt", {b.add("PRelu", {h, b.number(0)})});
       }},
      {"Relu, Sub, Clip, Sqrt",
       [](Builder& b, ValueId h) {
         const ValueId below = b.add("Sub", {relu(b, h), b.number(0.2)});
         return b.add("Sqrt", {b.add("Clip", {below}, {{"min", 0.0}})});
       }},
      {"Relu, Pow 0.5",
       [](Builder& b, ValueId h) {
         return b.add("Pow", {relu(b, h), b.number(0.5)});
       }},
      {"Relu, Pow of a trained exponent",
       [](Builder& b, ValueId h) {
         return b.add("Pow", {relu(b, h), b.add("Add", {b.parameter({1, kChannels, 1, 1}), b.number(1)})});
       }},
      {"Relu divided by its norm over channels",
       [channels](Builder& b, ValueId h) {
         const ValueId y = relu(b, h);
         const ValueId norm = b.add("Clip", {b.add("ReduceL2", {y}, channels)}, {{"min", 1e-12}});
         return b.add("Div", {y, norm});
       }},
      {"Relu divided by its norm over channels, spelled out",
       [channels](Builder& b, ValueId h) {
         const ValueId y = relu(b, h);
         const ValueId squares = b.add("ReduceSum", {b.add("Pow", {y, b.number(2)})}, channels);
         const ValueId norm = b.add("Clip", {b.add("Pow", {squares, b.number(0.5)})}, {{"min", 1e-12}});
         return b.add("Div", {y, norm});
       }},
      {"Relu times its norm over space",
       [channels, space](Builder& b, ValueId h) {
         const ValueId y = relu(b, h), norm = b.add("ReduceL2", {y}, space);
         const ValueId mean = b.add("Add", {b.add("ReduceMean", {norm}, channels), b.number(1e-6)});
         return b.add("Mul", {y, b.add("Div", {norm, mean})});
       }},
      {"Relu times its deviation",
       [](Builder& b, ValueId h) {
         const ValueId y = relu(b, h);
         return b.add("Mul", {y, deviation(b, y)});
       }},
      {"Relu, MeanVarianceNormalization",
       [](Builder& b, ValueId h) {
         // Divided by 1e-9, the gradient is large in channels that are constant; Relu must end that.
         return b.add("MeanVarianceNormalization", {relu(b, h)}, {{"axes", Dims{0, 2, 3}}});
       }},
      {"Relu, LpPool",
       [](Builder& b, ValueId h) {
         return b.add("LpPool", {relu(b, h)}, {{"kernel_shape", Dims{2, 2}}});
       }},
      {"Relu times GlobalLpPool",
       [](Builder& b, ValueId h) {
         const ValueId y = relu(b, h);
         return b.add("Mul", {y, b.add("GlobalLpPool", {y}, {{"p", int64_t{3}}})});
       }},
      {"Relu, LpNormalization",
       [](Builder& b, ValueId h) {
         return b.add("LpNormalization", {relu(b, h)}, {{"axis", int64_t{1}}});
       }},
      {"Relu, LpNormalization with p 1",
       [](Builder& b, ValueId h) {
         return b.add("LpNormalization", {relu(b, h)}, {{"axis", int64_t{1}}, {"p", int64_t{1}}});
       }},
  };
  for (const auto& [name, tail] : tails) {
    CAPTURE(std::string(name));
    check(network_with(tail));
  }
}

// What an activation hides must not matter: the same network twice, with a term behind the activation y that is 1 where
// y > 0 and 0 elsewhere. Its true gradient is 0 everywhere. Once it is written so that the gradient overflows where y
// is 0, once so that there is none.
TEST_CASE("an infinite gradient ends where an activation is dead, in fused kernels too") {
  const std::vector<std::pair<const char*, Tail>> activations = {
      {"Relu", relu},
      {"Clip",
       [](Builder& b, ValueId h) {
         return b.add("Clip", {h}, {{"min", 0.0}});
       }},
      {"Max",
       [](Builder& b, ValueId h) {
         return b.add("Max", {h, b.number(0)});
       }},
      {"BatchNormalization, Relu",
       [](Builder& b, ValueId h) {
         return relu(b, b.add("BatchNormalization", {h, b.parameter({kChannels}), b.parameter({kChannels})}));
       }},
      {"BatchNormalization, LeakyRelu of slope 0",
       [](Builder& b, ValueId h) {
         const ValueId y = b.add("BatchNormalization", {h, b.parameter({kChannels}), b.parameter({kChannels})});
         return b.add("LeakyRelu", {y}, {{"alpha", 0.0}});
       }},
      {"Concat, BatchNormalization, Relu",
       [](Builder& b, ValueId h) {
         const ValueId both = b.add("Concat", {h, b.conv(h, kChannels, 1)}, {{"axis", int64_t{1}}});
         return relu(b,
                     b.add("BatchNormalization", {both, b.parameter({2 * kChannels}), b.parameter({2 * kChannels})}));
       }},
  };
  const auto network = [](const Tail& activation, bool overflows) {
    return network_with([&](Builder& b, ValueId h) {
      const ValueId y = activation(b, h);
      ValueId step = b.add("Sign", {b.add("Relu", {y})});
      if (overflows) {
        const ValueId large = b.number(1e30);
        step = b.add("Clip", {b.add("Mul", {b.add("Mul", {y, large}), large})}, {{"min", -1.0}, {"max", 1.0}});
      }
      return b.add("Add", {y, step});
    });
  };
  for (const auto& [name, activation] : activations) {
    for (const Precision precision : precisions()) {
      for (const LayoutPolicy policy : {LayoutPolicy::any, LayoutPolicy::channels_last}) {
        CAPTURE(std::string(name));
        CAPTURE(static_cast<int>(precision));
        CAPTURE(static_cast<int>(policy));
        const Gradients expected = run(network(activation, false), precision, policy);
        const Gradients got = run(network(activation, true), precision, policy);
        CHECK(got.loss == expected.loss);
        for (std::size_t i = 0; i < expected.values.size(); ++i) {
          const std::vector<double> values(expected.values[i].begin(), expected.values[i].end());
          const HostTensor tensor(DType::f32, Shape{static_cast<int64_t>(values.size())}, values);
          // The other readers of y may make another kernel compute its gradient.
          CHECK(largest_difference(got.values[i], tensor) <=
                (precision == Precision::f32 ? 1e-5 : 0.01) * largest(tensor));
        }
      }
    }
  }
}

}  // namespace hourglass::test
