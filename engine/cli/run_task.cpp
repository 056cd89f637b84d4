#include "engine/cli/run_task.h"

#include <signal.h>  // SIGHUP is POSIX
#include <unistd.h>

#include <filesystem>

#include "engine/cli/fit_session.h"
#include "engine/cli/json.h"
#include "engine/cli/live_report.h"
#include "engine/cli/network_option.h"
#include "engine/cli/output.h"
#include "engine/cli/progress.h"
#include "engine/cli/same_file.h"
#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/measure/scaling.h"
#include "engine/report/run_log.h"
#include "engine/runtime/cpus.h"
#include "engine/runtime/precision.h"
#include "graph/error.h"
#include "models/builtin.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

// photo.jpg -> photo.restored.png, beside it; a stream -> a stream.
std::string default_output(const std::string& input, const std::string& suffix) {
  if (input == "-") return "-";
  std::filesystem::path path(input);
  path.replace_extension(suffix);
  return path.string();
}

// Whether the file is there and the run that goes on has written it.
bool is_ours(const FitArguments& arguments, const std::string& path) {
  return arguments.resumed && written_by(*arguments.resumed, path);
}

// Where the run is put away: where it is told, where it came from, or beside an output that is a file.
std::string checkpoint_path(const FitArguments& arguments) {
  namespace fs = std::filesystem;
  const std::string& told = arguments.checkpoint.empty() ? arguments.resume : arguments.checkpoint;
  if (!told.empty()) return told;
  std::error_code ignored;
  const fs::file_status status = fs::status(arguments.output, ignored);
  if (arguments.output == "-" || (fs::exists(status) && !fs::is_regular_file(status))) return {};
  return arguments.output + ".ckpt";
}

void check_outputs(const FitArguments& arguments, const TaskRun& what) {
  const std::vector<NamedFile> outputs{{"--output", arguments.output},
                                       {"--history", arguments.history},
                                       {"--report", arguments.report},
                                       {"--profile", arguments.profile}};
  std::vector<NamedFile> inputs{{"input", what.original}, {"input", arguments.input}};
  inputs.emplace_back("--reference", arguments.reference);
  if (find_builtin(arguments.model) == nullptr) inputs.emplace_back("--model", arguments.model);
  inputs.insert(inputs.end(), what.inputs.begin(), what.inputs.end());
  std::vector<NamedFile> all = outputs;
  all.emplace_back(arguments.checkpoint.empty() ? "checkpoint" : "--checkpoint", checkpoint_path(arguments));
  check_distinct(inputs, all);
  // A run may be put away where it came from.
  check_distinct({{"--resume", arguments.resume}}, outputs);
  if (arguments.json) {
    for (const auto& [option, path] : outputs) {
      if (path == "-" && option != "--output") fail("{} - and --json both go to standard output: name a file", option);
    }
  }
  for (const auto& [option, path] : outputs) {
    if (!path.empty()) check_writable(path, arguments.force || is_ours(arguments, path));
  }
}

std::string checked_checkpoint_path(const FitArguments& arguments) {
  std::string path = checkpoint_path(arguments);
  if (path.empty() || same_file(path, arguments.resume)) return path;
  if (!arguments.force && std::filesystem::is_regular_file(path)) {
    fail("{0}: exists already: an earlier run was not finished. --resume {0} goes on with it, --force begins anew",
         path);
  }
  check_writable(path, true);
  return path;
}

// The original as the result's equal: gray is compared with gray, colour with colour.
Image load_reference(const std::string& path, const Image& sought) {
  Image image = read_image(path).image;
  if (image.width != sought.width || image.height != sought.height) {
    fail("{}: is {}x{}, the result will be {}x{}: the reference must be its original", path, image.width, image.height,
         sought.width, sought.height);
  }
  if (image.channels == sought.channels) return image;
  return sought.channels == 1 ? to_gray(image) : gray_to_rgb(image);
}

constexpr int64_t kMeshgridDepth = 2;

// The errors of a network's file, before anything else is said.
void check_network(const ChosenNetwork& network, const Image& image, InputKind input) {
  try {
    const Network bound = bind_network(network.make, op_table(), image);
    const int64_t depth = bound.graph.shape(bound.input)[1];
    if (input == InputKind::meshgrid && depth != kMeshgridDepth) {
      fail(
          "its input has {} channel{}, and --input meshgrid has two: 'hourglass model make --depth 2' makes such "
          "networks",
          depth, depth == 1 ? "" : "s");
    }
  } catch (const Error& error) {
    // The importer names the file by itself.
    if (std::string_view(error.what()).find(network.name) != std::string_view::npos) throw;
    throw error.within(network.name);
  }
}

