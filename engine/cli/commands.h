// The subcommands. Each stands in one file, declares its options to CLI11 and, when it is the one that the user called,
// leaves its work in `action`, which main() runs once the whole command line is known to be right.
//
// The work writes what was asked for to stdout and everything else to stderr (through warn()), and throws Error.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string_view>

#include "engine/cli/exit_code.h"

namespace hourglass::cli {

using Action = std::function<ExitCode()>;

void add_compare_command(CLI::App& app, Action& action);
void add_degrade_command(CLI::App& app, Action& action);
void add_denoise_command(CLI::App& app, Action& action);
void add_experiment_command(CLI::App& app, Action& action);
void add_inpaint_command(CLI::App& app, Action& action);
void add_restore_command(CLI::App& app, Action& action);
void add_upscale_command(CLI::App& app, Action& action);
void add_verify_command(CLI::App& app, Action& action);
void add_model_command(CLI::App& app, Action& action);
// Part of `model`.
void add_model_check(CLI::App& group, Action& action);
void add_bench_command(CLI::App& app, Action& action);
// Of the bench command.
void add_bench_threads_command(CLI::App& bench, Action& action);
void add_bench_ops_command(CLI::App& bench, Action& action);

// "hourglass: warning: TEXT" on stderr.
void warn(std::string_view text);

}  // namespace hourglass::cli
