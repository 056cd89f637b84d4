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

}  // namespace

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
