// Texts from outside (file names, error messages) made fit for drawings and pages.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace hourglass {

// The same text with each byte that is not part of well-formed UTF-8 (RFC 3629), and each control character, replaced
// by U+FFFD. Linefeeds stay.
std::string to_utf8(std::string_view text);

// For HTML and XML, as text or in a quoted attribute: to_utf8, with & < > " ' escaped.
std::string escape_html(std::string_view text);

// RFC 4648, padded.
std::string to_base64(std::span<const uint8_t> bytes);

}  // namespace hourglass
