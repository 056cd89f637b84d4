#include "engine/cli/many_files.h"

#include <fmt/core.h>

#include <filesystem>

#include "engine/cli/file_by_file.h"
#include "engine/cli/settings.h"
#include "engine/image/file.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

namespace fs = std::filesystem;

// What options are about one file alone.
constexpr const char* kOfOneFile[] = {"reference", "history",    "save-network", "network-input",
                                      "profile",   "checkpoint", "resume"};

InputRule rule_of(const ManyArguments& arguments, const ManyRun& run) {
  InputRule rule = run.rule;
  rule.suffix = fs::path(rule.suffix).replace_extension("." + arguments.format).string();
  return rule;
}

void check_inputs(const ManyArguments& arguments, const ManyRun& run) {
  const InputArguments& files = arguments.files;
  if (files.inputs.empty() && files.files_from.empty()) {
    throw UsageError(fmt::format("INPUT is required\nTry 'hourglass {} --help'.", run.line.name));
  }
  check_input_options(files);
}

}  // namespace

void add_many_options(Command& command, ManyArguments& a) {
  Option& input = command.option("INPUT");
  input.target = &a.files.inputs;
  input.help += "; several, or folders with -r";
  input.required = false;
  Option& report = command.option("report");
  report.takes = "FILE|FOLDER";
  report.help += "; of several files a folder, with a page for each and an index";
  const std::string heading = kManyFilesHeading;
  add_input_options(command, a.files, heading);
  command.add({{.names = "--output-dir",
                .takes = "FOLDER",
                .target = &a.files.output_dir,
                .help = "Where the results go, each in the place that its input has in its folder (default: beside it)",
                .heading = heading,
                .common = true},
               {.names = "--format",
                .target = &a.format,
                .help = "Of the results: png, jxl (JPEG XL, lossless too), or jpg of --quality",
                .checks = {one_of({"png", "jpg", "jxl"})},
                .heading = heading},
               {.names = "--jobs",
                .target = &a.jobs,
                .help = "How many files at once, each with --threads (default: as many as CPUs and memory allow); the "
                        "results are the same",
                .checks = {range(1, 4096)},
                .heading = heading},
               {.names = "--shard",
                .takes = "PART/PARTS",
                .target = &a.files.shard,
                .help = "2/8: the second of eight parts of the files, about equal in pixels, for as many machines; "
                        "'hourglass report' writes the index of their pages",
                .heading = heading},
               {.names = "--manifest",
                .takes = "FILE",
                .target = &a.manifest,
                .help = "A file to which a JSON object is added for each file as it ends: input, SHA-256, output, "
                        "seconds, what was measured, warnings, or the error",
                .heading = heading}});
}

ExitCode ManyRun::run() const { return run_one(take_up(line, fit)); }

ExitCode run_files(const ManyArguments& arguments, const ManyRun& run) {
  check_inputs(arguments, run);
  if (arguments.files.one_file()) {
    if (arguments.jobs || !arguments.manifest.empty()) {
      fail("--{}: belongs to several inputs, a folder or --output-dir", arguments.jobs ? "jobs" : "manifest");
    }
    run.fit.input = arguments.files.inputs[0];
    if (run.line.given("output") && run.line.given("format")) {
      fail("--format {}: -o says it by its ending: leave out one of the two", arguments.format);
    }
    if (arguments.format != "png" && is_stream(run.fit.input)) {
      fail("--format {}: what is made of standard input goes to standard output as a PNG: name a file by -o",
           arguments.format);
    }
    if (arguments.format != "png") {
      run.fit.output = fs::path(run.fit.input).replace_extension(rule_of(arguments, run).suffix).string();
    }
    return run.run();
  }
  if (run.line.given("output")) {
    fail("-o names one file, and there may be several: name a folder by --output-dir, or leave it out");
  }
  for (const char* name : kOfOneFile) {
    if (run.line.given(name)) fail("--{}: is about one file, and there may be several", name);
  }
  if (run.fit.quality && arguments.format != "jpg") fail("--quality: belongs to --format jpg");
  return run_file_by_file(arguments, run, find_input_files(arguments.files, rule_of(arguments, run)));
}

}  // namespace hourglass::cli
