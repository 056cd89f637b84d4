#include "engine/cli/run_task.h"

#include <fmt/core.h>
#include <signal.h>  // SIGHUP is POSIX

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/cli/filter_run.h"
#include "engine/cli/fit_session.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/learn_run.h"
#include "engine/cli/live_report.h"
#include "engine/cli/network_option.h"
#include "engine/cli/outcome.h"
#include "engine/cli/progress.h"
#include "engine/cli/run_report.h"
#include "engine/image/file.h"
#include "engine/image/jxl.h"
#include "engine/image/read_image.h"
#include "engine/restore/filter.h"
#include "engine/restore/jpeg_source.h"
#include "engine/restore/learn.h"
#include "engine/restore/noise_filter.h"
#include "engine/restore/restore.h"
#include "engine/runtime/waiting.h"
#include "graph/error.h"
#include "graph/text.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

void say_input(Progress& progress, const RunRequest& request) {
  const DecodedImage& input = request.what.input;
  for (const std::string& message : messages_of(request)) progress.say(message);
  progress.say(
      fmt::format("{}: {} {}x{}", request.input, kind_of(request.what), input.image.width, input.image.height));
  for (const std::string& text : request.what.notes) progress.say("note: " + text);
  if (const FirstCompression* first = request.what.first) {
    const bool shifted = first->x != 0 || first->y != 0, whole = first->file.color == request.what.jpeg->color;
    progress.say(fmt::format(
        "note: {}: was compressed before, at quality {} or so{}: {} restored from what that left (--once goes by this "
        "file alone)",
        request.input, first->quality,
        shifted ? fmt::format(", in blocks that begin {} pixels down and {} to the right", first->y, first->x) : "",
        whole ? "it is" : "its brightness is"));
  }
}

// For -v: what was decided, by whom ever.
void say_settled(Progress& progress, const RunRequest& request, const NamedValues& in_force) {
  if (request.verbose == 0) return;
  std::vector<std::string> values{"method " + request.what.method};
  for (const auto& [name, value] : in_force) values.push_back(name + " " + value);
  if (request.format == ImageFormat::jpeg) values.push_back(fmt::format("quality {}", request.quality));
  progress.say(fmt::format("{}: {}", request.output, join(values, ", ")));
  if (!request.what.found.empty()) progress.say(request.input + ": " + request.what.found);
}

// Of a picture that was compressed twice.
std::size_t more_memory(const TaskRun& what) {
  const Image& image = what.input.image;
  return what.first == nullptr ? 0 : first_memory(image.plane_size(), image.channels);
}

// While the result is encoded, with all that is held then.
std::size_t encoding_memory(const FitArguments& arguments, const Image& image) {
  const bool is_jxl = format_to_write(output_name(arguments.output)) == ImageFormat::jxl;
  return is_jxl ? jxl_memory(image.plane_size(), image.channels) : 0;
}

// Throws Error where a method takes more memory for the input than --memory-limit allows.
void check_memory(const FitArguments& arguments, const TaskRun& what, std::size_t needed, const char* advice) {
  if (!arguments.memory_limit) return;
  const Image& image = what.input.image;
  needed = std::max(needed, encoding_memory(arguments, image));
  if (needed <= *arguments.memory_limit) return;
  fail("{}: is {}x{}, for which --method {} needs about {}, and the limit is {}: {}", arguments.input, image.width,
       image.height, what.method, size_text(needed), size_text(*arguments.memory_limit), advice);
}

std::size_t filter_memory_of(const FitArguments& arguments, const TaskRun& what) {
  const Image& image = what.input.image;
  const auto memory = what.jpeg != nullptr ? filter_memory : noise_filter_memory;
  return memory(image.width, image.height, image.channels, threads_of(arguments.threads));
}

// Whether the run leaves no output: what it has is not final.
bool leaves_nothing(const RunRequest& request, const Outcome& outcome) {
  return request.final_only && outcome.result.interrupted;
}

// The last word, and what the shell is told.
ExitCode end_of(Progress& progress, const Outcome& outcome, int signal, const std::string& resume_command) {
  if (!outcome.result.interrupted) return ExitCode::ok;
  progress.say("stopped early, as asked: the result is what had been reached");
  if (!resume_command.empty()) progress.say_command("to go on", resume_command);
  return exit_code_of(signal);
}

