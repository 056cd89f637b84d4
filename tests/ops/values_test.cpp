// Values of the references, written out by hand: what kernels and gradients are compared with must itself be right, and
// ops that only fold are checked nowhere else.
#include <doctest/doctest.h>

#include "graph/autodiff.h"
#include "graph/error.h"
#include "ops/table.h"
#include "tests/ops/case.h"

namespace hourglass::test {
namespace {

HostTensor floats(Shape shape, std::vector<double> values) { return {DType::f32, std::move(shape), std::move(values)}; }
HostTensor row(std::vector<double> values) {
  const auto count = static_cast<int64_t>(values.size());
  return {DType::f32, Shape{count}, std::move(values)};
}
HostTensor bools(std::vector<double> values) {
  const auto count = static_cast<int64_t>(values.size());
  return {DType::boolean, Shape{count}, std::move(values)};
}
HostTensor words(std::vector<double> values) {
  const auto count = static_cast<int64_t>(values.size());
  return {DType::i32, Shape{count}, std::move(values)};
}
HostTensor ints(const Dims& values) { return HostTensor::ints(values); }

// Evaluates an op by its reference; attributes as in the case strings.
HostTensor eval(std::string_view name, const std::vector<HostTensor>& inputs, const std::string& attrs = "",
                std::size_t output = 0) {
  const OpDef* op = op_table().find(name);
  REQUIRE((op != nullptr));
  std::vector<const HostTensor*> pointers;
  for (const HostTensor& input : inputs) pointers.push_back(&input);
  return evaluate_reference(*op, parse_attrs(*op, attrs), pointers)[output];
}

void check_equal(const HostTensor& got, const HostTensor& expected, double tolerance = 0) {
  CHECK(to_string(got.dtype) == to_string(expected.dtype));
  CHECK(got.shape.to_string() == expected.shape.to_string());
  REQUIRE(got.values.size() == expected.values.size());
  for (std::size_t i = 0; i < got.values.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(got.values[i] - expected.values[i]) <= tolerance);
  }
}

}  // namespace

TEST_CASE("activations at -2, -0.5 and 1.5") {
  struct Row {
    const char* op;
    std::vector<double> values;
    const char* attrs = "";
  };
  // By hand or from the functions' definitions, to seven digits.
  const std::vector<Row> rows = {
      {"Sigmoid", {0.1192029, 0.3775407, 0.8175745}},
      {"Tanh", {-0.9640276, -0.4621172, 0.9051483}},
      {"Exp", {0.1353353, 0.6065307, 4.4816891}},
      {"Abs", {2, 0.5, 1.5}},
      {"Neg", {2, 0.5, -1.5}},
      {"Reciprocal", {-0.5, -2, 0.6666667}},
      {"Elu", {-0.8646647, -0.3934693, 1.5}},
      {"Elu", {-0.4323324, -0.1967347, 1.5}, "alpha=0.5"},
      {"Selu", {-1.5201665, -0.6917582, 1.5760515}},
      {"Celu", {-1.2642411, -0.4423984, 1.5}, "alpha=2"},
      {"Softplus", {0.1269280, 0.4740770, 1.7014133}},
      {"Softsign", {-0.6666667, -0.3333333, 0.6}},
      {"HardSigmoid", {0.1, 0.4, 0.8}},
      {"HardSwish", {-0.3333333, -0.2083333, 1.125}},
      {"Mish", {-0.2525015, -0.2207438, 1.4033783}},
      {"Gelu", {-0.0455003, -0.1542688, 1.3997892}},
      {"Gelu", {-0.0454023, -0.1542860, 1.3995716}, "approximate=tanh"},
      {"Erf", {-0.9953223, -0.5204999, 0.9661051}},
      {"Sin", {-0.9092974, -0.4794255, 0.9974950}},
      {"Cos", {-0.4161468, 0.8775826, 0.0707372}},
      {"Tan", {2.1850399, -0.5463025, 14.1014199}},
      {"Atan", {-1.1071487, -0.4636476, 0.9827937}},
      {"Sinh", {-3.6268604, -0.5210953, 2.1292795}},
      {"Cosh", {3.7621957, 1.1276260, 2.3524096}},
      {"Asinh", {-1.4436355, -0.4812118, 1.1947632}},
      {"Shrink", {-2, 0, 1.5}},
      {"Shrink", {-1.7, -0.2, 1.2}, "lambd=0.3 bias=0.3"},
      {"Floor", {-2, -1, 1}},
      {"Ceil", {-2, 0, 2}},
      {"Round", {-2, 0, 2}},
      {"Sign", {-1, -1, 1}},
      {"Clip", {-1, -0.5, 1}, "min=-1 max=1"},
      {"Clip", {-2, -0.5, 1.5}},
      {"ThresholdedRelu", {0, 0, 1.5}},
  };
  for (const Row& r : rows) {
    CAPTURE(std::string(r.op));
    check_equal(eval(r.op, {row({-2, -0.5, 1.5})}, r.attrs), row(r.values), 1e-7);
  }
  check_equal(eval("Log", {row({0.5, 4})}), row({-0.6931472, 1.3862944}), 1e-7);
  check_equal(eval("Sqrt", {row({0.25, 2})}), row({0.5, 1.4142136}), 1e-7);
  check_equal(eval("Asin", {row({0.5, -1})}), row({0.5235988, -1.5707963}), 1e-7);
  check_equal(eval("Acos", {row({-0.5, 1})}), row({2.0943951, 0}), 1e-7);
  check_equal(eval("Acosh", {row({2, 1})}), row({1.3169579, 0}), 1e-7);
  check_equal(eval("Atanh", {row({0.5, 0})}), row({0.5493061, 0}), 1e-7);
}

