#include "engine/restore/resample.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "graph/autodiff.h"
#include "graph/error.h"
#include "graph/evaluate.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

Image random_image(int64_t width, int64_t height, int channels) {
  std::mt19937 random(3);
  Image image(width, height, channels);
  for (float& value : image.pixels) value = static_cast<float>(random() % 1024) / 1023.0F;
  return image;
}

// The paper's formulation, straight: a kernel in two dimensions, 1-based, its centre at (width + 1) / 2.
std::vector<std::vector<double>> kernel_in_two_dimensions(int factor, int lobes) {
  const int width = 2 * lobes * factor + 1;
  const double centre = (width + 1) / 2.0;
  const auto lanczos = [&](double x) {
    if (x == 0) return 1.0;
    const double pi_x = std::numbers::pi * x;
    return lobes * std::sin(pi_x) * std::sin(pi_x / lobes) / (pi_x * pi_x);
  };
  std::vector<std::vector<double>> kernel;
  double sum = 0;
  for (int i = 1; i < width; ++i) {
    kernel.emplace_back();
    for (int j = 1; j < width; ++j) {
      const double di = std::abs(i + 0.5 - centre) / factor, dj = std::abs(j + 0.5 - centre) / factor;
      kernel.back().push_back(lanczos(di) * lanczos(dj));
      sum += kernel.back().back();
    }
  }
  for (auto& row : kernel) {
    for (double& value : row) value /= sum;
  }
  return kernel;
}

// A correlation with the kernel at every factor-th sample, the image continued by its border.
double sample_at(const Image& image, int channel, int64_t y, int64_t x, int factor,
                 const std::vector<std::vector<double>>& kernel) {
  const int64_t padding = (static_cast<int64_t>(kernel.size()) - factor) / 2;
  double sum = 0;
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    for (std::size_t j = 0; j < kernel.size(); ++j) {
      const int64_t row = std::clamp(y * factor + static_cast<int64_t>(i) - padding, int64_t{0}, image.height - 1);
      const int64_t column = std::clamp(x * factor + static_cast<int64_t>(j) - padding, int64_t{0}, image.width - 1);
      sum += kernel[i][j] * image.at(channel, row, column);
    }
  }
  return sum;
}

HostTensor tensor_of(const Image& image) {
  return {DType::f32, Shape{1, image.channels, image.height, image.width}, {image.pixels.begin(), image.pixels.end()}};
}

}  // namespace

TEST_CASE("the Lanczos weights are numpy's") {
  // numpy.sinc(d) * numpy.sinc(d / a), d = (arange(2 * a * f) + 0.5) / f - a, divided by the sum; the first half.
  const std::vector<double> two{-0.00886333207590031, -0.0419400339506918, 0.116500094307477, 0.434303271719115};
  const std::vector<double> four{-0.00106538273646024, -0.00975170145388128, -0.020383987504071, -0.0148778908478768,
                                 0.0245940644628168,   0.0986584995197038,   0.183115282856215,  0.239711115703553};
  for (const auto& [factor, expected] : {std::pair{2, two}, std::pair{4, four}}) {
    const auto& this_factor = factor;
    CAPTURE(this_factor);
    const Downsampler downsampler(factor);
    const std::vector<double>& weights = downsampler.weights();
    REQUIRE(weights.size() == 2 * expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CHECK(std::abs(weights[i] - expected[i]) < 1e-14);
      CHECK(std::abs(weights[weights.size() - 1 - i] - expected[i]) < 1e-14);
    }
  }
  CHECK_THROWS_WITH_AS(Downsampler(3), "the factor is 3, and 2, 4 and 8 are supported", Error);
  CHECK_THROWS_AS(Downsampler(4, 4), Error);
}

