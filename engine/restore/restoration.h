// One restoration as an object that is advanced step by step, and can be put away and taken up again.
//
//   Restoration restoration(*task, bind_network(make, table, task->baseline()), table, options);
//   while (!restoration.done()) restoration.round();
//   const RestoreResult result = restoration.finish();
//
// restore() (restore.h) is this loop. Of the fits of `runs` so many are in hand as `at_once` says, each with its share
// of the threads, in a thread of its own; when one ends, the next begins in its place. The steps and the result are the
// same whatever the threads do: a round is one iteration of each run in hand.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/restore/fit_run.h"
#include "engine/restore/network.h"
#include "engine/restore/restore.h"
#include "engine/restore/task.h"
#include "engine/restore/tile_grid.h"
#include "engine/runtime/worker.h"
#include "engine/train/archive.h"
#include "engine/train/fit.h"

namespace hourglass {

// The network, bound to the task's baseline, with the task's energy behind it: what each run fits.
Problem make_problem(const Task& task, Network network, const OpTable& table);

// Bytes that a restoration with these options holds, all of its runs in hand and FitOptions::memory_besides included.
// Plans, but allocates nothing.
std::size_t needed_bytes(const Problem& problem, const OpTable& table, const RestoreOptions& options);
// Throws Error where that is more than FitOptions::memory_limit, if there is one.
void check_memory(const Problem& problem, const OpTable& table, const RestoreOptions& options);

// The tiles of the task's image of RestoreOptions::tile_side.
TileGrid tiles_of(const Task& task, int64_t side);

// A network bound to a baseline.
using NetworkOf = std::function<Network(const Image& baseline)>;

class Restoration {
 public:
  // The network is bound to the task's baseline, or where that is fitted tile by tile to that of the largest tile;
  // of_tile then makes those of all tiles. Task and table must outlive this. Throws Error when the network does not
  // suit the task.
  Restoration(const Task& task, Network network, const OpTable& table, const RestoreOptions& options,
              NetworkOf of_tile = {});

  // Whether there has been an iteration: before it there is no result.
  [[nodiscard]] bool begun() const { return total_ > 0; }
  // Whether all runs have ended.
  [[nodiscard]] bool done() const { return ended_ == options_.runs; }
  // One iteration of each run in hand, in their order. Throws Error when a fit diverges before there is anything to
  // keep. `parts`, where it is given, becomes what the first of the iterations consisted of, and when each part ran.
  // A run that begins with a trial of learning rates has it here: on_trial() hears, of each run, how many iterations it
  // has taken so far, in the thread of the run's lane; where it returns false, there is no iteration, and the next
  // round() begins with the trial again.
  using OnTrial = std::function<bool(int run, int64_t iterations)>;
  std::vector<RestoreStep> round(std::vector<TimedPart>* parts = nullptr, const OnTrial& on_trial = {});
  [[nodiscard]] int runs_ended() const { return ended_; }
  // How many iterations there can still be, over all runs.
  [[nodiscard]] int64_t iterations_left() const;
  // Of the first run in hand. There is one after the first round(), whose trial may have been all of it; a run that has
  // ended stays until the next round.
  [[nodiscard]] const FitRun& first() const { return *lanes_.front().run; }

  // Since the first iteration began, pauses not counted.
  [[nodiscard]] double seconds() const;

  // Of what the runs that have ended leave; where none has, of what those in hand would leave now. Before the task's
  // finishing step.
  [[nodiscard]] Image average() const;
  // What the task makes of that average. `advance` goes to Task::finish().
  [[nodiscard]] RestoreResult result(const Advance& advance = {}) const;
  // The same, without the fits, whose memory is free for it. Nothing but done(), seconds() and network() may be called
  // behind it.
  RestoreResult finish(const Advance& advance = {});
  // The network of the fit, without the task's energy, for fitted_network(). Also behind finish().
  [[nodiscard]] Graph network() const;
  // The same without an image, at once: for who has another.
  [[nodiscard]] RestoreResult summary() const;

  // Everything that a Restoration of the same task, network and options needs to go on as if nothing had happened. The
  // archive must be written before the next round().
  void save(Archive& archive);
  // Before the first round(). Throws Error when the archive is of another network or another task.
  void load(const Archive& archive);
  // SHA-256 of the network as it is bound to this size, values included.
  [[nodiscard]] const std::string& network_sha256() const { return network_sha256_; }

 private:
  struct Lane {
    // Of a tile: its task, and the options with what is known of its original.
    std::unique_ptr<Task> tile;
    RestoreOptions options;
    std::unique_ptr<FitRun> run;
    std::unique_ptr<Worker> worker;  // none where there is one lane only
  };
  // Does work(lane's number) in each lane's own thread, all at the same time.
  void in_lanes(const std::function<void(std::size_t)>& work);
  // The runs that the lanes are to begin, and none for some; each takes a copy of the problem, and where they are the
  // last ones, its initial values.
  using Begins = std::vector<std::optional<int>>;
  void begin_runs(const Begins& indices);
  // Of the runs in hand that have just begun; false where on_trial() ended a trial.
  bool find_rates(const OnTrial& on_trial);
  // Makes the lane's task and options those of a tile, and returns what is fitted to it.
  Problem take_tile(Lane& lane, int index) const;
  // Adds what a run leaves to the sum.
  void add(const FitRun& run, std::vector<float>& sum, std::vector<float>& cover) const;
  [[nodiscard]] RestoreResult finished(RestoreResult result, Image average, const Advance& advance) const;

  const Task& task_;
  const OpTable& table_;
  RestoreOptions options_;
  NetworkOf of_tile_;
  std::optional<TileGrid> tiles_;
  std::optional<Image> original_;  // of all tiles: RestoreOptions::original
  int64_t canvas_width_ = 0, canvas_height_ = 0;
  std::string network_sha256_, problem_sha256_;
  std::optional<Problem> problem_;

  std::vector<Lane> lanes_;
  int begun_ = 0, ended_ = 0;  // runs
  std::vector<float> sum_;     // of what those left that have ended
  std::vector<float> cover_;   // of tiles: the sum of their weights
  int64_t total_ = 0;          // iterations over all runs
  bool stopped_early_ = false;
  double seconds_before_ = 0;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace hourglass
