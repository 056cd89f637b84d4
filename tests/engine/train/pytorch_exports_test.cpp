// Networks that PyTorch exported (scripts/export_pytorch.py) train here as they trained there.
//
// Over 50 iterations of Adam rounding makes something of its own: where an activation is near its kink or a gradient
// near zero, two runs part. How far is measured in PyTorch, by runs in float32 and by runs in float64 from weights that
// are off by 1e-5: 1e-5 of the loss at first, 6e-4 after one step, 2e-2 after 50. Which network a kink
// hits, and when, is chance, so the largest of all networks' at an iteration counts, and ours may be off by three times
// that. A wrong gradient shows at the first step: Adam moves every weight by the whole learning rate, in its sign's
// direction.
//
// bench/pytorch_exports asks for the whole matrix, and for a table of it.
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "engine/runtime/plan.h"
#include "engine/train/adam.h"
#include "graph/autodiff.h"
#include "graph/onnx_import.h"
#include "ops/fused/fuse.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

namespace fs = std::filesystem;

constexpr double kRounding = 3;

using Tensors = std::map<std::string, HostTensor>;

// Per iteration, the largest of all networks.
std::vector<double> tolerance_of(const Tensors& golden) {
  std::vector<double> tolerance;
  for (const auto& [name, tensor] : golden) {
    if (!name.ends_with("/rounding")) continue;
    tolerance.resize(tensor.values.size(), 0);
    for (std::size_t i = 0; i < tolerance.size(); ++i) {
      tolerance[i] = std::max(tolerance[i], kRounding * tensor.values[i]);
    }
  }
  return tolerance;
}

// The folder of another set than the stored one: what export_pytorch.py --all wrote. Empty: the stored one.
fs::path other_folder() {
  const char* other = std::getenv("HOURGLASS_EXPORTS");
  return other != nullptr ? other : "";
}

// How far two loss curves are apart, relative to PyTorch's: the largest difference, and the one that uses most of what
// it may.
struct Comparison {
  double largest = 0, used = 0;
  std::size_t at = 0;  // the iteration of the latter
};

Comparison compare(const std::vector<double>& got, const std::vector<double>& exact,
                   const std::vector<double>& tolerance) {
  Comparison result;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double off = std::abs(got[i] / exact[i] - 1);
    if (!(off <= result.largest)) result.largest = off;
    if (!(off / tolerance[i] <= result.used)) result.used = off / tolerance[i], result.at = i;
    // A loss that is no number has used all, and that must stay.
    if (std::isnan(off)) break;
  }
  return result;
}

// noise_of of the script.
std::vector<float> noise(const Shape& shape, uint64_t seed) {
  std::vector<float> values;
  for (uint64_t i = 0; i < static_cast<uint64_t>(shape.elements()); ++i) {
    uint64_t bits = (i + seed * 1000003) * 2654435761U & 0xffffffffU;
    bits = (bits ^ bits >> 15) * 2246822519U & 0xffffffffU;
    values.push_back(static_cast<float>(bits >> 8) / static_cast<float>(1 << 24));
  }
  return values;
}

std::vector<double> losses_of(Graph graph, std::size_t iterations) {
  const Shape shape = graph.shape(graph.outputs.front());
  const ValueId z = graph.inputs.front();
  std::vector<float> input = noise(graph.shape(z), 1);
  for (float& value : input) value *= 0.1F;
  const std::vector<float> wanted = noise(shape, 2);

  GraphBuilder b(graph, op_table());
  const ValueId target = b.constant({DType::f32, shape, {wanted.begin(), wanted.end()}}, "target");
  const ValueId difference = b.add("Sub", {graph.outputs.front(), target});
  const ValueId loss =
      b.add("ReduceMean", {b.add("Mul", {difference, difference})}, {{"keepdims", int64_t{0}}}, "loss");
  graph.outputs = {loss};
  fuse(graph, op_table());
  const std::vector<ValueId> parameters = graph.parameters();
  const Differentiated d = differentiate(graph, op_table(), loss, parameters);
  PlanOptions options{.threads = 2};
  for (std::size_t i = 0; i < parameters.size(); ++i) options.output_like.emplace_back(d.gradients[i], parameters[i]);
  Plan plan(d.graph, options);
  plan.write(z, input);
  Adam adam({.learning_rate = 0.003});
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& start = graph.value(parameters[i]).data->values;
    plan.write(parameters[i], {start.begin(), start.end()});
    adam.add(plan.data(parameters[i]), plan.output(d.gradients[i]), plan.padded_elements(parameters[i]));
  }
  std::vector<double> losses;
  for (std::size_t i = 0; i < iterations; ++i) {
    plan.run();
    losses.push_back(plan.output(loss)[0]);
    adam.step();
  }
  return losses;
}

}  // namespace

TEST_CASE("PyTorch's exports train as in PyTorch") {
  const bool stored = other_folder().empty();
  const fs::path folder = stored ? fs::path(HOURGLASS_TEST_DATA) / "pytorch" : other_folder();
  const Tensors golden = read_tensors(folder / "golden.onnx");
  const std::vector<double> tolerance = tolerance_of(golden);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename() != "golden.onnx") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  REQUIRE(files.size() >= 28);
  if (!stored) {
    fmt::print(
        "| file | bound to | verdict | largest deviation | most of the tolerance used |\n|---|---|---|---|---|\n");
  }
  int compared = 0, passed = 0;
  for (const fs::path& path : files) {
    // TOPOLOGY-MODE-OPSET-SIZE
    const std::string stem = path.stem().string();
    const std::string size = stem.substr(stem.rfind('-') + 1);
    const std::string name = stem.substr(0, stem.rfind('-', stem.rfind('-') - 1));
    CAPTURE(stem);
    for (auto it = golden.lower_bound(name + "/"); it != golden.end() && it->first.starts_with(name + "/"); ++it) {
      if (!it->first.ends_with("/losses")) continue;
      const std::string bound = it->first.substr(name.size() + 1, it->first.rfind('/') - name.size() - 1);
      if (size != "open" && size != bound) continue;
      CAPTURE(bound);
      ++compared;
      ImportOptions options;
      options.width = std::stoll(bound);
      options.height = std::stoll(bound.substr(bound.find('x') + 1));
      const std::vector<double>& exact = it->second.values;
      try {
        const std::vector<double> got = losses_of(import_onnx(path, op_table(), options).graph, exact.size());
        const Comparison apart = compare(got, exact, tolerance);
        const bool good = apart.used <= 1;
        if (!good) {
          FAIL_CHECK("iteration " << apart.at << ": loss " << got[apart.at] << ", in PyTorch " << exact[apart.at]
                                  << ", tolerance " << tolerance[apart.at]);
        }
        passed += good ? 1 : 0;
        if (!stored) {
          fmt::print("| {} | {} | {} | {:.1e} | {:.0f}%, iteration {} |\n", path.filename().string(), bound,
                     good ? "passed" : "failed", apart.largest, 100 * apart.used, apart.at + 1);
        }
      } catch (const std::exception& error) {
        if (!stored) fmt::print("| {} | {} | failed | {} | |\n", path.filename().string(), bound, error.what());
        FAIL_CHECK(std::string(error.what()));
      }
    }
  }
  if (!stored) fmt::print("\n{} files, {} fits, {} passed\n", files.size(), compared, passed);
  CHECK(compared >= 42);
}

}  // namespace hourglass::test
