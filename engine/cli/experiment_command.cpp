// hourglass experiment ORIGINAL -o DIR: compress, restore, and show how the restoration went, in one command.
#include <filesystem>
#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/compress_options.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/experiment_files.h"
#include "engine/cli/jpeg_options.h"
#include "engine/cli/output.h"
#include "engine/cli/run_task.h"
#include "engine/image/file.h"
#include "engine/image/orientation.h"
#include "engine/image/read_image.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

struct ExperimentArguments {
  FitArguments fit;
  CompressArguments compress;
  JpegArguments jpeg;
  std::vector<int64_t> snapshots = {1000, 10000, 15000, 20000, 30000, 35000, 40000};
};

constexpr const char* kExperimentFooter =
    R"(Writes into DIR:
  compressed.jpg      ORIGINAL at --quality, or at --ratio of its size
  restored.png        what the network makes of it
  history.csv         loss and PSNR of every iteration, to the compressed image and to the original
  snapshots/          the network's average at the iterations of --snapshots, and the result
  contact_sheet.png   these side by side, at last the original and the JPEG
  trend.svg, .png     loss and PSNR over the iterations
  path.svg, .png      the way through image space: distance to the JPEG against distance to the original
  report.html         all of it on one page: open it in a browser

Defaults are those of the plain Deep Image Prior: a U-Net, from noise, mean squared error, a constant learning rate, no
use of the JPEG's cells. What is there is whole at all times; Ctrl-C ends early, completes it as far as it came, and
leaves DIR/run.ckpt, with which --resume goes on. That takes hours: 'hourglass bench iteration --model unet --size 512x512'
says how long an iteration is here, and --model small --iterations 1000 makes a first look within minutes.

Examples:
  hourglass experiment photo.png --ratio 0.25 -o experiment
  hourglass experiment photo.png --quality 10 -o ours --model small --energy cell --cells --iterations 2000
  hourglass experiment photo.png --ratio 0.25 -o experiment --resume experiment/run.ckpt)";

std::string note_of(const ExperimentArguments& arguments, const QualityChoice& choice) {
  return fmt::format("JPEG of quality {} ({} bytes), network {}, {} energy", choice.quality,
                     number_label(static_cast<double>(choice.bytes.size()), 1), arguments.fit.model,
                     arguments.jpeg.energy);
}

// What was done to the average behind the fit; empty where it is the result.
std::string finish_of(const JpegTaskOptions& task) {
  if (!task.use_cells) return {};
  if (task.refine_passes == 0) return "cells";
  return task.refine_passes == 1 ? "cells, 1 pass" : fmt::format("cells, {} passes", task.refine_passes);
}

std::string quality_text(const QualityChoice& choice, std::size_t original_bytes) {
  return fmt::format("the JPEG has quality {}: {} of the original's {} bytes ({:.1f} %)", choice.quality,
                     choice.bytes.size(), original_bytes,
                     100 * static_cast<double>(choice.bytes.size()) / static_cast<double>(original_bytes));
}

void say_where(const ExperimentFolder& folder, const std::string& report) {
  print_message(stderr,
                fmt::format("{}: the JPEG, the restored image, history.csv, snapshots, contact_sheet.png, trend "
                            "and path as .svg and .png\nto look at it all: open {} in a browser",
                            folder.path.string(), report));
}

ExitCode run(const ExperimentArguments& arguments, const FitCall& call) {
  FitArguments fit = arguments.fit;
  const std::string name = fit.input;
  const std::vector<uint8_t> file = read_file(name);
  DecodedImage original = decode_image(file, name);
  for (const std::string& text : original.warnings) warn(fmt::format("{}: {}", name, text));
  if (turn_like(original.image, original.metadata, {}))
    note(fmt::format("{}: turned upright, as its EXIF orientation says", name));
  const QualityChoice choice = compress(original.image, arguments.compress, {}, file.size());

  const ExperimentFolder folder{fit.output};
  folder.check_original(name);
  // What stands outside of the folder is not ours.
  for (const std::string* path : {&fit.report, &fit.profile}) {
    if (std::filesystem::exists(*path)) check_writable(*path, fit.force);
  }
  const bool resumed = call.resumed && written_by(*call.resumed, folder.file("restored.png"));
  if (call.resumed && !resumed) fail("{}: is of an experiment in another folder than {}", fit.resume, fit.output);
  if (!resumed) folder.prepare(fit.force);
  // From here on, the folder is ours.
  fit.force = true;
  fit.input = folder.file("compressed.jpg");
  fit.output = folder.file("restored.png");
  fit.history = folder.file("history.csv");
  // However --resume spells it, it is the file that goes when the run has ended well.
  fit.checkpoint = resumed ? fit.resume : folder.file(ExperimentFolder::kCheckpoint);
  if (fit.report.empty()) fit.report = folder.file("report.html");
  write_file_atomically(fit.input, choice.bytes, true);

  const RestoreInput input = load_input(fit.input);
  const std::unique_ptr<Task> task = make_task(arguments.jpeg, input, fit.input);
  ExperimentFiles files(folder,
                        {.title = std::filesystem::path(name).filename().string(),
                         .note = note_of(arguments, choice),
                         .snapshots = arguments.snapshots,
                         .quality = choice.quality,
                         .result = finish_of(arguments.jpeg.task)},
                        original.image, input.degraded.image);
  try {
    const ExitCode code = run_task(fit, call,
                                   {.task = *task,
                                    .input = input.degraded,
                                    .suffix = {},
                                    .verb = "restored",
                                    .details = {{"quality", choice.quality}, {"energy", arguments.jpeg.energy}},
                                    .jpeg = &*input.jpeg,
                                    .original = name,
                                    .reference = &original.image,
                                    .observers = {&files},
                                    .notes = {quality_text(choice, file.size())},
                                    .snapshots = arguments.snapshots});
    if (!fit.quiet) say_where(folder, fit.report);
    return code;
  } catch (...) {
    if (!resumed && !files.begun()) folder.abandon();
    throw;
  }
}

}  // namespace

Command experiment_command() {
  const auto arguments = std::make_shared<ExperimentArguments>();
  ExperimentArguments& a = *arguments;
  a.fit.model = "unet";
  a.fit.schedule = "constant";
  a.fit.iterations = 40000;
  a.fit.stop.rule = "none";
  a.jpeg.task.use_cells = false;
  Command command{.name = "experiment",
                  .help = "Compress an image, restore it, and show how that went",
                  .footer = kExperimentFooter};
  add_fit_options(command, a.fit,
                  {.input = "The original (JPEG, PNG or JPEG XL)", .suffix = {}, .input_noise_default = "0.033"});
  command.option("output").required = true;
  command.option("output").takes = "FOLDER";
  command.option("output").beside_input = false;
  command.option("output").help = "The folder to write to; created where it is missing";
  command.option("report").takes = "FILE";
  command.option("report").help = "The page that shows the run (default: report.html in the folder)";
  command.option("force").help = "Write into a folder that is not empty";
  // What these name has its place in the folder.
  for (const char* name : {"reference", "history", "checkpoint", "quality", "keep-times", "tile"}) command.remove(name);
  add_compress_options(command, "How much", a.compress);
  add_jpeg_options(command, a.jpeg);
  command.add({{.names = "--snapshots",
                .target = &a.snapshots,
                .help = "Iterations to keep a picture of; later ones than the run's count not",
                .checks = {positive()},
                .common = true}});
  command.run = [arguments](ParsedCommand& line) {
    const FitCall call = take_up(line, arguments->fit);
    return run(*arguments, call);
  };
  return command;
}

}  // namespace hourglass::cli
