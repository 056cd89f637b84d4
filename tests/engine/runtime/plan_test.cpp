#include "engine/runtime/plan.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "graph/error.h"
#include "graph/evaluate.h"
#include "ops/loops/whole_bounds.h"
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

TEST_CASE("a plan computes with whole numbers as the reference does, and gathers by them") {
  constexpr int64_t kI64 = 7, kF32 = 1, kU8 = 2;  // onnx::TensorProto's INT64, FLOAT, UINT8
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 3, 5, 4}});
  const auto number = [&](double value) { return b.constant(HostTensor::scalar(DType::i64, value)); };
  // A quantiser, a mask of every third level, and a table that is read by the levels.
  const ValueId level =
      b.add("Cast", {b.add("Mul", {x, b.constant(HostTensor::scalar(DType::f32, 255))})}, {{"to", kI64}});
  const ValueId coarse = b.add("Mul", {b.add("Div", {level, number(16)}), number(16)});
  const ValueId third = b.add("Equal", {b.add("Mod", {level, number(3)}), number(0)});
  const ValueId large = b.add("Add", {level, number(16'777'217)});
  const ValueId places = b.add("Clip", {level}, {{"min", 0.0}, {"max", 6.0}});
  HostTensor table(DType::f32, Shape{7, 2});
  for (std::size_t i = 0; i < table.values.size(); ++i) table.values[i] = static_cast<double>(i) / 4;
  const ValueId read = b.add("GatherComputed", {b.constant(table), places}, {{"axis", int64_t{0}}});
  const ValueId bytes = b.add("Cast", {b.add("Cast", {level}, {{"to", kU8}})}, {{"to", kF32}});
  graph.outputs = {b.add("Where", {third, b.add("Cast", {coarse}, {{"to", kF32}}), x}), read, bytes,
                   b.add("Cast", {b.add("ReduceMax", {b.add("Sub", {large, number(16'777'000)})})}, {{"to", kF32}})};
  HostTensor given(DType::f32, graph.shape(x));
  for (std::size_t i = 0; i < given.values.size(); ++i) given.values[i] = static_cast<double>(i * 37 % 101) / 32 - 1;
  const std::vector<HostTensor> expected = evaluate(graph, {{x, given}}, graph.outputs);
  CHECK(graph.shape(read) == Shape{1, 3, 5, 4, 2});

  Plan plan(graph, {.threads = 2, .output_like = {}});
  plan.write(x, {given.values.begin(), given.values.end()});
  plan.run();
  for (std::size_t o = 0; o < expected.size(); ++o) {
    CAPTURE(o);
    const float* got = plan.output(graph.outputs[o]);
    for (std::size_t i = 0; i < expected[o].values.size(); ++i) {
      CHECK(static_cast<double>(got[i]) == static_cast<double>(static_cast<float>(expected[o].values[i])));
    }
  }

  for (const char* op : {"Add", "Equal", "Concat"}) {
    CAPTURE(op);
    Graph wide;
    GraphBuilder w(wide, op_table());
    const ValueId y = w.add("Cast", {w.input("x", {DType::f32, Shape{4}})}, {{"to", kI64}});
    const ValueId seed = w.constant(HostTensor(DType::i64, Shape{4}, {1, 2, 3, 1e10}), "seed");
    const Attrs attrs = std::string_view(op) == "Concat" ? Attrs{{"axis", int64_t{0}}} : Attrs{};
    wide.outputs = {w.add("Cast", {w.add(op, {y, seed}, attrs)}, {{"to", kF32}})};
    CHECK_THROWS_WITH_AS(Plan(wide, {.output_like = {}}),
                         doctest::Contains("'seed' holds 10000000000: whole numbers that are computed with while "
                                           "running may have 32 bits"),
                         Error);
  }
}

TEST_CASE("a chain of whole numbers is followed once, not anew for each of its nodes") {
  constexpr int64_t kI64 = 7, kLinks = 100;
  Graph graph;
  GraphBuilder b(graph, op_table());
  ValueId x = b.add("Cast", {b.input("x", {DType::f32, Shape{4}})}, {{"to", kI64}});
  const ValueId one = b.constant(HostTensor::scalar(DType::i64, 1));
  for (int64_t i = 0; i < kLinks; ++i) x = b.add(i % 2 == 0 ? "Add" : "Sub", {x, one});
  graph.outputs = {b.add("Cast", {x}, {{"to", int64_t{1}}})};
  const dnnl::engine engine = kernels::make_engine();
  kernels::WholeBounds bounds(graph);
  for (const Node& node : graph.nodes) {
    PlanContext ctx(graph, node, engine, {}, LayoutPolicy::any);
    ctx.whole_bounds = &bounds;
    if (node.op->name != "Cast") kernels::require_32_bits(ctx);
  }
  // Each as it is planned, and again as the next one reads it.
  CHECK(bounds.followed() <= 2 * (kLinks + 1));
  // A plan has one for all of its nodes: it refuses the sum that 32 bits don't hold at the end of the chain.
  const ValueId large = b.constant(HostTensor::scalar(DType::i64, 2147483647));
  graph.outputs = {b.add("Cast", {b.add("Add", {x, large}, {}, "sum")}, {{"to", int64_t{1}}})};
  CHECK_THROWS_WITH_AS(Plan(graph, {.output_like = {}}), doctest::Contains("node 'sum' (Add): of levels"), Error);
}

