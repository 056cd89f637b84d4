// One call of the program: the command that the arguments name, run; errors as messages and exit codes.
#pragma once

#include "engine/cli/exit_code.h"

namespace hourglass::cli {

// Prints what goes wrong, once, and with --json as an object too. May change `argv`.
ExitCode call(int argc, char** argv);

}  // namespace hourglass::cli
