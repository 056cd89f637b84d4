// hourglass report MANIFEST...: what became of the files of one run or of several?
#include <fmt/core.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "engine/cli/command_text.h"
#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/manifest.h"
#include "engine/cli/output.h"
#include "engine/cli/report_index.h"
#include "engine/image/file.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

struct ReportOptions {
  std::vector<std::string> manifests;
  std::string output, index;
  bool json = false, force = false;
};

constexpr const char* kReportFooter =
    R"(Reads what --manifest of 'restore', 'denoise' and 'upscale' has written, of runs that shared the files out (--shard) or
that came one after the other, and says how many files there were and what failed. A file of which several lines tell has
a result where one of them says so. Exit code 3: some failed.

Examples:
  hourglass restore -r photos --output-dir restored --shard 1/2 --manifest 1.jsonl --report pages      on one machine
  hourglass restore -r photos --output-dir restored --shard 2/2 --manifest 2.jsonl --report pages      on another
  hourglass report 1.jsonl 2.jsonl -o all.jsonl --index pages                                          at the end)";

void check_index(const std::string& folder, bool replace) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) fail("--index {}: is no folder of --report", folder);
  const std::string index = (std::filesystem::path(folder) / "index.html").string();
  if (!replace && std::filesystem::exists(index, ignored) && !is_report(index))
    fail("{}: exists already, and is no index of reports; --force replaces it", index);
}

void write_index(const std::string& folder, const std::vector<Json>& files) {
  std::vector<ReportedFile> pages;
  for (const Json& file : files) {
    if (is_of_folder(file)) continue;
    pages.push_back({.name = text_of(file, "input"), .page = text_of(file, "page"), .failure = text_of(file, "error")});
  }
  write_report_index(folder, pages);
}

ExitCode run(const ReportOptions& options) {
  if (options.force && options.output.empty() && options.index.empty()) fail("--force: belongs to -o or --index");
  if (!options.output.empty()) check_writable(options.output, options.force);
  if (!options.index.empty()) check_index(options.index, options.force);
  std::vector<Json> objects;
  for (const std::string& path : options.manifests) {
    ManifestLines lines = read_manifest(path);
    if (lines.broken > 0) {
      warn(fmt::format("{}: {} left out, which a break has cut off", path, counted(lines.broken, "line")));
    }
    objects.insert(objects.end(), lines.objects.begin(), lines.objects.end());
  }
  const std::vector<Json> files = merge_manifests(objects);
  int64_t failed = 0, folders = 0;
  std::string text;
  for (const Json& file : files) {
    text += file.text() + "\n";
    if (text_of(file, "status") != kFailed) continue;
    ++(is_of_folder(file) ? folders : failed);
    if (!options.json) print_message(stderr, "failed: " + text_of(file, "error"));
  }
  if (!options.output.empty()) write_file_atomically(options.output, bytes_of(text), options.force);
  if (!options.index.empty()) write_index(options.index, files);
  const int64_t count = static_cast<int64_t>(files.size()) - folders;
  if (options.json) {
    const Json counts{{"files", count}, {"done", count - failed}, {"failed", failed}, {"unreadable_folders", folders}};
    print_to(stdout, result_object(counts).text() + "\n");
  } else {
    const std::string unreadable =
        folders > 0 ? fmt::format(", {} unreadable", counted(folders, "folder")) : std::string();
    print_to(stdout,
             fmt::format("{}: {} done, {} failed{}\n", counted(count, "file"), count - failed, failed, unreadable));
  }
  return failed + folders > 0 ? ExitCode::some_failed : ExitCode::ok;
}

}  // namespace

Command report_command() {
  const auto options = std::make_shared<ReportOptions>();
  Command command{
      .name = "report", .help = "Put together what runs of several files have recorded", .footer = kReportFooter};
  command.add({{.names = "MANIFEST",
                .takes = "FILE",
                .target = &options->manifests,
                .help = "Files that --manifest has written",
                .required = true},
               {.names = "-o,--output",
                .takes = "FILE",
                .target = &options->output,
                .help = "One manifest to write, with a line for each file"},
               {.names = "--index",
                .takes = "FOLDER",
                .target = &options->index,
                .help = "The folder of --report in which to write the index of all pages"},
               {.names = "--json",
                .target = &options->json,
                .help = "One JSON object: files, done, failed, unreadable_folders"},
               {.names = "--force",
                .target = &options->force,
                .help = "Replace the file of -o that is there, and what stands in the index's place"}});
  command.run = [options](ParsedCommand&) { return run(*options); };
  return command;
}

}  // namespace hourglass::cli
