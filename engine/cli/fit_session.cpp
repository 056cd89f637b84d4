#include "engine/cli/fit_session.h"

#include <chrono>
#include <filesystem>
#include <utility>

#include "engine/cli/command_text.h"
#include "engine/cli/json.h"
#include "engine/cli/same_file.h"
#include "engine/cli/settings.h"
#include "engine/image/file.h"
#include "engine/image/npy.h"
#include "engine/train/first_rate.h"
#include "graph/error.h"
#include "graph/onnx_export.h"
#include "graph/text.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

using Clock = std::chrono::steady_clock;

// What matters most comes first.
std::vector<std::string> step_fields(const RestoreStep& step, const std::string& input, const std::string& stopping,
                                     bool verbose) {
  std::string psnr = fmt::format("{:.2f} dB to the {}", step.psnr_degraded_average, input);
  if (step.psnr_original_average) psnr += fmt::format(", {:.2f} to the original", *step.psnr_original_average);
  std::vector<std::string> fields{psnr, stopping};
  if (verbose) fields.push_back(fmt::format("loss {:.3e}", step.loss));
  return fields;
}

Json step_values(const RestoreStep& step, const std::string& stopping) {
  Json values{{"loss", step.loss},
              {"psnr_degraded", step.psnr_degraded},
              {"psnr_degraded_average", step.psnr_degraded_average}};
  if (step.psnr_original) {
    values["psnr_original"] = *step.psnr_original;
    values["psnr_original_average"] = *step.psnr_original_average;
  }
  if (!stopping.empty()) values["stopping"] = stopping;
  return values;
}

}  // namespace

FitSession::FitSession(const FitRequest& request, Network network, std::vector<FitObserver*> observers)
    : request_(request),
      restoration_(request.what.task, std::move(network), op_table(), request.options, request.of_tile),
      checkpoint_(request.checkpoint),
      observers_(std::move(observers)) {
  const Settings settings(request.call.line, values_in_force(request));
  settings_ = settings.text();
  record_ = record_of(request, settings, restoration_.network_sha256());
  std::string rows;
  check_resumed(request);
  if (request.call.resumed) {
    const std::string& from = request.call.resumed_from;
    try {
      Archive& archive = *request.call.resumed;
      restoration_.load(archive);
      rows = archive.text("history");
      log_.load(archive.part("log"));
      for (FitObserver* observer : observers_) observer->load(archive);
      archive.close();
    } catch (const Error& error) {
      throw error.within(from);
    }
    if (same_file(request.checkpoint.path, from)) checkpoint_.adopt();
  }
  // Of a run that this one takes the place of.
  if (request.force && std::filesystem::is_regular_file(request.checkpoint.path)) checkpoint_.adopt();
  history_.emplace(request.history, kFitColumns, record_, std::move(rows), request.may_replace(request.history));
  profile_.emplace(request.profile, request.may_replace(request.profile));
}

void FitSession::put_away(Progress& progress) {
  Archive archive;
  restoration_.save(archive);
  sign_checkpoint(archive, request_, settings_,
                  {request_.output, request_.history, request_.save_network, request_.save_input, request_.report,
                   request_.profile});
  archive.put("history", history_->rows());
  Archive log;
  log_.save(log);
  archive.put("log", log);
  for (const FitObserver* observer : observers_) observer->save(archive);
  try {
    checkpoint_.write(archive, restoration_.seconds());
    put_away_ = true;
  } catch (const Error& error) {
    // No reason to end the run.
    put_away_ = false;
    progress.say(std::string("warning: ") + error.what());
  }
}

void FitSession::show(Progress& progress, const RestoreStep& step) {
  const int64_t total = step.total + restoration_.iterations_left();
  if (!progress.due(step.total, total, step.seconds)) return;
  const std::string stopping = restoration_.first().stopping_text();
  progress.show(
      {.done = step.total,
       .total = total,
       .seconds = step.seconds,
       .may_stop_early = request_.options.stopping.kind != StoppingKind::none,
       .fields = step_fields(step, request_.what.jpeg != nullptr ? "JPEG" : "input", stopping, request_.verbose > 0),
       .values = step_values(step, stopping)});
}

void FitSession::after(const RestoreStep& step, Progress& progress) {
  history_->add(step);
  log_.add(step);
  for (FitObserver* observer : observers_) {
    try {
      observer->on_step(step, log_);
    } catch (const Error& error) {
      progress.say(std::string("warning: ") + error.what());
    }
  }
  if (!step.note.empty()) progress.say("note: " + step.note);
}

// The first lane's trial as a stage of its own. The others' go on beside it, and end with it where a signal comes.
Restoration::OnTrial FitSession::trial_watch(Progress& progress, const InterruptGuard& interrupt, bool& shown) {
  const int first = restoration_.runs_ended();
  return [&progress, &interrupt, &shown, first, start = Clock::now()](int run, int64_t iterations) {
    if (run == first) {
      if (!shown) progress.begin("trial");
      shown = true;
      const int64_t most = most_trial_iterations();
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      if (progress.due(iterations, most, seconds)) {
        progress.show({.done = iterations,
                       .total = most,
                       .seconds = seconds,
                       .may_stop_early = true,
                       .fields = {"learning rates are tried"}});
      }
    }
    return interrupt.signal() == 0;
  };
}

