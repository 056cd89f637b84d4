// What the commands that fit a network have in common on the command line: restore, denoise, inpaint, upscale.
//
//   FitArguments& a = ...;               // with the command's own defaults in place
//   add_fit_options(*command, a, {...});
//   ... run_task(a, {...});              // engine/cli/run_task.h
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/cli/stop_option.h"
#include "engine/restore/restore.h"
#include "engine/train/archive.h"

namespace hourglass::cli {

struct FitArguments {
  std::string input, output, model = "small", reference, history, report, profile, precision = "auto",
                             schedule = "cosine", optimize = "net", network_input = "noise", distribution = "uniform";
  RestoreOptions options;             // what the texts above say is resolved into it by run_task()
  std::optional<double> input_noise;  // absent: the command's own default
  std::optional<int> bit_depth;       // absent: the input's
  std::optional<int> at_once;         // absent: as a short timing finds best
  StopArguments stop;
  std::string checkpoint, resume;  // absent: beside the output; none
  double checkpoint_every = 60;    // seconds
  bool force = false, quiet = false, verbose = false, json = false;

  // Set while the command line is read.
  const CLI::App* command = nullptr;
  std::optional<Archive> resumed;  // what --resume names
};

// Where the commands' help differs.
struct FitHelp {
  std::string input;                // what INPUT is
  std::string suffix;               // of the default output
  std::string input_noise_default;  // in words
};

// Declares the input, the output and every shared option. With --resume, the settings that the command line leaves open
// are those of the checkpoint once it is read.
void add_fit_options(CLI::App& command, FitArguments& arguments, const FitHelp& help);

// The options whose values were left to the task, to the machine or to "auto": names, and the values that the run has.
// Once run_task() has resolved them.
std::vector<std::pair<std::string, std::string>> values_in_force(const FitArguments& arguments);

// CLI11's range checks let NaN and infinity pass, and speak of 1.8e308: validators that do not.
CLI::Validator finite();
CLI::Validator positive();
CLI::Validator non_negative();
// A whole number that an uint64_t holds: CLI11 takes -1 for the largest.
CLI::Validator whole_number();
// For transform(): "800M", "1.5G" or a number of bytes, as bytes.
CLI::Validator memory_size();

}  // namespace hourglass::cli
