// A fit as it is asked for. What the command line says in words (FitArguments) and what the command makes of its input
// (TaskRun) become, once, a FitRequest: every choice made, every file checked. From then on nothing of it changes.
//
//   ResolvedFit fit = resolve(arguments, call, what);
//   ... fit.request.options, std::move(fit.network)
#pragma once

#include <string>
#include <vector>

#include "engine/cli/checkpoint_file.h"
#include "engine/cli/command_text.h"
#include "engine/cli/fit_observer.h"
#include "engine/cli/fit_options.h"
#include "engine/cli/json.h"
#include "engine/cli/same_file.h"
#include "engine/image/decoded_image.h"
#include "engine/image/jpeg.h"
#include "engine/restore/network.h"
#include "engine/restore/restore.h"
#include "engine/restore/task.h"

namespace hourglass::cli {

// What a command makes of its input.
struct TaskRun {
  const Task& task;
  const DecodedImage& input;                 // its warnings are told, its metadata goes into the PNG
  std::string suffix;                        // of the default output, ".restored.png"
  std::string verb;                          // "restored"
  Json details = {};                         // what the command adds to the JSON report
  const JpegCoefficients* jpeg = nullptr;    // what the report shows the cells of
  std::string original = {};                 // the file that the command was given, where that is not the input
  const Image* reference = nullptr;          // the original, where it is known without --reference
  std::vector<FitObserver*> observers = {};  // besides the report
  std::string kind = {};                     // of an input that is no image, "measurement"
  std::vector<NamedFile> inputs = {};        // files of the command's own options, such as a mask
};

// "gray JPEG", "colour JPEG", "PNG", or what the command says.
std::string kind_of(const TaskRun& what);

struct FitRequest {
  const FitCall& call;
  const TaskRun& what;
  std::string input, output, model, reference, history, report, profile;  // files; empty: not wanted
  CheckpointOptions checkpoint;
  RestoreOptions options;
  std::string stop;                // the rule, as it was asked for
  std::vector<std::string> notes;  // what the importer has to say of the network
  std::string at_once_note;        // how `at_once` was chosen, where a timing did
  bool force = false, quiet = false, json = false;
  int verbose = 0;  // 1: the plan; 2: also the kernels that declined

  // The file that the user named.
  [[nodiscard]] const std::string& named_input() const { return what.original.empty() ? input : what.original; }
  // Whether a file that is there may be replaced: by --force, or because the run that goes on has written it.
  [[nodiscard]] bool may_replace(const std::string& path) const;
};

struct ResolvedFit {
  const FitRequest request;
  Network network;  // bound to the task's baseline
};

// Refuses what can be refused before a fit begins. `call` and `what` must outlive the request. Throws Error.
ResolvedFit resolve(const FitArguments& arguments, const FitCall& call, const TaskRun& what);

// The options whose values were left to the task, to the machine or to "auto": names, and the values that the run has.
NamedValues values_in_force(const FitRequest& request);

}  // namespace hourglass::cli
