#include "engine/cli/jpeg_options.h"

#include "engine/cli/method.h"
#include "graph/error.h"

namespace hourglass::cli {

void add_jpeg_options(Command& command, JpegArguments& a) {
  command.add(
      {{.names = "--energy",
        .target = &a.energy,
        .help = "mse (to the decoded pixels), cell (to the JPEG's cells), or blend (of the two)",
        .checks = {one_of({"mse", "cell", "blend"})},
        .methods = {kFit}},
       {.names = "--cell-weight",
        .target = &a.cell_weight,
        .help = "Of the cells in --energy blend: 0 to 1 (default: 0.5)",
        .checks = {range(0.0, 1.0)},
        .methods = {kFit}},
       {.names = "--half-width",
        .target = &a.task.half_width,
        .help = "Of the cell energy, in quantization steps: 0 to 0.5",
        .checks = {range(0.0, 0.5)},
        .methods = {kFit}},
       {.names = "--tv",
        .target = &a.task.total_variation,
        .help = "Weight of the image's total variation beside the energy",
        .checks = {non_negative()},
        .methods = {kFit}},
       {.names = "--refine",
        .target = &a.task.refine_passes,
        .help = "Passes in which similar patches of a JPEG's result clean each other (nonlocal Bayes); 0: the network "
                "alone",
        .checks = {range(0, 100)},
        .methods = {kFit}}});
  if (a.task.use_cells) {
    command.add({{.names = "--no-cells",
                  .target = Clears{&a.task.use_cells},
                  .help = "Leave the result outside the JPEG's cells (the paper's way)",
                  .methods = {kFit}}});
  } else {
    command.add({{.names = "--cells",
                  .target = &a.task.use_cells,
                  .help = "Move the result into the JPEG's cells",
                  .methods = {kFit}}});
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
