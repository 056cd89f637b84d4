#include "engine/cli/experiment_files.h"

#include <fmt/core.h>

#include <algorithm>

#include "engine/cli/outcome.h"
#include "engine/cli/same_file.h"
#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSnapshots = "snapshots";
constexpr const char* kSavedPanels = "experiment/panels";
constexpr int64_t kPanel = 640;  // pixels of a panel's longer side, at most

}  // namespace

void ExperimentFolder::prepare(bool overwrite) const {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_directory(path, error)) fail("{}: is no folder", path.string());
  if (!overwrite && fs::is_directory(path, error) && !fs::is_empty(path, error)) {
    const std::string checkpoint = file(kCheckpoint);
    if (!fs::exists(checkpoint)) fail("{}: is not empty; --force writes into it all the same", path.string());
    fail("{}: holds an experiment that was not finished. --resume {} goes on with it, --force begins anew",
         path.string(), checkpoint);
  }
  make_folders((path / kSnapshots).string());
  fs::remove(file(kCheckpoint));
  for (const fs::directory_entry& entry : fs::directory_iterator(path / kSnapshots)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("iteration_") && name.ends_with(".png")) fs::remove(entry.path());
  }
}

void ExperimentFolder::check_original(const std::string& original) const {
  std::vector<NamedFile> outputs;
  for (const char* name : {"compressed.jpg", "restored.png", "history.csv", "contact_sheet.png", "trend.svg",
                           "trend.png", "path.svg", "path.png", "report.html", kCheckpoint}) {
    outputs.emplace_back(std::string("experiment's ") + name, file(name));
  }
  check_distinct({{"input", original}}, outputs);
  if (fs::path(canonical_path(original)).parent_path() == canonical_path(file(kSnapshots))) {
    fail("{}: lies in the folder of the experiment's snapshots: move it to another one", original);
  }
}

void ExperimentFolder::abandon() const {
  std::error_code ignored;
  fs::remove(path / "compressed.jpg", ignored);
  fs::remove(path / kSnapshots, ignored);
  fs::remove(path, ignored);  // only when it is empty
}

ExperimentFiles::ExperimentFiles(ExperimentFolder folder, ExperimentOptions options, Image original,
                                 const Image& compressed)
    : folder_(std::move(folder)),
      options_(std::move(options)),
      original_(std::move(original)),
      compressed_(compressed),
      ends_{.input_psnr = psnr(compressed, original_)} {
  if (!options_.result.empty()) ends_.result = "restored (average, " + options_.result + ")";
}

Panel ExperimentFiles::panel_of(const Image& image, const std::string& title) const {
  return {.image = thumbnail(image, kPanel),
          .title = title,
          .detail = fmt::format("{:.2f} dB to the original", psnr(image, original_))};
}

void ExperimentFiles::add_snapshot(const std::string& file, const Image& image, const std::string& title) {
  write_png(folder_.file(std::string(kSnapshots) + "/" + file), image, {}, true);
  panels_.push_back(panel_of(image, title));
}

void ExperimentFiles::write_overviews(const RunLog& log) const {
  std::vector<Panel> panels = panels_;
  panels.push_back({.image = thumbnail(original_, kPanel), .title = "the original", .detail = {}});
  panels.push_back(panel_of(compressed_, fmt::format("the JPEG, quality {}", options_.quality)));
  write_png(folder_.file("contact_sheet.png"),
            contact_sheet(panels, options_.title,
                          options_.note + "; at the iterations: the average of the network's outputs"),
            {}, true);
  const Figure trend = trend_figure(log, options_.title, options_.note, ends_);
  write_svg(folder_.file("trend.svg"), trend, true);
  write_png(folder_.file("trend.png"), trend, true);
  const Figure path = path_figure(log, options_.title, options_.note, ends_);
  write_svg(folder_.file("path.svg"), path, true);
  write_png(folder_.file("path.png"), path, true);
}

void ExperimentFiles::save(Archive& checkpoint) const {
  Archive archive;
  for (std::size_t i = 0; i < panels_.size(); ++i) {
    Archive one;
    one.put("width", panels_[i].image.width);
    one.put("height", panels_[i].image.height);
    one.put("channels", int64_t{panels_[i].image.channels});
    one.put("pixels", panels_[i].image.pixels);
    one.put("title", panels_[i].title);
    one.put("detail", panels_[i].detail);
    archive.put(fmt::format("{}", i), one);
  }
  checkpoint.put(kSavedPanels, archive);
}

void ExperimentFiles::load(const Archive& checkpoint) {
  begun_ = true;
  const Archive archive = checkpoint.part(kSavedPanels);
  for (std::size_t i = 0; archive.has(fmt::format("{}/pixels", i)); ++i) {
    const Archive one = archive.part(fmt::format("{}", i));
    const int64_t width = one.integer("width", original_.width, original_.width);
    const int64_t height = one.integer("height", original_.height, original_.height);
    Image image(width, height, one.integer("channels", 1, 3) == 1 ? 1 : 3);  // shown in colour
    image.pixels = one.floats("pixels", image.pixels.size());
    panels_.push_back({.image = std::move(image), .title = one.text("title"), .detail = one.text("detail")});
  }
}

void ExperimentFiles::on_step(const RestoreStep& step, const RunLog& log) {
  begun_ = true;
  const std::vector<int64_t>& wanted = options_.snapshots;
  if (step.run > 0 || std::find(wanted.begin(), wanted.end(), step.iteration) == wanted.end()) return;
  Image average = original_;
  std::copy(step.average.begin(), step.average.end(), average.pixels.begin());
  add_snapshot(fmt::format("iteration_{:06}.png", step.iteration), average,
               fmt::format("iteration {}", step.iteration));
  write_overviews(log);
}

void ExperimentFiles::on_result(const Outcome& outcome, const RunLog& log) {
  const Image& result = outcome.result.finished.image;
  add_result(ends_, compressed_, original_, result);
  const std::size_t runs = log.runs.size();
  std::string title = options_.result.empty() ? "stop" : ends_.result;
  if (runs > 1) {
    title += fmt::format(", the mean of {} runs", runs);
  } else if (runs == 1 && log.runs.front().kept > 0 && options_.result.empty()) {
    title = fmt::format("stop, iteration {}", log.runs.front().kept);
  }
  write_png(folder_.file(std::string(kSnapshots) + "/stop.png"), result, {}, true);
  Panel panel = panel_of(result, title);
  // The last snapshot may be just that.
  if (panels_.empty() || panels_.back().image.pixels != panel.image.pixels) panels_.push_back(std::move(panel));
  write_overviews(log);
}

}  // namespace hourglass::cli
