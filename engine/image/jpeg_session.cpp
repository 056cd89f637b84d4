#include "engine/image/jpeg_session.h"

#include <jerror.h>

#include <algorithm>

#include <fmt/core.h>

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

[[noreturn]] void on_damage(j_common_ptr cinfo) {
  errors_of(cinfo).damaged = true;
  on_error(cinfo);
}

// libjpeg replaces lost data by gray and calls it a warning. Where the file just ends, it makes an end marker up: with
// Huffman's codes it then says when it needs data that is not there; the arithmetic decoder takes zeros for it.
bool means_lost_data(j_common_ptr cinfo, int code) {
  if (code == JWRN_JPEG_EOF) return reinterpret_cast<j_decompress_ptr>(cinfo)->arith_code != 0;
  return code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC ||
         code == JWRN_ARITH_BAD_CODE || code == JWRN_BOGUS_PROGRESSION;
}

void on_message(j_common_ptr cinfo, int level) {
  JpegErrors& errors = errors_of(cinfo);
  if (level >= 0) {  // trace messages
    // A restart marker behind a scan: one of the wrong numbers was a segment too many.
    const int marker = errors.msg_parm.i[0];
    const bool restart = errors.msg_code == JTRC_PARMLESS_MARKER && marker >= JPEG_RST0 && marker <= JPEG_RST0 + 7;
    if (restart && errors.wrong_restarts > 0) on_damage(cinfo);
    return;
  }
  ++errors.num_warnings;
  if (means_lost_data(cinfo, errors.msg_code)) on_damage(cinfo);
  if (errors.msg_code == JWRN_JPEG_EOF) {
    errors.ended = true;
    return;
  }
  if (errors.warnings.size() >= kMaxWarnings) return;
  char text[JMSG_LENGTH_MAX];
  errors.format_message(cinfo, text);
  try {
    errors.warnings.emplace_back(text);
  } catch (...) {  // out of memory: a lost warning is better than an exception in libjpeg's frames
  }
}

// A restart marker of another number than the one that is due. libjpeg would guess by the number whether segments are
// missing; here every marker counts for the one that is due, and what is missing shows at the scan's end.
boolean on_wrong_restart(j_decompress_ptr cinfo, int due) {
  JpegErrors& errors = errors_of(reinterpret_cast<j_common_ptr>(cinfo));
  const int found = cinfo->unread_marker;
  if (found < JPEG_RST0 || found > JPEG_RST0 + 7) WARNMS2(cinfo, JWRN_MUST_RESYNC, found, due);
  ++errors.wrong_restarts;
  cinfo->unread_marker = 0;
  return TRUE;
}

// Zeros at the end of a file stand for what was never written. They must not be read as codes.
std::size_t size_without_zeros(std::span<const uint8_t> bytes) {
  std::size_t size = bytes.size();
  while (size > 0 && bytes[size - 1] == 0) --size;
  // Behind 255 a zero is part of the data.
  return size > 0 && size < bytes.size() && bytes[size - 1] == 0xff ? size + 1 : size;
}

// Why libjpeg does not read the file, where its own words are for programmers.
std::string in_plain_words(const JpegErrors& errors) {
  const int parameter = errors.msg_parm.i[0];
  if (errors.msg_code == JERR_EMPTY_IMAGE)
    return "the JPEG does not state its height at the beginning, as scanners and fax machines write it; open it in "
           "another program and save it as PNG first";
  if (errors.msg_code == JERR_BAD_PRECISION)
    return fmt::format("the JPEG has {} bits for each sample, and only 8 are supported; convert it first", parameter);
  if (errors.msg_code == JERR_SOF_UNSUPPORTED) {
    constexpr int kLossless = 3;  // of the two lowest bits of the marker: ITU-T T.81, table B.1
    const bool lossless = (parameter & 3) == kLossless;
    return fmt::format("the JPEG is {}, which is not supported; convert it first",
                       lossless ? "a lossless one, as medical and raw images have it" : "a hierarchical one");
  }
  return fmt::format("libjpeg cannot read the file: {}", errors.text);
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
      jpeg_mem_src(&cinfo_, bytes.data(), static_cast<unsigned long>(size_without_zeros(bytes)));
      cinfo_.src->resync_to_restart = on_wrong_restart;
      for (const int marker : {JPEG_APP0 + 1, JPEG_APP0 + 2, JPEG_APP0 + 13, JPEG_COM})
        jpeg_save_markers(&cinfo_, marker, 0xffff);
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
  if (errors_.damaged || errors_.ended) fail_damaged(errors_.text);
  fail("{}", in_plain_words(errors_));
}

