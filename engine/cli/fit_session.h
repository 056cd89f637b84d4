// A fit as the user sees it: the iterations with their progress, history and checkpoints, until it ends or a signal
// comes.
#pragma once

#include <string>

#include "engine/cli/checkpoint_file.h"
#include "engine/cli/fit_observer.h"
#include "engine/cli/fit_request.h"
#include "engine/cli/history.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/profile.h"
#include "engine/cli/progress.h"
#include "engine/restore/restoration.h"

namespace hourglass::cli {

class FitSession {
 public:
  // Takes up the run that the request resumes, where there is one. The request must outlive this. Throws Error, before
  // anything is written, when the two do not fit.
  FitSession(const FitRequest& request, Network network, std::vector<FitObserver*> observers);

  // Iterates, and leaves a checkpoint when a signal ended it. What the observers throw is told as a warning.
  RestoreResult run(Progress& progress);
  // Once the result is safe: completes the history and the profile, and removes the checkpoint of a run that has ended.
  // Throws Error.
  void close(Progress& progress);

  // SIGINT, SIGTERM or SIGHUP when one has ended run(), else 0.
  [[nodiscard]] int signal() const { return interrupt_.signal(); }
  // Of all iterations, those of the run's earlier parts included.
  [[nodiscard]] const RunLog& log() const { return log_; }
  // What repeats the run, line by line.
  [[nodiscard]] const std::string& record() const { return record_; }
  // The command that goes on with an interrupted run; empty when there is no checkpoint.
  [[nodiscard]] std::string resume_command() const;

 private:
  void after(const RestoreStep& step, Progress& progress);
  void show(Progress& progress, const RestoreStep& step);
  void put_away(Progress& progress);

  const FitRequest& request_;
  std::string settings_, record_;
  Restoration restoration_;
  CheckpointFile checkpoint_;
  std::vector<FitObserver*> observers_;
  RunLog log_;
  bool put_away_ = false;  // the last checkpoint could be written
  std::optional<History> history_;
  std::optional<IterationProfile> profile_;
  InterruptGuard interrupt_;
};

}  // namespace hourglass::cli
