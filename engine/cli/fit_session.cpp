#include "engine/cli/fit_session.h"

#include <algorithm>
#include <sstream>

#include "engine/cli/command_text.h"
#include "engine/cli/json.h"
#include "engine/cli/same_file.h"
#include "engine/cli/settings.h"
#include "engine/cli/version.h"
#include "graph/error.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

std::string versions() {
  std::string text = version_text();
  std::replace(text.begin(), text.end(), '\n', ',');
  return text;
}

std::string step_text(const RestoreStep& step, const std::string& stopping) {
  std::string text = fmt::format("PSNR: input {:.2f}", step.psnr_degraded_average);
  if (step.psnr_original_average) text += fmt::format(", original {:.2f}", *step.psnr_original_average);
  text += fmt::format(" dB  loss {:.3e}", step.loss);
  return stopping.empty() ? text : text + "  " + stopping;
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
      restoration_(request.what.task, std::move(network), op_table(), request.options),
      checkpoint_(request.checkpoint),
      observers_(std::move(observers)) {
  Settings settings(request.call.line);
  for (const auto& [name, value] : values_in_force(request)) settings.set(name, value);
  settings_ = settings.text();
  const std::string& sha256 = request.what.input.sha256;
  record_ = settings.command_line() + "\n";
  if (!sha256.empty()) record_ += "input sha256 " + sha256 + "\n";
  record_ += "network sha256 " + restoration_.network_sha256() + "\n" + versions() + "\n";
  std::string rows;
  if (request.call.resumed) {
    const std::string& from = request.call.resumed_from;
    try {
      const Archive& archive = *request.call.resumed;
      if (archive.text("input_sha256") != sha256) fail("was begun with another input than {}", request.input);
      restoration_.load(archive);
      rows = archive.text("history");
      log_.load(archive.part("log"));
      for (FitObserver* observer : observers_) observer->load(archive);
    } catch (const Error& error) {
      throw error.within(from);
    }
    if (same_file(request.checkpoint.path, from)) checkpoint_.adopt();
  }
  history_.emplace(request.history, record_, std::move(rows), request.may_replace(request.history));
  profile_.emplace(request.profile, request.may_replace(request.profile));
}

void FitSession::put_away(Progress& progress) {
  Archive archive;
  restoration_.save(archive);
  archive.put("settings", settings_);
  archive.put("input_sha256", request_.what.input.sha256);
  archive.put("history", history_->rows());
  Archive log;
  log_.save(log);
  archive.put("log", log);
  for (const FitObserver* observer : observers_) observer->save(archive);
  std::string outputs;
  for (const std::string& path : {request_.output, request_.history, request_.report, request_.profile}) {
    if (!path.empty()) outputs += canonical_path(path) + "\n";
  }
  archive.put("outputs", outputs);
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
  progress.show({.done = step.total,
                 .total = total,
                 .seconds = step.seconds,
                 .may_stop_early = request_.options.stopping.kind != StoppingKind::none,
                 .text = step_text(step, stopping),
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

RestoreResult FitSession::run(Progress& progress) {
  bool plan_shown = request_.verbose == 0;
  while (!restoration_.done() && interrupt_.signal() == 0) {
    const std::vector<RestoreStep> round = restoration_.round(profile_->parts());
    const Plan& plan = restoration_.first().fit().plan();
    if (!plan_shown) progress.say(plan_text(plan, request_.verbose > 1));
    plan_shown = true;
    for (const RestoreStep& step : round) after(step, progress);
    profile_->on_step(round.front(), plan, progress);
    const RestoreStep& last = round.back();
    const double left = static_cast<double>(restoration_.iterations_left()) / static_cast<double>(last.total);
    if (checkpoint_.due(last.seconds, last.seconds * (1 + left))) put_away(progress);
    show(progress, last);
  }
  if (!restoration_.done() && checkpoint_.possible()) put_away(progress);
  history_->try_flush();
  // Large images take a while, and the bar stands still.
  constexpr int64_t kLarge = 1 << 20;
  if (request_.what.jpeg != nullptr && request_.what.task.baseline().plane_size() > kLarge) {
    progress.say("the fit has ended; the result is being finished");
  }
  return restoration_.finish();
}

void FitSession::close(Progress& progress) {
  history_->flush();
  profile_->close(progress);
  if (restoration_.done()) checkpoint_.remove();
}

std::string FitSession::resume_command() const {
  if (!put_away_ || restoration_.done()) return {};
  const ParsedCommand& line = request_.call.line;
  const std::string& output = line.given("output") ? line.find("output")->value : request_.output;
  std::string command = fmt::format("hourglass {} {} -o {} --resume {}", line.name, quoted(request_.named_input()),
                                    quoted(output), quoted(checkpoint_.path()));
  // What the command line must hold in any case, such as a mask, or one of a choice.
  for (const ParsedOption& one : line.options) {
    const bool needed = one.option.required || (!one.option.choice.empty() && one.given);
    if (needed && one.name != "output") command += " --" + one.name + " " + quoted(one.value);
  }
  if (!request_.reference.empty()) command += " --reference " + quoted(request_.reference);
  for (const char* name : {"history", "report"}) {
    if (line.given(name)) command += fmt::format(" --{} {}", name, quoted(line.find(name)->value));
  }
  return command;
}

}  // namespace hourglass::cli
