// hourglass restore FILE: a compressed photograph from itself. What it shares with the other fits is in run_task.h.
#include <fmt/core.h>
#include <omp.h>

#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/jpeg_options.h"
#include "engine/cli/many_files.h"
#include "engine/cli/method_options.h"
#include "engine/cli/network_option.h"
#include "engine/cli/run_task.h"
#include "engine/cli/size_option.h"
#include "engine/image/file.h"
#include "engine/image/npy.h"
#include "engine/image/read_image.h"
#include "engine/restore/operator_task.h"
#include "graph/error.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

struct RestoreArguments {
  FitArguments fit;
  ManyArguments many;
  JpegArguments jpeg;
  MethodArguments method;
  bool once = false;
  std::string degradation, degradation_output, size;  // an ONNX file; the size of the image that it degraded
};

constexpr const char* kRestoreSuffix = ".restored.png";

constexpr const char* kRestoreFooter =
    R"(Methods:
  learn    Similar patches of the photograph, wherever they lie, clean each other (nonlocal Bayes), and each coefficient
           is kept in the cell that the JPEG's quantization states. Then a network learns, from the photograph made
           smaller, what this file's compression does and what the filter leaves of it, and goes on where the filter
           ends. OUTPUT holds the filter's result meanwhile. The network has seen nothing but drawn shapes before.
  filter   The same without a network: seconds, and the same every time.
  fit      A network starts from noise and learns the photograph before it learns the artifacts (Deep Image Prior).
           Its average over the last hundred or so iterations is filtered in the same way. OUTPUT holds the filter's
           result meanwhile, and keeps it when a fit is ended that has less than 200 iterations behind it.
Ctrl-C ends early and keeps the result.

Examples:
  hourglass restore photo.jpg                      writes photo.restored.png beside it: half a minute or so
  hourglass restore photo.jpg --fast               the filter alone: seconds
  hourglass restore photo.jpg --best               a longer lesson: minutes
  hourglass restore -r photos --output-dir restored     all JPEGs below a folder; again after a break, it goes on
  hourglass restore photo.jpg -o clean.png --model standard --iterations 3000
  hourglass restore small.jpg --method fit --reference original.png --history run.csv
  hourglass restore photo.jpg --method fit --no-cells --refine 0        the network alone
  hourglass restore blurred.png --degradation models/blur.onnx)";

// From a measurement, an image or an array, that the user's own operator made.
ExitCode run_operator(const RestoreArguments& arguments, ParsedCommand& line, const FitCall& call) {
  if (arguments.method.method == kFilter) {
    fail("--method filter goes by the cells of a JPEG: with --degradation there is only --method fit");
  }
  choose_method_and_model(arguments.method, line, kFit);
  const FitArguments& fit = arguments.fit;
  const std::string& energy = arguments.jpeg.energy;
  if (energy != "mse") fail("--energy {} belongs to JPEG: with --degradation it is mse", energy);
  if (arguments.jpeg.task.total_variation > 0) fail("--tv: does not go with --degradation");
  if (arguments.jpeg.task.strength != 1) fail("--strength: does not go with --degradation");
  const std::vector<uint8_t> bytes = read_file(fit.input);
  DecodedImage input;
  Array measurement;
  if (is_npy(bytes)) {
    try {
      measurement = decode_npy(bytes);
    } catch (const Error& error) {
      throw error.within(fit.input);
    }
  } else {
    input = decode_image(bytes, fit.input);
    measurement = {.shape = {input.image.channels, input.image.height, input.image.width},
                   .values = input.image.pixels};
  }
  OperatorTaskOptions options{.output = arguments.degradation_output};
  if (!arguments.size.empty()) {
    const ImageSize size = parse_size(arguments.size);
    options.height = size.height, options.width = size.width;
  }
  const OnnxFile op = OnnxFile::read(arguments.degradation);
  std::unique_ptr<Task> task;
  try {
    task = make_operator_task(op, op_table(), measurement, options);
  } catch (const Error& error) {
    throw error.within("--degradation " + arguments.degradation);
  }
  if (input.image.pixels.empty()) input.image = task->baseline();
  Json details{{"method", kFit}, {"degradation", arguments.degradation}};
  if (!arguments.degradation_output.empty()) details["degradation_output"] = arguments.degradation_output;
  return run_task(fit, call,
                  {.task = *task,
                   .input = input,
                   .suffix = kRestoreSuffix,
                   .verb = "restored",
                   .details = std::move(details),
                   .kind = is_npy(bytes) ? "measurement" : "",
                   .inputs = {{"--degradation", arguments.degradation}}});
}

std::string usual_method(bool is_jpeg) { return is_jpeg ? kLearn : kFit; }

// As run() has it for such an input. The arguments stay as they are.
ParsedCommand settled(RestoreArguments& arguments, ParsedCommand line, ImageFormat format) {
  const RestoreArguments before = arguments;
  expand_flags(arguments.method, line);
  choose_method_and_model(arguments.method, line,
                          arguments.degradation.empty() ? usual_method(format == ImageFormat::jpeg) : kFit);
  arguments = before;
  return line;
}

