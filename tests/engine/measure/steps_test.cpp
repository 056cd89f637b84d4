#include "engine/measure/steps.h"

#include <doctest/doctest.h>

#include "engine/measure/onednn_floor.h"
#include "tests/engine/measure/tiny_fit.h"

namespace hourglass::test {

TEST_CASE("each step has its time, arithmetic and traffic") {
  const std::unique_ptr<Fit> fit = tiny_fit(1);
  const Profile profile = profile_iterations(*fit, 3);
  CHECK(fit->iteration() == 3);
  const std::vector<StepProfile>& steps = profile.steps;
  REQUIRE(steps.size() == fit->plan().steps().size() + 3);
  CHECK(steps.front().info.op == "Noise");
  CHECK(steps.back().info.op == "Adam");
  for (std::size_t i = 0; i < fit->plan().steps().size(); ++i) {
    CHECK(steps[i + 1].step == static_cast<int64_t>(i));
    CHECK(steps[i + 1].info.op == fit->plan().steps()[i].op);
    CHECK(steps[i + 1].seconds.low < profile.seconds.high);
  }
  int convolutions = 0;
  for (const StepProfile& step : steps) {
    CHECK(step.seconds.median > 0);
    if (step.info.op == "Conv" || step.info.op == "ConvGradWeights") {
      ++convolutions;
      CHECK(step.flops == 2.0 * 3 * 3 * 3 * 8 * 16 * 16);
      CHECK(step.bytes == 4.0 * (3 * 16 * 16 + 8 * 3 * 3 * 3 + 8 * 16 * 16));
    } else {
      CHECK(step.flops == 0);
    }
    CHECK((step.info.node >= 0) == (step.bytes > 0));
  }
  CHECK(convolutions == 2);
  const std::map<std::string, double> by_op = seconds_by_op(steps);
  CHECK(by_op.at("Conv") > 0);
}

TEST_CASE("a convolution is timed alone, as the plan does it and as oneDNN does") {
  const std::unique_ptr<Fit> fit = tiny_fit(1);
  Profile profile = profile_iterations(*fit, 1);
  time_convolutions(*fit, profile.steps, 3);
  for (const StepProfile& step : profile.steps) {
    CAPTURE(step.info.op);
    CHECK((step.alone > 0) == (step.flops > 0));
    CHECK((step.onednn > 0) == (step.flops > 0));
  }
}

TEST_CASE("oneDNN has a primitive for each direction, groups, strides, and what is resized on the way") {
  const TensorType x{DType::f32, Shape{1, 8, 12, 10}}, w{DType::f32, Shape{16, 8, 3, 3}};
  const Attrs pads{{"pads", Dims{1, 1, 1, 1}}};
  const auto seconds = [](const auto& add) {
    Graph graph;
    GraphBuilder b(graph, op_table());
    add(b);
    return time_onednn_convolution(graph, graph.nodes.back(), 1, 1);
  };
  CHECK(seconds([&](GraphBuilder& b) { b.add("Conv", {b.input("x", x), b.input("w", w)}, pads); }) > 0);
  CHECK(seconds([&](GraphBuilder& b) {
          const TensorType grouped{DType::f32, Shape{16, 4, 3, 3}};
          b.add("Conv", {b.input("x", x), b.input("w", grouped)}, {{"group", int64_t{2}}, {"strides", Dims{2, 1}}});
        }) > 0);
  CHECK(seconds([&](GraphBuilder& b) {
          Attrs attrs = pads;
          attrs.set("src_shape", x.shape.dims());
          const TensorType dst{DType::f32, Shape{1, 16, 12, 10}};
          b.add("ConvGradSrc", {b.input("dy", dst), b.input("w", w)}, attrs);
        }) > 0);
  CHECK(seconds([&](GraphBuilder& b) {
          Attrs attrs = pads;
          attrs.set("weights_shape", w.shape.dims());
          attrs.set("mode", std::string("linear"));
          attrs.set("scales", Floats{1, 1, 2, 2});
          const auto vector = [&](const char* name) { return b.input(name, {DType::f32, Shape{8}}); };
          b.add("ConvGradWeights",
                {b.input("x", x), b.input("dy", {DType::f32, Shape{1, 16, 24, 20}}), vector("scale"), vector("bias"),
                 vector("mean"), vector("inv_std")},
                attrs);
        }) > 0);
  CHECK(seconds([&](GraphBuilder& b) { b.add("Sigmoid", {b.input("x", x)}); }) == 0);
}

TEST_CASE("the work of a matrix product") {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{7, 5}}), y = b.input("y", {DType::f32, Shape{7, 3}});
  graph.outputs = {b.add("MatMul", {x, y}, {{"trans_a", int64_t{1}}})};
  const Work work = work_of(graph, graph.nodes.back());
  CHECK(work.flops == 2.0 * 5 * 3 * 7);
  CHECK(work.bytes == 4.0 * (7 * 5 + 7 * 3 + 5 * 3));
}

TEST_CASE("the peak of this machine is not nothing") {
  const Peak peak = measure_peak(1, Precision::f32);
  CHECK(peak.gflops > 0.1);
  CHECK(peak.gbytes > 0.1);
}

}  // namespace hourglass::test
