// ONNX's own node tests (tests/conformance/generate.py) through the importer, the references and the kernels, and the
// gradients of the same graphs against central differences.
//
// A case is claimed when the importer takes it: then it must pass. What the importer refuses is counted with its
// reason. The table that is printed has a line for each op.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "engine/runtime/plan.h"
#include "graph/autodiff.h"
#include "graph/error.h"
#include "graph/evaluate.h"
#include "graph/onnx_import.h"
#include "graph/op.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

const std::filesystem::path kCases = HOURGLASS_CONFORMANCE_CASES;

// ONNX's own runner allows a relative 1e-3, for its functions write pi with four decimals.
constexpr double kTolerance = 1e-4;

// Where we mean something else than ONNX, and why; the rest of a case's name does not matter.
const std::map<std::string, std::string> kOtherwise = {
    {"BatchNormalization.test_batchnorm_e", "a fit has no running statistics: the batch's are taken"},
    {"Dropout.test_training_dropout", "nothing is dropped: an untrained network is noisy enough"},
    {"Bernoulli.", "what is drawn at random is drawn once, or its mean takes its place"},
    {"Cast.test_cast_DOUBLE_to_FLOAT16", "what is half precision in a file is computed in f32"},
    {"Cast.test_cast_FLOAT_to_FLOAT16", "what is half precision in a file is computed in f32"},
    {"CastLike.test_castlike_DOUBLE_to_FLOAT16", "what is half precision in a file is computed in f32"},
    {"CastLike.test_castlike_FLOAT_to_FLOAT16", "what is half precision in a file is computed in f32"},
    {"Resize.test_resize_downsample_scales_cubic_align_corners", "corners align with whole pixels, as in PyTorch"},
    {"Resize.test_resize_downsample_scales_linear_align_corners", "corners align with whole pixels, as in PyTorch"},
};

bool is_otherwise(const std::string& name) {
  return std::any_of(kOtherwise.begin(), kOtherwise.end(), [&](const auto& e) { return name.starts_with(e.first); });
}

// Gradients of f in double, by differences of 2e-5: their error is about 1e-10 f'''.
constexpr double kGradientTolerance = 1e-5;

// What a version of ONNX has at least.
constexpr int kLeastPassed = 640, kLeastGradients = 450;

// Elements of one input whose derivatives are compared.
constexpr std::size_t kGradientSamples = 24;

struct Tally {
  int passed = 0, failed = 0, otherwise = 0, refused = 0, gradients = 0;
  std::set<std::string> reasons;
};

struct Verdict {
  std::string wrong;    // empty: passed
  std::string refused;  // the importer's words
  std::string not_differentiated;
  bool has_gradient = false;  // compared with differences
};

bool differs(double got, double expected, bool exact) {
  if (std::isnan(expected)) return !std::isnan(got);
  if (std::isinf(expected) || exact) return got != expected;
  return !(std::abs(got - expected) <= kTolerance * std::max(1.0, std::abs(expected)));
}

std::string compare(const std::vector<double>& got, const HostTensor& expected, const char* what) {
  if (got.size() != expected.values.size()) {
    return fmt::format("{}: {} elements, {} expected", what, got.size(), expected.values.size());
  }
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (differs(got[i], expected.values[i], !is_floating(expected.dtype))) {
      return fmt::format("{}: element {} is {}, {} expected", what, i, got[i], expected.values[i]);
    }
  }
  return {};
}

// By kernels, for outputs that have a plan: floating ones that did not fold.
std::string check_kernels(const Graph& graph, const std::map<std::string, HostTensor>& expected) {
  Plan plan(graph, {.threads = 2});
  for (const ValueId id : graph.parameters()) {
    const auto& values = graph.value(id).data->values;
    plan.write(id, std::vector<float>(values.begin(), values.end()));
  }
  plan.run();
  for (const ValueId id : graph.outputs) {
    const HostTensor& wanted = expected.at(graph.value(id).name);
    const float* got = plan.output(id);
    const auto count = static_cast<std::size_t>(graph.shape(id).elements());
    const std::string wrong = compare(std::vector<double>(got, got + count), wanted, "kernels");
    if (!wrong.empty()) return wrong;
  }
  return {};
}

