#include "engine/measure/fit_point.h"

#include "engine/measure/parallel_regions.h"
#include "engine/measure/steps.h"
#include "engine/runtime/worker.h"

namespace hourglass {

Activity& Activity::operator+=(const Activity& other) {
  seconds += other.seconds;
  parallel += other.parallel;
  busy += other.busy;
  return *this;
}

Activity Activity::over(double iterations) const {
  return {.seconds = seconds / iterations, .parallel = parallel / iterations, .busy = busy / iterations};
}

FitPoint::FitPoint(Options options, HeldMemory& held) : options_(std::move(options)), held_(held) {}

std::vector<double> FitPoint::visit() {
  std::vector<double> seconds;
  // A team of its own, which ends with the visit: teams that rest count too where libgomp asks whether there are more
  // threads than CPUs, and then it lets none of them spin.
  Worker worker;
  worker.begin([&] { visit_on_worker(seconds); });
  worker.wait();
  return seconds;
}

void FitPoint::visit_on_worker(std::vector<double>& seconds) {
  if (!fit_) {
    fit_ = options_.make(options_.threads, options_.places);
    memory_bytes_ = fit_->plan().arena_bytes() + fit_->plan().persistent_bytes();
    if (!keeps_ && held_.held + memory_bytes_ <= held_.most) {
      keeps_ = true;
      held_.held += memory_bytes_;
    }
    if (work_.empty()) count_work();
  }
  RegionClock clock;
  std::vector<TimedPart> parts;
  std::vector<Regions> regions;
  const auto step = [&] {
    regions.clear();
    clock.take();
    fit_->step_timed(parts, [&] { regions.push_back(clock.take()); });
    return parts.back().end;
  };
  WarmUp warm_up(options_.round_seconds);
  while (!warm_up.done(step())) {
  }
  warm_up_ += warm_up.iterations();
  constexpr std::size_t kLeast = 2;
  for (double sum = 0; seconds.size() < kLeast || sum < options_.round_seconds; sum += seconds.back()) {
    seconds.push_back(step());
    ++iterations_;
    double before = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool is_step = parts[i].part == FitPart::plan_step;
      const std::string op = is_step ? fit_->plan().steps()[parts[i].step].op : std::string(name_of(parts[i].part));
      // From the end of the part before, so that all of them together are the iteration.
      ops_[op] += {.seconds = parts[i].end - before, .parallel = regions[i].parallel, .busy = regions[i].busy};
      before = parts[i].end;
    }
  }
  if (!keeps_) fit_.reset();
}

void FitPoint::count_work() {
  const Graph& graph = fit_->plan().graph();
  for (const StepInfo& step : fit_->plan().steps()) {
    if (step.node < 0) continue;
    const Work work = work_of(graph, graph.nodes[static_cast<std::size_t>(step.node)]);
    work_[step.op].flops += work.flops;
    work_[step.op].bytes += work.bytes;
  }
}

std::map<std::string, Activity> FitPoint::ops() const {
  std::map<std::string, Activity> ops;
  for (const auto& [op, activity] : ops_) ops[op] = activity.over(static_cast<double>(iterations_));
  return ops;
}

Activity FitPoint::whole() const {
  Activity all;
  for (const auto& [op, activity] : ops()) all += activity;
  return all;
}

}  // namespace hourglass
