// The topologies: shapes, sizes, names, and that the files in models/ are what the builder makes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "graph/error.h"
#include "graph/op.h"
#include "models/builtin.h"
#include "models/cost.h"

namespace hourglass::test {
namespace {

int64_t count(const Graph& graph, std::string_view op) {
  return std::count_if(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) { return node.op->name == op; });
}

}  // namespace

TEST_CASE("the standard hourglass is the paper's") {
  const Graph graph = make_builtin("standard", {});
  CHECK(graph.shape(graph.inputs[0]) == Shape{1, 32, 512, 512});
  CHECK(graph.value(graph.inputs[0]).name == "z");
  CHECK(graph.shape(graph.outputs[0]) == Shape{1, 3, 512, 512});
  CHECK(graph.value(graph.outputs[0]).name == "image");
  const NetworkCost cost = cost_of(graph);
  // What the authors' code prints for this network.
  CHECK(cost.parameters == 2217831);
  // Per scale: skip, two down, up, 1x1; and the last.
  CHECK(count(graph, "Conv") == 5 * 5 + 1);
  CHECK(count(graph, "Concat") == 5);
  CHECK(count(graph, "Resize") == 5);
  // Summed up by hand from the layers' sizes; the first layers have no gradient of their source.
  CHECK(cost.forward_flops == doctest::Approx(154.99001856e9));
  CHECK(cost.training_flops == doctest::Approx(460.071108608e9));
}

TEST_CASE("parameters start as PyTorch's default") {
  const Graph graph = make_builtin("small", {});
  const auto init = [&](std::string_view name) { return graph.value(graph.find(name)).init; };
  const Init weight = init("s0/down2/conv.weight");  // fan in 8 * 9
  CHECK(weight.kind == Init::Kind::uniform);
  CHECK(weight.low == -weight.high);
  CHECK(weight.high == doctest::Approx(1 / std::sqrt(72.0)).epsilon(1e-7));
  CHECK(init("s0/down2/conv.bias").high == weight.high);
  CHECK(init("s0/down2/bn.scale").low == 1);
  CHECK(init("s0/down2/bn.scale").high == 1);
  CHECK(init("s0/down2/bn.bias").low == 0);
  CHECK(init("s0/down2/bn.bias").high == 0);
}

TEST_CASE("a scale without skip has no concatenation") {
  const Graph graph = make_builtin("small", {});
  CHECK(count(graph, "Concat") == 2);
  CHECK_FALSE(graph.find("s0/skip/conv.weight").valid());
  CHECK(graph.find("s3/skip/conv.weight").valid());
  // Deeper branch first.
  CHECK(graph.shape(graph.find("s3/concat.out"))[1] == 132);
}

TEST_CASE("every built-in topology fits gray and colour, any size that is a multiple") {
  for (const Builtin& entry : builtins()) {
    CAPTURE(entry.name);
    const int64_t step = size_multiple(entry);
    for (const int64_t channels : {1, 3}) {
      const Graph graph =
          make_builtin(entry.name, {.output_channels = channels, .height = 4 * step, .width = 3 * step});
      CHECK(graph.shape(graph.outputs[0]) == Shape{1, channels, 4 * step, 3 * step});
    }
    CHECK_THROWS_AS(make_builtin(entry.name, {.height = 4 * step + 1, .width = 3 * step}), Error);
    CHECK_THROWS_AS(make_builtin(entry.name, {.height = 0, .width = 3 * step}), Error);
  }
  CHECK_THROWS_WITH(make_builtin("huge", {}), doctest::Contains("small, medium, standard, unet"));
}

TEST_CASE("every option builds") {
  for (const Upsample upsample : {Upsample::bilinear, Upsample::nearest}) {
    for (const Downsample down : {Downsample::stride, Downsample::average, Downsample::max}) {
      for (const Padding padding : {Padding::reflect, Padding::zero}) {
        const SkipOptions skip{.channels = {4, 6},
                               .up_channels = {3, 5},
                               .skips = {0, 2},
                               .input_depth = 2,
                               .filter_down = 5,
                               .upsample = upsample,
                               .down = down,
                               .padding = padding};
        const Graph a = make_skip(skip, 24, 16);
        CHECK(a.shape(a.outputs[0]) == Shape{1, 3, 24, 16});
        CHECK(a.shape(a.find("s0/up/conv.weight")) == Shape{3, 5, 3, 3});
        CHECK(count(a, "Pad") == (padding == Padding::reflect ? 6 : 0));
        CHECK(count(a, "AveragePool") == (down == Downsample::average ? 2 : 0));
        CHECK(count(a, "MaxPool") == (down == Downsample::max ? 2 : 0));

        const UnetOptions unet{
            .channels = {4, 6, 8}, .input_depth = 2, .upsample = upsample, .down = down, .padding = padding};
        const Graph b = make_unet(unet, 24, 16);
        CHECK(b.shape(b.outputs[0]) == Shape{1, 3, 24, 16});
        CHECK(count(b, "Conv") == 2 * 3 + 2 * 2 + 1);
        CHECK(count(b, "Concat") == 2);
        CHECK(count(b, "MaxPool") == (down == Downsample::max ? 2 : 0));
      }
    }
  }
  for (const Activation activation : {Activation::swish, Activation::elu, Activation::relu}) {
    const Graph graph = make_skip(
        {.channels = {4}, .skips = {2}, .activation = activation, .extra_1x1_up = false, .sigmoid = false}, 8, 8);
    CHECK(graph.shape(graph.outputs[0]) == Shape{1, 3, 8, 8});
    CHECK(count(graph, "LeakyRelu") == 0);
    CHECK(count(graph, "Sigmoid") == (activation == Activation::swish ? 4 : 0));
  }
}

TEST_CASE("options that make no network are refused") {
  CHECK_THROWS_WITH(make_skip({.channels = {8, 8}}, 32, 32), doctest::Contains("skips has 5 entries, channels has 2"));
  CHECK_THROWS_WITH(make_skip({.channels = {8}, .up_channels = {8, 8}, .skips = {0}}, 32, 32),
                    doctest::Contains("up_channels has 2"));
  CHECK_THROWS_WITH(make_skip({.channels = {0}, .skips = {0}}, 32, 32), doctest::Contains("channels: 0"));
  CHECK_THROWS_WITH(make_skip({.channels = {8}, .skips = {-1}}, 32, 32), doctest::Contains("skips: -1"));
  CHECK_THROWS_WITH(make_skip({.filter_up = 4}, 64, 64), doctest::Contains("filter_up is 4"));
  CHECK_THROWS_WITH(make_skip({}, 96, 32), doctest::Contains("least size is 64x64"));
  CHECK_NOTHROW(make_skip({.padding = Padding::zero}, 96, 32));
  CHECK_THROWS_WITH(make_unet({.channels = {}}, 32, 32), doctest::Contains("0 scales"));
  CHECK_THROWS_WITH(make_unet({.channels = std::vector<int64_t>(40, 8)}, 32, 32), doctest::Contains("40 scales"));
}

}  // namespace hourglass::test
