// Ops that are compositions of others, against what they are defined as, with gradients against central differences.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <random>

#include "graph/autodiff.h"
#include "graph/error.h"
#include "graph/evaluate.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

HostTensor drawn(const Shape& shape, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  HostTensor tensor(DType::f32, shape);
  for (double& value : tensor.values) value = uniform(random);
  return tensor;
}

// The op's first output for these inputs. The gradients of those that are no whole numbers are compared with
// differences.
HostTensor computed(std::string_view op, const std::vector<HostTensor>& inputs, const Attrs& attrs) {
  Graph graph;
  GraphBuilder b(graph, op_table());
  std::vector<ValueId> all, ids;
  std::map<ValueId, HostTensor> given;
  for (const HostTensor& input : inputs) {
    if (!is_floating(input.dtype)) {
      all.push_back(b.constant(input));
      continue;
    }
    all.push_back(b.parameter("x", {input.dtype, input.shape}, {}));
    ids.push_back(all.back());
    given[ids.back()] = input;
  }
  const ValueId dst = b.add(op, all, attrs);
  const ValueId cotangent = b.constant(drawn(graph.shape(dst), 99));
  const ValueId loss = b.add("ReduceSum", {b.add("Mul", {dst, cotangent})}, {{"keepdims", int64_t{0}}});
  const Differentiated d = differentiate(graph, op_table(), loss, ids);
  const std::vector<HostTensor> gradients = evaluate(d.graph, given, d.gradients);
  constexpr double kStep = 1e-5;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    std::vector<double>& x = given[ids[i]].values;
    for (std::size_t k = 0; k < x.size(); k += 1 + x.size() / 16) {
      const double before = x[k];
      x[k] = before + kStep;
      const double up = evaluate(graph, given, {loss})[0].values[0];
      x[k] = before - kStep;
      const double down = evaluate(graph, given, {loss})[0].values[0];
      x[k] = before;
      CHECK(gradients[i].values[k] == doctest::Approx((up - down) / (2 * kStep)).epsilon(1e-6));
    }
  }
  return evaluate(graph, given, {dst})[0];
}

void check_close(const HostTensor& got, const HostTensor& expected) {
  REQUIRE(got.shape.to_string() == expected.shape.to_string());
  double worst = 0;
  for (std::size_t i = 0; i < got.values.size(); ++i) {
    const double difference = std::abs(got.values[i] - expected.values[i]);
    if (!(difference <= worst)) worst = difference;
  }
  CHECK(worst < 1e-9);
}

double at(const HostTensor& tensor, const Dims& index) {
  const Dims strides = tensor.shape.strides();
  int64_t offset = 0;
  for (std::size_t d = 0; d < index.size(); ++d) offset += index[d] * strides[d];
  return tensor.values[static_cast<std::size_t>(offset)];
}

// Calls visit(index) for each index of a tensor of these extents, in row-major order.
template <typename Visit>
void for_indices(const Dims& extents, const Visit& visit) {
  const int64_t count = Shape(extents).elements();
  const Dims strides = Shape(extents).strides();
  Dims index(extents.size());
  for (int64_t i = 0; i < count; ++i) {
    for (std::size_t d = 0; d < index.size(); ++d) index[d] = i / strides[d] % extents[d];
    visit(index);
  }
}

// By its definition; "..." must be written out as letters.
HostTensor einsum(const std::string& equation, const std::vector<HostTensor>& inputs) {
  const auto arrow = equation.find("->");
  const std::string left = equation.substr(0, arrow), right = equation.substr(arrow + 2);
  std::string all = right;
  for (const char letter : left) {
    if (letter != ',' && all.find(letter) == std::string::npos) all += letter;
  }
  std::vector<std::string> terms(1);
  for (const char letter : left) letter == ',' ? terms.emplace_back() : terms.back() += letter;
  Dims extents(all.size());
  for (std::size_t t = 0; t < terms.size(); ++t) {
    for (std::size_t d = 0; d < terms[t].size(); ++d) {
      int64_t& extent = extents[all.find(terms[t][d])];
      extent = std::max(extent, inputs[t].shape.dims()[d]);
    }
  }
  HostTensor dst(DType::f32, Shape(Dims(extents.begin(), extents.begin() + static_cast<std::ptrdiff_t>(right.size()))));
  const Dims strides = dst.shape.strides();
  for_indices(extents, [&](const Dims& index) {
    double product = 1;
    for (std::size_t t = 0; t < terms.size(); ++t) {
      Dims of_term;
      for (std::size_t d = 0; d < terms[t].size(); ++d) {
        const int64_t i = index[all.find(terms[t][d])];
        of_term.push_back(inputs[t].shape.dims()[d] == 1 ? 0 : i);
      }
      product *= at(inputs[t], of_term);
    }
    int64_t offset = 0;
    for (std::size_t d = 0; d < right.size(); ++d) offset += index[d] * strides[d];
    dst.values[static_cast<std::size_t>(offset)] += product;
  });
  return dst;
}

