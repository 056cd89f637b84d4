// --profile FILE: one iteration of the fit on a time line, in the trace event format that chrome://tracing and
// ui.perfetto.dev open, and by op as a table on stderr.
//
// The iteration is one of the run's own, so the result stays the same to the byte.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cli/progress.h"
#include "engine/restore/restore.h"
#include "engine/runtime/plan.h"
#include "engine/train/fit.h"

namespace hourglass::cli {

// Seconds summed by op.
class OpTimes {
 public:
  void add(std::string_view op, double seconds);
  // "ms, share, count x op" per line, the slowest first, and the sum; without a line end.
  [[nodiscard]] std::string table() const;

 private:
  struct Sum {
    double seconds = 0;
    int count = 0;
  };
  std::map<std::string, Sum, std::less<>> ops_;
};

// What the plan runs: per step the op, its output's shape, the implementation, the layout and the node, and how many
// of them are reorders. For --verbose; without a line end. With `declined`, below each step the kernels that were asked
// before the one that runs, and why they declined.
std::string plan_text(const Plan& plan, bool declined);

class IterationProfile {
 public:
  // An empty path: nothing is wanted.
  IterationProfile(std::string path, bool overwrite) : path_(std::move(path)), overwrite_(overwrite) {}

  // Where the next iteration's times are to go; null when they are not wanted.
  [[nodiscard]] std::vector<TimedPart>* parts();
  // After that iteration. The third is the one: before it, memory is touched for the first time and threads start. It
  // is written at once, to be looked at while the run goes on; a failure is told as a warning.
  void on_step(const RestoreStep& step, const Plan& plan, Progress& progress);
  // At the end: writes the last iteration of a run that had fewer, and what could not be written before. Throws Error.
  void close(Progress& progress);

 private:
  void write();

  std::string path_;
  bool overwrite_ = false;
  int seen_ = 0;
  bool written_ = false;
  std::vector<TimedPart> parts_;
  std::string trace_, table_;
};

}  // namespace hourglass::cli
