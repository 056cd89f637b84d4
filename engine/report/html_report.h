// The page that shows a run: one self-contained HTML file that needs no network. While the run goes on it looks at
// itself again every few seconds.
//
//   ReportPage page;  ...;
//   write_file_atomically("report.html", bytes_of(to_html(page)), true);
//
// All texts are escaped here; none need be fit for HTML. Parts that are empty are left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/report/chart.h"

namespace hourglass {

// A picture as a PNG or JPEG file in memory.
struct Picture {
  std::string mime = "image/png";
  std::vector<uint8_t> bytes = {};
  int64_t width = 0, height = 0;
};

struct CaptionedPicture {
  Picture picture;
  std::string title, caption;
  bool blocks = false;  // each pixel stands for a block: enlarged as squares
};

struct PlotInReport {
  Figure figure;
  std::string alternative;  // what it shows, in words
};

struct Progressing {
  int64_t done = 0, total = 0;
  std::string left;          // "2 min left"
  double every_seconds = 4;  // how often the page is written
  int64_t written_at = 0;    // seconds since 1970
};

using Table = std::vector<std::pair<std::string, std::string>>;

struct ReportPage {
  std::string title = {};                          // the input's name
  std::string lead = {};                           // what was done, in a sentence
  std::vector<std::string> remarks = {};           // what came of it, for somebody who knows no decibel
  std::string result = {};                         // the path of the result's file; a link where it is absolute
  std::optional<Progressing> progressing = {};     // absent when the run has ended
  Table facts = {};                                // the numbers that matter
  Table explanations = {};                         // of the words in them: a question, and the answer behind it
  std::optional<Picture> before = {}, after = {};  // of the same size
  std::optional<Picture> original = {};            // of that size too, to be seen in the place of `before`
  std::string before_name = "before", after_name = "after";
  std::vector<CaptionedPicture> maps = {}, snapshots = {}, lesson = {};
  std::vector<PlotInReport> plots = {};
  std::string comparison_note = {};                             // of how the two are shown
  Table changed = {}, settings = {}, machine = {};              // settings: those that were asked for, and the others
  std::vector<std::pair<std::string, double>> op_seconds = {};  // of one iteration, slowest first
  std::string command = {};                                     // repeats the run, as a shell reads it
  std::string command_note = {};
  std::string footer = {};
  std::string summary = {};  // JSON for programs, of what an index shows of the run; not shown here
};

std::string to_html(const ReportPage& page);
// The summary of a page, which stands in its first part: that of kSummaryWithin bytes is enough of the page.
std::optional<std::string> find_summary(std::string_view html);
inline constexpr std::size_t kSummaryWithin = std::size_t{1} << 18;

}  // namespace hourglass
