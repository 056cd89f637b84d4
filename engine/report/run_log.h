// What the plots of a run are made from: its iterations, as they pass by.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/image/image.h"
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

// What a run is about, and what it has come to: the lines and points of its plots beside the iterations.
struct RunEnds {
  std::string input = "the JPEG";              // what the input is called
  std::optional<double> input_psnr = {};       // of the input to the original, dB; where that is known
  bool ended = false;                          // otherwise the iteration that is kept is still the last one
  std::string result = "restored";             // what the finished result is called
  std::optional<double> result_psnr = {};      // of it to the original
  std::optional<double> result_to_input = {};  // its PSNR to the input
};

// The run has ended with this result; all images are of the same size.
void add_result(RunEnds& ends, const Image& input, const Image& original, const Image& result);

// The loss, and the PSNR to the input and the original, over the iterations, a line for each run, and a line at the
// input's own PSNR. Stop and best are marked where there is one run, and the finished result where it is another image
// than the last average.
Figure trend_figure(const RunLog& log, const std::string& title, const std::string& note, const RunEnds& ends);

// The first run's way through image space: the distance to the input against that to the original, with powers of ten
// of the iterations, the start, the stop, the best point and the finished result marked, and a line at the input's own
// distance to the original. Without charts where the original is not known.
Figure path_figure(const RunLog& log, const std::string& title, const std::string& note, const RunEnds& ends);

// The root mean square difference, in grey levels, that a PSNR stands for.
double rms_255(double psnr);

}  // namespace hourglass
