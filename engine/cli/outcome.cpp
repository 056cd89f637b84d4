#include "engine/cli/outcome.h"

#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "engine/cli/output.h"
#include "engine/cli/version.h"
#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/jxl.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/report/run_log.h"
#include "engine/restore/consistency.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

void take_time_of(const std::string& from, const std::string& to) {
  if (is_stream(from) || is_stream(to)) return;
  std::error_code error;
  const auto time = std::filesystem::last_write_time(from, error);
  if (!error) std::filesystem::last_write_time(to, time, error);
  if (error) warn(fmt::format("{}: cannot get the time of {}: {}", to, from, error.message()));
}

Metadata metadata_of(const RunRequest& request, const Outcome& outcome) {
  Metadata metadata = request.what.input.metadata;
  std::erase_if(metadata.text, [&](const auto& entry) { return entry.first == kRecordKeyword; });
  if (request.format == ImageFormat::jpeg && metadata.exif.size() > kMaxJpegExif) metadata.exif.clear();
  metadata.text.emplace_back(kRecordKeyword, outcome.record + (outcome.result.interrupted ? kUnfinishedLine : ""));
  return metadata;
}

// As it is to be written, once.
void encode_result(const RunRequest& request, Outcome& outcome) {
  if (!outcome.encoded.empty()) return;
  const Metadata metadata = metadata_of(request, outcome);
  Finished& finished = outcome.result.finished;
  try {
    if (request.format == ImageFormat::png) {
      outcome.encoded = encode_png(finished.image, {.bit_depth = request.bit_depth, .metadata = &metadata});
      return;
    }
    if (request.format == ImageFormat::jxl) {
      outcome.encoded = encode_jxl(finished.image, {.bit_depth = request.bit_depth, .metadata = &metadata});
      return;
    }
    outcome.encoded = encode_jpeg(
        finished.image,
        {.quality = request.quality, .subsampling = Subsampling::s444, .optimize = true, .metadata = &metadata});
    finished.image = decode_jpeg(outcome.encoded).image;
    if (finished.cells && request.what.jpeg != nullptr) {
      finished.cells->rounded = check_cells(finished.image, JpegModel(*request.what.jpeg)).share();
    }
  } catch (const Error& error) {
    throw error.within(request.output);
  }
}

void write_encoded(const RunRequest& request, const Outcome& outcome, const std::string& path, bool overwrite) {
  write_file_atomically(path, outcome.encoded, overwrite);
  if (request.keep_times) take_time_of(request.named_input(), path);
}

// PSNR to the original, where it is known.
struct Quality {
  std::optional<double> before, after;
};

Quality measure(const RunRequest& request, const RestoreResult& result) {
  if (!request.original) return {};
  return {.before = psnr(request.what.task.baseline(), *request.original),
          .after = psnr(result.finished.image, *request.original)};
}

// How far the result is from what the JPEG decodes to, rms in grey levels.
double change_255(const RunRequest& request, const RestoreResult& result) {
  return rms_255(psnr(request.what.task.baseline(), result.finished.image));
}

std::string change_text(double change) {
  constexpr double kHardly = 0.5;  // less than what rounding to 8 bits may do
  return change < kHardly
             ? fmt::format(
                   "there was hardly anything to restore: the result stays within {:.2f} grey levels (rms) of "
                   "the decoded JPEG",
                   change)
             : fmt::format("the result differs from the decoded JPEG by {:.1f} grey levels (rms)", change);
}

// "1000 iterations", "the filter alone"
std::string work_text(const Outcome& outcome) {
  const int64_t iterations = outcome.result.iterations;
  if (outcome.method == kLearn) return "the filter, and " + counted(iterations, "iteration") + " of learning";
  if (iterations == 0) return "the filter alone";
  const std::string text = counted(iterations, "iteration");
  return outcome.method == kFilter ? text + "; the result is the filter's" : text;
}

constexpr const char* kFurtherAway =
    "the result is further from the original than the input was: either there was hardly anything to restore, or the "
    "network had too few iterations";

