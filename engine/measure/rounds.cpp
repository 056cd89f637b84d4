#include "engine/measure/rounds.h"

#include <algorithm>

namespace hourglass {

std::vector<double> Rounds::medians(std::size_t point) const {
  std::vector<double> list;
  for (const std::vector<double>& round : samples[point]) list.push_back(median_of(round));
  return list;
}

std::vector<double> Rounds::all(std::size_t point) const {
  std::vector<double> list;
  for (const std::vector<double>& round : samples[point]) list.insert(list.end(), round.begin(), round.end());
  return list;
}

Rounds measure_in_rounds(const std::vector<Visit>& visits, const RoundOptions& options, const RoundTools& tools,
                         const std::function<void(const RoundProgress&)>& on_visit) {
  Rounds rounds;
  rounds.samples.resize(visits.size());
  const double start = tools.clock();
  RoundProgress progress;
  for (int round = 0; round < options.rounds.value_or(kMostRounds); ++round) {
    const double before = rounds.seconds;
    for (std::size_t i = 0; i < visits.size(); ++i) {
      rounds.reference.push_back(tools.reference());
      rounds.samples[i].push_back(visits[i]());
      rounds.seconds = tools.clock() - start;
      const auto total = static_cast<double>(visits.size());
      progress.share = options.rounds ? (round + static_cast<double>(i + 1) / total) / *options.rounds
                       : rounds.seconds < options.time_limit ? rounds.seconds / options.time_limit
                                                             : 1;
      on_visit(progress);
    }
    progress.rounds = round + 1;
    if (options.rounds) continue;
    rounds.ended = Ended::out_of_time;
    if (progress.rounds >= kLeastForInterval) {
      progress.precision = 0;
      for (std::size_t i = 0; i < visits.size(); ++i) {
        progress.precision = std::max(progress.precision, median_interval(rounds.medians(i)).relative_width());
      }
      if (progress.precision <= options.precision_goal) {
        rounds.ended = Ended::precise;
        break;
      }
    }
    if (rounds.seconds + (rounds.seconds - before) > options.time_limit) break;
  }
  rounds.reference.push_back(tools.reference());
  return rounds;
}

bool WarmUp::done(double seconds) {
  constexpr int kMostWarmUp = 50;
  constexpr double kFaster = 0.98;
  const bool settled = iterations_ > 0 && seconds >= kFaster * fastest_;
  fastest_ = iterations_ == 0 ? seconds : std::min(fastest_, seconds);
  sum_ += seconds;
  ++iterations_;
  return settled || sum_ >= max_seconds_ || iterations_ >= kMostWarmUp;
}

Drift drift_of(const std::vector<double>& reference) {
  Drift drift;
  constexpr std::size_t kThirds = 3;
  if (reference.size() < kThirds) return drift;
  const auto third = static_cast<std::ptrdiff_t>(reference.size() / kThirds);
  const double first = median_of({reference.begin(), reference.begin() + third});
  drift.slower_at_end = median_of({reference.end() - third, reference.end()}) / first - 1;
  std::vector<double> sorted = reference;
  std::sort(sorted.begin(), sorted.end());
  constexpr std::size_t kTenths = 10;
  const double fastest = sorted[sorted.size() / kTenths];
  constexpr double kSlow = 1.1;
  const auto slow = std::count_if(sorted.begin(), sorted.end(), [&](double x) { return x > kSlow * fastest; });
  drift.slow_share = static_cast<double>(slow) / static_cast<double>(sorted.size());
  drift.slowest = sorted.back() / fastest - 1;
  return drift;
}

}  // namespace hourglass