std::string einsum_refusal(const std::string& equation, const std::vector<Shape>& shapes) {
  Graph graph;
  GraphBuilder b(graph, op_table());
  std::vector<ValueId> ids;
  for (const Shape& shape : shapes) ids.push_back(b.input("x", {DType::f32, shape}));
  try {
    b.add("Einsum", ids, {{"equation", equation}});
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

// A cross-correlation along any number of axes, padded by zeros.
HostTensor correlation(const HostTensor& src, const HostTensor& weights, const Dims& strides, const Dims& pads,
                       const Dims& dilations, int64_t group) {
  const std::size_t axes = strides.size();
  Dims out{src.shape[0], weights.shape[0]};
  for (std::size_t a = 0; a < axes; ++a) {
    const int64_t extent = (weights.shape.dims()[2 + a] - 1) * dilations[a] + 1;
    out.push_back((src.shape.dims()[2 + a] + pads[a] + pads[axes + a] - extent) / strides[a] + 1);
  }
  HostTensor dst(DType::f32, Shape(out));
  std::size_t n = 0;
  for_indices(out, [&](const Dims& to) {
    double sum = 0;
    for_indices(Dims(weights.shape.dims().begin() + 1, weights.shape.dims().end()), [&](const Dims& tap) {
      const int64_t of_group = weights.shape[0] / group;
      Dims from{to[0], to[1] / of_group * weights.shape[1] + tap[0]}, filter{to[1]};
      filter.insert(filter.end(), tap.begin(), tap.end());
      for (std::size_t a = 0; a < axes; ++a) {
        const int64_t place = to[2 + a] * strides[a] - pads[a] + tap[1 + a] * dilations[a];
        if (place < 0 || place >= src.shape.dims()[2 + a]) return;
        from.push_back(place);
      }
      sum += at(src, from) * at(weights, filter);
    });
    dst.values[n++] = sum;
  });
  return dst;
}

}  // namespace

TEST_CASE("gathering by computed places is gathering by constant ones") {
  const auto places = [](const Shape& shape, Dims values) {
    return HostTensor(DType::i64, shape, {values.begin(), values.end()});
  };
  const auto by_constant = [](std::string_view op, const HostTensor& src, const HostTensor& indices, Attrs attrs) {
    attrs.set("indices", std::make_shared<const HostTensor>(indices));
    return computed(op, {src}, attrs);
  };
  const HostTensor src = drawn({2, 3, 4, 5}, 1);
  for (const int64_t axis : {0, 1, 3, -2}) {
    CAPTURE(axis);
    const HostTensor indices = places({2, 3}, {0, 1, -1, 1, 0, -2});
    const Attrs attrs{{"axis", axis}};
    check_close(computed("GatherComputed", {src, indices}, attrs), by_constant("Gather", src, indices, attrs));
  }
  check_close(computed("GatherComputed", {src, places({}, {1})}, {{"axis", int64_t{2}}}),
              by_constant("Gather", src, places({}, {1}), {{"axis", int64_t{2}}}));
  for (const HostTensor& indices : {places({4, 2}, {0, 2, 1, -1, -2, 0, 0, 2}),
                                    places({1, 2, 4}, {1, 2, 3, -5, -1, -3, 0, 4}), places({1}, {-1})}) {
    CAPTURE(indices.shape.to_string());
    check_close(computed("GatherNDComputed", {src, indices}, {}), by_constant("GatherND", src, indices, {}));
  }
}

TEST_CASE("GatherND by a computed place outside takes the nearest inside, in each dimension") {
  const HostTensor src = drawn({3, 4, 2}, 1);
  const HostTensor outside(DType::i64, Shape{5, 2}, {0, 7, -9, 1, 5, -9, 2, -5, -4, 4});
  HostTensor inside(DType::i64, Shape{5, 2}, {0, 3, 0, 1, 2, 0, 2, 0, 0, 3});
  const Attrs indices{{"indices", std::make_shared<const HostTensor>(inside)}};
  check_close(computed("GatherNDComputed", {src, outside}, {}), computed("GatherND", {src}, indices));
}

TEST_CASE("Einsum is the sum of products that its equation says") {
  struct Example {
    const char* equation;
    std::vector<Shape> shapes;
    const char* plain = nullptr;  // with "..." and the result written out
  };
  const std::vector<Example> examples = {
      {"bhdn,bhen->bhde", {{2, 3, 4, 5}, {2, 3, 2, 5}}},
      {"bhnd,bhde->bhne", {{2, 3, 4, 5}, {2, 3, 5, 2}}},
      {"bchw,cd->bdhw", {{2, 3, 4, 5}, {3, 2}}},
      {"...chw,cd->...dhw", {{2, 3, 4, 5}, {3, 2}}, "bchw,cd->bdhw"},
      {"bchw->bcwh", {{2, 3, 4, 5}}},
      {"bchw->cb", {{2, 3, 4, 5}}},
      {"bchw->", {{2, 3, 4, 5}}},
      {"bchw,bchw->bchw", {{2, 3, 4, 5}, {2, 3, 4, 5}}},
      {"bchw,bc->bhw", {{2, 3, 4, 5}, {2, 3}}},
      {"i,j->ij", {{4}, {3}}},
      {"ij,jk", {{4, 3}, {3, 2}}, "ij,jk->ik"},
      {"kj, ki", {{4, 3}, {4, 2}}, "kj,ki->ij"},
      {"i,i->", {{4}, {4}}},
      {"ab,bc,cd->ad", {{2, 3}, {3, 4}, {4, 5}}},
      {"abx,bcy,c->ya", {{2, 3, 2}, {3, 4, 2}, {4}}},
      {"...ij,...jk->...ik", {{2, 1, 3, 4}, {5, 4, 2}}, "abij,bjk->abik"},
      {"...ij,...kj->...ik", {{2, 1, 3, 4}, {1, 5, 2, 4}}, "abij,abkj->abik"},
      {"...,...->...", {{2, 1, 3}, {4, 1}}, "abc,bc->abc"},
      {"ii->i", {{4, 4}}},
      {"ii", {{4, 4}}, "ii->"},
      {"ibi->bi", {{3, 2, 3}}},
      {"iijj->ij", {{3, 3, 2, 2}}},
      {"iii,bi->bi", {{3, 3, 3}, {2, 3}}},
      {"bii,bij->bj", {{2, 3, 3}, {2, 3, 4}}},
      {"...ii->...", {{2, 3, 4, 4}}, "abii->ab"},
  };
  for (const Example& e : examples) {
    CAPTURE(std::string(e.equation));
    std::vector<HostTensor> inputs;
    for (const Shape& shape : e.shapes) inputs.push_back(drawn(shape, static_cast<unsigned>(inputs.size())));
    check_close(computed("Einsum", inputs, {{"equation", std::string(e.equation)}}),
                einsum(e.plain == nullptr ? e.equation : e.plain, inputs));
  }
}

TEST_CASE("Einsum says what is wrong") {
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(contains(einsum_refusal("i->ii", {{3}}), "a matrix of a diagonal is not supported"));
  CHECK(contains(einsum_refusal("ii->i", {{3, 4}}), "does not fit"));
  CHECK(contains(einsum_refusal("ii->i", {{1, 4}}), "does not fit"));
  CHECK(contains(einsum_refusal("ij,jk->ik", {{3, 4}, {5, 2}}), "does not fit"));
  CHECK(contains(einsum_refusal("ij->i", {{3, 4}, {3, 4}}), "1 operands, 2 are given"));
  CHECK(contains(einsum_refusal("ij->k", {{3, 4}}), "in no operand"));
  CHECK(contains(einsum_refusal("ijk->i", {{3, 4}}), "does not name"));
  CHECK(contains(einsum_refusal("i...jk->i", {{3, 4}}), "more dimensions"));
  CHECK(contains(einsum_refusal("i$->i", {{3, 4}}), "expected letters"));
  CHECK(contains(einsum_refusal("i1->i", {{3, 4}}), "expected letters"));
  CHECK(einsum_refusal("abcdef,ghijkl->abcdefghijkl", {{1, 2, 1, 2, 1, 2}, {2, 1, 2, 1, 2, 1}}).empty());
  CHECK(contains(einsum_refusal("abcdef,ghijkl,m->abcdefghijklm", {{1, 2, 1, 2, 1, 2}, {2, 1, 2, 1, 2, 1}, {2}}),
                 "joins operands of 13 dimensions in all, up to 12 are supported"));
}

TEST_CASE("ScatterND multiplies, or takes the smallest or the largest, at each place as often as it is named") {
  const Shape shape{4, 3, 2};
  // Places of slices of two elements; {2, 1} is named three times, once from the back.
  const std::vector<std::array<int64_t, 2>> places = {{2, 1}, {0, 0}, {-2, 1}, {3, 2}, {0, 0}, {2, -2}};
  HostTensor indices(DType::i64, Shape{static_cast<int64_t>(places.size()), 2});
  for (std::size_t i = 0; i < places.size(); ++i)
    std::copy_n(places[i].begin(), 2, indices.values.begin() + static_cast<std::ptrdiff_t>(2 * i));
  const HostTensor data = drawn(shape, 1), updates = drawn({6, 2}, 2);
  for (const bool once : {false, true}) {
    const std::size_t count = once ? 2 : places.size();
    HostTensor first = indices, list = updates;
    first.shape = Shape{static_cast<int64_t>(count), 2}, list.shape = Shape{static_cast<int64_t>(count), 2};
    first.values.resize(2 * count), list.values.resize(2 * count);
    for (const std::string reduction : {"mul", "min", "max"}) {
      CAPTURE(reduction);
      HostTensor expected = data;
      for (std::size_t i = 0; i < count; ++i) {
        const int64_t row = (places[i][0] + 4) % 4, column = (places[i][1] + 3) % 3;
        for (int64_t k = 0; k < 2; ++k) {
          double& at = expected.values[static_cast<std::size_t>((row * 3 + column) * 2 + k)];
          const double update = list.values[2 * i + static_cast<std::size_t>(k)];
          at = reduction == "mul" ? at * update : reduction == "min" ? std::min(at, update) : std::max(at, update);
        }
      }
      check_close(computed("ScatterND", {data, list},
                           {{"indices", std::make_shared<const HostTensor>(first)}, {"reduction", reduction}}),
                  expected);
    }
  }
}

TEST_CASE("convolutions of signals and of volumes") {
  check_close(computed("Conv", {drawn({2, 4, 9}, 1), drawn({6, 2, 3}, 2)},
                       {{"group", int64_t{2}}, {"strides", Dims{2}}, {"pads", Dims{1, 2}}, {"dilations", Dims{2}}}),
              correlation(drawn({2, 4, 9}, 1), drawn({6, 2, 3}, 2), {2}, {1, 2}, {2}, 2));
  check_close(computed("Conv", {drawn({1, 1, 8}, 1), drawn({1, 1, 3}, 2)}, {{"auto_pad", std::string("SAME_UPPER")}}),
              correlation(drawn({1, 1, 8}, 1), drawn({1, 1, 3}, 2), {1}, {1, 1}, {1}, 1));
  check_close(
      computed("Conv", {drawn({2, 4, 5, 4, 6}, 1), drawn({6, 2, 2, 3, 1}, 2)},
               {{"group", int64_t{2}},
                {"strides", Dims{2, 1, 3}},
                {"pads", Dims{1, 0, 1, 2, 1, 0}},
                {"dilations", Dims{3, 1, 1}}}),
      correlation(drawn({2, 4, 5, 4, 6}, 1), drawn({6, 2, 2, 3, 1}, 2), {2, 1, 3}, {1, 0, 1, 2, 1, 0}, {3, 1, 1}, 2));
  check_close(
      computed("Conv", {drawn({1, 3, 4, 5, 6}, 1), drawn({2, 3, 1, 3, 3}, 2)}, {{"pads", Dims{0, 1, 1, 0, 1, 1}}}),
      correlation(drawn({1, 3, 4, 5, 6}, 1), drawn({2, 3, 1, 3, 3}, 2), {1, 1, 1}, {0, 1, 1, 0, 1, 1}, {1, 1, 1}, 1));
  check_close(
      computed("Conv", {drawn({1, 2, 4, 3, 3}, 1), drawn({2, 2, 3, 3, 3}, 2)},
               {{"auto_pad", std::string("SAME_UPPER")}}),
      correlation(drawn({1, 2, 4, 3, 3}, 1), drawn({2, 2, 3, 3, 3}, 2), {1, 1, 1}, {1, 1, 1, 1, 1, 1}, {1, 1, 1}, 1));
}

TEST_CASE("a transposed convolution of a signal is that of an image of one row") {
  const HostTensor src = drawn({2, 4, 5}, 1), weights = drawn({4, 3, 3}, 2), bias = drawn({6}, 3);
  const HostTensor got = computed("ConvTranspose", {src, weights, bias},
                                  {{"group", int64_t{2}}, {"strides", Dims{2}}, {"pads", Dims{1, 0}}});
  const auto in_a_row = [](HostTensor tensor) {
    tensor.shape = Shape{tensor.shape[0], tensor.shape[1], 1, tensor.shape[2]};
    return tensor;
  };
  check_close(in_a_row(got), computed("ConvTranspose", {in_a_row(src), in_a_row(weights), bias},
                                      {{"group", int64_t{2}}, {"strides", Dims{1, 2}}, {"pads", Dims{0, 1, 0, 0}}}));
}

// Conv and ConvTranspose are each other's adjoints: <Conv(x), y> = <x, ConvTranspose(y)>.
TEST_CASE("a transposed convolution of a volume is the adjoint of its convolution") {
  const Attrs attrs{{"group", int64_t{2}},
                    {"strides", Dims{2, 1, 3}},
                    {"pads", Dims{1, 0, 1, 2, 1, 0}},
                    {"dilations", Dims{3, 1, 1}}};
  const HostTensor x = drawn({2, 4, 6, 4, 6}, 1), weights = drawn({6, 2, 2, 3, 1}, 2);
  const HostTensor made = computed("Conv", {x, weights}, attrs), y = drawn(made.shape, 3);
  const HostTensor back = computed("ConvTranspose", {y, weights}, attrs);
  double left = 0, right = 0;
  for (std::size_t i = 0; i < y.values.size(); ++i) left += made.values[i] * y.values[i];
  for_indices(back.shape.dims(), [&](const Dims& i) {
    for (std::size_t d = 0; d < i.size(); ++d) {
      if (i[d] >= x.shape.dims()[d]) return;
    }
    right += at(back, i) * at(x, i);
  });
  CHECK(left == doctest::Approx(right));
}

TEST_CASE("volumes are pooled along their slices, then along the depth") {
  const HostTensor src = drawn({1, 2, 5, 4, 6}, 1);
  const Attrs window{{"kernel_shape", Dims{2, 3, 2}}, {"strides", Dims{2, 1, 3}}, {"pads", Dims{1, 0, 1, 0, 1, 0}}};
  const Dims extents{1, 2, 3, 3, 2};
  HostTensor largest(DType::f32, Shape(extents)), mean = largest;
  std::size_t n = 0;
  for_indices(extents, [&](const Dims& to) {
    double best = -HUGE_VAL, sum = 0;
    int count = 0;
    for_indices({2, 3, 2}, [&](const Dims& tap) {
      const Dims from{to[0], to[1], to[2] * 2 - 1 + tap[0], to[3] + tap[1], to[4] * 3 - 1 + tap[2]};
      for (std::size_t d = 2; d < 5; ++d) {
        if (from[d] < 0 || from[d] >= src.shape.dims()[d]) return;
      }
      best = std::max(best, at(src, from));
      sum += at(src, from);
      ++count;
    });
    largest.values[n] = best;
    mean.values[n++] = sum / count;
  });
  check_close(computed("MaxPool", {src}, window), largest);
  check_close(computed("AveragePool", {src}, window), mean);
}

TEST_CASE("ReduceLogSumExp, of numbers whose powers no type holds") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double of_two = std::log1p(std::exp(-1));
  const HostTensor src(DType::f32, {3, 2}, {800, 799, -801, -800, 0, 0});
  const HostTensor expected(DType::f32, {3}, {800 + of_two, -800 + of_two, std::log(2)});
  check_close(computed("ReduceLogSumExp", {src}, {{"axes", Dims{1}}, {"keepdims", int64_t{0}}}), expected);
  HostTensor kept = expected;
  kept.shape = {3, 1};
  check_close(computed("ReduceLogSumExp", {src}, {{"axes", Dims{-1}}}), kept);
  check_close(computed("ReduceLogSumExp", {src}, {{"noop_with_empty_axes", int64_t{1}}}), src);

  Graph graph;
  GraphBuilder b(graph, op_table());
  const HostTensor ends(DType::f32, {3, 2}, {-kInfinity, -kInfinity, kInfinity, 1, -kInfinity, 2});
  const ValueId dst = b.add("ReduceLogSumExp", {b.constant(ends)}, {{"axes", Dims{1}}, {"keepdims", int64_t{0}}});
  const std::vector<double> got = evaluate(graph, {}, {dst})[0].values;
  CHECK(got[0] == -kInfinity);
  CHECK(got[1] == kInfinity);
  CHECK(got[2] == 2);
}

