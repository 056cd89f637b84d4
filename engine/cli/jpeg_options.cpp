#include "engine/cli/jpeg_options.h"

#include "engine/cli/fit_options.h"
#include "graph/error.h"

namespace hourglass::cli {

void add_jpeg_options(CLI::App& command, JpegArguments& a) {
  command
      .add_option("--energy", a.energy,
                  "mse (to the decoded pixels), cell (to the JPEG's cells), or blend (of the two)")
      ->check(CLI::IsMember({"mse", "cell", "blend"}))
      ->capture_default_str();
  command.add_option("--cell-weight", a.cell_weight, "Of the cells in --energy blend: 0 to 1 (default: 0.5)")
      ->check(CLI::Range(0.0, 1.0))
      ->check(finite());
  command.add_option("--half-width", a.task.half_width, "Of the cell energy, in quantization steps: 0 to 0.5")
      ->check(CLI::Range(0.0, 0.5))
      ->check(finite())
      ->capture_default_str();
  command.add_option("--tv", a.task.total_variation, "Weight of the image's total variation beside the energy")
      ->check(non_negative())
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
  const bool blend = arguments.energy == "blend";
  if (arguments.cell_weight && !blend) fail("--cell-weight: belongs to --energy blend");
  options.cell_weight = blend ? arguments.cell_weight.value_or(0.5) : arguments.energy == "cell" ? 1 : 0;
  if (options.cell_weight > 0 && !input.jpeg) {
    fail("{}: is no JPEG, and only a JPEG states the cells that --energy {} fits to", path, arguments.energy);
  }
  return make_jpeg_task(input, options);
}

}  // namespace hourglass::cli
