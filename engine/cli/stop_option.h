// --stop RULE and what goes with it.
#pragma once

#include <optional>
#include <string>

#include "engine/cli/command_line.h"
#include "engine/train/stopping.h"

namespace hourglass::cli {

struct StopArguments {
  std::string rule = "auto";
  std::optional<double> at;  // for iteration and energy
  StoppingOptions options;
};

void add_stop_options(Command& command, StopArguments& arguments);

// Throws Error when the rule lacks its --stop-at, or the rule can't be had: `has_discrepancy` says whether the input
// states its own error.
StoppingOptions resolve_stop(const StopArguments& arguments, bool has_discrepancy);

}  // namespace hourglass::cli
