// Networks without normalisation and with weights too large, at the learning rate that is found for them: each of these
// twenty ends a fit below its first loss, and some far below what the usual rate leaves.
#include "engine/train/first_rate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/restore/energy.h"
#include "engine/restore/pixel_psnr.h"
#include "engine/restore/restoration.h"
#include "graph/error.h"
#include "models/builder.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

constexpr int64_t kSide = 32;
constexpr double kUsualRate = 0.01;

// Shapes of some sizes, so that there is something to fit.
Image picture() {
  Image image(kSide, kSide, 3);
  for (int c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < kSide; ++y) {
      for (int64_t x = 0; x < kSide; ++x) {
        const bool inside = (x - 10) * (x - 10) + (y - 12) * (y - 12) < 60;
        image.at(c, y, x) = static_cast<float>(inside ? 0.9 - 0.3 * c : 0.2 + 0.01 * static_cast<double>(x + c * y));
      }
    }
  }
  return image;
}

class Picture : public Task {
 public:
  [[nodiscard]] const Image& baseline() const override { return picture_; }
  ValueId energy(GraphBuilder& builder, ValueId image) const override { return mse_energy(builder, image, picture_); }
  [[nodiscard]] double psnr_degraded(const float* image) const override { return pixel_psnr(image, picture_); }
  [[nodiscard]] Discrepancy discrepancy() const override { return {}; }
  [[nodiscard]] Finished finish(Image average, int, const Advance&) const override {
    return {.image = std::move(average), .cells = {}};
  }

 private:
  Image picture_ = picture();
};

// Layers, one behind the other.
class Layers {
 public:
  Graph graph;
  double gain = 1;  // times PyTorch's default bounds of weights
  bool biases = true;

  explicit Layers(int64_t depth) : depth_(depth) {}
  ValueId start() { return b_.input("z", {DType::f32, Shape{1, depth_, kSide, kSide}}); }
  ValueId conv(ValueId x, int64_t channels, int64_t side = 3, int64_t stride = 1, bool per_channel = false) {
    const int64_t in = graph.shape(x)[1], group = per_channel ? in : 1, pad = side / 2;
    const double bound = 1 / std::sqrt(static_cast<double>(in / group * side * side));
    std::vector<ValueId> inputs{x, draw({channels, in / group, side, side}, gain * bound)};
    if (biases) inputs.push_back(draw({channels}, bound));
    return b_.add("Conv", inputs,
                  {{"kernel_shape", Dims{side, side}},
                   {"pads", Dims{pad, pad, pad, pad}},
                   {"strides", Dims{stride, stride}},
                   {"group", group}});
  }
  ValueId op(const std::string& name, std::vector<ValueId> inputs, Attrs attrs = {}) {
    return b_.add(name, std::move(inputs), std::move(attrs));
  }
  ValueId relu(ValueId x) { return op("Relu", {x}); }
  ValueId leaky(ValueId x) { return op("LeakyRelu", {x}, {{"alpha", 0.2}}); }
  ValueId twice_as_large(ValueId x) {
    const Shape shape = graph.shape(x);
    return op("Resize", {x},
              {{"sizes", Dims{1, shape[1], 2 * shape[2], 2 * shape[3]}}, {"mode", std::string("nearest")}});
  }
  ValueId draw(const Shape& shape, double bound) {
    return b_.parameter("w", {DType::f32, shape}, {.kind = Init::Kind::uniform, .low = -bound, .high = bound});
  }

 private:
  int64_t depth_;
  GraphBuilder b_{graph, op_table()};
};

using Build = std::function<ValueId(Layers&)>;

Graph built(const Build& build, double gain = 1, int64_t depth = 8, bool biases = true) {
  Layers layers(depth);
  layers.gain = gain;
  layers.biases = biases;
  layers.graph.outputs = {build(layers)};
  return layers.graph;
}