TEST_CASE("arithmetic broadcasts, and divides integers as C does") {
  check_equal(eval("Sub", {floats({2, 1}, {1, 2}), row({10, 20, 30})}), floats({2, 3}, {-9, -19, -29, -8, -18, -28}));
  check_equal(eval("Div", {ints({7, -7, 8}), ints({2, 2, 4})}), ints({3, -3, 2}));
  CHECK_THROWS_AS(eval("Div", {ints({1}), ints({0})}), Error);
  CHECK_THROWS_AS(eval("Add", {ints({1}), row({1})}), Error);
  // Exact modulo the type's range, whatever doubles hold.
  constexpr double kMost = 2147483647, kLeast = -2147483648.0;
  check_equal(eval("Mul", {words({kMost, kMost, 65537}), words({kMost, 3, 65537})}), words({1, kMost - 2, 131073}));
  check_equal(eval("Add", {words({kMost}), words({1})}), words({kLeast}));
  CHECK_THROWS_WITH_AS(eval("Div", {words({1}), words({0})}), "division of integers by zero", Error);
  CHECK_THROWS_WITH_AS(eval("Pow", {words({10}), words({400})}), "of 10 and 400 it makes no whole number", Error);
  CHECK_THROWS_AS(eval("Add", {row({1, 2}), row({1, 2, 3})}), Error);
  check_equal(eval("Pow", {row({3, 2}), row({2, -1})}), row({9, 0.5}));
  check_equal(eval("PRelu", {floats({2, 2}, {-1, 2, -3, 4}), row({0.5, 2})}), floats({2, 2}, {-0.5, 2, -1.5, 4}));
}

TEST_CASE("the gradients of Relu and LeakyRelu read dst, so that src need not be kept") {
  struct Row {
    const char* op;
    Attrs attrs;
    bool reads_dst;
  };
  for (const auto& [op, attrs, reads_dst] :
       {Row{"Relu", {}, true}, Row{"LeakyRelu", {{"alpha", 0.0}}, true}, Row{"LeakyRelu", {{"alpha", 0.2}}, true},
        Row{"LeakyRelu", {{"alpha", -0.2}}, false}}) {
    const auto& this_op = op;
    CAPTURE(this_op);
    Graph graph;
    GraphBuilder b(graph, op_table());
    const ValueId src = b.parameter("src", {DType::f32, Shape{4}}, {}), dst = b.add(op, {src}, attrs);
    const ValueId loss = b.add("ReduceSum", {b.add("Mul", {dst, dst})}, {{"keepdims", int64_t{0}}});
    const Differentiated d = differentiate(graph, op_table(), loss, {src});
    int found = 0;
    for (const Node& node : d.graph.nodes) {
      if (node.op->name != "LeakyReluGrad") continue;
      CHECK((node.inputs[1] == (reads_dst ? dst : src)));
      ++found;
    }
    CHECK(found == 1);
  }
}

