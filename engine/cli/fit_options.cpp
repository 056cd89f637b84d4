#include "engine/cli/fit_options.h"

#include <fmt/core.h>

#include <span>
#include <string_view>

#include "engine/cli/checkpoint_file.h"
#include "engine/cli/method.h"
#include "engine/cli/network_option.h"
#include "engine/cli/settings.h"
#include "graph/error.h"

namespace hourglass::cli {

namespace {

// Not one_of(): with the comma in what is chosen from, its list would be hard to read.
Check what_is_fitted() {
  return {.refusal = [](const std::string& text) -> std::string {
    if (text == "net" || text == "input" || text == "net,input" || text == "input,net") return {};
    return "expected one of: net / input / net,input; got " + text;
  }};
}

void add_file_options(Command& command, FitArguments& a) {
  const std::size_t first = command.options.size();
  command.add(
      {{.names = "--reference",
        .takes = "FILE",
        .target = &a.reference,
        .help = "The original, if known: its PSNR is shown on the way"},
       {.names = "--history",
        .takes = "FILE",
        .target = &a.history,
        .help = "CSV of every iteration",
        .methods = {kFit, kLearn}},
       {.names = "--save-network",
        .takes = "FILE",
        .target = &a.save_network,
        .help = "The fitted network as an ONNX file for this size, with the weights of the last iteration and its "
                "input: any ONNX runtime makes its image of it, and --model goes on from it",
        .methods = {kFit}},
       {.names = "--network-input",
        .takes = "FILE",
        .target = &a.save_input,
        .help = "The fitted network's input as a NumPy array (.npy) of f32, [1,C,H,W]: for a runtime that wants it "
                "given, or a look at it in NumPy",
        .methods = {kFit}},
       {.names = "--report",
        .takes = "FILE",
        .target = &a.report,
        .help = "A page that shows the run, as it goes on and at its end (HTML)",
        .common = true},
       {.names = "--profile",
        .takes = "FILE",
        .target = &a.profile,
        .help = "Where an iteration's time goes: a trace of it for chrome://tracing and ui.perfetto.dev "
                "(JSON), and a table by op on stderr",
        .methods = {kFit}},
       {.names = "--checkpoint",
        .takes = "FILE",
        .target = &a.checkpoint,
        .help = "Where to put the run away while it goes on (default: OUTPUT.ckpt, for runs of more than two "
                "minutes); removed when it ends well",
        .methods = {kFit, kLearn}},
       {.names = "--checkpoint-every",
        .takes = "SECONDS",
        .target = &a.checkpoint_every,
        .help = "Seconds from one checkpoint to the next",
        .checks = {non_negative()},
        .methods = {kFit, kLearn}},
       {.names = "--resume",
        .takes = "FILE",
        .target = &a.resume,
        .help = "Goes on from a checkpoint, with its settings",
        .methods = {kFit, kLearn}},
       {.names = "--force", .target = &a.force, .help = "Overwrite files that exist", .common = true},
       {.names = "--keep-times",
        .target = &a.keep_times,
        .help = "Give OUTPUT the time at which INPUT was last changed"},
       {.names = "-q,--quiet", .target = &a.quiet, .help = "Only errors", .common = true},
       {.names = "-v,--verbose",
        .target = Counts{&a.verbose},
        .help = "Say what was decided about the run, and on the way its loss and its rate; -vv: of a fit also what the "
                "plan runs, per step the implementation and the layout; -vvv: also which kernels of convolutions "
                "declined, and why"},
       {.names = "--json",
        .target = &a.json,
        .help = "JSON objects on stdout, one per line: the progress once a second, at last the result"}});
  for (Option& option : std::span(command.options).subspan(first)) option.heading = kFilesHeading;
}

}  // namespace

FitArguments::FitArguments() = default;
FitArguments::FitArguments(const FitArguments& other) = default;
FitArguments& FitArguments::operator=(const FitArguments& other) = default;
FitArguments::~FitArguments() = default;

void put_methods_apart(Command& command) {
  for (Option& option : command.options) {
    if (option.methods.empty()) continue;
    option.common = false;
    if (option.methods.size() > 1) {
      if (option.heading.empty()) option.heading = "Options of learning and of a fit";
      continue;
    }
    option.heading = option.methods.front() == kLearn ? "Options of learning"
                     : option.heading.empty()         ? "Options of a fit"
                                                      : kFitFilesHeading;
  }
}

FitCall take_up(ParsedCommand& line, const FitArguments& arguments) {
  FitCall call{.line = line, .resumed_from = arguments.resume, .resumed = {}};
  if (arguments.resume.empty()) return call;
  try {
    call.resumed = std::make_unique<Archive>(read_checkpoint(arguments.resume));
    Settings::parse(call.resumed->text("settings")).apply_to(line);
  } catch (const Error& error) {
    // Reading names the file by itself.
    if (std::string_view(error.what()).starts_with(arguments.resume)) throw;
    throw error.within(arguments.resume);
  }
  return call;
}

void add_fit_options(Command& command, FitArguments& a, const FitHelp& help) {
  command.add(
      {{.names = "INPUT", .target = &a.input, .help = help.input, .required = true},
       {.names = "-o,--output",
        .takes = "FILE",
        .target = &a.output,
        .help = "The PNG to write, or the JPEG where it ends in .jpg, the JPEG XL where in .jxl (default: INPUT with " +
                help.suffix + ")",
        .heading = kFilesHeading,
        .common = true,
        .beside_input = true},
       {.names = "--model",
        .takes = "NET",
        .target = &a.model,
        .help = "A built-in network ('hourglass model list' names them), or an ONNX file",
        .methods = {kFit},
        .common = true},
       model_output_option(a.model_output, {kFit}),
       {.names = "--weights",
        .target = &a.weights,
        .help = "What the fit starts from: file (the ONNX file's, where it has any), or draw (by --seed)",
        .checks = {one_of({"file", "draw"})},
        .methods = {kFit}},
       {.names = "--freeze",
        .takes = "NAMES",
        .target = &a.freeze,
        .help =
            "Parameters of an ONNX file that are not trained, by their names or patterns (*, ?) with commas between "
            "them: buffers, such as masks",
        .methods = {kFit}},
       {.names = "--iterations",
        .target = &a.iterations,
        .help = "How long to fit",
        .checks = {range(1, 10000000)},
        .methods = {kFit},
        .common = true},
       {.names = "--runs",
        .target = &a.runs,
        .help = "Fits with different seeds whose results are averaged",
        .checks = {range(1, 1000)},
        .methods = {kFit}},
       {.names = "--at-once",
        .target = &a.at_once,
        .help =
            "How many of the runs, or of the tiles (--tile), go on side by side, each with its share of the threads "
            "and the memory (default: of runs as many as a short timing finds fastest, of tiles 1)",
        .checks = {range(1, 1000)},
        .methods = {kFit}},
       {.names = "--tile",
        .takes = "PIXELS",
        .target = &a.tile_side,
        .help = fmt::format("Fit a large image in tiles of so many pixels a side, which overlap and are blended, all "
                            "from the same seed; 0: as a whole (default: as a whole, or where memory is too small for "
                            "that in tiles of {} or more)",
                            kLeastUsualTile),
        .checks = {range(0, 1000000)},
        .methods = {kFit}},
       {.names = "--schedule",
        .target = &a.schedule,
        .help = "Of the learning rate: constant, or cosine to zero",
        .checks = {one_of({"constant", "cosine"})},
        .methods = {kFit}},
       {.names = "--learning-rate",
        .target = &a.learning_rate,
        .help =
            fmt::format("Adam's step (default: {}; for an ONNX file at most that, as a short trial finds)", kUsualRate),
        .checks = {positive()},
        .methods = {kFit}},
       {.names = "--input-noise",
        .target = &a.input_noise,
        .help = "Standard deviation of each iteration's noise on the input (default: " + help.input_noise_default + ")",
        .checks = {non_negative()},
        .methods = {kFit}},
       {.names = "--input",
        .target = &a.network_input,
        .help = "What the network makes its image of: noise, or meshgrid (each pixel's x and y)",
        .checks = {one_of({"noise", "meshgrid"})},
        .methods = {kFit}},
       {.names = "--distribution",
        .target = &a.distribution,
        .help = "Of that noise: uniform in [0, 0.1), or normal with sigma 0.1",
        .checks = {one_of({"uniform", "normal"})},
        .methods = {kFit}},
       {.names = "--optimize",
        .takes = "net|input|net,input",
        .target = &a.optimize,
        .help = "What is fitted: net (the weights), input, or net,input",
        .checks = {what_is_fitted()},
        .methods = {kFit}},
       {.names = "--bit-depth",
        .target = &a.bit_depth,
        .help = "Of a PNG or a JPEG XL: 8 or 16 (default: as the input)",
        .checks = {one_of({8, 16})}},
       {.names = "--quality",
        .target = &a.quality,
        .help = fmt::format("Of an OUTPUT that is a JPEG (full chroma), 1 to 100 (default: {})", kUsualQuality),
        .checks = {range(1, 100)}},
       {.names = "--seed",
        .target = &a.seed,
        .help = "Of all random numbers; the same seed gives the same result",
        .checks = {whole_number()},
        .methods = {kFit, kLearn}},
       {.names = "--threads",
        .target = &a.threads,
        .help = "How many; 0: as OMP_NUM_THREADS says, else all CPUs that this process may use",
        .checks = {range(0, 4096)},
        .common = true},
       {.names = "--bind",
        .target = &a.bind,
        .help = "Which CPUs each thread is kept to: none, or one for each, as 'hourglass bench threads --help' says",
        .checks = {one_of({"none", "cores", "threads", "spread", "nodes"})},
        .methods = {kFit}},
       {.names = "--precision",
        .target = &a.precision,
        .help = "auto (bf16 where the CPU has it), f32 or bf16",
        .checks = {one_of({"auto", "f32", "bf16"})},
        .methods = {kFit, kLearn}},
       {.names = "--memory-limit",
        .takes = "SIZE",
        .target = &a.memory_limit,
        .help =
            "What the run may hold, as 4G or 800M (a number alone: bytes); one that needs more is refused, or fits the "
            "image in tiles (default: no limit). Several files share it",
        .checks = {memory_size()}}});
  add_stop_options(command, a.stop);
  add_file_options(command, a);
}

}  // namespace hourglass::cli
