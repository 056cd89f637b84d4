#include "engine/cli/profile.h"

#include <fmt/core.h>

#include <algorithm>

#include "engine/cli/json.h"
#include "engine/cli/version.h"
#include "engine/image/file.h"
#include "engine/measure/machine.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

constexpr int kProfiledIteration = 3;

// Of the step's first output; a reorder's is the value's that it moves.
std::string shape_of(const Plan& plan, const StepInfo& step) {
  if (step.node < 0) return {};
  const Graph& graph = plan.graph();
  return graph.shape(graph.nodes[static_cast<std::size_t>(step.node)].outputs[0]).to_string();
}

// A complete event ("X") per part, all on one row; times in microseconds. The format: "Trace Event Format", D. Sinclair
// and others, Google.
std::string trace_of(const std::vector<TimedPart>& parts, const Plan& plan, int64_t iteration) {
  constexpr int kProcess = 1, kThread = 1;
  const auto named = [&](const char* what, const std::string& name) {
    return Json{{"name", what}, {"ph", "M"}, {"pid", kProcess}, {"tid", kThread}, {"args", {{"name", name}}}};
  };
  Json events = Json::array();
  events.push_back(named("process_name", "hourglass"));
  events.push_back(named("thread_name", fmt::format("iteration {}", iteration)));
  constexpr double kMicroseconds = 1e6;
  for (const TimedPart& part : parts) {
    Json event{{"name", name_of(part.part)},
               {"cat", "fit"},
               {"ph", "X"},
               {"ts", part.begin * kMicroseconds},
               {"dur", (part.end - part.begin) * kMicroseconds},
               {"pid", kProcess},
               {"tid", kThread}};
    if (part.part == FitPart::plan_step) {
      const StepInfo& step = plan.steps()[part.step];
      event["name"] = step.op;
      event["cat"] = "plan";
      event["args"] = {{"step", part.step},
                       {"op", step.op},
                       {"implementation", step.implementation},
                       {"layout", step.layout},
                       {"shape", shape_of(plan, step)},
                       {"node", step.name}};
    }
    events.push_back(std::move(event));
  }
  const Machine machine = this_machine();
  const Json trace{{"displayTimeUnit", "ms"},
                   {"otherData",
                    {{"iteration", iteration},
                     {"threads", plan.threads()},
                     {"cpu", machine.cpu},
                     {"isa", machine.isa},
                     {"openmp", machine.openmp},
                     {"versions", version_text()}}},
                   {"traceEvents", std::move(events)}};
  return trace.text(1) + "\n";
}

}  // namespace

void OpTimes::add(std::string_view op, double seconds) {
  Sum& sum = ops_[std::string(op)];
  sum.seconds += seconds;
  ++sum.count;
}

std::string OpTimes::table() const {
  std::vector<std::pair<std::string, Sum>> rows(ops_.begin(), ops_.end());
  std::sort(rows.begin(), rows.end(), [](const auto& x, const auto& y) { return x.second.seconds > y.second.seconds; });
  Sum all;
  for (const auto& [op, sum] : rows) {
    all.seconds += sum.seconds;
    all.count += sum.count;
  }
  std::string text;
  for (const auto& [op, sum] : rows) {
    text += fmt::format("{:8.2f} ms {:5.1f} % {:4} x {}\n", sum.seconds * 1e3, 100 * sum.seconds / all.seconds,
                        sum.count, op);
  }
  return text + fmt::format("{:8.2f} ms in {} steps", all.seconds * 1e3, all.count);
}

std::string plan_text(const Plan& plan, bool declined) {
  const std::vector<StepInfo>& steps = plan.steps();
  std::string text =
      fmt::format("plan: {:26} {:18} {:50} {:34} {}\n", "op", "output", "implementation", "layout", "node");
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const StepInfo& step = steps[i];
    text += fmt::format("{:4}  {:26} {:18} {:50} {:34} {}\n", i, step.op, shape_of(plan, step), step.implementation,
                        step.layout, step.name);
    for (const std::string& reason : step.declined) {
      if (declined) text += fmt::format("      not {}\n", reason);
    }
  }
  const auto reorders = std::count_if(steps.begin(), steps.end(), [](const StepInfo& step) { return step.node < 0; });
  return text + fmt::format("{} steps on {} thread{}, {} of them reorder{}", steps.size(), plan.threads(),
                            plan.threads() == 1 ? "" : "s", reorders, reorders == 1 ? "" : "s");
}

std::vector<TimedPart>* IterationProfile::parts() {
  return path_.empty() || seen_ == kProfiledIteration ? nullptr : &parts_;
}

void IterationProfile::on_step(const RestoreStep& step, const Plan& plan, Progress& progress) {
  if (parts() == nullptr) return;
  ++seen_;
  OpTimes times;
  for (const TimedPart& part : parts_) {
    times.add(part.part == FitPart::plan_step ? plan.steps()[part.step].op : name_of(part.part), part.end - part.begin);
  }
  table_ = fmt::format("iteration {}, by op:\n{}", step.iteration, times.table());
  trace_ = trace_of(parts_, plan, step.iteration);
  if (seen_ < kProfiledIteration) return;
  progress.say_table(table_);
  try {
    write();
  } catch (const Error& error) {
    progress.say(std::string("warning: ") + error.what());
  }
}

void IterationProfile::close(Progress& progress) {
  if (path_.empty() || written_) return;
  if (seen_ == 0) {
    progress.say("warning: " + path_ + ": there was no iteration left to look at");
    return;
  }
  if (seen_ < kProfiledIteration) progress.say_table(table_);
  write();
}

void IterationProfile::write() {
  write_file_atomically(path_, bytes_of(trace_), overwrite_);
  written_ = true;
}

}  // namespace hourglass::cli