TEST_CASE("reductions") {
  const HostTensor x = floats({2, 3}, {1, -2, 3, 4, 5, -6});
  check_equal(eval("ReduceSum", {x}, "axes=[1] keepdims=0"), row({2, 3}));
  check_equal(eval("ReduceSum", {x}, "keepdims=0"), HostTensor::scalar(DType::f32, 5));
  check_equal(eval("ReduceMean", {x}, "axes=[0]"), floats({1, 3}, {2.5, 1.5, -1.5}));
  check_equal(eval("ReduceMax", {x}, "axes=[-1]"), floats({2, 1}, {3, 5}));
  check_equal(eval("ReduceMin", {x}, "axes=[-1]"), floats({2, 1}, {-2, -6}));
  check_equal(eval("ReduceL1", {x}, "axes=[1]"), floats({2, 1}, {6, 15}));
  check_equal(eval("ReduceL2", {row({3, 4})}), row({5}));
  check_equal(eval("ReduceSumSquare", {x}, "axes=[1]"), floats({2, 1}, {14, 77}));
  check_equal(eval("ReduceProd", {ints({2, 3, 4})}, "keepdims=0"), HostTensor::scalar(DType::i64, 24));
  check_equal(eval("ReduceSum", {words({2147483647, 2})}), words({-2147483647}));
  check_equal(eval("ReduceProd", {words({65537, 65537, 65537})}), words({196609}));
  check_equal(eval("ReduceMax", {words({-5, 7})}), words({7}));
  check_equal(eval("ReduceSum", {x}, "noop_with_empty_axes=1"), x);
  check_equal(eval("GlobalAveragePool", {floats({1, 2, 2, 1}, {1, 3, 5, 9})}), floats({1, 2, 1, 1}, {2, 7}));
  check_equal(eval("GlobalMaxPool", {floats({1, 2, 2, 1}, {1, 3, 5, 9})}), floats({1, 2, 1, 1}, {3, 9}));
  check_equal(eval("SumTo", {x}, "shape=[3]"), row({5, 3, -3}));
}

TEST_CASE("references of maxima pass over NaN") {
  const HostTensor first = floats({1, 1, 2, 2}, {NAN, 1, 3, 2}), later = floats({1, 1, 2, 2}, {1, NAN, 0, 2});
  check_equal(eval("MaxPool", {first}, "kernel_shape=[2,2]"), floats({1, 1, 1, 1}, {3}));
  check_equal(eval("MaxPool", {later}, "kernel_shape=[2,2]"), floats({1, 1, 1, 1}, {2}));
  check_equal(eval("MaxPoolIndices", {first}, "kernel_shape=[2,2]"), {DType::i64, Shape{1, 1, 1, 1}, {2}});
  const HostTensor one = floats({1, 1, 1, 1}, {5});
  check_equal(eval("MaxPoolGrad", {first, one}, "kernel_shape=[2,2]"), floats({1, 1, 2, 2}, {0, 0, 5, 0}));
}

TEST_CASE("a reduction's maximum or minimum is NaN where there is one, as numpy's") {
  for (const char* op : {"ReduceMax", "ReduceMin", "GlobalMaxPool"}) {
    for (const std::vector<double>& values : {std::vector<double>{NAN, 1, 3}, {1, NAN, 3}, {1, 3, NAN}}) {
      CAPTURE(op);
      CHECK(std::isnan(eval(op, {floats({1, 1, 3}, values)}).values[0]));
    }
  }
}

