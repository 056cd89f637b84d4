// Several inputs in one run: each is done by a process of its own (child_process.h), some of them side by side.
//
// A result stands under its name once it is whole, and the same command, given again after whatever has ended it, goes
// on: what is there already and was made of the same input with the same settings, as the PNG's text says, is kept
// (earlier_result.h). A file that can't be done, or a folder below that can't be read, is named, and the rest goes on;
// a full disk ends the run.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "engine/cli/command_line.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/fit_options.h"
#include "engine/cli/input_files.h"

namespace hourglass::cli {

struct ManyArguments {
  InputArguments files;
  std::optional<int> jobs;     // how many at once; absent: as CPUs and memory allow
  std::string manifest;        // file of JSON lines; empty: none
  std::string format = "png";  // of the results: png, jpg or jxl
};

// Lets a command of fit_options.h take several inputs in the place of one.
void add_many_options(Command& command, ManyArguments& arguments);

struct ManyRun {
  ParsedCommand& line;
  FitArguments& fit;  // the targets of the command's options
  InputRule rule;     // its suffix is that of the command's outputs
  std::string verb;   // "restored"
  // The line as run_one() settles it for such an input, with all choices made; none: as it is.
  std::function<ParsedCommand(ImageFormat)> settled = {};
  std::function<ExitCode(const FitCall&)> run_one = {};  // the command, for the input and the output in `fit`

  // run_one() with what is taken up.
  [[nodiscard]] ExitCode run() const;
};

// The command, for what the arguments name: for a single file as ever, for several one after the other. Throws Error
// where that can't begin.
ExitCode run_files(const ManyArguments& arguments, const ManyRun& run);

}  // namespace hourglass::cli
