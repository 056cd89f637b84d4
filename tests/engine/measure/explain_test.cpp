// What a measurement says in words, of measurements that were made up.
#include "engine/measure/explain.h"

#include <doctest/doctest.h>

#include "engine/train/random.h"

namespace hourglass::test {
namespace {

// Seconds at each number of threads; of an iteration's time, so much is serial and waiting.
struct At {
  int threads;
  double seconds, serial = 0, waiting = 0;
};

ScalingRun run_of(const std::vector<At>& list, double noise = 0.002) {
  ScalingRun run;
  run.regions_seen = true;
  std::vector<LawPoint> points;
  for (const At& at : list) {
    ScalingPoint point;
    point.threads = at.threads;
    const auto index = static_cast<uint32_t>(at.threads);
    for (const float x : draw_normal(1, Stream::input, index, 9, 0, static_cast<float>(noise))) {
      point.rounds.push_back(at.seconds * (1 + static_cast<double>(x)));
    }
    point.seconds = median_interval(point.rounds);
    point.whole = {
        .seconds = at.seconds, .parallel = at.seconds - at.serial, .busy = at.seconds - at.serial - at.waiting};
    point.ops["Conv"] = {.activity = point.whole, .work = {.flops = 1e9, .bytes = 1e6}};
    point.ceiling = {.threads = at.threads, .gflops = 50.0 * at.threads, .gbytes = 10};
    const std::vector<double>& first = run.points.empty() ? point.rounds : run.points[0].rounds;
    point.speed_up = ratio_interval(first, point.rounds, Pairing::same_rounds);
    run.rounds = static_cast<int>(point.rounds.size());
    point.efficiency = point.speed_up;
    point.efficiency.value /= at.threads;
    points.push_back({.threads = at.threads, .rounds = point.rounds});
    run.points.push_back(std::move(point));
  }
  if (points.size() > 1) run.laws = choose_law(points);
  run.reference = std::vector<double>(12, 0.005);
  return run;
}

std::string text_of(const ScalingRun& run) {
  std::string text;
  for (const std::string& sentence : explain(run, read_topology())) text += sentence + "\n";
  return text;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("losses: they and the useful part are all of the CPU time") {
  const Activity one{.seconds = 8, .parallel = 8, .busy = 8};
  const Activity many{.seconds = 3, .parallel = 2.5, .busy = 2.25};
  const Losses losses = losses_of(one, many, 4);
  CHECK(losses.useful == doctest::Approx(8.0 / 12));
  CHECK(losses.serial == doctest::Approx(3 * 0.5 / 12));
  CHECK(losses.waiting == doctest::Approx(4 * 0.25 / 12));
  CHECK(losses.useful + losses.serial + losses.waiting + losses.slower == doctest::Approx(1));
  // A perfect team loses nothing.
  const Losses none = losses_of(one, {.seconds = 2, .parallel = 2, .busy = 2}, 4);
  CHECK(none.useful == doctest::Approx(1));
  CHECK(none.slower == doctest::Approx(0));
}

TEST_CASE("explain: a machine that scales, and where the rest goes") {
  const ScalingRun run = run_of({{1, 1.0}, {2, 0.52, 0.01, 0.01}, {4, 0.28, 0.01, 0.02}});
  const std::string text = text_of(run);
  CAPTURE(text);
  CHECK(enough_threads(run).threads == 4);
  CHECK(has(text, "It scales up to 4 threads: 3.5"));
  CHECK(has(text, "is lost while one thread is alone (Conv 2.7 %), 7.1 % at barriers (Conv 7.1 %)"));
  CHECK(has(text, "4.00x the multiplications (200 GFLOP/s) and moves 1.00x the memory (10.0 GB/s)"));
  CHECK_FALSE(has(text, "not idle"));
}

TEST_CASE("explain: where more threads gain nothing") {
  const ScalingRun run = run_of({{1, 1.0}, {2, 0.51}, {4, 0.3}, {8, 0.3}});
  CHECK(enough_threads(run).threads == 4);
  const std::string text = text_of(run);
  CHECK(has(text, "It scales up to 4 threads"));
  CHECK(has(text, "Beyond that it gains nothing: 8 threads do "));
}

TEST_CASE("explain: two threads eleven times as slow are no law's, and not 100 % serial") {
  ScalingRun run = run_of({{1, 0.06}, {2, 0.66}});
  run.load = {.cpus = 2, .others = 3, .load_average = 7.3};
  const std::string text = text_of(run);
  CAPTURE(text);
  CHECK(enough_threads(run).threads == 1);
  CHECK(has(text, "It does not scale here: 2 threads are 0.09x"));
  CHECK(has(text, "No law is drawn through that"));
  CHECK_FALSE(has(text, "serial ("));
  CHECK(has(text, "The machine was not idle: other programs used 3.0 of 2 CPUs"));
  CHECK(has(text, "load average at the start 7.3"));
}

TEST_CASE("explain: a machine that became slower on the way is told of") {
  ScalingRun run = run_of({{1, 1.0}, {2, 0.52}});
  for (std::size_t i = 0; i < run.reference.size(); ++i) run.reference[i] *= 1 + 0.03 * static_cast<double>(i);
  CHECK(has(text_of(run), "slower from beginning to end"));
  std::vector<double> looks(40, 0.005);
  for (const std::size_t i : {5, 14, 33}) looks[i] = 0.01;
  CHECK(what_disturbed({}, looks) ==
        "A loop that always does the same took over 10 % longer than usual in 8 % of the looks, up to 100 % longer.");
  CHECK(what_disturbed({}, std::vector<double>(40, 0.005)).empty());
}

TEST_CASE("explain: two points lie on a law, which nothing tests") {
  const std::string text = text_of(run_of({{1, 1.0}, {2, 0.525}}, 0));
  CAPTURE(text);
  CHECK(has(text, "Amdahl's law: 5.0 % of the work is serial ("));
  CHECK(has(text, "a third would test it"));
}

TEST_CASE("explain: one number of threads tells nothing of more of them") {
  const ScalingRun run = run_of({{2, 0.5}}, 0);
  const std::string text = text_of(run);
  CAPTURE(text);
  CHECK(has(text, "2 threads: 500.00 ms an iteration. How that scales, a second number of threads would tell"));
  CHECK_FALSE(has(text, "no faster"));
  CHECK_FALSE(has(text, "scales up to"));
  CHECK_FALSE(has(text, "Amdahl"));
}

TEST_CASE("explain: one round is sure of nothing") {
  ScalingRun run = run_of({{1, 1.0}, {2, 0.6}, {4, 0.35}});
  std::vector<LawPoint> points;
  for (ScalingPoint& point : run.points) {
    point.rounds.resize(1);
    point.seconds = median_interval(point.rounds);
    if (point.threads > 1) point.speed_up = ratio_interval(run.points[0].rounds, point.rounds, Pairing::same_rounds);
    points.push_back({.threads = point.threads, .rounds = point.rounds});
  }
  run.laws = choose_law(points);
  const std::string text = text_of(run);
  CAPTURE(text);
  CHECK(enough_threads(run).threads == 1);
  CHECK(has(text, "x (?): one round does not tell whether that is faster than 1 thread"));
  CHECK(has(text, "of the work is serial (?)"));
  CHECK_FALSE(has(text, "no faster"));
  CHECK_FALSE(has(text, "inf"));
}

TEST_CASE("explain: what may be faster, and is not surely so, is not said to be none") {
  ScalingRun run = run_of({{1, 1.0}, {2, 0.9}}, 0);
  ScalingPoint& two = run.points[1];
  two.rounds = {0.6, 1.2, 0.8, 1.3, 0.9, 1.4, 0.7, 1.1, 0.85};
  two.speed_up = ratio_interval(run.points[0].rounds, two.rounds, Pairing::same_rounds);
  const std::string text = text_of(run);
  CAPTURE(text);
  CHECK(has(text, "More threads than 1 thread are not surely faster here."));
}

TEST_CASE("a binding is chosen only where it is surely faster") {
  const auto ratio = [](double value, double half) {
    return Interval{.value = value, .low = value - half, .high = value + half};
  };
  CHECK(fastest_bind({}) == Bind::none);
  CHECK(fastest_bind({{Bind::cores, ratio(0.97, 0.05)}}) == Bind::none);
  CHECK(fastest_bind({{Bind::cores, ratio(0.97, 0.01)}, {Bind::spread, ratio(0.9, 0.02)}}) == Bind::spread);
  CHECK(fastest_bind({{Bind::cores, ratio(1.2, 0.01)}}) == Bind::none);
}

TEST_CASE("an op's share of the roofline is that of the ceiling which binds it") {
  const Ceiling ceiling{.threads = 1, .gflops = 100, .gbytes = 10};
  const auto op = [](double seconds, double flops, double bytes) {
    return OpPoint{.activity = {.seconds = seconds}, .work = {.flops = flops, .bytes = bytes}};
  };
  CHECK(share_of_roofline(op(1, 50e9, 1e9), ceiling) == doctest::Approx(0.5));
  CHECK(share_of_roofline(op(2, 1e9, 10e9), ceiling) == doctest::Approx(0.5));
}

}  // namespace hourglass::test