// Convolutions and activations, nothing else.
Build stack(int convolutions, int64_t channels, bool sigmoid = false, bool leaky = false) {
  return [=](Layers& l) {
    ValueId x = l.start();
    for (int i = 1; i < convolutions; ++i) x = leaky ? l.leaky(l.conv(x, channels)) : l.relu(l.conv(x, channels));
    x = l.conv(x, 3);
    return sigmoid ? l.op("Sigmoid", {x}) : x;
  };
}

// As in EDSR: blocks that add to what they read.
Build residual(int blocks, int64_t channels) {
  return [=](Layers& l) {
    const ValueId first = l.conv(l.start(), channels);
    ValueId x = first;
    for (int i = 0; i < blocks; ++i) x = l.op("Add", {x, l.conv(l.relu(l.conv(x, channels)), channels)});
    return l.conv(l.op("Add", {l.conv(x, channels), first}), 3);
  };
}

// As in DRUNet: strided convolutions down, residual blocks at each scale, sums as skips.
Build unet(int64_t channels, int scales, bool concat) {
  return [=](Layers& l) {
    std::vector<ValueId> skips;
    ValueId x = l.conv(l.start(), channels);
    for (int s = 0; s < scales; ++s) {
      x = l.op("Add", {x, l.conv(l.relu(l.conv(x, channels << s)), channels << s)});
      skips.push_back(x);
      x = l.conv(x, channels << (s + 1), 2 + 1, 2);
    }
    x = l.relu(l.conv(x, channels << scales));
    for (int s = scales; s-- > 0;) {
      x = l.conv(l.twice_as_large(x), channels << s);
      x = concat ? l.relu(l.conv(l.op("Concat", {x, skips.back()}, {{"axis", int64_t{1}}}), channels << s))
                 : l.op("Add", {x, skips.back()});
      skips.pop_back();
      x = l.op("Add", {x, l.conv(l.relu(l.conv(x, channels << s)), channels << s)});
    }
    return l.conv(x, 3);
  };
}

Build dense(int layers, int64_t growth) {
  return [=](Layers& l) {
    ValueId x = l.conv(l.start(), growth);
    for (int i = 0; i < layers; ++i) {
      x = l.op("Concat", {x, l.leaky(l.conv(x, growth))}, {{"axis", int64_t{1}}});
    }
    return l.conv(x, 3);
  };
}

// Squeeze and excitation: each channel times a function of the means of all.
Build attention(int blocks, int64_t channels) {
  return [=](Layers& l) {
    ValueId x = l.conv(l.start(), channels);
    for (int i = 0; i < blocks; ++i) {
      const ValueId y = l.conv(l.relu(l.conv(x, channels)), channels);
      const ValueId mean = l.op("ReduceMean", {y}, {{"axes", Dims{2, 3}}, {"keepdims", int64_t{1}}});
      const ValueId weight = l.op("Sigmoid", {l.conv(l.relu(l.conv(mean, channels / 4, 1)), channels, 1)});
      x = l.op("Add", {x, l.op("Mul", {y, weight})});
    }
    return l.conv(x, 3);
  };
}

// As in NAFNet, without its normalisation: products of halves in place of activations.
Build gated(int blocks, int64_t channels) {
  return [=](Layers& l) {
    ValueId x = l.conv(l.start(), channels);
    for (int i = 0; i < blocks; ++i) {
      const ValueId y = l.conv(l.conv(x, 2 * channels, 1), 2 * channels, 3, 1, true);
      const auto half = [&](int64_t from) {
        return l.op("Slice", {y}, {{"starts", Dims{from}}, {"ends", Dims{from + channels}}, {"axes", Dims{1}}});
      };
      x = l.op("Add", {x, l.conv(l.op("Mul", {half(0), half(channels)}), channels, 1)});
    }
    return l.conv(x, 3);
  };
}

