#include <CLI/CLI.hpp>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/cli/commands.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/history.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/network_option.h"
#include "engine/cli/progress.h"
#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/restore/restore.h"
#include "engine/runtime/precision.h"
#include "graph/error.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

struct Arguments {
  std::string input, output, model = "small", reference, history, energy = "mse", precision = "auto",
                             schedule = "cosine";
  RestoreOptions options;
  std::optional<double> input_noise;
  bool force = false, quiet = false, verbose = false, json = false;
};

// photo.jpg -> photo.restored.png, beside it; a stream -> a stream.
std::string default_output(const std::string& input) {
  if (input == "-") return "-";
  std::filesystem::path path(input);
  path.replace_extension(".restored.png");
  return path.string();
}

void describe_file(Progress& progress, const Arguments& arguments, const RestoreInput& input) {
  const Image& image = input.degraded.image;
  std::string kind = "PNG";
  if (input.jpeg) {
    kind = input.jpeg->color == JpegColor::gray ? "gray JPEG" : "colour JPEG";
    for (const std::string& warning : input.degraded.warnings)
      progress.say("warning: " + arguments.input + ": " + warning);
  }
  progress.say(fmt::format("{}: {} {}x{}", arguments.input, kind, image.width, image.height));
}

// CLI11's range checks let NaN and infinity pass.
std::string check_finite(const std::string& text) {
  double value = 0;
  if (CLI::detail::lexical_cast(text, value) && std::isfinite(value)) return {};
  return "expected a finite number, got " + text;
}

void print_json(const Arguments& arguments, const RestoreResult& result, const std::optional<double>& before,
                const std::optional<double>& after) {
  nlohmann::ordered_json json;
  json["input"] = arguments.input;
  json["output"] = arguments.output;
  json["model"] = arguments.model;
  json["energy"] = arguments.energy;
  json["seed"] = arguments.options.fit.seed;
  json["iterations"] = result.iterations;
  json["seconds"] = result.seconds;
  json["interrupted"] = result.interrupted;
  json["memory_bytes"] = result.memory_bytes;
  const auto set = [&](const char* name, const std::optional<double>& value) {
    if (value) json[name] = *value;
  };
  set("cells_exact", result.cells_exact);
  set("cells_rounded", result.cells_rounded);
  set("psnr_degraded", before);
  set("psnr_restored", after);
  // Where the PNG itself goes to stdout, the report makes way.
  fmt::print(arguments.output == "-" ? stderr : stdout, "{}\n", json.dump());
}

// The original as the degraded image's equal: gray is compared with gray, colour with colour.
Image load_reference(const std::string& path, const Image& degraded) {
  Image image = read_image(path).image;
  if (image.width != degraded.width || image.height != degraded.height) {
    fail("{}: is {}x{}, the image to restore is {}x{}: the reference must be its original", path, image.width,
         image.height, degraded.width, degraded.height);
  }
  if (image.channels == degraded.channels) return image;
  return degraded.channels == 1 ? to_gray(image) : gray_to_rgb(image);
}

// The errors of a network's file, before anything else is said.
void check_network(const ChosenNetwork& network, const Image& image) {
  try {
    bind_network(network.make, op_table(), image);
  } catch (const Error& error) {
    // The importer names the file by itself.
    if (std::string_view(error.what()).find(network.name) != std::string_view::npos) throw;
    throw error.within(network.name);
  }
}

ExitCode run(Arguments& arguments) {
  if (arguments.output.empty()) arguments.output = default_output(arguments.input);
  check_writable(arguments.output, arguments.force);
  if (!arguments.history.empty()) {
    check_writable(arguments.history, arguments.force);
    if (arguments.history == arguments.output) fail("{}: is both the --output and the --history", arguments.output);
  }
  Progress progress(arguments.quiet ? Progress::Mode::quiet : Progress::Mode::normal);

  const RestoreInput input = load_input(arguments.input);
  RestoreOptions& options = arguments.options;
  options.energy = arguments.energy == "cell" ? EnergyKind::cell : EnergyKind::mse;
  if (!arguments.reference.empty()) options.original = load_reference(arguments.reference, input.degraded.image);
  if (options.energy == EnergyKind::cell && !input.jpeg) {
    fail("{}: is no JPEG, and only a JPEG states the cells that --energy cell fits to", arguments.input);
  }

  options.schedule = arguments.schedule == "cosine" ? Schedule::cosine : Schedule::constant;
  // Noise regularises: a small network is regular enough without, a larger one learns the artifacts.
  if (arguments.input_noise || arguments.model == "small") options.fit.input_noise = arguments.input_noise.value_or(0);
  options.fit.precision = choose_precision(arguments.precision);
  if (options.fit.precision == Precision::bf16 && !has_native_bf16()) {
    fail("--precision bf16: this CPU has no bf16 arithmetic, emulating it would be slower than f32; use f32 or auto");
  }
  const ChosenNetwork network = choose_network(arguments.model, input.degraded.image.channels);
  check_network(network, input.degraded.image);
  describe_file(progress, arguments, input);
  for (const std::string& note : *network.notes) progress.say("note: " + arguments.model + ": " + note);
  History history;
  InterruptGuard interrupt;
  const auto on_step = [&](const RestoreStep& step) {
    history.add(step);
    std::string text = fmt::format("PSNR: input {:.2f}", step.psnr_degraded_average);
    if (step.psnr_original_average) text += fmt::format(", original {:.2f}", *step.psnr_original_average);
    text += fmt::format(" dB  loss {:.3e}", step.loss);
    const int64_t total = step.iterations * options.runs;
    progress.show(step.run * step.iterations + step.iteration, total, step.seconds, text);
    return interrupt.signal() == 0;
  };
  const RestoreResult result = restore(input, network.make, op_table(), options, on_step);
  progress.finish();

  PngOptions png;
  png.bit_depth = options.bit_depth;
  png.metadata = &input.degraded.metadata;
  write_png(arguments.output, result.image, png, arguments.force);
  if (!arguments.history.empty()) {
    const std::string& text = history.text();
    write_file_atomically(arguments.history, {reinterpret_cast<const uint8_t*>(text.data()), text.size()},
                          arguments.force);
  }

  if (arguments.verbose) {
    progress.say(fmt::format("canvas {}x{}, {:.1f} MiB, {} reorders per iteration", result.canvas_width,
                             result.canvas_height, static_cast<double>(result.memory_bytes) / (1 << 20),
                             result.reorders));
  }
  if (result.cells_rounded) {
    progress.say(
        fmt::format("{:.3f} % of the JPEG's coefficients come out as in the file ({:.3f} % before rounding to {} bits)",
                    100 * *result.cells_rounded, 100 * *result.cells_exact, options.bit_depth));
  }
  std::optional<double> before, after;
  if (options.original) {
    before = psnr(input.degraded.image, *options.original);
    after = psnr(result.image, *options.original);
    progress.say(fmt::format("PSNR to the original: {:.2f} dB before, {:.2f} dB after ({:+.2f} dB)", *before, *after,
                             *after - *before));
  }
  progress.say(fmt::format("{}: restored in {} ({} iteration{})", arguments.output, duration_text(result.seconds),
                           result.iterations, result.iterations == 1 ? "" : "s"));
  if (arguments.json) print_json(arguments, result, before, after);
  if (result.interrupted) {
    progress.say("stopped early, as asked: the result is what had been reached");
    return interrupt.signal() == SIGTERM ? ExitCode::terminated : ExitCode::interrupted;
  }
  return ExitCode::ok;
}

}  // namespace

