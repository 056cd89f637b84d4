#include "engine/measure/steps.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "engine/measure/onednn_floor.h"
#include "graph/op.h"
#include "graph/precision.h"
#include "ops/table.h"

namespace hourglass {
namespace {

// Twice the multiply-adds. The weights [OC, IC/group, KH, KW] are read once, but for their first axis, per element of
// the convolution's destination, in all three directions.
double flops_of(const Graph& graph, const Node& node) {
  const auto work = [&](ValueId weights, ValueId dst) {
    const Shape& shape = graph.shape(weights);
    return 2.0 * static_cast<double>(shape.elements()) / static_cast<double>(shape[0]) *
           static_cast<double>(graph.shape(dst).elements());
  };
  if (node.op->name == "Conv" || node.op->name == "FusedConv") return work(node.inputs[1], node.outputs[0]);
  if (node.op->name == "ConvGradSrc" || node.op->name == "ConvResizeGradSrc") {
    return work(node.inputs[1], node.inputs[0]);
  }
  if (node.op->name == "ConvGradWeights") return work(node.outputs[0], node.inputs[1]);
  if (node.op->name == "MatMul") {
    const int64_t terms = graph.shape(node.inputs[0])[node.attrs.integer("trans_a") != 0 ? -2 : -1];
    return 2.0 * static_cast<double>(terms) * static_cast<double>(graph.shape(node.outputs[0]).elements());
  }
  return 0;
}

double bytes_of(const Graph& graph, ValueId id) {
  if (!id.valid()) return 0;
  const TensorType& type = graph.type(id);
  return static_cast<double>(type.shape.elements()) * static_cast<double>(size_of(type.dtype));
}

double best_gflops(int threads, Precision precision) {
  constexpr int64_t kChannels = 256, kSide = 32;
  Graph graph;
  GraphBuilder builder(graph, op_table());
  const ValueId x = builder.input("x", {DType::f32, Shape{1, kChannels, kSide, kSide}});
  const ValueId w = builder.parameter("w", {DType::f32, Shape{kChannels, kChannels, 1, 1}},
                                      {.kind = Init::Kind::uniform, .low = 0, .high = 1});
  const ValueId y = builder.add("Conv", {x, w});
  graph.outputs = {y};
  if (precision == Precision::bf16) graph.outputs = {lower_to_bf16(graph, op_table(), x, y)};
  const double flops = flops_of(graph, graph.nodes[static_cast<std::size_t>(graph.value(y).producer)]);
  Plan plan(graph, {.threads = threads});
  for (const ValueId id : {x, w}) {
    plan.write(id, std::vector<float>(static_cast<std::size_t>(graph.shape(id).elements()), 0.5F));
  }
  double best = 0;
  constexpr int kTries = 200;
  for (int i = 0; i < kTries; ++i) {
    plan.run_profiled([&](std::size_t step, double seconds) {
      if (plan.steps()[step].op == "Conv") best = std::max(best, flops / seconds);
    });
  }
  return best * 1e-9;
}

double best_gbytes(int threads) {
  constexpr std::size_t kBytes = std::size_t{256} << 20, kChunk = std::size_t{1} << 20;
  const auto from = std::make_unique_for_overwrite<char[]>(kBytes), to = std::make_unique_for_overwrite<char[]>(kBytes);
  double best = 0;
  constexpr int kTries = 6;  // the first makes the pages
  for (int i = 0; i < kTries; ++i) {
    const auto start = std::chrono::steady_clock::now();
#pragma omp parallel for num_threads(threads) schedule(static)
    for (std::size_t at = 0; at < kBytes; at += kChunk) {
      if (i == 0) std::memset(from.get() + at, 1, kChunk);
      std::memcpy(to.get() + at, from.get() + at, kChunk);
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (i > 0) best = std::max(best, 2.0 * static_cast<double>(kBytes) / seconds);
  }
  return best * 1e-9;
}

}  // namespace

Work work_of(const Graph& graph, const Node& node) {
  Work work{.flops = flops_of(graph, node)};
  for (const ValueId id : node.inputs) work.bytes += bytes_of(graph, id);
  for (const ValueId id : node.outputs) work.bytes += bytes_of(graph, id);
  return work;
}

Profile profile_iterations(Fit& fit, int64_t iterations) {
  const Plan& plan = fit.plan();
  const Graph& graph = plan.graph();
  std::vector<TimedPart> parts;
  std::vector<double> whole;
  std::vector<std::vector<double>> seconds;
  for (int64_t i = 0; i < iterations; ++i) {
    fit.step_timed(parts);
    whole.push_back(parts.back().end);
    seconds.resize(parts.size());
    for (std::size_t k = 0; k < parts.size(); ++k) seconds[k].push_back(parts[k].end - parts[k].begin);
  }
  Profile profile{.seconds = spread_of(std::move(whole)), .steps = {}};
  for (std::size_t k = 0; k < parts.size(); ++k) {
    StepProfile step{.info = {}, .shape = {}, .seconds = spread_of(std::move(seconds[k]))};
    if (parts[k].part == FitPart::plan_step) {
      step.step = static_cast<int64_t>(parts[k].step);
      step.info = plan.steps()[parts[k].step];
    } else {
      step.info.op = name_of(parts[k].part);
    }
    if (step.info.node >= 0) {
      const Node& node = graph.nodes[static_cast<std::size_t>(step.info.node)];
      step.shape = graph.shape(node.outputs[0]).to_string();
      const Work work = work_of(graph, node);
      step.flops = work.flops;
      step.bytes = work.bytes;
    }
    profile.steps.push_back(std::move(step));
  }
  return profile;
}

void time_convolutions(Fit& fit, std::vector<StepProfile>& steps, int64_t times) {
  for (StepProfile& step : steps) {
    if (step.flops <= 0) continue;
    Plan& plan = fit.plan();
    step.alone = spread_of(plan.time_primitives(static_cast<std::size_t>(step.step), times)).median;
    const Node& node = plan.graph().nodes[static_cast<std::size_t>(step.info.node)];
    step.onednn = time_onednn_convolution(plan.graph(), node, plan.threads(), times);
    if (step.onednn == 0) step.onednn = step.alone;
  }
}

std::map<std::string, double> seconds_by_op(const std::vector<StepProfile>& steps) {
  std::map<std::string, double> seconds;
  for (const StepProfile& step : steps) seconds[step.info.op] += step.seconds.median;
  return seconds;
}

Peak measure_peak(int threads, Precision precision) {
  return {.gflops = best_gflops(threads, precision), .gbytes = best_gbytes(threads)};
}

}  // namespace hourglass
