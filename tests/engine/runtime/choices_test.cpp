// Networks that choose among their values, count them, or bring them into another order: forward, and gradients.
#include <doctest/doctest.h>

#include "tests/engine/runtime/small_network.h"

namespace hourglass::test {
namespace {

ValueId cast(Builder& b, ValueId value, int64_t to) { return b.add("Cast", {value}, {{"to", to}}); }
// ONNX's TensorProto.DataType.
constexpr int64_t kFloat = 1, kInt64 = 7, kBool = 9;

std::shared_ptr<const HostTensor> whole(const Shape& shape, std::vector<double> values) {
  return std::make_shared<const HostTensor>(DType::i64, shape, std::move(values));
}

// Where the network is far above 0, as network_with() makes it.
ValueId above(Builder& b, ValueId h) { return b.add("Greater", {h, b.number(0.5)}); }

}  // namespace

TEST_CASE("a condition that is computed chooses, and has no gradient") {
  const std::vector<std::pair<const char*, Tail>> tails = {
      {"Greater, Where",
       [](Builder& b, ValueId h) {
         return b.add("Where", {above(b, h), h, b.add("Mul", {h, b.number(0.2)})});
       }},
      {"Less, Where with a number",
       [](Builder& b, ValueId h) {
         return b.add("Where", {b.add("Less", {h, b.number(0.5)}), b.number(0.3), h});
       }},
      {"Greater, Cast, Mul",
       [](Builder& b, ValueId h) {
         return b.add("Mul", {cast(b, above(b, h), kFloat), h});
       }},
      {"truth values of truth values",
       [](Builder& b, ValueId h) {
         const ValueId small = b.add("LessOrEqual", {b.add("Abs", {h}), b.number(5)});
         const ValueId both = b.add("And", {above(b, h), small}), one = b.add("Xor", {above(b, h), small});
         const ValueId any = b.add("Or", {b.add("Not", {both}), one});
         return b.add("Where", {any, b.add("Mul", {h, h}), h});
       }},
      {"a mask of the pixels, seen in all channels",
       [](Builder& b, ValueId h) {
         const ValueId mean = b.add("ReduceMean", {h}, {{"axes", Dims{1}}});
         return b.add("Where", {b.add("GreaterOrEqual", {mean, b.number(-5)}), h, b.number(0)});
       }},
      {"by whole numbers",
       [](Builder& b, ValueId h) {
         const ValueId rounded = cast(b, b.add("Mul", {b.add("Sign", {h}), b.number(1.5)}), kInt64);
         const ValueId is_one = b.add("Equal", {rounded, b.b.constant(HostTensor::scalar(DType::i64, 1))});
         return b.add("Where", {is_one, h, b.add("Mul", {h, b.number(0.1)})});
       }},
      {"Cast to a truth value",
       [](Builder& b, ValueId h) {
         return b.add("Where", {cast(b, b.add("Relu", {h}), kBool), h, b.number(0)});
       }},
      {"IsNaN",
       [](Builder& b, ValueId h) {
         return b.add("Where", {b.add("IsNaN", {b.add("Sqrt", {h})}), b.number(0), h});
       }},
      {"Shrink",
       [](Builder& b, ValueId h) {
         return b.add("Shrink", {h}, {{"lambd", 0.5}, {"bias", 0.5}});
       }},
  };
  for (const auto& [name, tail] : tails) {
    const auto& this_name = name;
    CAPTURE(std::string(this_name));
    check(network_with(tail));
  }
}

TEST_CASE("values that places choose") {
  const std::vector<std::pair<const char*, Tail>> tails = {
      {"ScatterND replaces a block of pixels",
       [](Builder& b, ValueId h) {
         std::vector<double> places;
         for (const int64_t channel : {0, 5}) {
           for (const int64_t row : {2, 3, 7}) {
             places.insert(places.end(), {0, static_cast<double>(channel), static_cast<double>(row)});
           }
         }
         const ValueId updates = b.parameter({2, 3, kSize});
         return b.add("ScatterND", {h, updates}, {{"indices", whole({2, 3, 3}, places)}});
       }},
      {"ScatterND adds",
       [](Builder& b, ValueId h) {
         const ValueId rows = b.add("GatherND", {h}, {{"indices", whole({2, 2}, {0, 1, 0, 6})}});
         return b.add("ScatterND", {h, rows},
                      {{"indices", whole({2, 2}, {0, 4, 0, 4})}, {"reduction", std::string("add")}});
       }},
      {"TopK of the channels, and where they are",
       [](Builder& b, ValueId h) {
         // Apart from each other, so that bf16 sorts them alike.
         HostTensor order(DType::f32, Shape{1, kChannels, 1, 1}, {3, 1, 5, 1.5, 9, 2.2, 7, 4});
         for (double& value : order.values) value *= 30;
         const ValueId sorted = b.add("Add", {h, b.b.constant(order)});
         const std::vector<ValueId> top = b.b.add_all("TopK", {sorted}, {{"axis", int64_t{1}}, {"k", Dims{4}}});
         const ValueId same = b.add("GatherElements", {b.add("Mul", {h, h}), top[1]}, {{"axis", int64_t{1}}});
         return b.add("Add", {b.add("Mul", {top[0], b.number(0.01)}), same});
       }},
      {"the pixels of the place where a channel is largest",
       [](Builder& b, ValueId h) {
         const ValueId flat = b.add("Reshape", {h}, {{"shape", Dims{1, kChannels, kSize * kSize}}});
         const ValueId best = b.add("ArgMax", {b.add("Sign", {flat})}, {{"axis", int64_t{2}}});
         const ValueId everywhere = b.add("Expand", {best}, {{"shape", Dims{1, kChannels, kSize * kSize}}});
         const ValueId moved = b.add("GatherElements", {flat, everywhere}, {{"axis", int64_t{2}}});
         return b.add("Mul", {h, b.add("Reshape", {moved}, {{"shape", Dims{1, kChannels, kSize, kSize}}})});
       }},
      {"ArgMax into a comparison",
       [](Builder& b, ValueId h) {
         const ValueId best = b.add("ArgMax", {b.add("Sign", {h})}, {{"axis", int64_t{1}}});
         const ValueId first = b.add("Equal", {best, b.b.constant(HostTensor::scalar(DType::i64, 0))});
         return b.add("Where", {first, h, b.add("Mul", {h, b.number(2)})});
       }},
      {"ScatterElements",
       [](Builder& b, ValueId h) {
         HostTensor places(DType::i64, Shape{1, 2, kSize, kSize});
         for (std::size_t i = 0; i < places.values.size(); ++i) places.values[i] = i < kSize * kSize ? 5 : -2;
         return b.add("ScatterElements", {h, b.b.constant(places), b.parameter(places.shape)}, {{"axis", int64_t{1}}});
       }},
      {"GridSample",
       [](Builder& b, ValueId h) {
         auto grid = std::make_shared<HostTensor>(drawn({1, kSize, kSize, 2}, 7));
         return b.add("GridSample", {h},
                      {{"grid", std::shared_ptr<const HostTensor>(grid)}, {"padding_mode", std::string("border")}});
       }},
      {"MaxUnpool puts back what MaxPool took",
       [](Builder& b, ValueId h) {
         // The four of a window apart from each other, so that bf16 finds the same maxima.
         HostTensor steps(DType::f32, Shape{1, 1, kSize, kSize});
         for (int64_t i = 0; i < kSize * kSize; ++i) {
           steps.values[static_cast<std::size_t>(i)] = static_cast<double>(8 * (i % 2 + i / kSize % 2 * 2));
         }
         const ValueId apart = b.add("Add", {h, b.b.constant(steps)});
         const Attrs window{{"kernel_shape", Dims{2, 2}}, {"strides", Dims{2, 2}}};
         const ValueId places = b.add("MaxPoolIndices", {apart}, window), pooled = b.add("MaxPool", {apart}, window);
         return b.add("MaxUnpool", {b.add("Mul", {pooled, b.number(0.1)}), places}, window);
       }},
      {"Trilu",
       [](Builder& b, ValueId h) {
         return b.add("Trilu", {h}, {{"k", int64_t{1}}});
       }},
  };
  for (const auto& [name, tail] : tails) {
    const auto& this_name = name;
    CAPTURE(std::string(this_name));
    check(network_with(tail));
  }
}

TEST_CASE("sums over what is in another order") {
  const std::vector<std::pair<const char*, Tail>> tails = {
      {"local means by CumSum",
       [](Builder& b, ValueId h) {
         ValueId sums = h;
         for (const int64_t axis : {2, 3}) sums = b.add("CumSum", {sums}, {{"axis", axis}});
         return b.add("Mul", {sums, b.number(0.01)});
       }},
      {"Einsum over channels",
       [](Builder& b, ValueId h) {
         return b.add("Einsum", {h, b.parameter({kChannels, kChannels})}, {{"equation", std::string("bchw,cd->bdhw")}});
       }},
      {"attention over rows by Einsum",
       [](Builder& b, ValueId h) {
         const ValueId scores = b.add("Einsum", {h, h}, {{"equation", std::string("bchw,bcgw->bhg")}});
         const ValueId shares = b.add("Softmax", {b.add("Mul", {scores, b.number(1e-3)})});
         return b.add("Einsum", {shares, h}, {{"equation", std::string("bhg,bcgw->bchw")}});
       }},
      {"weights of channels by a convolution of their means (ECA)",
       [](Builder& b, ValueId h) {
         const ValueId means = b.add("Reshape", {b.add("GlobalAveragePool", {h})}, {{"shape", Dims{1, 1, kChannels}}});
         const ValueId mixed = b.add("Conv", {means, b.parameter({1, 1, 3})}, {{"pads", Dims{1, 1}}});
         const ValueId gates = b.add("Reshape", {b.add("Sigmoid", {mixed})}, {{"shape", Dims{1, kChannels, 1, 1}}});
         return b.add("Mul", {h, gates});
       }},
      {"a convolution of a volume",
       [](Builder& b, ValueId h) {
         const ValueId volume = b.add("Reshape", {h}, {{"shape", Dims{1, 2, 4, kSize, kSize}}});
         const ValueId made = b.add("Conv", {volume, b.parameter({2, 2, 3, 3, 3})}, {{"pads", Dims(6, 1)}});
         return b.add("Reshape", {made}, {{"shape", Dims{1, kChannels, kSize, kSize}}});
       }},
      {"LRN",
       [](Builder& b, ValueId h) {
         return b.add("LRN", {h}, {{"size", int64_t{4}}, {"alpha", 0.1}});
       }},
      {"Atan, Asinh", [](Builder& b, ValueId h) { return b.add("Asinh", {b.add("Atan", {h})}); }},
  };
  for (const auto& [name, tail] : tails) {
    const auto& this_name = name;
    CAPTURE(std::string(this_name));
    check(network_with(tail));
  }
}

}  // namespace hourglass::test
