#include "tests/engine/image/fixtures.h"

#include <cstdio>  // jpeglib.h wants FILE

#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

namespace hourglass::test {

namespace {
std::string with_single_spaces(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n';
    if (!space) {
      result += c;
    } else if (result.empty() || result.back() != ' ') {
      result += ' ';
    }
  }
  return result;
}
}  // namespace

bool contains(const std::string& text, const std::string& part) {
  return with_single_spaces(text).find(with_single_spaces(part)) != std::string::npos;
}

std::string data_path(const std::string& name) { return std::string(HOURGLASS_TEST_DATA "/images/") + name; }

Image make_picture(int64_t width, int64_t height, int channels, uint32_t seed) {
  std::mt19937 random(seed);
  Image image(width, height, channels);
  for (int c = 0; c < channels; ++c)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x) {
        const double wave = std::sin(0.19 * static_cast<double>(x) + c) * std::cos(0.13 * static_cast<double>(y) - c);
        const double edge = 2 * x + 3 * y > width + height ? 0.2 : -0.2;
        const double noise = static_cast<double>(random() % 1000) / 20000.0;
        image.at(c, y, x) = static_cast<float>(to_byte(static_cast<float>(0.5 + 0.2 * wave + edge + noise))) / 255.0F;
      }
  return image;
}

double largest_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.channels != b.channels) return 1e9;
  double largest = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    largest = std::max(largest, static_cast<double>(std::abs(a.pixels[i] - b.pixels[i])));
  return largest;
}

// The default error handler exits: good enough for files that the tests make themselves.
Bytes encode_raw_jpeg(int width, int height, const RawJpeg& options) {
  jpeg_compress_struct cinfo{};
  jpeg_error_mgr errors{};
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_compress(&cinfo);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&cinfo, &memory, &size);
  cinfo.image_width = static_cast<JDIMENSION>(width);
  cinfo.image_height = static_cast<JDIMENSION>(height);
  cinfo.input_components = options.components;
  cinfo.in_color_space = static_cast<J_COLOR_SPACE>(options.input_space);
  jpeg_set_defaults(&cinfo);
  jpeg_set_colorspace(&cinfo, static_cast<J_COLOR_SPACE>(options.file_space));
  cinfo.comp_info[0].h_samp_factor = options.luma_h;
  cinfo.comp_info[0].v_samp_factor = options.luma_v;
  cinfo.arith_code = options.arithmetic ? TRUE : FALSE;
  std::vector<jpeg_scan_info> scans(static_cast<std::size_t>(options.components));
  for (int c = 0; c < options.components; ++c)
    scans[static_cast<std::size_t>(c)] = {
        .comps_in_scan = 1, .component_index = {c}, .Ss = 0, .Se = 63, .Ah = 0, .Al = 0};
  if (options.sequential_scans) {
    cinfo.scan_info = scans.data();
    cinfo.num_scans = options.components;
  }
  jpeg_start_compress(&cinfo, TRUE);
  std::mt19937 random(7);
  Bytes row(static_cast<std::size_t>(width * options.components));
  while (cinfo.next_scanline < cinfo.image_height) {
    for (uint8_t& value : row) value = static_cast<uint8_t>(96 + random() % 64);
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&cinfo, rows, 1);
  }
  jpeg_finish_compress(&cinfo);
  jpeg_destroy_compress(&cinfo);
  Bytes bytes(memory, memory + size);
  std::free(memory);
  return bytes;
}