TEST_CASE("slices, as numpy slices") {
  const HostTensor x = row({0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  check_equal(eval("Slice", {x}, "starts=[2] ends=[5]"), row({2, 3, 4}));
  check_equal(eval("Slice", {x}, "starts=[-3] ends=[9223372036854775807]"), row({7, 8, 9}));
  check_equal(eval("Slice", {x}, "starts=[8] ends=[1] steps=[-3]"), row({8, 5, 2}));
  check_equal(eval("Slice", {x}, "starts=[100] ends=[-9223372036854775808] steps=[-4]"), row({9, 5, 1}));
  check_equal(eval("Slice", {x}, "starts=[5] ends=[2]"), row({}));
  check_equal(eval("Slice", {x}, "starts=[-100] ends=[1] steps=[-9223372036854775808]"), row({}));
  check_equal(eval("Slice", {floats({2, 2}, {1, 2, 3, 4})}, "starts=[1] ends=[2] axes=[-1]"), floats({2, 1}, {2, 4}));
  CHECK_THROWS_AS(eval("Slice", {x}, "starts=[0] ends=[2] steps=[0]"), Error);
  check_equal(eval("SliceGrad", {row({1, 2})}, "starts=[3] ends=[0] steps=[-2] shape=[4]"), row({0, 2, 0, 1}));
}

TEST_CASE("concatenating and splitting") {
  check_equal(eval("Concat", {floats({2, 1}, {1, 2}), floats({2, 2}, {3, 4, 5, 6})}, "axis=1"),
              floats({2, 3}, {1, 3, 4, 2, 5, 6}));
  check_equal(eval("Concat", {ints({1}), ints({2, 3})}, "axis=-1"), ints({1, 2, 3}));
  const HostTensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  check_equal(eval("Split", {x}, "axis=1 split=[1,2]", 1), floats({2, 2}, {2, 3, 5, 6}));
  check_equal(eval("Split", {x}, "axis=1 num_outputs=2", 0), floats({2, 2}, {1, 2, 4, 5}));
  check_equal(eval("Split", {x}, "axis=1 num_outputs=2", 1), floats({2, 1}, {3, 6}));
  CHECK_THROWS_AS(eval("Split", {x}, "axis=1 split=[1,1]"), Error);
}

TEST_CASE("reshaping") {
  const HostTensor x = floats({2, 3, 1}, {1, 2, 3, 4, 5, 6});
  const auto shape_of = [&](std::string_view op, const char* attrs) { return eval(op, {x}, attrs).shape.to_string(); };
  CHECK(shape_of("Reshape", "shape=[0,-1]") == "2x3");
  CHECK(shape_of("Reshape", "shape=[6]") == "6");
  CHECK_THROWS_AS(eval("Reshape", {x}, "shape=[4,-1]"), Error);
  CHECK_THROWS_AS(eval("Reshape", {x}, "shape=[-1,-1]"), Error);
  CHECK(shape_of("Flatten", "") == "2x3");
  CHECK(shape_of("Flatten", "axis=0") == "1x6");
  CHECK(shape_of("Squeeze", "") == "2x3");
  CHECK_THROWS_AS(eval("Squeeze", {x}, "axes=[0]"), Error);
  CHECK(shape_of("Unsqueeze", "axes=[0,-1]") == "1x2x3x1x1");
  CHECK_THROWS_AS(eval("Unsqueeze", {x}, "axes=[0,0]"), Error);
  check_equal(eval("Cast", {row({1.7, -1.7, 0})}, "to=7"), ints({1, -1, 0}));
  check_equal(eval("Cast", {row({0.3, 0})}, "to=9"), bools({1, 0}));
}

TEST_CASE("rearranging") {
  const HostTensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  check_equal(eval("Transpose", {x}), floats({3, 2}, {1, 4, 2, 5, 3, 6}));
  CHECK_THROWS_AS(eval("Transpose", {x}, "perm=[0,0]"), Error);
  check_equal(eval("Expand", {floats({2, 1}, {1, 2})}, "shape=[2]"), floats({2, 2}, {1, 1, 2, 2}));
  check_equal(eval("Tile", {floats({1, 2}, {1, 2})}, "repeats=[2,2]"), floats({2, 4}, {1, 2, 1, 2, 1, 2, 1, 2}));
  // Channels 0..7 of one pixel, to two channels of 2 x 2.
  const HostTensor deep = floats({1, 8, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  check_equal(eval("DepthToSpace", {deep}, "blocksize=2"), floats({1, 2, 2, 2}, {0, 2, 4, 6, 1, 3, 5, 7}));
  check_equal(eval("DepthToSpace", {deep}, "blocksize=2 mode=CRD"), floats({1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7}));
  check_equal(eval("SpaceToDepth", {floats({1, 2, 2, 2}, {0, 2, 4, 6, 1, 3, 5, 7})}, "blocksize=2"), deep);
}

TEST_CASE("constants and shapes") {
  check_equal(eval("Constant", {}, "value_ints=[3,1]"), ints({3, 1}));
  check_equal(eval("Constant", {}, "value_float=0.5"), HostTensor::scalar(DType::f32, 0.5));
  check_equal(eval("Constant", {}, "value=[0.5,1]"), row({0.5, 1}));
  CHECK_THROWS_AS(eval("Constant", {}), Error);
  check_equal(eval("ConstantOfShape", {}, "shape=[2]"), row({0, 0}));
  check_equal(eval("ConstantOfShape", {}, "shape=[2] value=[7]"), ints({7, 7}));
  check_equal(eval("Range", {}, "start=1 limit=8 delta=3"), ints({1, 4, 7}));
  check_equal(eval("Range", {}, "start=3 limit=0 delta=-2"), ints({3, 1}));
  check_equal(eval("Range", {}, "start=0.5 limit=2.0 delta=0.5"), row({0.5, 1, 1.5}));
  const HostTensor x(DType::f32, Shape{2, 3, 4});
  check_equal(eval("Shape", {x}), ints({2, 3, 4}));
  check_equal(eval("Shape", {x}, "start=-2"), ints({3, 4}));
  check_equal(eval("Shape", {x}, "start=0 end=-1"), ints({2, 3}));
  check_equal(eval("Size", {x}), HostTensor::scalar(DType::i64, 24));
}

TEST_CASE("choosing and comparing") {
  check_equal(eval("Max", {row({1, 5}), row({3, 2}), HostTensor(DType::f32, Shape{}, {2})}), row({3, 5}));
  check_equal(eval("Min", {row({1, 5}), row({3, 2})}), row({1, 2}));
  check_equal(eval("Sum", {row({1, 5}), row({3, 2}), row({10, 20})}), row({14, 27}));
  check_equal(eval("Mean", {row({1, 5}), row({3, 2})}), row({2, 3.5}));
  check_equal(eval("Greater", {ints({1, 2, 3}), ints({2})}), bools({0, 0, 1}));
  check_equal(eval("GreaterOrEqual", {ints({1, 2, 3}), ints({2})}), bools({0, 1, 1}));
  check_equal(eval("Less", {ints({1, 2, 3}), ints({2})}), bools({1, 0, 0}));
  check_equal(eval("LessOrEqual", {ints({1, 2, 3}), ints({2})}), bools({1, 1, 0}));
  check_equal(eval("Equal", {ints({1, 2, 3}), ints({2})}), bools({0, 1, 0}));
  check_equal(eval("And", {bools({0, 0, 1, 1}), bools({0, 1, 0, 1})}), bools({0, 0, 0, 1}));
  check_equal(eval("Or", {bools({0, 0, 1, 1}), bools({0, 1, 0, 1})}), bools({0, 1, 1, 1}));
  check_equal(eval("Xor", {bools({0, 0, 1, 1}), bools({0, 1, 0, 1})}), bools({0, 1, 1, 0}));
  check_equal(eval("Not", {bools({0, 1})}), bools({1, 0}));
  check_equal(eval("Mod", {ints({7, -7}), ints({3})}), ints({1, 2}));
  check_equal(eval("Mod", {ints({7, -7}), ints({3})}, "fmod=1"), ints({1, -1}));
  check_equal(eval("Mod", {row({5.5, -5.5}), row({2})}), row({1.5, 0.5}));
  check_equal(eval("Mod", {row({5.5, -5.5}), row({2})}, "fmod=1"), row({1.5, -1.5}));
  check_equal(eval("IsNaN", {row({1, NAN, INFINITY})}), bools({0, 1, 0}));
  check_equal(eval("IsInf", {row({1, NAN, INFINITY, -INFINITY})}), bools({0, 0, 1, 1}));
  check_equal(eval("IsInf", {row({INFINITY, -INFINITY})}, "detect_negative=0"), bools({1, 0}));
  check_equal(eval("Where", {bools({1, 0}), ints({1, 2}), ints({3})}), ints({1, 3}));
  CHECK_THROWS_AS(eval("Where", {ints({1, 0}), ints({1, 2}), ints({3})}), Error);
}

TEST_CASE("gathering") {
  check_equal(eval("Gather", {ints({5, 6, 7})}, "indices=-1"), HostTensor::scalar(DType::i64, 7));
  check_equal(eval("Gather", {floats({2, 2}, {1, 2, 3, 4})}, "axis=1 indices=[1]"), floats({2, 1}, {2, 4}));
  CHECK_THROWS_AS(eval("Gather", {ints({5, 6, 7})}, "indices=3"), Error);
  check_equal(eval("GatherGrad", {row({1, 2, 4})}, "indices=[1,1,0] shape=[3]"), row({4, 3, 0}));
  const HostTensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  check_equal(eval("GatherND", {x}, "indices=2x2:[0,2,-1,0]"), row({3, 4}));
  check_equal(eval("GatherND", {x}, "indices=2x1:[1,0] batch_dims=1"), row({2, 4}));
  CHECK_THROWS_AS(eval("GatherND", {x}, "indices=1x2:[2,0]"), Error);
  CHECK_THROWS_AS(eval("GatherND", {x}, "indices=1x3:[0,0,0]"), Error);
  const HostTensor places(DType::i64, Shape{1, 3}, {1, 0, -1});
  check_equal(eval("GatherElements", {x, places}), floats({1, 3}, {4, 2, 6}));
  CHECK_THROWS_AS(eval("GatherElements", {x, HostTensor(DType::i64, Shape{1, 3}, {0, 2, 0})}), Error);
}

TEST_CASE("scattering") {
  const HostTensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  check_equal(eval("ScatterND", {x, floats({1, 3}, {7, 8, 9})}, "indices=1x1:[1]"), floats({2, 3}, {1, 2, 3, 7, 8, 9}));
  check_equal(eval("ScatterND", {x, row({7, 8})}, "indices=2x2:[0,-1,0,-1] reduction=add"),
              floats({2, 3}, {1, 2, 18, 4, 5, 6}));
  CHECK_THROWS_AS(eval("ScatterND", {x, row({7, 8})}, "indices=2x2:[0,0,0,3]"), Error);
  CHECK_THROWS_AS(eval("ScatterND", {x, row({7})}, "indices=2x2:[0,0,0,1]"), Error);
  const HostTensor places(DType::i64, Shape{1, 3}, {1, 0, -1});
  check_equal(eval("ScatterElements", {x, places, floats({1, 3}, {7, 8, 9})}), floats({2, 3}, {1, 8, 3, 7, 5, 9}));
  check_equal(eval("ScatterElements", {x, places, floats({1, 3}, {7, 8, 9})}, "reduction=add"),
              floats({2, 3}, {1, 10, 3, 11, 5, 15}));
  CHECK_THROWS_AS(eval("ScatterElements", {x, places, floats({1, 3}, {7, 8, 9})}, "reduction=mul"), Error);
}

TEST_CASE("updates of one element have a gradient where they are added") {
  const auto refusal = [](bool adding, const std::vector<double>& places, bool is_slice) {
    const Attrs reduction{{"reduction", std::string(adding ? "add" : "none")}};
    Graph graph;
    GraphBuilder b(graph, op_table());
    const ValueId x = b.parameter("x", {DType::f32, Shape{5}}, {}), w = b.parameter("w", {DType::f32, Shape{2}}, {});
    ValueId written;
    if (is_slice) {
      Attrs attrs = reduction;
      attrs.set("indices", std::make_shared<const HostTensor>(DType::i64, Shape{2, 1}, places));
      written = b.add("ScatterND", {x, w}, attrs);
    } else {
      written = b.add("ScatterElements", {x, b.constant({DType::i64, Shape{2}, places}), w}, reduction);
    }
    const ValueId loss = b.add("ReduceSum", {written}, {{"keepdims", int64_t{0}}});
    differentiate(graph, op_table(), loss, {x});
    try {
      differentiate(graph, op_table(), loss, {x, w});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  for (const bool is_slice : {false, true}) {
    CAPTURE(is_slice);
    CHECK(refusal(true, {1, 1}, is_slice).empty());
    CHECK(refusal(false, {1, 2}, is_slice).empty());
    CHECK(refusal(false, {1, 1}, is_slice).find("is named twice") != std::string::npos);
    CHECK(refusal(false, {-1, 4}, is_slice).find("is named twice") != std::string::npos);
  }
}

TEST_CASE("sorting and summing along an axis") {
  const HostTensor x = floats({2, 3}, {1, 3, 3, -4, 5, -6});
  check_equal(eval("TopK", {x}, "k=2"), floats({2, 2}, {3, 3, 5, -4}));
  check_equal(eval("TopK", {x}, "k=2", 1), {DType::i64, Shape{2, 2}, {1, 2, 1, 0}});
  check_equal(eval("TopK", {x}, "k=1 axis=0 largest=0"), floats({1, 3}, {-4, 3, -6}));
  check_equal(eval("TopK", {row({1, NAN, 2})}, "k=1", 1), ints({1}));
  CHECK_THROWS_AS(eval("TopK", {x}, "k=4"), Error);
  check_equal(eval("ArgMax", {x}, "axis=1 keepdims=0"), ints({1, 1}));
  check_equal(eval("ArgMax", {x}, "axis=1 keepdims=0 select_last_index=1"), ints({2, 1}));
  check_equal(eval("ArgMin", {x}, "axis=0 keepdims=0"), ints({1, 0, 1}));
  check_equal(eval("CumSum", {x}, "axis=1"), floats({2, 3}, {1, 4, 7, -4, 1, -5}));
  check_equal(eval("CumSum", {x}, "axis=1 exclusive=1"), floats({2, 3}, {0, 1, 4, 0, -4, 1}));
  check_equal(eval("CumSum", {x}, "axis=0 reverse=1"), floats({2, 3}, {-3, 8, -3, -4, 5, -6}));
}

TEST_CASE("triangles, and numbers in bytes") {
  const HostTensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  check_equal(eval("Trilu", {x}), floats({2, 3}, {1, 2, 3, 0, 5, 6}));
  check_equal(eval("Trilu", {x}, "upper=0 k=1"), floats({2, 3}, {1, 2, 0, 4, 5, 6}));
  check_equal(eval("EyeLike", {x}, "k=1"), floats({2, 3}, {0, 1, 0, 0, 0, 1}));
  // Of every element type that Cast knows, too: 10 is ONNX's FLOAT16.
  check_equal(eval("EyeLike", {x}, "dtype=10"), {DType::f16, {2, 3}, {1, 0, 0, 0, 1, 0}});
  const HostTensor bytes(DType::u8, Shape{2, 3}, {0, 1, 2, 3, 4, 5});
  check_equal(eval("DequantizeLinear", {bytes, HostTensor::scalar(DType::f32, 0.5)}),
              floats({2, 3}, {0, 0.5, 1, 1.5, 2, 2.5}));
  check_equal(eval("DequantizeLinear", {bytes, row({1, 2}), HostTensor(DType::u8, Shape{2}, {1, 3})}, "axis=0"),
              floats({2, 3}, {-1, 0, 1, 0, 2, 4}));
  check_equal(eval("DequantizeLinear", {bytes, floats({2, 2}, {1, 2, 3, 4})}, "axis=1 block_size=2"),
              floats({2, 3}, {0, 1, 4, 9, 12, 20}));
  CHECK_THROWS_AS(eval("DequantizeLinear", {bytes, row({1, 2})}), Error);
}

}  // namespace hourglass::test
