// What the commands that fit a network have in common on the command line: restore, denoise, inpaint, upscale.
//
//   FitArguments& a = ...;               // with the command's own defaults in place
//   add_fit_options(*command, a, {...});
//   ... run_task(a, {...});              // engine/cli/run_task.h
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "engine/restore/restore.h"

namespace hourglass::cli {

struct FitArguments {
  std::string input, output, model = "small", reference, history, report, precision = "auto", schedule = "cosine",
                             optimize = "net", network_input = "noise", distribution = "uniform";
  RestoreOptions options;             // what the texts above say is resolved into it by run_task()
  std::optional<double> input_noise;  // absent: the command's own default
  std::optional<int> bit_depth;       // absent: the input's
  bool force = false, quiet = false, verbose = false, json = false;

  // Set while the command line is read.
  const CLI::App* command = nullptr;
};

// Where the commands' help differs.
struct FitHelp {
  std::string input;                // what INPUT is
  std::string suffix;               // of the default output
  std::string input_noise_default;  // in words
};

// Declares the input, the output and every shared option.
void add_fit_options(CLI::App& command, FitArguments& arguments, const FitHelp& help);

// CLI11's range checks let NaN and infinity pass: a validator that does not.
CLI::Validator finite();

}  // namespace hourglass::cli
