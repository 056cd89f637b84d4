// What of a photograph's metadata a JPEG has no place for, for whoever writes one to say.
#pragma once

#include <string>
#include <vector>

#include "engine/image/metadata.h"

namespace hourglass {

// Each in words that follow the file's name: "its XMP of 70000 bytes is too long ...". encode_jpeg() leaves the texts
// among it out, and refuses such an EXIF block.
std::vector<std::string> lost_in_jpeg(const Metadata& metadata);

}  // namespace hourglass
