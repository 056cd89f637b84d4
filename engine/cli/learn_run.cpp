#include "engine/cli/learn_run.h"

#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <utility>

#include "engine/cli/network_option.h"
#include "engine/cli/same_file.h"
#include "engine/image/metrics.h"
#include "engine/restore/jpeg_degradation.h"
#include "engine/restore/jpeg_source.h"
#include "engine/restore/learn.h"
#include "engine/restore/lesson.h"
#include "engine/restore/noise_degradation.h"
#include "engine/restore/noise_filter.h"
#include "engine/runtime/precision.h"
#include "graph/error.h"
#include "graph/onnx_import.h"
#include "models/embedded.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What is restored.
class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;

  [[nodiscard]] virtual const Degraded& photograph() const = 0;
  // What the filter makes of it; what there is by then, where it is ended early.
  virtual Image filter(const Advance& advance) = 0;
  // The result, of what the filter or the network makes.
  [[nodiscard]] virtual Finished finish(Image image) const = 0;
};

class OfJpeg : public Source {
 public:
  explicit OfJpeg(const RunRequest& request)
      : source_(*request.what.jpeg, request.what.input.image, request.what.first,
                {.levels = levels_of(request.bit_depth), .strength = request.what.learn.strength}),
        photograph_(degraded_jpeg(source_.model())) {}

  [[nodiscard]] const Degraded& photograph() const override { return *photograph_; }
  Image filter(const Advance& advance) override { return source_.filter(advance); }
  [[nodiscard]] Finished finish(Image image) const override { return source_.finish(std::move(image)); }

 private:
  JpegSource source_;
  std::unique_ptr<Degraded> photograph_;
};

class OfNoise : public Source {
 public:
  explicit OfNoise(const RunRequest& request)
      : request_(request),
        noisy_(request.what.input.image),
        sigma_(request.what.noise.value()),
        photograph_(degraded_by_noise(noisy_, sigma_)) {}

  [[nodiscard]] const Degraded& photograph() const override { return *photograph_; }
  Image filter(const Advance& advance) override { return filter_noise(noisy_, sigma_, advance); }
  [[nodiscard]] Finished finish(Image image) const override {
    return request_.what.task.finish(std::move(image), levels_of(request_.bit_depth), {});
  }

 private:
  const RunRequest& request_;
  const Image& noisy_;
  double sigma_;
  std::unique_ptr<Degraded> photograph_;
};

std::unique_ptr<Source> source_of(const RunRequest& request) {
  if (request.what.jpeg != nullptr) return std::make_unique<OfJpeg>(request);
  return std::make_unique<OfNoise>(request);
}

// The filter, whose result is written at once where it can be, then the lesson, with its progress, history and
// checkpoints.
class LearnSession {
 public:
  LearnSession(const RunRequest& request, const FitArguments& fit, NetworkFactory network, Progress& progress,
               const InterruptGuard& interrupt);

  LearnRun run();

 private:
  [[nodiscard]] double seconds() const { return earlier_ + seconds_since(start_); }
  void begin(const char* stage);
  // Progress within a stage, from 0 to 1; false when a signal has come.
  bool show(double done);
  Image filter();
  void learn(const Image& filtered);
  void after(const LearnStep& step);
  void put_away(Archive& archive);
  // Ended before it had gone beyond what it goes on with, which is still there.
  void end_with_nothing_new();

  const RunRequest& request_;
  const FitArguments& fit_;
  const LearnArguments& lesson_;
  Progress& progress_;
  const InterruptGuard& interrupt_;
  const Archive* resumed_;
  NetworkFactory network_;
  std::unique_ptr<Source> source_;
  int threads_;
  std::string settings_;
  LearnRun run_;
  double earlier_;  // seconds of the run that this one goes on with
  Clock::time_point start_, stage_;
  bool ended_ = false;  // by a signal
  // Of the steps of this part of the run: when the first was done, and which one that was.
  double first_step_at_ = 0;
  int64_t first_step_ = 0;
  std::vector<uint8_t> whole_lesson_;  // as a checkpoint, for a signal that comes while the network is applied
};