void FitSession::run(Progress& progress, const InterruptGuard& interrupt) {
  progress.begin("fit");
  bool plan_shown = request_.verbose < 2;
  while (!restoration_.done() && interrupt.signal() == 0) {
    bool trial_shown = false;
    const std::vector<RestoreStep> round =
        restoration_.round(profile_->parts(), trial_watch(progress, interrupt, trial_shown));
    if (trial_shown) progress.begin("fit");
    if (round.empty()) break;  // a signal ended a trial
    const Plan& plan = restoration_.first().fit().plan();
    if (!plan_shown) progress.say_table(plan_text(plan, request_.verbose > 2));
    plan_shown = true;
    for (const RestoreStep& step : round) after(step, progress);
    learning_rate_ = restoration_.first().first_rate();
    rate_was_found_ = restoration_.first().rate_was_found();
    profile_->on_step(round.front(), plan, progress);
    const RestoreStep& last = round.back();
    const double left = static_cast<double>(restoration_.iterations_left()) / static_cast<double>(last.total);
    if (checkpoint_.due(last.seconds, last.seconds * (1 + left))) put_away(progress);
    show(progress, last);
  }
  if (!restoration_.done() && begun() && checkpoint_.possible()) put_away(progress);
  history_->try_flush();
}

bool FitSession::is_ahead() const {
  // Finished, the small network's average of 100 iterations is within 0.02 dB of the filter's result or above it, that
  // of 200 never below (astronaut and camera of the tests, quality 10 and 40).
  constexpr int64_t kOvertakes = 200;
  // What no tile has given yet is as it was.
  if (request_.options.tile_side > 0) return restoration_.done();
  if (restoration_.runs_ended() > 0) return true;
  return begun() && request_.options.iterations - restoration_.first().iterations_left() >= kOvertakes;
}

std::string FitSession::tiles_text() const {
  if (request_.options.tile_side == 0 || restoration_.done()) return {};
  return fmt::format("{} of {} tiles are fitted, the others are as they were", restoration_.runs_ended(),
                     request_.options.runs);
}

Outcome FitSession::finish(Progress& progress, const InterruptGuard& interrupt) {
  // A signal that ended the fit has been obeyed: what there is, is finished.
  const int obeyed = interrupt.signal();
  const double begin = restoration_.seconds();
  progress.begin("finish");
  if (request_.saves_network()) weights_ = fitted_weights(restoration_.first().fit());
  RestoreResult result = restoration_.finish([&](double done) {
    progress.show_share(done, restoration_.seconds() - begin);
    return interrupt.signal() == obeyed;
  });
  Json values = details(result);
  return {.result = std::move(result), .method = kFit, .record = record(), .details = std::move(values)};
}

Outcome FitSession::leave(Outcome filtered) const {
  RestoreResult result = begun() ? restoration_.summary() : filtered.result;
  result.interrupted = true;
  result.finished = std::move(filtered.result.finished);
  filtered.details = details(result);
  filtered.result = std::move(result);
  return filtered;
}

Json FitSession::details(const RestoreResult& result) const {
  Json json{{"model", request_.model}, {"seed", request_.options.fit.seed}, {"stop", request_.stop}};
  if (request_.options.tile_side > 0) {
    json["tiles"] = request_.options.runs;
  } else if (request_.options.runs > 1) {
    json["at_once"] = request_.options.at_once;
  }
  json["learning_rate"] = learning_rate_;
  json["stopped_early"] = result.stopped_early;
  json["memory_bytes"] = result.memory_bytes;
  return json;
}

std::string FitSession::record() const {
  if (!request_.options.find_rate) return record_;
  return record_ + fmt::format("learning rate {}{:.3g}\n", rate_was_found_ ? "found " : "", learning_rate_);
}

// How the network came about, whatever the image is.
std::string FitSession::description_of(const RestoreResult& result) const {
  const std::string text = record() + fmt::format("iterations {}\n", result.iterations);
  return result.interrupted ? text + kUnfinishedLine : text;
}

void FitSession::save_network(const Outcome& outcome, Progress& progress) {
  if (!request_.saves_network() || !begun()) return;
  if (!weights_) weights_ = fitted_weights(restoration_.first().fit());
  const FittedNetwork fitted =
      fitted_network(restoration_.network(), *weights_, op_table(), threads_of(request_.options));
  weights_.reset();
  if (const std::string& path = request_.save_input; !path.empty()) {
    write_file_atomically(path, encode_npy(network_input(fitted.graph)), request_.may_replace(path));
  }
  const std::string& path = request_.save_network;
  if (path.empty()) return;
  std::vector<std::string> own_ops;
  const std::string bytes =
      export_onnx(fitted.graph, {.description = description_of(outcome.result), .own_ops = &own_ops});
  write_file_atomically(path, bytes_of(bytes), request_.may_replace(path));
  progress.say(fmt::format("{}: the fitted network and its input, PSNR of its image to the input {:.2f} dB", path,
                           request_.what.task.psnr_degraded(fitted.image.data())));
  if (!own_ops.empty()) {
    progress.say(fmt::format("note: {}: runs here only, since ONNX's opset {} does not have {} as the network uses it",
                             path, kNewerExportOpset, join(own_ops, ", ")));
  }
}

void FitSession::close(Progress& progress) {
  history_->flush();
  profile_->close(progress);
}

void FitSession::end(const Outcome& outcome) {
  ended_ = !outcome.result.interrupted;
  if (ended_) checkpoint_.remove();
}

std::string FitSession::plan_summary(const RestoreResult& result) {
  return fmt::format("canvas {}x{}, {:.1f} MiB, {} reorders per iteration", result.canvas_width, result.canvas_height,
                     static_cast<double>(result.memory_bytes) / (1 << 20), result.reorders);
}

std::string FitSession::resume_command() const {
  return put_away_ && !ended_ ? cli::resume_command(request_, checkpoint_.path()) : std::string();
}

}  // namespace hourglass::cli
