#include "engine/restore/network.h"

#include <doctest/doctest.h>

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

TEST_CASE("a network that suits no canvas says why") {
  const NetworkFactory never = [](int64_t, int64_t) -> Graph { fail("needs a power of three"); };
  CHECK_THROWS_WITH_AS(bind_network(never, op_table(), 10, 12), "needs a power of three", Error);
  // What depends on the size comes with the image's.
  const NetworkFactory sized = [](int64_t height, int64_t width) -> Graph {
    fail("{}x{} is too small", width, height);
  };
  CHECK_THROWS_WITH_AS(bind_network(sized, op_table(), 10, 12),
                       "no canvas suits this network for an image of 12x10: 128x128 is too small", Error);
}

}  // namespace hourglass::test
