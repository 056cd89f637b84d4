// Our whole network and its gradient, in double precision, against PyTorch's.
#include <doctest/doctest.h>

#include <algorithm>

#include "graph/autodiff.h"
#include "graph/evaluate.h"
#include "ops/table.h"
#include "tests/models/golden.h"

namespace hourglass::test {

TEST_CASE("the builder's parameters are those of the PyTorch network") {
  for (const GoldenCase& c : golden_cases()) {
    CAPTURE(c.name);
    const Golden golden(c);
    std::size_t stored = 0;
    for (const auto& [name, tensor] : golden.tensors()) stored += name.starts_with("init/") ? 1 : 0;
    CHECK(golden.parameters.size() == stored);
    for (const ValueId id : golden.parameters) {
      CHECK(golden.at("init/" + golden.graph.value(id).name).shape == golden.graph.shape(id));
    }
  }
}

TEST_CASE("output, loss and every gradient agree with PyTorch in double precision") {
  for (const GoldenCase& c : golden_cases()) {
    CAPTURE(c.name);
    const Golden golden(c);
    const Differentiated result = differentiate(golden.graph, op_table(), golden.loss, golden.parameters);
    std::vector<ValueId> wanted{golden.image, golden.loss};
    wanted.insert(wanted.end(), result.gradients.begin(), result.gradients.end());
    const std::vector<HostTensor> got = evaluate(result.graph, golden.given(), wanted);

    // Both sum some 1e4 doubles in different orders: 1e-16 times a few hundred.
    constexpr double kTolerance = 1e-12;
    CHECK(largest_difference(got[0], golden.at("image64")) < kTolerance);
    CHECK(largest_difference(got[1], golden.at("loss64")) < kTolerance);
    for (std::size_t i = 0; i < golden.parameters.size(); ++i) {
      const std::string& name = golden.graph.value(golden.parameters[i]).name;
      CAPTURE(name);
      const HostTensor& expected = golden.at("grad64/" + name);
      // Relative to the tensor's largest element; those that are zero but for rounding, relative to the others.
      const double scale = std::max(largest(expected), 1e-3 * golden.largest_gradient());
      CHECK(largest_difference(got[i + 2], expected) < 1e-9 * scale);
      // So that the check above can fail: with a wrong scale or a dropped term it would be off by the gradient itself.
      if (golden.matters(name)) CHECK(largest(got[i + 2]) > 0.5 * largest(expected));
    }
  }
}

TEST_CASE("the single precision run of PyTorch is near its double precision run") {
  // What the tests of the runtime compare themselves with must itself be sound.
  for (const GoldenCase& c : golden_cases()) {
    CAPTURE(c.name);
    const Golden golden(c);
    CHECK(golden.at("losses32").values.size() == 21);
    CHECK(largest_difference(golden.at("losses32"), golden.at("losses64")) < 1e-7);
    CHECK(golden.at("losses64").values.back() < 0.9 * golden.at("losses64").values.front());
    int matters = 0;
    for (const ValueId id : golden.parameters) {
      const std::string& name = golden.graph.value(id).name;
      if (!golden.matters(name)) continue;
      ++matters;
      CHECK(largest_difference(golden.at("final32/" + name), golden.at("final64/" + name)) < 1e-5);
    }
    CHECK(matters > static_cast<int>(golden.parameters.size()) / 2);
  }
}

}  // namespace hourglass::test