std::map<std::string, Graph> networks() {
  std::map<std::string, Graph> all;
  all["stack of 6"] = built(stack(6, 32));
  all["stack of 12"] = built(stack(12, 32));
  all["stack of 17, wide"] = built(stack(17, 24));
  all["stack of 8, leaky"] = built(stack(8, 32, false, true));
  all["stack of 8, sigmoid"] = built(stack(8, 32, true));
  all["stack of 8, without biases"] = built(stack(8, 32), 1, 8, false);
  all["stack of 8, He's weights"] = built(stack(8, 32), std::sqrt(6.0));
  all["stack of 5, weights four times too large"] = built(stack(5, 32), 4 * std::sqrt(6.0));
  all["residual, 4 blocks"] = built(residual(4, 32));
  all["residual, 16 blocks"] = built(residual(16, 16));
  all["residual, He's weights"] = built(residual(6, 32), std::sqrt(6.0));
  all["U-Net, sums"] = built(unet(16, 2, false));
  all["U-Net, sums, wide"] = built(unet(24, 3, false));
  all["U-Net, concatenated"] = built(unet(24, 2, true));
  all["U-Net, He's weights"] = built(unet(16, 3, true), std::sqrt(6.0));
  all["dense"] = built(dense(6, 16));
  all["channel attention"] = built(attention(5, 32));
  all["gated"] = built(gated(6, 32));
  all["gated, He's weights"] = built(gated(4, 32), std::sqrt(6.0));
  all["residual_unet"] =
      make_residual_unet({.channels = {24, 48}, .input_depth = 8, .output_channels = 3}, kSide, kSide);
  return all;
}

Network bound(const Graph& graph) {
  return {.graph = graph,
          .input = graph.inputs[0],
          .image = graph.outputs[0],
          .canvas_height = kSide,
          .canvas_width = kSide};
}

RestoreOptions options_of(bool find_rate) {
  RestoreOptions options;
  options.iterations = 150;
  options.find_rate = find_rate;
  options.fit.adam.learning_rate = kUsualRate;
  options.fit.threads = 1;
  options.stopping = {.kind = StoppingKind::none};
  return options;
}

struct Course {
  double first = 0, last = 0, rate = 0;
  double average_lag = 0;  // dB by which the average lies under the image, at the end
  std::string error, note;
};

Course fit(const Graph& graph, const RestoreOptions& options) {
  const Picture task;
  Course course;
  Restoration restoration(task, bound(graph), op_table(), options);
  try {
    while (!restoration.done()) {
      for (const RestoreStep& step : restoration.round()) {
        if (step.iteration == 1) {
          course.first = step.loss;
          course.note = step.note;
        }
        course.last = step.loss;
        course.average_lag = step.psnr_degraded - step.psnr_degraded_average;
      }
    }
    course.rate = restoration.first().first_rate();
  } catch (const Error& error) {
    course.error = error.what();
  }
  return course;
}

TEST_CASE("twenty networks without normalisation end below their first loss") {
  int halved = 0;
  const auto all = networks();
  REQUIRE(all.size() == 20);
  for (const auto& [name, graph] : all) {
    const auto& this_name = name;
    CAPTURE(this_name);
    const Course found = fit(graph, options_of(true)), usual = fit(graph, options_of(false));
    halved += !usual.error.empty() || found.last < 0.5 * usual.last;
    MESSAGE(name, ": ", found.first, " -> ", found.last, " at ", found.rate, "; at the usual rate ", usual.last, " ",
            usual.error);
    CHECK(found.error == "");
    CHECK(found.last < found.first);
    // What a network makes of weights that are too large does not stay in the average.
    CHECK(found.average_lag <= 3);
    CHECK(usual.average_lag <= 3);
    CHECK((found.note.find("learning rate") != std::string::npos) == (found.rate < kUsualRate));
  }
  CHECK(halved >= 4);
}

TEST_CASE("networks that train at the usual rate keep it") {
  for (const Graph& graph : {make_skip({.channels = {8, 16}, .skips = {4, 4}, .input_depth = 8}, kSide, kSide),
                             make_unet({.channels = {8, 16}, .input_depth = 8}, kSide, kSide),
                             make_resnet({.channels = 16, .blocks = 3, .input_depth = 8}, kSide, kSide)}) {
    const Course course = fit(graph, options_of(true));
    CHECK(course.error == "");
    CHECK(course.rate == kUsualRate);
    CHECK(course.note == "");
    CHECK(course.last < 0.5 * course.first);
  }
}

