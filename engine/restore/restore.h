// The loop: binds a network to a task, fits it, once or several times, and finishes the average of the fits. Where it
// must be paused or looked into, restoration.h has the same as an object.
//
//   const RestoreInput input = load_input("photo.jpg");
//   const std::unique_ptr<Task> task = make_jpeg_task(input, {});
//   RestoreResult result = restore(*task, network, table, options, [](const RestoreStep& s) { ...; return true; });
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/image/image.h"
#include "engine/restore/network.h"
#include "engine/restore/task.h"
#include "engine/train/fit.h"
#include "engine/train/stopping.h"

namespace hourglass {

// The learning rate over a run: constant, or half a cosine from its start value to zero, so that the iterates settle.
enum class Schedule : uint8_t { constant, cosine };

struct RestoreOptions {
  int64_t iterations = 1000;
  FitOptions fit;
  // For networks of which nothing is known: fit.adam.learning_rate is the highest that is tried (find_first_rate()), a
  // lower one begins with a warm-up, and a fit that gets nowhere is taken back (CollapseGuard's `wary`). Not of fits
  // below 100 iterations, and not where the network's input has a value of its own: then it was fitted already.
  bool find_rate = false;
  Schedule schedule = Schedule::cosine;
  int runs = 1;  // independent fits, with seeds fit.seed, fit.seed + 1, ...; their results are averaged
  // Above 0: the image is fitted tile by tile (tile_grid.h), the longest side of a tile. Each tile is a run then, all
  // of them with the same seed, and their results are blended; `runs` is how many there are (tiles_of(),
  // restoration.h).
  int64_t tile_side = 0;
  int at_once = 1;    // so many of them side by side, dividing fit.threads; best_split() finds it
  int bit_depth = 8;  // of the file that the result is meant for: 8 or 16
  StoppingOptions stopping = {.kind = StoppingKind::automatic};
  std::optional<Image> original;  // known in experiments: its PSNR is reported on the way
  bool profile = false;           // time one pass more at the end, op by op
};

// Bytes that the program holds at most besides its fits, for an image of so many pixels: what
// FitOptions::memory_besides is there for. needed_bytes() (restoration.h) counts it once, however many fits there are.
constexpr std::size_t memory_besides_fits(int64_t pixels) {
  return (std::size_t{47} << 20) + static_cast<std::size_t>(pixels) * 130;
}

// The same where it is fitted in tiles: most of it is for the filter behind them, which goes tile by tile too.
constexpr std::size_t memory_besides_tiles(int64_t pixels) {
  constexpr int64_t kOfTile = 48, kTile = 4'900'000;
  return memory_besides_fits(pixels) - static_cast<std::size_t>(std::max<int64_t>(pixels - kTile, 0)) * kOfTile;
}

// How many runs are in hand at the same time: at_once, but no more than there are.
int lanes_of(const RestoreOptions& options);
// The threads that all of them have together.
int threads_of(const RestoreOptions& options);
// So many, or all CPUs for 0.
int threads_of(int threads);
// What one run is fitted with, `run` counting from 0: a seed of its own, and a lane's share of the threads. The memory
// has been looked at for all of them together (check_memory(), restoration.h).
FitOptions share_of(const RestoreOptions& options, int run);

// One iteration. PSNRs in dB over all channels, of the iterate and of the run's exponential average, both before the
// task's finishing step.
struct RestoreStep {
  int run = 0;                            // from 0
  int64_t iteration = 0, iterations = 0;  // of this run, from 1, and how many it may have
  int64_t total = 0;                      // over all runs, from 1
  double seconds = 0;                     // since the first iteration began, pauses not counted
  double loss = 0;
  double psnr_degraded = 0, psnr_degraded_average = 0;  // as Task::psnr_degraded() says; of a tile, that tile's
  std::optional<double> psnr_original, psnr_original_average;
  bool is_best = false;            // the stopping rule keeps this average
  bool stopped = false;            // the stopping rule ends the run here
  std::string note;                // what the user should know, mostly empty
  std::span<const float> average;  // planar, of the task's size; of this moment; of a tile none
};

struct RestoreResult {
  Finished finished;
  double seconds = 0;        // since the first iteration began, the finishing step too, pauses not counted
  bool interrupted = false;  // ended before its runs had, or before the filter was done
  // Of a fit; filter() leaves them as they are.
  int64_t iterations = 0;      // over all runs
  bool stopped_early = false;  // the stopping rule ended a run before its last iteration
  int64_t canvas_width = 0, canvas_height = 0;
  std::size_t memory_bytes = 0;
  std::size_t reorders = 0;
  // With RestoreOptions::profile: of one forward and backward pass, by op, the slowest first.
  std::vector<std::pair<std::string, double>> op_seconds = {};
};

// The task's result without a network (Task::filter()), by so many threads (0: all); empty where the task has none.
std::optional<RestoreResult> filter(const Task& task, int bit_depth, int threads, const Advance& advance);

// on_step returns false to stop early; what has been reached is then finished and returned.
RestoreResult restore(const Task& task, const NetworkFactory& network, const OpTable& table,
                      const RestoreOptions& options, const std::function<bool(const RestoreStep&)>& on_step);

}  // namespace hourglass
