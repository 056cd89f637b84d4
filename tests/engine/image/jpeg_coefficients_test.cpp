// The coefficients are the ground that the restoration stands on: decoded by hand, in floating point, they must be the
// samples that libjpeg's own floating-point DCT makes.
#include <cstdio>  // jpeglib.h wants FILE

#include <jpeglib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "engine/image/file.h"
#include "tests/engine/image/fixtures.h"

namespace hourglass::test {
namespace {

// Orthonormal DCT-II: basis[frequency][position].
std::array<std::array<double, 8>, 8> dct_basis() {
  std::array<std::array<double, 8>, 8> basis{};
  for (int k = 0; k < 8; ++k)
    for (int i = 0; i < 8; ++i)
      basis[k][i] = (k == 0 ? std::sqrt(0.125) : 0.5) * std::cos((2 * i + 1) * k * std::numbers::pi / 16);
  return basis;
}

// The level-shifted inverse DCT of one block, before clamping.
std::array<double, 64> inverse_dct(const int16_t* block, const std::array<uint16_t, 64>& quantization) {
  static const auto basis = dct_basis();
  std::array<double, 64> samples{};
  for (int y = 0; y < 8; ++y)
    for (int x = 0; x < 8; ++x) {
      double sum = 128;
      for (int v = 0; v < 8; ++v)
        for (int u = 0; u < 8; ++u) sum += block[v * 8 + u] * quantization[v * 8 + u] * basis[v][y] * basis[u][x];
      samples[y * 8 + x] = sum;
    }
  return samples;
}

void check_against_libjpeg(const Bytes& bytes) {
  const JpegCoefficients said = read_jpeg_coefficients(bytes);
  const std::vector<Plane> planes = decode_planes(bytes);
  REQUIRE(said.components.size() == planes.size());
  CHECK(said.warnings.empty());
  for (std::size_t c = 0; c < planes.size(); ++c) {
    const JpegComponent& component = said.components[c];
    REQUIRE(component.coefficients.size() == static_cast<std::size_t>(component.blocks_w * component.blocks_h * 64));
    CHECK(component.blocks_w * 8 == planes[c].width);
    CHECK(component.blocks_h * 8 == planes[c].height);
    CHECK(component.width_in_blocks == (component.width + 7) / 8);
    CHECK(component.height_in_blocks == (component.height + 7) / 8);
    double worst = 0;
    for (int64_t row = 0; row < component.height_in_blocks; ++row)
      for (int64_t column = 0; column < component.width_in_blocks; ++column) {
        const auto samples = inverse_dct(component.block(row, column), component.quantization);
        for (int64_t i = 0; i < 64; ++i) {
          const int64_t y = row * 8 + i / 8, x = column * 8 + i % 8;
          const double ours = std::clamp(samples[static_cast<std::size_t>(i)], 0.0, 255.0);
          const double theirs = planes[c].samples[static_cast<std::size_t>(y * planes[c].width + x)];
          worst = std::max(worst, std::abs(ours - theirs));
        }
      }
    // Rounding to a code, and libjpeg's single precision.
    CHECK(worst < 0.51);
  }
}

}  // namespace

TEST_CASE("coefficients decode to libjpeg's samples") {
  for (const auto& [width, height] : {std::pair{8, 8}, {9, 13}, {17, 31}, {64, 48}, {33, 8}})
    for (const int quality : {5, 30, 75, 100})
      for (const bool progressive : {false, true}) {
        CAPTURE(width);
        CAPTURE(quality);
        CAPTURE(progressive);
        check_against_libjpeg(
            encode_jpeg(make_picture(width, height, 1), {.quality = quality, .progressive = progressive}));
        for (const Subsampling subsampling :
             {Subsampling::s444, Subsampling::s422, Subsampling::s420, Subsampling::s440})
          check_against_libjpeg(encode_jpeg(make_picture(width, height, 3), {.quality = quality,
                                                                             .subsampling = subsampling,
                                                                             .progressive = progressive,
                                                                             .restart_interval = width % 3}));
      }
  check_against_libjpeg(read_file(data_path("chelsea_q10.jpg")));
}

TEST_CASE("sampling and sizes of components") {
  struct Expected {
    Subsampling subsampling;
    int h, v;
    int64_t chroma_width, chroma_height, luma_blocks_w, luma_blocks_h;
  };
  // 17x31: three by four blocks of luma.
  for (const Expected& expected : {Expected{Subsampling::s444, 1, 1, 17, 31, 3, 4},
                                   {Subsampling::s422, 2, 1, 9, 31, 4, 4},
                                   {Subsampling::s420, 2, 2, 9, 16, 4, 4},
                                   {Subsampling::s440, 1, 2, 17, 16, 3, 4}}) {
    const JpegCoefficients said =
        read_jpeg_coefficients(encode_jpeg(make_picture(17, 31, 3), {.subsampling = expected.subsampling}));
    CHECK(said.width == 17);
    CHECK(said.height == 31);
    CHECK(said.color == JpegColor::ycbcr);
    CHECK(said.max_h_sampling == expected.h);
    CHECK(said.max_v_sampling == expected.v);
    REQUIRE(said.components.size() == 3);
    CHECK(said.components[0].h_sampling == expected.h);
    CHECK(said.components[0].v_sampling == expected.v);
    CHECK(said.components[0].blocks_w == expected.luma_blocks_w);
    CHECK(said.components[0].blocks_h == expected.luma_blocks_h);
    CHECK(said.components[0].width_in_blocks == 3);
    CHECK(said.components[0].height_in_blocks == 4);
    for (int c = 1; c < 3; ++c) {
      CHECK(said.components[c].h_sampling == 1);
      CHECK(said.components[c].width == expected.chroma_width);
      CHECK(said.components[c].height == expected.chroma_height);
    }
  }
}

TEST_CASE("quantization tables and coefficients are in natural order") {
  // T.81, table K.1, at quality 50: its first row and first column.
  const Bytes bytes = encode_jpeg(make_picture(16, 16, 1), {.quality = 50});
  const auto table = read_jpeg_coefficients(bytes).components[0].quantization;
  const int row[] = {16, 11, 10, 16, 24, 40, 51, 61}, column[] = {16, 12, 14, 14, 18, 24, 49, 72};
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(table[i] == row[i]);
    CHECK(table[i * 8] == column[i]);
  }
  // Stripes that change along x only have coefficients in the first row only.
  Image stripes(8, 8, 1);
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 8; ++x) stripes.at(0, y, x) = x % 2 == 0 ? 0.2F : 0.9F;
  const JpegCoefficients said = read_jpeg_coefficients(encode_jpeg(stripes, {.quality = 90}));
  const int16_t* block = said.components[0].block(0, 0);
  CHECK(block[7] != 0);
  for (int i = 8; i < 64; ++i) CHECK(block[i] == 0);
}

