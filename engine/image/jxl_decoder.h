// Internal to engine/image: libjxl's decoder, as its owner and as it starts.
#pragma once

#include <jxl/decode.h>

#include <cstdint>
#include <memory>
#include <span>

#include "graph/error.h"

namespace hourglass::detail {

struct DestroyJxlDecoder {
  void operator()(JxlDecoder* decoder) const { JxlDecoderDestroy(decoder); }
};
using JxlDecoderPointer = std::unique_ptr<JxlDecoder, DestroyJxlDecoder>;

// The bytes must live as long as it does.
inline JxlDecoderPointer start_jxl_decoder(std::span<const uint8_t> bytes, int events) {
  JxlDecoderPointer decoder(JxlDecoderCreate(nullptr));
  if (decoder == nullptr || JxlDecoderSubscribeEvents(decoder.get(), events) != JXL_DEC_SUCCESS ||
      JxlDecoderSetInput(decoder.get(), bytes.data(), bytes.size()) != JXL_DEC_SUCCESS)
    fail("libjxl cannot start");
  return decoder;
}

}  // namespace hourglass::detail
