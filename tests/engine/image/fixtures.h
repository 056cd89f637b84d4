// Pictures and files for the codecs' tests, some of them made with libjpeg and libpng directly, since our own encoders
// write fewer kinds than the decoders must read.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "engine/image/image.h"
#include "engine/image/jpeg.h"
#include "graph/error.h"

namespace hourglass::test {

using Bytes = std::vector<uint8_t>;

// tests/data/images/NAME
std::string data_path(const std::string& name);

// A smooth wave with an edge and a little noise: compresses like a photograph, at any size.
Image make_picture(int64_t width, int64_t height, int channels, uint32_t seed = 1);

double largest_difference(const Image& a, const Image& b);

struct RawJpeg {
  int components = 3;
  int input_space = 2;  // J_COLOR_SPACE of what is given, and of what the file holds (2: JCS_RGB)
  int file_space = 2;
  int luma_h = 1, luma_v = 1;  // sampling of the first component
  bool arithmetic = false;
  bool sequential_scans = false;  // one scan for each component
};
// Noise of that many components.
Bytes encode_raw_jpeg(int width, int height, const RawJpeg& options);

// The components as the file holds them, not upsampled nor converted, each padded to whole blocks, by libjpeg's
// floating-point DCT.
struct Plane {
  int64_t width = 0, height = 0;
  Bytes samples;
};
std::vector<Plane> decode_planes(const Bytes& bytes);

// The JPEG with one more marker segment at its beginning.
Bytes with_segment(const Bytes& jpeg, uint8_t marker, const Bytes& content);
Bytes with_segment(const Bytes& jpeg, uint8_t marker, const std::string& content);

// A JPEG of which only the first scans are left, and its end marker.
Bytes with_first_scans(const Bytes& jpeg, int scans);

// An EXIF block: a directory of two entries, the second of them the orientation.
Bytes make_exif(bool big_endian, int orientation);

struct RawPng {
  int color_type = 2;  // PNG_COLOR_TYPE_*
  int bit_depth = 8;
  bool interlaced = false;
  std::vector<uint8_t> palette = {};        // r, g, b, ...
  std::vector<uint8_t> palette_alpha = {};  // tRNS
};
// rows: as PNG packs them.
Bytes encode_raw_png(int width, int height, const std::vector<Bytes>& rows, const RawPng& options);

// The text of the Error that fn throws; fails the test when it throws none.
template <typename Function>
std::string error_of(const Function& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.what();
  }
  FAIL("expected an Error");
  return {};
}

// Whether the text holds the part, wherever lines were wrapped: runs of spaces and line ends count as one space. What a
// program prints is wrapped at places that depend on the figures in it.
bool contains(const std::string& text, const std::string& part);

// CHECK that the text holds the part, and show both when it does not.
#define CHECK_CONTAINS(text, part) \
  CHECK_MESSAGE(hourglass::test::contains(text, part), "'" << std::string(part) << "' is not in '" << (text) << "'")

}  // namespace hourglass::test
