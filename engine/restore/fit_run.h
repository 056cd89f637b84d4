// One of a restoration's fits, from its first iteration to the end that its length or the stopping rule sets. A fit
// that comes apart is taken back (engine/train/collapse.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/restore/restore.h"
#include "engine/restore/task.h"
#include "engine/train/archive.h"
#include "engine/train/collapse.h"
#include "engine/train/fit.h"
#include "engine/train/stopping.h"

namespace hourglass {

class FitRun {
 public:
  // `index` counts the runs from 0; it is fitted with share_of(options, index). Task and options must outlive this.
  FitRun(const Task& task, Problem problem, const OpTable& table, const RestoreOptions& options, int index);

  // Bytes that a run of the problem holds besides its fit: the states that it may be taken back to, the average that
  // its rule keeps, and copies of averages while a checkpoint is written.
  static std::size_t bytes_besides(const Problem& problem, const RestoreOptions& options);

  // Finds the learning rate where the run has not begun and a trial is to find it (find_first_rate()). False where
  // on_iteration() ended the trial: the run is as it was.
  bool find_rate(const std::function<bool(int64_t)>& on_iteration);
  // One iteration, behind find_rate(); RestoreStep's total and seconds are the caller's to fill in. Throws Error when
  // the fit diverges before there is anything to keep, and when at its end the loss or the weights are no finite
  // numbers. `parts`: as Fit::step_timed() says, where it is given.
  RestoreStep step(std::vector<TimedPart>* parts);
  [[nodiscard]] bool done() const { return stopped_ || iteration_ == options_.iterations; }
  [[nodiscard]] bool stopped_early() const { return stopped_ && iteration_ < options_.iterations; }
  [[nodiscard]] int index() const { return index_; }
  // The learning rate that the schedule began with, and whether a trial has found it.
  [[nodiscard]] double first_rate() const { return first_rate_; }
  [[nodiscard]] bool rate_was_found() const { return rate_known_ && finds_rate_; }
  [[nodiscard]] bool begun() const { return iteration_ > 0; }
  [[nodiscard]] int64_t iterations_left() const { return done() ? 0 : options_.iterations - iteration_; }
  // The average that the rule kept, or, before it has kept any, the one as it stands.
  [[nodiscard]] const std::vector<float>& best() const { return best_.empty() ? fit_.average() : best_; }
  // The stopping rule's word on the last step, for people; empty when it has none.
  [[nodiscard]] std::string stopping_text() const { return rule_->text(); }
  [[nodiscard]] Fit& fit() { return fit_; }
  [[nodiscard]] const Fit& fit() const { return fit_; }

  // Everything that a FitRun of the same arguments needs to go on as if nothing had happened. The archive must be
  // written before the next step().
  void save(Archive& archive);
  void load(const Archive& archive);

 private:
  void react_to_collapse(CollapseGuard::Verdict verdict, RestoreStep& step);
  void check_end(double loss) const;
  [[nodiscard]] double rate() const;

  const Task& task_;
  const RestoreOptions& options_;
  int index_;
  bool fitted_before_;  // the network brings its own z: it begins where a fit has ended
  bool finds_rate_;
  Fit fit_;
  std::optional<CollapseGuard> guard_;  // from the first iteration on
  std::unique_ptr<StoppingRule> rule_;
  double first_rate_;        // the schedule's, before falls lower it
  bool rate_known_ = false;  // it stays
  std::string rate_note_;
  int64_t iteration_ = 0;
  bool stopped_ = false;
  std::vector<float> best_;  // the average that the rule kept; empty before it kept any
};

}  // namespace hourglass
