// What the plots of a run are made from: its iterations, as they pass by.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/report/chart.h"
#include "engine/restore/restore.h"
#include "engine/train/archive.h"

namespace hourglass {

struct RunLog {
  // One entry per iteration, counted through over all runs. PSNRs in dB, of the network's average; `original` stays
  // empty where it is not known.
  std::vector<double> iteration, loss, degraded, original;
  // Of the average that the stopping rule keeps, in the current run; 0 before it keeps any.
  int64_t kept = 0;

  void add(const RestoreStep& step);
  // For a checkpoint. load() throws Error when it was not saved there.
  void save(Archive& archive) const;
  void load(const Archive& archive);
  // The iteration whose average is nearest to the original; nothing where that is not known.
  [[nodiscard]] std::optional<int64_t> best() const;
};

// The loss, and the PSNR to the degraded image and the original, over the iterations, on linear and log axes.
Figure trend_figure(const RunLog& log, const std::string& title, const std::string& note);

// The way through image space: the distance to the degraded image against that to the original, with the start, the
// stop and the best point marked, and a line at the degraded image's own distance to the original.
// degraded_psnr: of the degraded image to the original.
Figure path_figure(const RunLog& log, const std::string& title, const std::string& note, double degraded_psnr);

// The root mean square difference, in grey levels, that a PSNR stands for.
double rms_255(double psnr);

}  // namespace hourglass