LearnSession::LearnSession(const RunRequest& request, const FitArguments& fit, NetworkFactory network,
                           Progress& progress, const InterruptGuard& interrupt)
    : request_(request),
      fit_(fit),
      lesson_(request.what.learn),
      progress_(progress),
      interrupt_(interrupt),
      resumed_(request.call.resumed.get()),
      network_(std::move(network)),
      threads_(threads_of(request.threads)),
      earlier_(resumed_ != nullptr ? resumed_->number("seconds") : 0) {
  source_ = source_of(request);
  start_ = stage_ = Clock::now();
  omp_set_num_threads(threads_);
  const Settings settings(of_method(request.call.line, kLearn), values_of_learn(request, fit));
  settings_ = settings.text();
  const std::string record = record_of(request, settings, {});
  run_.outcome = {.result = {}, .method = kLearn, .record = record};
  run_.of_noise = request.what.noise.has_value();
  run_.checkpoint = CheckpointFile({.path = checkpoint_path(fit, request),
                                    .on_request = !fit.checkpoint.empty(),
                                    .every_seconds = fit.checkpoint_every});
  if (resumed_ != nullptr && same_file(run_.checkpoint.path(), request.call.resumed_from)) run_.checkpoint.adopt();
  // Of a run that this one takes the place of.
  if (request.force && std::filesystem::is_regular_file(run_.checkpoint.path())) run_.checkpoint.adopt();
  run_.history.emplace(fit.history, kLessonColumns, record,
                       resumed_ != nullptr ? resumed_->text("history") : std::string(),
                       request.may_replace(fit.history));
}

void LearnSession::begin(const char* stage) {
  progress_.begin(stage);
  stage_ = Clock::now();
  show(0);
}

bool LearnSession::show(double done) {
  progress_.show_share(done, seconds_since(stage_));
  ended_ = ended_ || interrupt_.signal() != 0;
  return !ended_;
}

LearnRun LearnSession::run() {
  const Image filtered = filter();
  if (ended_) {
    if (resumed_ != nullptr) end_with_nothing_new();
    return std::move(run_);
  }
  if (request_.is_rewritable() && !request_.final_only && resumed_ == nullptr) {
    Outcome first = run_.outcome;
    first.result.interrupted = true;  // for its record: what ends here was to go on
    write_result(request_, first, false);
    run_.wrote = true;
  }
  learn(filtered);
  return std::move(run_);
}

Image LearnSession::filter() {
  begin("filter");
  Image filtered = source_->filter([&](double done) { return show(done); });
  RestoreResult& result = run_.outcome.result;
  result.finished = source_->finish(filtered);
  result.seconds = seconds();
  result.interrupted = ended_;
  run_.outcome.details["weight"] = 0.0;
  return filtered;
}

void LearnSession::learn(const Image& filtered) {
  begin("learn");
  Learned learned = learn_picture(filtered, source_->photograph(), network_, op_table(),
                                  {.iterations = lesson_.lessons,
                                   .seed = fit_.seed,
                                   .threads = threads_,
                                   .precision = choose_precision(fit_.precision),
                                   .example = !request_.report.empty(),
                                   .resumed = resumed_,
                                   .resumed_from = request_.call.resumed_from,
                                   .partial = !request_.final_only,
                                   .on_step = [&](const LearnStep& step) { after(step); }},
                                  [&](double done) { return show(done); });
  run_.history->try_flush();
  if (ended_ && learned.weight == 0) {
    if (!whole_lesson_.empty()) {
      Archive archive = Archive::decode(whole_lesson_);
      put_away(archive);
    }
    if (resumed_ != nullptr) end_with_nothing_new();
  }
  if (!learned.reason.empty()) {
    progress_.say(fmt::format("{}: nothing is learned: {}", request_.input, learned.reason));
  }
  RestoreResult& result = run_.outcome.result;
  if (learned.weight > 0) result.finished = source_->finish(std::move(learned.image));
  result.iterations = learned.iterations;
  result.seconds = seconds();
  result.interrupted = ended_;
  run_.outcome.details["weight"] = run_.weight = learned.weight;
  run_.errors = std::move(learned.errors);
  run_.example = std::move(learned.example);
  run_.gains = std::move(learned.gains);
}

void LearnSession::after(const LearnStep& step) {
  const double now = seconds();
  run_.history->add(step, now);
  if (first_step_ == 0) {
    first_step_at_ = now;
    first_step_ = step.iteration;
  }
  const auto left = static_cast<double>(lesson_.lessons - step.iteration);
  const auto done = static_cast<double>(std::max<int64_t>(step.iteration - first_step_, 1));
  const bool is_due = run_.checkpoint.due(now, now + left * (now - first_step_at_) / done);
  const bool is_last = step.iteration == lesson_.lessons;
  if (!run_.checkpoint.possible() || !(ended_ || is_last || is_due)) return;
  Archive archive;
  step.save(archive);
  if (is_last) whole_lesson_ = archive.encode();
  if (!is_last || is_due) put_away(archive);
}

void LearnSession::put_away(Archive& archive) {
  archive.put("seconds", seconds());
  archive.put("history", run_.history->rows());
  sign_checkpoint(archive, request_, settings_, {request_.output, fit_.history, request_.report});
  try {
    run_.checkpoint.write(archive, seconds());
    run_.resume_command = resume_command(request_, run_.checkpoint.path());
  } catch (const Error& error) {
    progress_.say(std::string("warning: ") + error.what());  // no reason to end the run
  }
}

