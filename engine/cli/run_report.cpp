#include "engine/cli/run_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <system_error>

#include "engine/cli/command_text.h"
#include "engine/cli/report_index.h"
#include "engine/cli/version.h"
#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/orientation.h"
#include "engine/measure/machine.h"
#include "engine/report/contact_sheet.h"
#include "engine/report/maps.h"
#include "engine/report/page_picture.h"
#include "engine/restore/consistency.h"

namespace hourglass::cli {
namespace {

constexpr int64_t kMostOfMap = 1600;  // pixels of the difference's longer side

Table machine_table() {
  const Machine machine = this_machine();
  Table table{{"CPU", machine.cpu},
              {"CPUs", fmt::format("{} of {}", machine.available, machine.limits.online)},
              {"memory", fmt::format("{:.1f} GiB", static_cast<double>(machine.memory_bytes) / (1 << 30))},
              {"instruction set", machine.isa},
              {"OpenMP", machine.openmp}};
  std::istringstream lines(version_text());
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.find(' ');
    table.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return table;
}

// The settings in force: what was decided by the machine takes the place of "auto".
Table settings_in_force(const ParsedCommand& line, const NamedValues& in_force) {
  Table settings = settings_of(line);
  for (const auto& [name, value] : in_force) {
    const auto found =
        std::find_if(settings.begin(), settings.end(), [&name = name](const auto& s) { return s.first == name; });
    if (found == settings.end()) {
      settings.emplace_back(name, value);
    } else {
      found->second = value;
    }
  }
  return settings;
}

}  // namespace

std::string now_in_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  char text[32] = "";
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", gmtime_r(&now, &parts));
  return text;
}

std::string decibels(double value) { return fmt::format("{:.2f} dB", value); }

RunReport::RunReport(const RunRequest& request, const NamedValues& in_force)
    : request_(request),
      settings_(settings_in_force(request.call.line, in_force)),
      before_(picture_of(request.what.task.baseline())) {
  if (request.original) original_ = picture_of(*request.original);
}

Image RunReport::seen(const Image& image) const {
  return upright(image, exif_orientation(request_.what.input.metadata.exif));
}

Picture RunReport::picture_of(const Image& image) const {
  return page_picture(seen(image), request_.what.input.metadata.icc_profile);
}

RunEnds RunReport::ends() const {
  RunEnds ends{.input = request_.what.jpeg != nullptr ? "the JPEG" : "the input", .result = request_.what.verb};
  if (request_.original) ends.input_psnr = psnr(request_.what.task.baseline(), *request_.original);
  return ends;
}

// As it stands, in the folder in which it was given.
void RunReport::add_command(ReportPage& page) const {
  const ParsedCommand& line = request_.call.line;
  Table settings = settings_;
  const auto has = [&](const char* name) {
    return std::any_of(settings.begin(), settings.end(), [&](const auto& entry) { return entry.first == name; });
  };
  // Of several files each had its own place, and no such option was given.
  if (!has("output")) settings.emplace_back("output", request_.output);
  if (!has("force")) settings.emplace_back("force", "");
  std::error_code error;
  const std::string folder = std::filesystem::current_path(error).string();
  page.command = (error ? std::string() : "cd " + quoted(folder) + " &&\n") +
                 command_text(line.name, {request_.named_input()}, settings);
  page.command_note =
      "The same command on the same machine gives the same bytes, and puts them in the place of this run's.";
}

ReportPage RunReport::page(const Image& after, const std::string& by) const {
  const Image& before = request_.what.task.baseline();
  ReportPage page;
  page.title = std::filesystem::path(request_.named_input()).filename().string();
  page.lead = fmt::format("A {} of {}x{} pixels, {} {}.", kind_of(request_.what), before.width, before.height,
                          request_.what.verb, by);
  page.before = before_;
  page.after = picture_of(after);
  page.original = original_;
  page.comparison_note = page_picture_note(before.plane_size());
  const DifferenceMap difference = difference_map(before, after);
  page.maps.push_back({.picture = page_picture(thumbnail(seen(difference.image), kMostOfMap)),
                       .title = "Difference.",
                       .caption = fmt::format(
                           "Red where it became brighter, blue where darker; full colour from {:.0f} grey levels on.",
                           difference.full_255)});
  page.before_name = "Before";
  page.after_name = "After";
  for (const auto& [name, value] : settings_) {
    Table& table = request_.call.line.given(name) ? page.changed : page.settings;
    table.emplace_back(name, value.empty() ? "yes" : value);
  }
  page.machine = machine_table();
  add_command(page);
  page.footer = fmt::format("Written {} UTC by hourglass.", now_in_utc());
  return page;
}

