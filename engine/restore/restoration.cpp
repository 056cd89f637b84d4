#include "engine/restore/restoration.h"

#include <omp.h>

#include <algorithm>
#include <map>

#include "engine/image/digest.h"
#include "engine/runtime/cpus.h"
#include "engine/runtime/placement.h"
#include "graph/error.h"
#include "graph/passes.h"
#include "graph/text.h"

namespace hourglass {
namespace {

void check_original(const Image& original, const Image& sought) {
  if (original.width != sought.width || original.height != sought.height || original.channels != sought.channels) {
    fail("the original is {}x{} with {} channels, the result will be {}x{} with {}", original.width, original.height,
         original.channels, sought.width, sought.height, sought.channels);
  }
}

// Nodes, shapes, and every value that is known beforehand.
std::string sha256_of(const Graph& graph) {
  Digest digest;
  digest.add(to_string(graph));
  for (const Value& value : graph.values) {
    if (value.data) digest.add(std::span(value.data->values));
  }
  return digest.hex();
}

std::string name_of_lane(std::size_t lane) { return fmt::format("lanes/{}", lane); }

// Overwrites what the plan computed last: the average is of the fit's own.
std::vector<std::pair<std::string, double>> op_seconds(Plan& plan) {
  std::map<std::string, double> sums;
  plan.run_profiled([&](std::size_t step, double seconds) { sums[plan.steps()[step].op] += seconds; });
  std::vector<std::pair<std::string, double>> ops(sums.begin(), sums.end());
  std::sort(ops.begin(), ops.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return ops;
}

}  // namespace

Problem make_problem(const Task& task, Network network, const OpTable& table) {
  GraphBuilder builder(network.graph, table);
  const ValueId loss = task.energy(builder, network.image);
  return {std::move(network.graph), network.input, network.image, loss};
}

std::size_t needed_bytes(const Problem& problem, const OpTable& table, const RestoreOptions& options) {
  const FitOptions share = share_of(options, 0);
  const auto lanes = static_cast<std::size_t>(lanes_of(options));
  const std::size_t given = given_bytes(problem.graph, /*parameters=*/false);  // the lanes share it
  const std::size_t of_run =
      Fit::planned_bytes(problem, table, share) - given + FitRun::bytes_besides(problem, options);
  // Its threads', and what is planned at the same time.
  constexpr std::size_t kOfLane = std::size_t{16} << 20;
  // Where other runs are to begin, the initial values stay.
  const bool keeps_values = options.runs > lanes_of(options);
  return lanes * of_run + (lanes - 1) * kOfLane + given_bytes(problem.graph, keeps_values) + options.fit.memory_besides;
}

void check_memory(const Problem& problem, const OpTable& table, const RestoreOptions& options) {
  const std::size_t limit = options.fit.memory_limit;
  if (limit == 0) return;
  const std::size_t needed = needed_bytes(problem, table, options);
  if (needed <= limit) return;
  const int lanes = lanes_of(options);
  fail("the fit needs {}{}, the limit is {}: take {}a smaller network, bf16 where the CPU has it, or a smaller image",
       size_text(needed), lanes > 1 ? fmt::format(" for {} runs at once", lanes) : "", size_text(limit),
       lanes > 1 ? "fewer runs at once, " : "");
}

TileGrid tiles_of(const Task& task, int64_t side) {
  if (task.tile_unit() == 0) fail("this image can't be fitted in tiles");
  const Image& sought = task.baseline();
  return {sought.width, sought.height, side, task.tile_unit()};
}

Restoration::Restoration(const Task& task, Network network, const OpTable& table, const RestoreOptions& options,
                         NetworkOf of_tile)
    : task_(task),
      table_(table),
      options_(options),
      of_tile_(std::move(of_tile)),
      start_(std::chrono::steady_clock::now()) {
  const Image& sought = task.baseline();
  if (options.tile_side > 0) {
    tiles_ = tiles_of(task, options.tile_side);
    if (tiles_->count() != options.runs) fail("{} runs for {} tiles", options.runs, tiles_->count());
    original_.swap(options_.original);
    cover_.assign(static_cast<std::size_t>(sought.plane_size()), 0.0F);
  }
  if (options.original) check_original(*options.original, sought);
  canvas_width_ = network.canvas_width;
  canvas_height_ = network.canvas_height;
  network_sha256_ = sha256_of(network.graph);
  problem_ = make_problem(tiles_ ? *task.tile(tiles_->rectangle(tiles_->largest())) : task, std::move(network), table);
  problem_sha256_ = sha256_of(problem_->graph);
  sum_.assign(sought.pixels.size(), 0.0F);

  const int lanes = lanes_of(options), threads = share_of(options, 0).threads;
  check_memory(*problem_, table, options);  // before anything is begun
  lanes_.resize(static_cast<std::size_t>(lanes));
  if (lanes == 1) return;
  for (Lane& lane : lanes_) lane.worker = std::make_unique<Worker>();
  // Where the whole machine is ours, each lane gets its part of it; elsewhere others may be on the same CPUs.
  if (lanes * threads != cpu_limits().affinity) return;
  const std::vector<CpuSet> places = split_cpus(read_topology(), lanes, threads);
  if (!places.empty()) in_lanes([&](std::size_t lane) { keep_to(mask_of(places[lane])); });
}

double Restoration::seconds() const {
  return seconds_before_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

int64_t Restoration::iterations_left() const {
  int64_t left = (options_.runs - begun_) * options_.iterations;
  for (const Lane& lane : lanes_) left += lane.run ? lane.run->iterations_left() : 0;
  return left;
}

void Restoration::in_lanes(const std::function<void(std::size_t)>& work) {
  if (lanes_.size() == 1) return work(0);
  for (std::size_t i = 0; i < lanes_.size(); ++i) lanes_[i].worker->begin([&work, i] { work(i); });
  // All must have ended before one's error is told.
  std::exception_ptr error;
  for (const Lane& lane : lanes_) {
    try {
      lane.worker->wait();
    } catch (...) {
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

void Restoration::begin_runs(const Begins& indices) {
  std::vector<std::optional<Problem>> problems(lanes_.size());
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (!indices[i]) continue;
    if (tiles_) lanes_[i].run.reset();
    problems[i] = tiles_ ? take_tile(lanes_[i], *indices[i]) : *problem_;
  }
  if (begun_ == options_.runs) {
    for (const ValueId id : problem_->graph.parameters()) problem_->graph.value(id).data.reset();
  }
  in_lanes([&](std::size_t i) {
    if (!indices[i]) return;
    Lane& lane = lanes_[i];
    lane.run.reset();  // its memory, before the next one's is asked for
    lane.run = std::make_unique<FitRun>(tiles_ ? *lane.tile : task_, std::move(*problems[i]), table_,
                                        tiles_ ? lane.options : options_, *indices[i]);
  });
}

Problem Restoration::take_tile(Lane& lane, int index) const {
  const Rectangle at = tiles_->rectangle(index);
  lane.tile = task_.tile(at);
  lane.options = options_;
  if (original_) lane.options.original = crop(*original_, at.x, at.y, at.width, at.height);
  return make_problem(*lane.tile, of_tile_(lane.tile->baseline()), table_);
}

void Restoration::add(const FitRun& run, std::vector<float>& sum, std::vector<float>& cover) const {
  const std::vector<float>& best = run.best();
  if (tiles_) return tiles_->add(run.index(), best, sum, cover);
  for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += best[k];
}

bool Restoration::find_rates(const OnTrial& on_trial) {
  std::vector<char> found(lanes_.size(), 1);
  in_lanes([&](std::size_t i) {
    FitRun* run = lanes_[i].run.get();
    if (run == nullptr || run->begun()) return;
    found[i] =
        run->find_rate([&](int64_t iterations) { return on_trial == nullptr || on_trial(run->index(), iterations); });
  });
  return std::all_of(found.begin(), found.end(), [](char one) { return one != 0; });
}

std::vector<RestoreStep> Restoration::round(std::vector<TimedPart>* parts, const OnTrial& on_trial) {
  if (total_ == 0) start_ = std::chrono::steady_clock::now();
  // A lane whose run has ended takes the next one, and rests when there is none.
  Begins next(lanes_.size());
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const bool is_free = !lanes_[i].run || lanes_[i].run->done();
    if (is_free && begun_ < options_.runs) next[i] = begun_++;
  }
  begin_runs(next);
  if (!find_rates(on_trial)) return {};
  std::vector<std::optional<RestoreStep>> made(lanes_.size());
  in_lanes([&](std::size_t i) {
    Lane& lane = lanes_[i];
    if (lane.run && !lane.run->done()) made[i] = lane.run->step(i == 0 ? parts : nullptr);
  });
  std::vector<RestoreStep> steps;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (!made[i]) continue;
    RestoreStep& step = steps.emplace_back(std::move(*made[i]));
    step.total = ++total_;
    step.seconds = seconds();
    if (tiles_) step.average = {};
    const FitRun& run = *lanes_[i].run;
    if (!run.done()) continue;
    add(run, sum_, cover_);
    ++ended_;
    stopped_early_ = stopped_early_ || run.stopped_early();
  }
  return steps;
}

Image Restoration::average() const {
  Image average = task_.baseline();
  std::vector<float> sum = sum_, cover = cover_;
  int count = ended_;
  if (count == 0) {
    for (const Lane& lane : lanes_) {
      if (!lane.run || !lane.run->begun()) continue;
      add(*lane.run, sum, cover);
      ++count;
    }
  }
  if (tiles_) {
    // What no tile has given yet stays as it is.
    const std::size_t plane = cover.size();
    for (std::size_t k = 0; k < sum.size(); ++k) {
      average.pixels[k] = sum[k] + (1 - cover[k % plane]) * average.pixels[k];
    }
    return average;
  }
  for (std::size_t k = 0; k < sum.size(); ++k) average.pixels[k] = sum[k] / static_cast<float>(count);
  return average;
}

RestoreResult Restoration::result(const Advance& advance) const { return finished(summary(), average(), advance); }

RestoreResult Restoration::finish(const Advance& advance) {
  RestoreResult result = summary();
  Image image = average();
  for (Lane& lane : lanes_) lane.run.reset();
  return finished(std::move(result), std::move(image), advance);
}

Graph Restoration::network() const {
  Graph graph = problem_->graph;
  graph.outputs = {problem_->image};
  eliminate_dead_code(graph);
  return graph;
}

RestoreResult Restoration::summary() const {
  if (!begun()) fail("there is no result before the first iteration");
  Plan& plan = lanes_.front().run->fit().plan();
  RestoreResult result;
  result.canvas_width = canvas_width_;
  result.canvas_height = canvas_height_;
  result.memory_bytes = (plan.arena_bytes() + plan.persistent_bytes()) * lanes_.size();
  result.reorders = static_cast<std::size_t>(
      std::count_if(plan.steps().begin(), plan.steps().end(), [](const StepInfo& step) { return step.node < 0; }));
  if (options_.profile) result.op_seconds = op_seconds(plan);
  result.iterations = total_;
  result.interrupted = !done();
  result.stopped_early = stopped_early_;
  result.seconds = seconds();
  return result;
}

RestoreResult Restoration::finished(RestoreResult result, Image average, const Advance& advance) const {
  omp_set_num_threads(threads_of(options_));  // the lanes' threads have their own number
  result.finished =
      task_.finish(std::move(average), levels_of(options_.bit_depth), watched(advance, result.interrupted));
  result.seconds = seconds();
  return result;
}

void Restoration::save(Archive& archive) {
  archive.put("network_sha256", network_sha256_);
  archive.put("problem_sha256", problem_sha256_);
  archive.put("begun", int64_t{begun_});
  archive.put("ended", int64_t{ended_});
  archive.put("total", total_);
  archive.put("seconds", seconds());
  archive.put("stopped_early", int64_t{stopped_early_});
  archive.put("sum", sum_);
  archive.put("tile_side", options_.tile_side);
  if (tiles_) archive.put("cover", cover_);
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (!lanes_[i].run) continue;
    Archive run;
    run.put("index", int64_t{lanes_[i].run->index()});
    lanes_[i].run->save(run);
    archive.put(name_of_lane(i), run);
  }
}

void Restoration::load(const Archive& archive) {
  if (begun_ > 0) fail("a run has begun already: another one can't be taken up in its place");
  if (archive.text("network_sha256") != network_sha256_) {
    fail("its network is another one: take the topology with which the run began");
  }
  if (archive.text("problem_sha256") != problem_sha256_) {
    fail("what it was fitted to is not what is given now: take the input with which the run began");
  }
  begun_ = static_cast<int>(archive.integer("begun", 1, options_.runs));
  ended_ = static_cast<int>(archive.integer("ended", 0, begun_));
  if (archive.has(name_of_lane(lanes_.size()) + "/index")) {
    fail("it has more runs in hand than {}, which is what --at-once or --runs asks for", lanes_.size());
  }
  sum_ = archive.floats("sum", sum_.size());
  if (tiles_) cover_ = archive.floats("cover", cover_.size());
  total_ = archive.integer("total", 1, begun_ * options_.iterations);
  stopped_early_ = archive.integer("stopped_early") != 0;
  Begins indices(lanes_.size());
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const std::string index = name_of_lane(i) + "/index";
    if (archive.has(index)) indices[i] = static_cast<int>(archive.integer(index, 0, begun_ - 1));
  }
  begin_runs(indices);
  in_lanes([&](std::size_t i) {
    if (indices[i]) lanes_[i].run->load(archive.part(name_of_lane(i)));
  });
  const auto under_way =
      std::count_if(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.run && !lane.run->done(); });
  if (!lanes_.front().run || ended_ + under_way != begun_) {
    fail("of {} runs that it has begun, {} have ended and {} are under way", begun_, ended_, under_way);
  }
  seconds_before_ = archive.number("seconds");
  start_ = std::chrono::steady_clock::now();
}

}  // namespace hourglass
