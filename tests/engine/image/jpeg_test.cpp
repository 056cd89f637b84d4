// Decoding and encoding of every kind of JPEG that a user may bring.
#include "engine/image/jpeg.h"

#include <cmath>

#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "tests/engine/image/fixtures.h"

namespace hourglass::test {
namespace {

constexpr Subsampling kSamplings[] = {Subsampling::s444, Subsampling::s422, Subsampling::s420, Subsampling::s440};
constexpr std::pair<int, int> kSizes[] = {{8, 8}, {9, 13}, {17, 31}, {1, 1}, {64, 48}, {33, 8}};

}  // namespace

TEST_CASE("every sampling, size and coding survives the way out and in") {
  for (const auto& [width, height] : kSizes)
    for (const int channels : {1, 3})
      for (const Subsampling subsampling : kSamplings) {
        const Image picture = gray_to_rgb(make_picture(width, height, 1));
        const Image image = channels == 1 ? to_gray(picture) : picture;
        const JpegOptions plain{.quality = 98, .subsampling = subsampling};
        const DecodedImage decoded = decode_jpeg(encode_jpeg(image, plain));
        REQUIRE(decoded.image.width == width);
        REQUIRE(decoded.image.height == height);
        REQUIRE(decoded.image.channels == channels);
        CHECK(decoded.format == ImageFormat::jpeg);
        CHECK(decoded.warnings.empty());
        CHECK(psnr(decoded.image, image) > 40);  // colourless, so the sampling of the chroma costs nothing
        // Other codings of the same coefficients show the same pixels.
        JpegOptions other = plain;
        other.progressive = true;
        CHECK(largest_difference(decode_jpeg(encode_jpeg(image, other)).image, decoded.image) == 0);
        other = plain;
        other.optimize = true;
        CHECK(largest_difference(decode_jpeg(encode_jpeg(image, other)).image, decoded.image) == 0);
        other.restart_interval = 1;
        CHECK(largest_difference(decode_jpeg(encode_jpeg(image, other)).image, decoded.image) == 0);
      }
}

TEST_CASE("colours stay where they are") {
  Image image(32, 16, 3);
  for (int64_t i = 0; i < image.plane_size(); ++i) {
    image.plane(0)[i] = 0.8F;
    image.plane(1)[i] = 0.4F;
    image.plane(2)[i] = 0.1F;
  }
  for (const Subsampling subsampling : kSamplings)
    CHECK(largest_difference(decode_jpeg(encode_jpeg(image, {.quality = 95, .subsampling = subsampling})).image,
                             image) < 3.0 / 255);
}

TEST_CASE("a photograph from the disk") {
  const DecodedImage decoded = decode_jpeg(read_file(data_path("chelsea_q10.jpg")));
  CHECK(decoded.image.width == 451);
  CHECK(decoded.image.height == 300);
  CHECK(decoded.image.channels == 3);
  CHECK(decoded.metadata.icc_profile.empty());
}

TEST_CASE("metadata survive") {
  Metadata metadata;
  metadata.exif = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0};
  for (int i = 0; i < 150'000; ++i) metadata.icc_profile.push_back(static_cast<uint8_t>(i % 251));  // three segments
  metadata.density = PixelDensity{.x = 300 / 0.0254, .y = 150 / 0.0254, .per_metre = true};
  const Bytes bytes = encode_jpeg(make_picture(20, 20, 3), {.metadata = &metadata});
  const Metadata read = decode_jpeg(bytes).metadata;
  CHECK(read.exif == metadata.exif);
  CHECK(exif_orientation(read.exif) == 6);
  CHECK(read.icc_profile == metadata.icc_profile);
  REQUIRE(read.density.has_value());
  CHECK(read.density->x == doctest::Approx(metadata.density->x));
  CHECK(read.density->y == doctest::Approx(metadata.density->y));
  CHECK(read.density->per_metre);

  metadata.density = PixelDensity{.x = 4, .y = 3, .per_metre = false};
  CHECK(decode_jpeg(encode_jpeg(make_picture(8, 8, 1), {.metadata = &metadata})).metadata.density == metadata.density);
  CHECK_FALSE(decode_jpeg(encode_jpeg(make_picture(8, 8, 1), {})).metadata.density.has_value());

  metadata.exif.resize(kMaxJpegExif);
  CHECK(decode_jpeg(encode_jpeg(make_picture(8, 8, 1), {.metadata = &metadata})).metadata.exif == metadata.exif);
  metadata.exif.resize(kMaxJpegExif + 1);
  CHECK_CONTAINS(error_of([&] { encode_jpeg(make_picture(8, 8, 1), {.metadata = &metadata}); }), "65527");
}

TEST_CASE("what JPEG cannot hold is refused") {
  CHECK_THROWS_AS(encode_jpeg(Image(0, 5, 1), {}), Error);
  CHECK_CONTAINS(error_of([] { encode_jpeg(Image(65501, 1, 1), {}); }), "65501x1");
  CHECK_CONTAINS(error_of([] { encode_jpeg(Image(8, 8, 2), {}); }), "1 or 3 channels, got 2");
  CHECK_CONTAINS(error_of([] { encode_jpeg(Image(8, 8, 1), {.quality = 0}); }), "quality 0");
  CHECK_CONTAINS(error_of([] { encode_jpeg(Image(8, 8, 1), {.quality = 101}); }), "quality 101");
}

TEST_CASE("the largest quality within a budget") {
  const Image image = make_picture(90, 70, 3);
  std::vector<std::size_t> sizes(101);
  for (int quality = 1; quality <= 100; ++quality)
    sizes[static_cast<std::size_t>(quality)] = encode_jpeg(image, {.quality = quality}).size();
  for (std::size_t budget = sizes[1] - 1; budget < sizes[100] + 500; budget += 211) {
    int expected = 0;
    for (int quality = 1; quality <= 100; ++quality)
      if (sizes[static_cast<std::size_t>(quality)] <= budget) expected = quality;
    const auto choice = encode_jpeg_within(image, budget, {});
    REQUIRE(choice.has_value() == (expected > 0));
    if (!choice) continue;
    CHECK(choice->quality == expected);
    CHECK(choice->bytes == encode_jpeg(image, {.quality = expected}));
  }
  // Exactly the size, and one byte less.
  CHECK(encode_jpeg_within(image, sizes[50], {})->quality >= 50);
  CHECK(encode_jpeg_within(image, sizes[1] - 1, {}) == std::nullopt);
}

}  // namespace hourglass::test
