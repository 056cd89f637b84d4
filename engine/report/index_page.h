// The page that lists the reports of several runs: one self-contained HTML file beside them, with thumbnails, sortable
// by each column. The reports (html_report.h) are linked, not contained.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hourglass {

struct Thumbnail {
  int64_t width = 0, height = 0;
  std::string uri;  // data:image/jpeg;base64,...
};

struct IndexEntry {
  std::string name;                               // of the input
  std::string page;                               // the report's path relative to the index, with '/'; empty: none
  std::string failure;                            // why there is no result; empty where there is one
  int64_t width = 0, height = 0;                  // 0 where nobody knows
  std::optional<double> change_255, seconds;      // rms in grey levels
  std::optional<Thumbnail> whole, before, after;  //  all of the result, and one place of both where most changed
};

struct IndexPage {
  std::string title;
  std::vector<IndexEntry> entries;
  std::string footer;
};

std::string to_html(const IndexPage& index);

// A relative path as a URL has it (RFC 3986): what is no letter, digit, '-', '.', '_', '~' or '/' as %XX.
std::string to_url(const std::string& path);

}  // namespace hourglass
