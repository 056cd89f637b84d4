#include "engine/measure/explain.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace hourglass {
namespace {

constexpr double kWorthIt = 1.01;  // a speed that is worth more threads

std::string threads_text(int threads) { return fmt::format("{} thread{}", threads, threads == 1 ? "" : "s"); }

std::string times(const Interval& x) {
  return x.known() ? fmt::format("{:.2f}x ({:.2f} to {:.2f})", x.value, x.low, x.high)
                   : fmt::format("{:.2f}x (?)", x.value);
}

// " (1.2 to 3.4)" in percent.
std::string percent_ends(const Interval& x, int digits) {
  return x.known() ? fmt::format(" ({:.{}f} to {:.{}f})", 100 * x.low, digits, 100 * x.high, digits)
                   : std::string(" (?)");
}

// "ConvGradWeights 2.1 %, FusedConv 0.9 %": the ops with most of a loss, as shares of all CPU time.
template <class Part>
std::string worst_ops(const ScalingPoint& point, const Part& part) {
  std::vector<std::pair<double, std::string>> ops;
  for (const auto& [op, at] : point.ops) ops.emplace_back(part(at.activity) / point.whole.seconds, op);
  std::sort(ops.rbegin(), ops.rend());
  std::string text;
  constexpr std::size_t kMost = 3;
  constexpr double kVisible = 0.002;
  for (std::size_t i = 0; i < std::min(kMost, ops.size()) && ops[i].first > kVisible; ++i) {
    text += fmt::format("{}{} {:.1f} %", text.empty() ? "" : ", ", ops[i].second, 100 * ops[i].first);
  }
  return text.empty() ? text : " (" + text + ")";
}

std::string how_it_scales(const ScalingRun& run, const Topology& topology) {
  const ScalingPoint& most = run.points.back();
  if (run.points.size() == 1) {
    return fmt::format(
        "{}: {:.2f} ms an iteration. How that scales, a second number of threads would tell (--threads).",
        threads_text(most.threads), 1e3 * most.seconds.value);
  }
  if (run.grows) {
    return fmt::format(
        "With an image that grows with them, {} do {} the pixels of {}: each keeps {:.0f} % of its pace.",
        threads_text(most.threads), times(most.speed_up), threads_text(run.points[0].threads),
        100 * most.efficiency.value);
  }
  const ScalingPoint& enough = enough_threads(run);
  const std::string first = threads_text(run.points[0].threads);
  if (enough.threads == run.points[0].threads) {
    const ScalingPoint& worst = *std::min_element(
        run.points.begin(), run.points.end(),
        [](const ScalingPoint& a, const ScalingPoint& b) { return a.speed_up.value < b.speed_up.value; });
    if (!most.speed_up.known()) {
      return fmt::format("{} do {}: one round does not tell whether that is faster than {}.",
                         threads_text(most.threads), times(most.speed_up), first);
    }
    if (std::any_of(run.points.begin(), run.points.end(),
                    [](const ScalingPoint& point) { return point.speed_up.value > kWorthIt; })) {
      return fmt::format("More threads than {} are not surely faster here.", first);
    }
    if (worst.speed_up.high >= 1) return fmt::format("More threads than {} are no faster here.", first);
    return fmt::format("It does not scale here: {} are {} as fast as {}.", threads_text(worst.threads),
                       times(worst.speed_up), first);
  }
  std::string text = fmt::format("It scales up to {}: {}, an efficiency of {:.0f} %.", threads_text(enough.threads),
                                 times(enough.speed_up), 100 * enough.efficiency.value);
  if (enough.threads < most.threads) {
    text += fmt::format(" Beyond that it gains nothing: {} do {}.", threads_text(most.threads), times(most.speed_up));
  }
  for (const Landmark& mark : landmarks(topology)) {
    if (mark.threads == enough.threads && enough.threads < most.threads) {
      text += fmt::format(" That is as many as {}.", mark.text);
    }
  }
  return text;
}

std::string where_time_goes(const ScalingRun& run) {
  const ScalingPoint &one = run.points.front(), &most = run.points.back();
  if (one.threads != 1 || most.threads == 1 || run.grows || !run.regions_seen) return {};
  const Losses losses = losses_of(one.whole, most.whole, most.threads);
  // While one thread is alone, the others wait.
  const double idle = static_cast<double>(most.threads - 1) / most.threads;
  return fmt::format(
      "Of the CPU time of {}, {:.1f} % is work that one thread would do too; {:.1f} % is lost while one thread is "
      "alone{}, {:.1f} % at barriers{}, and {:.1f} % because the same work takes a thread {} side by side{}.",
      threads_text(most.threads), 100 * losses.useful, 100 * losses.serial,
      worst_ops(most, [&](const Activity& op) { return idle * op.serial(); }), 100 * losses.waiting,
      worst_ops(most, [](const Activity& op) { return op.waiting(); }), 100 * losses.slower,
      losses.slower < 0 ? "less time" : "longer",
      describe(run.load).empty() ? "" : "; all of that counts time in which others had the CPUs");
}

std::string what_ceilings_say(const ScalingRun& run) {
  const ScalingPoint &one = run.points.front(), &most = run.points.back();
  if (most.threads == one.threads || !(one.ceiling.gflops > 0)) return {};
  const double gflops = most.ceiling.gflops / one.ceiling.gflops, gbytes = most.ceiling.gbytes / one.ceiling.gbytes;
  std::string text = fmt::format(
      "The machine itself does {:.2f}x the multiplications ({:.0f} GFLOP/s) and moves {:.2f}x the memory ({:.1f} GB/s) "
      "on {}, by loops that do nothing else",
      gflops, most.ceiling.gflops, gbytes, most.ceiling.gbytes, threads_text(most.threads));
  constexpr double kClose = 0.95;
  const double ratio = static_cast<double>(most.threads) / one.threads;
  if (gflops < kClose * ratio) text += ": its cores don't all run as fast as one does alone, or are not all ours";
  return text + ".";
}

std::string what_laws_say(const ScalingRun& run) {
  if (!run.laws) return {};
  const LawChoice& laws = *run.laws;
  const int most = run.points.back().threads;
  const FittedLaw* fitted = laws.preferred();
  if (fitted == nullptr) return fmt::format("No law is drawn through that: {}.", laws.reason);
  const Law& law = fitted->law;
  const bool universal = laws.verdict == LawVerdict::universal;
  std::string text =
      fmt::format("{}: {:.1f} % of the work is serial{}", universal ? "Universal Scalability Law" : "Amdahl's law",
                  100 * law.serial, percent_ends(fitted->serial, 1));
  if (universal) {
    text += fmt::format(", and each thread costs each other one {:.3f} %{}", 100 * law.coherence,
                        percent_ends(fitted->coherence, 3));
  }
  text += fmt::format(". It has {:.1f}x on {} and {:.1f}x on {}", law.speed_up(2.0 * most), threads_text(2 * most),
                      law.speed_up(4.0 * most), threads_text(4 * most));
  if (std::isfinite(law.limit())) {
    text += universal ? fmt::format(", and most, {:.1f}x, on {:.0f}", law.limit(), law.best_threads())
                      : fmt::format(", and never more than {:.3g}x", law.limit());
  }
  return text + fmt::format("; {}.", laws.reason);
}

}  // namespace

