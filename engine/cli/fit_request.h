// A fit as it is asked for. What the command line says in words (FitArguments) and what the command makes of its input
// (TaskRun) become, once, a FitRequest: every choice made, every file checked. From then on nothing of it changes.
//
//   ResolvedFit fit = resolve(arguments, call, what);
//   ... fit.request.options, std::move(fit.network)
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/cli/checkpoint_file.h"
#include "engine/cli/command_text.h"
#include "engine/cli/fit_options.h"
#include "engine/cli/run_request.h"
#include "engine/restore/network.h"
#include "engine/restore/restoration.h"
#include "engine/restore/restore.h"

namespace hourglass::cli {

struct FitRequest : RunRequest {
  std::string model, history = {}, profile = {}, save_network = {}, save_input = {};  // files; empty: not wanted
  CheckpointOptions checkpoint = {};
  RestoreOptions options = {};
  std::string stop = {};                // the rule, as it was asked for
  std::vector<std::string> notes = {};  // what the importer has to say of the network
  std::string at_once_note = {};        // how `at_once` was chosen, where a timing did
  std::string tiles_note = {};          // that the image is fitted in tiles, and why
  NetworkOf of_tile = {};               // where it is

  [[nodiscard]] bool saves_network() const { return !save_network.empty() || !save_input.empty(); }
};

struct ResolvedFit {
  const FitRequest request;
  Network network;  // bound to the task's baseline, or to its largest tile
};

// Refuses what can be refused before a fit begins. `call` and `what` must outlive the request. Throws Error.
ResolvedFit resolve(const FitArguments& arguments, const FitCall& call, const TaskRun& what);

// The learning rate that is known before the fit of --model, where --learning-rate says `rate`; nothing where a trial
// finds it.
std::optional<double> set_rate(std::optional<double> rate, const std::string& model);

// The options whose values were left to the task, to the machine or to "auto": names, and the values that the run has.
NamedValues values_in_force(const FitRequest& request);

}  // namespace hourglass::cli
