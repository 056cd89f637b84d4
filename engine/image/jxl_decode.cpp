#include <jxl/decode.h>
#include <jxl/version.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "engine/image/jxl.h"
#include "engine/image/jxl_decoder.h"
#include "engine/image/jxl_metadata.h"
#include "engine/image/jxl_threads.h"
#include "graph/error.h"

namespace hourglass {
namespace {

using Decoder = detail::JxlDecoderPointer;
using detail::start_jxl_decoder;

// As the file has it, before it is turned upright. Nothing where the bytes do not reach so far.
std::optional<JxlBasicInfo> find_info(std::span<const uint8_t> bytes) {
  const Decoder decoder = start_jxl_decoder(bytes, JXL_DEC_BASIC_INFO);
  JxlDecoderSetKeepOrientation(decoder.get(), JXL_TRUE);
  JxlBasicInfo info;
  if (JxlDecoderProcessInput(decoder.get()) != JXL_DEC_BASIC_INFO ||
      JxlDecoderGetBasicInfo(decoder.get(), &info) != JXL_DEC_SUCCESS)
    return {};
  return info;
}

// No more than the machine has and the process may take.
std::size_t most_memory() {
  const int64_t pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
  std::size_t most = pages > 0 && page > 0 ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(page)
                                           : std::numeric_limits<std::size_t>::max();
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    most = std::min(most, static_cast<std::size_t>(limit.rlim_cur));
  }
  return most;
}

// libjxl 0.7 ends the process where it gets no memory, so it is asked for none that can't be had: it holds a plane of
// floats and often a second one for each channel of the file, whether that is read or not, beside what it writes to.
void refuse_what_does_not_fit(const JxlBasicInfo& info, std::size_t memory_limit) {
  constexpr uint32_t kMostExtra = 8;  // alpha, depth, and what else a camera may add
  if (info.num_extra_channels > kMostExtra)
    fail("has {} channels beside its colours, and no more than {} can be read", info.num_extra_channels, kMostExtra);
  const auto channels = static_cast<int>(info.num_color_channels), extra = static_cast<int>(info.num_extra_channels);
  const int written = (channels + (info.alpha_bits > 0 ? 1 : 0)) * (info.bits_per_sample > 8 ? 2 : 1);  // bytes
  constexpr int kFloat = sizeof(float);
  const int planes = 2 * (channels + extra) + (written + kFloat - 1) / kFloat;
  check_memory(info.xsize, info.ysize, planes, memory_limit > 0 ? memory_limit : most_memory());
}

void refuse_what_is_no_photograph(const JxlBasicInfo& info, std::size_t memory_limit) {
  const int64_t width = info.xsize, height = info.ysize;
  if (width < 1 || height < 1 || width > kMaxPixels / height)
    fail("is {}x{}, and no more than {} pixels can be read", width, height, kMaxPixels);
  if (info.have_animation != JXL_FALSE) fail("is an animation, and only stills can be read");
  if (info.num_color_channels != 1 && info.num_color_channels != 3)
    fail("has {} colour channels, and only gray and RGB can be read", info.num_color_channels);
  refuse_what_does_not_fit(info, memory_limit);
}

// What the pixels mean, where that is no sRGB.
std::vector<uint8_t> profile_in(JxlDecoder* decoder) {
  JxlColorEncoding encoding;
#if JPEGXL_NUMERIC_VERSION < JPEGXL_COMPUTE_NUMERIC_VERSION(0, 9, 0)
  const auto encoding_in = [&](JxlColorEncoding* to) {
    return JxlDecoderGetColorAsEncodedProfile(decoder, nullptr, JXL_COLOR_PROFILE_TARGET_DATA, to);
  };
  const auto size_in = [&](size_t* to) {
    return JxlDecoderGetICCProfileSize(decoder, nullptr, JXL_COLOR_PROFILE_TARGET_DATA, to);
  };
  const auto bytes_in = [&](std::vector<uint8_t>& to) {
    return JxlDecoderGetColorAsICCProfile(decoder, nullptr, JXL_COLOR_PROFILE_TARGET_DATA, to.data(), to.size());
  };
#else
  const auto encoding_in = [&](JxlColorEncoding* to) {
    return JxlDecoderGetColorAsEncodedProfile(decoder, JXL_COLOR_PROFILE_TARGET_DATA, to);
  };
  const auto size_in = [&](size_t* to) {
    return JxlDecoderGetICCProfileSize(decoder, JXL_COLOR_PROFILE_TARGET_DATA, to);
  };
  const auto bytes_in = [&](std::vector<uint8_t>& to) {
    return JxlDecoderGetColorAsICCProfile(decoder, JXL_COLOR_PROFILE_TARGET_DATA, to.data(), to.size());
  };
#endif
  const bool is_srgb = encoding_in(&encoding) == JXL_DEC_SUCCESS &&
                       encoding.transfer_function == JXL_TRANSFER_FUNCTION_SRGB &&
                       encoding.white_point == JXL_WHITE_POINT_D65 &&
                       (encoding.color_space == JXL_COLOR_SPACE_GRAY ||
                        (encoding.color_space == JXL_COLOR_SPACE_RGB && encoding.primaries == JXL_PRIMARIES_SRGB));
  size_t size = 0;
  if (is_srgb || size_in(&size) != JXL_DEC_SUCCESS) return {};
  std::vector<uint8_t> profile(size);
  if (bytes_in(profile) != JXL_DEC_SUCCESS) profile.clear();
  return profile;
}

void refuse_black(JxlDecoder* decoder, const JxlBasicInfo& info) {
  for (uint32_t i = 0; i < info.num_extra_channels; ++i) {
    JxlExtraChannelInfo channel;
    if (JxlDecoderGetExtraChannelInfo(decoder, i, &channel) == JXL_DEC_SUCCESS && channel.type == JXL_CHANNEL_BLACK)
      fail("is CMYK, and only gray and RGB can be read");
  }
}

struct Pixels {
  int channels = 0;  // with alpha, where there is one
  bool wide = false;
  std::vector<uint8_t> bytes;  // interleaved, in words of the machine where wide
};

int code_at(const Pixels& pixels, std::size_t i) {
  if (!pixels.wide) return pixels.bytes[i];
  uint16_t word = 0;
  std::copy_n(pixels.bytes.data() + 2 * i, 2, reinterpret_cast<uint8_t*>(&word));
  return word;
}

Image image_of(const Pixels& pixels, int64_t width, int64_t height, int channels) {
  Image image(width, height, channels);
  const int most = pixels.wide ? 65535 : 255;
  const int64_t count = image.plane_size();
  for (int c = 0; c < pixels.channels; ++c) {
    for (int64_t i = 0; i < count; ++i) {
      const int code = code_at(pixels, static_cast<std::size_t>(i * pixels.channels + c));
      if (c < channels) {
        image.plane(c)[i] = static_cast<float>(code) / static_cast<float>(most);
      } else if (code != most) {
        fail("has transparent pixels, which a photograph has not: flatten it first");
      }
    }
  }
  return image;
}

}  // namespace

