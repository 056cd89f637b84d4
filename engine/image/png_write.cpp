#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "engine/image/encodable.h"
#include "engine/image/png.h"
#include "engine/image/png_session.h"
#include "graph/error.h"

namespace hourglass {
namespace {

constexpr std::size_t kMaxKeyword = 79;  // PNG, 11.3.3.1

class Writer {
 public:
  Writer() {
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, &errors_, detail::on_png_error, detail::on_png_warning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_write_struct(&png_, nullptr);
      fail("libpng cannot start: {}", errors_.text);
    }
  }
  ~Writer() { png_destroy_write_struct(&png_, &info_); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  std::vector<uint8_t> encode(const Image& image, const PngOptions& options) {
    const bool wide = options.bit_depth == 16;
    std::vector<uint8_t> row(static_cast<std::size_t>(image.width * image.channels * (wide ? 2 : 1)));
    std::vector<png_text> texts;
    if (options.metadata != nullptr) texts = make_texts(*options.metadata);
    const std::string lost = options.metadata != nullptr ? lost_in_png(*options.metadata, image.channels) : "";
    if (!lost.empty()) errors_.warnings.push_back(lost);
    const bool done = detail::guarded(errors_, [&] {
      png_set_write_fn(png_, this, on_write, on_flush);
      detail::accept_known_profiles(png_);
      png_set_benign_errors(png_, 1);  // bad metadata is left out with a warning
      png_set_IHDR(png_, info_, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height),
                   options.bit_depth, image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                   PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
      if (options.metadata != nullptr) set_metadata(*options.metadata, texts, lost.empty());
      png_write_info(png_, info_);
      for (int64_t y = 0; y < image.height; ++y) {
        fill_row(image, y, wide, row.data());
        png_write_row(png_, row.data());
      }
      png_write_end(png_, nullptr);  // with info_ libpng 1.6.39 would write eXIf again
    });
    if (!done) fail("libpng cannot encode the image: {}", errors_.text);
    if (options.warnings != nullptr)
      options.warnings->insert(options.warnings->end(), errors_.warnings.begin(), errors_.warnings.end());
    return std::move(bytes_);
  }

 private:
  static void on_write(png_structp png, png_bytep from, std::size_t count) {
    auto& writer = *static_cast<Writer*>(png_get_io_ptr(png));
    bool appended = false;
    try {
      writer.bytes_.insert(writer.bytes_.end(), from, from + count);
      appended = true;
    } catch (...) {  // no exception may pass through libpng's frames
    }
    if (!appended) png_error(png, "out of memory");
  }
  static void on_flush(png_structp) {}

  // Plain ASCII as tEXt, XMP and everything else as iTXt (UTF-8).
  static std::vector<png_text> make_texts(const Metadata& metadata) {
    std::vector<png_text> texts;
    for (const auto& [keyword, text] : metadata.text) {
      if (keyword.empty() || keyword.size() > kMaxKeyword)
        fail("PNG text: the keyword '{}' is not 1 to {} characters long", keyword, kMaxKeyword);
      const bool ascii = keyword != kXmpKeyword && std::all_of(text.begin(), text.end(), [](char c) { return c > 0; });
      png_text entry{};
      entry.compression = ascii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
      entry.key = const_cast<char*>(keyword.c_str());  // libpng copies
      entry.text = const_cast<char*>(text.c_str());
      entry.text_length = ascii ? text.size() : 0;
      entry.itxt_length = ascii ? 0 : text.size();
      texts.push_back(entry);
    }
    return texts;
  }

  void set_metadata(const Metadata& metadata, const std::vector<png_text>& texts, bool with_icc) {
    if (with_icc && !metadata.icc_profile.empty())
      png_set_iCCP(png_, info_, "ICC profile", PNG_COMPRESSION_TYPE_BASE, metadata.icc_profile.data(),
                   static_cast<png_uint_32>(metadata.icc_profile.size()));
    if (!metadata.exif.empty())
      png_set_eXIf_1(png_, info_, static_cast<png_uint_32>(metadata.exif.size()),
                     const_cast<png_bytep>(metadata.exif.data()));  // libpng copies
    if (metadata.density && metadata.density->x >= 1 && metadata.density->y >= 1)
      png_set_pHYs(png_, info_, static_cast<png_uint_32>(std::lround(metadata.density->x)),
                   static_cast<png_uint_32>(std::lround(metadata.density->y)),
                   metadata.density->per_metre ? PNG_RESOLUTION_METER : PNG_RESOLUTION_UNKNOWN);
    if (!texts.empty()) png_set_text(png_, info_, texts.data(), static_cast<int>(texts.size()));
  }

  static void fill_row(const Image& image, int64_t y, bool wide, uint8_t* row) {
    for (int c = 0; c < image.channels; ++c) {
      const float* line = image.plane(c) + y * image.width;
      for (int64_t x = 0; x < image.width; ++x) {
        const int64_t i = x * image.channels + c;
        if (wide) {
          const uint16_t word = to_word(line[x]);
          row[2 * i] = static_cast<uint8_t>(word >> 8);
          row[2 * i + 1] = static_cast<uint8_t>(word & 255);
        } else {
          row[i] = to_byte(line[x]);
        }
      }
    }
  }

  detail::PngErrors errors_;
  std::vector<uint8_t> bytes_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

std::string lost_in_png(const Metadata& metadata, int channels) {
  if (metadata.icc_profile.empty()) return {};
  const std::string complaint = icc_complaint(metadata.icc_profile, channels);
  return complaint.empty() ? std::string() : "the colour profile is left out: " + complaint;
}

std::vector<uint8_t> encode_png(const Image& image, const PngOptions& options) {
  detail::check_encodable("PNG", image, options.bit_depth, PNG_USER_WIDTH_MAX, PNG_USER_HEIGHT_MAX);
  return Writer().encode(image, options);
}

}  // namespace hourglass