void LearnSession::end_with_nothing_new() {
  run_.nothing_new = true;
  // What was put away just now, or what this run goes on with.
  if (run_.resume_command.empty()) run_.resume_command = resume_command(request_, request_.call.resumed_from);
}

}  // namespace

NamedValues values_of_learn(const RunRequest& request, const FitArguments& arguments) {
  return {{"threads", fmt::format("{}", threads_of(request.threads))},
          {"precision", std::string(name_of(choose_precision(arguments.precision)))}};
}

NetworkFactory network_to_teach(const TaskRun& what, const FitArguments& arguments) {
  return choose_map(arguments.model, arguments.model_output, arguments.weights == "draw",
                    what.jpeg != nullptr ? PlaneColors::ycbcr : PlaneColors::rgb);
}

LearnRun run_learn(const RunRequest& request, const FitArguments& fit, NetworkFactory network, Progress& progress,
                   const InterruptGuard& interrupt) {
  LearnSession session(request, fit, std::move(network), progress, interrupt);
  return session.run();
}

void add_lesson(const LearnRun& run, const RunReport& report, ReportPage& page) {
  const double percent = 100 * run.weight;
  page.facts.emplace_back("mixed from", percent > 0
                                            ? fmt::format("{:.0f} % network, {:.0f} % filter", percent, 100 - percent)
                                            : std::string("the filter alone"));
  page.explanations.emplace_back(
      "Mixed from what?",
      "The filter makes one picture of the photograph, and the network, which has learned from the photograph made "
      "smaller, another. The result is a mixture of the two. How much of the network's is good was tried: the filter's "
      "picture was spoiled as the photograph was and restored again, and the mixture that came nearest to it was "
      "taken. How much nearer than the filter the network comes there is the lower curve, as its lesson goes on.");
  if (run.example) {
    const LessonExample& e = *run.example;
    const auto add = [&](const Image& image, const std::string& title, const std::string& caption) {
      page.lesson.push_back({.picture = report.picture_of(image), .title = title, .caption = caption});
    };
    const auto add_measured = [&](const Image& image, const std::string& title) {
      add(image, title, decibels(psnr(image, e.target)));
    };
    add(e.target, "The photograph made smaller.", "What the network is to make.");
    add_measured(e.degraded, run.of_noise ? "With noise." : "Its JPEG.");
    add_measured(e.filtered, "By the filter.");
    add_measured(e.before, "By the network before the lesson.");
    add_measured(e.after, "By the network after it.");
  }
  // The mean of a few iterations, each of which sees another mosaic.
  constexpr std::size_t kLeast = 20, kPoints = 16;
  const std::size_t mean = std::max(kLeast, run.errors.size() / kPoints);
  Series series{.name = "error"};
  for (std::size_t i = 0; i + mean <= run.errors.size(); i += mean) {
    double squares = 0;
    for (std::size_t k = i; k < i + mean; ++k) squares += run.errors[k] * run.errors[k];
    series.x.push_back(static_cast<double>(i + mean));
    series.y.push_back(std::sqrt(squares / static_cast<double>(mean)));
  }
  if (series.x.size() < 2) return;
  Figure figure{.title = "Learning"};
  std::string alternative = fmt::format("The network's error on the smaller pictures, means of {} iterations", mean);
  const Axis iterations{.label = "iteration", .low = 0, .high = series.x.back()};
  figure.charts.push_back({.x = iterations, .y = {.label = "error", .unit = "grey levels"}});
  figure.charts.back().series.push_back(std::move(series));
  if (run.gains.size() > 1) {
    Series gains{.name = "gain", .dots = true};
    for (const LessonGain& one : run.gains) {
      gains.x.push_back(static_cast<double>(one.iteration));
      gains.y.push_back(one.decibels);
    }
    figure.charts.push_back({.x = iterations, .y = {.label = "gain over the filter", .unit = "dB"}});
    figure.charts.back().series.push_back(std::move(gains));
    alternative += fmt::format(
        ", and by how much it does better than the filter on the filter's picture, spoiled once more: {:.2f} "
        "dB {}, {:.2f} dB at the end",
        run.gains.front().decibels,
        run.gains.front().iteration == 0 ? std::string("before the lesson")
                                         : fmt::format("after {} iterations of it", run.gains.front().iteration),
        run.gains.back().decibels);
  }
  page.plots.push_back({.figure = std::move(figure), .alternative = alternative + "."});
}

}  // namespace hourglass::cli
