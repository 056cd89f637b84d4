// hourglass denoise FILE: the noise of a photograph taken out, by a filter or by a fit. What it shares with other
// commands is in run_task.h.
#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/many_files.h"
#include "engine/cli/method_options.h"
#include "engine/cli/run_task.h"
#include "engine/image/read_image.h"
#include "engine/restore/denoise_task.h"
#include "engine/restore/noise.h"
#include "engine/restore/noise_filter.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

constexpr const char* kDenoiseSuffix = ".denoised.png";
constexpr const char* kDenoiseMethod = kLearn;

struct DenoiseArguments {
  FitArguments fit;
  ManyArguments many;
  MethodArguments method;
  std::optional<double> sigma;  // grey levels; absent: as estimated from the photograph
};

// Ulyanov, Vedaldi, Lempitsky, IJCV 2020, section 3.1 and the supplementary material; the input's noise of 1/30 and
// the average's decay of 0.99 are FitOptions' own.
FitArguments denoise_paper_settings() {
  FitArguments fit;
  fit.schedule = "constant";
  fit.iterations = 3000;
  return fit;
}

constexpr const char* kDenoiseFooter =
    R"(Methods:
  learn    Similar patches of the photograph, wherever they lie, clean each other (nonlocal Bayes). Then a network learns,
           from the photograph made smaller and noisy again, what the filter leaves of noise and what it takes away too
           much, and goes on where the filter ends. OUTPUT holds the filter's result meanwhile. The network has seen
           nothing but drawn shapes before.
  filter   The same without a network: seconds, and the same every time.
  fit      A network starts from noise and learns the photograph before it learns the noise (Deep Image Prior): fewer
           iterations leave detail out, more let noise in.

Examples:
  hourglass denoise noisy.png -o clean.png
  hourglass denoise noisy.png -o clean.png --sigma 25         where the noise is known
  hourglass denoise noisy.png -o clean.png --fast             the filter alone: seconds
  hourglass denoise noisy.png -o clean.png --method fit       with the settings of the Deep Image Prior's paper
  hourglass denoise noisy.png -o clean.png --runs 2           the mean of two fits, as the paper does
  hourglass denoise noisy.png -o clean.png --model medium     a fit of a smaller network, for the impatient)";

// The noise's standard deviation, 1 = 255. Throws Error below 3x3 pixels where nobody says it.
double sigma_of(const DenoiseArguments& a, const Image& image) {
  return a.sigma ? *a.sigma / 255 : estimate_noise(image);
}

// As the filter and the rule that stops a fit take it.
std::string noise_in(const DenoiseArguments& a, const Image& image) {
  constexpr int64_t kLeast = 3;  // pixels of a side
  if (a.fit.verbose == 0 || (!a.sigma && std::min(image.width, image.height) < kLeast)) return {};
  return fmt::format("noise of {:.2f} grey levels (standard deviation), {}", 255 * sigma_of(a, image),
                     a.sigma ? "as --sigma says" : "an estimate");
}

ExitCode run(const DenoiseArguments& a, ParsedCommand& line, const FitCall& call) {
  expand_flags(a.method, line);
  choose_method_and_model(a.method, line, kDenoiseMethod);
  const std::string& method = a.method.method;
  const DecodedImage input = read_image(a.fit.input);
  const std::unique_ptr<Task> task = make_denoise_task(input.image, a.sigma.value_or(0) / 255);
  if (method != kFit && std::min(input.image.width, input.image.height) < kLeastToFilter) {
    fail("{}: is {}x{}, too small for the filter: there is only --method fit", a.fit.input, input.image.width,
         input.image.height);
  }
  if (method != kFit && !task->discrepancy()) {
    fail("{}: no noise is to be seen in it; --sigma says how much there is", a.fit.input);
  }
  return run_task(a.fit, call,
                  {.task = *task,
                   .input = input,
                   .suffix = kDenoiseSuffix,
                   .verb = "denoised",
                   .details = {{"method", method}},
                   .found = noise_in(a, input.image),
                   .method = method,
                   .noise = method == kFit ? std::nullopt : std::optional(sigma_of(a, input.image)),
                   .learn = a.method.learn,
                   .may_be_cut = true});
}

}  // namespace

Command denoise_command() {
  const auto arguments = std::make_shared<DenoiseArguments>(
      DenoiseArguments{.fit = denoise_paper_settings(), .many = {}, .method = {}, .sigma = {}});
  arguments->fit.model = {};
  arguments->method.usual_to_learn = "leaves-noise";
  arguments->method.usual_to_fit = "standard";
  Command command{.name = "denoise", .help = "Take the noise out of a photograph", .footer = kDenoiseFooter};
  add_method_options(command, arguments->method,
                     "How to take it out, see below: learn takes half a minute or so, filter seconds, fit minutes; "
                     "without it, learn unless an option of another method is given");
  add_fit_options(command, arguments->fit,
                  {.input = "The photograph (JPEG, PNG or JPEG XL)",
                   .suffix = kDenoiseSuffix,
                   .input_noise_default = "0.033 (1/30)"});
  command.add({{.names = "--sigma",
                .target = &arguments->sigma,
                .help = "Standard deviation of the noise in grey levels (0 to 255) (default: as estimated from the "
                        "photograph)",
                .checks = {range(0.1, 255.0)},
                .common = true}});
  add_learn_options(command, arguments->method);
  add_many_options(command, arguments->many);
  put_methods_apart(command);
  command.run = [arguments](ParsedCommand& line) {
    return run_files(arguments->many, {.line = line,
                                       .fit = arguments->fit,
                                       .rule = {.suffix = kDenoiseSuffix, .format = {}},
                                       .verb = "denoised",
                                       .settled =
                                           [&](ImageFormat) {
                                             const DenoiseArguments before = *arguments;
                                             ParsedCommand settled = line;
                                             expand_flags(arguments->method, settled);
                                             choose_method_and_model(arguments->method, settled, kDenoiseMethod);
                                             *arguments = before;
                                             return settled;
                                           },
                                       .run_one = [&](const FitCall& call) { return run(*arguments, line, call); }});
  };
  return command;
}

}  // namespace hourglass::cli
