// hourglass denoise FILE: a noisy photograph from itself. What it shares with the other fits is in run_task.h.
#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/many_files.h"
#include "engine/cli/run_task.h"
#include "engine/image/read_image.h"
#include "engine/restore/denoise_task.h"

namespace hourglass::cli {
namespace {

constexpr const char* kSuffix = ".denoised.png";

struct Arguments {
  FitArguments fit;
  ManyArguments many;
  std::optional<double> sigma;  // grey levels; absent: as estimated from the photograph
};

// Ulyanov, Vedaldi, Lempitsky, IJCV 2020, section 3.1 and the supplementary material; the input's noise of 1/30 and
// the average's decay of 0.99 are FitOptions' own.
FitArguments paper_settings() {
  FitArguments fit;
  fit.model = "standard";
  fit.schedule = "constant";
  fit.iterations = 3000;
  return fit;
}

constexpr const char* kFooter =
    R"(Examples:
  hourglass denoise noisy.png -o clean.png
  hourglass denoise noisy.png -o clean.png --runs 2           the mean of two fits, as the paper does
  hourglass denoise noisy.png -o clean.png --model medium     a smaller network, for the impatient

The defaults are the paper's. The network learns the photograph before it learns the noise: fewer iterations
leave detail out, more let noise in.)";

ExitCode run(const Arguments& a, const FitCall& call) {
  const DecodedImage input = read_image(a.fit.input);
  const std::unique_ptr<Task> task = make_denoise_task(input.image, a.sigma.value_or(0) / 255);
  return run_task(a.fit, call, {.task = *task, .input = input, .suffix = kSuffix, .verb = "denoised"});
}

}  // namespace

Command denoise_command() {
  const auto arguments = std::make_shared<Arguments>(Arguments{.fit = paper_settings(), .many = {}, .sigma = {}});
  Command command{.name = "denoise", .help = "Take the noise out of a photograph", .footer = kFooter};
  add_fit_options(command, arguments->fit,
                  {.input = "The photograph (PNG or JPEG)", .suffix = kSuffix, .input_noise_default = "0.033 (1/30)"});
  command.add(
      {{.names = "--sigma",
        .target = &arguments->sigma,
        .help = "Standard deviation of the noise in grey levels (0 to 255), for --stop discrepancy (default: as "
                "estimated from the photograph)",
        .checks = {range(0.1, 255.0)},
        .common = true}});
  add_many_options(command, arguments->many);
  command.run = [arguments](ParsedCommand& line) {
    return run_files(arguments->many, {.line = line,
                                       .fit = arguments->fit,
                                       .rule = {.suffix = kSuffix, .format = {}},
                                       .verb = "denoised",
                                       .run_one = [&] {
                                         const FitCall call = take_up(line, arguments->fit);
                                         return run(*arguments, call);
                                       }});
  };
  return command;
}

}  // namespace hourglass::cli