void add_restore_command(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  Arguments& a = *arguments;
  CLI::App* command = app.add_subcommand("restore", "Restore a compressed photograph from itself");
  command->footer(
      "Examples:\n"
      "  hourglass restore photo.jpg                      writes photo.restored.png beside it\n"
      "  hourglass restore photo.jpg -o clean.png --model standard --iterations 3000\n"
      "  hourglass restore small.jpg --reference original.png --history run.csv\n\n"
      "The network starts from noise and learns the photograph; the result is its average over the last hundred or so\n"
      "iterations, moved into the cells that the JPEG's quantization states. Ctrl-C ends early and keeps the result.");
  command->add_option("input", a.input, "The JPEG (or PNG, then without cells) to restore")->required();
  command->add_option("-o,--output", a.output, "The PNG to write (default: INPUT with .restored.png)");
  command->add_option("--model", a.model, "small, medium, standard, unet, or an ONNX file")->capture_default_str();
  command->add_option("--iterations", a.options.iterations, "How long to fit")
      ->check(CLI::Range(int64_t{1}, int64_t{10000000}))
      ->capture_default_str();
  command->add_option("--runs", a.options.runs, "Fits with different seeds whose results are averaged")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--schedule", a.schedule, "Of the learning rate: constant, or cosine to zero")
      ->check(CLI::IsMember({"constant", "cosine"}))
      ->capture_default_str();
  command->add_option("--learning-rate", a.options.fit.adam.learning_rate, "Adam's step")
      ->check(CLI::PositiveNumber)
      ->check(CLI::Validator(check_finite, ""))
      ->capture_default_str();
  command
      ->add_option("--input-noise", a.input_noise,
                   "Standard deviation of each iteration's noise on the input; default: 0 for small, 0.033 otherwise")
      ->check(CLI::NonNegativeNumber)
      ->check(CLI::Validator(check_finite, ""));
  command->add_option("--energy", a.energy, "mse (to the decoded pixels) or cell (to the JPEG's cells)")
      ->check(CLI::IsMember({"mse", "cell"}))
      ->capture_default_str();
  command->add_option("--half-width", a.options.half_width, "Of the cell energy, in quantization steps: 0 to 0.5")
      ->check(CLI::Range(0.0, 0.5))
      ->check(CLI::Validator(check_finite, ""))
      ->capture_default_str();
  command->add_flag("!--no-cells", a.options.use_cells, "Leave the result outside the JPEG's cells (the paper's way)");
  command->add_option("--bit-depth", a.options.bit_depth, "Of the PNG: 8 or 16")
      ->check(CLI::IsMember({8, 16}))
      ->capture_default_str();
  command->add_option("--seed", a.options.fit.seed, "Of all random numbers; the same seed gives the same result")
      ->capture_default_str();
  command->add_option("--threads", a.options.fit.threads, "0: all CPUs this process may use")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command->add_option("--precision", a.precision, "auto (bf16 where the CPU has it), f32 or bf16")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->capture_default_str();
  command->add_option("--reference", a.reference, "The original, if known: its PSNR is shown on the way");
  command->add_option("--history", a.history, "CSV of every iteration");
  command->add_flag("--force", a.force, "Overwrite files that exist");
  command->add_flag("-q,--quiet", a.quiet, "Only errors");
  command->add_flag("-v,--verbose", a.verbose, "Say more about the plan");
  command->add_flag("--json", a.json, "The result as one JSON object on stdout");
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace hourglass::cli