Losses losses_of(const Activity& one, const Activity& many, int threads) {
  const double all = threads * many.seconds;
  Losses losses{.useful = one.seconds / all,
                .serial = (threads - 1) * many.serial() / all,
                .waiting = threads * many.waiting() / all};
  losses.slower = 1 - losses.useful - losses.serial - losses.waiting;
  return losses;
}

const ScalingPoint& enough_threads(const ScalingRun& run) {
  const ScalingPoint* enough = &run.points.front();
  for (const ScalingPoint& point : run.points) {
    const Interval ratio = ratio_interval(enough->rounds, point.rounds, Pairing::same_rounds);
    if (ratio.low > 1 && ratio.value > kWorthIt) enough = &point;
  }
  return *enough;
}

double share_of_roofline(const OpPoint& op, const Ceiling& ceiling) {
  constexpr double kGiga = 1e9;
  const double ideal = std::max(op.work.flops / (ceiling.gflops * kGiga), op.work.bytes / (ceiling.gbytes * kGiga));
  return ideal / op.activity.seconds;
}

std::string what_disturbed(const Load& load, const std::vector<double>& reference) {
  std::string text = describe(load);
  if (!text.empty()) {
    text = fmt::format(
        "The machine was not idle: {}. Measure again when it is, or read these figures as a busy "
        "machine's.",
        text);
  }
  const Drift drift = drift_of(reference);
  constexpr double kVisible = 0.05;
  const auto add = [&](const std::string& sentence) { text += (text.empty() ? "" : " ") + sentence; };
  if (std::abs(drift.slower_at_end) > kVisible) {
    add(fmt::format("A loop that always does the same became {:.0f} % {} from beginning to end: {}.",
                    100 * std::abs(drift.slower_at_end), drift.slower_at_end > 0 ? "slower" : "faster",
                    drift.slower_at_end > 0 ? "the CPU got warm, or company" : "the machine got quieter"));
  }
  if (drift.slow_share > kVisible) {
    add(fmt::format("{} took over 10 % longer than usual in {:.0f} % of the looks, up to {:.0f} % longer.",
                    std::abs(drift.slower_at_end) > kVisible ? "It" : "A loop that always does the same",
                    100 * drift.slow_share, 100 * drift.slowest));
  }
  return text;
}

std::vector<std::string> explain(const ScalingRun& run, const Topology& topology) {
  std::vector<std::string> sentences;
  for (std::string& sentence :
       std::vector<std::string>{what_disturbed(run.load, run.reference), how_it_scales(run, topology),
                                where_time_goes(run), what_ceilings_say(run), what_laws_say(run)}) {
    if (!sentence.empty()) sentences.push_back(std::move(sentence));
  }
  return sentences;
}

}  // namespace hourglass
