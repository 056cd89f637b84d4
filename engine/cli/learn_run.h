// --method learn as the user sees it: the filter, whose result comes first, then the lesson, with their
// progress, until they end or a signal comes.
#pragma once

#include <optional>
#include <vector>

#include "engine/cli/checkpoint_file.h"
#include "engine/cli/fit_options.h"
#include "engine/cli/history.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/outcome.h"
#include "engine/cli/progress.h"
#include "engine/cli/run_report.h"
#include "engine/cli/run_request.h"
#include "engine/restore/learn.h"

namespace hourglass::cli {

// The options whose values were left to the machine.
NamedValues values_of_learn(const RunRequest& request, const FitArguments& arguments);

struct LearnRun {
  Outcome outcome;
  bool of_noise = false;     // it was taken out; otherwise a JPEG was restored
  bool wrote = false;        // the filter's result, on the way: where the output can be written twice
  bool nothing_new = false;  // it was ended before it had gone beyond what had been put away
  double weight = 0;         // of the network's part
  std::vector<double> errors = {};
  std::optional<LessonExample> example = {};       // where a report is wanted, as the gains
  std::vector<LessonGain> gains = {};
  CheckpointFile checkpoint{CheckpointOptions()};  // to be removed when the run has ended well
  std::optional<History> history = {};             // to be completed once the result is safe
  std::string resume_command = {};                 // empty: nothing to go on with is there
};

// The network of --model, by --model-output and --weights. Throws Error.
NetworkFactory network_to_teach(const TaskRun& what, const FitArguments& arguments);

// Goes on with a run that was put away, where the call says so. Throws Error.
LearnRun run_learn(const RunRequest& request, const FitArguments& fit, NetworkFactory network, Progress& progress,
                   const InterruptGuard& interrupt);

// What the lesson was about and how it went.
void add_lesson(const LearnRun& run, const RunReport& report, ReportPage& page);

}  // namespace hourglass::cli
