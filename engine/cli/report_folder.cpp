#include "engine/cli/report_folder.h"

#include <fmt/core.h>

#include <filesystem>
#include <map>
#include <system_error>

#include "engine/cli/report_index.h"
#include "engine/image/file.h"
#include "graph/error.h"

namespace hourglass::cli {

namespace fs = std::filesystem;

ReportFolder::ReportFolder(std::string folder, const std::vector<InputFile>& files, bool replace)
    : folder_(std::move(folder)) {
  if (folder_.empty()) return;
  std::error_code ignored;
  if (fs::exists(folder_, ignored) && !fs::is_directory(folder_, ignored)) {
    fail("--report {}: is a file, and of several inputs it is a folder that gets a page for each, and an index",
         folder_);
  }
  std::map<std::string, std::string> pages{{"index.html", "the index"}};
  for (const InputFile& file : files) {
    const auto [other, is_new] = pages.emplace(page_of(file), file.path);
    if (!is_new)
      fail("--report {}: {} and {} would have one page, {}", folder_, other->second, file.path, page_of(file));
  }
  for (const auto& [page, input] : pages) {
    const std::string path = (fs::path(folder_) / page).string();
    if (!replace && fs::exists(path, ignored) && !is_report(path))
      fail("{}: exists already; --force replaces it", path);
  }
}

void ReportFolder::make() const {
  if (is_wanted()) make_folders(folder_);
}

std::string ReportFolder::path_of(const InputFile& file) const { return (fs::path(folder_) / page_of(file)).string(); }

bool ReportFolder::is_done(const InputFile& file) const { return folder_.empty() || is_report(path_of(file)); }

void ReportFolder::write_index(const std::vector<InputFile>& files,
                               const std::vector<std::pair<std::size_t, std::string>>& failures) const {
  if (folder_.empty()) return;
  std::vector<ReportedFile> pages;
  for (const InputFile& file : files) pages.push_back({.name = file.path, .page = page_of(file), .failure = {}});
  for (const auto& [i, message] : failures) pages[i].failure = message;
  write_report_index(folder_, pages);
}

}  // namespace hourglass::cli
