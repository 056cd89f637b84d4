// What the commands that fit a network have in common on the command line: restore, denoise, inpaint, upscale.
//
//   FitArguments& a = ...;               // with the command's own defaults in place
//   add_fit_options(*command, a, {...});
//   ... run_task(a, {...});              // engine/cli/run_task.h
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/cli/command_line.h"
#include "engine/cli/command_text.h"
#include "engine/cli/stop_option.h"
#include "engine/restore/restore.h"
#include "engine/train/archive.h"

namespace hourglass::cli {

struct FitArguments {
  std::string input, output, model = "small", reference, history, report, profile, precision = "auto",
                             schedule = "cosine", optimize = "net", network_input = "noise", distribution = "uniform";
  RestoreOptions options;                // what the texts above say is resolved into it by run_task()
  std::optional<double> input_noise;     // absent: the command's own default
  std::optional<uint64_t> memory_limit;  // bytes; absent: none
  std::optional<int> bit_depth;          // absent: the input's
  std::optional<int> at_once;            // absent: as a short timing finds best
  StopArguments stop;
  std::string checkpoint, resume;  // absent: beside the output; none
  double checkpoint_every = 60;    // seconds
  bool force = false, quiet = false, verbose = false, json = false;

  // Set by take_up().
  const ParsedCommand* command = nullptr;
  std::optional<Archive> resumed;  // what --resume names
};

// Where the commands' help differs.
struct FitHelp {
  std::string input;                // what INPUT is
  std::string suffix;               // of the default output
  std::string input_noise_default;  // in words
};

// Declares the input, the output and every shared option.
void add_fit_options(Command& command, FitArguments& arguments, const FitHelp& help);

// The first thing that a command's run() does. With --resume, the settings that the command line leaves open become
// those of the checkpoint. Throws Error. The command must outlive the arguments.
void take_up(ParsedCommand& command, FitArguments& arguments);

// The options whose values were left to the task, to the machine or to "auto": names, and the values that the run has.
// Once run_task() has resolved them.
NamedValues values_in_force(const FitArguments& arguments);

}  // namespace hourglass::cli
