#include "engine/restore/network.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "graph/error.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

// A network that halves its input `times` times, as an hourglass does, and needs even sides each time.
NetworkFactory halving(int times) {
  return [times](int64_t height, int64_t width) {
    Graph graph;
    GraphBuilder b(graph, op_table());
    ValueId x = b.input("z", {DType::f32, Shape{1, 3, height, width}});
    for (int i = 0; i < times; ++i) {
      if (b.graph().shape(x)[2] % 2 != 0 || b.graph().shape(x)[3] % 2 != 0) fail("odd size");
      x = b.add("AveragePool", {x}, {{"kernel_shape", Dims{2, 2}}, {"strides", Dims{2, 2}}});
    }
    for (int i = 0; i < times; ++i) x = b.add("Resize", {x}, {{"scales", Floats{1, 1, 2, 2}}});
    graph.outputs = {x};
    return graph;
  };
}

// Its output is `scale` times as large as its input.
NetworkFactory resized(int64_t scale) {
  return [scale](int64_t height, int64_t width) {
    Graph graph;
    GraphBuilder b(graph, op_table());
    const ValueId z = b.input("z", {DType::f32, Shape{1, 3, height, width}});
    const auto factor = static_cast<double>(scale);
    graph.outputs = {b.add("Resize", {z}, {{"scales", Floats{1, 1, factor, factor}}})};
    return graph;
  };
}

// A convolution, or a transposed one, with a square filter and no padding.
NetworkFactory unpadded(std::string_view op, int64_t side) {
  return [op, side](int64_t height, int64_t width) {
    Graph graph;
    GraphBuilder b(graph, op_table());
    const ValueId z = b.input("z", {DType::f32, Shape{1, 3, height, width}});
    const ValueId weights = b.parameter("w", {DType::f32, Shape{3, 3, side, side}}, {.kind = Init::Kind::uniform});
    graph.outputs = {b.add(op, {z, weights})};
    return graph;
  };
}

}  // namespace

TEST_CASE("the canvas is the smallest that suits, the image its upper left corner") {
  const Network exact = bind_network(halving(3), op_table(), 64, 40);
  CHECK(exact.canvas_height == 64);
  CHECK(exact.canvas_width == 40);
  CHECK(exact.multiple == 1);
  const Network odd = bind_network(halving(3), op_table(), 61, 33);
  CHECK(odd.canvas_height == 64);
  CHECK(odd.canvas_width == 40);
  CHECK(odd.multiple == 8);
  CHECK(odd.graph.shape(odd.image) == Shape{1, 3, 61, 33});
}

TEST_CASE("an output of another size than the input's: the input is what makes the image") {
  const Network generator = bind_network(resized(4), op_table(), 64, 40);
  CHECK(generator.graph.shape(generator.input) == Shape{1, 3, 16, 10});
  CHECK(generator.graph.shape(generator.image) == Shape{1, 3, 64, 40});
  CHECK(generator.graph.find("crop").index == -1);
  const Network odd = bind_network(resized(4), op_table(), 61, 33);
  CHECK(odd.graph.shape(odd.input) == Shape{1, 3, 16, 9});
  CHECK(odd.canvas_height == 64);
  CHECK(odd.canvas_width == 36);
  CHECK(odd.graph.shape(odd.image) == Shape{1, 3, 61, 33});
  CHECK(odd.multiple == 1);

  // A side of the input of two at least, and even: 5x3 would be enough.
  const NetworkFactory even = [](int64_t height, int64_t width) {
    if (height % 2 != 0 || width % 2 != 0) fail("odd size");
    return resized(32)(height, width);
  };
  const Network padded = bind_network(even, op_table(), 160, 96);
  CHECK(padded.graph.shape(padded.input) == Shape{1, 3, 6, 4});
  CHECK(padded.canvas_height == 192);
  CHECK(padded.multiple == 2);
}

TEST_CASE("a network that makes too much of an input of the image's size") {
  const NetworkFactory limited = [](int64_t height, int64_t width) {
    if (height * width > int64_t{1} << 16) fail("makes {}x{}, which is too much", width * 32, height * 32);
    return resized(32)(height, width);
  };
  const Network network = bind_network(limited, op_table(), 1024, 2048);
  CHECK(network.graph.shape(network.input) == Shape{1, 3, 32, 64});
  CHECK(network.graph.shape(network.image) == Shape{1, 3, 1024, 2048});
  const Network square = bind_network(limited, op_table(), 4096, 4096);
  CHECK(square.graph.shape(square.input) == Shape{1, 3, 128, 128});
}

