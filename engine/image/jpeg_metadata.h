// Internal to engine/image: what a JPEG's header says beside the pixels, and how a PNG says the same.
//
//   APP1 EXIF, in one segment or more      -> eXIf
//   APP1 XMP                               -> iTXt "XML:com.adobe.xmp", as Adobe has it
//   APP2 ICC profile                       -> iCCP
//   APP13 Photoshop: IPTC, copyright, URL  -> tEXt "Raw profile type iptc", as ImageMagick writes it and others read it
//   COM                                    -> tEXt or iTXt "Comment"
//   JFIF density                           -> pHYs
#pragma once

#include <string>
#include <vector>

#include "engine/image/jpeg_session.h"
#include "engine/image/metadata.h"

namespace hourglass::detail {

// The other way, a JPEG's text segments hold the same texts again, and any other keyword's as COM "keyword\ntext",
// which is read as such again where the keyword is kRecordKeyword.

struct JpegSegment {
  int marker = 0;
  std::vector<uint8_t> content;  // at most kMaxSegment bytes
};
inline constexpr std::size_t kMaxSegment = 65533;

// Of the texts that a JPEG has a place for; what is longer than a segment is left out, but for Photoshop's block, which
// goes on in the next ones.
std::vector<JpegSegment> text_segments(const Metadata& metadata);

// What is damaged is left out and named in `warnings`.
Metadata read_metadata(JpegReader& reader, std::vector<std::string>& warnings);

}  // namespace hourglass::detail