std::vector<Plane> decode_planes(const Bytes& bytes) {
  jpeg_decompress_struct cinfo{};
  jpeg_error_mgr errors{};
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&cinfo);
  jpeg_mem_src(&cinfo, bytes.data(), bytes.size());
  jpeg_read_header(&cinfo, TRUE);
  cinfo.raw_data_out = TRUE;
  cinfo.out_color_space = cinfo.jpeg_color_space;
  cinfo.dct_method = JDCT_FLOAT;
  jpeg_start_decompress(&cinfo);
  // One call fills one row of MCUs: v_samp_factor blocks of each component, complete ones even below the image.
  std::vector<Plane> planes(static_cast<std::size_t>(cinfo.num_components));
  const int mcu_height = cinfo.max_v_samp_factor * DCTSIZE;
  const int mcu_rows = (static_cast<int>(cinfo.image_height) + mcu_height - 1) / mcu_height;
  const int mcu_width = cinfo.max_h_samp_factor * DCTSIZE;
  const int mcu_columns = (static_cast<int>(cinfo.image_width) + mcu_width - 1) / mcu_width;
  for (int c = 0; c < cinfo.num_components; ++c) {
    Plane& plane = planes[static_cast<std::size_t>(c)];
    plane.width = mcu_columns * cinfo.comp_info[c].h_samp_factor * DCTSIZE;
    plane.height = mcu_rows * cinfo.comp_info[c].v_samp_factor * DCTSIZE;
    plane.samples.resize(static_cast<std::size_t>(plane.width * plane.height));
  }
  for (int mcu_row = 0; mcu_row < mcu_rows; ++mcu_row) {
    std::vector<std::vector<JSAMPROW>> rows(planes.size());
    JSAMPARRAY arrays[4] = {};
    for (std::size_t c = 0; c < planes.size(); ++c) {
      const int count = cinfo.comp_info[c].v_samp_factor * DCTSIZE;
      for (int y = 0; y < count; ++y)
        rows[c].push_back(planes[c].samples.data() + (int64_t{mcu_row} * count + y) * planes[c].width);
      arrays[c] = rows[c].data();
    }
    jpeg_read_raw_data(&cinfo, arrays, static_cast<JDIMENSION>(mcu_height));
  }
  jpeg_finish_decompress(&cinfo);
  jpeg_destroy_decompress(&cinfo);
  return planes;
}

Bytes with_segment(const Bytes& jpeg, uint8_t marker, const Bytes& content) {
  const std::size_t length = content.size() + 2;
  Bytes result(jpeg.begin(), jpeg.begin() + 2);
  result.insert(result.end(), {0xff, marker, static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length & 255)});
  result.insert(result.end(), content.begin(), content.end());
  result.insert(result.end(), jpeg.begin() + 2, jpeg.end());
  return result;
}

Bytes with_first_scans(const Bytes& jpeg, int scans) {
  std::size_t at = 2;
  for (int left = scans; left > 0;) {
    left -= jpeg[at + 1] == 0xda ? 1 : 0;
    at += 2 + static_cast<std::size_t>(jpeg[at + 2] << 8 | jpeg[at + 3]);
    // Behind a scan's header come its data, in which 0xff stands before 0 alone.
    while (!(jpeg[at] == 0xff && jpeg[at + 1] != 0)) ++at;
  }
  Bytes cut(jpeg.begin(), jpeg.begin() + static_cast<std::ptrdiff_t>(at));
  cut.insert(cut.end(), {0xff, 0xd9});
  return cut;
}

Bytes with_segment(const Bytes& jpeg, uint8_t marker, const std::string& content) {
  return with_segment(jpeg, marker, Bytes(content.begin(), content.end()));
}

Bytes make_exif(bool big_endian, int orientation) {
  Bytes exif = big_endian ? Bytes{'M', 'M'} : Bytes{'I', 'I'};
  const auto put = [&](unsigned value, int bytes) {
    for (int i = 0; i < bytes; ++i) exif.push_back(static_cast<uint8_t>(value >> 8 * (big_endian ? bytes - 1 - i : i)));
  };
  put(42, 2);
  put(8, 4);
  put(2, 2);
  put(0x0100, 2), put(3, 2), put(1, 4), put(640, 2), put(0, 2);
  put(0x0112, 2), put(3, 2), put(1, 4), put(static_cast<unsigned>(orientation), 2), put(0, 2);
  put(0, 4);
  return exif;
}

Bytes encode_raw_png(int width, int height, const std::vector<Bytes>& rows, const RawPng& options) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  Bytes bytes;
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep from, std::size_t count) {
        auto* to = static_cast<Bytes*>(png_get_io_ptr(p));
        to->insert(to->end(), from, from + count);
      },
      [](png_structp) {});
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), options.bit_depth,
               options.color_type, options.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::vector<png_color> palette;
  for (std::size_t i = 0; i + 2 < options.palette.size(); i += 3)
    palette.push_back({options.palette[i], options.palette[i + 1], options.palette[i + 2]});
  if (!palette.empty()) png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  if (!options.palette_alpha.empty())
    png_set_tRNS(png, info, options.palette_alpha.data(), static_cast<int>(options.palette_alpha.size()), nullptr);
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (const Bytes& row : rows) pointers.push_back(const_cast<png_bytep>(row.data()));
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

}  // namespace hourglass::test
