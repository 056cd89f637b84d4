#include "tests/engine/image/foreign_jxl.h"

#include <memory>
#include <stdexcept>

namespace hourglass::test {
namespace {

void check(JxlEncoderStatus status) {
  if (status != JXL_ENC_SUCCESS) throw std::runtime_error("libjxl cannot encode a file of the tests");
}

struct Destroy {
  void operator()(JxlEncoder* encoder) const { JxlEncoderDestroy(encoder); }
};

}  // namespace

std::vector<uint8_t> encode_foreign_jxl(uint32_t width, uint32_t height, const ForeignJxl& options) {
  const std::unique_ptr<JxlEncoder, Destroy> owner(JxlEncoderCreate(nullptr));
  JxlEncoder* encoder = owner.get();
  JxlBasicInfo info;
  JxlEncoderInitBasicInfo(&info);
  info.xsize = width, info.ysize = height;
  info.uses_original_profile = JXL_TRUE;
  const bool has_alpha = options.channels % 2 == 0;
  info.num_color_channels = has_alpha ? options.channels - 1 : options.channels;
  info.num_extra_channels = has_alpha ? 1 : 0;
  info.alpha_bits = has_alpha ? 8 : 0;
  if (options.change) options.change(info);
  check(JxlEncoderSetBasicInfo(encoder, &info));
  JxlColorEncoding colours;
  JxlColorEncodingSetToSRGB(&colours, info.num_color_channels == 1 ? JXL_TRUE : JXL_FALSE);
  if (options.wide_gamut) colours.primaries = JXL_PRIMARIES_P3;
  check(JxlEncoderSetColorEncoding(encoder, &colours));
  if (!options.boxes.empty()) check(JxlEncoderUseBoxes(encoder));
  for (const auto& [type, content] : options.boxes) {
    check(JxlEncoderAddBox(encoder, type.c_str(), content.data(), content.size(), JXL_TRUE));
  }
  std::vector<uint8_t> samples(std::size_t{width} * height * options.channels);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const bool is_alpha = has_alpha && i % options.channels == options.channels - 1;
    samples[i] = is_alpha ? options.alpha : static_cast<uint8_t>(options.is_flat ? 0 : 7 * i);
  }
  JxlEncoderFrameSettings* settings = JxlEncoderFrameSettingsCreate(encoder, nullptr);
  check(JxlEncoderSetFrameLossless(settings, JXL_TRUE));
  const JxlPixelFormat format{options.channels, JXL_TYPE_UINT8, JXL_NATIVE_ENDIAN, 0};
  check(JxlEncoderAddImageFrame(settings, &format, samples.data(), samples.size()));
  JxlEncoderCloseInput(encoder);
  std::vector<uint8_t> bytes(1 << 16);
  uint8_t* next = bytes.data();
  std::size_t room = bytes.size();
  check(JxlEncoderProcessOutput(encoder, &next, &room));
  bytes.resize(bytes.size() - room);
  return bytes;
}

}  // namespace hourglass::test
