#include "engine/cli/run_request.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "engine/cli/checkpoint_file.h"
#include "engine/cli/command_text.h"
#include "engine/cli/version.h"
#include "engine/image/digest.h"
#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/jxl.h"
#include "engine/image/orientation.h"
#include "engine/image/read_image.h"
#include "graph/error.h"
#include "models/builtin.h"

namespace hourglass::cli {
namespace {

// photo.jpg -> photo.restored.png, beside it; a stream -> a stream.
std::string default_output(const std::string& input, const std::string& suffix) {
  if (is_stream(input)) return "-";
  std::filesystem::path path(input);
  path.replace_extension(suffix);
  return path.string();
}

// Who means a folder by -o.
void check_names_file(const RunRequest& request) {
  std::error_code ignored;
  const std::string& output = request.output;
  const bool is_folder = std::filesystem::is_directory(output, ignored);
  if (!is_folder && !output.ends_with('/')) return;
  const bool takes_folder = request.call.line.find("output-dir") != nullptr;
  fail("{}: {} a folder: name a file in it{}", output, is_folder ? "is" : "names",
       takes_folder ? ", or give the folder as --output-dir " + quoted(output) : "");
}

void check_files(const RunRequest& request, const FitArguments& arguments) {
  check_names_file(request);
  const std::vector<NamedFile> outputs{{"--output", request.output},
                                       {"--history", arguments.history},
                                       {"--save-network", arguments.save_network},
                                       {"--network-input", arguments.save_input},
                                       {"--report", request.report},
                                       {"--profile", arguments.profile}};
  std::vector<NamedFile> inputs{{"input", request.what.original}, {"input", request.input}};
  inputs.emplace_back("--reference", request.reference);
  if (find_builtin(arguments.model) == nullptr) inputs.emplace_back("--model", arguments.model);
  inputs.insert(inputs.end(), request.what.inputs.begin(), request.what.inputs.end());
  std::vector<NamedFile> all = outputs;
  all.emplace_back(arguments.checkpoint.empty() ? "checkpoint" : "--checkpoint", checkpoint_path(arguments, request));
  check_distinct(inputs, all);
  // A run may be put away where it came from.
  check_distinct({{"--resume", arguments.resume}}, outputs);
  if (request.json) {
    for (const auto& [option, path] : outputs) {
      if (output_name(path) == "-" && option != "--output")
        fail("{} {} and --json both go to standard output: name a file", option, path);
    }
  }
  for (const auto& [option, path] : outputs) {
    if (!path.empty()) check_writable(path, request.may_replace(path));
  }
}

void check_checkpoint(const std::string& path, const FitArguments& arguments) {
  if (path.empty() || same_file(path, arguments.resume)) return;
  if (!arguments.force && std::filesystem::is_regular_file(path)) {
    fail("{0}: exists already: an earlier run was not finished. --resume {0} goes on with it, --force begins anew",
         path);
  }
  check_writable(path, true);
}

// The original as the result's equal: gray is compared with gray, colour with colour, and its pixels lie as the
// input's.
Image load_reference(RunRequest& request, const Image& sought) {
  const std::string& path = request.reference;
  DecodedImage reference = read_image(path);
  Image& image = reference.image;
  if (turn_like(image, reference.metadata, request.what.input.metadata))
    request.file_notes.push_back("note: " + path + ": turned like the input, as their EXIF orientations say");
  if (image.width != sought.width || image.height != sought.height) {
    fail("{}: is {}x{}, the result will be {}x{}: the reference must be its original", path, image.width, image.height,
         sought.width, sought.height);
  }
  if (image.channels == sought.channels) return image;
  return sought.channels == 1 ? to_gray(image) : gray_to_rgb(image);
}

// What of the metadata has no place in the output, in words.
std::vector<std::string> lost_in(ImageFormat format, const Metadata& metadata, int channels) {
  if (format == ImageFormat::jxl) return lost_in_jxl(metadata, channels);
  if (format == ImageFormat::jpeg) return lost_in_jpeg(metadata);
  const std::string lost = lost_in_png(metadata, channels);
  return lost.empty() ? std::vector<std::string>() : std::vector{lost};
}

std::string input_line(const std::string& sha256) { return "input sha256 " + sha256 + "\n"; }

// Of the files that the settings name, a line each.
std::vector<std::string> lines_of_files(const ParsedCommand& line) {
  std::vector<std::string> lines;
  for (const ParsedOption& one : line.options) {
    std::error_code ignored;
    if (!is_setting(one) || !std::filesystem::is_regular_file(one.value, ignored)) continue;
    lines.push_back(one.name + " sha256 " + sha256_hex(read_file(one.value)) + "\n");
  }
  return lines;
}

std::string versions() {
  std::string text = version_text();
  std::replace(text.begin(), text.end(), '\n', ',');
  return text;
}

}  // namespace

std::string kind_of(const TaskRun& what) {
  if (!what.kind.empty()) return what.kind;
  const DecodedImage& input = what.input;
  if (input.format != ImageFormat::jpeg) return name_of(input.format);
  return input.image.channels == 1 ? "gray JPEG" : "colour JPEG";
}

bool RunRequest::may_replace(const std::string& path) const {
  // Of one of several files, what stands in the page's place is one (report_folder.h).
  if (final_only && !report.empty() && path == report) return true;
  return force || (call.resumed && !path.empty() && written_by(*call.resumed, path));
}

bool RunRequest::is_rewritable() const {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::file_status status = fs::status(output, ignored);
  return !is_stream(output) && (!fs::exists(status) || fs::is_regular_file(status));
}

RunRequest resolve_run(const FitArguments& arguments, const FitCall& call, const TaskRun& what) {
  RunRequest request{.call = call,
                     .what = what,
                     .input = arguments.input,
                     .output = output_name(arguments.output),
                     .reference = arguments.reference,
                     .report = output_name(arguments.report),
                     .original = {},
                     .format = ImageFormat::png,
                     .bit_depth = arguments.bit_depth.value_or(what.input.bit_depth),
                     .quality = arguments.quality.value_or(kUsualQuality),
                     .threads = arguments.threads,
                     .force = arguments.force,
                     .quiet = arguments.quiet,
                     .json = arguments.json,
                     .final_only = arguments.final_only,
                     .keep_times = arguments.keep_times,
                     .verbose = arguments.verbose};
  if (request.output.empty()) request.output = default_output(request.input, what.suffix);
  request.format = format_to_write(request.output);
  if (request.format == ImageFormat::jpeg) {
    if (arguments.bit_depth == 16)
      fail("{}: a JPEG holds 8 bits: leave out --bit-depth, or name a PNG or a JPEG XL", request.output);
    request.bit_depth = 8;
  } else if (arguments.quality) {
    fail("--quality: belongs to a JPEG, and {} is a {}", request.output, name_of(request.format));
  }
  const Image& baseline = what.task.baseline();
  if (request.format == ImageFormat::jxl && std::max(baseline.width, baseline.height) > kMaxJxlSide) {
    fail("{}: a JPEG XL of {}x{} cannot be written, {} pixels are the most of a side: name a PNG", request.output,
         baseline.width, baseline.height, kMaxJxlSide);
  }
  check_files(request, arguments);
  check_checkpoint(checkpoint_path(arguments, request), arguments);
  if (what.reference != nullptr) request.original = *what.reference;
  if (!request.reference.empty()) request.original = load_reference(request, what.task.baseline());
  for (const std::string& lost : lost_in(request.format, what.input.metadata, baseline.channels)) {
    request.file_notes.push_back("warning: " + request.input + ": " + lost);
  }
  return request;
}

std::vector<std::string> messages_of(const RunRequest& request) {
  std::vector<std::string> messages;
  for (const std::string& warning : request.what.input.warnings) {
    messages.push_back("warning: " + request.input + ": " + warning);
  }
  messages.insert(messages.end(), request.file_notes.begin(), request.file_notes.end());
  return messages;
}

// Where it is told, where it came from, or beside an output that is a file.
std::string checkpoint_path(const FitArguments& arguments, const RunRequest& request) {
  if (request.what.method == kFilter) return {};
  const std::string& told = arguments.checkpoint.empty() ? arguments.resume : arguments.checkpoint;
  if (!told.empty()) return told;
  return request.is_rewritable() ? request.output + ".ckpt" : std::string();
}

void sign_checkpoint(Archive& checkpoint, const RunRequest& request, const std::string& settings,
                     const std::vector<std::string>& files) {
  checkpoint.put("settings", settings);
  checkpoint.put("input_sha256", request.what.input.sha256);
  std::string outputs;
  for (const std::string& path : files) {
    if (!path.empty()) outputs += canonical_path(path) + "\n";
  }
  checkpoint.put("outputs", outputs);
}

void check_resumed(const RunRequest& request) {
  if (request.call.resumed && request.call.resumed->text("input_sha256") != request.what.input.sha256) {
    fail("{}: was begun with another input than {}", request.call.resumed_from, request.input);
  }
}

std::string resume_command(const RunRequest& request, const std::string& checkpoint) {
  const ParsedCommand& line = request.call.line;
  const std::string& output = line.given("output") ? line.find("output")->value : request.output;
  std::string command = fmt::format("hourglass {} {} -o {} --resume {}", line.name, quoted(request.named_input()),
                                    quoted(output), quoted(checkpoint));
  // What the command line must hold in any case, such as a mask, or one of a choice.
  for (const ParsedOption& one : line.options) {
    const bool needed = one.option.required || (!one.option.choice.empty() && one.given);
    if (needed && one.name != "output") command += " --" + one.name + " " + quoted(one.value);
  }
  if (!request.reference.empty()) command += " --reference " + quoted(request.reference);
  for (const char* name : {"history", "save-network", "network-input", "report", "profile"}) {
    if (line.given(name)) command += fmt::format(" --{} {}", name, quoted(line.find(name)->value));
  }
  return command;
}

std::string record_of(const RunRequest& request, const Settings& settings, const std::string& network_sha256) {
  std::string record = settings.command_line() + "\n";
  const std::string& sha256 = request.what.input.sha256;
  if (!sha256.empty()) record += input_line(sha256);
  if (!network_sha256.empty()) record += "network sha256 " + network_sha256 + "\n";
  for (const std::string& line : lines_of_files(request.call.line)) record += line;
  return record + versions() + "\n";
}

bool is_record_of(const std::string& record, const ParsedCommand& line, const NamedValues& in_force,
                  const std::string& input_sha256) {
  const auto has = [&](const std::string& text) { return record.find("\n" + text) != std::string::npos; };
  const std::vector<std::string> files = lines_of_files(line);
  const Settings done = Settings::of_command_line(record.substr(0, record.find('\n')));
  return Settings(line, in_force).agrees(done, line.given("threads")) && has(input_line(input_sha256)) &&
         has(versions() + "\n") && !has(kUnfinishedLine) && std::all_of(files.begin(), files.end(), has);
}

bool is_unfinished_record(const std::string& record, const std::string& input_sha256) {
  return record.find("\n" + input_line(input_sha256)) != std::string::npos &&
         record.find(std::string("\n") + kUnfinishedLine) != std::string::npos;
}

}  // namespace hourglass::cli
