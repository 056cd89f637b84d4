// J as plain code: against libjpeg's encoder and decoder, and against the file's own coefficients.
#include "engine/restore/jpeg_pipeline.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/restore/consistency.h"
#include "engine/restore/dead_leaves.h"

namespace hourglass::test {
namespace {

struct Compressed {
  Image original;
  std::vector<uint8_t> bytes;
  JpegCoefficients file;
};

Compressed compress(int channels, int64_t width, int64_t height, Subsampling subsampling, int quality) {
  Compressed c;
  c.original = DeadLeaves(5, {.width = width, .height = height, .channels = channels}).picture(1);
  for (float& value : c.original.pixels) value = std::round(value * 255) / 255;
  c.bytes = encode_jpeg(c.original, {.quality = quality, .subsampling = subsampling});
  c.file = read_jpeg_coefficients(c.bytes);
  return c;
}

double rms(const std::vector<float>& a, const std::vector<float>& b) {
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(squares / static_cast<double>(a.size()));
}

}  // namespace

TEST_CASE("decode() shows what libjpeg's decoder shows, before it rounds") {
  for (const int channels : {1, 3}) {
    for (const Subsampling subsampling : {Subsampling::s444, Subsampling::s422, Subsampling::s420, Subsampling::s440}) {
      CAPTURE(channels);
      CAPTURE(static_cast<int>(subsampling));
      const Compressed c = compress(channels, 75, 53, subsampling, 40);
      const JpegModel model(c.file);
      Image ours = model.to_image(decode(model));
      clamp(ours);
      const Image theirs = decode_jpeg(c.bytes).image;
      CHECK(255 * rms(ours.pixels, theirs.pixels) < 1);
    }
  }
}

TEST_CASE("J of an image in the cells has the file's coefficients, and is what decode() shows") {
  for (const int channels : {1, 3}) {
    CAPTURE(channels);
    // Whole blocks: what lies beyond the border is the encoder's whim.
    const Compressed c = compress(channels, 96, 64, Subsampling::s420, 10);
    const JpegModel model(c.file);
    const JpegPipeline pipeline(model);
    const Image decoded = decode_jpeg(c.bytes).image;
    const Image estimate = to_consistent(to_posterior_mean(decoded, model), model, 0);
    REQUIRE(check_cells(estimate, model).share() == 1);
    const std::vector<Plane> planes = model.to_planes(estimate);
    const JpegCoefficients again = compress_like(planes, model);
    for (std::size_t i = 0; i < planes.size(); ++i) {
      const JpegComponent& component = c.file.components[i];
      int64_t other = 0;
      for (int64_t y = 0; y < component.height_in_blocks; ++y) {
        for (int64_t x = 0; x < component.width_in_blocks; ++x) {
          for (int f = 0; f < 64; ++f) other += component.block(y, x)[f] != again.components[i].block(y, x)[f] ? 1 : 0;
        }
      }
      CHECK(other == 0);
      CHECK(rms(pipeline.apply(planes)[i].samples, decode(model)[i].samples) < 1e-3);
    }
  }
}

TEST_CASE("J rounds what an encoder rounds") {
  const Compressed c = compress(3, 80, 48, Subsampling::s422, 30);
  const JpegModel model(c.file);
  const JpegCoefficients again = compress_like(model.to_planes(c.original), model);
  for (std::size_t i = 0; i < 3; ++i) {
    const JpegComponent& component = c.file.components[i];
    REQUIRE(component.width_in_blocks == again.components[i].width_in_blocks);
    int64_t other = 0;
    for (int64_t y = 0; y < component.height_in_blocks; ++y) {
      for (int64_t x = 0; x < component.width_in_blocks; ++x) {
        for (int f = 0; f < 64; ++f) other += component.block(y, x)[f] != again.components[i].block(y, x)[f] ? 1 : 0;
      }
    }
    // Where a coefficient lies between two steps, libjpeg's integers round otherwise.
    CHECK(other < 64 * component.height_in_blocks * component.width_in_blocks / 50);
  }
}

}  // namespace hourglass::test
