// What a run has come to, and how the user gets it: the PNG, the words, the JSON object. Alike for every method.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "engine/cli/json.h"
#include "engine/cli/progress.h"
#include "engine/cli/run_request.h"
#include "engine/restore/restore.h"

namespace hourglass::cli {

struct Outcome {
  RestoreResult result;
  std::string method;  // whose the image is: a fit that is interrupted may leave the filter's
  std::string record;  // what repeats the run, line by line
  Json details = {};   // what the method adds to the JSON object
  // Of a JPEG, in which the result is not quite what it was: the image and its share in the cells are then the file's.
  std::vector<uint8_t> encoded = {};
};

// What the run's progress and its result are told to.
ProgressOptions progress_options(const RunRequest& request);

// Encodes the result, once, and writes it. overwrite: the run itself has written what is there. Where the place turns
// out to be full, taken or gone, the result goes to the folder for temporary files, and the Error says so: hours may
// have gone into it.
void write_result(const RunRequest& request, Outcome& outcome, bool overwrite);

// In words, and with --json as an object.
void tell_result(Progress& progress, const RunRequest& request, const Outcome& outcome);
// The same of a run that was ended before there was any.
void tell_nothing(Progress& progress, const RunRequest& request, const std::string& text);

}  // namespace hourglass::cli