// The texts of the command line into the options that they stand for.
void resolve(FitArguments& arguments, const TaskRun& what) {
  RestoreOptions& options = arguments.options;
  if (!arguments.reference.empty()) options.original = load_reference(arguments.reference, what.task.baseline());
  options.bit_depth = arguments.bit_depth.value_or(what.input.bit_depth);
  options.stopping = resolve_stop(arguments.stop, static_cast<bool>(what.task.discrepancy()));
  options.schedule = arguments.schedule == "cosine" ? Schedule::cosine : Schedule::constant;
  options.fit.optimize_network = arguments.optimize != "input";
  options.fit.optimize_input = arguments.optimize != "net";
  options.fit.input = arguments.network_input == "meshgrid" ? InputKind::meshgrid
                      : arguments.distribution == "normal"  ? InputKind::normal
                                                            : InputKind::uniform;
  if (arguments.input_noise) options.fit.input_noise = *arguments.input_noise;
  options.fit.memory_limit = arguments.memory_limit.value_or(0);
  options.fit.precision = choose_precision(arguments.precision);
  if (options.fit.precision == Precision::bf16 && !has_native_bf16()) {
    fail("--precision bf16: this CPU has no bf16 arithmetic, emulating it would be slower than f32; use f32 or auto");
  }
}

// How many runs go on at once.
int choose_at_once(const FitArguments& arguments, const Task& task, const NetworkFactory& network, Progress& progress) {
  const RestoreOptions& options = arguments.options;
  if (arguments.at_once) return std::min(*arguments.at_once, options.runs);
  // Shorter fits end before it is known how they are best done.
  constexpr int64_t kWorthTiming = 200;
  constexpr double kSeconds = 1.5;  // for each number
  const int threads = options.fit.threads > 0 ? options.fit.threads : available_cpus();
  if (options.runs == 1 || threads == 1 || options.iterations < kWorthTiming) return 1;
  const Problem problem = make_problem(task, network, op_table());
  const ShareMaker make = [&](int at_once, int share) {
    FitOptions of_one = options.fit;
    of_one.threads = share;
    of_one.memory_limit /= static_cast<std::size_t>(at_once);
    return std::make_unique<Fit>(problem, op_table(), of_one);
  };
  const int at_once = best_split(make, options.runs, threads, kSeconds);
  progress.say(
      fmt::format("{} runs: {} at once on {} thread{} each are done soonest, as a short timing says (--at-once)",
                  options.runs, at_once, threads / at_once, threads / at_once == 1 ? "" : "s"));
  return at_once;
}

void write_png_of(const FitArguments& arguments, const TaskRun& what, const RestoreResult& result,
                  const std::string& record, const std::string& path, bool overwrite) {
  Metadata metadata = what.input.metadata;
  constexpr const char* kKeyword = "hourglass";
  std::erase_if(metadata.text, [&](const auto& entry) { return entry.first == kKeyword; });
  metadata.text.emplace_back(kKeyword, record);
  PngOptions png;
  png.bit_depth = arguments.options.bit_depth;
  png.metadata = &metadata;
  write_png(path, result.finished.image, png, overwrite);
}

// Where its place turns out to be full, taken or gone, the result goes to the folder for temporary files: hours may
// have gone into it.
void write_result(const FitArguments& arguments, const TaskRun& what, const RestoreResult& result,
                  const std::string& record) {
  namespace fs = std::filesystem;
  const bool overwrite = arguments.force || is_ours(arguments, arguments.output);
  try {
    write_png_of(arguments, what, result, record, arguments.output, overwrite);
  } catch (const Error& error) {
    std::string instead;
    try {
      instead = (fs::temp_directory_path() / fmt::format("hourglass-{}.png", ::getpid())).string();
      write_png_of(arguments, what, result, record, instead, false);
    } catch (const std::exception&) {
      throw error;  // what is wrong in the first place
    }
    fail("{}; the result is in {}", error.what(), instead);
  }
}

// PSNR to the original, where it is known.
struct Quality {
  std::optional<double> before, after;
};

Quality measure(const FitArguments& arguments, const TaskRun& what, const RestoreResult& result) {
  if (!arguments.options.original) return {};
  const Image& original = *arguments.options.original;
  return {.before = psnr(what.task.baseline(), original), .after = psnr(result.finished.image, original)};
}

// How far the result is from what the JPEG decodes to, rms in grey levels.
double change_255(const TaskRun& what, const RestoreResult& result) {
  return rms_255(psnr(what.task.baseline(), result.finished.image));
}

std::string change_text(double change) {
  constexpr double kHardly = 0.5;  // less than what rounding to 8 bits may do
  return change < kHardly
             ? fmt::format(
                   "there was hardly anything to restore: the result stays within {:.2f} grey levels (rms) of "
                   "the decoded JPEG",
                   change)
             : fmt::format("the result differs from the decoded JPEG by {:.1f} grey levels (rms)", change);
}

