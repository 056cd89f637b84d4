// An image from a file, whatever its name says: the format is told by the first bytes.
//
//   const DecodedImage photo = read_image("photo.jpg");
//   write_png("photo.restored.png", photo.image, {.metadata = &photo.metadata}, /*overwrite=*/false);
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/image/decoded_image.h"
#include "engine/image/png.h"

namespace hourglass {

// Throws Error for anything but JPEG, PNG and JPEG XL, and names the formats that it knows.
ImageFormat image_format(std::span<const uint8_t> bytes);
// `path` is put before the errors.
DecodedImage decode_image(std::span<const uint8_t> bytes, const std::string& path, std::size_t memory_limit = 0);

// What a file's first bytes say of it.
struct ImageHeader {
  ImageFormat format = ImageFormat::jpeg;
  int64_t width = 0, height = 0;  // 0 where they say no size that makes sense
};

// Reads no more than it needs. Nothing for what is no image of these formats, or can't be read.
std::optional<ImageHeader> find_image_header(const std::string& path);

// So much of a file is enough for find_text().
inline constexpr std::size_t kMetadataWithin = std::size_t{4} << 20;

// A text of a file's metadata, as far as that stands before the pixels; nothing where there is none of that keyword, or
// no whole header.
std::optional<std::string> find_text(std::span<const uint8_t> bytes, std::string_view keyword);

// The errors of read_file and decode_image, with the path.
DecodedImage read_image(const std::string& path);

// ".jpg", and "JPEG".
std::string ending_of(ImageFormat format);
std::string name_of(ImageFormat format);

// The format of an image that is to be written to the path, by its ending: a JPEG or a JPEG XL for that of one, else
// a PNG. Throws Error for the ending of a format that is not written.
ImageFormat format_to_write(const std::string& path);
// Throws Error where the path ends as files of another format do. Call it before long work.
void check_ending(const std::string& path, ImageFormat written);

// encode_png and write_file_atomically, with the path in every error.
void write_png(const std::string& path, const Image& image, const PngOptions& options, bool overwrite);

}  // namespace hourglass
