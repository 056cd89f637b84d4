// The folder of an experiment, filled while the fit goes on: snapshots, contact sheet and plots. At all times it holds
// whole files that belong together, up to the last snapshot.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/cli/fit_observer.h"
#include "engine/report/contact_sheet.h"
#include "engine/report/run_log.h"

namespace hourglass::cli {

// What DIR holds in the end.
struct ExperimentFolder {
  static constexpr const char* kCheckpoint = "run.ckpt";

  std::filesystem::path path;

  [[nodiscard]] std::string file(const std::string& name) const { return (path / name).string(); }
  // Throws Error where the original would be lost to one of the experiment's files.
  void check_original(const std::string& original) const;
  // Creates it, and removes the snapshots and the checkpoint of an earlier experiment. Throws Error when it holds
  // anything and `overwrite` is false.
  void prepare(bool overwrite) const;
  // Takes back an experiment that never began: its compressed image, and the folder if nothing else is in it.
  void abandon() const;
};

struct ExperimentOptions {
  std::string title;               // of the plots: the original's name
  std::string note;                // below it: quality, network, energy
  std::vector<int64_t> snapshots;  // iterations
  int quality = 0;                 // of the JPEG
  std::string result;              // what was done behind the fit: "the JPEG's cells, 6 passes"; empty for nothing
};

class ExperimentFiles : public FitObserver {
 public:
  // original and compressed: of the same size and channels. `compressed` must outlive the object.
  ExperimentFiles(ExperimentFolder folder, ExperimentOptions options, Image original, const Image& compressed);

  void on_step(const RestoreStep& step, const RunLog& log) override;
  void on_result(const Outcome& outcome, const RunLog& log) override;
  void save(Archive& checkpoint) const override;
  void load(const Archive& checkpoint) override;
  // Whether anything has come out yet.
  [[nodiscard]] bool begun() const { return begun_; }

 private:
  void add_snapshot(const std::string& file, const Image& image, const std::string& title);
  [[nodiscard]] Panel panel_of(const Image& image, const std::string& title) const;
  void write_overviews(const RunLog& log) const;

  ExperimentFolder folder_;
  ExperimentOptions options_;
  Image original_;
  const Image& compressed_;
  RunEnds ends_;
  bool begun_ = false;
  std::vector<Panel> panels_;
};

}  // namespace hourglass::cli
