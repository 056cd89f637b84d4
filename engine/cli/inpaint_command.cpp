// hourglass inpaint FILE --mask MASK: fills in what is missing. What it shares with the other fits is in run_task.h.
#include <CLI/CLI.hpp>

#include "engine/cli/commands.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/run_task.h"
#include "engine/image/read_image.h"
#include "engine/restore/inpaint_task.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

constexpr const char* kSuffix = ".filled.png";
constexpr const char* kLargeHolesModel = "inpaint-large";
constexpr int64_t kLargeHolesIterations = 3000;

struct Arguments {
  FitArguments fit;
  std::string mask;
  bool large_holes = false, model_given = false, iterations_given = false;
  InpaintTaskOptions task;
};

// Ulyanov, Vedaldi, Lempitsky, IJCV 2020, section 3.3 and the supplementary material: for text and scattered pixels
// skips as wide as the network; for large holes no skips and no noise, since detail must not be carried past the
// bottleneck.
FitArguments paper_settings() {
  FitArguments fit;
  fit.model = "inpaint";
  fit.schedule = "constant";
  fit.options.iterations = 6000;
  return fit;
}

std::unique_ptr<Task> make_task(const Arguments& a, const DecodedImage& input) {
  const DecodedImage mask = read_image(a.mask);
  try {
    return make_inpaint_task(input.image, to_gray(mask.image), a.task);
  } catch (const Error& error) {
    throw error.within(a.mask);
  }
}

ExitCode run(Arguments& a) {
  FitArguments& fit = a.fit;
  const DecodedImage input = read_image(fit.input);
  const std::unique_ptr<Task> task = make_task(a, input);
  if (a.large_holes) {
    if (!a.model_given) fit.model = kLargeHolesModel;
    if (!a.iterations_given) fit.options.iterations = kLargeHolesIterations;
  }
  if (!fit.input_noise) fit.input_noise = a.large_holes ? 0 : 0.03;
  return run_task(fit,
                  {.task = *task, .input = input, .suffix = kSuffix, .verb = "filled", .inputs = {{"--mask", a.mask}}});
}

}  // namespace

void add_inpaint_command(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  a.fit = paper_settings();
  CLI::App* command = app.add_subcommand("inpaint", "Fill in the missing parts of a photograph");
  command->footer(
      "Examples:\n"
      "  hourglass inpaint holes.png --mask mask.png -o filled.png\n"
      "  hourglass inpaint holes.png --mask mask.png -o filled.png --large-holes\n"
      "  hourglass degrade photo.png -o holes.png --drop 0.5 --mask mask.png      something to try it on\n\n"
      "What the photograph holds at the mask's black pixels does not matter. The defaults are the paper's for text "
      "and\n"
      "scattered pixels.");
  add_fit_options(
      *command, a.fit,
      {.input = "The photograph (PNG or JPEG)", .suffix = kSuffix, .input_noise_default = "0.03; 0 for large holes"});
  command->add_option("--mask", a.mask, "An image of the same size: white (from mid-gray up) = keep, black = fill in")
      ->required();
  command->add_flag("--large-holes", a.large_holes,
                    "The paper's settings for these: --model inpaint-large --iterations 3000 --input-noise 0");
  command->add_flag("!--redraw", a.task.keep_known,
                    "Let the network draw the known pixels too (the paper's way); else they stay as they are");
  command->callback([arguments, command, &action] {
    arguments->model_given = command->count("--model") > 0;
    arguments->iterations_given = command->count("--iterations") > 0;
    action = [arguments] { return run(*arguments); };
  });
}

}  // namespace hourglass::cli
