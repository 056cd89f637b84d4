// hourglass upscale FILE --factor 4: a larger photograph. What it shares with the other fits is in run_task.h.
#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/many_files.h"
#include "engine/cli/run_task.h"
#include "engine/image/read_image.h"
#include "engine/restore/upscale_task.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

constexpr const char* kUpscaleSuffix = ".upscaled.png";

struct UpscaleArguments {
  FitArguments fit;
  ManyArguments many;
  std::string kernel = "lanczos2";
  UpscaleTaskOptions task;
};

// Ulyanov, Vedaldi, Lempitsky, IJCV 2020, section 3.2 and the supplementary material.
FitArguments upscale_paper_settings() {
  FitArguments fit;
  fit.model = "standard";
  fit.schedule = "constant";
  fit.iterations = 2000;
  return fit;
}

constexpr const char* kUpscaleFooter =
    R"(Examples:
  hourglass upscale small.png --factor 4 -o large.png
  hourglass degrade photo.png -o small.png --downscale 4                   something to try it on
  hourglass upscale small.png --factor 4 -o large.png --reference photo.png

The network draws the large image; made small again, it has to agree with the input. The defaults are the
paper's. PSNR to the input is that of the image made small again; to the original, "before" is bicubic
interpolation.)";

ExitCode run(const UpscaleArguments& a, const FitCall& call) {
  FitArguments fit = a.fit;
  UpscaleTaskOptions options = a.task;
  options.lobes = a.kernel == "lanczos3" ? 3 : 2;
  DecodedImage input = read_image(fit.input);
  std::unique_ptr<Task> task;
  try {
    task = make_upscale_task(input.image, options);
  } catch (const Error& error) {
    throw error.within(fit.input);
  }
  // More samples on the same paper.
  std::optional<PixelDensity>& density = input.metadata.density;
  if (density && density->per_metre) {
    density->x *= a.task.factor;
    density->y *= a.task.factor;
  }
  if (!fit.input_noise) fit.input_noise = a.task.factor == 8 ? 0.05 : 0.03;
  return run_task(fit, call,
                  {.task = *task,
                   .input = input,
                   .suffix = kUpscaleSuffix,
                   .verb = "upscaled",
                   .details = {{"factor", a.task.factor}, {"kernel", a.kernel}}});
}

}  // namespace

Command upscale_command() {
  const auto arguments = std::make_shared<UpscaleArguments>();
  arguments->fit = upscale_paper_settings();
  Command command{
      .name = "upscale", .help = "Make a photograph 2, 4 or 8 times as wide and high", .footer = kUpscaleFooter};
  add_fit_options(command, arguments->fit,
                  {.input = "The photograph (JPEG, PNG or JPEG XL)",
                   .suffix = kUpscaleSuffix,
                   .input_noise_default = "0.03; 0.05 for factor 8"});
  command.remove("tile");
  command.add({{.names = "--factor",
                .target = &arguments->task.factor,
                .help = "2, 4 or 8",
                .checks = {one_of({2, 4, 8})},
                .common = true},
               {.names = "--kernel",
                .target = &arguments->kernel,
                .help = "That made the image small: lanczos2 or lanczos3",
                .checks = {one_of({"lanczos2", "lanczos3"})}}});
  add_many_options(command, arguments->many);
  command.run = [arguments](ParsedCommand& line) {
    return run_files(arguments->many, {.line = line,
                                       .fit = arguments->fit,
                                       .rule = {.suffix = kUpscaleSuffix, .format = {}},
                                       .verb = "upscaled",
                                       .run_one = [&](const FitCall& call) { return run(*arguments, call); }});
  };
  return command;
}

}  // namespace hourglass::cli
