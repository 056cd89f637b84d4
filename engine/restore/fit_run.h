// One of a restoration's fits, from its first iteration to the end that its length or the stopping rule sets. A fit
// that comes apart is taken back (engine/train/collapse.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/restore/restore.h"
#include "engine/restore/task.h"
#include "engine/train/archive.h"
#include "engine/train/collapse.h"
#include "engine/train/fit.h"
#include "engine/train/stopping.h"

namespace hourglass {

// share_of(options, index), with what a run holds besides its fit counted in memory_besides: the two states that it may
// be taken back to, and all three once more while a checkpoint is written.
FitOptions fit_options_of(const Problem& problem, const RestoreOptions& options, int index);

class FitRun {
 public:
  // `index` counts the runs from 0; it is fitted with fit_options_of(problem, options, index). Task and options must
  // outlive this.
  FitRun(const Task& task, const Problem& problem, const OpTable& table, const RestoreOptions& options, int index);

  // One iteration; RestoreStep's total and seconds are the caller's to fill in. Throws Error when the fit diverges
  // before there is anything to keep, and when at its end the loss or the weights are no finite numbers. `parts`: as
  // Fit::step_timed() says, where it is given.
  RestoreStep step(std::vector<TimedPart>* parts);
  [[nodiscard]] bool done() const { return stopped_ || iteration_ == options_.iterations; }
  [[nodiscard]] bool stopped_early() const { return stopped_ && iteration_ < options_.iterations; }
  [[nodiscard]] int index() const { return index_; }
  // The learning rate that the schedule began with: of RestoreOptions::find_rate, what was found.
  [[nodiscard]] double first_rate() const { return first_rate_; }
  [[nodiscard]] int64_t iterations_left() const { return done() ? 0 : options_.iterations - iteration_; }
  // The average that the rule kept, or, before it has kept any, the one as it stands.
  [[nodiscard]] const std::vector<float>& best() const { return best_.empty() ? fit_.average() : best_; }
  // The stopping rule's word on the last step, for people; empty when it has none.
  [[nodiscard]] std::string stopping_text() const { return rule_->text(); }
  [[nodiscard]] Fit& fit() { return fit_; }
  [[nodiscard]] const Fit& fit() const { return fit_; }

  // Everything that a FitRun of the same arguments needs to go on as if nothing had happened.
  void save(Archive& archive);
  void load(const Archive& archive);

 private:
  void react_to_collapse(CollapseGuard::Verdict verdict, RestoreStep& step);
  void check_end(double loss) const;
  void choose_rate();
  [[nodiscard]] double rate() const;

  const Task& task_;
  const RestoreOptions& options_;
  int index_;
  Fit fit_;
  CollapseGuard guard_;
  std::unique_ptr<StoppingRule> rule_;
  bool fitted_before_;  // the network brings its own z: it begins where a fit has ended
  bool finds_rate_;
  double first_rate_;  // the schedule's, before falls lower it
  std::string rate_note_;
  int64_t iteration_ = 0;
  bool stopped_ = false;
  std::vector<float> best_;  // the average that the rule kept; empty before it kept any
};

}  // namespace hourglass
