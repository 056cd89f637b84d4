// Who else looks at a fit while it goes on: the report, the experiment's snapshots and plots.
#pragma once

#include "engine/report/run_log.h"
#include "engine/restore/restore.h"
#include "engine/train/archive.h"

namespace hourglass::cli {

struct Outcome;

class FitObserver {
 public:
  FitObserver() = default;
  FitObserver(const FitObserver&) = delete;
  FitObserver& operator=(const FitObserver&) = delete;
  virtual ~FitObserver() = default;

  // After every iteration, which the log has already. An Error thrown here ends no run: it is told as a warning.
  virtual void on_step(const RestoreStep& step, const RunLog& log) = 0;
  // Once the result is written, whether the run has ended or was interrupted.
  virtual void on_result(const Outcome& outcome, const RunLog& log) = 0;
  // What a run that goes on must know of its first part. load() finds nothing where that had no such observer.
  virtual void save(Archive& checkpoint) const = 0;
  virtual void load(const Archive& checkpoint) = 0;
};

}  // namespace hourglass::cli
