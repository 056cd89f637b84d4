#include "engine/restore/restoration.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "engine/image/digest.h"
#include "engine/restore/pixel_psnr.h"
#include "graph/error.h"

namespace hourglass {
namespace {

void check_original(const Image& original, const Image& sought) {
  if (original.width != sought.width || original.height != sought.height || original.channels != sought.channels) {
    fail("the original is {}x{} with {} channels, the result will be {}x{} with {}", original.width, original.height,
         original.channels, sought.width, sought.height, sought.channels);
  }
}

// Nodes, shapes, and every value that is known beforehand.
std::string sha256_of(const Graph& graph) {
  Digest digest;
  digest.add(to_string(graph));
  for (const Value& value : graph.values) {
    if (value.data) digest.add(std::span(value.data->values));
  }
  return digest.hex();
}

// Overwrites what the plan computed last: the average is of the fit's own.
std::vector<std::pair<std::string, double>> op_seconds(Plan& plan) {
  std::map<std::string, double> sums;
  plan.run_profiled([&](std::size_t step, double seconds) { sums[plan.steps()[step].op] += seconds; });
  std::vector<std::pair<std::string, double>> ops(sums.begin(), sums.end());
  std::sort(ops.begin(), ops.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return ops;
}

}  // namespace

Restoration::Restoration(const Task& task, const NetworkFactory& make, const OpTable& table,
                         const RestoreOptions& options)
    : task_(task), table_(table), options_(options), start_(std::chrono::steady_clock::now()) {
  const Image& sought = task.baseline();
  if (options.original) check_original(*options.original, sought);
  Network network = bind_network(make, table, sought);
  canvas_width_ = network.canvas_width;
  canvas_height_ = network.canvas_height;
  network_sha256_ = sha256_of(network.graph);
  GraphBuilder builder(network.graph, table);
  const ValueId loss = task.energy(builder, network.image);
  problem_sha256_ = sha256_of(network.graph);
  problem_ = Problem{std::move(network.graph), network.input, network.image, loss};
  // A fit that does not fit is refused before anything is begun.
  if (options.fit.memory_limit > 0) Fit::planned_bytes(*problem_, table, options.fit);
  sum_.assign(sought.pixels.size(), 0.0F);
}

double Restoration::rate() const {
  const double rate = options_.fit.adam.learning_rate * guard_->rate_factor();
  if (options_.schedule == Schedule::constant) return rate;
  const double done = static_cast<double>(iteration_ - 1) / static_cast<double>(options_.iterations);
  return rate * (1 + std::cos(std::numbers::pi * done)) / 2;
}

double Restoration::seconds() const {
  return seconds_before_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Restoration::begin_run() {
  if (total_ == 0) start_ = std::chrono::steady_clock::now();
  FitOptions fit_options = options_.fit;
  fit_options.seed += static_cast<uint64_t>(run_);
  guard_.reset();
  fit_.reset();  // its memory, before the next one's is asked for
  fit_ = std::make_unique<Fit>(*problem_, table_, fit_options);
  guard_.emplace(*fit_);
  StoppingOptions stopping = options_.stopping;
  stopping.discrepancy = task_.discrepancy();
  rule_ = make_stopping_rule(stopping);
  best_.clear();
  iteration_ = 0;
  in_run_ = true;
}

void Restoration::end_run() {
  const std::vector<float>& left = best_.empty() ? fit_->average() : best_;
  for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += left[i];
  ++run_;
  in_run_ = false;
}

RestoreStep Restoration::step(std::vector<TimedPart>* parts) {
  if (!in_run_) begin_run();
  ++iteration_;
  ++total_;
  fit_->set_learning_rate(rate());
  RestoreStep step;
  step.run = run_;
  step.iteration = iteration_;
  step.iterations = options_.iterations;
  step.total = total_;
  step.loss = parts != nullptr ? fit_->step_timed(*parts) : fit_->step();
  step.psnr_degraded = task_.psnr_degraded(fit_->image());
  step.psnr_degraded_average = task_.psnr_degraded(fit_->average().data());
  if (options_.original) {
    step.psnr_original = pixel_psnr(fit_->image(), *options_.original);
    step.psnr_original_average = pixel_psnr(fit_->average().data(), *options_.original);
  }
  const CollapseGuard::Verdict health = guard_->observe(*fit_, step.loss, step.psnr_degraded);
  if (health == CollapseGuard::Verdict::well) {
    const std::size_t count = sum_.size();
    const StoppingVerdict verdict = rule_->observe(
        {.iteration = iteration_, .loss = step.loss, .iterate = {fit_->image(), count}, .average = fit_->average()});
    if (verdict.is_best) best_ = fit_->average();
    step.is_best = verdict.is_best;
    step.stopped = verdict.stop;
  } else {
    react_to_collapse(health, step);
  }
  step.average = fit_->average();
  step.seconds = seconds();
  stopped_early_ = stopped_early_ || (step.stopped && iteration_ < options_.iterations);
  if (step.stopped || iteration_ == options_.iterations) end_run();
  return step;
}

void Restoration::react_to_collapse(CollapseGuard::Verdict verdict, RestoreStep& step) {
  step.note = fmt::format("iteration {}: the fit came apart (loss {:.3g}, {:.1f} dB to the input)", iteration_,
                          step.loss, step.psnr_degraded);
  if (verdict == CollapseGuard::Verdict::fell) {
    step.note += fmt::format("; taken back to an earlier state, learning rate now {:.3g}", rate());
    return;
  }
  if (best_.empty()) {
    fail("the fit diverged at iteration {}, again and again: the loss is {}; try a lower --learning-rate", iteration_,
         step.loss);
  }
  step.note += "; it does so again and again, so this run ends with the best state it had";
  step.stopped = true;
}

RestoreResult Restoration::result() const {
  if (total_ == 0) fail("there is no result before the first iteration");
  RestoreResult result;
  result.canvas_width = canvas_width_;
  result.canvas_height = canvas_height_;
  result.memory_bytes = fit_->plan().arena_bytes() + fit_->plan().persistent_bytes();
  result.reorders = static_cast<std::size_t>(std::count_if(fit_->plan().steps().begin(), fit_->plan().steps().end(),
                                                           [](const StepInfo& step) { return step.node < 0; }));
  if (options_.profile) result.op_seconds = op_seconds(fit_->plan());
  result.iterations = total_;
  result.seconds = seconds();
  result.interrupted = !done();
  result.stopped_early = stopped_early_;
  Image average = task_.baseline();
  if (run_ == 0) {
    average.pixels = best_.empty() ? fit_->average() : best_;
  } else {
    for (std::size_t i = 0; i < sum_.size(); ++i) average.pixels[i] = sum_[i] / static_cast<float>(run_);
  }
  result.finished = task_.finish(std::move(average), levels_of(options_.bit_depth));
  return result;
}

void Restoration::save(Archive& archive) {
  archive.put("network_sha256", network_sha256_);
  archive.put("problem_sha256", problem_sha256_);
  archive.put("run", int64_t{run_});
  archive.put("total", total_);
  archive.put("seconds", seconds());
  archive.put("stopped_early", int64_t{stopped_early_});
  archive.put("sum", sum_);
  archive.put("iteration", in_run_ ? iteration_ : int64_t{0});
  if (!in_run_) return;
  archive.put("best", best_);
  fit_->save(archive);
  rule_->save(archive);
  guard_->save(archive);
}

void Restoration::load(const Archive& archive) {
  if (archive.text("network_sha256") != network_sha256_) {
    fail("its network is another one: take the topology with which the run began");
  }
  if (archive.text("problem_sha256") != problem_sha256_) {
    fail("what it was fitted to is not what is given now: take the input with which the run began");
  }
  if (archive.floats("sum").size() != sum_.size()) fail("its image has another size");
  run_ = static_cast<int>(archive.integer("run"));
  if (run_ > options_.runs) fail("it has {} finished runs, {} are asked for", run_, options_.runs);
  sum_ = archive.floats("sum");
  total_ = archive.integer("total");
  stopped_early_ = archive.integer("stopped_early") != 0;
  const int64_t iteration = archive.integer("iteration");
  // After the last run too: result() asks the fit for its memory.
  begin_run();
  in_run_ = iteration > 0;
  if (in_run_) {
    fit_->load(archive);
    rule_->load(archive);
    guard_->load(archive);
    best_ = archive.floats("best");
    iteration_ = iteration;
  }
  seconds_before_ = archive.number("seconds");
  start_ = std::chrono::steady_clock::now();
}

}  // namespace hourglass
