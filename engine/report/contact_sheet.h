// Several pictures on one sheet, each with a caption.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/image/image.h"
#include "engine/report/theme.h"

namespace hourglass {

struct Panel {
  Image image;
  std::string title;   // bold
  std::string detail;  // below it
};

// Left to right, row by row, in as many columns as make the sheet about as wide as a page. All panels get the same
// room; an image is shown pixel by pixel where it fits, small ones enlarged by a whole number. The note stands small
// below the title. Throws Error without panels.
Image contact_sheet(std::span<const Panel> panels, const std::string& title, const std::string& note,
                    const Theme& theme = kLight);

// The image, made smaller where its longer side exceeds `longest` pixels. RGB.
Image thumbnail(const Image& image, int64_t longest);

}  // namespace hourglass