ExitCode run(const RestoreArguments& arguments, ParsedCommand& line, const FitCall& call) {
  expand_flags(arguments.method, line);
  if (!arguments.degradation.empty()) return run_operator(arguments, line, call);
  if (!arguments.size.empty()) fail("--size belongs to --degradation: a photograph has its own");
  if (!arguments.degradation_output.empty()) fail("--degradation-output belongs to --degradation");
  RestoreInput input = load_input(arguments.fit.input, arguments.fit.memory_limit.value_or(0));
  if (!input.jpeg && (arguments.method.method == kFilter || arguments.method.method == kLearn)) {
    fail("{}: is no JPEG, and --method {} goes by the cells that a JPEG states: there is only --method fit",
         arguments.fit.input, arguments.method.method);
  }
  choose_method_and_model(arguments.method, line, usual_method(input.jpeg.has_value()));
  FitArguments fit = arguments.fit;
  const std::string& method = arguments.method.method;
  if (method != kFit && !arguments.once) {
    omp_set_num_threads(threads_of(fit.threads));
    input.first = find_first_compression(*input.jpeg);
  }
  const JpegTaskOptions& jpeg = arguments.jpeg.task;
  if (jpeg.strength != 1 && !(input.jpeg && jpeg.use_cells)) {
    fail("--strength: keeps the result in the cells of a JPEG: {}",
         input.jpeg ? "leave out --no-cells" : fit.input + " is none");
  }
  // Noise regularises: a small network is regular enough without, a larger one learns the artifacts.
  if (!fit.input_noise && fit.model == "small") fit.input_noise = 0;
  const std::unique_ptr<Task> task = make_task(arguments.jpeg, input, fit.input);
  LearnArguments learn = arguments.method.learn;
  learn.strength = jpeg.strength;
  Json details{{"method", method}};
  if (method == kFit) details["energy"] = arguments.jpeg.energy;
  if (input.first) {
    details["first_compression"] =
        Json{{"quality", input.first->quality}, {"x", input.first->x}, {"y", input.first->y}};
  }
  return run_task(fit, call,
                  {.task = *task,
                   .input = input.degraded,
                   .suffix = kRestoreSuffix,
                   .verb = "restored",
                   .details = std::move(details),
                   .jpeg = input.jpeg ? &*input.jpeg : nullptr,
                   .first = input.first ? &*input.first : nullptr,
                   .method = method,
                   .learn = std::move(learn),
                   .may_be_cut = true,
                   .filter_first = input.jpeg && arguments.jpeg.task.use_cells});
}

// Folders hold PNGs too that nobody compressed, not least what was restored.
std::optional<ImageFormat> folder_format(const RestoreArguments& arguments) {
  if (!arguments.degradation.empty()) return {};
  return ImageFormat::jpeg;
}

}  // namespace

Command restore_command() {
  const auto arguments = std::make_shared<RestoreArguments>();
  arguments->fit.model = {};
  arguments->method.usual_to_learn = "leaves";
  arguments->method.usual_to_fit = "small";
  Command command{.name = "restore", .help = "Restore a compressed photograph from itself", .footer = kRestoreFooter};
  add_method_options(command, arguments->method,
                     "How to restore, see below: learn takes half a minute or so, filter seconds, fit minutes; without "
                     "it, learn for a JPEG unless an option of another method is given, and fit for all else");
  add_fit_options(command, arguments->fit,
                  {.input = "The JPEG (or PNG or JPEG XL, then without cells) to restore",
                   .suffix = kRestoreSuffix,
                   .input_noise_default = "0 for small, 0.033 otherwise"});
  add_jpeg_options(command, arguments->jpeg);
  command.add(
      {{.names = "--strength",
        .target = &arguments->jpeg.task.strength,
        .help = "How much of the change to the JPEG's pixels is made, from 0 (none) to 1 (all); the result stays "
                "in the JPEG's cells",
        .checks = {range(0.0, 1.0)},
        .common = true},
       {.names = "--once",
        .target = &arguments->once,
        .help = "Take a JPEG for compressed once: filter and learn then do not look for an earlier compression "
                "that shows in it, on another grid or with larger steps"}});
  command.add(
      {{.names = "--degradation",
        .takes = "FILE",
        .target = &arguments->degradation,
        .help = "An ONNX file, image in, measurement out, in the JPEG's place: FILE (PNG or .npy) is what it made",
        .methods = {kFit}},
       degradation_output_option(arguments->degradation_output, {kFit}),
       {.names = "--size",
        .takes = "WIDTHxHEIGHT",
        .target = &arguments->size,
        .help = "With --degradation: WIDTHxHEIGHT of the image sought, where FILE does not say it",
        .methods = {kFit}}});
  add_learn_options(command, arguments->method);
  add_many_options(command, arguments->many);
  put_methods_apart(command);
  command.run = [arguments](ParsedCommand& line) {
    return run_files(arguments->many, {.line = line,
                                       .fit = arguments->fit,
                                       .rule = {.suffix = kRestoreSuffix, .format = folder_format(*arguments)},
                                       .verb = "restored",
                                       .settled = [&](ImageFormat format) { return settled(*arguments, line, format); },
                                       .run_one = [&](const FitCall& call) { return run(*arguments, line, call); }});
  };
  return command;
}

}  // namespace hourglass::cli
