#include <jerror.h>

#include <cmath>
#include <cstring>

#include "engine/image/jpeg.h"
#include "engine/image/jpeg_metadata.h"
#include "engine/image/jpeg_session.h"
#include "graph/error.h"

namespace hourglass {
namespace {

constexpr char kExifMark[] = "Exif\0";
constexpr int64_t kMaxSide = 65500;  // JPEG_MAX_DIMENSION; the format itself ends at 65535
constexpr std::size_t kChunk = 65536;

// A destination that appends to a vector and stops the encoder once the file is larger than the budget.
struct VectorDestination : jpeg_destination_mgr {
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> chunk = std::vector<uint8_t>(kChunk);
  std::size_t budget = SIZE_MAX;
  bool too_large = false;
};

VectorDestination& destination_of(j_compress_ptr cinfo) { return *static_cast<VectorDestination*>(cinfo->dest); }

void restart_chunk(j_compress_ptr cinfo) {
  VectorDestination& to = destination_of(cinfo);
  to.next_output_byte = to.chunk.data();
  to.free_in_buffer = to.chunk.size();
}

void append(j_compress_ptr cinfo, std::size_t count) {
  VectorDestination& to = destination_of(cinfo);
  if (to.bytes.size() + count > to.budget) {
    to.too_large = true;
    std::longjmp(static_cast<detail::JpegErrors*>(cinfo->err)->jump, 1);
  }
  bool appended = false;
  try {
    to.bytes.insert(to.bytes.end(), to.chunk.begin(), to.chunk.begin() + static_cast<std::ptrdiff_t>(count));
    appended = true;
  } catch (...) {  // no exception may pass through libjpeg's frames
  }
  if (!appended) ERREXIT1(cinfo, JERR_OUT_OF_MEMORY, 0);
}

boolean flush_chunk(j_compress_ptr cinfo) {
  append(cinfo, kChunk);
  restart_chunk(cinfo);
  return TRUE;
}

void finish_chunk(j_compress_ptr cinfo) { append(cinfo, kChunk - destination_of(cinfo).free_in_buffer); }

class JpegEncoder {
 public:
  JpegEncoder(const Image& image, std::size_t budget) : image_(image) {
    cinfo_.err = &errors_;
    to_.budget = budget;
    to_.init_destination = restart_chunk;
    to_.empty_output_buffer = flush_chunk;
    to_.term_destination = finish_chunk;
  }
  ~JpegEncoder() { jpeg_destroy_compress(&cinfo_); }
  JpegEncoder(const JpegEncoder&) = delete;
  JpegEncoder& operator=(const JpegEncoder&) = delete;

  std::optional<std::vector<uint8_t>> encode(const JpegOptions& options) {
    exif_.clear();
    if (options.metadata != nullptr && !options.metadata->exif.empty()) {
      exif_.assign(kExifMark, kExifMark + sizeof kExifMark);
      exif_.insert(exif_.end(), options.metadata->exif.begin(), options.metadata->exif.end());
    }
    if (options.metadata != nullptr) texts_ = detail::text_segments(*options.metadata);
    std::vector<uint8_t> row(static_cast<std::size_t>(image_.width * image_.channels));
    const bool done = detail::guarded(errors_, [&] {
      jpeg_create_compress(&cinfo_);
      cinfo_.dest = &to_;
      set_parameters(options);
      jpeg_start_compress(&cinfo_, TRUE);
      if (options.metadata != nullptr) write_markers(*options.metadata);
      while (cinfo_.next_scanline < cinfo_.image_height) {
        fill_row(cinfo_.next_scanline, row.data());
        JSAMPROW rows[] = {row.data()};
        jpeg_write_scanlines(&cinfo_, rows, 1);
      }
      jpeg_finish_compress(&cinfo_);
    });
    if (done) return std::move(to_.bytes);
    if (to_.too_large) return std::nullopt;
    fail("libjpeg cannot encode the image: {}", errors_.text);
  }