TEST_CASE("plain code and graph compute the paper's downsampling") {
  for (const int lobes : {2, 3}) {
    for (const int factor : {2, 4, 8}) {
      for (const int channels : {1, 3}) {
        CAPTURE(lobes);
        CAPTURE(factor);
        CAPTURE(channels);
        const Image image = random_image(5 * factor, 3 * factor, channels);
        const Downsampler downsampler(factor, lobes);
        const Image small = downsampler.apply(image);
        REQUIRE(small.width == 5);
        REQUIRE(small.height == 3);

        Graph graph;
        GraphBuilder builder(graph, op_table());
        const HostTensor values = tensor_of(image);
        const ValueId x = builder.input("x", {DType::f32, values.shape});
        const ValueId y = downsampler.append(builder, x);
        const HostTensor from_graph = evaluate(graph, {{x, values}}, {y})[0];
        REQUIRE(from_graph.shape == Shape{1, channels, 3, 5});

        const auto kernel = kernel_in_two_dimensions(factor, lobes);
        double worst = 0, worst_graph = 0;
        for (int c = 0; c < channels; ++c) {
          for (int64_t i = 0; i < 15; ++i) {
            const double expected = sample_at(image, c, i / 5, i % 5, factor, kernel);
            worst = std::max(worst, std::abs(expected - small.plane(c)[i]));
            worst_graph =
                std::max(worst_graph, std::abs(expected - from_graph.values[static_cast<std::size_t>(c * 15 + i)]));
          }
        }
        CHECK(worst < 1e-6);
        CHECK(worst_graph < 1e-6);
      }
    }
  }
  CHECK_THROWS_WITH_AS(static_cast<void>(Downsampler(4).apply(Image(16, 18, 1))),
                       "16x18 is no multiple of 4 in both directions", Error);
}

TEST_CASE("the gradient of <D x, y> is D's adjoint of y") {
  const Downsampler downsampler(4);
  const Image image = random_image(24, 16, 3);
  const HostTensor x = tensor_of(image);
  HostTensor y(DType::f32, Shape{1, 3, 4, 6});
  std::mt19937 random(5);
  for (double& value : y.values) value = static_cast<double>(random() % 200) / 100 - 1;

  Graph graph;
  GraphBuilder builder(graph, op_table());
  const ValueId input = builder.input("x", {DType::f32, x.shape});
  const ValueId product = builder.add("Mul", {downsampler.append(builder, input), builder.constant(y, "y")});
  const ValueId inner = builder.add("ReduceSum", {product}, {{"keepdims", int64_t{0}}});
  graph.outputs = {inner};
  const Differentiated d = differentiate(graph, op_table(), inner, {input});
  const std::vector<HostTensor> got = evaluate(d.graph, {{input, x}}, {d.loss, d.gradients[0]});
  // Linear: <D x, y> = <x, D' y>, and D' y is the gradient.
  double through_adjoint = 0;
  for (std::size_t i = 0; i < x.values.size(); ++i) through_adjoint += x.values[i] * got[1].values[i];
  CHECK(std::abs(got[0].values[0]) > 1e-3);
  CHECK(through_adjoint == doctest::Approx(got[0].values[0]).epsilon(1e-6));
}

TEST_CASE(
    "bicubic interpolation keeps constants and slopes, and is undone by the downsampler but for the finest detail") {
  Image ramp(12, 9, 1);
  for (int64_t i = 0; i < 108; ++i) ramp.pixels[static_cast<std::size_t>(i)] = static_cast<float>(i % 12) / 12;
  const Image large = upsample_bicubic(ramp, 4);
  CHECK(large.width == 48);
  CHECK(large.height == 36);
  // Two samples from the border on the cubic sees the ramp alone: Keys' kernel reproduces it.
  for (int64_t x = 10; x < 38; ++x) {
    CHECK(large.at(0, 17, x) == doctest::Approx((static_cast<double>(x) + 0.5) / 48 - 0.5 / 12).epsilon(1e-5));
  }
  const Image back = Downsampler(4).apply(large);
  for (int64_t x = 3; x < 9; ++x) CHECK(back.at(0, 4, x) == doctest::Approx(ramp.at(0, 4, x)).epsilon(1e-2));

  Image gray(5, 4, 3);
  for (float& value : gray.pixels) value = 0.4F;
  for (const float value : upsample_bicubic(gray, 2).pixels) CHECK(value == doctest::Approx(0.4));
  for (const float value : Downsampler(2).apply(upsample_bicubic(gray, 8)).pixels) CHECK(value == doctest::Approx(0.4));
}

}  // namespace hourglass::test
