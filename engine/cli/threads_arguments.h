// What `bench threads` was asked for, and what each of its modes gives back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/cli/bench_fit.h"
#include "engine/cli/json.h"
#include "engine/cli/progress.h"
#include "engine/measure/machine.h"
#include "engine/measure/rounds.h"
#include "engine/report/chart.h"
#include "engine/runtime/placement.h"

namespace hourglass::cli {

struct ThreadsArguments {
  BenchNetwork network;
  std::string mode = "strong", bind = "auto";
  std::vector<int> threads;  // ascending; empty: what the machine suggests
  RoundOptions rounds;
  double round_seconds = 0.5;
  int64_t image_iterations = 1000;  // that an image takes, for images per hour
  std::string csv, plot, save;
  bool json = false, force = false, quiet = false;
};

// A finished measurement, ready to be shown.
struct ThreadsReport {
  Json json;         // the members that are this mode's own; see bench/scaling_schema.md
  std::string text;  // the table and what it says, with a line end
  std::string csv;
  Figure figure;            // without title and note
  std::string recommended;  // a command that uses what was found
};

ThreadsReport run_strong_or_weak(const ThreadsArguments& a, const Machine& machine, Progress& progress);
ThreadsReport run_throughput(const ThreadsArguments& a, const Machine& machine, Progress& progress);
ThreadsReport run_memory(const ThreadsArguments& a, const Machine& machine, Progress& progress);

// The option's; none for "auto".
std::optional<Bind> bind_of(const ThreadsArguments& a);

// "photo.jpg": what a recommended command restores.
inline constexpr const char* kPhoto = "photo.jpg";

Json to_json(const Interval& interval);
// "1.93 (1.90 to 1.95)".
std::string text_of(const Interval& interval, int digits = 2);

// "rounds: 5 whole ones in 60 s; the time was over (--time-limit) ..." in a sentence.
std::string how_it_ended(const RoundOptions& options, Ended ended, int rounds, double seconds, double precision);

}  // namespace hourglass::cli