void JpegReader::fail_damaged(std::string_view what) {
  fail(
      "the JPEG is truncated or damaged ({}); take a complete copy of the file, or, for what is left in it, open it in "
      "another program and save it as PNG",
      what);
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
  // the memory that its header asks for. Arithmetic coding has no such bound, since what is expected costs next to
  // nothing: a bit holds up to 32768 decisions, and a flat image of any size has some 400 bytes. 16 MCUs to a bit is
  // what a flat image of 3800x3800 has, and no photograph comes near it.
  const int64_t mcu_width = int64_t{DCTSIZE} * cinfo_.max_h_samp_factor;
  const int64_t mcu_height = int64_t{DCTSIZE} * cinfo_.max_v_samp_factor;
  const int64_t mcus = ((width + mcu_width - 1) / mcu_width) * ((height + mcu_height - 1) / mcu_height);
  const int64_t mcus_per_bit = cinfo_.arith_code ? 16 : 1;
  if (mcus > mcus_per_bit * 8 * static_cast<int64_t>(file_bytes))
    fail("the JPEG is truncated or damaged: {} bytes cannot hold {}x{} pixels{}", file_bytes, width, height,
         cinfo_.arith_code ? " of a photograph" : "");
}

bool JpegReader::lacks_precision() const {
  if (!cinfo_.progressive_mode || cinfo_.coef_bits == nullptr) return false;
  for (int c = 0; c < cinfo_.num_components; ++c)
    for (int k = 0; k < DCTSIZE2; ++k)
      if (cinfo_.coef_bits[c][k] != 0) return true;
  return false;
}

void JpegReader::finish() {
  const bool coarse = lacks_precision();
  int zeros = 0;
  for (int c = 0; c < cinfo_.num_components; ++c) {
    // libjpeg looks a component's table up when it comes to the first of its scans.
    const JQUANT_TBL* table = cinfo_.comp_info[c].quant_table;
    if (table == nullptr) fail_damaged(fmt::format("component {} has no data", c + 1));
    zeros += static_cast<int>(std::count(table->quantval, table->quantval + DCTSIZE2, 0));
  }
  // Reads on to the end-of-image marker, so that a file that lacks it is noticed.
  run([&] { jpeg_finish_decompress(&cinfo_); });
  std::vector<std::string>& warnings = errors_.warnings;
  if (coarse && errors_.ended) fail_damaged("the last scans of the progressive file are missing");
  if (coarse)
    warnings.emplace_back(
        "the progressive scans end before full precision: the image is coarser than its quantization tables say");
  if (errors_.ended) warnings.emplace_back("the end marker is missing; the image itself is complete");
  if (errors_.wrong_restarts > 0)
    warnings.push_back(fmt::format("{} of its restart markers {} a wrong number; the image itself is complete",
                                   errors_.wrong_restarts, errors_.wrong_restarts == 1 ? "has" : "have"));
  if (zeros > 0)
    warnings.push_back(
        fmt::format("its quantization tables hold {} zero{}, which no encoder may write: what the coefficients there "
                    "were is not in the file, and they are left out of all counts",
                    zeros, zeros == 1 ? "" : "s"));
}

}  // namespace hourglass::detail
