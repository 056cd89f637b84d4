#include "engine/train/first_rate.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <vector>

namespace hourglass {
namespace {

constexpr int64_t kTrial = 30, kWarmUp = 10;  // iterations
constexpr double kFall = 0.9, kLost = 10;     // in units of the first loss
constexpr double kParts[] = {1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001};

struct Trial {
  bool well = false;
  double loss = std::numeric_limits<double>::infinity();  // mean of the second half
};

// Nothing where go_on() ends it.
std::optional<Trial> try_rate(Fit& fit, double rate, bool warm_up, const std::function<bool()>& go_on) {
  Trial trial{.well = true, .loss = 0};
  double first = 0;
  for (int64_t i = 1; i <= kTrial; ++i) {
    fit.set_learning_rate(warm_up ? warmed_up(rate, i) : rate);
    const double loss = fit.step();
    if (i == 1) first = loss;
    if (!go_on()) return {};
    if (!(loss <= kLost * first)) return Trial();
    if (i <= kTrial / 2) continue;
    trial.well = trial.well && loss < kFall * first;
    trial.loss += loss / static_cast<double>(kTrial - kTrial / 2);
  }
  return trial;
}

}  // namespace

double warmed_up(double rate, int64_t iteration) {
  return rate * std::min(1.0, static_cast<double>(iteration) / static_cast<double>(kWarmUp));
}

std::optional<FirstRate> find_first_rate(Fit& fit, double highest, const std::function<bool(int64_t)>& on_iteration) {
  const std::vector<std::vector<float>> start = fit.trained_values();
  FirstRate best{.rate = highest};
  double least = std::numeric_limits<double>::infinity();
  for (const double part : kParts) {
    const std::optional<Trial> trial =
        try_rate(fit, part * highest, part < 1, [&] { return on_iteration(++best.iterations); });
    fit.begin_anew(start);
    if (!trial) return {};
    if (trial->loss < least || trial->well) {
      least = trial->loss;
      best.rate = part * highest;
    } else if (std::isfinite(least)) {
      break;  // lower ones only take longer
    }
    if (trial->well) break;
  }
  return best;
}

int64_t most_trial_iterations() { return kTrial * static_cast<int64_t>(std::size(kParts)); }

}  // namespace hourglass
