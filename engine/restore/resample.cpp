#include "engine/restore/resample.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "graph/error.h"

namespace hourglass {
namespace {

double sinc(double x) {
  if (x == 0) return 1;
  return std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
}

// Keys' cubic with a = -1/2.
double cubic(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

// One output sample of a filter along a line: its taps begin at `first`, which may lie outside the line.
struct Taps {
  int64_t first;
  std::vector<double> weights;
  [[nodiscard]] int64_t end() const { return first + static_cast<int64_t>(weights.size()); }
};

// Filters rows, and turns the plane on its side, so that a second call filters columns. `from` is height x width.
std::vector<double> filter_and_transpose(const std::vector<double>& from, int64_t height, int64_t width,
                                         const std::vector<Taps>& line) {
  const auto out_width = static_cast<int64_t>(line.size());
  const int64_t left = std::max<int64_t>(0, -line.front().first);
  const int64_t right = std::max<int64_t>(0, line.back().end() - width);
  std::vector<double> to(static_cast<std::size_t>(out_width * height));
#pragma omp parallel
  {
    std::vector<double> extended(static_cast<std::size_t>(left + width + right));
#pragma omp for
    for (int64_t y = 0; y < height; ++y) {
      const double* row = from.data() + y * width;
      std::fill_n(extended.begin(), left, row[0]);
      std::copy_n(row, width, extended.begin() + left);
      std::fill_n(extended.begin() + left + width, right, row[width - 1]);
      for (int64_t x = 0; x < out_width; ++x) {
        const Taps& taps = line[static_cast<std::size_t>(x)];
        to[static_cast<std::size_t>(x * height + y)] =
            std::inner_product(taps.weights.begin(), taps.weights.end(), extended.begin() + left + taps.first, 0.0);
      }
    }
  }
  return to;
}

Image resample(const Image& image, const std::vector<Taps>& columns, const std::vector<Taps>& rows) {
  Image result(static_cast<int64_t>(columns.size()), static_cast<int64_t>(rows.size()), image.channels);
  for (int c = 0; c < image.channels; ++c) {
    std::vector<double> plane(image.plane(c), image.plane(c) + image.plane_size());
    plane = filter_and_transpose(plane, image.height, image.width, columns);
    plane = filter_and_transpose(plane, result.width, image.height, rows);
    std::transform(plane.begin(), plane.end(), result.plane(c), [](double v) { return static_cast<float>(v); });
  }
  return result;
}

}  // namespace

Downsampler::Downsampler(int factor, int lobes) : factor_(factor), padding_(factor * (2 * lobes - 1) / 2) {
  if (factor != 2 && factor != 4 && factor != 8) fail("the factor is {}, and 2, 4 and 8 are supported", factor);
  if (lobes != 2 && lobes != 3) fail("a Lanczos kernel of {} lobes was asked for, and 2 and 3 are supported", lobes);
  double sum = 0;
  for (int t = 0; t < 2 * lobes * factor; ++t) {
    const double d = (t + 0.5) / factor - lobes;
    weights_.push_back(sinc(d) * sinc(d / lobes));
    sum += weights_.back();
  }
  for (double& weight : weights_) weight /= sum;
}

Image Downsampler::apply(const Image& image) const {
  if (image.width % factor_ != 0 || image.height % factor_ != 0) {
    fail("{}x{} is no multiple of {} in both directions", image.width, image.height, factor_);
  }
  const auto taps = [&](int64_t size) {
    std::vector<Taps> line;
    for (int64_t i = 0; i < size / factor_; ++i) line.push_back({i * factor_ - padding_, weights_});
    return line;
  };
  return resample(image, taps(image.width), taps(image.height));
}

ValueId Downsampler::append(GraphBuilder& b, ValueId image) const {
  const Shape shape = b.graph().shape(image);
  const int64_t channels = shape[1], p = padding_;
  const auto taps = static_cast<int64_t>(weights_.size());
  const ValueId padded =
      b.add("Pad", {image}, {{"pads", Dims{0, 0, p, p, 0, 0, p, p}}, {"mode", "edge"}}, "downsample/pad");
  HostTensor kernel(DType::f32, Shape{channels, 1, taps, taps});
  std::size_t at = 0;
  for (int64_t c = 0; c < channels; ++c) {
    for (const double row : weights_) {
      for (const double column : weights_) kernel.values[at++] = row * column;
    }
  }
  return b.add("Conv", {padded, b.constant(std::move(kernel), "downsample/lanczos")},
               {{"strides", Dims{factor_, factor_}}, {"group", channels}}, "downsample");
}

Image shrink(const Image& image, double factor) {
  constexpr int kLobes = 3;
  const auto side = [&](int64_t size) { return static_cast<int64_t>(static_cast<double>(size) / factor); };
  if (!(factor >= 1) || side(image.width) < 1 || side(image.height) < 1) {
    fail("{}x{} can't be made {} times smaller", image.width, image.height, factor);
  }
  const auto taps = [&](int64_t size) {
    std::vector<Taps> line;
    for (int64_t i = 0; i < side(size); ++i) {
      const double at = (static_cast<double>(i) + 0.5) * factor - 0.5;  // in samples of the large image
      const auto first = static_cast<int64_t>(std::ceil(at - kLobes * factor));
      const auto last = static_cast<int64_t>(std::floor(at + kLobes * factor));
      std::vector<double> weights;
      double sum = 0;
      for (int64_t t = first; t <= last; ++t) {
        const double d = (static_cast<double>(t) - at) / factor;
        weights.push_back(sinc(d) * sinc(d / kLobes));
        sum += weights.back();
      }
      for (double& weight : weights) weight /= sum;
      line.push_back({first, std::move(weights)});
    }
    return line;
  };
  return resample(image, taps(image.width), taps(image.height));
}

Image upsample_bicubic(const Image& image, int factor) {
  const auto taps = [&](int64_t size) {
    std::vector<Taps> line;
    for (int64_t i = 0; i < size * factor; ++i) {
      const double at = (static_cast<double>(i) + 0.5) / factor - 0.5;  // in samples of the small image
      const auto first = static_cast<int64_t>(std::floor(at)) - 1;
      std::vector<double> weights;
      for (int64_t t = 0; t < 4; ++t) weights.push_back(cubic(at - static_cast<double>(first + t)));
      line.push_back({first, std::move(weights)});
    }
    return line;
  };
  return resample(image, taps(image.width), taps(image.height));
}

}  // namespace hourglass
