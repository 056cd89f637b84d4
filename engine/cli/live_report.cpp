#include "engine/cli/live_report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <sstream>

#include "engine/cli/command_text.h"
#include "engine/cli/progress.h"
#include "engine/cli/version.h"
#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/png.h"
#include "engine/measure/machine.h"
#include "engine/report/contact_sheet.h"
#include "engine/report/maps.h"
#include "engine/restore/consistency.h"

namespace hourglass::cli {
namespace {

constexpr double kShortestPause = 4;    // seconds between two pages
constexpr double kLargestShare = 0.05;  // of the time that pages may cost
constexpr int64_t kThumbnail = 400;     // pixels of a snapshot's longer side
constexpr const char* kSavedSnapshots = "report/snapshots";

// 10, 30, 100, 300, ...: a network learns most at the beginning.
bool is_milestone(int64_t iteration) {
  for (int64_t power = 10; power <= iteration; power *= 10) {
    if (iteration == power || iteration == 3 * power) return true;
  }
  return false;
}

std::string grouped(int64_t number) { return number_label(static_cast<double>(number), 1); }

// The page shows colours as the file means them, and nothing else that the file says of itself.
Picture picture_of(const Image& image, const std::vector<uint8_t>& icc_profile = {}) {
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
Table settings_in_force(const FitRequest& request) {
  Table settings = settings_of(request.call.line);
  for (const auto& [name, value] : values_in_force(request)) {
    const auto found = std::find_if(settings.begin(), settings.end(), [&](const auto& s) { return s.first == name; });
    if (found == settings.end()) {
      settings.emplace_back(name, value);
    } else {
      found->second = value;
    }
  }
  return settings;
}

std::string decibels(double value) { return fmt::format("{:.2f} dB", value); }

}  // namespace

LiveReport::LiveReport(const FitRequest& request)
    : request_(request),
      settings_(settings_in_force(request)),
      command_(command_text(request.call.line.name, {request.named_input()}, settings_)),
      before_(picture_of(request.what.task.baseline(), request.what.input.metadata.icc_profile)) {}

Image LiveReport::image_of(std::span<const float> pixels) const {
  const Image& like = request_.what.task.baseline();
  Image image(like.width, like.height, like.channels);
  std::copy(pixels.begin(), pixels.end(), image.pixels.begin());
  return image;
}

void LiveReport::add_snapshot(const RestoreStep& step, const Image& average) {
  const std::string quality = step.psnr_original_average ? decibels(*step.psnr_original_average) + " to the original"
                                                         : decibels(step.psnr_degraded_average) + " to the input";
  snapshots_.push_back({.picture = picture_of(thumbnail(average, kThumbnail), request_.what.input.metadata.icc_profile),
                        .title = "iteration " + grouped(step.iteration),
                        .caption = quality});
}

ReportPage LiveReport::page(const Image& after, const RunLog& log) const {
  const Image& before = request_.what.task.baseline();
  ReportPage page;
  page.title = std::filesystem::path(request_.named_input()).filename().string();
  page.lead = fmt::format("A {} of {}x{}, {} by the network {}.", kind_of(request_.what), before.width, before.height,
                          request_.what.verb, std::filesystem::path(request_.model).filename().string());
  page.before = before_;
  page.after = picture_of(after, request_.what.input.metadata.icc_profile);
  const DifferenceMap difference = difference_map(before, after);
  page.maps.push_back({.picture = picture_of(difference.image),
                       .title = "Difference.",
                       .caption = fmt::format(
                           "Red where it became brighter, blue where darker; full colour from {:.0f} grey levels on.",
                           difference.full_255)});
  page.before_name = "Before";
  page.after_name = "After";
  page.plots.push_back({.figure = trend_figure(log, {}, {}),
                        .alternative = "The loss and the PSNR of the network's average over the iterations."});
  page.snapshots = snapshots_;
  for (const auto& [name, value] : settings_) page.settings.emplace_back(name, value.empty() ? "yes" : value);
  page.machine = machine_table();
  page.command = command_;
  page.footer = fmt::format("Written {:%Y-%m-%d %H:%M:%S} UTC by hourglass.", fmt::gmtime(std::time(nullptr)));
  return page;
}

void LiveReport::write(const ReportPage& page) {
  write_file_atomically(request_.report, bytes_of(to_html(page)), written_ || request_.force);
  written_ = true;
}

void LiveReport::save(Archive& checkpoint) const {
  Archive archive;
  for (std::size_t i = 0; i < snapshots_.size(); ++i) {
    const CaptionedPicture& snapshot = snapshots_[i];
    Archive one;
    one.put("png", std::string(snapshot.picture.bytes.begin(), snapshot.picture.bytes.end()));
    one.put("width", snapshot.picture.width);
    one.put("height", snapshot.picture.height);
    one.put("title", snapshot.title);
    one.put("caption", snapshot.caption);
    archive.put(fmt::format("{}", i), one);
  }
  checkpoint.put(kSavedSnapshots, archive);
}

void LiveReport::load(const Archive& checkpoint) {
  const Archive archive = checkpoint.part(kSavedSnapshots);
  for (std::size_t i = 0; archive.has(fmt::format("{}/png", i)); ++i) {
    const Archive one = archive.part(fmt::format("{}", i));
    const std::string& png = one.text("png");
    snapshots_.push_back(
        {.picture = {.bytes = {png.begin(), png.end()}, .width = one.integer("width"), .height = one.integer("height")},
         .title = one.text("title"),
         .caption = one.text("caption")});
  }
  // The page of the run's first part is replaced.
  written_ = written_by(checkpoint, request_.report);
}

void LiveReport::on_step(const RestoreStep& step, const RunLog& log) {
  const bool milestone = step.run == 0 && is_milestone(step.iteration), due = step.seconds >= next_write_;
  if (!milestone && !due) return;
  const auto start = std::chrono::steady_clock::now();
  const Image average = image_of(step.average);
  if (milestone) add_snapshot(step, average);
  if (!due) return;
  const int64_t total = step.iterations * request_.options.runs;
  const double left = step.seconds / static_cast<double>(step.total) * static_cast<double>(total - step.total);
  ReportPage now = page(average, log);
  now.progressing = Progressing{.done = step.total,
                                .total = total,
                                .left = "at most about " + duration_text(left) + " left",
                                .every_seconds = every_seconds_,
                                .written_at = static_cast<int64_t>(std::time(nullptr))};
  now.facts = {{"PSNR to the input", decibels(step.psnr_degraded_average)}, {"time", duration_text(step.seconds)}};
  if (step.psnr_original_average) {
    now.facts.insert(now.facts.begin(), {"PSNR to the original", decibels(*step.psnr_original_average)});
  }
  write(now);
  const double cost = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  every_seconds_ = std::max(kShortestPause, cost / kLargestShare);
  next_write_ = step.seconds + cost + every_seconds_;
}

void LiveReport::on_result(const RestoreResult& result, const RunLog& log) {
  const Image& before = request_.what.task.baseline();
  const Image& after = result.finished.image;
  ReportPage last = page(after, log);
  if (request_.options.original) {
    const double from = psnr(before, *request_.options.original), to = psnr(after, *request_.options.original);
    last.facts.emplace_back("PSNR to the original", fmt::format("{:.2f} → {:.2f} dB", from, to));
  }
  if (request_.what.jpeg != nullptr) {
    const JpegModel model(*request_.what.jpeg);
    const std::string share = fmt::format("{:.3f} %", 100 * check_cells(after, model).share());
    last.facts.emplace_back("as in the JPEG", share);
    last.maps.push_back({.picture = picture_of(cell_map(after, model)),
                         .title = "The JPEG's cells.",
                         .caption = share + " of the coefficients come out as in the file; blocks are the darker, the "
                                            "more of theirs don't.",
                         .blocks = true});
  }
  last.facts.emplace_back("iterations", grouped(result.iterations) + (result.interrupted ? ", interrupted" : ""));
  last.facts.emplace_back("time", duration_text(result.seconds));
  last.op_seconds = result.op_seconds;
  write(last);
}

}  // namespace hourglass::cli
