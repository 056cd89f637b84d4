#include "engine/runtime/plan.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "graph/error.h"
#include "ops/memory/onednn.h"
#include "ops/table.h"

namespace hourglass::test {

TEST_CASE("a plan computes its outputs, leaves its inputs, and says so again") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 2, 1, 3}});
  const ValueId y = b.add("LeakyRelu", {x}, {{"alpha", 0.5}});
  const ValueId z = b.add("LeakyRelu", {y}, {{"alpha", 0.5}});
  graph.outputs = {y, z};
  Plan plan(graph, {.threads = 2, .output_like = {}});
  const std::vector<float> values{-4, -2, 0, 1, 2, 3};
  plan.write(x, values);
  for (int round = 0; round < 2; ++round) {
    plan.run();
    CHECK(plan.read(x) == values);
    CHECK(std::vector<float>(plan.output(y), plan.output(y) + 6) == std::vector<float>{-2, -1, 0, 1, 2, 3});
    CHECK(std::vector<float>(plan.output(z), plan.output(z) + 6) == std::vector<float>{-1, -0.5, 0, 1, 2, 3});
  }
}

TEST_CASE("work in place keeps the arena small") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  ValueId x = b.input("x", {DType::f32, Shape{1, 16, 32, 32}});
  for (int i = 0; i < 10; ++i) x = b.add("LeakyRelu", {x}, {{"alpha", 0.5}});
  graph.outputs = {x};
  const Plan plan(graph, {.threads = 1, .output_like = {}});
  CHECK(plan.arena_bytes() == 16 * 32 * 32 * 4);
}

TEST_CASE("a plan on paper says what a plan needs") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 16, 32, 32}});
  graph.outputs = {b.add("Sigmoid", {b.add("LeakyRelu", {x}, {{"alpha", 0.5}})})};
  const Plan plan(graph, {.threads = 1, .output_like = {}});
  const Plan paper(graph, {.threads = 1, .output_like = {}, .allocate = false});
  CHECK(paper.arena_bytes() == plan.arena_bytes());
  CHECK(paper.persistent_bytes() == plan.persistent_bytes());
  CHECK(paper.steps().size() == plan.steps().size());
  CHECK(paper.padded_elements(x) == 16 * 32 * 32);

  // Values of 16 TiB, more than a machine has.
  Graph huge;
  GraphBuilder h(huge, op_table());
  const ValueId y = h.input("x", {DType::f32, Shape{1, 64, int64_t{1} << 18, int64_t{1} << 18}});
  huge.outputs = {h.add("LeakyRelu", {h.add("Sigmoid", {y})}, {{"alpha", 0.5}})};
  const Plan huge_paper(huge, {.threads = 1, .output_like = {}, .allocate = false});
  CHECK(huge_paper.persistent_bytes() == std::size_t{1} << 44);
  CHECK(huge_paper.arena_bytes() >= std::size_t{1} << 44);
}

TEST_CASE("denormal numbers are taken for zero while a plan runs, and only then") {
#if defined(__x86_64__)
  constexpr int64_t kCount = 100'000;
  volatile float denormal = 1e-39F;
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 1, 1, kCount}});
  const ValueId y = b.add("Mul", {x, x}), z = b.add("Add", {x, x});
  graph.outputs = {y, z};
  Plan plan(graph, {.threads = 2, .output_like = {}});
  std::vector<float> values(kCount, 1e-39F);
  values[0] = 1e-20F;  // its square is denormal
  plan.write(x, values);
  plan.run();
  CHECK(*std::max_element(plan.output(y), plan.output(y) + kCount) == 0);
  CHECK(*std::max_element(plan.output(z) + 1, plan.output(z) + kCount) == 0);
  CHECK(denormal + denormal > 0);
#else
  MESSAGE("skipped: only x86 has this mode");
#endif
}

