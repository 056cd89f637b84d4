// A photograph as a page holds it: a PNG, exact, or above a few megapixels a JPEG, so that the page of a large
// photograph stays one that a browser opens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/image/image.h"
#include "engine/report/html_report.h"

namespace hourglass {

// Its width and height are the image's, also where the picture itself was made smaller. The profile says what the
// colours mean; nothing else of a file goes into the page.
Picture page_picture(const Image& image, const std::vector<uint8_t>& icc_profile = {});

// What a page of pictures of so many pixels has to say of that; empty where they are exact.
std::string page_picture_note(int64_t pixels);

}  // namespace hourglass
