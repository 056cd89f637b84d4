#include <algorithm>
#include <cstdio>
#include <cstring>

#include "engine/image/png.h"
#include "engine/image/png_session.h"
#include "graph/error.h"

namespace hourglass {
namespace detail {

void on_png_error(png_structp png, png_const_charp text) {
  PngErrors& errors = *static_cast<PngErrors*>(png_get_error_ptr(png));
  std::snprintf(errors.text, sizeof errors.text, "%s", text);
  std::longjmp(errors.jump, 1);
}

void on_png_warning(png_structp png, png_const_charp text) {
  constexpr std::size_t kMaxWarnings = 8;
  PngErrors& errors = *static_cast<PngErrors*>(png_get_error_ptr(png));
  if (errors.warnings.size() >= kMaxWarnings) return;
  try {
    errors.warnings.emplace_back(text);
  } catch (...) {  // out of memory: a lost warning is better than an exception in libpng's frames
  }
}

}  // namespace detail

namespace {

// Deflate makes at most 1032 bytes out of one.
constexpr int64_t kMaxDeflateRatio = 1032;

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &errors_, detail::on_png_error, detail::on_png_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      fail("libpng cannot start: {}", errors_.text);
    }
  }
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  DecodedImage decode(std::size_t memory_limit) {
    read_header();
    check_memory(width_, height_, samples_ <= 2 ? 1 : 3, memory_limit);
    std::vector<uint8_t> data(row_bytes_ * static_cast<std::size_t>(height_));
    std::vector<png_bytep> rows(static_cast<std::size_t>(height_));
    for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = data.data() + y * row_bytes_;
    run([&] {
      png_read_image(png_, rows.data());
      png_read_end(png_, info_);
    });
    DecodedImage decoded;
    decoded.format = ImageFormat::png;
    decoded.bit_depth = depth_;
    decoded.image = Image(width_, height_, samples_ <= 2 ? 1 : 3);
    const bool alpha = samples_ == 2 || samples_ == 4;
    if (depth_ == 8)
      unpack<1>(data, alpha, decoded.image);
    else
      unpack<2>(data, alpha, decoded.image);
    read_metadata(decoded.metadata);
    decoded.warnings = std::move(errors_.warnings);
    if (!decoded.metadata.exif.empty() && !is_exif(decoded.metadata.exif)) {
      decoded.metadata.exif.clear();
      decoded.warnings.emplace_back("its EXIF block is damaged and left out");
    }
    return decoded;
  }

  // Of what stands before the pixels.
  Metadata metadata() {
    read_header();
    Metadata metadata;
    read_metadata(metadata);
    return metadata;
  }

 private:
  template <typename Body>
  void run(const Body& body) {
    if (!detail::guarded(errors_, body))
      fail("the PNG is truncated or damaged ({}); use a complete copy of the file", errors_.text);
  }

  static void on_read(png_structp png, png_bytep to, std::size_t count) {
    auto& reader = *static_cast<Reader*>(png_get_io_ptr(png));
    if (count > reader.bytes_.size() - reader.position_) png_error(png, "the file ends too early");
    std::memcpy(to, reader.bytes_.data() + reader.position_, count);
    reader.position_ += count;
  }

  // libpng asks for a chunk's memory before it reads it, so one that says more bytes than the file has is refused here.
  // Those of the pixels are read piece by piece.
  void check_chunks() const {
    constexpr std::size_t kSignature = 8, kHeader = 8, kChecksum = 4;
    std::size_t at = kSignature;
    while (at < bytes_.size() && bytes_.size() - at >= kHeader) {
      const uint8_t* chunk = bytes_.data() + at;
      const std::size_t length = png_get_uint_32(chunk), left = bytes_.size() - at - kHeader;
      if (length > left && std::memcmp(chunk + 4, "IDAT", 4) != 0)
        fail(
            "the PNG is truncated or damaged (a chunk of {} bytes, and {} are left of the file); use a complete copy "
            "of "
            "the file",
            length, left);
      at += kHeader + length + kChecksum;
    }
  }

  void read_header() {
    check_chunks();
    constexpr int kMostTexts = 64;  // and other chunks of which there may be many: each may unpack to 8 MB
    run([&] {
      png_set_read_fn(png_, this, on_read);
      png_set_chunk_cache_max(png_, kMostTexts);
      detail::accept_known_profiles(png_);
      png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // ours follow, with a better message
      png_read_info(png_, info_);
      width_ = png_get_image_width(png_, info_);
      height_ = png_get_image_height(png_, info_);
    });
    if (width_ > kMaxPixels || height_ > kMaxPixels / width_)
      fail("the PNG says that it is {}x{} pixels, more than the {} that are supported", width_, height_, kMaxPixels);
    const auto raw_bytes = static_cast<int64_t>(png_get_rowbytes(png_, info_)) * height_;
    if (raw_bytes / kMaxDeflateRatio > static_cast<int64_t>(bytes_.size()))
      fail("the PNG is truncated or damaged: {} bytes cannot hold {}x{} pixels", bytes_.size(), width_, height_);
    run([&] {
      png_set_expand(png_);  // palettes to RGB, gray of 1, 2 and 4 bits to 8, tRNS to alpha
      png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
      depth_ = png_get_bit_depth(png_, info_);
      samples_ = png_get_channels(png_, info_);
      row_bytes_ = png_get_rowbytes(png_, info_);
    });
  }

  // Bytes: of one sample, the high one first.
  template <int Bytes>
  void unpack(const std::vector<uint8_t>& data, bool alpha, Image& image) const {
    constexpr int kMax = Bytes == 1 ? 255 : 65535;
    const auto sample = [](const uint8_t* at) { return Bytes == 1 ? at[0] : at[0] << 8 | at[1]; };
    for (int64_t y = 0; y < height_; ++y) {
      const uint8_t* row = data.data() + static_cast<std::size_t>(y) * row_bytes_;
      for (int c = 0; c < image.channels; ++c)
        for (int64_t x = 0; x < width_; ++x)
          image.at(c, y, x) = static_cast<float>(sample(row + (x * samples_ + c) * Bytes)) / static_cast<float>(kMax);
      if (!alpha) continue;
      for (int64_t x = 0; x < width_; ++x)
        if (sample(row + (x * samples_ + samples_ - 1) * Bytes) != kMax)
          fail("the PNG is transparent at ({}, {}), and only opaque images are supported; flatten it first", x, y);
    }
  }

  void read_metadata(Metadata& metadata) {
    png_charp name = nullptr;
    png_bytep profile = nullptr, exif = nullptr;
    png_uint_32 profile_bytes = 0, exif_bytes = 0, density_x = 0, density_y = 0;
    png_textp texts = nullptr;
    int compression = 0, unit = 0, text_count = 0;
    run([&] {
      png_get_iCCP(png_, info_, &name, &compression, &profile, &profile_bytes);
      png_get_eXIf_1(png_, info_, &exif_bytes, &exif);
      png_get_pHYs(png_, info_, &density_x, &density_y, &unit);
      png_get_text(png_, info_, &texts, &text_count);
    });
    if (profile != nullptr) metadata.icc_profile.assign(profile, profile + profile_bytes);
    if (exif != nullptr) metadata.exif.assign(exif, exif + exif_bytes);
    if (density_x > 0 && density_y > 0)
      metadata.density = PixelDensity{.x = static_cast<double>(density_x),
                                      .y = static_cast<double>(density_y),
                                      .per_metre = unit == PNG_RESOLUTION_METER};
    for (int i = 0; i < text_count; ++i) metadata.text.emplace_back(texts[i].key, as_utf8(texts[i].text));
  }

  std::span<const uint8_t> bytes_;
  std::size_t position_ = 0;
  detail::PngErrors errors_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int64_t width_ = 0, height_ = 0;
  int depth_ = 0, samples_ = 0;
  std::size_t row_bytes_ = 0;
};

}  // namespace

DecodedImage decode_png(std::span<const uint8_t> bytes, std::size_t memory_limit) {
  return Reader(bytes).decode(memory_limit);
}

Metadata read_png_metadata(std::span<const uint8_t> bytes) { return Reader(bytes).metadata(); }

std::string libpng_version() { return png_get_libpng_ver(nullptr); }

}  // namespace hourglass
