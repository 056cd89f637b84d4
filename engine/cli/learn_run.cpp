#include "engine/cli/learn_run.h"

#include <fmt/format.h>
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

OnnxFile file_of(const std::string& start) {
  const std::string name = start + ".onnx";
  const std::string_view built_in = embedded_file(name);
  return built_in.empty() ? OnnxFile::read(start) : OnnxFile::parse(built_in, name);
}

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

}  // namespace

NamedValues values_of_learn(const RunRequest& request, const FitArguments& arguments) {
  return {{"threads", fmt::format("{}", threads_of(request.threads))},
          {"precision", std::string(name_of(choose_precision(arguments.precision)))}};
}

LearnRun run_learn(const RunRequest& request, const FitArguments& fit, Progress& progress,
                   const InterruptGuard& interrupt) {
  const LearnArguments& learn = request.what.learn;
  // Errors of the network come before the work.
  const NetworkFactory network = network_of(file_of(learn.start), op_table());
  try {
    make_lesson_problem(network, op_table(), MosaicOptions{}.side);
  } catch (const Error& error) {
    throw error.within(learn.start);
  }
  const std::unique_ptr<Source> source = source_of(request);
  const int threads = threads_of(request.threads);
  const auto start = Clock::now();
  omp_set_num_threads(threads);
  auto stage = start;
  bool ended = false;
  const auto show = [&](double done) {
    progress.show_share(done, seconds_since(stage));
    ended = ended || interrupt.signal() != 0;
    return !ended;
  };
  const auto begin = [&](const char* name) {
    progress.begin(name);
    stage = Clock::now();
    show(0);
  };
  const Settings settings(of_method(request.call.line, kLearn), values_of_learn(request, fit));
  LearnRun run{.outcome = {.result = {}, .method = kLearn, .record = record_of(request, settings, {})},
               .of_noise = request.what.noise.has_value()};
  Outcome& outcome = run.outcome;
  run.checkpoint = CheckpointFile({.path = checkpoint_path(fit, request),
                                   .on_request = !fit.checkpoint.empty(),
                                   .every_seconds = fit.checkpoint_every});
  const Archive* resumed = request.call.resumed.get();
  const double earlier = resumed != nullptr ? resumed->number("seconds") : 0;
  const auto seconds = [&] { return earlier + seconds_since(start); };
  if (resumed != nullptr && same_file(run.checkpoint.path(), request.call.resumed_from)) run.checkpoint.adopt();
  // Of a run that this one takes the place of.
  if (request.force && std::filesystem::is_regular_file(run.checkpoint.path())) run.checkpoint.adopt();
  begin("filter");
  const Image filtered = source->filter(show);
  outcome.result.finished = source->finish(filtered);
  outcome.result.seconds = seconds();
  outcome.result.interrupted = ended;
  outcome.details["weight"] = 0.0;
  // What is there already, of the part that was put away, is better.
  run.nothing_new = ended && resumed != nullptr;
  if (run.nothing_new) run.resume_command = resume_command(request, request.call.resumed_from);
  if (ended) return run;
  if (request.is_rewritable() && !request.final_only && resumed == nullptr) {
    Outcome first = outcome;
    first.result.interrupted = true;  // for its record: what ends here was to go on
    write_result(request, first, false);
    run.wrote = true;
  }
  begin("learn");
  const auto put_away = [&](Archive& archive) {
    archive.put("seconds", seconds());
    sign_checkpoint(archive, request, settings.text(), {request.output, request.report});
    try {
      run.checkpoint.write(archive, seconds());
      run.resume_command = resume_command(request, run.checkpoint.path());
    } catch (const Error& error) {
      progress.say(std::string("warning: ") + error.what());  // no reason to end the run
    }
  };
  std::vector<uint8_t> whole_lesson;  // for a signal that comes while the network is applied
  double begun_at = 0;
  int64_t begun_with = 0;  // iterations
  const auto on_step = [&](const LearnStep& step) {
    const double now = seconds();
    if (begun_at == 0) begun_at = now, begun_with = step.iteration;
    const auto left = static_cast<double>(learn.lessons - step.iteration);
    const double expected =
        now + left * (now - begun_at) / static_cast<double>(std::max<int64_t>(step.iteration - begun_with, 1));
    const bool is_last = step.iteration == learn.lessons;
    if (!run.checkpoint.possible() || !(ended || is_last || run.checkpoint.due(now, expected))) return;
    Archive archive;
    step.save(archive);
    if (is_last) whole_lesson = archive.encode();
    if (!is_last || run.checkpoint.due(now, expected)) put_away(archive);
  };
  Learned learned = learn_picture(filtered, source->photograph(), network, op_table(),
                                  {.iterations = learn.lessons,
                                   .seed = fit.seed,
                                   .threads = threads,
                                   .precision = choose_precision(fit.precision),
                                   .example = !request.report.empty(),
                                   .resumed = resumed,
                                   .resumed_from = request.call.resumed_from,
                                   .partial = !request.final_only,
                                   .on_step = on_step},
                                  show);
  if (ended && learned.weight == 0 && !whole_lesson.empty()) {
    Archive archive = Archive::decode(whole_lesson);
    put_away(archive);
  }
  run.nothing_new = ended && resumed != nullptr && learned.weight == 0;
  // What was put away before is still there.
  if (run.nothing_new && run.resume_command.empty()) {
    run.resume_command = resume_command(request, request.call.resumed_from);
  }
  if (!learned.reason.empty()) progress.say(fmt::format("{}: nothing is learned: {}", request.input, learned.reason));
  if (learned.weight > 0) outcome.result.finished = source->finish(std::move(learned.image));
  outcome.result.iterations = learned.iterations;
  outcome.result.seconds = seconds();
  outcome.result.interrupted = ended;
  outcome.details["weight"] = run.weight = learned.weight;
  run.errors = std::move(learned.errors);
  run.example = std::move(learned.example);
  return run;
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
      "taken.");
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
  figure.charts.push_back({.x = {.label = "iteration"}, .y = {.label = "error", .unit = "grey levels"}});
  figure.charts.back().series.push_back(std::move(series));
  page.plots.push_back(
      {.figure = std::move(figure),
       .alternative = fmt::format("The network's error on the smaller pictures, means of {} iterations.", mean)});
}

}  // namespace hourglass::cli