TEST_CASE("coefficients do not depend on how they are coded") {
  const Image picture = make_picture(50, 41, 3);
  const JpegCoefficients baseline = read_jpeg_coefficients(encode_jpeg(picture, {}));
  for (const JpegOptions& options :
       {JpegOptions{.progressive = true}, JpegOptions{.optimize = true}, JpegOptions{.restart_interval = 2}}) {
    const JpegCoefficients other = read_jpeg_coefficients(encode_jpeg(picture, options));
    for (std::size_t c = 0; c < 3; ++c) {
      const JpegComponent &a = baseline.components[c], &b = other.components[c];
      for (int64_t row = 0; row < a.height_in_blocks; ++row)
        for (int64_t column = 0; column < a.width_in_blocks; ++column)
          CHECK(std::equal(a.block(row, column), a.block(row, column) + 64, b.block(row, column)));
    }
  }
}

TEST_CASE("RGB-coded, odd sampling, arithmetic coding, a scan for each component") {
  const Bytes rgb = encode_raw_jpeg(21, 19, {.file_space = JCS_RGB});
  CHECK(read_jpeg_coefficients(rgb).color == JpegColor::rgb);
  check_against_libjpeg(rgb);
  CHECK(decode_jpeg(rgb).image.channels == 3);
  for (const auto& [h, v] : {std::pair{4, 1}, {1, 4}, {4, 2}, {3, 1}, {2, 1}}) {
    const Bytes bytes = encode_raw_jpeg(45, 39, {.file_space = JCS_YCbCr, .luma_h = h, .luma_v = v});
    CHECK(read_jpeg_coefficients(bytes).max_h_sampling == h);
    check_against_libjpeg(bytes);
    CHECK(decode_jpeg(bytes).image.width == 45);
  }
  check_against_libjpeg(encode_raw_jpeg(30, 30, {.file_space = JCS_YCbCr, .arithmetic = true}));
  check_against_libjpeg(
      encode_raw_jpeg(30, 30, {.file_space = JCS_YCbCr, .luma_h = 2, .luma_v = 2, .sequential_scans = true}));
  // One component with a sampling factor of its own: nothing is sampled down.
  const Bytes gray = encode_raw_jpeg(
      20, 20, {.components = 1, .input_space = JCS_GRAYSCALE, .file_space = JCS_GRAYSCALE, .luma_h = 2, .luma_v = 2});
  const JpegComponent component = read_jpeg_coefficients(gray).components[0];
  CHECK(component.width == 20);
  CHECK(component.width_in_blocks == 3);
  CHECK(component.blocks_w == 4);
}