// d (cotangent . output) / d parameter at values moved a little, so that no maximum is shared and no kink is hit.
void check_gradients(Graph graph, Verdict& verdict) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> nudge(0.003, 0.02), sign(-1, 1);
  std::map<ValueId, HostTensor> given;
  for (const ValueId id : graph.parameters()) {
    HostTensor values = *graph.value(id).data;
    for (double& value : values.values) value += std::copysign(nudge(random), sign(random));
    given[id] = std::move(values);
  }
  GraphBuilder builder(graph, op_table());
  const ValueId output = graph.outputs.front();
  if (graph.shape(output).elements() == 0) return;
  HostTensor cotangent(DType::f32, graph.shape(output));
  for (double& value : cotangent.values) value = sign(random);
  const ValueId product = builder.add("Mul", {output, builder.constant(std::move(cotangent), "cotangent")});
  const ValueId loss = builder.add("ReduceSum", {product}, {{"keepdims", int64_t{0}}}, "loss");
  const std::vector<ValueId> parameters = graph.parameters();
  Differentiated derived;
  try {
    derived = differentiate(graph, op_table(), loss, parameters);
  } catch (const Error& error) {
    verdict.not_differentiated = error.what();
    return;
  }
  std::vector<ValueId> wanted = derived.gradients;
  const std::vector<HostTensor> gradients = evaluate(derived.graph, given, wanted);
  const auto loss_at = [&] { return evaluate(graph, given, {loss})[0].values[0]; };
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    std::vector<double>& x = given[parameters[p]].values;
    double scale = 1e-2, worst = 0;
    for (std::size_t k = 0; k < x.size(); k += 1 + x.size() / kGradientSamples) {
      constexpr double kStep = 1e-5;
      const double before = x[k];
      x[k] = before + kStep;
      const double up = loss_at();
      x[k] = before - kStep;
      const double difference = (up - loss_at()) / (2 * kStep);
      x[k] = before;
      // A log of what is negative now, and the like.
      if (!std::isfinite(difference)) continue;
      scale = std::max(scale, std::abs(difference));
      const double off = std::abs(difference - gradients[p].values[k]);
      if (!(off <= worst)) worst = off;
    }
    if (!(worst <= kGradientTolerance * scale)) {
      verdict.wrong =
          fmt::format("gradient of '{}' is off by {:.2g} of {:.2g}", graph.value(parameters[p]).name, worst, scale);
      return;
    }
  }
  verdict.has_gradient = !parameters.empty();
}

Verdict run(const std::filesystem::path& path) {
  Verdict verdict;
  ImportedModel model;
  try {
    model = OnnxFile::read(path).bind(op_table());
  } catch (const Error& error) {
    verdict.refused = error.what();
    return verdict;
  }
  const Graph& graph = model.graph;
  const auto expected = read_tensors(std::filesystem::path(path).replace_extension("expected.onnx"));
  bool all_float = true, any_computed = false;
  const std::vector<HostTensor> outputs = evaluate(graph, {}, graph.outputs);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Value& value = graph.value(graph.outputs[i]);
    const HostTensor& wanted = expected.at(value.name);
    verdict.wrong = outputs[i].shape == wanted.shape
                        ? compare(outputs[i].values, wanted, "reference")
                        : fmt::format("has shape {}, {} expected", outputs[i].shape, wanted.shape);
    if (!verdict.wrong.empty()) return verdict;
    all_float = all_float && value.type.dtype == DType::f32;
    any_computed = any_computed || value.kind == ValueKind::computed;
  }
  if (!all_float || !any_computed) return verdict;
  verdict.wrong = check_kernels(graph, expected);
  if (verdict.wrong.empty()) check_gradients(graph, verdict);
  return verdict;
}

void print(const std::map<std::string, Tally>& table, const Tally& all) {
  fmt::print("{:<28} {:>7} {:>7} {:>10} {:>10} {:>12}\n", "op", "passed", "failed", "gradients", "otherwise",
             "not claimed");
  const auto line = [](std::string_view op, const Tally& t) {
    fmt::print("{:<28} {:>7} {:>7} {:>10} {:>10} {:>12}\n", op, t.passed, t.failed, t.gradients, t.otherwise,
               t.refused);
  };
  for (const auto& [op, tally] : table) line(op, tally);
  line("all", all);
  fmt::print("\notherwise than ONNX, because:\n");
  for (const auto& [name, reason] : kOtherwise) fmt::print("  {}...: {}\n", name, reason);
  fmt::print("\nnot claimed, or without a gradient, because:\n");
  for (const auto& [op, tally] : table) {
    for (const std::string& reason : tally.reasons) fmt::print("  {}: {}\n", op, reason);
  }
}

}  // namespace

TEST_CASE("every case of ONNX's that the importer takes gives what ONNX expects") {
  std::map<std::string, Tally> table;
  Tally all;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(kCases)) {
    if (!entry.path().string().ends_with(".expected.onnx")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const std::filesystem::path& path : files) {
    const std::string name = path.stem().string();
    Tally& tally = table[name.substr(0, name.find('.'))];
    CAPTURE(name);
    Verdict verdict;
    if (is_otherwise(name)) {
      ++tally.otherwise, ++all.otherwise;
      continue;
    }
    try {
      verdict = run(path);
    } catch (const std::exception& error) {
      verdict.wrong = error.what();
    }
    for (Tally* t : {&tally, &all}) {
      ++(verdict.refused.empty() ? verdict.wrong.empty() ? t->passed : t->failed : t->refused);
      if (verdict.has_gradient) ++t->gradients;
      if (!verdict.refused.empty()) t->reasons.insert(verdict.refused.substr(path.string().size() + 2));
      if (!verdict.not_differentiated.empty()) t->reasons.insert(verdict.not_differentiated);
    }
    if (!verdict.wrong.empty()) FAIL_CHECK(verdict.wrong);
  }
  print(table, all);
  CHECK(all.passed >= kLeastPassed);
  CHECK(all.gradients >= kLeastGradients);
}

}  // namespace hourglass::test
