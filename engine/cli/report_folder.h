// --report of a run of several files: a folder in which each has its page, in the place of its result, and an index of
// them (report_index.h).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/cli/input_files.h"

namespace hourglass::cli {

class ReportFolder {
 public:
  // An empty folder: no reports are wanted. Throws Error where two files would have one page, and where something else
  // stands in a page's place, or the folder's, and is not to be replaced.
  ReportFolder(std::string folder, const std::vector<InputFile>& files, bool replace);
  // The folder, where it is not there. Throws Error where that can't be.
  void make() const;

  [[nodiscard]] bool is_wanted() const { return !folder_.empty(); }
  // Relative to the folder.
  static std::string page_of(const InputFile& file) { return file.place + ".html"; }
  [[nodiscard]] std::string path_of(const InputFile& file) const;
  // Whether the file needs no page, or has one.
  [[nodiscard]] bool is_done(const InputFile& file) const;
  // `failures`: of files, by their index, and what became of them.
  void write_index(const std::vector<InputFile>& files,
                   const std::vector<std::pair<std::size_t, std::string>>& failures) const;

 private:
  std::string folder_;
};

}  // namespace hourglass::cli
