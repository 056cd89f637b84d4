// How a photograph's pixels lie in its file, and how it is to be seen: EXIF's orientation, 1 (upright) to 8.
//
// The pixels of what is restored are never turned (see metadata.h); another file of the same photograph may lie
// otherwise, though, and is turned before the two are compared.
#pragma once

#include "engine/image/image.h"
#include "engine/image/metadata.h"

namespace hourglass {

// The image as it is to be seen.
Image upright(const Image& image, int orientation);

// Turns an image from a file with the metadata `own` so that its pixels lie as those of a file with the metadata
// `other` do. Whether that changed anything.
bool turn_like(Image& image, const Metadata& own, const Metadata& other);

}  // namespace hourglass
