#include "engine/cli/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <sstream>

#include "engine/cli/command_text.h"
#include "engine/cli/report_index.h"
#include "engine/cli/version.h"
#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/png.h"
#include "engine/measure/machine.h"
#include "engine/report/maps.h"
#include "engine/restore/consistency.h"

namespace hourglass::cli {
namespace {

// The page shows colours as the file means them, and nothing else that the file says of itself.
Picture encoded(const Image& image, const std::vector<uint8_t>& icc_profile = {}) {
  Metadata metadata;
  metadata.icc_profile = icc_profile;
  std::vector<std::string> ignored;
  return {.bytes = encode_png(image, {.metadata = &metadata, .warnings = &ignored}),
          .width = image.width,
          .height = image.height};
}

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
    const auto found = std::find_if(settings.begin(), settings.end(), [&](const auto& s) { return s.first == name; });
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
      command_(command_text(request.call.line.name, {request.named_input()}, settings_)),
      before_(picture_of(request.what.task.baseline())) {}

Picture RunReport::picture_of(const Image& image) const {
  return encoded(image, request_.what.input.metadata.icc_profile);
}

ReportPage RunReport::page(const Image& after, const std::string& by) const {
  const Image& before = request_.what.task.baseline();
  ReportPage page;
  page.title = std::filesystem::path(request_.named_input()).filename().string();
  page.lead =
      fmt::format("A {} of {}x{}, {} {}.", kind_of(request_.what), before.width, before.height, request_.what.verb, by);
  page.before = before_;
  page.after = picture_of(after);
  const DifferenceMap difference = difference_map(before, after);
  page.maps.push_back({.picture = encoded(difference.image),
                       .title = "Difference.",
                       .caption = fmt::format(
                           "Red where it became brighter, blue where darker; full colour from {:.0f} grey levels on.",
                           difference.full_255)});
  page.before_name = "Before";
  page.after_name = "After";
  for (const auto& [name, value] : settings_) page.settings.emplace_back(name, value.empty() ? "yes" : value);
  page.machine = machine_table();
  page.command = command_;
  page.footer = fmt::format("Written {} UTC by hourglass.", now_in_utc());
  return page;
}

ReportPage RunReport::result_page(const Outcome& outcome, const std::string& by) const {
  const Image& before = request_.what.task.baseline();
  const RestoreResult& result = outcome.result;
  const Image& after = result.finished.image;
  ReportPage last = page(after, by);
  if (request_.original) {
    last.facts.emplace_back("PSNR to the original", fmt::format("{:.2f} → {:.2f} dB", psnr(before, *request_.original),
                                                                psnr(after, *request_.original)));
  }
  // What was compressed twice lies in no cells of the file.
  if (request_.what.jpeg != nullptr && request_.what.first == nullptr) {
    const JpegModel model(*request_.what.jpeg);
    const std::string share = fmt::format("{:.3f} %", 100 * check_cells(after, model).share());
    last.facts.emplace_back("as in the JPEG", share);
    last.maps.push_back({.picture = encoded(cell_map(after, model)),
                         .title = "The JPEG's cells.",
                         .caption = share + " of the coefficients come out as in the file; blocks are the darker, the "
                                            "more of theirs don't.",
                         .blocks = true});
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
  write_file_atomically(request_.report, bytes_of(to_html(page)), written_ || request_.force);
  written_ = true;
}

}  // namespace hourglass::cli