ExitCode filter(const FitArguments& arguments, const FitCall& call, const TaskRun& what) {
  check_memory(arguments, what, filter_memory_of(arguments, what) + more_memory(what), "give it more");
  const RunRequest request = resolve_run(arguments, call, what);
  Progress progress(progress_options(request));
  say_input(progress, request);
  say_settled(progress, request, values_of_filter(request));
  const InterruptGuard interrupt;
  Outcome outcome = run_filter(request, progress, interrupt);
  progress.finish();
  if (leaves_nothing(request, outcome)) return exit_code_of(interrupt.signal());
  write_result(request, outcome, false);
  if (!request.report.empty()) {
    RunReport report(request, values_of_filter(request));
    report.write(report.result_page(outcome, "by the filter"));
  }
  tell_result(progress, request, outcome);
  return end_of(progress, outcome, interrupt.signal(), {});
}

// Planned for the user's own network alone: that of the program has been measured.
std::size_t lesson_memory(const FitArguments& arguments, const TaskRun& what, const NetworkFactory& network) {
  const Image& image = what.input.image;
  if (!arguments.memory_limit) return 0;
  if (comes_along(arguments.model)) return learn_memory(image.plane_size(), image.channels, what.learn.lessons);
  return learn_memory(image, network, op_table(),
                      {.iterations = what.learn.lessons,
                       .threads = threads_of(arguments.threads),
                       .precision = choose_precision(arguments.precision)});
}

ExitCode learn(const FitArguments& arguments, const FitCall& call, const TaskRun& what) {
  const Image& image = what.input.image;
  NetworkFactory network = network_to_teach(what, arguments);
  const bool learns = std::min(image.width, image.height) >= kLeastSideToLearn;
  constexpr std::size_t kNetworkFile = 4'000'000;  // read and looked at in any case
  std::size_t needed = filter_memory_of(arguments, what) + kNetworkFile;
  if (learns) {
    const std::size_t of_lesson = lesson_memory(arguments, what, network);
    // A JPEG's filter takes less than that: it goes tile by tile.
    needed = what.jpeg != nullptr ? of_lesson : std::max(needed, of_lesson);
  }
  check_memory(arguments, what, needed + more_memory(what), learns ? "--method filter needs less" : "give it more");
  const RunRequest request = resolve_run(arguments, call, what);
  check_resumed(request);
  Progress progress(progress_options(request));
  say_input(progress, request);
  say_settled(progress, request, values_of_learn(request, arguments));
  const InterruptGuard interrupt;
  LearnRun run = run_learn(request, arguments, std::move(network), progress, interrupt);
  progress.finish();
  if (run.nothing_new) {
    tell_nothing(progress, request, "stopped before there was anything new: what is there stays");
    progress.say_command("to go on", run.resume_command);
  }
  if (run.nothing_new || leaves_nothing(request, run.outcome)) return exit_code_of(interrupt.signal());
  write_result(request, run.outcome, run.wrote);
  if (!request.report.empty()) {
    RunReport report(request, values_of_learn(request, arguments));
    ReportPage page =
        report.result_page(run.outcome, "by the filter and a network that has learned from the photograph itself");
    add_lesson(run, report, page);
    report.write(page);
  }
  run.history->flush();
  tell_result(progress, request, run.outcome);
  if (!run.outcome.result.interrupted) run.checkpoint.remove();
  return end_of(progress, run.outcome, interrupt.signal(), run.resume_command);
}

// What is there from the first seconds on, while the fit goes on. None where it could not be replaced, and where the
// fit that goes on has a better one already.
std::optional<Outcome> first_result(const FitRequest& request, const FitSession& session, Progress& progress,
                                    const InterruptGuard& interrupt) {
  if (!request.what.filter_first || request.final_only || !request.is_rewritable() || session.is_ahead()) return {};
  Outcome outcome = run_filter(request, progress, interrupt);
  write_result(request, outcome, false);
  if (!outcome.result.interrupted) {
    progress.say(fmt::format("{}: the filter's result, {}; the fit's takes its place at the end", request.output,
                             duration_text(outcome.result.seconds)));
  }
  return outcome;
}

