#include "engine/restore/fit_run.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/restore/pixel_psnr.h"
#include "engine/train/first_rate.h"
#include "graph/error.h"

namespace hourglass {
namespace {

// A network that brings its own z begins where a fit has ended: at a loss that no rate lowers much.
bool is_fitted(const Problem& problem) { return problem.graph.value(problem.input).data != nullptr; }

// Whether a trial is to find the rate; of a short fit it would be most of the work.
bool is_unknown(const Problem& problem, const RestoreOptions& options) {
  constexpr int64_t kWorthTrial = 100;
  return options.find_rate && !is_fitted(problem) && options.iterations >= kWorthTrial;
}

// What a network makes at its beginning may be so far from an image that it outweighs all later ones in the average for
// hundreds of iterations: where the average lies so many dB under the image that it is to end at, it begins anew. Later
// on, an image that is that much nearer follows the noise of what is restored.
constexpr double kAverageLag = 3;
constexpr int64_t kBeginning = 500;

std::unique_ptr<StoppingRule> rule_of(const Task& task, StoppingOptions options) {
  options.discrepancy = task.discrepancy();
  return make_stopping_rule(options);
}

}  // namespace

FitRun::FitRun(const Task& task, Problem problem, const OpTable& table, const RestoreOptions& options, int index)
    : task_(task),
      options_(options),
      index_(index),
      fitted_before_(is_fitted(problem)),
      finds_rate_(is_unknown(problem, options)),
      fit_(std::move(problem), table, share_of(options, index)),
      rule_(rule_of(task, options.stopping)),
      first_rate_(options.fit.adam.learning_rate) {}

std::size_t FitRun::bytes_besides(const Problem& problem, const RestoreOptions& options) {
  const Graph& graph = problem.graph;
  std::vector<ValueId> trained;
  if (options.fit.optimize_network) trained = graph.parameters();
  if (options.fit.optimize_input) trained.push_back(problem.input);
  int64_t all = 0;
  for (const ValueId id : trained) all += graph.shape(id).elements();
  const int64_t image = graph.shape(problem.image).elements();
  constexpr int64_t kAverages = 4;  // the rule's, and copies of that and of the fit's
  return CollapseGuard::bytes(all, image) + static_cast<std::size_t>(kAverages * image) * sizeof(float);
}

bool FitRun::find_rate(const std::function<bool(int64_t)>& on_iteration) {
  if (!finds_rate_ || rate_known_) return true;
  const double highest = first_rate_;
  const std::optional<FirstRate> found = find_first_rate(fit_, highest, on_iteration);
  if (!found) return false;
  rate_known_ = true;
  first_rate_ = found->rate;
  if (first_rate_ < highest) {
    rate_note_ =
        fmt::format("learning rate {:.3g}: a higher one makes this network worse, as {} iterations of trial say",
                    first_rate_, found->iterations);
  }
  return true;
}

double FitRun::rate() const {
  double rate = first_rate_ * guard_->rate_factor();
  if (first_rate_ < options_.fit.adam.learning_rate) rate = warmed_up(rate, iteration_);
  if (options_.schedule == Schedule::constant) return rate;
  const double done = static_cast<double>(iteration_ - 1) / static_cast<double>(options_.iterations);
  return rate * (1 + std::cos(std::numbers::pi * done)) / 2;
}

RestoreStep FitRun::step(std::vector<TimedPart>* parts) {
  if (!guard_) guard_.emplace(fit_, finds_rate_);
  ++iteration_;
  fit_.set_learning_rate(rate());
  RestoreStep step;
  if (iteration_ == 1) step.note = rate_note_;
  step.run = index_;
  step.iteration = iteration_;
  step.iterations = options_.iterations;
  step.loss = parts != nullptr ? fit_.step_timed(*parts) : fit_.step();
  step.psnr_degraded = task_.psnr_degraded(fit_.image());
  step.psnr_degraded_average = task_.psnr_degraded(fit_.average().data());
  if (iteration_ <= kBeginning && step.psnr_degraded_average < step.psnr_degraded - kAverageLag) {
    fit_.begin_average_anew();
    step.psnr_degraded_average = step.psnr_degraded;
  }
  if (options_.original) {
    step.psnr_original = pixel_psnr(fit_.image(), *options_.original);
    step.psnr_original_average = pixel_psnr(fit_.average().data(), *options_.original);
  }
  const CollapseGuard::Verdict health = guard_->observe(fit_, step.loss, step.psnr_degraded);
  if (health == CollapseGuard::Verdict::well) {
    const StoppingVerdict verdict = rule_->observe({.iteration = iteration_,
                                                    .loss = step.loss,
                                                    .iterate = {fit_.image(), fit_.average().size()},
                                                    .average = fit_.average()});
    if (verdict.is_best) best_ = fit_.average();
    step.is_best = verdict.is_best;
    step.stopped = verdict.stop;
  } else {
    react_to_collapse(health, step);
  }
  stopped_ = step.stopped;
  if (done()) check_end(step.loss);
  step.average = fit_.average();
  return step;
}

void FitRun::react_to_collapse(CollapseGuard::Verdict verdict, RestoreStep& step) {
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

// What was well and then came apart has been taken back; what never was has nothing to show.
void FitRun::check_end(double loss) const {
  const auto is_finite = [](float value) { return std::isfinite(value); };
  const Plan& plan = fit_.plan();
  constexpr const char* kHelp =
      "try a lower --learning-rate; where that does not help, a gradient of the network itself is no finite number: "
      "look "
      "for a division by 0, or a root or a logarithm of it";
  if (!std::isfinite(loss) && !guard_->has_been_well()) {
    fail("the fit diverged: at its end, in iteration {}, the loss is {}; {}", iteration_,
         std::isnan(loss) ? "no number" : "infinite", kHelp);
  }
  // Too short a fit tells nothing, and one that began at its end has nothing to win but may sway a little.
  constexpr int64_t kTells = 50;
  constexpr double kWorse = 1.05;
  if (!fitted_before_ && iteration_ >= kTells && guard_->recent_loss() > kWorse * guard_->first_loss()) {
    fail(
        "the fit ended worse than it began: the loss was {:.3g} and is {:.3g}; try a lower --learning-rate than {:.3g}",
        guard_->first_loss(), guard_->recent_loss(), first_rate_);
  }
  for (const ValueId id : fit_.parameters()) {
    if (!std::all_of(plan.data(id), plan.data(id) + plan.padded_elements(id), is_finite)) {
      fail("the fit diverged: at its end, after iteration {}, '{}' holds numbers that are not finite; {}", iteration_,
           plan.graph().value(id).name, kHelp);
    }
  }
  if (!std::all_of(best().begin(), best().end(), is_finite)) {
    fail("the fit diverged: what it leaves holds pixels that are not finite; {}", kHelp);
  }
}

void FitRun::save(Archive& archive) {
  archive.put("iteration", iteration_);
  if (!begun()) return;
  archive.put("stopped", int64_t{stopped_});
  archive.put("best", best_);
  archive.put("first_rate", first_rate_);
  fit_.save(archive);
  rule_->save(archive);
  guard_->save(archive);
}

void FitRun::load(const Archive& archive) {
  iteration_ = archive.integer("iteration", 0, options_.iterations);
  if (!begun()) return;
  stopped_ = archive.integer("stopped") != 0;
  best_ = archive.floats("best");
  if (!best_.empty()) best_ = archive.floats("best", fit_.average().size());
  rate_known_ = true;
  first_rate_ = archive.number("first_rate");
  fit_.load(archive);
  rule_->load(archive);
  guard_.emplace(archive, fit_, finds_rate_);
}

}  // namespace hourglass