void say_result(Progress& progress, const FitArguments& arguments, const TaskRun& what, const RestoreResult& result,
                const Quality& quality) {
  if (arguments.verbose) {
    progress.say(fmt::format("canvas {}x{}, {:.1f} MiB, {} reorders per iteration", result.canvas_width,
                             result.canvas_height, static_cast<double>(result.memory_bytes) / (1 << 20),
                             result.reorders));
  }
  if (result.finished.cells) {
    progress.say(fmt::format(
        "{:.3f} % of the JPEG's coefficients come out as in the file ({:.3f} % before rounding to {} bits)",
        100 * result.finished.cells->rounded, 100 * result.finished.cells->exact, arguments.options.bit_depth));
  }
  if (what.jpeg != nullptr) progress.say(change_text(change_255(what, result)));
  if (quality.before) {
    progress.say(fmt::format("PSNR to the original: {:.2f} dB before, {:.2f} dB after ({:+.2f} dB)", *quality.before,
                             *quality.after, *quality.after - *quality.before));
  }
  progress.say(fmt::format("{}: {} in {} ({} iteration{})", arguments.output, what.verb, duration_text(result.seconds),
                           result.iterations, result.iterations == 1 ? "" : "s"));
}

// Where the PNG itself goes to stdout, the objects make way.
std::FILE* json_stream(const FitArguments& arguments) { return arguments.output == "-" ? stderr : stdout; }

void print_json(const FitArguments& arguments, const TaskRun& what, const RestoreResult& result,
                const Quality& quality) {
  Json json;
  json["input"] = arguments.input;
  json["output"] = arguments.output;
  json["model"] = arguments.model;
  json.update(what.details);
  json["seed"] = arguments.options.fit.seed;
  json["stop"] = arguments.stop.rule;
  if (arguments.options.runs > 1) json["at_once"] = arguments.options.at_once;
  json["iterations"] = result.iterations;
  json["seconds"] = result.seconds;
  json["interrupted"] = result.interrupted;
  json["stopped_early"] = result.stopped_early;
  json["memory_bytes"] = result.memory_bytes;
  if (result.finished.cells) {
    json["cells_exact"] = result.finished.cells->exact;
    json["cells_rounded"] = result.finished.cells->rounded;
  }
  if (what.jpeg != nullptr) json["change_rms_255"] = change_255(what, result);
  if (quality.before) {
    json["psnr_degraded"] = *quality.before;
    json["psnr_restored"] = *quality.after;
  }
  print_to(json_stream(arguments), json.text() + "\n");
}

}  // namespace

std::string kind_of(const TaskRun& what) {
  if (!what.kind.empty()) return what.kind;
  const DecodedImage& input = what.input;
  if (input.format == ImageFormat::png) return "PNG";
  return input.image.channels == 1 ? "gray JPEG" : "colour JPEG";
}

ExitCode run_task(FitArguments& arguments, const TaskRun& what) {
  if (arguments.output.empty()) arguments.output = default_output(arguments.input, what.suffix);
  check_outputs(arguments, what);
  resolve(arguments, what);
  const Image& sought = what.task.baseline();
  const InputKind input = arguments.options.fit.input;
  const ChosenNetwork network = choose_network(
      arguments.model,
      {.output_channels = sought.channels, .input_depth = input == InputKind::meshgrid ? kMeshgridDepth : 0});
  check_network(network, sought, input);

  Progress progress({.quiet = arguments.quiet, .json = arguments.json ? json_stream(arguments) : nullptr});
  arguments.options.at_once = choose_at_once(arguments, what.task, network.make, progress);
  std::optional<LiveReport> report;
  std::vector<FitObserver*> observers = what.observers;
  if (!arguments.report.empty()) {
    observers.push_back(&report.emplace(arguments, what));
    arguments.options.profile = true;
  }
  FitSession session(arguments, what, network.make,
                     {.path = checked_checkpoint_path(arguments),
                      .on_request = !arguments.checkpoint.empty(),
                      .every_seconds = arguments.checkpoint_every},
                     observers);
  for (const std::string& warning : what.input.warnings) progress.say("warning: " + arguments.input + ": " + warning);
  progress.say(
      fmt::format("{}: {} {}x{}", arguments.input, kind_of(what), what.input.image.width, what.input.image.height));
  for (const std::string& note : *network.notes) progress.say("note: " + arguments.model + ": " + note);
  const RestoreResult result = session.run(progress);
  progress.finish();

  write_result(arguments, what, result, session.record());
  session.close(progress);
  for (FitObserver* observer : observers) observer->on_result(result, session.log());
  const Quality quality = measure(arguments, what, result);
  say_result(progress, arguments, what, result, quality);
  if (arguments.json) print_json(arguments, what, result, quality);
  if (!result.interrupted) return ExitCode::ok;
  progress.say("stopped early, as asked: the result is what had been reached");
  if (!session.resume_command().empty()) progress.say("to go on: " + session.resume_command());
  return session.signal() == SIGTERM  ? ExitCode::terminated
         : session.signal() == SIGHUP ? ExitCode::hung_up
                                      : ExitCode::interrupted;
}

}  // namespace hourglass::cli
