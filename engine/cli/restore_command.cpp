// hourglass restore FILE: a compressed photograph from itself. What it shares with the other fits is in run_task.h.
#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/jpeg_options.h"
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

struct Arguments {
  FitArguments fit;
  JpegArguments jpeg;
  std::string degradation, size;  // an ONNX file; the size of the image that it degraded
};

constexpr const char* kSuffix = ".restored.png";

constexpr const char* kFooter =
    R"(Examples:
  hourglass restore photo.jpg                      writes photo.restored.png beside it
  hourglass restore photo.jpg -o clean.png --model standard --iterations 3000
  hourglass restore small.jpg --reference original.png --history run.csv
  hourglass restore blurred.png --degradation models/blur.onnx

The network starts from noise and learns the photograph; the result is its average over the last hundred or so
iterations, moved into the cells that the JPEG's quantization states. Ctrl-C ends early and keeps the result.)";

// From a measurement, an image or an array, that the user's own operator made.
ExitCode run_operator(const Arguments& arguments, const FitCall& call) {
  const FitArguments& fit = arguments.fit;
  const std::string& energy = arguments.jpeg.energy;
  if (energy != "mse") fail("--energy {} belongs to JPEG: with --degradation it is mse", energy);
  if (arguments.jpeg.task.total_variation > 0) fail("--tv: does not go with --degradation");
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
  OperatorTaskOptions options;
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
  return run_task(fit, call,
                  {.task = *task,
                   .input = input,
                   .suffix = kSuffix,
                   .verb = "restored",
                   .details = {{"degradation", arguments.degradation}},
                   .kind = is_npy(bytes) ? "measurement" : "",
                   .inputs = {{"--degradation", arguments.degradation}}});
}

ExitCode run(const Arguments& arguments, const FitCall& call) {
  FitArguments fit = arguments.fit;
  if (!arguments.degradation.empty()) return run_operator(arguments, call);
  if (!arguments.size.empty()) fail("--size belongs to --degradation: a photograph has its own");
  const RestoreInput input = load_input(fit.input);
  // Noise regularises: a small network is regular enough without, a larger one learns the artifacts.
  if (!fit.input_noise && fit.model == "small") fit.input_noise = 0;
  const std::unique_ptr<Task> task = make_task(arguments.jpeg, input, fit.input);
  return run_task(fit, call,
                  {.task = *task,
                   .input = input.degraded,
                   .suffix = kSuffix,
                   .verb = "restored",
                   .details = {{"energy", arguments.jpeg.energy}},
                   .jpeg = input.jpeg ? &*input.jpeg : nullptr});
}

}  // namespace

Command restore_command() {
  const auto arguments = std::make_shared<Arguments>();
  Command command{.name = "restore", .help = "Restore a compressed photograph from itself", .footer = kFooter};
  add_fit_options(command, arguments->fit,
                  {.input = "The JPEG (or PNG, then without cells) to restore",
                   .suffix = kSuffix,
                   .input_noise_default = "0 for small, 0.033 otherwise"});
  add_jpeg_options(command, arguments->jpeg);
  command.add(
      {{.names = "--degradation",
        .target = &arguments->degradation,
        .help = "An ONNX file, image in, measurement out, in the JPEG's place: FILE (PNG or .npy) is what it made"},
       {.names = "--size",
        .target = &arguments->size,
        .help = "With --degradation: WIDTHxHEIGHT of the image sought, where FILE does not say it"}});
  command.run = [arguments](ParsedCommand& line) {
    const FitCall call = take_up(line, arguments->fit);
    return run(*arguments, call);
  };
  return command;
}

}  // namespace hourglass::cli
