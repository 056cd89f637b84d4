// Laws of scaling, fitted to times at several numbers of threads, and which of them the data prefer.
//
// With t(1) the time on one thread, in n threads
//   Amdahl (AFIPS 1967):                    t(n) = t(1) (s + (1 - s) / n)
//   Universal Scalability Law (N. J. Gunther, Guerrilla Capacity Planning, 2007, chapter 6), the same with a term for
//   threads that wait for each other's data:  t(n) = t(1) (1 + s (n - 1) + k n (n - 1)) / n
// k = 0 makes the second the first. With k > 0 there is a number of threads, sqrt((1 - s) / k), beyond which more make
// it slower.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/measure/statistics.h"

namespace hourglass {

struct Law {
  double seconds_one = 0;  // t(1)
  double serial = 0;       // s, 0 to 1
  double coherence = 0;    // k, 0 for Amdahl's law

  [[nodiscard]] double seconds(double threads) const {
    return seconds_one * (1 + serial * (threads - 1) + coherence * threads * (threads - 1)) / threads;
  }
  [[nodiscard]] double speed_up(double threads) const { return seconds_one / seconds(threads); }
  // The number of threads with the largest speed-up, and that speed-up; infinite where more always help.
  [[nodiscard]] double best_threads() const;
  // With infinitely many threads for Amdahl's law, 1 / s; with best_threads() for the other.
  [[nodiscard]] double limit() const;
};

// What was measured at one number of threads.
struct LawPoint {
  int threads = 0;
  std::vector<double> rounds;  // seconds in each round; the same rounds at all points
};

enum class LawKind : uint8_t { amdahl, universal };

struct FittedLaw {
  Law law;
  Interval serial, coherence;  // by bootstrap over the rounds; unknown of one round
  double misfit = 0;           // the largest distance of a point from the law, as a share of the point's time
  double chi_squared = 0;      // distances in units of the points' own uncertainty, squared and summed
};

// Least squares of distances in units of each point's uncertainty (half its interval, or half a percent where that is
// less; 5 % of one round), no term below 0. Throws Error for fewer than two different numbers of threads.
FittedLaw fit_law(LawKind kind, const std::vector<LawPoint>& points);

enum class LawVerdict : uint8_t {
  too_few,    // two points that lie on Amdahl's law, as nearly any two do: it can't be tested
  amdahl,     // describes them, and the other no better
  universal,  // describes them better than chance would have it
  none        // neither describes them, or no number of threads is faster than one
};

struct LawChoice {
  FittedLaw amdahl;
  std::optional<FittedLaw> universal;  // needs three numbers of threads
  LawVerdict verdict = LawVerdict::too_few;
  std::string reason;  // one sentence

  // The law to go on with; none where neither describes what was seen.
  [[nodiscard]] const FittedLaw* preferred() const;
};

// The laws are nested, so twice the difference of their log likelihoods, chi squared's here, follows chi squared with
// one degree of freedom where the simpler one holds (S. S. Wilks, Ann. Math. Statist. 9, 1938): above 3.84 in 5 of 100
// cases.
LawChoice choose_law(const std::vector<LawPoint>& points);

}  // namespace hourglass