DecodedImage decode_jxl(std::span<const uint8_t> bytes, std::size_t memory_limit) {
  constexpr const char* kDamaged = "the JPEG XL is truncated or damaged";
  const std::optional<JxlBasicInfo> info = find_info(bytes);
  if (!info) fail("{}", kDamaged);
  refuse_what_is_no_photograph(*info, memory_limit);

  DecodedImage decoded;
  decoded.format = ImageFormat::jxl;
  decoded.metadata = detail::read_metadata_boxes(bytes, decoded.warnings);
  const int stated = exif_orientation(decoded.metadata.exif);
  const bool as_stored = stated == static_cast<int>(info->orientation);
  if (!as_stored && stated != 1) {
    decoded.metadata.exif.clear();
    decoded.warnings.emplace_back("its EXIF block states another orientation than the picture, and is left out");
  }
  const Decoder decoder = start_jxl_decoder(bytes, JXL_DEC_BASIC_INFO | JXL_DEC_COLOR_ENCODING | JXL_DEC_FULL_IMAGE);
  JxlDecoderCloseInput(decoder.get());
  JxlDecoderSetKeepOrientation(decoder.get(), as_stored ? JXL_TRUE : JXL_FALSE);
  JxlDecoderSetParallelRunner(decoder.get(), detail::run_jxl_in_parallel, nullptr);
  JxlBasicInfo shown{};
  Pixels pixels;
  pixels.wide = info->bits_per_sample > 8;
  const int channels = static_cast<int>(info->num_color_channels);
  pixels.channels = channels + (info->alpha_bits > 0 ? 1 : 0);
  const JxlPixelFormat format{.num_channels = static_cast<uint32_t>(pixels.channels),
                              .data_type = pixels.wide ? JXL_TYPE_UINT16 : JXL_TYPE_UINT8,
                              .endianness = JXL_NATIVE_ENDIAN,
                              .align = 0};
  for (JxlDecoderStatus status = JXL_DEC_BASIC_INFO; status != JXL_DEC_FULL_IMAGE;) {
    status = JxlDecoderProcessInput(decoder.get());
    if (status == JXL_DEC_BASIC_INFO) {
      JxlDecoderGetBasicInfo(decoder.get(), &shown);
      refuse_black(decoder.get(), shown);
    } else if (status == JXL_DEC_COLOR_ENCODING) {
      decoded.metadata.icc_profile = profile_in(decoder.get());
    } else if (status == JXL_DEC_NEED_IMAGE_OUT_BUFFER) {
      size_t size = 0;
      if (JxlDecoderImageOutBufferSize(decoder.get(), &format, &size) != JXL_DEC_SUCCESS) fail("{}", kDamaged);
      pixels.bytes.resize(size);
      if (JxlDecoderSetImageOutBuffer(decoder.get(), &format, pixels.bytes.data(), size) != JXL_DEC_SUCCESS)
        fail("{}", kDamaged);
    } else if (status != JXL_DEC_FULL_IMAGE) {
      fail("{}", kDamaged);
    }
  }
  decoded.bit_depth = pixels.wide ? 16 : 8;
  decoded.image = image_of(pixels, shown.xsize, shown.ysize, channels);
  return decoded;
}

Metadata read_jxl_metadata(std::span<const uint8_t> bytes) {
  std::vector<std::string> ignored;
  return detail::read_metadata_boxes(bytes, ignored);
}

JxlSize read_jxl_size(std::span<const uint8_t> bytes) {
  const std::optional<JxlBasicInfo> info = find_info(bytes);
  return info ? JxlSize{.width = info->xsize, .height = info->ysize} : JxlSize();
}

}  // namespace hourglass