// Of a fit that a rule has ended before its last iteration.
std::string why_stopped(const FitRequest& request, const RestoreResult& result) {
  const std::string input = request.what.jpeg != nullptr ? "the JPEG" : "the input";
  std::string reason;
  switch (request.options.stopping.kind) {
    case StoppingKind::wmv:
    case StoppingKind::emv: reason = "its iterates had come to rest"; break;
    case StoppingKind::fixed: reason = "so --stop-at says"; break;
    case StoppingKind::energy: reason = "its loss had come down to --stop-at"; break;
    case StoppingKind::automatic:
    case StoppingKind::discrepancy:
    case StoppingKind::none: reason = "it agreed with " + input + " as well as the original would"; break;
  }
  return fmt::format("the fit ended after {} of at most {} iterations: {} ('hourglass help stopping')",
                     result.iterations, request.options.iterations * request.options.runs, reason);
}

ExitCode fit(const FitArguments& arguments, const FitCall& call, const TaskRun& what, const AdaptiveWaiting& waiting) {
  ResolvedFit resolved = resolve(arguments, call, what);
  const FitRequest& request = resolved.request;
  Progress progress(progress_options(request));
  if (!request.at_once_note.empty()) progress.say(request.at_once_note);
  if (!request.tiles_note.empty()) progress.say(request.input + ": " + request.tiles_note);
  std::optional<LiveReport> report;
  std::vector<FitObserver*> observers = what.observers;
  if (!request.report.empty()) observers.push_back(&report.emplace(request));
  FitSession session(request, std::move(resolved.network), observers);
  const InterruptGuard interrupt;
  say_input(progress, request);
  for (const std::string& note : request.notes) progress.say("note: " + request.model + ": " + note);
  NamedValues settled = values_in_force(request);
  settled.emplace_back("stop", request.stop);
  say_settled(progress, request, settled);

  std::optional<Outcome> first = first_result(request, session, progress, interrupt);
  try {
    session.run(progress, interrupt);
  } catch (const Error& error) {
    if (!first) throw;
    fail("{}; {} holds the filter's result", error.what(), request.output);
  }
  const bool replaced = first && session.is_ahead();
  if (!first && !session.begun()) {
    progress.finish();
    tell_nothing(progress, request, "stopped before the first iteration: nothing is written");
    return exit_code_of(interrupt.signal());
  }
  if (request.final_only && interrupt.signal() != 0) return exit_code_of(interrupt.signal());
  Outcome outcome = first && !replaced ? session.leave(std::move(*first)) : session.finish(progress, interrupt);
  if (leaves_nothing(request, outcome)) return exit_code_of(interrupt.signal());
  progress.finish();
  if (outcome.method == kFit) write_result(request, outcome, replaced);
  if (const std::string tiles = session.tiles_text(); outcome.method == kFit && !tiles.empty()) progress.say(tiles);
  if (outcome.result.stopped_early) progress.say(why_stopped(request, outcome.result));
  session.close(progress);
  for (FitObserver* observer : observers) observer->on_result(outcome, session.log());
  if (request.verbose > 0) {
    progress.say(session.plan_summary(outcome.result));
    if (waiting.seconds_asleep() > 0) {
      progress.say(fmt::format("other programs wanted the CPUs: waiting threads slept for {} of the fit",
                               duration_text(waiting.seconds_asleep())));
    }
  }
  tell_result(progress, request, outcome);
  session.save_network(outcome, progress);
  session.end(outcome);
  return end_of(progress, outcome, interrupt.signal(), session.resume_command());
}

}  // namespace

ExitCode run_task(const FitArguments& arguments, const FitCall& call, const TaskRun& what) {
  const AdaptiveWaiting waiting(threads_of(arguments.threads));
  if (what.method == kFilter) return filter(arguments, call, what);
  return what.method == kLearn ? learn(arguments, call, what) : fit(arguments, call, what, waiting);
}

}  // namespace hourglass::cli