TEST_CASE("the trial leaves no trace: a fit at the rate that was found is the same") {
  const Graph graph = built(stack(6, 16));
  const Picture task;
  const Problem problem = make_problem(task, bound(graph), op_table());
  FitOptions options = options_of(true).fit;
  Fit tried(problem, op_table(), options), untouched(problem, op_table(), options);
  constexpr double kTooHigh = 30 * kUsualRate;  // so that more than one rate is tried
  // What ends a trial leaves no trace either.
  CHECK(!find_first_rate(tried, kTooHigh, [](int64_t iterations) { return iterations < 20; }));
  CHECK(tried.iteration() == 0);
  int64_t heard = 0;
  const FirstRate found = *find_first_rate(tried, kTooHigh, [&](int64_t iterations) {
    CHECK(iterations == heard + 1);
    heard = iterations;
    return true;
  });
  CHECK(found.iterations == heard);
  CHECK(heard > 30);
  CHECK(heard <= most_trial_iterations());
  CHECK(tried.iteration() == 0);
  for (int i = 1; i <= 5; ++i) {
    tried.set_learning_rate(found.rate);
    untouched.set_learning_rate(found.rate);
    CHECK(tried.step() == untouched.step());
  }
  CHECK(warmed_up(1, 1) == doctest::Approx(0.1));
  CHECK(warmed_up(1, 10) == 1);
  CHECK(warmed_up(1, 1000) == 1);
}

// A picture that is almost right, pixel by pixel, and moves by the whole rate each time.
Graph almost_right() {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId z = b.input("z", {DType::f32, Shape{1, 3, kSide, kSide}});
  HostTensor pixels(DType::f32, Shape{1, 3, kSide, kSide});
  const Image right = picture();
  std::transform(right.pixels.begin(), right.pixels.end(), pixels.values.begin(), [](float v) { return v + 1e-4; });
  const Shape shape = pixels.shape;
  const ValueId image =
      b.parameter("pixels", {DType::f32, shape}, {}, std::make_shared<const HostTensor>(std::move(pixels)));
  const ValueId nothing = b.constant(HostTensor::scalar(DType::f32, 0));
  graph.outputs = {b.add("Add", {image, b.add("Mul", {z, nothing})})};
  return graph;
}

TEST_CASE("a fit that ends worse than it began is an error") {
  RestoreOptions options = options_of(false);
  options.iterations = 60;
  options.fit.adam.learning_rate = 0.5;
  options.schedule = Schedule::constant;
  const Course course = fit(almost_right(), options);
  CHECK(course.first < 1e-7);
  CHECK_MESSAGE(course.error.starts_with("the fit ended worse than it began: the loss was 1e-08 and is "),
                course.error);
  CHECK(course.error.ends_with("try a lower --learning-rate than 0.5"));
}

TEST_CASE("a network that brings its own input was fitted already: no trial, and no error where it gets no better") {
  Graph graph = almost_right();
  Value& z = graph.value(graph.inputs[0]);
  z.data = std::make_shared<const HostTensor>(DType::f32, z.type.shape);
  const Course course = fit(graph, options_of(true));
  CHECK(course.error == "");
  CHECK(course.note == "");
  CHECK(course.rate == kUsualRate);
}

TEST_CASE("a short fit has no trial") {
  RestoreOptions options = options_of(true);
  options.iterations = 20;
  CHECK(fit(built(unet(16, 2, false)), options).rate == kUsualRate);
}

TEST_CASE("the same at a rate that is found ends better") {
  const Course course = fit(almost_right(), options_of(true));
  CHECK(course.error == "");
  CHECK(course.rate < kUsualRate);
  CHECK(course.last < course.first);
}

}  // namespace
}  // namespace hourglass::test
