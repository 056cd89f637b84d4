#include "engine/cli/learn_run.h"

#include <fmt/format.h>
#include <omp.h>

#include <chrono>
#include <utility>

#include "engine/cli/network_option.h"
#include "engine/restore/filter.h"
#include "engine/restore/jpeg_task.h"
#include "engine/restore/learn.h"
#include "engine/restore/lesson.h"
#include "engine/runtime/precision.h"
#include "graph/error.h"
#include "graph/onnx_import.h"
#include "models/embedded.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

NetworkFactory network_of(const std::string& start) {
  const std::string name = start + ".onnx";
  const std::string_view built_in = embedded_file(name);
  const OnnxFile file = built_in.empty() ? OnnxFile::read(start) : OnnxFile::parse(built_in, name);
  return [file](int64_t height, int64_t width) {
    return std::move(file.bind(op_table(), {.height = height, .width = width}).graph);
  };
}

}  // namespace

NamedValues values_of_learn(const RunRequest& request, const FitArguments& arguments) {
  return {{"threads", fmt::format("{}", threads_of(request.threads))},
          {"precision", std::string(name_of(choose_precision(arguments.precision)))}};
}

Outcome run_learn(const RunRequest& request, const FitArguments& fit, Progress& progress,
                  const InterruptGuard& interrupt, bool& wrote) {
  const LearnArguments& learn = request.what.learn;
  // Errors of the network come before the work.
  const NetworkFactory network = network_of(learn.start);
  try {
    make_lesson_problem(network, op_table(), MosaicOptions{}.side);
  } catch (const Error& error) {
    throw error.within(learn.start);
  }
  const JpegModel model(*request.what.jpeg);
  const Image& decoded = request.what.input.image;
  const int levels = levels_of(request.bit_depth), threads = threads_of(request.threads);
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
  Outcome outcome{.result = {}, .method = kLearn, .record = record_of(request, settings, {})};
  begin("filter");
  const Image filtered = filter_jpeg(decoded, decoded, model, {}, show);
  outcome.result.finished = finish_in_cells(filtered, model, levels);
  outcome.result.seconds = seconds_since(start);
  outcome.result.interrupted = ended;
  outcome.details["weight"] = 0.0;
  if (ended) return outcome;
  if (request.is_rewritable()) {
    write_result(request, outcome, false);
    wrote = true;
  }
  begin("learn");
  const Learned learned = learn_picture(filtered, model, network, op_table(),
                                        {.iterations = learn.lessons,
                                                                           .seed = fit.seed,
                                         .threads = threads,
                                         .precision = choose_precision(fit.precision)},
                                        show);
  if (learned.weight > 0) outcome.result.finished = finish_in_cells(learned.image, model, levels);
  outcome.result.iterations = learned.iterations;
  outcome.result.seconds = seconds_since(start);
  outcome.result.interrupted = ended;
  outcome.details["weight"] = learned.weight;
  return outcome;
}

}  // namespace hourglass::cli
