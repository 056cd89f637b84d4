// --report of a run of several files: a folder with a page for each (run_report.h), and an index of them.
#pragma once

#include <string>
#include <vector>

#include "engine/cli/outcome.h"

namespace hourglass::cli {

// What an index shows of a run, as its page holds it: JSON with thumbnails.
std::string summary_of(const RunRequest& request, const Outcome& outcome);

struct ReportedFile {
  std::string name;     // of the input, as it was given
  std::string page;     // relative to the folder; may not be there
  std::string failure;  // empty: none
};

// Whether the file is a page with a summary.
bool is_report(const std::string& path);
// Writes FOLDER/index.html, in the place of an earlier one; of more than a thousand files with fewer and smaller
// pictures. Throws Error where it can't.
void write_report_index(const std::string& folder, const std::vector<ReportedFile>& files);

}  // namespace hourglass::cli