 private:
  void set_parameters(const JpegOptions& options) {
    cinfo_.image_width = static_cast<JDIMENSION>(image_.width);
    cinfo_.image_height = static_cast<JDIMENSION>(image_.height);
    cinfo_.input_components = image_.channels;
    cinfo_.in_color_space = image_.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&cinfo_);
    cinfo_.dct_method = JDCT_ISLOW;
    jpeg_set_quality(&cinfo_, options.quality, TRUE);
    const bool wide = options.subsampling == Subsampling::s422 || options.subsampling == Subsampling::s420;
    const bool high = options.subsampling == Subsampling::s440 || options.subsampling == Subsampling::s420;
    cinfo_.comp_info[0].h_samp_factor = image_.channels == 3 && wide ? 2 : 1;
    cinfo_.comp_info[0].v_samp_factor = image_.channels == 3 && high ? 2 : 1;
    cinfo_.optimize_coding = options.optimize ? TRUE : FALSE;
    cinfo_.restart_interval = static_cast<unsigned int>(options.restart_interval);
    if (options.progressive) jpeg_simple_progression(&cinfo_);
    if (options.metadata != nullptr && options.metadata->density) set_density(*options.metadata->density);
  }

  void set_density(const PixelDensity& density) {
    const double unit = density.per_metre ? 0.0254 : 1;
    const double x = std::round(density.x * unit), y = std::round(density.y * unit);
    if (x < 1 || x > 65535 || y < 1 || y > 65535) return;  // JFIF has 16 bits for it
    cinfo_.density_unit = density.per_metre ? 1 : 0;
    cinfo_.X_density = static_cast<UINT16>(x);
    cinfo_.Y_density = static_cast<UINT16>(y);
  }

  void write_markers(const Metadata& metadata) {
    if (!exif_.empty())
      jpeg_write_marker(&cinfo_, JPEG_APP0 + 1, exif_.data(), static_cast<unsigned int>(exif_.size()));
    if (!metadata.icc_profile.empty())
      jpeg_write_icc_profile(&cinfo_, metadata.icc_profile.data(),
                             static_cast<unsigned int>(metadata.icc_profile.size()));
    for (const detail::JpegSegment& text : texts_) {
      jpeg_write_marker(&cinfo_, text.marker, text.content.data(), static_cast<unsigned int>(text.content.size()));
    }
  }

  void fill_row(int64_t y, uint8_t* row) const {
    for (int c = 0; c < image_.channels; ++c) {
      const float* line = image_.plane(c) + y * image_.width;
      for (int64_t x = 0; x < image_.width; ++x) row[x * image_.channels + c] = to_byte(line[x]);
    }
  }

  const Image& image_;
  std::vector<uint8_t> exif_;
  std::vector<detail::JpegSegment> texts_;
  detail::JpegErrors errors_;
  VectorDestination to_;
  jpeg_compress_struct cinfo_{};
};

void check(const Image& image, const JpegOptions& options) {
  if (image.width < 1 || image.height < 1 || image.width > kMaxSide || image.height > kMaxSide)
    fail("JPEG holds images of 1x1 to {0}x{0} pixels, this one is {1}x{2}", kMaxSide, image.width, image.height);
  if (image.channels != 1 && image.channels != 3) fail("JPEG: expected 1 or 3 channels, got {}", image.channels);
  if (options.quality < 1 || options.quality > 100) fail("JPEG quality {} is outside of 1 to 100", options.quality);
  if (options.restart_interval < 0 || options.restart_interval > 65535)
    fail("JPEG restart interval {} is outside of 0 to 65535", options.restart_interval);
  if (options.metadata != nullptr && options.metadata->exif.size() > kMaxJpegExif)
    fail("the EXIF block has {} bytes, and a JPEG holds at most {}", options.metadata->exif.size(), kMaxJpegExif);
}

}  // namespace

std::vector<uint8_t> encode_jpeg(const Image& image, const JpegOptions& options) {
  check(image, options);
  return *JpegEncoder(image, SIZE_MAX).encode(options);
}

// Downwards one by one: file size is not quite monotone in quality, so bisection can miss the largest one. Attempts
// that are too large stop as soon as they are, which makes most of them cheap.
std::optional<QualityChoice> encode_jpeg_within(const Image& image, std::size_t budget, JpegOptions options) {
  for (options.quality = 100; options.quality >= 1; --options.quality) {
    check(image, options);
    if (auto bytes = JpegEncoder(image, budget).encode(options))
      return QualityChoice{options.quality, std::move(*bytes)};
  }
  return std::nullopt;
}

}  // namespace hourglass
