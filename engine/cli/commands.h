// The program's commands, as data (command_line.h). Each stands in one file; what its options say is kept beside its
// work, which `run` does.
//
// The work writes what was asked for to stdout and everything else to stderr (output.h), and throws Error.
#pragma once

#include "engine/cli/command_line.h"

namespace hourglass::cli {

// All of them: hourglass COMMAND.
Command program();

Command bench_command();
Command compare_command();
Command degrade_command();
Command denoise_command();
Command experiment_command();
Command help_command();
Command inpaint_command();
Command learn_command();
Command model_command();
Command report_command();
Command restore_command();
Command upscale_command();
Command verify_command();

// hourglass bench COMMAND.
Command bench_compare_command();
Command bench_iteration_command();
Command bench_machine_command();
Command bench_ops_command();
Command bench_threads_command();

// hourglass model COMMAND.
Command model_check_command();

}  // namespace hourglass::cli
