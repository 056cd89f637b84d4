#include "engine/cli/live_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>

#include "engine/cli/progress.h"
#include "engine/report/contact_sheet.h"

namespace hourglass::cli {
namespace {

constexpr double kShortestPause = 4;    // seconds between two pages
constexpr double kLargestShare = 0.05;  // of the time that pages may cost
constexpr int64_t kThumbnail = 400;     // pixels of a snapshot's longer side
constexpr const char* kSavedSnapshots = "report/snapshots";

// Where nothing else is asked for 10, 30, 100, 300, ...: a network learns most at the beginning.
bool is_milestone(int64_t iteration, const std::vector<int64_t>& asked) {
  if (!asked.empty()) return std::find(asked.begin(), asked.end(), iteration) != asked.end();
  for (int64_t power = 10; power <= iteration; power *= 10) {
    if (iteration == power || iteration == 3 * power) return true;
  }
  return false;
}

std::string grouped(int64_t number) { return number_label(static_cast<double>(number), 1); }

}  // namespace

LiveReport::LiveReport(const FitRequest& request) : request_(request), report_(request, values_in_force(request)) {}

Image LiveReport::image_of(std::span<const float> pixels) const {
  const Image& like = request_.what.task.baseline();
  Image image(like.width, like.height, like.channels);
  std::copy(pixels.begin(), pixels.end(), image.pixels.begin());
  return image;
}

void LiveReport::add_snapshot(const RestoreStep& step, const Image& average) {
  const std::string quality = step.psnr_original_average
                                  ? decibels(*step.psnr_original_average) + " to the original"
                                  : decibels(step.psnr_degraded_average) + " to " + report_.ends().input;
  snapshots_.push_back({.picture = report_.picture_of(thumbnail(average, kThumbnail)),
                        .title = "iteration " + grouped(step.iteration),
                        .caption = quality});
}

std::string LiveReport::by_network() const {
  return "by the network " + std::filesystem::path(request_.model).filename().string();
}

void LiveReport::add_course(ReportPage& page, const RunLog& log, const RunEnds& ends) const {
  page.plots.push_back({.figure = trend_figure(log, {}, {}, ends),
                        .alternative = "The loss and the PSNR of the network's average over the iterations."});
  if (Figure path = path_figure(log, {}, {}, ends); !path.charts.empty()) {
    page.plots.push_back({.figure = std::move(path),
                          .alternative = "The way through image space: the distance to " + ends.input +
                                         " against the distance to the original."});
  }
  page.snapshots = snapshots_;
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
  if (written_by(checkpoint, request_.report)) report_.adopt();
}

void LiveReport::on_step(const RestoreStep& step, const RunLog& log) {
  if (step.average.empty()) return;  // of one tile: there is no picture on the way
  const bool milestone = step.run == 0 && is_milestone(step.iteration, request_.what.snapshots),
             due = step.seconds >= next_write_;
  if (!milestone && !due) return;
  const auto start = std::chrono::steady_clock::now();
  const Image average = image_of(step.average);
  if (milestone) add_snapshot(step, average);
  if (!due) return;
  const int64_t total = step.iterations * request_.options.runs;
  const double left = step.seconds / static_cast<double>(step.total) * static_cast<double>(total - step.total);
  ReportPage now = report_.page(average, by_network());
  const RunEnds ends = report_.ends();
  add_course(now, log, ends);
  now.progressing = Progressing{.done = step.total,
                                .total = total,
                                .left = "about " + duration_text(left) + " left at most",
                                .every_seconds = every_seconds_,
                                .written_at = static_cast<int64_t>(std::time(nullptr))};
  now.facts = {{"PSNR to " + ends.input, decibels(step.psnr_degraded_average)}, {"time", duration_text(step.seconds)}};
  if (step.psnr_original_average) {
    now.facts.insert(now.facts.begin(), {"PSNR to the original", decibels(*step.psnr_original_average)});
  }
  report_.write(now);
  const double cost = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  every_seconds_ = std::max(kShortestPause, cost / kLargestShare);
  next_write_ = step.seconds + cost + every_seconds_;
}

void LiveReport::on_result(const Outcome& outcome, const RunLog& log) {
  ReportPage last = report_.result_page(
      outcome, outcome.method == kFilter ? "by the filter: the network had not come far enough" : by_network());
  // The curves of tiles are each of another picture.
  if (!log.runs.empty() && request_.options.tile_side == 0) {
    RunEnds ends = report_.ends();
    ends.ended = true;
    const Image& image = outcome.result.finished.image;
    if (request_.original) add_result(ends, request_.what.task.baseline(), *request_.original, image);
    add_course(last, log, ends);
    if (outcome.method != kFilter) {
      last.snapshots.push_back({.picture = report_.picture_of(thumbnail(image, kThumbnail)),
                                .title = "the result",
                                .caption = request_.original ? decibels(*ends.result_psnr) + " to the original" : ""});
    }
  }
  last.op_seconds = outcome.result.op_seconds;
  report_.write(last);
}

}  // namespace hourglass::cli
