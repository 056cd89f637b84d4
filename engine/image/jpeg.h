// JPEG in and out through libjpeg-turbo, and the quantized coefficients that a file really says.
//
//   const std::vector<uint8_t> bytes = read_file("photo.jpg");
//   const DecodedImage photo = decode_jpeg(bytes);                    // what any viewer shows
//   const JpegCoefficients said = read_jpeg_coefficients(bytes);      // what the restoration builds on
//
// Read: baseline, extended and progressive, Huffman or arithmetic, gray, YCbCr and RGB, any sampling, 8 bits. Refused
// with an Error: CMYK and YCCK, 12 bits, lossless, more than kMaxPixels, and files that are truncated or damaged, since
// their cells would bind the restoration to pixels that were never in the photograph. Harmless oddities come back as
// warnings, such as a missing end marker, or restart markers with wrong numbers, where all of the data is there. (An
// arithmetic-coded file that was cut and got an end marker decodes without a sign of it.) All functions may be called
// from several threads at once.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/image/decoded_image.h"

namespace hourglass {

// The integer "slow" DCT and the triangle filter for chroma ("fancy upsampling"), as viewers do.
// Refused from the header where the pixels would not fit into memory_limit bytes (0: no limit).
DecodedImage decode_jpeg(std::span<const uint8_t> bytes, std::size_t memory_limit = 0);

// Of the header alone.
Metadata read_jpeg_metadata(std::span<const uint8_t> bytes);

enum class JpegColor : uint8_t { gray, ycbcr, rgb };

// Where the encoder found a coefficient, in quantization steps.
struct JpegCell {
  float low = 0, high = 0;
  [[nodiscard]] float middle() const { return (low + high) / 2; }
  [[nodiscard]] float width() const { return high - low; }
};

// Which bits of a component's coefficients its scans have sent: all, but for a progressive file whose last scans are
// missing. What was not sent is zero in the coefficients.
struct JpegBits {
  static constexpr int8_t kNothingSent = -1;
  // How many of the lowest bits are missing, for each frequency in natural order, or kNothingSent.
  std::array<int8_t, 64> missing{};

  [[nodiscard]] bool is_complete() const { return missing == std::array<int8_t, 64>{}; }
  // Of a coefficient that the file says is n: [n - 1/2, n + 1/2], and further where bits are missing.
  [[nodiscard]] JpegCell cell(std::size_t frequency, int n) const {
    const auto at = static_cast<float>(n);
    return missing[frequency] == 0 ? JpegCell{.low = at - 0.5F, .high = at + 0.5F} : wide_cell(frequency, n);
  }
  // What the file would hold of n = round(c / q): n without the missing bits.
  [[nodiscard]] int sent(std::size_t frequency, int n) const {
    return missing[frequency] == 0 ? n : without_missing(frequency, n);
  }

 private:
  [[nodiscard]] JpegCell wide_cell(std::size_t frequency, int n) const;
  [[nodiscard]] int without_missing(std::size_t frequency, int n) const;
};

struct JpegComponent {
  int h_sampling = 1, v_sampling = 1;  // relative to the largest among the components
  // Samples that belong to the image: ceil(width * h_sampling / max_h), ceil(height * v_sampling / max_v).
  int64_t width = 0, height = 0;
  // Blocks that hold those samples.
  int64_t width_in_blocks = 0, height_in_blocks = 0;
  // Blocks stored: the same, filled up to whole MCUs. What the filling holds is the encoder's whim.
  int64_t blocks_w = 0, blocks_h = 0;
  std::array<uint16_t, 64> quantization{};  // natural order: [vertical frequency][horizontal frequency]
  // [blocks_h][blocks_w][64], natural order. Coefficient = value * quantization, of samples minus 128 under the
  // orthonormal 8x8 DCT-II.
  std::vector<int16_t> coefficients;
  JpegBits bits = {};

  [[nodiscard]] const int16_t* block(int64_t row, int64_t column) const {
    return coefficients.data() + (row * blocks_w + column) * 64;
  }
};

struct JpegCoefficients {
  int64_t width = 0, height = 0;
  JpegColor color = JpegColor::gray;
  int max_h_sampling = 1, max_v_sampling = 1;
  std::vector<JpegComponent> components;  // 1 for gray, else 3
  std::vector<std::string> warnings;
};

JpegCoefficients read_jpeg_coefficients(std::span<const uint8_t> bytes);

// How many luma samples share a chroma sample: s422 two side by side, s440 two above each other, s420 four.
enum class Subsampling : uint8_t { s444, s422, s420, s440 };

struct JpegOptions {
  int quality = 75;  // libjpeg's scale, 1 to 100
  Subsampling subsampling = Subsampling::s420;
  bool progressive = false;
  bool optimize = false;     // Huffman tables made for this image
  int restart_interval = 0;  // MCUs between restart markers, 0: none
  const Metadata* metadata = nullptr;
};

// The longest EXIF block that fits a JPEG's one marker segment.
inline constexpr std::size_t kMaxJpegExif = 65527;

// What of a photograph's metadata a JPEG has no place for, each in words that follow the file's name: "its XMP of 70000
// bytes is too long ...". encode_jpeg() leaves the texts among it out, and refuses such an EXIF block.
std::vector<std::string> lost_in_jpeg(const Metadata& metadata);

// Gray images become one-component files. Throws Error for sizes that JPEG cannot hold and for too long an EXIF block.
std::vector<uint8_t> encode_jpeg(const Image& image, const JpegOptions& options);

struct QualityChoice {
  int quality = 0;
  std::vector<uint8_t> bytes;
};

// The largest quality whose file has at most `budget` bytes; nothing when quality 1 is too large already.
std::optional<QualityChoice> encode_jpeg_within(const Image& image, std::size_t budget, JpegOptions options);

// Of libjpeg-turbo, as "2.1.5".
std::string libjpeg_version();

}  // namespace hourglass
