// hourglass inpaint FILE --mask MASK: fills in what is missing. What it shares with the other fits is in run_task.h.
#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/run_task.h"
#include "engine/image/read_image.h"
#include "engine/restore/inpaint_task.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

constexpr const char* kInpaintSuffix = ".filled.png";
constexpr const char* kLargeHolesModel = "inpaint-large";
constexpr int64_t kLargeHolesIterations = 3000;

struct InpaintArguments {
  FitArguments fit;
  std::string mask;
  bool large_holes = false;
  InpaintTaskOptions task;
};

// Ulyanov, Vedaldi, Lempitsky, IJCV 2020, section 3.3 and the supplementary material: for text and scattered pixels
// skips as wide as the network; for large holes no skips and no noise, since detail must not be carried past the
// bottleneck.
FitArguments inpaint_paper_settings() {
  FitArguments fit;
  fit.model = "inpaint";
  fit.schedule = "constant";
  fit.iterations = 6000;
  return fit;
}

std::unique_ptr<Task> make_task(const InpaintArguments& a, const DecodedImage& input) {
  const DecodedImage mask = read_image(a.mask);
  try {
    return make_inpaint_task(input.image, to_gray(mask.image), a.task);
  } catch (const Error& error) {
    throw error.within(a.mask);
  }
}

constexpr const char* kInpaintFooter =
    R"(Examples:
  hourglass inpaint holes.png --mask mask.png -o filled.png
  hourglass inpaint holes.png --mask mask.png -o filled.png --large-holes
  hourglass degrade photo.png -o holes.png --drop 0.5 --mask mask.png      something to try it on

What the photograph holds at the mask's black pixels does not matter. The defaults are the paper's for text and
scattered pixels.)";

ExitCode run(const InpaintArguments& a, const FitCall& call) {
  FitArguments fit = a.fit;
  const DecodedImage input = read_image(fit.input);
  const std::unique_ptr<Task> task = make_task(a, input);
  if (a.large_holes) {
    if (!call.line.given("model")) fit.model = kLargeHolesModel;
    if (!call.line.given("iterations")) fit.iterations = kLargeHolesIterations;
  }
  if (!fit.input_noise) fit.input_noise = a.large_holes ? 0 : 0.03;
  return run_task(
      fit, call,
      {.task = *task, .input = input, .suffix = kInpaintSuffix, .verb = "filled", .inputs = {{"--mask", a.mask}}});
}

}  // namespace

Command inpaint_command() {
  const auto arguments = std::make_shared<InpaintArguments>();
  arguments->fit = inpaint_paper_settings();
  Command command{.name = "inpaint", .help = "Fill in the missing parts of a photograph", .footer = kInpaintFooter};
  add_fit_options(command, arguments->fit,
                  {.input = "The photograph (JPEG, PNG or JPEG XL)",
                   .suffix = kInpaintSuffix,
                   .input_noise_default = "0.03; 0 for large holes"});
  command.remove("tile");
  command.add({{.names = "--mask",
                .takes = "FILE",
                .target = &arguments->mask,
                .help = "An image of the same size: white (from mid-gray up) = keep, black = fill in",
                .required = true,
                .common = true},
               {.names = "--large-holes",
                .target = &arguments->large_holes,
                .help = "The paper's settings for these: --model inpaint-large --iterations 3000 --input-noise 0",
                .common = true},
               {.names = "--redraw",
                .target = Clears{&arguments->task.keep_known},
                .help = "Let the network draw the known pixels too (the paper's way); else they stay as they are"}});
  command.run = [arguments](ParsedCommand& line) {
    const FitCall call = take_up(line, arguments->fit);
    return run(*arguments, call);
  };
  return command;
}

}  // namespace hourglass::cli
