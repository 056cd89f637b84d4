#include "engine/restore/jpeg_model.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "graph/evaluate.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

Image random_image(int64_t width, int64_t height, int channels) {
  std::mt19937 random(11);
  Image image(width, height, channels);
  for (float& value : image.pixels) value = static_cast<float>(random() % 256) / 255.0F;
  return image;
}

}  // namespace

TEST_CASE("the DCT is orthonormal and its own inverse's transpose") {
  float samples[64], coefficients[64], back[64];
  for (int i = 0; i < 64; ++i) samples[i] = static_cast<float>((i * 37) % 101) - 50;
  forward_dct(samples, 8, coefficients);
  inverse_dct(coefficients, back, 8);
  double energy = 0, energy_coefficients = 0, mean = 0;
  for (int i = 0; i < 64; ++i) {
    CHECK(std::abs(back[i] - samples[i]) < 1e-4);
    energy += samples[i] * samples[i];
    energy_coefficients += coefficients[i] * coefficients[i];
    mean += samples[i] / 64.0;
  }
  CHECK(energy_coefficients == doctest::Approx(energy).epsilon(1e-6));
  CHECK(coefficients[0] == doctest::Approx(8 * mean).epsilon(1e-5));
}

TEST_CASE("rounded, the model's coefficients are the ones that libjpeg writes") {
  for (const int channels : {1, 3}) {
    for (const Subsampling subsampling : {Subsampling::s444, Subsampling::s422, Subsampling::s420, Subsampling::s440}) {
      for (const auto& size : {std::pair{32, 32}, std::pair{37, 21}, std::pair{8, 8}, std::pair{9, 17}}) {
        CAPTURE(channels);
        CAPTURE(static_cast<int>(subsampling));
        CAPTURE(size.first);
        const Image image = random_image(size.first, size.second, channels);
        JpegOptions options;
        options.quality = 90;
        options.subsampling = subsampling;
        const JpegCoefficients file = read_jpeg_coefficients(encode_jpeg(image, options));
        const JpegModel model(file);
        const std::vector<Plane> planes = model.to_planes(image);
        int64_t far = 0, total = 0;
        double worst = 0;
        for (std::size_t i = 0; i < planes.size(); ++i) {
          const Plane small = model.downsample(planes[i], i);
          const JpegComponent& component = file.components[i];
          for (int64_t r = 0; r < component.height_in_blocks; ++r) {
            for (int64_t c = 0; c < component.width_in_blocks; ++c) {
              float block[64];
              forward_dct(small.row(r * 8) + c * 8, small.width, block);
              for (std::size_t f = 0; f < 64; ++f) {
                ++total;
                // libjpeg rounds samples (colour conversion, box filter) and its integer DCT: an error of about 0.4
                // levels (standard deviation) on a coefficient, besides the rounding to a whole step; a replicated
                // edge repeats one sample's error up to eight times.
                const double q = component.quantization[f];
                const double excess = std::abs(block[f] - component.block(r, c)[f] * q) - 0.5 * q;
                if (excess > 1.2) ++far;
                worst = std::max(worst, excess);
              }
            }
          }
        }
        CHECK(total > 0);
        CHECK(far * 100 <= total);  // three deviations, one in a hundred for small edge-heavy images
        CHECK(worst < 6);
      }
    }
  }
}

TEST_CASE("the graph fragment computes what the plain code computes") {
  for (const int channels : {1, 3}) {
    for (const Subsampling subsampling : {Subsampling::s444, Subsampling::s420, Subsampling::s440}) {
      for (const auto& size : {std::pair{32, 16}, std::pair{37, 21}}) {
        CAPTURE(channels);
        CAPTURE(static_cast<int>(subsampling));
        const Image image = random_image(size.first, size.second, channels);
        JpegOptions options;
        options.subsampling = subsampling;
        const JpegCoefficients file = read_jpeg_coefficients(encode_jpeg(image, options));
        const JpegModel model(file);
        Graph graph;
        GraphBuilder builder(graph, op_table());
        const Shape shape{1, channels, size.second, size.first};
        const ValueId x = builder.input("x", {DType::f32, shape});
        const std::vector<ValueId> coefficients = model.coefficients(builder, x);
        const HostTensor values(DType::f32, shape, {image.pixels.begin(), image.pixels.end()});
        const std::vector<HostTensor> got = evaluate(graph, {{x, values}}, coefficients);
        const std::vector<Plane> planes = model.to_planes(image);
        double worst = 0;
        for (std::size_t i = 0; i < planes.size(); ++i) {
          const Plane small = model.downsample(planes[i], i);
          const int64_t rows = small.height / 8, columns = small.width / 8;
          REQUIRE(got[i].shape == Shape{1, 64, rows, columns});
          for (int64_t r = 0; r < rows; ++r) {
            for (int64_t c = 0; c < columns; ++c) {
              float block[64];
              forward_dct(small.row(r * 8) + c * 8, small.width, block);
              for (int64_t f = 0; f < 64; ++f) {
                const double value = got[i].values[static_cast<std::size_t>((f * rows + r) * columns + c)];
                worst = std::max(worst, std::abs(value - block[f]));
              }
            }
          }
        }
        CHECK(worst < 2e-3);  // float against double, coefficients up to 1000
      }
    }
  }
}

TEST_CASE("planes go back to the image") {
  const Image image = random_image(13, 9, 3);
  const JpegCoefficients file = read_jpeg_coefficients(encode_jpeg(image, {}));
  const JpegModel model(file);
  const Image back = model.to_image(model.to_planes(image));
  for (std::size_t i = 0; i < image.pixels.size(); ++i) CHECK(std::abs(back.pixels[i] - image.pixels[i]) < 1e-5);
}

}  // namespace hourglass::test
