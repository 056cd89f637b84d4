// Rounds on a made-up machine, whose clock only goes when something is measured.
#include "engine/measure/rounds.h"

#include <doctest/doctest.h>

#include <string>

#include "engine/train/random.h"

namespace hourglass::test {
namespace {

// Things that take as long as `seconds` says, but for noise; and a machine that becomes slower by `drift` a second.
class Machine {
 public:
  explicit Machine(double noise, double drift = 0) : drift_(drift) {
    noise_ = draw_normal(7, Stream::input, 0, 100000, 0, static_cast<float>(noise));
  }

  Visit thing(const std::string& name, double seconds) {
    return [this, name, seconds] {
      order += name;
      return std::vector<double>{spend(seconds), spend(seconds)};
    };
  }
  RoundTools tools() {
    return {.reference = [this] { return spend(0.001); }, .clock = [this] { return now_; }};
  }

  std::string order;

 private:
  double spend(double seconds) {
    const double took = seconds * (1 + drift_ * now_) * (1 + static_cast<double>(noise_[next_++]));
    now_ += took;
    return took;
  }

  double now_ = 0, drift_;
  std::size_t next_ = 0;
  std::vector<float> noise_;
};

const auto kNothing = [](const RoundProgress&) {};

}  // namespace

TEST_CASE("rounds: each goes through all points in turn, with the reference loop between") {
  Machine machine(0);
  int calls = 0;
  const Rounds rounds =
      measure_in_rounds({machine.thing("a", 1), machine.thing("b", 2)}, {.rounds = 3}, machine.tools(),
                        [&](const RoundProgress& at) { CHECK(at.share == doctest::Approx(++calls / 6.0)); });
  CHECK(machine.order == "ababab");
  CHECK(rounds.count() == 3);
  CHECK(rounds.reference.size() == 7);
  CHECK(rounds.ended == Ended::as_asked);
  CHECK(rounds.all(1).size() == 6);
  CHECK(rounds.medians(0) == std::vector<double>(3, 1.0));
}

TEST_CASE("rounds: they end when every median is known well enough") {
  Machine quiet(0.001), noisy(0.05);
  const RoundOptions options{.precision_goal = 0.01, .time_limit = 1e6};
  const Rounds few = measure_in_rounds({quiet.thing("a", 1)}, options, quiet.tools(), kNothing);
  CHECK(few.ended == Ended::precise);
  CHECK(few.count() == kLeastForInterval);
  double precision = 1;
  const Rounds many = measure_in_rounds({noisy.thing("a", 1), noisy.thing("b", 1)}, options, noisy.tools(),
                                        [&](const RoundProgress& at) { precision = at.precision; });
  CHECK(many.ended == Ended::precise);
  CHECK(many.count() > 15);
  for (const std::size_t i : {0, 1}) CHECK(median_interval(many.medians(i)).relative_width() <= 0.01);
  CHECK(precision > 0);
}

TEST_CASE("rounds: they end within the time limit, as far as one round does") {
  Machine noisy(0.3);
  const Rounds rounds =
      measure_in_rounds({noisy.thing("a", 1)}, {.precision_goal = 0.001, .time_limit = 30}, noisy.tools(), kNothing);
  CHECK(rounds.ended == Ended::out_of_time);
  CHECK(rounds.seconds > 25);
  CHECK(rounds.seconds < 31);  // a round takes two seconds, give or take some
  Machine slow(0);
  for (const auto& [limit, count] : {std::pair{0.0, 1}, {30.0, 1}, {399.0, 1}, {401.0, 2}, {999.0, 4}}) {
    const auto& this_limit = limit;
    CAPTURE(this_limit);
    double share = 0;
    const Rounds some = measure_in_rounds({slow.thing("a", 100)}, {.precision_goal = 0, .time_limit = limit},
                                          slow.tools(), [&](const RoundProgress& at) { share = at.share; });
    CHECK(some.count() == count);
    CHECK(some.ended == Ended::out_of_time);
    CHECK(share > 0);
    CHECK(share <= 1);
  }
}

TEST_CASE("rounds: a drift of the machine leaves ratios as they are") {
  Machine machine(0.01, 0.02);  // twice as slow after 50 s
  const Rounds rounds =
      measure_in_rounds({machine.thing("a", 0.2), machine.thing("b", 0.1)}, {.rounds = 60}, machine.tools(), kNothing);
  const Interval ratio = ratio_interval(rounds.medians(0), rounds.medians(1), Pairing::same_rounds);
  CHECK(ratio.value == doctest::Approx(2).epsilon(0.03));
  CHECK(ratio.relative_width() < 0.05);
  CHECK(median_interval(rounds.medians(0)).relative_width() > 0.05);
  CHECK(drift_of(rounds.reference).slower_at_end > 0.3);
}

TEST_CASE("drift: a machine that stays the same has none, and single slow looks are counted") {
  std::vector<double> loop(40, 0.005);
  CHECK(drift_of(loop).slower_at_end == doctest::Approx(0));
  CHECK(drift_of(loop).slow_share == 0);
  loop[7] = loop[20] = 0.01;
  CHECK(drift_of(loop).slower_at_end == doctest::Approx(0));
  CHECK(drift_of(loop).slow_share == doctest::Approx(0.05));
  CHECK(drift_of(loop).slowest == doctest::Approx(1));
  CHECK(drift_of({1, 2}).slowest == 0);
}

TEST_CASE("warm-up: it ends when iterations become no faster") {
  WarmUp warm_up(100);
  CHECK_FALSE(warm_up.done(9));
  CHECK_FALSE(warm_up.done(5));
  CHECK_FALSE(warm_up.done(4));
  CHECK(warm_up.done(3.99));
  CHECK(warm_up.iterations() == 4);
  WarmUp limited(10);
  CHECK_FALSE(limited.done(9));
  CHECK(limited.done(5));
}

}  // namespace hourglass::test