TEST_CASE("sums and products of a byte's levels that 32 bits don't hold are refused, others are computed") {
  constexpr int64_t kI64 = 7, kI32 = 6, kF32 = 1;  // onnx::TensorProto's INT64, INT32, FLOAT
  const auto planned = [&](int64_t type, const auto& compute) {
    Graph graph;
    GraphBuilder b(graph, op_table());
    const ValueId level = b.add("Cast", {b.input("x", {DType::f32, Shape{1, 3, 64, 64}})}, {{"to", type}}, "level");
    const auto number = [&](double value) {
      return b.constant(HostTensor::scalar(type == kI64 ? DType::i64 : DType::i32, value));
    };
    graph.outputs = {b.add("Cast", {compute(b, level, number)}, {{"to", kF32}})};
    return Plan(graph, {.output_like = {}});
  };
  const auto hash = [](GraphBuilder& b, ValueId level, const auto& number) {
    return b.add("Mod", {b.add("Mul", {level, number(73'856'093)}, {}, "spread"), number(256)});
  };
  const auto refused = [&](const auto& compute, const char* text) {
    CHECK_THROWS_WITH_AS(planned(kI64, compute), doctest::Contains(text), Error);
  };
  refused(hash,
          "node 'spread' (Mul): of levels from -255 to 255 it may make 18833303715: whole numbers that are computed "
          "with while running may have 32 bits");
  refused(
      [](GraphBuilder& b, ValueId level, const auto& number) {
        return b.add("Pow", {level, number(4)});
      },
      "it may make 4228250625");
  refused(
      [](GraphBuilder& b, ValueId level, const auto& number) {
        return b.add("Sub", {number(2'147'483'647), level});
      },
      "it may make 2147483902");
  refused(
      [](GraphBuilder& b, ValueId level, const auto& number) {
        return b.add("ReduceSum", {b.add("Mul", {level, number(1000)})});
      },
      "node 'ReduceSum' (ReduceSum): of levels from -255 to 255 it may make 3133440000");
  // Offsets of maxima count through the whole tensor, of 3 x 64 x 64 elements.
  refused(
      [](GraphBuilder& b, ValueId, const auto& number) {
        const ValueId image = b.input("image", {DType::f32, Shape{1, 3, 64, 64}});
        const ValueId offsets = b.add("MaxPoolIndices", {image}, {{"kernel_shape", Dims{2, 2}}});
        return b.add("Mul", {offsets, number(1'000'000)});
      },
      "may make 12287000000");
  planned(kI32, hash);  // counts modulo its range, as in ONNX
  // What was counted modulo a byte's range is within that, whatever it came from.
  for (const double factor : {8'000'000.0, 9'000'000.0}) {
    const auto narrowed = [&](GraphBuilder& b, ValueId level, const auto& number) {
      constexpr int64_t kU8 = 2;  // UINT8
      const ValueId byte = b.add("Cast", {b.add("Mul", {level, number(73'856'093)})}, {{"to", kU8}});
      return b.add("Mul", {b.add("Cast", {byte}, {{"to", kI64}}), b.constant(HostTensor::scalar(DType::i64, factor))});
    };
    if (factor < 8'421'504) {
      planned(kI32, narrowed);
    } else {
      CHECK_THROWS_WITH_AS(planned(kI32, narrowed), doctest::Contains("it may make 2295000000"), Error);
    }
  }
  // The places in a large picture count no further than its elements.
  Graph large;
  GraphBuilder l(large, op_table());
  const ValueId picture = l.input("picture", {DType::f32, Shape{1, 3, 600, 600}});
  const ValueId places = l.add("Cast", {l.input("places", {DType::f32, Shape{5, 4}})}, {{"to", kI64}});
  large.outputs = {l.add("GatherNDComputed", {picture, places})};
  CHECK_NOTHROW(Plan(large, {.output_like = {}}));
  planned(kI64, [](GraphBuilder& b, ValueId level, const auto& number) {
    const ValueId cell = b.add("Mod", {b.add("Mul", {level, number(8'000'000)}), number(64)});
    const ValueId bounded = b.add("Clip", {b.add("Mul", {cell, cell})}, {{"min", 0.0}, {"max", 100.0}});
    const ValueId halves = b.add("Div", {b.add("Mul", {bounded, number(20'000'000)}), number(20'000)});
    return b.add("ReduceSum", {b.add("Abs", {b.add("Where", {b.add("Less", {cell, number(3)}), halves, level})})});
  });
}

TEST_CASE("a plan on paper can tell all that can't be planned") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1, 3, 4, 4}});
  const ValueId bytes = b.add("Cast", {x}, {{"to", int64_t{2}}}, "bytes");
  const Dims pads{0, 0, 1, 1, 0, 0, 1, 1};
  const ValueId first = b.add("Pad", {bytes}, {{"pads", pads}}, "first");
  const ValueId second = b.add("Pad", {first}, {{"pads", pads}}, "second");
  graph.outputs = {b.add("Cast", {second}, {{"to", int64_t{1}}}, "back")};
  CHECK_THROWS_WITH_AS(Plan(graph, {.allocate = false}), doctest::Contains("node 'first' (Pad): "), Error);
  std::vector<Refusal> refusals;
  const Plan paper(graph, {.allocate = false, .refusals = &refusals});
  REQUIRE(refusals.size() == 2);
  CHECK(refusals[0].node == "first");
  CHECK(refusals[1].node == "second");
  CHECK(refusals[1].op == "Pad");
  CHECK(refusals[1].reason == "no kernel computes this with u8 elements: insert a Cast to float");
  CHECK(paper.steps().size() == 2);
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
        const auto& this_kernel = kernel;
        CAPTURE(this_kernel);
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
        const auto& this_kernel = kernel;
        CAPTURE(this_kernel);
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
