#include "engine/measure/laws.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "graph/error.h"

namespace hourglass {
namespace {

constexpr int kTerms = 3;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
using Terms = std::array<double, kTerms>;

// t(n) = t(1) / n + t(1) s (n - 1) / n + t(1) k (n - 1): linear in what is sought.
Terms terms_of(double threads) { return {1 / threads, (threads - 1) / threads, threads - 1}; }

struct Measured {
  double threads = 0, seconds = 0, sigma = 0;
};

// Solves the normal equations of the terms that `used` names by elimination; nothing where they are not independent.
std::optional<Terms> least_squares(const std::vector<Measured>& points, const std::array<bool, kTerms>& used) {
  std::array<std::array<double, kTerms + 1>, kTerms> m{};
  for (const Measured& point : points) {
    const Terms row = terms_of(point.threads);
    const double weight = 1 / (point.sigma * point.sigma);
    for (std::size_t i = 0; i < kTerms; ++i) {
      for (std::size_t j = 0; j < kTerms; ++j) m[i][j] += weight * row[i] * row[j];
      m[i][kTerms] += weight * row[i] * point.seconds;
    }
  }
  for (std::size_t i = 0; i < kTerms; ++i) {
    if (used[i]) continue;
    for (std::size_t j = 0; j < kTerms; ++j) m[i][j] = m[j][i] = 0;
    m[i][i] = 1;
    m[i][kTerms] = 0;
  }
  for (std::size_t column = 0; column < kTerms; ++column) {
    std::size_t pivot = column;
    for (std::size_t row = column; row < kTerms; ++row) {
      if (std::abs(m[row][column]) > std::abs(m[pivot][column])) pivot = row;
    }
    const double scale = std::abs(m[pivot][column]);
    std::swap(m[pivot], m[column]);
    if (!(scale > 0)) return {};
    for (std::size_t row = 0; row < kTerms; ++row) {
      if (row == column) continue;
      const double factor = m[row][column] / m[column][column];
      for (std::size_t j = column; j <= kTerms; ++j) m[row][j] -= factor * m[column][j];
    }
  }
  Terms solution{};
  for (std::size_t i = 0; i < kTerms; ++i) solution[i] = m[i][kTerms] / m[i][i];
  return solution;
}

double chi_squared_of(const std::vector<Measured>& points, const Terms& terms) {
  double sum = 0;
  for (const Measured& point : points) {
    const Terms row = terms_of(point.threads);
    double distance = point.seconds;
    for (std::size_t i = 0; i < kTerms; ++i) distance -= row[i] * terms[i];
    sum += distance * distance / (point.sigma * point.sigma);
  }
  return sum;
}

// Of all sets of terms, the one that is nowhere negative and fits best. s may not exceed 1: that is t(1) alone, at
// every number of threads.
Law fit_terms(LawKind kind, const std::vector<Measured>& points) {
  double best = kInfinity;
  Law law;
  for (unsigned set = 1; set < 1U << kTerms; ++set) {
    const std::array<bool, kTerms> used{(set & 1) != 0, (set & 2) != 0, (set & 4) != 0};
    if (!used[0] || (used[2] && kind == LawKind::amdahl)) continue;
    const std::optional<Terms> terms = least_squares(points, used);
    if (!terms || std::any_of(terms->begin(), terms->end(), [](double x) { return !(x >= 0); })) continue;
    const double distance = chi_squared_of(points, *terms);
    if (distance >= best || (*terms)[1] > (*terms)[0]) continue;
    best = distance;
    law = {.seconds_one = (*terms)[0], .serial = (*terms)[1] / (*terms)[0], .coherence = (*terms)[2] / (*terms)[0]};
  }
  // All serial, s = 1: the mean, which lies on the border of what the terms may be.
  double weights = 0, mean = 0;
  for (const Measured& point : points) {
    weights += 1 / (point.sigma * point.sigma);
    mean += point.seconds / (point.sigma * point.sigma);
  }
  mean /= weights;
  const Terms constant{mean, mean, 0};
  if (chi_squared_of(points, constant) < best) law = {.seconds_one = mean, .serial = 1, .coherence = 0};
  return law;
}

std::vector<Measured> measured(const std::vector<LawPoint>& points) {
  std::vector<Measured> list;
  constexpr double kTwoSigma = 1.96, kLeast = 0.005, kUnknown = 0.05;
  for (const LawPoint& point : points) {
    const Interval seconds = median_interval(point.rounds);
    const double half = (seconds.high - seconds.low) / 2 / kTwoSigma;
    list.push_back({.threads = static_cast<double>(point.threads),
                    .seconds = seconds.value,
                    .sigma = seconds.known() ? std::max(half, kLeast * seconds.value) : kUnknown * seconds.value});
  }
  return list;
}

// Above which chi squared lies once in a thousand times, by Wilson and Hilferty (Proc. Nat. Acad. Sci. 17, 1931).
double unlikely(int degrees) {
  constexpr double kSigmas = 3.09;
  const double spread = 2.0 / (9.0 * degrees);
  return degrees * std::pow(1 - spread + kSigmas * std::sqrt(spread), 3);
}

}  // namespace

double Law::best_threads() const {
  if (coherence <= 0) return serial < 1 ? kInfinity : 1;
  return std::max(1.0, std::sqrt((1 - serial) / coherence));
}

double Law::limit() const { return coherence > 0 ? speed_up(best_threads()) : 1 / serial; }

FittedLaw fit_law(LawKind kind, const std::vector<LawPoint>& points) {
  std::set<int> counts;
  for (const LawPoint& point : points) counts.insert(point.threads);
  if (counts.size() < 2) fail("a law of scaling needs timings at two different thread counts");
  std::vector<Measured> list = measured(points);
  FittedLaw fitted{.law = fit_terms(kind, list), .serial = {}, .coherence = {}};
  for (const Measured& point : list) {
    const double distance = point.seconds - fitted.law.seconds(point.threads);
    fitted.misfit = std::max(fitted.misfit, std::abs(distance) / point.seconds);
    fitted.chi_squared += distance * distance / (point.sigma * point.sigma);
  }
  if (points.front().rounds.size() == 1) {
    fitted.serial = unknown_interval(fitted.law.serial);
    fitted.coherence = unknown_interval(fitted.law.coherence);
    return fitted;
  }
  std::vector<double> coherences;
  const std::vector<double> serials =
      bootstrap(static_cast<int>(points.front().rounds.size()), [&](std::span<const int> drawn) {
        for (std::size_t i = 0; i < points.size(); ++i) {
          std::vector<double> some;
          for (const int round : drawn) some.push_back(points[i].rounds[static_cast<std::size_t>(round)]);
          list[i].seconds = median_of(std::move(some));
        }
        const Law law = fit_terms(kind, list);
        coherences.push_back(law.coherence);
        return law.serial;
      });
  fitted.serial = percentile_interval(fitted.law.serial, serials);
  fitted.coherence = percentile_interval(fitted.law.coherence, coherences);
  return fitted;
}

const FittedLaw* LawChoice::preferred() const {
  if (verdict == LawVerdict::none) return nullptr;
  return verdict == LawVerdict::universal ? &*universal : &amdahl;
}

LawChoice choose_law(const std::vector<LawPoint>& points) {
  LawChoice choice{.amdahl = fit_law(LawKind::amdahl, points), .universal = {}, .reason = {}};
  const auto degrees = static_cast<int>(points.size()) - 2;
  const auto fastest = [](const LawPoint& a, const LawPoint& b) { return median_of(a.rounds) < median_of(b.rounds); };
  const LawPoint& best = *std::min_element(points.begin(), points.end(), fastest);
  const LawPoint& first = *std::min_element(points.begin(), points.end(),
                                            [](const LawPoint& a, const LawPoint& b) { return a.threads < b.threads; });
  if (best.threads == first.threads) {
    choice.verdict = LawVerdict::none;
    choice.reason =
        fmt::format("no number of threads was faster than {}, which no law of scaling describes", first.threads);
    return choice;
  }
  constexpr double kVisible = 0.05;
  if (degrees < 1) {
    if (choice.amdahl.misfit > kVisible && choice.amdahl.chi_squared > unlikely(1)) {
      choice.verdict = LawVerdict::none;
      choice.reason = fmt::format("{} threads are over {:g} times as fast as {}, which no law of scaling describes",
                                  best.threads, static_cast<double>(best.threads) / first.threads, first.threads);
    } else {
      choice.reason = "two numbers of threads lie on Amdahl's law whatever they are: a third would test it";
    }
    return choice;
  }
  choice.universal = fit_law(LawKind::universal, points);
  constexpr double kOnceInTwenty = 3.84;
  const bool better = choice.amdahl.chi_squared - choice.universal->chi_squared > kOnceInTwenty;
  const FittedLaw& law = better ? *choice.universal : choice.amdahl;
  const int left = better ? degrees - 1 : degrees;
  if (law.misfit > kVisible && (left < 1 || law.chi_squared > unlikely(left))) {
    choice.verdict = LawVerdict::none;
    choice.reason = fmt::format("the better law is {:.0f} % off at one of the points, more than their intervals allow",
                                100 * law.misfit);
  } else if (better) {
    choice.verdict = LawVerdict::universal;
    choice.reason = "the Universal Scalability Law describes the points better than Amdahl's law does";
  } else {
    choice.verdict = LawVerdict::amdahl;
    choice.reason = "Amdahl's law describes the points, and a further term would not do so better";
  }
  return choice;
}

}  // namespace hourglass
