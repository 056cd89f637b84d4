#include <algorithm>

#include "engine/image/jpeg.h"
#include "engine/image/jpeg_session.h"
#include "graph/error.h"

namespace hourglass {
namespace {

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// ceil(size * factor / max_factor)
int64_t component_size(int64_t size, int factor, int max_factor) {
  return (size * factor + max_factor - 1) / max_factor;
}

// Frequencies in the order in which a file holds them (ITU-T T.81, figure A.6): 8 v + u, vertical and horizontal.
constexpr std::array<uint8_t, 64> kZigzag{0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                          12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                          35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                          58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

// The coefficients that no file of 8 bits exceeds: 1024 steps of 1.
constexpr float kLargest = 1024;

}  // namespace

// DC coefficients lose their bits as two's complement does, towards minus infinity, the others towards zero (ITU-T
// T.81, G.1.2.1 and G.1.2.2).
namespace {

// What an encoder leaves of n where it sends all but the lowest bits: DC is rounded down, AC towards zero.
int without_bits(std::size_t frequency, int n, int bits) {
  const int unit = 1 << bits;
  return frequency == 0 ? n >> bits << bits : n / unit * unit;
}

}  // namespace

JpegCell JpegBits::wide_cell(std::size_t frequency, int n) const {
  const int bits = missing[frequency];
  if (bits == kNothingSent) return {.low = -kLargest, .high = kLargest};
  // The numbers of which n is left.
  const int more = (1 << bits) - 1;
  const auto is_left_of = [&](int other) { return without_bits(frequency, other, bits) == n; };
  return {.low = static_cast<float>(is_left_of(n - more) ? n - more : n) - 0.5F,
          .high = static_cast<float>(is_left_of(n + more) ? n + more : n) + 0.5F};
}

int JpegBits::without_missing(std::size_t frequency, int n) const {
  const int bits = missing[frequency];
  return bits == kNothingSent ? 0 : without_bits(frequency, n, bits);
}

JpegCoefficients read_jpeg_coefficients(std::span<const uint8_t> bytes) {
  detail::JpegReader reader(bytes);
  jpeg_decompress_struct* cinfo = reader.get();
  jvirt_barray_ptr* arrays = nullptr;
  reader.run([&] { arrays = jpeg_read_coefficients(cinfo); });

  JpegCoefficients result;
  result.width = cinfo->image_width;
  result.height = cinfo->image_height;
  result.color = cinfo->jpeg_color_space == JCS_GRAYSCALE ? JpegColor::gray
                 : cinfo->jpeg_color_space == JCS_RGB     ? JpegColor::rgb
                                                          : JpegColor::ycbcr;
  result.max_h_sampling = cinfo->max_h_samp_factor;
  result.max_v_sampling = cinfo->max_v_samp_factor;
  for (int c = 0; c < cinfo->num_components; ++c) {
    const jpeg_component_info& info = cinfo->comp_info[c];
    if (info.quant_table == nullptr) break;  // finish() says what is wrong
    JpegComponent component;
    component.h_sampling = info.h_samp_factor;
    component.v_sampling = info.v_samp_factor;
    component.width = component_size(result.width, info.h_samp_factor, result.max_h_sampling);
    component.height = component_size(result.height, info.v_samp_factor, result.max_v_sampling);
    component.width_in_blocks = info.width_in_blocks;
    component.height_in_blocks = info.height_in_blocks;
    component.blocks_w = round_up(component.width_in_blocks, info.h_samp_factor);
    component.blocks_h = round_up(component.height_in_blocks, info.v_samp_factor);
    std::copy_n(info.quant_table->quantval, 64, component.quantization.begin());
    if (cinfo->progressive_mode && cinfo->coef_bits != nullptr) {
      for (std::size_t k = 0; k < 64; ++k) {
        component.bits.missing[kZigzag[k]] = static_cast<int8_t>(cinfo->coef_bits[c][k]);
      }
    }
    component.coefficients.resize(static_cast<std::size_t>(component.blocks_h * component.blocks_w * 64));

    int16_t* dst = component.coefficients.data();
    const int64_t row_values = component.blocks_w * 64;
    reader.run([&] {
      for (int64_t row = 0; row < component.blocks_h; ++row) {
        JBLOCKARRAY rows = cinfo->mem->access_virt_barray(reinterpret_cast<j_common_ptr>(cinfo), arrays[c],
                                                          static_cast<JDIMENSION>(row), 1, FALSE);
        std::copy_n(&rows[0][0][0], row_values, dst + row * row_values);
      }
    });
    result.components.push_back(std::move(component));
  }
  reader.finish();
  result.warnings = reader.take_warnings();
  return result;
}

}  // namespace hourglass
