// What the commands that fit a network have in common on the command line: restore, denoise, inpaint, upscale,
// experiment.
//
//   FitArguments& a = ...;               // with the command's own defaults in place
//   add_fit_options(command, a, {...});
//   command.run = [&a](ParsedCommand& line) {
//     const FitCall call = take_up(line, a);
//     return run_task(a, call, {...});   // engine/cli/run_task.h
//   };
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/cli/command_line.h"
#include "engine/cli/stop_option.h"
#include "engine/train/archive.h"

namespace hourglass::cli {

// As it was said; resolve() (engine/cli/fit_request.h) knows what it means.
inline constexpr int kUsualQuality = 95;
inline constexpr double kUsualRate = 0.01;
inline constexpr int64_t kLeastUsualTile = 256;  // of --tile

struct FitArguments {
  std::string input, output, model = "small", model_output, weights = "file", freeze, reference, history, save_network,
                             save_input, report, profile, precision = "auto", schedule = "cosine", optimize = "net",
                             network_input = "noise", distribution = "uniform";
  int64_t iterations = 1000;
  int runs = 1, threads = 0;            // 0: all
  std::string bind = "none";            // see placement.h
  std::optional<double> learning_rate;  // absent: kUsualRate, or less where an ONNX file's network needs it
  uint64_t seed = 0;
  std::optional<double> input_noise;     // absent: the command's own default
  std::optional<uint64_t> memory_limit;  // bytes; absent: none
  std::optional<int> bit_depth;          // absent: the input's
  std::optional<int> quality;            // of a JPEG, libjpeg's scale; absent: kUsualQuality
  std::optional<int> at_once;            // absent: as a short timing finds best
  std::optional<int64_t> tile_side;      // pixels, 0: as a whole; absent: as memory allows
  StopArguments stop;
  std::string checkpoint, resume;  // absent: beside the output; none
  double checkpoint_every = 60;    // seconds
  bool force = false, quiet = false, json = false;
  // The output is written once, at the end, and not at all by a run that is ended early: of one of several files.
  bool final_only = false;
  bool keep_times = false;  // the output's time of change is the input's
  int verbose = 0;          // 1: the plan; 2: also the kernels that declined

  // In fit_options.cpp: every command has and copies them.
  FitArguments();
  FitArguments(const FitArguments& other);
  FitArguments& operator=(const FitArguments& other);
  ~FitArguments();
};

// Where the commands' help differs.
struct FitHelp {
  std::string input;                // what INPUT is
  std::string suffix;               // of the default output
  std::string input_noise_default;  // in words
};

// Declares the input, the output and every shared option.
void add_fit_options(Command& command, FitArguments& arguments, const FitHelp& help);

// Puts the options that belong to one --method under headings of their own in --help, so that one sees what chooses it.
void put_methods_apart(Command& command);

// How a fitting command was called.
struct FitCall {
  const ParsedCommand& line;
  std::string resumed_from;          // --resume's file
  std::unique_ptr<Archive> resumed;  // what is in it; once it has been taken up, without what is deferred
};

// Reads what --resume names. The settings that the command line leaves open become those of the checkpoint: in the
// options' targets, and in the line, which must outlive the call. The first thing that a command does. Throws Error.
FitCall take_up(ParsedCommand& line, const FitArguments& arguments);

}  // namespace hourglass::cli