namespace {

// rms, in grey levels.
std::string change_in_words(double change) {
  constexpr double kHardly = 0.5, kSlight = 2, kClear = 8;
  const std::string_view word = change < kHardly   ? "hardly anything"
                                : change < kSlight ? "slight"
                                : change < kClear  ? "clear"
                                                   : "strong";
  return fmt::format("{}: {:.1f} of 255 grey levels", word, change);
}

// How the result stands to the JPEG: `outside` of its numbers would come out otherwise.
std::string file_in_words(double share, int64_t outside) {
  if (outside == 0) {
    return "Compressed again as this JPEG was, the result gives the very numbers that stand in the file: the JPEG's "
           "artifacts went, and nothing that it says is contradicted. Fine texture that it has lost can't come back.";
  }
  return fmt::format(
      "Compressed again as this JPEG was, the result gives {:.3f} % of the numbers that stand in the file. Fine "
      "texture that the JPEG has lost can't come back.",
      100 * share);
}

const std::pair<std::string, std::string> kWhatIsADecibel{
    "What are these decibels?",
    "PSNR, the peak signal-to-noise ratio, says how near an image is to the original, pixel by pixel: the larger, the "
    "nearer. With each decibel more, the mean squared error is a fifth less."};

}  // namespace

ReportPage RunReport::result_page(const Outcome& outcome, const std::string& by) const {
  const Image& before = request_.what.task.baseline();
  const RestoreResult& result = outcome.result;
  const Image& after = result.finished.image;
  ReportPage last = page(after, by);
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(request_.output, error);
  if (!error && request_.is_rewritable()) last.result = path.lexically_normal().string();
  if (request_.original) {
    last.facts.emplace_back("PSNR to the original", fmt::format("{:.2f} → {:.2f} dB", psnr(before, *request_.original),
                                                                psnr(after, *request_.original)));
    last.explanations.push_back(kWhatIsADecibel);
  }
  if (before.width == after.width && before.height == after.height) {
    last.facts.emplace_back("the change", change_in_words(rms_255(psnr(before, after))));
  }
  // What was compressed twice lies in no cells of the file.
  if (request_.what.jpeg != nullptr && request_.what.first == nullptr) {
    const JpegModel model(*request_.what.jpeg);
    const CellCheck check = check_cells(after, model);
    const int64_t outside = check.coefficients - check.same;
    last.remarks.push_back(file_in_words(check.share(), outside));
    if (outside > 0) {
      last.maps.push_back(
          {.picture = page_picture(seen(cell_map(after, model))),
           .title = "The JPEG's cells.",
           .caption = fmt::format("{:.3f} % of the coefficients come out as in the file; blocks are the "
                                  "darker, the more of theirs don't.",
                                  100 * check.share()),
           .blocks = true});
    }
  }
  last.summary = summary_of(request_, outcome);
  const std::string interrupted = result.interrupted ? ", interrupted" : "";
  if (result.iterations > 0) {
    last.facts.emplace_back("iterations", number_label(static_cast<double>(result.iterations), 1) + interrupted);
  }
  last.facts.emplace_back("time", duration_text(result.seconds) + (result.iterations > 0 ? "" : interrupted));
  return last;
}

void RunReport::write(const ReportPage& page) {
  write_file_atomically(request_.report, bytes_of(to_html(page)), written_ || request_.may_replace(request_.report));
  written_ = true;
}

}  // namespace hourglass::cli