void say(Progress& progress, const RunRequest& request, const Outcome& outcome, const Quality& quality) {
  const RestoreResult& result = outcome.result;
  if (const auto& cells = result.finished.cells) {
    const std::string step = request.format == ImageFormat::jpeg
                                 ? fmt::format("it became a JPEG of quality {}", request.quality)
                                 : fmt::format("rounding to {} bits", request.bit_depth);
    progress.say(fmt::format("{:.3f} % of the JPEG's coefficients come out as in the file ({:.3f} % before {})",
                             100 * cells->rounded, 100 * cells->exact, step));
  }
  if (request.what.jpeg != nullptr) progress.say(change_text(change_255(request, result)));
  if (quality.before) {
    progress.say(fmt::format("PSNR to the original: {:.2f} dB before, {:.2f} dB after ({:+.2f} dB)", *quality.before,
                             *quality.after, *quality.after - *quality.before));
    if (*quality.after < *quality.before) progress.say(kFurtherAway);
  }
  progress.say(fmt::format("{}: {} in {} ({})", request.output, request.what.verb, duration_text(result.seconds),
                           work_text(outcome)));
}

// Where the PNG itself goes to stdout, the objects make way.
std::FILE* json_stream(const RunRequest& request) { return request.output == "-" ? stderr : stdout; }

void print_json(const RunRequest& request, const Outcome& outcome, const Quality& quality) {
  const RestoreResult& result = outcome.result;
  Json json{{"event", "result"}};
  json["input"] = request.input;
  json["output"] = request.output;
  json.update(request.what.details);
  json.update(outcome.details);
  if (outcome.method != request.what.method) json["result_of"] = outcome.method;
  json["iterations"] = result.iterations;
  json["seconds"] = result.seconds;
  json["interrupted"] = result.interrupted;
  json["threads"] = threads_of(request.threads);
  json["version"] = release_version();
  if (!request.what.input.sha256.empty()) json["input_sha256"] = request.what.input.sha256;
  if (result.finished.cells) {
    json["cells_exact"] = result.finished.cells->exact;
    json["cells_rounded"] = result.finished.cells->rounded;
  }
  if (request.what.jpeg != nullptr) {
    json["change_rms_255"] = change_255(request, result);
    json["psnr_to_input"] = psnr(request.what.task.baseline(), result.finished.image);
  }
  if (quality.before) {
    json["psnr_degraded"] = *quality.before;
    json["psnr_restored"] = *quality.after;
    json["psnr_gain"] = *quality.after - *quality.before;
  }
  const std::vector<std::string> warnings = messages_of(request);
  if (!warnings.empty()) json["warnings"] = warnings;
  print_to(json_stream(request), json.text() + "\n");
}

}  // namespace

ProgressOptions progress_options(const RunRequest& request) {
  return {.quiet = request.quiet, .rate = request.verbose > 0, .json = request.json ? json_stream(request) : nullptr};
}

void write_result(const RunRequest& request, Outcome& outcome, bool overwrite) {
  namespace fs = std::filesystem;
  encode_result(request, outcome);
  try {
    write_encoded(request, outcome, request.output, overwrite || request.may_replace(request.output));
  } catch (const Error& error) {
    if (request.final_only) throw;
    std::string instead;
    try {
      instead =
          (fs::temp_directory_path() / fmt::format("hourglass-{}{}", ::getpid(), ending_of(request.format))).string();
      write_encoded(request, outcome, instead, false);
    } catch (const std::exception&) {
      throw error;  // what is wrong in the first place
    }
    fail("{}; the result is in {}", error.what(), instead);
  }
}

void tell_result(Progress& progress, const RunRequest& request, const Outcome& outcome) {
  const Quality quality = measure(request, outcome.result);
  say(progress, request, outcome, quality);
  if (request.json) print_json(request, outcome, quality);
}

void tell_nothing(Progress& progress, const RunRequest& request, const std::string& text) {
  progress.say(text);
  const Json object = interrupted_object(text, request.named_input());
  if (request.json) print_to(json_stream(request), object.text() + "\n");
}

}  // namespace hourglass::cli
