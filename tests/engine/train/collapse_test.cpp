// CollapseGuard: falls are noticed, the fit goes back, the rate comes down, and calm runs are left alone.
#include "engine/train/collapse.h"

#include <doctest/doctest.h>

#include <limits>

#include "models/builder.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

using Verdict = CollapseGuard::Verdict;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Problem tiny_problem() {
  Problem problem;
  problem.graph = make_skip({.channels = {4}, .skips = {0}, .input_depth = 2}, 8, 8);
  problem.input = problem.graph.inputs[0];
  problem.image = problem.graph.outputs[0];
  GraphBuilder b(problem.graph, op_table());
  problem.loss = b.add("ReduceMean", {b.add("Mul", {problem.image, problem.image})}, {{"keepdims", int64_t{0}}});
  return problem;
}

FitOptions one_thread() {
  FitOptions options;
  options.threads = 1;
  return options;
}

struct Fixture {
  Fit fit{tiny_problem(), op_table(), one_thread()};
  CollapseGuard guard{fit};

  Verdict step(double loss, double psnr) {
    fit.step();
    return guard.observe(fit, loss, psnr);
  }
  void calm(int steps) {
    for (int i = 0; i < steps; ++i) CHECK(step(0.01, 20) == Verdict::well);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a fall takes the fit back by 50 to 100 iterations") {
  CHECK_FALSE(guard.has_been_well());
  calm(130);
  CHECK(guard.has_been_well());
  CHECK(step(0.02, 15.5) == Verdict::well);
  CHECK(fit.iteration() == 131);
  CHECK(step(0.03, 14.9) == Verdict::fell);
  CHECK(fit.iteration() == 50);
  CHECK(guard.rate_factor() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a jump of the loss and what is no number are falls too, at any time") {
  calm(30);
  CHECK(step(1.1, 20) == Verdict::fell);
  CHECK(fit.iteration() == 0);
  CHECK(step(kNan, 20) == Verdict::fell);
  CHECK(step(std::numeric_limits<double>::infinity(), 20) == Verdict::fell);
  // A PSNR that is none: nothing is known of the past, so it must not pass later either.
  calm(30);
  CHECK(step(0.01, kNan) == Verdict::fell);
}

TEST_CASE_FIXTURE(Fixture, "falls in a row halve the rate, calm ends the row, too many end the fit") {
  CHECK(step(kNan, 0) == Verdict::fell);
  CHECK(guard.rate_factor() == 1);
  CHECK(step(kNan, 0) == Verdict::fell);
  CHECK(guard.rate_factor() == 0.5);
  calm(40);
  CHECK(step(kNan, 0) == Verdict::fell);
  CHECK(guard.rate_factor() == 0.25);
  calm(100);
  CHECK(step(kNan, 0) == Verdict::fell);
  CHECK(guard.rate_factor() == 0.25);
  for (int i = 0; i < 7; ++i) CHECK(step(kNan, 0) == Verdict::fell);
  CHECK(step(kNan, 0) == Verdict::hopeless);
  CHECK(fit.iteration() == 50);  // the weights are those of when it was well
}

TEST_CASE_FIXTURE(Fixture, "a guard that was saved goes on as if nothing had happened") {
  CHECK(step(kNan, 0) == Verdict::fell);
  CHECK(step(kNan, 0) == Verdict::fell);
  calm(120);
  Archive archive;
  fit.save(archive);
  guard.save(archive);
  Fixture other;
  other.fit.load(archive);
  other.guard = CollapseGuard(Archive::decode(archive.encode()), other.fit);
  for (Fixture* each : {static_cast<Fixture*>(this), &other}) {
    CHECK(each->step(0.01, 14) == Verdict::fell);
    CHECK(each->fit.iteration() == 50);
    CHECK(each->guard.rate_factor() == 0.5);
  }
  CHECK(fit.average() == other.fit.average());
}

TEST_CASE("the guard holds six bytes a weight, which is what it says") {
  Fixture each;
  each.calm(130);
  const FitSnapshot snapshot = each.fit.snapshot();
  std::size_t bytes = snapshot.average.size() * sizeof(float), weights = 0;
  for (const auto& values : snapshot.weights) {
    weights += values.size();
    bytes += values.size() * sizeof values[0];
  }
  for (const auto& values : snapshot.second_moments) bytes += values.size() * sizeof values[0];
  CHECK(CollapseGuard::bytes(static_cast<int64_t>(weights), static_cast<int64_t>(snapshot.average.size())) ==
        2 * bytes);
  CHECK(CollapseGuard::bytes(1000, 0) == 6000);
}

}  // namespace hourglass::test
