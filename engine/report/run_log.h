// What the plots of a run are made from: its iterations, as they pass by.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/report/chart.h"
#include "engine/restore/restore.h"
#include "engine/train/archive.h"

namespace hourglass {

struct RunCourse {
  // One entry per iteration, from 1. PSNRs in dB, of the network's average; `original` stays empty where it is not
  // known.
  std::vector<double> iteration, loss, degraded, original;
  // The iteration of the average that the stopping rule keeps; 0 before it keeps any.
  int64_t kept = 0;

  // The iteration whose average is nearest to the original; nothing where that is not known.
  [[nodiscard]] std::optional<int64_t> best() const;
};

struct RunLog {
  std::vector<RunCourse> runs;  // that have begun

  void add(const RestoreStep& step);
  // For a checkpoint. load() throws Error when it was not saved there.
  void save(Archive& archive) const;
  void load(const Archive& archive);
};

// The loss, and the PSNR to the degraded image and the original, over the iterations, a line for each run. Stop and
// best are marked where there is one run.
Figure trend_figure(const RunLog& log, const std::string& title, const std::string& note);

// The first run's way through image space: the distance to the degraded image against that to the original, with the
// start, the stop and the best point marked, and a line at the degraded image's own distance to the original.
// degraded_psnr: of the degraded image to the original.
Figure path_figure(const RunLog& log, const std::string& title, const std::string& note, double degraded_psnr);

// The root mean square difference, in grey levels, that a PSNR stands for.
double rms_255(double psnr);

}  // namespace hourglass