TEST_CASE("what the missing scans of a progressive file leave open") {
  for (const int channels : {1, 3}) {
    const Bytes bytes = encode_jpeg(make_picture(75, 50, channels), {.quality = 90, .progressive = true});
    const JpegCoefficients whole = read_jpeg_coefficients(bytes);
    const int scans = channels == 1 ? 6 : 10;  // of jpeg_simple_progression()
    CHECK(with_first_scans(bytes, scans) == bytes);
    for (int sent = channels == 1 ? 1 : 4; sent <= scans; ++sent) {
      const JpegCoefficients part = read_jpeg_coefficients(with_first_scans(bytes, sent));
      CAPTURE(sent);
      CHECK(part.warnings.empty() == (sent == scans));
      int64_t otherwise = 0, outside = 0, lacking = 0;
      for (std::size_t i = 0; i < whole.components.size(); ++i) {
        const JpegComponent &a = whole.components[i], &b = part.components[i];
        CHECK(a.bits.is_complete());
        lacking += b.bits.is_complete() ? 0 : 1;
        for (std::size_t k = 0; k < a.coefficients.size(); ++k) {
          const JpegCell cell = b.bits.cell(k % 64, b.coefficients[k]);
          const auto n = static_cast<float>(a.coefficients[k]);
          otherwise += b.bits.sent(k % 64, a.coefficients[k]) == b.coefficients[k] ? 0 : 1;
          outside += cell.low + 0.5F <= n && n <= cell.high - 0.5F ? 0 : 1;
        }
      }
      CHECK(otherwise == 0);
      CHECK(outside == 0);
      CHECK((lacking == 0) == (sent == scans));
    }
  }
}

TEST_CASE("cells, by the bits that were sent") {
  JpegBits bits;
  bits.missing[1] = 2;
  bits.missing[0] = 1;
  bits.missing[2] = JpegBits::kNothingSent;
  const auto is = [&](std::size_t frequency, int n, float low, float high) {
    return bits.cell(frequency, n).low == low && bits.cell(frequency, n).high == high;
  };
  CHECK(is(3, -7, -7.5F, -6.5F));
  // Towards zero: 4 to 7, -3 to 3, -7 to -4; and towards minus infinity: -4 and -3.
  CHECK(is(1, 4, 3.5F, 7.5F));
  CHECK(is(1, 0, -3.5F, 3.5F));
  CHECK(is(1, -4, -7.5F, -3.5F));
  CHECK(is(0, -4, -4.5F, -2.5F));
  CHECK(bits.sent(1, -6) == -4);
  CHECK(bits.sent(0, -3) == -4);
  CHECK(bits.sent(2, 500) == 0);
  CHECK(bits.cell(2, 0).width() > 2000);
}

}  // namespace hourglass::test
