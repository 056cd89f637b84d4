// Internal to engine/report: what its pages have in common.
#pragma once

#include <fmt/core.h>

#include <iterator>
#include <string>
#include <string_view>

#include "engine/report/html_report.h"

namespace hourglass::detail {

// Appends to a page. What comes from outside goes through escape_html() first.
class Page {
 public:
  template <typename... Args>
  void raw(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(html_), format, std::forward<Args>(args)...);
  }
  void verbatim(std::string_view html) { html_ += html; }
  [[nodiscard]] std::string take() { return std::move(html_); }

 private:
  std::string html_;
};

std::string data_uri(const std::string& mime, std::span<const uint8_t> bytes);
inline std::string data_uri(const Picture& picture) { return data_uri(picture.mime, picture.bytes); }

// A page's summary (find_summary() of html_report.h), for its head.
std::string summary_element(const std::string& json);

// Up to the title, which goes into it. What `more` holds stands in the head too, verbatim.
void add_head(Page& page, const std::string& title, std::string_view more);
// The script, an embedded file, and the end.
void add_end(Page& page, const std::string& footer, std::string_view script);

}  // namespace hourglass::detail
