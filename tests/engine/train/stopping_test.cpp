// Stopping rules, on curves whose minimum is known.
#include "engine/train/stopping.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <random>

#include "graph/error.h"

namespace hourglass::test {
namespace {

struct Outcome {
  int64_t best = 0;     // the iteration whose average was kept
  int64_t stopped = 0;  // 0: never
};

// Runs a rule over iterates that scatter around 1/2 by spread(iteration), with loss(iteration).
using Curve = std::function<double(int64_t)>;
Outcome run(
    StoppingRule& rule, int64_t from, int64_t to, const Curve& spread,
    const Curve& loss = [](int64_t) { return 1.0; }) {
  Outcome outcome;
  std::vector<float> image(1000);
  for (int64_t i = from; i <= to; ++i) {
    std::mt19937 random(static_cast<uint32_t>(i));
    const auto amount = static_cast<float>(spread(i));
    for (float& value : image) value = 0.5F + amount * (static_cast<float>(random() % 2001) / 1000.0F - 1.0F);
    const StoppingVerdict verdict = rule.observe({.iteration = i, .loss = loss(i), .iterate = image, .average = image});
    if (verdict.is_best) outcome.best = i;
    if (verdict.stop) {
      outcome.stopped = i;
      break;
    }
  }
  return outcome;
}

// Falls to a minimum at iteration 600, rises slowly behind it.
double valley(int64_t i) {
  return i < 600 ? 0.02 + 0.0003 * static_cast<double>(600 - i) : 0.02 + 0.0001 * static_cast<double>(i - 600);
}

}  // namespace

TEST_CASE("the windowed variance is that of the window") {
  std::mt19937 random(3);
  for (const int64_t window : {2, 7, 10, 30}) {
    CAPTURE(window);
    WindowedVariance variance(window);
    CHECK(variance.window() == window);
    std::vector<std::vector<float>> all;
    int said = 0;
    for (int64_t i = 1; i <= 4 * window; ++i) {
      std::vector<float> values(5);
      for (float& value : values) value = 0.9F + 1e-3F * static_cast<float>(random() % 1000) / 1000.0F;
      all.push_back(values);
      const auto got = variance.add(values);
      CHECK(got.has_value() == (i >= window && i % (window < 10 ? 1 : window / 10) == 0));
      if (!got) continue;
      ++said;
      double expected = 0;
      for (std::size_t k = 0; k < values.size(); ++k) {
        double mean = 0, squares = 0;
        for (int64_t j = i - window; j < i; ++j) mean += all[static_cast<std::size_t>(j)][k];
        mean /= static_cast<double>(window);
        for (int64_t j = i - window; j < i; ++j) squares += std::pow(all[static_cast<std::size_t>(j)][k] - mean, 2);
        expected += squares / static_cast<double>(window) / static_cast<double>(values.size());
      }
      CHECK(*got == doctest::Approx(expected).epsilon(1e-6));
    }
    CHECK(said > 3);
  }
  CHECK_THROWS_AS(WindowedVariance(1), Error);
}

TEST_CASE("both variances find the valley and stop when patience ends") {
  for (const StoppingKind kind : {StoppingKind::wmv, StoppingKind::emv}) {
    CAPTURE(static_cast<int>(kind));
    const auto rule = make_stopping_rule({.kind = kind, .start = 100, .patience = 300});
    const Outcome outcome = run(*rule, 1, 3000, valley);
    // A window of 100 has its minimum some ten iterations before half of it is past the valley's floor.
    CHECK(outcome.best > 550);
    CHECK(outcome.best < 700);
    CHECK(outcome.stopped == outcome.best + 300);
    CHECK(rule->text().find("variance ") == 0);
    CHECK(std::stod(rule->text().substr(9)) > 1.5);
    CHECK(rule->text().find(" of its minimum, patience 300/300") != std::string::npos);
  }
}

TEST_CASE("a minimum before the start does not count, one within patience does") {
  // A gray image at first: no variance at all for 150 iterations.
  const auto late = [](int64_t i) { return i < 150 ? 0.001 : valley(i); };
  // A dip, shorter than the patience, before the true minimum.
  const auto dip = [](int64_t i) { return std::abs(static_cast<double>(i - 300)) < 80 ? 0.05 : valley(i); };
  for (const StoppingKind kind : {StoppingKind::wmv, StoppingKind::emv}) {
    CAPTURE(static_cast<int>(kind));
    const auto fooled = make_stopping_rule({.kind = kind, .start = 100, .patience = 300});
    CHECK(run(*fooled, 1, 3000, late).best < 300);
    const auto careful = make_stopping_rule({.kind = kind, .start = 300, .patience = 300});
    CHECK(run(*careful, 1, 3000, late).best > 550);
    const auto patient = make_stopping_rule({.kind = kind, .start = 100, .patience = 300});
    CHECK(run(*patient, 1, 3000, dip).best > 550);
    const auto hasty = make_stopping_rule({.kind = kind, .start = 100, .patience = 100});
    CHECK(run(*hasty, 1, 3000, dip).stopped < 550);
  }
}

TEST_CASE("the discrepancy stops when the average reaches the input's own error") {
  const auto flat = [](int64_t) { return 0.1; };
  int asked = 0;
  const Discrepancy falling = [&](std::span<const float> average) {
    CHECK(average.size() == 1000);
    return 100.0 / (5 * ++asked);
  };
  const auto rule = make_stopping_rule({.kind = StoppingKind::discrepancy, .discrepancy = falling});
  const Outcome outcome = run(*rule, 1, 1000, flat);
  CHECK(outcome.stopped == 100);
  CHECK(outcome.best == 100);
  CHECK(rule->text() == "1.00 times as far from it as the original");
  CHECK_THROWS_AS(make_stopping_rule({.kind = StoppingKind::discrepancy}), Error);
}

TEST_CASE("fixed, energy and none") {
  const auto flat = [](int64_t) { return 0.1; };
  const auto falling = [](int64_t i) { return 1.0 / static_cast<double>(i); };
  const auto fixed = make_stopping_rule({.kind = StoppingKind::fixed, .iteration = 70});
  const Outcome at_70 = run(*fixed, 1, 100, flat);
  CHECK(at_70.best == 70);
  CHECK(at_70.stopped == 70);
  const auto energy = make_stopping_rule({.kind = StoppingKind::energy, .energy = 0.02});
  const Outcome reached = run(*energy, 1, 500, flat, falling);
  // The smoothed energy lags behind by about ten iterations.
  CHECK(reached.stopped > 50);
  CHECK(reached.stopped < 80);
  CHECK(reached.best == reached.stopped);
  const auto none = make_stopping_rule({.kind = StoppingKind::none});
  const Outcome never = run(*none, 1, 500, flat, falling);
  CHECK(never.best == 500);
  CHECK(never.stopped == 0);
  CHECK(none->text().empty());
  CHECK_THROWS_AS(make_stopping_rule({.kind = StoppingKind::fixed}), Error);
  CHECK_THROWS_AS(make_stopping_rule({.kind = StoppingKind::energy, .energy = std::nan("")}), Error);
}

TEST_CASE("a rule that was saved goes on as if nothing had happened") {
  for (const StoppingKind kind : {StoppingKind::none, StoppingKind::wmv, StoppingKind::emv, StoppingKind::discrepancy,
                                  StoppingKind::fixed, StoppingKind::energy}) {
    // Within the first window, within a part, and behind the minimum.
    for (const int64_t pause : {35, 333, 720}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(pause);
      // Between two questions the discrepancy is remembered.
      const Discrepancy spread_of = [](std::span<const float> average) {
        double sum = 0;
        for (const float value : average) sum += std::abs(value - 0.5);
        return sum / static_cast<double>(average.size()) / 0.0105;
      };
      const StoppingOptions options{
          .kind = kind, .start = 100, .patience = 300, .discrepancy = spread_of, .iteration = 800, .energy = 0.00115};
      const auto loss = [](int64_t i) { return 1.0 / static_cast<double>(i); };
      const auto straight = make_stopping_rule(options);
      const Outcome expected = run(*straight, 1, 1500, valley, loss);
      const auto first = make_stopping_rule(options);
      const Outcome before = run(*first, 1, pause, valley, loss);
      if (before.stopped != 0) {
        CHECK(kind == StoppingKind::discrepancy);
        continue;
      }
      Archive archive;
      first->save(archive);
      const auto second = make_stopping_rule(options);
      second->load(Archive::decode(archive.encode()));
      CHECK(second->text() == first->text());
      const Outcome after = run(*second, pause + 1, 1500, valley, loss);
      CHECK(after.stopped == expected.stopped);
      CHECK(std::max(before.best, after.best) == expected.best);
      CHECK(second->text() == straight->text());
    }
  }
}

}  // namespace hourglass::test
