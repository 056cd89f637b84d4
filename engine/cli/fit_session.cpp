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

bool written_by(const Archive& checkpoint, const std::string& path) {
  const std::string sought = canonical_path(path);
  std::istringstream lines(checkpoint.text("outputs"));
  for (std::string line; std::getline(lines, line);) {
    if (line == sought) return true;
  }
  return false;
}

FitSession::FitSession(const FitArguments& arguments, const TaskRun& what, const NetworkFactory& network,
                       const CheckpointOptions& checkpoint, std::vector<FitObserver*> observers)
    : arguments_(arguments),
      what_(what),
      restoration_(what.task, network, op_table(), arguments.options),
      checkpoint_(checkpoint),
      observers_(std::move(observers)) {
  Settings settings(*arguments.command);
  for (const auto& [name, value] : values_in_force(arguments)) settings.set(name, value);
  settings_ = settings.text();
  record_ = settings.command_line() + "\n";
  if (!what.input.sha256.empty()) record_ += "input sha256 " + what.input.sha256 + "\n";
  record_ += "network sha256 " + restoration_.network_sha256() + "\n" + versions() + "\n";
  std::string rows;
  if (arguments.resumed) {
    try {
      const Archive& archive = *arguments.resumed;
      if (archive.text("input_sha256") != what.input.sha256) {
        fail("was begun with another input than {}", arguments.input);
      }
      restoration_.load(archive);
      rows = archive.text("history");
      log_.load(archive.part("log"));
      for (FitObserver* observer : observers_) observer->load(archive);
    } catch (const Error& error) {
      throw error.within(arguments.resume);
    }
    if (same_file(checkpoint.path, arguments.resume)) checkpoint_.adopt();
  }
  const auto may_overwrite = [&](const std::string& path) {
    return arguments.force || (arguments.resumed && !path.empty() && written_by(*arguments.resumed, path));
  };
  history_.emplace(arguments.history, record_, std::move(rows), may_overwrite(arguments.history));
  profile_.emplace(arguments.profile, may_overwrite(arguments.profile));
}

void FitSession::put_away(Progress& progress) {
  Archive archive;
  restoration_.save(archive);
  archive.put("settings", settings_);
  archive.put("input_sha256", what_.input.sha256);
  archive.put("history", history_->rows());
  Archive log;
  log_.save(log);
  archive.put("log", log);
  for (const FitObserver* observer : observers_) observer->save(archive);
  std::string outputs;
  for (const std::string& path : {arguments_.output, arguments_.history, arguments_.report, arguments_.profile}) {
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
                 .may_stop_early = arguments_.options.stopping.kind != StoppingKind::none,
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
  bool plan_shown = !arguments_.verbose;
  while (!restoration_.done() && interrupt_.signal() == 0) {
    const std::vector<RestoreStep> round = restoration_.round(profile_->parts());
    const Plan& plan = restoration_.first().fit().plan();
    if (!plan_shown) progress.say(plan_text(plan));
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
  if (what_.jpeg != nullptr && what_.task.baseline().plane_size() > kLarge) {
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
  const ParsedCommand& line = *arguments_.command;
  const std::string& input = what_.original.empty() ? arguments_.input : what_.original;
  const std::string& output = line.given("output") ? line.find("output")->value : arguments_.output;
  std::string command = fmt::format("hourglass {} {} -o {} --resume {}", line.name, quoted(input), quoted(output),
                                    quoted(checkpoint_.path()));
  // What the command line must hold in any case, such as a mask, or one of a choice.
  for (const ParsedOption& one : line.options) {
    const bool needed = one.option.required || (!one.option.choice.empty() && one.given);
    if (needed && one.name != "output") command += " --" + one.name + " " + quoted(one.value);
  }
  if (!arguments_.reference.empty()) command += " --reference " + quoted(arguments_.reference);
  for (const char* name : {"history", "report"}) {
    if (line.given(name)) command += fmt::format(" --{} {}", name, quoted(line.find(name)->value));
  }
  return command;
}

}  // namespace hourglass::cli
