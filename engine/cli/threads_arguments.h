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

// The restoration that does what was measured: "hourglass restore photo.jpg --method fit --model small ...". `input` is
// what it restores, as a shell reads it.
struct Recommended {
  std::string input = kPhoto;
  int threads = 1;
  Bind bind = Bind::none;
  int jobs = 0;                               // 0: of one file
  std::optional<uint64_t> memory_limit = {};  // bytes; none: what was asked for
};
std::string restore_command(const ThreadsArguments& a, const Recommended& what);

// Comments for the beginning of a CSV file: what was measured, on what and when.
std::string csv_head(const ThreadsArguments& a, const Machine& machine);
// Cells of value, low and high, of which the last two are empty where they are not known.
std::string csv_of(const Interval& interval, int digits);

// null for ends that are not known.
Json to_json(const Interval& interval);
// "1.93 (1.90 to 1.95)", "1.93 (?)"; the fewer digits behind the point the more there are before it, none from 1000 on.
std::string text_of(const Interval& interval, int digits = 2);
// "Medians over rounds, with 95 % intervals", or what else so many rounds allow.
std::string interval_note(int rounds);

// "5 rounds in 60 s: the time was over ..." in a sentence. `precision` is infinite where it is not known.
std::string how_it_ended(const RoundOptions& options, Ended ended, int rounds, double seconds, double precision);

}  // namespace hourglass::cli
