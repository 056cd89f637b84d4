// Who else looks at a fit while it goes on: the report, the experiment's snapshots and plots.
#pragma once

#include "engine/restore/restore.h"

namespace hourglass::cli {

class FitObserver {
 public:
  FitObserver() = default;
  FitObserver(const FitObserver&) = delete;
  FitObserver& operator=(const FitObserver&) = delete;
  virtual ~FitObserver() = default;

  // After every iteration. An Error thrown here ends no run: it is told as a warning.
  virtual void on_step(const RestoreStep& step) = 0;
  // Once the result is written, whether the run has ended or was interrupted.
  virtual void on_result(const RestoreResult& result) = 0;
};

}  // namespace hourglass::cli
