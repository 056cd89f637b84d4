// Learning from pairs: they are read in order, a fit that was put away goes on to the same bytes, and what does not
// belong together is refused.
#include "engine/train/pairs.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "engine/train/archive.h"
#include "engine/train/fit.h"
#include "engine/train/random.h"
#include "graph/error.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

constexpr int64_t kSide = 12;

// The target is the input's first channel times two.
class Doubling : public Pairs {
 public:
  void draw(int64_t iteration, std::span<float> input, std::span<float> target) const override {
    const std::vector<float> drawn =
        draw_uniform(3, Stream::pairs, static_cast<uint32_t>(iteration), static_cast<int64_t>(input.size()), -1, 1);
    std::copy(drawn.begin(), drawn.end(), input.begin());
    std::transform(target.begin(), target.end(), input.begin(), target.begin(), [](float, float v) { return 2 * v; });
  }
};

Problem problem_with_target() {
  Problem problem;
  GraphBuilder b(problem.graph, op_table());
  problem.input = b.input("z", {DType::f32, Shape{1, 2, kSide, kSide}});
  const Init init{.kind = Init::Kind::uniform, .low = -0.3, .high = 0.3};
  const ValueId weight = b.parameter("weight", {DType::f32, Shape{1, 2, 3, 3}}, init);
  problem.image = b.add("Conv", {problem.input, weight}, {{"kernel_shape", Dims{3, 3}}, {"pads", Dims{1, 1, 1, 1}}});
  problem.target = b.input("target", {DType::f32, Shape{1, 1, kSide, kSide}});
  const ValueId difference = b.add("Sub", {problem.image, problem.target});
  problem.loss = b.add("ReduceMean", {b.add("Mul", {difference, difference})}, {{"keepdims", int64_t{0}}});
  return problem;
}

FitOptions options() {
  return {.adam = {.learning_rate = 0.05}, .pairs = std::make_shared<Doubling>(), .weights_decay = 0.9, .threads = 2};
}

}  // namespace

TEST_CASE("pairs are those of their iteration, whatever was read before") {
  const auto pairs = std::make_shared<Doubling>();
  PairReader reader(pairs, 2 * kSide * kSide, kSide * kSide);
  for (const int64_t iteration : {1, 2, 3, 7, 2, 3}) {
    CAPTURE(iteration);
    Pair expected{.iteration = iteration,
                  .input = std::vector<float>(2 * kSide * kSide),
                  .target = std::vector<float>(kSide * kSide)};
    pairs->draw(iteration, expected.input, expected.target);
    const Pair& pair = reader.read(iteration);
    CHECK(pair.iteration == iteration);
    CHECK(pair.input == expected.input);
    CHECK(pair.target == expected.target);
  }
}

TEST_CASE("a network learns from pairs, and the average of its weights follows them") {
  Fit fit(problem_with_target(), op_table(), options());
  const double first = fit.step();
  double last = first;
  for (int i = 0; i < 200; ++i) last = fit.step();
  CHECK(last < 1e-3 * first);
  CHECK(fit.average().empty());
  CHECK(fit.averaged_weights()[0][4] == doctest::Approx(2).epsilon(0.02));
  CHECK(fit.averaged_weights() != fit.weights());
}

TEST_CASE("a fit from pairs that is taken up again goes on to the same bytes") {
  Fit whole(problem_with_target(), op_table(), options());
  for (int i = 0; i < 9; ++i) whole.step();
  Fit before(problem_with_target(), op_table(), options());
  for (int i = 0; i < 4; ++i) before.step();
  Archive archive;
  before.save(archive);
  Fit after(problem_with_target(), op_table(), options());
  for (int i = 0; i < 2; ++i) after.step();  // what it has drawn ahead must not matter
  after.load(Archive::decode(archive.encode()));
  for (int i = 0; i < 5; ++i) after.step();
  CHECK(after.weights() == whole.weights());
  CHECK(after.averaged_weights() == whole.averaged_weights());
}

TEST_CASE("pairs and targets come together") {
  FitOptions without = options();
  without.pairs = nullptr;
  CHECK_THROWS_WITH_AS(Fit(problem_with_target(), op_table(), without),
                       "the loss reads a target, and there are no pairs that say it", Error);
  Problem blind = problem_with_target();
  blind.target = kNoValue;
  CHECK_THROWS_AS(Fit(blind, op_table(), options()), Error);
  FitOptions moving = options();
  moving.optimize_input = true;
  CHECK_THROWS_AS(Fit(problem_with_target(), op_table(), moving), Error);
}

}  // namespace hourglass::test
