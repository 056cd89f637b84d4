// restore --method learn as the user sees it: the filter, whose result comes first, then the lesson, with their
// progress, until they end or a signal comes.
#pragma once

#include "engine/cli/fit_options.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/outcome.h"
#include "engine/cli/progress.h"
#include "engine/cli/run_request.h"

namespace hourglass::cli {

// The options whose values were left to the machine.
NamedValues values_of_learn(const RunRequest& request, const FitArguments& arguments);

// Writes the filter's result on the way, where the output can be written twice. `wrote` says whether it has.
Outcome run_learn(const RunRequest& request, const FitArguments& fit, Progress& progress,
                  const InterruptGuard& interrupt, bool& wrote);

}  // namespace hourglass::cli
