#include <jxl/encode.h>

#include <algorithm>
#include <memory>

#include "engine/image/encodable.h"
#include "engine/image/jxl.h"
#include "engine/image/jxl_metadata.h"
#include "engine/image/jxl_threads.h"
#include "graph/error.h"

namespace hourglass {
namespace {

// Of 9. With libjxl 0.7 an enlarged photograph of 1.7 megapixels (PNG: 1454 KB) takes 0.7 s of a CPU and 981 KB with 3,
// 1.5 s and 882 KB with 4, 3.7 s and 826 KB with 7.
constexpr int kEffort = 4;

struct Destroy {
  void operator()(JxlEncoder* encoder) const { JxlEncoderDestroy(encoder); }
};
using Encoder = std::unique_ptr<JxlEncoder, Destroy>;

void check(JxlEncoderStatus status, const char* what) {
  if (status != JXL_ENC_SUCCESS) fail("libjxl cannot encode the image: it refuses the {}", what);
}

JxlBasicInfo info_of(const Image& image, const JxlOptions& options) {
  JxlBasicInfo info;
  JxlEncoderInitBasicInfo(&info);
  info.xsize = static_cast<uint32_t>(image.width);
  info.ysize = static_cast<uint32_t>(image.height);
  info.bits_per_sample = static_cast<uint32_t>(options.bit_depth);
  info.num_color_channels = static_cast<uint32_t>(image.channels);
  info.uses_original_profile = JXL_TRUE;  // which lossless means
  if (options.metadata != nullptr) {
    info.orientation = static_cast<JxlOrientation>(exif_orientation(options.metadata->exif));
  }
  return info;
}

// Why the profile can't be written; empty where it can.
std::string profile_complaint(const std::vector<uint8_t>& profile, int channels) {
  if (profile.empty()) return {};
  if (std::string complaint = icc_complaint(profile, channels); !complaint.empty()) return complaint;
  const Encoder encoder(JxlEncoderCreate(nullptr));
  const JxlBasicInfo info = info_of(Image(1, 1, channels), {});
  const bool is_taken = encoder != nullptr && JxlEncoderSetBasicInfo(encoder.get(), &info) == JXL_ENC_SUCCESS &&
                        JxlEncoderSetICCProfile(encoder.get(), profile.data(), profile.size()) == JXL_ENC_SUCCESS;
  return is_taken ? "" : "libjxl does not understand it";
}

// Pixel by pixel, as libjxl takes them.
template <typename Code>
std::vector<Code> interleaved(const Image& image, Code (*code_of)(float)) {
  std::vector<Code> codes(image.pixels.size());
  for (int c = 0; c < image.channels; ++c) {
    const float* plane = image.plane(c);
    for (int64_t i = 0; i < image.plane_size(); ++i) codes[i * image.channels + c] = code_of(plane[i]);
  }
  return codes;
}

void set_colours(JxlEncoder* encoder, const Image& image, const JxlOptions& options) {
  const Metadata* metadata = options.metadata;
  if (metadata != nullptr && !metadata->icc_profile.empty() &&
      profile_complaint(metadata->icc_profile, image.channels).empty()) {
    check(JxlEncoderSetICCProfile(encoder, metadata->icc_profile.data(), metadata->icc_profile.size()),
          "colour profile");
    return;
  }
  JxlColorEncoding colours;
  JxlColorEncodingSetToSRGB(&colours, image.channels == 1 ? JXL_TRUE : JXL_FALSE);
  check(JxlEncoderSetColorEncoding(encoder, &colours), "colours");
}

void add_boxes(JxlEncoder* encoder, const Metadata& metadata) {
  const std::vector<detail::JxlBox> boxes = detail::metadata_boxes(metadata);
  if (boxes.empty()) return;
  check(JxlEncoderUseBoxes(encoder), "metadata");
  for (const detail::JxlBox& box : boxes) {
    check(JxlEncoderAddBox(encoder, box.type.c_str(), box.content.data(), box.content.size(), JXL_FALSE), "metadata");
  }
}

void add_pixels(JxlEncoder* encoder, const Image& image, int bit_depth) {
  JxlEncoderFrameSettings* settings = JxlEncoderFrameSettingsCreate(encoder, nullptr);
  check(JxlEncoderSetFrameLossless(settings, JXL_TRUE), "settings");
  check(JxlEncoderFrameSettingsSetOption(settings, JXL_ENC_FRAME_SETTING_EFFORT, kEffort), "settings");
  const auto add = [&](const auto& codes, JxlDataType type) {
    const JxlPixelFormat format{.num_channels = static_cast<uint32_t>(image.channels),
                                .data_type = type,
                                .endianness = JXL_NATIVE_ENDIAN,
                                .align = 0};
    check(JxlEncoderAddImageFrame(settings, &format, codes.data(), codes.size() * sizeof(codes[0])), "pixels");
  };
  if (bit_depth == 16) {
    add(interleaved<uint16_t>(image, to_word), JXL_TYPE_UINT16);
  } else {
    add(interleaved<uint8_t>(image, to_byte), JXL_TYPE_UINT8);
  }
}

std::vector<uint8_t> output_of(JxlEncoder* encoder) {
  constexpr std::size_t kFirst = std::size_t{1} << 16;
  std::vector<uint8_t> bytes(kFirst);
  std::size_t used = 0;
  while (true) {
    uint8_t* next = bytes.data() + used;
    std::size_t room = bytes.size() - used;
    const JxlEncoderStatus status = JxlEncoderProcessOutput(encoder, &next, &room);
    used = bytes.size() - room;
    if (status == JXL_ENC_SUCCESS) break;
    if (status != JXL_ENC_NEED_MORE_OUTPUT) fail("libjxl cannot encode the image");
    bytes.resize(2 * bytes.size());
  }
  bytes.resize(used);
  return bytes;
}

}  // namespace

std::vector<std::string> lost_in_jxl(const Metadata& metadata, int channels) {
  std::vector<std::string> lost;
  const std::string complaint = profile_complaint(metadata.icc_profile, channels);
  if (!complaint.empty()) lost.push_back("the colour profile is left out: " + complaint);
  if (std::any_of(metadata.text.begin(), metadata.text.end(),
                  [](const auto& entry) { return entry.first == kIptcKeyword; })) {
    lost.emplace_back("its IPTC block has no place in a JPEG XL and is left out");
  }
  return lost;
}

std::vector<uint8_t> encode_jxl(const Image& image, const JxlOptions& options) {
  detail::check_encodable("JPEG XL", image, options.bit_depth, kMaxJxlSide, kMaxJxlSide);
  const Encoder encoder(JxlEncoderCreate(nullptr));
  if (encoder == nullptr) fail("libjxl cannot start");
  check(JxlEncoderSetParallelRunner(encoder.get(), detail::run_jxl_in_parallel, nullptr), "threads");
  const JxlBasicInfo info = info_of(image, options);
  check(JxlEncoderSetBasicInfo(encoder.get(), &info), "size or depth");
  set_colours(encoder.get(), image, options);
  if (options.metadata != nullptr) add_boxes(encoder.get(), *options.metadata);
  add_pixels(encoder.get(), image, options.bit_depth);
  JxlEncoderCloseInput(encoder.get());
  return output_of(encoder.get());
}

std::string libjxl_version() {
  constexpr uint32_t kMajor = 1000000, kMinor = 1000;
  const uint32_t version = JxlEncoderVersion();
  return fmt::format("{}.{}.{}", version / kMajor, version / kMinor % kMinor, version % kMinor);
}

}  // namespace hourglass
