// A photograph that was compressed twice: what the first JPEG said of it, as far as the second one lets it show.
//
// A crop or a screenshot of a JPEG that is saved as a JPEG again has blocks of its own grid and steps. Where the first
// steps were the larger ones, the photograph's coefficients on the first grid still gather at their multiples, more
// closely than the second compression's error would have it by chance; so the first file's integers can be told, and
// the photograph can be restored from these, which say more of what was lost. Found are the tables of libjpeg's quality
// scale. The grid and the periodicity of its coefficients are looked for together, as Bianchi and Piva do (Detection of
// Nonaligned Double JPEG Compression Based on Integer Periodicity Maps, IEEE TIFS 2012), here for several frequencies
// of luma.
#pragma once

#include <optional>

#include "engine/image/image.h"
#include "engine/image/jpeg.h"
#include "engine/restore/jpeg_model.h"

namespace hourglass {

struct FirstCompression {
  int64_t y = 0, x = 0;  // of the first grid's first whole MCU, in pixels of the second file: up to 14
  int quality = 0;       // on libjpeg's scale
  // What the first file said of the pixels from there on, in whole MCUs: a gray file, of luma alone, where the second
  // is gray or nothing can be told of the first one's chroma.
  JpegCoefficients file;
};

// None where the file shows nothing of it, which is so for all that were compressed once, and for those whose second
// steps are not clearly the smaller ones. Throws Error for sampling that JpegModel does not know.
std::optional<FirstCompression> find_first_compression(const JpegCoefficients& file);

}  // namespace hourglass