TEST_CASE("writing the wrong number of values is an error") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 2, 1, 3}});
  graph.outputs = {b.add("Relu", {x})};
  Plan plan(graph, {.threads = 1, .output_like = {}});
  CHECK_THROWS_AS(plan.write(x, {1, 2}), Error);
}

namespace {

// What computes Conv and its two gradients, of `channels` to as many.
std::vector<StepInfo> convolution_steps(int64_t channels, int64_t kernel, Attrs attrs, DType type = DType::f32) {
  const Shape src{1, channels, 40, 44};
  const int64_t group = attrs.has("group") ? attrs.integer("group") : 1;
  const Shape weights{channels, channels / group, kernel, kernel};
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {type, src}), w = b.input("w", {type, weights});
  const ValueId y = b.add("Conv", {x, w}, attrs);
  const ValueId diff = b.input("diff", graph.type(y));
  Attrs of_src = attrs, of_weights = attrs;
  of_src.set("src_shape", src.dims());
  of_weights.set("weights_shape", weights.dims());
  graph.outputs = {y, b.add("ConvGradSrc", {diff, w}, of_src), b.add("ConvGradWeights", {x, diff}, of_weights)};
  return Plan(graph, {.threads = 1, .policy = LayoutPolicy::channels_last, .output_like = {}, .allocate = false})
      .steps();
}

}  // namespace

TEST_CASE("no convolution is computed by one of oneDNN's references") {
  const Dims ones{1, 1, 1, 1}, twos{2, 2, 2, 2};
  const std::string reflect = "reflect";
  for (const int64_t channels : {8, 16, 32, 36}) {
    for (const auto& [kernel, attrs] :
         std::vector<std::pair<int64_t, Attrs>>{{1, {}},
                                                {3, {{"pads", ones}}},
                                                {3, {{"pads", ones}, {"pad_mode", reflect}}},
                                                {3, {{"pads", ones}, {"strides", Dims{2, 2}}}},
                                                {3, {{"pads", ones}, {"strides", Dims{2, 2}}, {"pad_mode", reflect}}},
                                                {3, {{"pads", twos}, {"dilations", Dims{2, 2}}}},
                                                {5, {{"pads", twos}}},
                                                {5, {{"pads", twos}, {"pad_mode", reflect}}},
                                                {3, {{"pads", ones}, {"group", int64_t{4}}}}}) {
      for (const StepInfo& step : convolution_steps(channels, kernel, attrs)) {
        CAPTURE(channels);
        CAPTURE(kernel);
        CAPTURE(step.op);
        CHECK_MESSAGE(!step.implementation.starts_with("ref"), step.implementation);
      }
    }
  }
}

TEST_CASE("convolutions of bf16 are computed by AMX where the CPU has it") {
  if (!kernels::has_isa(dnnl::cpu_isa::avx512_core_amx)) {
    MESSAGE("skipped: this CPU has no AMX, or oneDNN may not use it");
    return;
  }
  const Dims ones{1, 1, 1, 1};
  for (const int64_t channels : {8, 32, 36, 128}) {
    for (const auto& [kernel, attrs] : std::vector<std::pair<int64_t, Attrs>>{
             {1, {}},
             {3, {{"pads", ones}}},
             {3, {{"pads", ones}, {"pad_mode", std::string("reflect")}}},
             {3, {{"pads", ones}, {"strides", Dims{2, 2}}, {"pad_mode", std::string("reflect")}}}}) {
      for (const StepInfo& step : convolution_steps(channels, kernel, attrs, DType::bf16)) {
        if (step.op == "Cast" || step.op == "Reorder") continue;
        CAPTURE(channels);
        CAPTURE(kernel);
        CAPTURE(step.op);
        // Of few channels, loops over the rows as they lie take half the time.
        const bool narrow = step.op == "ConvGradWeights" && kernel == 1 && channels == 8;
        CHECK_MESSAGE(step.implementation.find(narrow ? "narrow_1x1" : "amx") != std::string::npos,
                      step.implementation);
      }
    }
  }
}

}  // namespace hourglass::test
