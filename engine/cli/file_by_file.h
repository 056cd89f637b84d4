// The course of a run of several files (many_files.h): what is done already is kept, the rest is given to processes
// (file_workers.h), and of each that ends the progress, the manifest and the index of reports are told.
#pragma once

#include "engine/cli/exit_code.h"
#include "engine/cli/input_files.h"
#include "engine/cli/many_files.h"

namespace hourglass::cli {

// some_failed where a file failed or a folder could not be read, error where the disk was full. Throws Error where it
// can't begin.
ExitCode run_file_by_file(const ManyArguments& arguments, const ManyRun& run, const InputFiles& found);

}  // namespace hourglass::cli
