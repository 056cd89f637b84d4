// One restoration as an object that is advanced step by step, and can be put away and taken up again.
//
//   Restoration restoration(*task, network, table, options);
//   while (!restoration.done()) restoration.step();
//   const RestoreResult result = restoration.result();
//
// restore() (restore.h) is this loop. The fits of `runs` follow one another; each ends at its last iteration, or when
// the stopping rule says so, and leaves the average that the rule kept. A fit that comes apart is taken back
// (engine/train/collapse.h).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/restore/network.h"
#include "engine/restore/restore.h"
#include "engine/restore/task.h"
#include "engine/train/archive.h"
#include "engine/train/collapse.h"
#include "engine/train/fit.h"
#include "engine/train/stopping.h"

namespace hourglass {

class Restoration {
 public:
  // Task and table must outlive this. Throws Error when the network does not suit the task.
  Restoration(const Task& task, const NetworkFactory& network, const OpTable& table, const RestoreOptions& options);

  // Whether all runs have ended.
  [[nodiscard]] bool done() const { return run_ == options_.runs; }
  // One iteration of the current run. Throws Error when the fit diverges before there is anything to keep.
  // `parts`, where it is given, becomes what the fit's iteration consisted of, and when each part ran.
  RestoreStep step(std::vector<TimedPart>* parts = nullptr);
  // Of the current run's fit. There is one after the first step().
  [[nodiscard]] const Plan& plan() const { return fit_->plan(); }
  // What the network and its exponential average look like after the last step(); planar, of the task's size.
  [[nodiscard]] const float* image() const { return fit_->image(); }
  [[nodiscard]] const std::vector<float>& average() const { return fit_->average(); }
  // The stopping rule's word on the last step, for people; empty when it has none.
  [[nodiscard]] std::string stopping_text() const { return rule_ ? rule_->text() : std::string(); }

  // Since the first iteration began, pauses not counted.
  [[nodiscard]] double seconds() const;

  // The result as of now. A run that has not ended counts only where no other has.
  [[nodiscard]] RestoreResult result() const;

  // Everything that a Restoration of the same task, network and options needs to go on as if nothing had happened.
  void save(Archive& archive);
  // Throws Error when the archive is of another network or another task.
  void load(const Archive& archive);
  // SHA-256 of the network as it is bound to this size, values included.
  [[nodiscard]] const std::string& network_sha256() const { return network_sha256_; }

 private:
  void begin_run();
  void end_run();
  void react_to_collapse(CollapseGuard::Verdict verdict, RestoreStep& step);
  [[nodiscard]] double rate() const;

  const Task& task_;
  const OpTable& table_;
  RestoreOptions options_;
  int64_t canvas_width_ = 0, canvas_height_ = 0;
  std::string network_sha256_, problem_sha256_;
  std::optional<Problem> problem_;

  // Of the current run. The fit of a run that has ended stays until the next one begins.
  std::unique_ptr<Fit> fit_;
  std::unique_ptr<StoppingRule> rule_;
  std::optional<CollapseGuard> guard_;
  bool in_run_ = false;
  int64_t iteration_ = 0;
  std::vector<float> best_;  // the average that the rule kept; empty before it kept any

  int run_ = 0;             // runs that have ended
  std::vector<float> sum_;  // of what they left
  int64_t total_ = 0;       // iterations over all runs
  bool stopped_early_ = false;
  double seconds_before_ = 0;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace hourglass