TEST_CASE("RMSNormalization, Swish") {
  const HostTensor src = drawn({2, 3, 4}, 1), scale = drawn({3, 4}, 2);
  HostTensor expected(DType::f32, src.shape);
  for (std::size_t n = 0; n < 2; ++n) {
    double squares = 0;
    for (std::size_t i = 0; i < 12; ++i) squares += src.values[n * 12 + i] * src.values[n * 12 + i];
    for (std::size_t i = 0; i < 12; ++i) {
      expected.values[n * 12 + i] = src.values[n * 12 + i] / std::sqrt(squares / 12 + 0.1) * scale.values[i];
    }
  }
  check_close(computed("RMSNormalization", {src, scale}, {{"axis", int64_t{1}}, {"epsilon", 0.1}}), expected);
  for (std::size_t i = 0; i < src.values.size(); ++i) {
    expected.values[i] = src.values[i] / (1 + std::exp(-1.5 * src.values[i]));
  }
  check_close(computed("Swish", {src}, {{"alpha", 1.5}}), expected);
}

TEST_CASE("Attention") {
  // Two images, four heads of queries that share two of keys, five queries, six keys.
  const HostTensor q = drawn({2, 4, 5, 3}, 1), k = drawn({2, 2, 6, 3}, 2), v = drawn({2, 2, 6, 2}, 3);
  const HostTensor mask = drawn({5, 6}, 4);
  for (const bool is_causal : {false, true}) {
    HostTensor expected(DType::f32, {2, 4, 5, 2});
    std::size_t out = 0;
    for_indices({2, 4, 5}, [&](const Dims& i) {
      std::vector<double> share(6);
      double sum = 0;
      for (int64_t key = 0; key < 6; ++key) {
        double score = at(mask, {i[2], key});
        for (int64_t d = 0; d < 3; ++d) score += 0.7 * at(q, {i[0], i[1], i[2], d}) * at(k, {i[0], i[1] / 2, key, d});
        share[static_cast<std::size_t>(key)] = is_causal && key > i[2] ? 0 : std::exp(score);
        sum += share[static_cast<std::size_t>(key)];
      }
      for (int64_t d = 0; d < 2; ++d) {
        for (int64_t key = 0; key < 6; ++key) {
          expected.values[out] += share[static_cast<std::size_t>(key)] / sum * at(v, {i[0], i[1] / 2, key, d});
        }
        ++out;
      }
    });
    const Attrs attrs{{"scale", 0.7}, {"is_causal", int64_t{is_causal}}};
    check_close(computed("Attention", {q, k, v, mask}, attrs), expected);
    // With the heads in the last dimension.
    const auto flat = [](const HostTensor& tensor) {
      const Shape& s = tensor.shape;
      HostTensor result(DType::f32, {s[0], s[2], s[1] * s[3]});
      std::size_t n = 0;
      for_indices({s[0], s[2], s[1], s[3]}, [&](const Dims& i) {
        result.values[n++] = at(tensor, {i[0], i[2], i[1], i[3]});
      });
      return result;
    };
    Attrs with_heads = attrs;
    with_heads.set("q_num_heads", int64_t{4});
    with_heads.set("kv_num_heads", int64_t{2});
    check_close(computed("Attention", {flat(q), flat(k), flat(v), mask}, with_heads), flat(expected));
  }
}

}  // namespace hourglass::test
