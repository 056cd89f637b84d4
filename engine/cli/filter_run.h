// The filter as the user sees it: with its progress, until it ends or a signal comes.
#pragma once

#include "engine/cli/interrupt.h"
#include "engine/cli/outcome.h"
#include "engine/cli/progress.h"
#include "engine/cli/run_request.h"

namespace hourglass::cli {

// The options whose values were left to the machine: names, and the values that the filter has.
NamedValues values_of_filter(const RunRequest& request);

// What Task::filter() makes, whether it is all that is asked for or what comes before a fit. The record is that of
// --method filter. The task must have a filter.
Outcome run_filter(const RunRequest& request, Progress& progress, const InterruptGuard& interrupt);

}  // namespace hourglass::cli
