// A fit as the user sees it: the iterations with their progress, history and checkpoints, until it ends or a signal
// comes.
#pragma once

#include <string>

#include "engine/cli/checkpoint_file.h"
#include "engine/cli/fit_observer.h"
#include "engine/cli/fit_request.h"
#include "engine/cli/history.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/outcome.h"
#include "engine/cli/profile.h"
#include "engine/cli/progress.h"
#include "engine/restore/fitted_network.h"
#include "engine/restore/restoration.h"

namespace hourglass::cli {

class FitSession {
 public:
  // Takes up the run that the request resumes, where there is one. The request must outlive this. Throws Error, before
  // anything is written, when the two do not fit.
  FitSession(const FitRequest& request, Network network, std::vector<FitObserver*> observers);

  // Iterates until the fit ends or a signal comes, which leaves a checkpoint. What the observers throw is told as a
  // warning.
  void run(Progress& progress, const InterruptGuard& interrupt);
  // Whether there has been an iteration: before it there is no outcome.
  [[nodiscard]] bool begun() const { return restoration_.begun(); }
  // Whether the fit has come so far that its result is worth more than the filter's: one of its runs has ended, or has
  // some hundred iterations behind it.
  [[nodiscard]] bool is_ahead() const;
  // How far an image has come that is fitted in tiles and was ended early; empty otherwise.
  [[nodiscard]] std::string tiles_text() const;
  // What the task makes of the fit; a signal that comes meanwhile ends that early. Once, behind run().
  Outcome finish(Progress& progress, const InterruptGuard& interrupt);
  // The fit with the filter's result, which is better yet.
  Outcome leave(Outcome filtered) const;
  // Once the outcome is safe: completes the history and the profile. Throws Error.
  void close(Progress& progress);
  // Writes the network and its input where the request wants them. Throws Error.
  void save_network(const Outcome& outcome, Progress& progress);
  // Removes the checkpoint of a run that has ended.
  void end(const Outcome& outcome);

  // Canvas, memory and reorders, for people.
  [[nodiscard]] static std::string plan_summary(const RestoreResult& result);
  // Of all iterations, those of the run's earlier parts included.
  [[nodiscard]] const RunLog& log() const { return log_; }
  // The command that goes on with an interrupted run; empty when there is no checkpoint.
  [[nodiscard]] std::string resume_command() const;

 private:
  [[nodiscard]] Restoration::OnTrial trial_watch(Progress& progress, const InterruptGuard& interrupt, bool& shown);
  void after(const RestoreStep& step, Progress& progress);
  void show(Progress& progress, const RestoreStep& step);
  void put_away(Progress& progress);
  // What repeats the fit, with the learning rate that it had where none was given.
  [[nodiscard]] std::string record() const;
  [[nodiscard]] std::string description_of(const RestoreResult& result) const;
  [[nodiscard]] Json details(const RestoreResult& result) const;

  const FitRequest& request_;
  std::string settings_, record_;
  Restoration restoration_;
  CheckpointFile checkpoint_;
  std::vector<FitObserver*> observers_;
  RunLog log_;
  double learning_rate_ = 0;              // that the latest run began with
  bool rate_was_found_ = false;           // by a trial
  bool put_away_ = false;                 // the last checkpoint could be written
  bool ended_ = false;                    // nothing is left to go on with
  std::optional<FittedWeights> weights_;  // to be saved, once the fit is gone
  std::optional<History> history_;
  std::optional<IterationProfile> profile_;
};

}  // namespace hourglass::cli
