#include "engine/cli/run_task.h"

#include <fmt/format.h>
#include <signal.h>  // SIGHUP is POSIX
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "engine/cli/fit_session.h"
#include "engine/cli/json.h"
#include "engine/cli/live_report.h"
#include "engine/cli/output.h"
#include "engine/cli/progress.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

void write_png_of(const FitRequest& request, const RestoreResult& result, const std::string& record,
                  const std::string& path, bool overwrite) {
  Metadata metadata = request.what.input.metadata;
  constexpr const char* kKeyword = "hourglass";
  std::erase_if(metadata.text, [&](const auto& entry) { return entry.first == kKeyword; });
  metadata.text.emplace_back(kKeyword, record);
  PngOptions png;
  png.bit_depth = request.options.bit_depth;
  png.metadata = &metadata;
  write_png(path, result.finished.image, png, overwrite);
}

// Where its place turns out to be full, taken or gone, the result goes to the folder for temporary files: hours may
// have gone into it.
void write_result(const FitRequest& request, const RestoreResult& result, const std::string& record) {
  namespace fs = std::filesystem;
  const bool overwrite = request.may_replace(request.output);
  try {
    write_png_of(request, result, record, request.output, overwrite);
  } catch (const Error& error) {
    std::string instead;
    try {
      instead = (fs::temp_directory_path() / fmt::format("hourglass-{}.png", ::getpid())).string();
      write_png_of(request, result, record, instead, false);
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

Quality measure(const FitRequest& request, const RestoreResult& result) {
  if (!request.options.original) return {};
  const Image& original = *request.options.original;
  return {.before = psnr(request.what.task.baseline(), original), .after = psnr(result.finished.image, original)};
}

// How far the result is from what the JPEG decodes to, rms in grey levels.
double change_255(const FitRequest& request, const RestoreResult& result) {
  return rms_255(psnr(request.what.task.baseline(), result.finished.image));
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

void say_result(Progress& progress, const FitRequest& request, const RestoreResult& result, const Quality& quality) {
  if (request.verbose > 0) {
    progress.say(fmt::format("canvas {}x{}, {:.1f} MiB, {} reorders per iteration", result.canvas_width,
                             result.canvas_height, static_cast<double>(result.memory_bytes) / (1 << 20),
                             result.reorders));
  }
  if (result.finished.cells) {
    progress.say(fmt::format(
        "{:.3f} % of the JPEG's coefficients come out as in the file ({:.3f} % before rounding to {} bits)",
        100 * result.finished.cells->rounded, 100 * result.finished.cells->exact, request.options.bit_depth));
  }
  if (request.what.jpeg != nullptr) progress.say(change_text(change_255(request, result)));
  if (quality.before) {
    progress.say(fmt::format("PSNR to the original: {:.2f} dB before, {:.2f} dB after ({:+.2f} dB)", *quality.before,
                             *quality.after, *quality.after - *quality.before));
  }
  progress.say(fmt::format("{}: {} in {} ({} iteration{})", request.output, request.what.verb,
                           duration_text(result.seconds), result.iterations, result.iterations == 1 ? "" : "s"));
}

// Where the PNG itself goes to stdout, the objects make way.
std::FILE* json_stream(const FitRequest& request) { return request.output == "-" ? stderr : stdout; }

void print_json(const FitRequest& request, const RestoreResult& result, const Quality& quality) {
  Json json;
  json["input"] = request.input;
  json["output"] = request.output;
  json["model"] = request.model;
  json.update(request.what.details);
  json["seed"] = request.options.fit.seed;
  json["stop"] = request.stop;
  if (request.options.runs > 1) json["at_once"] = request.options.at_once;
  json["iterations"] = result.iterations;
  json["seconds"] = result.seconds;
  json["interrupted"] = result.interrupted;
  json["stopped_early"] = result.stopped_early;
  json["memory_bytes"] = result.memory_bytes;
  if (result.finished.cells) {
    json["cells_exact"] = result.finished.cells->exact;
    json["cells_rounded"] = result.finished.cells->rounded;
  }
  if (request.what.jpeg != nullptr) json["change_rms_255"] = change_255(request, result);
  if (quality.before) {
    json["psnr_degraded"] = *quality.before;
    json["psnr_restored"] = *quality.after;
  }
  print_to(json_stream(request), json.text() + "\n");
}

}  // namespace

ExitCode run_task(const FitArguments& arguments, const FitCall& call, const TaskRun& what) {
  ResolvedFit resolved = resolve(arguments, call, what);
  const FitRequest& request = resolved.request;
  Progress progress({.quiet = request.quiet, .json = request.json ? json_stream(request) : nullptr});
  if (!request.at_once_note.empty()) progress.say(request.at_once_note);
  std::optional<LiveReport> report;
  std::vector<FitObserver*> observers = what.observers;
  if (!request.report.empty()) observers.push_back(&report.emplace(request));
  FitSession session(request, std::move(resolved.network), observers);
  for (const std::string& warning : what.input.warnings) progress.say("warning: " + request.input + ": " + warning);
  progress.say(
      fmt::format("{}: {} {}x{}", request.input, kind_of(what), what.input.image.width, what.input.image.height));
  for (const std::string& note : request.notes) progress.say("note: " + request.model + ": " + note);
  const RestoreResult result = session.run(progress);
  progress.finish();

  write_result(request, result, session.record());
  session.close(progress);
  for (FitObserver* observer : observers) observer->on_result(result, session.log());
  const Quality quality = measure(request, result);
  say_result(progress, request, result, quality);
  if (request.json) print_json(request, result, quality);
  if (!result.interrupted) return ExitCode::ok;
  progress.say("stopped early, as asked: the result is what had been reached");
  if (!session.resume_command().empty()) progress.say("to go on: " + session.resume_command());
  return session.signal() == SIGTERM  ? ExitCode::terminated
         : session.signal() == SIGHUP ? ExitCode::hung_up
                                      : ExitCode::interrupted;
}

}  // namespace hourglass::cli
