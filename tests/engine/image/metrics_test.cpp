// The expected numbers come from scikit-image 0.19.3 and a second PSNR-B:  python3 tests/engine/image/metrics_golden.py
#include "engine/image/metrics.h"

#include <omp.h>

#include <cmath>

#include "engine/image/read_image.h"
#include "tests/engine/image/fixtures.h"

namespace hourglass::test {
namespace {

Image load(const std::string& name) { return read_image(data_path(name)).image; }

// Pixels come as floats in [0, 1]: 6e-8 relative, and a code's error of 1e-5 moves these numbers by less than 1e-6.
void check(const Likeness& got, const Likeness& expected) {
  CHECK(got.psnr == doctest::Approx(expected.psnr).epsilon(1e-7));
  CHECK(got.psnr_y == doctest::Approx(expected.psnr_y).epsilon(1e-7));
  CHECK(got.psnr_b == doctest::Approx(expected.psnr_b).epsilon(1e-7));
  CHECK(got.ssim == doctest::Approx(expected.ssim).epsilon(1e-7));
}

Image mirrored(const Image& image) {
  Image result = image;
  for (int c = 0; c < image.channels; ++c)
    for (int64_t y = 0; y < image.height; ++y)
      for (int64_t x = 0; x < image.width; ++x) result.at(c, y, x) = image.at(c, y, image.width - 1 - x);
  return result;
}

}  // namespace

TEST_CASE("metrics agree with scikit-image") {
  const Image chelsea = load("chelsea.png"), degraded = load("chelsea_q10.jpg"), camera = load("camera.png");
  check(compare(degraded, chelsea), {28.467306441, 29.974437090, 27.168260122, 0.784101483});
  check(compare(chelsea, degraded), {28.467306441, 29.974437090, 29.971481774, 0.784101483});
  check(compare(crop(degraded, 200, 90, 37, 53), crop(chelsea, 200, 90, 37, 53)),
        {28.314694131, 30.112793104, 28.564626507, 0.722155749});
  check(compare(mirrored(camera), camera), {6.706242689, 6.706242689, 6.691119623, 0.154831160});
  // Gray against RGB.
  check(compare(camera, crop(load("astronaut.png"), 0, 0, 128, 128)),
        {8.320120697, 8.561628932, 8.538466922, 0.151762841});
}

TEST_CASE("each metric alone is the one of the comparison") {
  const Image a = make_picture(40, 30, 3, 1), b = make_picture(40, 30, 3, 2);
  const Likeness all = compare(a, b);
  CHECK(psnr(a, b) == all.psnr);
  CHECK(psnr_y(a, b) == all.psnr_y);
  CHECK(psnr_b(a, b) == all.psnr_b);
  CHECK(ssim(a, b) == all.ssim);
}

TEST_CASE("identical images") {
  const Image image = make_picture(33, 21, 3);
  const Likeness same = compare(image, image);
  CHECK(std::isinf(same.psnr));
  CHECK(std::isinf(same.psnr_y));
  CHECK(same.ssim == doctest::Approx(1).epsilon(1e-12));
  const Image flat(32, 32, 1);
  CHECK(std::isinf(psnr_b(flat, flat)));
}

TEST_CASE("PSNR-B punishes blocks, and only those of the judged image") {
  Image smooth(64, 64, 1), blocky(64, 64, 1);
  for (int64_t y = 0; y < 64; ++y)
    for (int64_t x = 0; x < 64; ++x) {
      smooth.at(0, y, x) = static_cast<float>(x + y) / 255.0F;
      blocky.at(0, y, x) = static_cast<float>(x / 8 * 8 + y / 8 * 8 + 7) / 255.0F;
    }
  // By hand: all inner steps are 0, all steps across borders are 8, so the excess is 64 and eta is 3/6.
  const double mse = 255.0 * 255.0 / std::pow(10, psnr_y(blocky, smooth) / 10);
  CHECK(psnr_b(blocky, smooth) == doctest::Approx(10 * std::log10(255.0 * 255.0 / (mse + 32))).epsilon(1e-6));
  CHECK(psnr_b(smooth, blocky) == doctest::Approx(psnr_y(smooth, blocky)).epsilon(1e-9));
}

TEST_CASE("a gray image counts as three equal planes") {
  const Image gray = make_picture(29, 31, 1, 3), rgb = make_picture(29, 31, 3, 4);
  const Likeness mixed = compare(gray, rgb), replicated = compare(gray_to_rgb(gray), rgb);
  CHECK(mixed.psnr == replicated.psnr);
  CHECK(mixed.psnr_y == replicated.psnr_y);
  CHECK(mixed.psnr_b == replicated.psnr_b);
  CHECK(mixed.ssim == replicated.ssim);
  CHECK(psnr(rgb, gray) == psnr(rgb, gray_to_rgb(gray)));
}

TEST_CASE("small images have metrics too") {
  for (const auto& [width, height] : {std::pair{1, 1}, {8, 8}, {9, 13}, {2, 40}, {40, 3}, {10, 11}}) {
    const Image a = make_picture(width, height, 1, 1);
    Image b = make_picture(width, height, 1, 2);
    b.pixels[0] += 0.1F;
    const Likeness result = compare(a, b);
    CHECK(std::isfinite(result.psnr_b));
    CHECK(result.ssim > -1);
    CHECK(result.ssim < 1);
    CHECK(ssim(a, a) == doctest::Approx(1).epsilon(1e-12));
  }
}

TEST_CASE("the number of threads changes nothing") {
  const Image a = make_picture(101, 77, 3, 1), b = make_picture(101, 77, 3, 2);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Likeness one = compare(a, b);
  omp_set_num_threads(3);
  const Likeness three = compare(a, b);
  omp_set_num_threads(threads);
  CHECK(one.psnr == three.psnr);
  CHECK(one.psnr_y == three.psnr_y);
  CHECK(one.psnr_b == three.psnr_b);
  CHECK(one.ssim == three.ssim);
}

TEST_CASE("images of different sizes are not compared") {
  const Image a = make_picture(16, 9, 3), b = make_picture(9, 16, 3);
  CHECK_CONTAINS(error_of([&] { compare(a, b); }), "16x9 and 9x16");
  CHECK_THROWS_AS(psnr(a, b), Error);
  CHECK_THROWS_AS(psnr_y(a, b), Error);
  CHECK_THROWS_AS(psnr_b(a, b), Error);
  CHECK_THROWS_AS(ssim(a, b), Error);
}

}  // namespace hourglass::test
