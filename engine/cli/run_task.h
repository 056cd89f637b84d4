// From a task to the files and words that the user gets: the request, the fit with its progress, the PNG, the history
// and the report. Everything that the fitting commands do alike, once.
#pragma once

#include "engine/cli/exit_code.h"
#include "engine/cli/fit_request.h"

namespace hourglass::cli {

// What can be refused is refused before the fit starts. Throws Error.
ExitCode run_task(const FitArguments& arguments, const FitCall& call, const TaskRun& what);

}  // namespace hourglass::cli
