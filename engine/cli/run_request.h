// What a run is asked for whatever its method: the files, the words, the original to compare with. Every choice is made
// and every file checked before it begins; from then on nothing of it changes. What a fit wants besides is in
// fit_request.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/cli/fit_observer.h"
#include "engine/cli/fit_options.h"
#include "engine/cli/json.h"
#include "engine/cli/method.h"
#include "engine/cli/method_options.h"
#include "engine/cli/same_file.h"
#include "engine/cli/settings.h"
#include "engine/image/decoded_image.h"
#include "engine/image/image.h"
#include "engine/image/jpeg.h"
#include "engine/restore/first_compression.h"
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
  const FirstCompression* first = nullptr;   // of a JPEG that was compressed twice
  std::string original = {};                 // the file that the command was given, where that is not the input
  const Image* reference = nullptr;          // the original, where it is known without --reference
  std::vector<FitObserver*> observers = {};  // of a fit, besides the report
  std::string kind = {};                     // of an input that is no image, "measurement"
  std::vector<std::string> notes = {};       // told when the run begins
  std::string found = {};                    // for -v: what was measured in the input, such as its noise
  std::vector<NamedFile> inputs = {};        // files of the command's own options, such as a mask
  std::string method = kFit;                 // kFilter and kLearn want a JPEG, or noise
  std::optional<double> noise = {};          // of kLearn without a JPEG: the noise's standard deviation (1 = 255)
  LearnArguments learn = {};                 // of kLearn
  std::vector<int64_t> snapshots = {};       // iterations that the report shows; empty: some on the way
  bool may_be_cut = false;                   // a fit may go through the image in tiles (--tile)
  bool filter_first = false;                 // a fit's output holds the filter's result until the fit has a better one
};

// "gray JPEG", "colour JPEG", "PNG", or what the command says.
std::string kind_of(const TaskRun& what);

struct RunRequest {
  const FitCall& call;
  const TaskRun& what;
  std::string input, output, reference, report;  // files; empty: not wanted
  std::optional<Image> original;                 // in the size and the channels of the result
  ImageFormat format = ImageFormat::png;         // of the output, by its ending
  int bit_depth = 8;                             // of a PNG or a JPEG XL
  int quality = 0;                               // of a JPEG
  int threads = 0;                               // 0: all CPUs
  bool force = false, quiet = false, json = false, final_only = false, keep_times = false;  // as FitArguments has them
  int verbose = 0;                           // 1: what was decided; 2: also the plan; 3: also the kernels that declined
  std::vector<std::string> file_notes = {};  // what is to be said of the files

  // The file that the user named.
  [[nodiscard]] const std::string& named_input() const { return what.original.empty() ? input : what.original; }
  // Whether a file that is there may be replaced: by --force, or because the run that goes on has written it.
  [[nodiscard]] bool may_replace(const std::string& path) const;
  // Whether the output can be written more than once: streams and devices can't.
  [[nodiscard]] bool is_rewritable() const;
};

// Throws Error where an output can't be written, or would take the place of another file. `call` and `what` must
// outlive the request.
RunRequest resolve_run(const FitArguments& arguments, const FitCall& call, const TaskRun& what);

// What is to be said of the files, a line each: what the codec found odd, and file_notes.
std::vector<std::string> messages_of(const RunRequest& request);

// Where the run is put away while it goes on; empty for nowhere.
std::string checkpoint_path(const FitArguments& arguments, const RunRequest& request);

// Adds to a checkpoint whose it is: the settings, the input, and the files that the run writes; of `files` those that
// are named.
void sign_checkpoint(Archive& checkpoint, const RunRequest& request, const std::string& settings,
                     const std::vector<std::string>& files);
// Throws Error where the run goes on with a checkpoint of another input.
void check_resumed(const RunRequest& request);
// What goes on with a run that has been put away.
std::string resume_command(const RunRequest& request, const std::string& checkpoint);

// What repeats a run, line by line: the command, SHA-256 of input, network (empty: none) and the other files that the
// settings name, the versions.
std::string record_of(const RunRequest& request, const Settings& settings, const std::string& network_sha256);
// Added to the record of a result that a run has left before its end.
inline constexpr const char* kUnfinishedLine = "unfinished\n";

// Whether the record is of a whole run of these settings with such an input: the line as choose_method() leaves it,
// with the values of `in_force`. How many threads it had counts where the line says it.
bool is_record_of(const std::string& record, const ParsedCommand& line, const NamedValues& in_force,
                  const std::string& input_sha256);
// Whether it is of a run with such an input that was ended early.
bool is_unfinished_record(const std::string& record, const std::string& input_sha256);

}  // namespace hourglass::cli
