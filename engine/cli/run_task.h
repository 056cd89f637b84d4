// From a task to the files and words that the user gets: the network, the fit with its progress, the PNG, the history
// and the report. Everything that the fitting commands do alike, once.
#pragma once

#include <string>

#include "engine/cli/exit_code.h"
#include "engine/cli/fit_observer.h"
#include "engine/cli/fit_options.h"
#include "engine/cli/json.h"
#include "engine/cli/same_file.h"
#include "engine/image/decoded_image.h"
#include "engine/image/jpeg.h"
#include "engine/restore/task.h"

namespace hourglass::cli {

struct TaskRun {
  const Task& task;
  const DecodedImage& input;                 // its warnings are told, its metadata goes into the PNG
  std::string suffix;                        // of the default output, ".restored.png"
  std::string verb;                          // "restored"
  Json details = {};                         // what the command adds to the JSON report
  const JpegCoefficients* jpeg = nullptr;    // what the report shows the cells of
  std::string original = {};                 // the file that the command was given, where that is not the input
  std::vector<FitObserver*> observers = {};  // besides the report
  std::string kind = {};                     // of an input that is no image, "measurement"
  std::vector<NamedFile> inputs = {};        // files of the command's own options, such as a mask
};

// "gray JPEG", "colour JPEG", "PNG", or what the command says.
std::string kind_of(const TaskRun& what);

// What can be refused is refused before the fit starts. Throws Error.
ExitCode run_task(FitArguments& arguments, const TaskRun& what);

}  // namespace hourglass::cli
