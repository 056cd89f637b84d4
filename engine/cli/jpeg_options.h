// What the commands that fit to a JPEG have in common: --energy, --half-width, --tv, --refine, --cells.
#pragma once

#include <optional>
#include <string>

#include "engine/cli/command_line.h"
#include "engine/restore/jpeg_task.h"

namespace hourglass::cli {

struct JpegArguments {
  std::string energy = "mse";
  std::optional<double> cell_weight;  // of blend
  JpegTaskOptions task;               // its energy is resolved by make_task()
};

// The defaults are what stands in the arguments.
void add_jpeg_options(Command& command, JpegArguments& arguments);

// Throws Error, naming the file, when the input is no JPEG and the cell energy is asked for.
std::unique_ptr<Task> make_task(const JpegArguments& arguments, const RestoreInput& input, const std::string& path);

}  // namespace hourglass::cli
