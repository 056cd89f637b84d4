#include "engine/measure/comparison.h"

#include <algorithm>

namespace hourglass {
namespace {

const NamedRounds* find(const std::vector<NamedRounds>& list, const std::string& name) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const auto& point) { return point.name == name; });
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

bool Comparison::any(Verdict verdict) const {
  return std::any_of(points.begin(), points.end(), [&](const auto& point) { return point.verdict == verdict; });
}

Comparison compare(const std::vector<NamedRounds>& before, const std::vector<NamedRounds>& now, double tolerance) {
  Comparison comparison;
  std::vector<std::pair<const NamedRounds*, const NamedRounds*>> pairs;
  for (const NamedRounds& point : before) {
    const NamedRounds* other = find(now, point.name);
    if (other == nullptr)
      comparison.gone.push_back(point.name);
    else
      pairs.emplace_back(&point, other);
  }
  for (const NamedRounds& point : now) {
    if (find(before, point.name) == nullptr) comparison.added.push_back(point.name);
  }
  for (const auto& [first, second] : pairs) {
    PointComparison point{.name = first->name,
                          .seconds_before = median_of(first->rounds),
                          .seconds_now = median_of(second->rounds),
                          .speed = ratio_interval(first->rounds, second->rounds, Pairing::independent,
                                                  kConfidenceTail / static_cast<double>(pairs.size()))};
    if (point.speed.low > 1 && point.speed.value > 1 + tolerance) point.verdict = Verdict::faster;
    if (point.speed.high < 1 && point.speed.value < 1 - tolerance) point.verdict = Verdict::slower;
    if (std::min(first->rounds.size(), second->rounds.size()) < kLeastForInterval) point.verdict = Verdict::unknown;
    comparison.points.push_back(std::move(point));
  }
  return comparison;
}

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::faster: return "faster";
    case Verdict::slower: return "slower";
    case Verdict::unknown: return "too few rounds";
    case Verdict::no_difference: break;
  }
  return "no difference";
}

}  // namespace hourglass
