// The learning rate to begin a fit with, for a network of which nothing is known: a short range test (Smith, "Cyclical
// learning rates for training neural networks", WACV 2017), from the highest rate down.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "engine/train/fit.h"

namespace hourglass {

struct FirstRate {
  double rate = 0;
  int64_t iterations = 0;  // that finding it took
};

// The highest of `highest` and 0.3, 0.1, 0.03 ... 0.001 times that, with which the loss stays below 0.9 of its first
// value in the second half of 30 iterations; where there is none, the one with which it was least. All but `highest`
// are tried, and meant to be used, with a warm-up. Leaves the fit, which has just been made, as it was, so that the
// same fit finds the same rate. After each iteration on_iteration() hears how many there have been; where it returns
// false, the trial ends and has found nothing.
std::optional<FirstRate> find_first_rate(Fit& fit, double highest, const std::function<bool(int64_t)>& on_iteration);
// That a trial takes at most.
int64_t most_trial_iterations();

// A rate that grows to its value over ten iterations, of which this is one, counted from 1: Adam's first steps change
// every weight by the whole rate, whatever its gradient is.
double warmed_up(double rate, int64_t iteration);

}  // namespace hourglass
