#include "engine/cli/jpeg_options.h"

#include "engine/cli/fit_options.h"
#include "graph/error.h"

namespace hourglass::cli {

void add_jpeg_options(CLI::App& command, JpegArguments& a) {
  command.add_option("--energy", a.energy, "mse (to the decoded pixels) or cell (to the JPEG's cells)")
      ->check(CLI::IsMember({"mse", "cell"}))
      ->capture_default_str();
  command.add_option("--half-width", a.task.half_width, "Of the cell energy, in quantization steps: 0 to 0.5")
      ->check(CLI::Range(0.0, 0.5))
      ->check(finite())
      ->capture_default_str();
  command
      .add_option(
          "--refine", a.task.refine_passes,
          "Passes in which similar patches of a JPEG's result clean each other (nonlocal Bayes); 0: the network alone")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  if (a.task.use_cells) {
    command.add_flag("!--no-cells", a.task.use_cells, "Leave the result outside the JPEG's cells (the paper's way)");
  } else {
    command.add_flag("--cells", a.task.use_cells, "Move the result into the JPEG's cells");
  }
}

std::unique_ptr<Task> make_task(const JpegArguments& arguments, const RestoreInput& input, const std::string& path) {
  JpegTaskOptions options = arguments.task;
  options.energy = arguments.energy == "cell" ? EnergyKind::cell : EnergyKind::mse;
  if (options.energy == EnergyKind::cell && !input.jpeg) {
    fail("{}: is no JPEG, and only a JPEG states the cells that --energy cell fits to", path);
  }
  return make_jpeg_task(input, options);
}

}  // namespace hourglass::cli
