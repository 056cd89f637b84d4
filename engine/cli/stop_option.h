// --stop RULE and what goes with it.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "engine/train/stopping.h"

namespace hourglass::cli {

struct StopArguments {
  std::string rule = "auto";
  double at = 0;  // for iteration and energy
  StoppingOptions options;
};

void add_stop_options(CLI::App& command, StopArguments& arguments);

// Throws Error when the rule lacks its --stop-at, or the rule can't be had: `has_discrepancy` says whether the input
// states its own error.
StoppingOptions resolve_stop(const StopArguments& arguments, bool has_discrepancy);

}  // namespace hourglass::cli
