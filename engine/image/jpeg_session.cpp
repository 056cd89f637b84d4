#include "engine/image/jpeg_session.h"

#include <jerror.h>

#include "engine/image/image.h"
#include "graph/error.h"

namespace hourglass::detail {
namespace {

constexpr std::size_t kMaxWarnings = 8;
// Every scan of a progressive file walks over the whole image, however short the scan's data: a bound on the work that
// a small hostile file can ask for. Files made by the usual encoders have about ten.
constexpr int kMaxScans = 500;

JpegErrors& errors_of(j_common_ptr cinfo) { return *static_cast<JpegErrors*>(cinfo->err); }

[[noreturn]] void on_error(j_common_ptr cinfo) {
  JpegErrors& errors = errors_of(cinfo);
  errors.format_message(cinfo, errors.text);
  std::longjmp(errors.jump, 1);
}

// libjpeg replaces lost data by gray and calls it a warning.
bool means_lost_data(int code) {
  return code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC ||
         code == JWRN_ARITH_BAD_CODE || code == JWRN_BOGUS_PROGRESSION;
}

void on_message(j_common_ptr cinfo, int level) {
  if (level >= 0) return;  // trace messages
  JpegErrors& errors = errors_of(cinfo);
  ++errors.num_warnings;
  if (means_lost_data(errors.msg_code)) {
    errors.damaged = true;
    on_error(cinfo);
  }
  if (errors.warnings.size() >= kMaxWarnings) return;
  char text[JMSG_LENGTH_MAX];
  errors.format_message(cinfo, text);
  try {
    errors.warnings.emplace_back(text);
  } catch (...) {  // out of memory: a lost warning is better than an exception in libjpeg's frames
  }
}

void on_progress(j_common_ptr cinfo) {
  if (!cinfo->is_decompressor) return;
  if (reinterpret_cast<j_decompress_ptr>(cinfo)->input_scan_number <= kMaxScans) return;
  JpegErrors& errors = errors_of(cinfo);
  std::snprintf(errors.text, sizeof errors.text, "more than %d scans, which no photograph needs", kMaxScans);
  std::longjmp(errors.jump, 1);
}

}  // namespace

JpegErrors::JpegErrors() : jpeg_error_mgr{}, jump{} {
  jpeg_std_error(this);
  error_exit = on_error;
  emit_message = on_message;
}

JpegReader::JpegReader(std::span<const uint8_t> bytes) {
  cinfo_.err = &errors_;
  try {
    run([&] {
      jpeg_create_decompress(&cinfo_);
      progress_.progress_monitor = on_progress;
      cinfo_.progress = &progress_;
      jpeg_mem_src(&cinfo_, bytes.data(), static_cast<unsigned long>(bytes.size()));
      jpeg_save_markers(&cinfo_, JPEG_APP0 + 1, 0xffff);
      jpeg_save_markers(&cinfo_, JPEG_APP0 + 2, 0xffff);
      jpeg_read_header(&cinfo_, TRUE);
    });
    check_header(bytes.size());
  } catch (...) {
    jpeg_destroy_decompress(&cinfo_);
    throw;
  }
}

JpegReader::~JpegReader() { jpeg_destroy_decompress(&cinfo_); }

void JpegReader::throw_error() const {
  if (errors_.damaged)
    fail("the JPEG is truncated or damaged ({}); restore from a complete copy of the file", errors_.text);
  fail("libjpeg cannot read the file: {}", errors_.text);
}

void JpegReader::check_header(std::size_t file_bytes) {
  const int64_t width = cinfo_.image_width, height = cinfo_.image_height;
  switch (cinfo_.jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_YCbCr:
    case JCS_RGB: break;
    case JCS_CMYK:
    case JCS_YCCK:
      fail("the JPEG is coded as {}, and only gray, YCbCr and RGB are supported; convert it to RGB first",
           cinfo_.jpeg_color_space == JCS_CMYK ? "CMYK" : "YCCK (CMYK)");
    default:
      fail("the JPEG has {} components of an unknown colour space, and only gray, YCbCr and RGB are supported",
           cinfo_.num_components);
  }
  if (width * height > kMaxPixels)
    fail("the JPEG says that it is {}x{} pixels, more than the {} that are supported", width, height, kMaxPixels);
  // A Huffman code has at least one bit, and each MCU at least one code: a file that is too short for that is not worth
  // the memory that its header asks for.
  const int64_t mcu_width = int64_t{DCTSIZE} * cinfo_.max_h_samp_factor;
  const int64_t mcu_height = int64_t{DCTSIZE} * cinfo_.max_v_samp_factor;
  const int64_t mcus = ((width + mcu_width - 1) / mcu_width) * ((height + mcu_height - 1) / mcu_height);
  if (!cinfo_.arith_code && mcus > 8 * static_cast<int64_t>(file_bytes))
    fail("the JPEG is truncated or damaged: {} bytes cannot hold {}x{} pixels", file_bytes, width, height);
}

void JpegReader::check_scans_complete() {
  if (!cinfo_.progressive_mode || cinfo_.coef_bits == nullptr) return;
  for (int c = 0; c < cinfo_.num_components; ++c)
    for (int k = 0; k < DCTSIZE2; ++k)
      if (cinfo_.coef_bits[c][k] != 0) {
        errors_.warnings.emplace_back(
            "the progressive scans end before full precision: the image is coarser than "
            "its quantization tables say");
        return;
      }
}

}  // namespace hourglass::detail
