// Training graphs at their kinks: where Relu is dead, a norm or a deviation is 0, or a root's slope is infinite, and in
// the fused kernels of these.
#include <doctest/doctest.h>

#include <functional>

#include "tests/engine/runtime/small_network.h"

namespace hourglass::test {
namespace {

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
    const auto& this_name = name;
    CAPTURE(std::string(this_name));
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
        const auto& this_name = name;
        CAPTURE(std::string(this_name));
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