TEST_CASE("an output with a smaller or a larger border: convolutions without padding") {
  const Network smaller = bind_network(unpadded("Conv", 13), op_table(), 50, 41);
  CHECK(smaller.graph.shape(smaller.input) == Shape{1, 3, 62, 53});
  CHECK(smaller.graph.shape(smaller.image) == Shape{1, 3, 50, 41});
  const Network larger = bind_network(unpadded("ConvTranspose", 13), op_table(), 50, 41);
  CHECK(larger.graph.shape(larger.input) == Shape{1, 3, 38, 29});
  CHECK(larger.canvas_height == 50);
  // An image that is smaller than the border alone.
  const Network tiny = bind_network(unpadded("ConvTranspose", 13), op_table(), 7, 41);
  CHECK(tiny.graph.shape(tiny.input) == Shape{1, 3, 1, 29});
  CHECK(tiny.graph.shape(tiny.image) == Shape{1, 3, 7, 41});
}

TEST_CASE("a network with a least size that is no power of two") {
  // 192x192, as an hourglass that halves six times and pads by two at the deepest scale.
  const NetworkFactory deep = [](int64_t height, int64_t width) {
    if (std::min(height, width) < 192) fail("reflection can pad it by 1 at most, 2 is asked for");
    return halving(6)(height, width);
  };
  const Network network = bind_network(deep, op_table(), 128, 300);
  CHECK(network.canvas_height == 192);
  CHECK(network.canvas_width == 320);
  CHECK(network.multiple == 64);
}

TEST_CASE("a file that fixes its size: one canvas, and images up to its size") {
  int made = 0;
  const NetworkFactory counted = [&](int64_t height, int64_t width) {
    ++made;
    return resized(3)(height, width);
  };
  const FixedSides fixed{.height = 32, .width = 24};
  const Network network = bind_network(counted, op_table(), 96, 70, fixed);
  CHECK(network.graph.shape(network.input) == Shape{1, 3, 32, 24});
  CHECK(network.canvas_width == 72);
  CHECK(network.graph.shape(network.image) == Shape{1, 3, 96, 70});
  CHECK(made == 1);
  CHECK_THROWS_WITH_AS(bind_network(counted, op_table(), 97, 70, fixed),
                       "the file fixes its input to 24x32, of which it makes 72x96, and the image has 70x97: export it "
                       "with dynamic axes",
                       Error);
  CHECK(made == 2);
  // Only the height.
  const Network half = bind_network(resized(2), op_table(), 60, 50, {.height = 32});
  CHECK(half.graph.shape(half.input) == Shape{1, 3, 32, 25});
  CHECK_THROWS_WITH_AS(bind_network(resized(2), op_table(), 65, 50, {.height = 32}),
                       doctest::Contains("no canvas suits this network for an image of 50x65"), Error);
}

TEST_CASE("a network that suits no canvas says why") {
  const NetworkFactory never = [](int64_t, int64_t) -> Graph { fail("needs a power of three"); };
  CHECK_THROWS_WITH_AS(bind_network(never, op_table(), 10, 12), "needs a power of three", Error);
  // What depends on the size comes with the image's.
  const NetworkFactory sized = [](int64_t height, int64_t width) -> Graph {
    fail("{}x{} is too small", width, height);
  };
  const NetworkFactory strided = [](int64_t height, int64_t width) {
    Graph graph;
    GraphBuilder b(graph, op_table());
    const ValueId z = b.input("z", {DType::f32, Shape{1, 3, height, width}});
    graph.outputs = {b.add("AveragePool", {z}, {{"kernel_shape", Dims{2, 2}}, {"strides", Dims{2, 2}}})};
    return graph;
  };
  CHECK_THROWS_WITH_AS(bind_network(sized, op_table(), 10, 12),
                       "no canvas suits this network for an image of 12x10: 128x128 is too small", Error);
  CHECK_THROWS_WITH_AS(bind_network(strided, op_table(), 10, 12),
                       "no canvas suits this network for an image of 12x10: the network makes 64x64 from an input of "
                       "128x128: the output must have the input's size, or a multiple of it",
                       Error);
}

}  // namespace hourglass::test
