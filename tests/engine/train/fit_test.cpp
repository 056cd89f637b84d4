// The compiled fit: against PyTorch's golden data, from run to run, over threads, and what it allocates.
#include "engine/train/fit.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "engine/runtime/precision.h"
#include "engine/train/adam.h"
#include "engine/train/archive.h"
#include "graph/autodiff.h"
#include "graph/error.h"
#include "models/builder.h"
#include "ops/fused/fuse.h"
#include "ops/loops/element.h"
#include "ops/table.h"
#include "tests/allocations.h"
#include "tests/models/golden.h"

namespace hourglass::test {
namespace {

std::vector<float> floats(const HostTensor& tensor) { return {tensor.values.begin(), tensor.values.end()}; }

// A golden network, compiled; z and target are its inputs.
struct CompiledGolden {
  Golden golden;
  Differentiated d;
  Plan plan;

  CompiledGolden(const GoldenCase& c, bool fused, LayoutPolicy policy)
      : golden(c), d(make(golden, fused)), plan(d.graph, options(policy)) {
    for (const auto& [id, tensor] : golden.given()) plan.write(id, floats(tensor));
  }
  [[nodiscard]] PlanOptions options(LayoutPolicy policy) const {
    PlanOptions result{.threads = 2, .policy = policy, .output_like = {}};
    for (std::size_t i = 0; i < d.gradients.size(); ++i)
      result.output_like.emplace_back(d.gradients[i], golden.parameters[i]);
    return result;
  }
  static Differentiated make(Golden& golden, bool fused) {
    if (fused) fuse(golden.graph, op_table());
    return differentiate(golden.graph, op_table(), golden.loss, golden.parameters);
  }
  [[nodiscard]] const std::string& name(std::size_t i) const { return golden.graph.value(golden.parameters[i]).name; }
};

Problem small_problem(int64_t height = 32, int64_t width = 48) {
  Problem problem;
  problem.graph = make_skip({.channels = {8, 16}, .skips = {4, 4}, .input_depth = 3}, height, width);
  problem.input = problem.graph.inputs[0];
  problem.image = problem.graph.outputs[0];
  GraphBuilder b(problem.graph, op_table());
  HostTensor target(DType::f32, problem.graph.shape(problem.image));
  for (std::size_t i = 0; i < target.values.size(); ++i) target.values[i] = static_cast<double>(i % 48) / 48;
  const ValueId difference = b.add("Sub", {problem.image, b.constant(target)});
  problem.loss = b.add("ReduceMean", {b.add("Mul", {difference, difference})}, {{"keepdims", int64_t{0}}});
  return problem;
}

// As it is now, whatever the fit does from here on.
Archive state_of(Fit& fit) {
  Archive archive;
  fit.save(archive);
  return Archive::decode(archive.encode());
}

std::vector<double> losses_of(Fit& fit, int steps) {
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i) losses.push_back(fit.step());
  return losses;
}

}  // namespace

TEST_CASE("loss, every gradient and 20 Adam steps agree with PyTorch") {
  for (const GoldenCase& c : golden_cases()) {
    for (const bool fused : {false, true}) {
      for (const LayoutPolicy policy : {LayoutPolicy::any, LayoutPolicy::channels_last}) {
        CAPTURE(c.name);
        CAPTURE(fused);
        CAPTURE(static_cast<int>(policy));
        CompiledGolden compiled(c, fused, policy);
        const Golden& golden = compiled.golden;
        Plan& plan = compiled.plan;
        plan.run();
        CHECK(plan.output(golden.loss)[0] == doctest::Approx(golden.at("loss64").values[0]).epsilon(1e-5));
        // Gradients, through a copy of each parameter's memory: both lie alike, so reading the parameter back after
        // overwriting it with its gradient gives the gradient in row-major order.
        for (std::size_t i = 0; i < golden.parameters.size(); ++i) {
          const ValueId id = golden.parameters[i];
          const std::vector<float> before = plan.read(id);
          const float* gradient = plan.output(compiled.d.gradients[i]);
          std::copy(gradient, gradient + plan.padded_elements(id), plan.data(id));
          const std::vector<float> got = plan.read(id);
          plan.write(id, before);
          const HostTensor& expected = golden.at("grad64/" + compiled.name(i));
          // Float sums of some thousand terms: 1e-4 of the tensor's largest element, or of a thousandth of the largest
          // of all where the true gradient is (nearly) zero.
          const double tolerance = 1e-4 * std::max(largest(expected), 0.1 * golden.largest_gradient());
          double worst = 0;
          for (std::size_t k = 0; k < got.size(); ++k) worst = std::max(worst, std::abs(got[k] - expected.values[k]));
          CAPTURE(compiled.name(i));
          CHECK(worst < tolerance);
        }
        Adam adam({.learning_rate = 0.01});
        for (std::size_t i = 0; i < golden.parameters.size(); ++i) {
          adam.add(plan.data(golden.parameters[i]), plan.output(compiled.d.gradients[i]),
                   plan.padded_elements(golden.parameters[i]));
        }
        const std::vector<double>& losses = golden.at("losses64").values;
        for (std::size_t step = 0; step < losses.size(); ++step) {
          plan.run();
          CAPTURE(step);
          // Rounding grows along the way: PyTorch's own f32 run stays within 1e-7, runs whose weights differ by 2e-7
          // within 5e-3 of the parameters, which is a few 1e-4 of the loss.
          CHECK(plan.output(golden.loss)[0] == doctest::Approx(losses[step]).epsilon(step == 0 ? 1e-5 : 2e-3));
          if (step + 1 < losses.size()) adam.step();
        }
      }
    }
  }
}

TEST_CASE("the same seed and threads give the same bytes, another seed does not") {
  const Problem problem = small_problem();
  FitOptions options;
  options.threads = 2;
  options.seed = 5;
  Fit a(problem, op_table(), options), b(problem, op_table(), options);
  CHECK(losses_of(a, 12) == losses_of(b, 12));
  CHECK(a.average() == b.average());
  for (const ValueId id : a.parameters()) CHECK(a.plan().read(id) == b.plan().read(id));
  options.seed = 6;
  Fit c(problem, op_table(), options);
  CHECK(losses_of(c, 12) != losses_of(a, 12));
}

TEST_CASE("threads that are kept to their places give the same bytes, and leave the calling one free") {
  const Problem problem = small_problem();
  FitOptions options;
  options.threads = 2;
  Fit free(problem, op_table(), options);
  const std::vector<double> expected = losses_of(free, 6);
  const CpuMask before = mask_of_this_thread();
  for (const Bind bind : {Bind::cores, Bind::threads, Bind::spread, Bind::nodes}) {
    CAPTURE(name_of(bind));
    options.places = place_threads(read_topology(), bind, 2);
    Fit kept(problem, op_table(), options);
    CHECK(losses_of(kept, 6) == expected);
    CHECK(mask_of_this_thread() == before);
  }
}

// Which thread takes which part of a loop depends on who is faster; what comes out must not.
TEST_CASE("threads that are held up give the same bytes") {
  const Problem problem = small_problem(160, 176);
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    if (precision == Precision::bf16 && !has_native_bf16()) {
      MESSAGE("in f32 only: this CPU has no bf16");
      continue;
    }
    FitOptions options;
    options.threads = 5;  // more than many a machine has CPUs: they wait for each other
    options.precision = precision;
    Fit a(problem, op_table(), options), b(problem, op_table(), options);
    const std::vector<double> expected = losses_of(a, 6);
    std::atomic<bool> done = false;
    std::vector<std::thread> others;
    for (int i = 0; i < 2; ++i) {
      others.emplace_back([&] {
        while (!done) std::this_thread::sleep_for(std::chrono::microseconds(50 + std::rand() % 200));
      });
      others.emplace_back([&] {
        while (!done) continue;
      });
    }
    CHECK(losses_of(b, 6) == expected);
    done = true;
    for (std::thread& other : others) other.join();
    CHECK(a.average() == b.average());
    for (const ValueId id : a.parameters()) CHECK(a.plan().read(id) == b.plan().read(id));
  }
}

TEST_CASE("what a plan reads of the weights in bf16 follows them") {
  if (!has_native_bf16()) {
    MESSAGE("skipped: this CPU has no bf16 arithmetic that oneDNN may use");
    return;
  }
  const Problem problem = small_problem();
  FitOptions options;
  options.threads = 2;
  options.precision = Precision::bf16;
  Fit fit(problem, op_table(), options);
  const auto check_copies = [](Fit& of) {
    int64_t copied = 0, wrong = 0;
    for (const ValueId id : of.parameters()) {
      const auto* copies = static_cast<const kernels::BFloat16*>(of.plan().bf16_copy(id));
      for (int64_t i = 0; copies != nullptr && i < of.plan().padded_elements(id); ++i, ++copied) {
        kernels::BFloat16 expected;
        kernels::store(&expected, of.plan().data(id)[i]);
        wrong += copies[i].bits != expected.bits ? 1 : 0;
      }
    }
    CHECK(copied > 0);
    CHECK(wrong == 0);
  };
  check_copies(fit);
  losses_of(fit, 3);
  check_copies(fit);
  Archive archive;
  fit.save(archive);
  Fit other(problem, op_table(), options);
  other.load(archive);
  check_copies(other);
  CHECK(losses_of(fit, 2) == losses_of(other, 2));
}

TEST_CASE("weights that are read in bf16 forward and, made again, backward are the same") {
  if (!has_native_bf16()) {
    MESSAGE("skipped: this CPU has no bf16 arithmetic that oneDNN may use");
    return;
  }
  // More than a MiB of bf16, from where on recompute() makes a value again.
  Problem problem;
  GraphBuilder b(problem.graph, op_table());
  const auto parameter = [&](const char* name, Shape shape) {
    return b.parameter(name, {DType::f32, std::move(shape)}, {.kind = Init::Kind::uniform, .low = -0.05, .high = 0.05});
  };
  problem.input = b.input("z", {DType::f32, Shape{1, 4, 8, 8}});
  const Attrs same{{"pads", Dims{1, 1, 1, 1}}};
  const ValueId wide = b.add("Conv", {problem.input, parameter("first", Shape{256, 4, 3, 3})}, same);
  const ValueId next = b.add("Conv", {wide, parameter("second", Shape{256, 256, 3, 3})}, same);
  problem.image = b.add("Conv", {next, parameter("last", Shape{3, 256, 1, 1})});
  problem.loss = b.add("ReduceSum", {b.add("Mul", {problem.image, problem.image})}, {{"keepdims", int64_t{0}}});
  problem.graph.outputs = {problem.image, problem.loss};
  FitOptions options;
  options.threads = 2;
  options.input_noise = 0;
  Fit f32(problem, op_table(), options);
  options.precision = Precision::bf16;
  Fit bf16(problem, op_table(), options);
  for (int i = 0; i < 3; ++i) CHECK(bf16.step() == doctest::Approx(f32.step()).epsilon(0.05));
}

TEST_CASE("a timed iteration is the same iteration, and its parts follow one another") {
  const Problem problem = small_problem();
  FitOptions options;
  options.threads = 2;
  Fit plain(problem, op_table(), options), timed(problem, op_table(), options);
  const std::vector<double> losses = losses_of(plain, 4);
  std::vector<TimedPart> parts;
  for (const double loss : losses) CHECK(timed.step_timed(parts) == loss);
  CHECK(timed.average() == plain.average());
  for (const ValueId id : plain.parameters()) CHECK(timed.plan().read(id) == plain.plan().read(id));

  const std::size_t steps = timed.plan().steps().size();
  REQUIRE(parts.size() == steps + 3);
  double last = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    CAPTURE(i);
    CHECK(parts[i].begin >= last - 1e-6);
    CHECK(parts[i].end >= parts[i].begin);
    last = parts[i].end;
  }
  CHECK(parts.front().part == FitPart::noise);
  for (std::size_t i = 0; i < steps; ++i) {
    REQUIRE(parts[1 + i].part == FitPart::plan_step);
    CHECK(parts[1 + i].step == i);
  }
  CHECK(parts[steps + 1].part == FitPart::average);
  CHECK(parts[steps + 2].part == FitPart::adam);
}

TEST_CASE("one thread or two, the loss is the same to rounding") {
  const Problem problem = small_problem();
  FitOptions options;
  options.threads = 1;
  Fit one(problem, op_table(), options);
  options.threads = 2;
  Fit two(problem, op_table(), options);
  const std::vector<double> a = losses_of(one, 5), b = losses_of(two, 5);
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-3));
}

TEST_CASE("the average follows its recurrence and the image is what the average is made of") {
  FitOptions options;
  options.threads = 1;
  options.average_decay = 0.9;
  Fit fit(small_problem(), op_table(), options);
  std::vector<float> expected;
  for (int i = 0; i < 4; ++i) {
    fit.step();
    if (expected.empty()) expected.assign(fit.average().size(), 0.0F);
    const float decay = i == 0 ? 0.0F : 0.9F;
    for (std::size_t k = 0; k < expected.size(); ++k) expected[k] = decay * expected[k] + (1 - decay) * fit.image()[k];
    double worst = 0;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      worst = std::max(worst, static_cast<double>(std::abs(expected[k] - fit.average()[k])));
    }
    CHECK(worst < 1e-6);
  }
}

TEST_CASE("a fit that was saved goes on in another as if nothing had happened, in every layout") {
  for (const LayoutPolicy policy : {LayoutPolicy::any, LayoutPolicy::channels_last}) {
    CAPTURE(static_cast<int>(policy));
    const Problem problem = small_problem();
    FitOptions options;
    options.threads = 2;
    options.policy = policy;
    Fit straight(problem, op_table(), options);
    losses_of(straight, 5);
    const Archive archive = state_of(straight);
    const std::vector<double> expected = losses_of(straight, 5);
    // Another start, which must leave no trace but z.
    Fit resumed(problem, op_table(), options);
    losses_of(resumed, 2);
    resumed.load(archive);
    CHECK(resumed.iteration() == 5);
    CHECK(losses_of(resumed, 5) == expected);
    CHECK(resumed.average() == straight.average());
    for (const ValueId id : straight.parameters()) CHECK(resumed.plan().read(id) == straight.plan().read(id));
  }
}

TEST_CASE("a fit is taken back to a snapshot, with weights of eight bits' precision, and to its beginning exactly") {
  for (const LayoutPolicy policy : {LayoutPolicy::any, LayoutPolicy::channels_last}) {
    CAPTURE(static_cast<int>(policy));
    FitOptions options;
    options.threads = 2;
    options.policy = policy;
    Fit fit(small_problem(), op_table(), options);
    const std::vector<std::vector<float>> start = fit.trained_values();
    const std::vector<double> first = losses_of(fit, 20);
    const FitSnapshot snapshot = fit.snapshot();
    const std::vector<std::vector<float>> then = fit.weights();
    const std::vector<float> average = fit.average();
    const std::vector<double> expected = losses_of(fit, 20);
    fit.restore(snapshot);
    CHECK(fit.iteration() == 20);
    CHECK(fit.average() == average);
    double worst = 0;
    for (std::size_t i = 0; i < then.size(); ++i) {
      const std::vector<float> now = fit.plan().read(fit.parameters()[i]);
      for (std::size_t k = 0; k < now.size(); ++k) {
        worst = std::max(worst, static_cast<double>(std::abs(now[k] - then[i][k]) / std::abs(then[i][k])));
      }
    }
    CHECK(worst > 0);
    CHECK(worst <= 1.0 / 256);
    // Without momentum, so it goes another way, and not a worse one.
    const std::vector<double> again = losses_of(fit, 20);
    CHECK(again[0] == doctest::Approx(expected[0]).epsilon(0.02));
    CHECK(again.back() < expected[0]);
    // What a checkpoint has of it is the same to the bit.
    Archive archive;
    snapshot.save(archive);
    const FitSnapshot loaded = fit.load_snapshot(Archive::decode(archive.encode()));
    CHECK(loaded.weights == snapshot.weights);
    CHECK(loaded.second_moments == snapshot.second_moments);
    CHECK(loaded.average == snapshot.average);

    fit.begin_anew(start);
    CHECK(losses_of(fit, 20) == first);
  }
}

TEST_CASE("a fit refuses the state of another network") {
  FitOptions options;
  options.threads = 1;
  Fit fit(small_problem(), op_table(), options);
  Archive archive;
  fit.save(archive);
  CHECK_THROWS_WITH(fit.load(Archive()), "it has no 'fit/average'");
  archive.put("fit/average", std::vector<float>(3));
  CHECK_THROWS_WITH(fit.load(archive), "its 'fit/average' has 3 values, 4608 belong there");
}

TEST_CASE("a fit learns its target") {
  FitOptions options;
  options.threads = 2;
  Fit fit(small_problem(), op_table(), options);
  const std::vector<double> losses = losses_of(fit, 200);
  CHECK(losses.back() < 0.1 * losses.front());
}

TEST_CASE("an iteration allocates no tensor") {
  FitOptions options;
  options.threads = 2;
  Fit fit(small_problem(), op_table(), options);
  losses_of(fit, 2);
  // oneDNN builds small argument maps at each execution; no tensor of this network is smaller than this.
  constexpr std::size_t kTensorBytes = 2048;
  // The counter works: this one is seen.
  if (kCountsAllocations) CHECK(allocations([&] { const std::vector<char> probe(kTensorBytes); }, kTensorBytes) == 1);
  const auto iterate = [&] {
    for (int i = 0; i < 5; ++i) fit.step();
  };
  CHECK(allocations(iterate, kTensorBytes) == 0);
}

TEST_CASE("a fit keeps to its memory limit or is refused") {
  Problem problem;
  problem.graph = make_skip({.channels = {16, 16}, .skips = {4, 4}, .input_depth = 3}, 128, 160);
  problem.input = problem.graph.inputs[0];
  problem.image = problem.graph.outputs[0];
  GraphBuilder b(problem.graph, op_table());
  problem.loss = b.add("ReduceMean", {b.add("Mul", {problem.image, problem.image})}, {{"keepdims", int64_t{0}}});
  FitOptions options;
  const std::size_t bytes = Fit::planned_bytes(problem, op_table(), options);
  options.memory_limit = bytes;
  Fit fit(problem, op_table(), options);
  CHECK(fit.plan().arena_bytes() + fit.plan().persistent_bytes() < bytes);
  CHECK(fit.plan().arena_bytes() + fit.plan().persistent_bytes() > bytes / 2);
  options.memory_limit = bytes - 1;
  CHECK_THROWS_WITH_AS(Fit::planned_bytes(problem, op_table(), options), doctest::Contains("take a smaller network"),
                       Error);
  CHECK_THROWS_WITH_AS(Fit(problem, op_table(), options), doctest::Contains("the fit needs"), Error);
}

TEST_CASE("a fit does not keep what is cheap to compute again") {
  Problem problem;
  problem.graph = make_skip({.channels = {16, 16}, .skips = {4, 4}, .input_depth = 3}, 512, 640);
  problem.input = problem.graph.inputs[0];
  problem.image = problem.graph.outputs[0];
  GraphBuilder b(problem.graph, op_table());
  problem.loss = b.add("ReduceMean", {b.add("Mul", {problem.image, problem.image})}, {{"keepdims", int64_t{0}}});
  // The forward pass alone makes this many bytes of images.
  Graph forward = problem.graph;
  fuse(forward, op_table());
  std::size_t made = 0;
  for (const Node& node : forward.nodes) {
    made += static_cast<std::size_t>(forward.shape(node.outputs[0]).elements()) * sizeof(float);
  }
  CHECK(Fit::planned_bytes(problem, op_table(), {}) < made * 3 / 4);
}

TEST_CASE("the input can be fitted, with the weights or instead of them, in every layout") {
  const Problem problem = small_problem();
  for (const LayoutPolicy policy : {LayoutPolicy::any, LayoutPolicy::channels_last}) {
    for (const bool network : {false, true}) {
      for (const double noise : {0.0, 0.02}) {
        CAPTURE(static_cast<int>(policy));
        CAPTURE(network);
        CAPTURE(noise);
        FitOptions options;
        options.threads = 2;
        options.policy = policy;
        options.input_noise = noise;
        options.optimize_network = network;
        options.optimize_input = true;
        Fit fit(problem, op_table(), options);
        REQUIRE(fit.trained().size() == (network ? fit.parameters().size() : 0) + 1);
        const auto weights_of = [](const Fit& f) {
          std::vector<std::vector<float>> weights;
          for (const ValueId id : f.parameters()) weights.push_back(f.plan().read(id));
          return weights;
        };
        const auto before = weights_of(fit);
        const std::vector<double> losses = losses_of(fit, 30);
        CHECK(losses.back() < 0.9 * losses.front());
        const bool weights_stay = weights_of(fit) == before;
        CHECK(weights_stay == !network);

        const Archive archive = state_of(fit);
        const std::vector<double> expected = losses_of(fit, 5);
        Fit resumed(problem, op_table(), options);
        resumed.load(archive);
        CHECK(losses_of(resumed, 5) == expected);
      }
    }
  }
  FitOptions neither;
  neither.optimize_network = false;
  CHECK_THROWS_WITH_AS(Fit(problem, op_table(), neither), doctest::Contains("nothing could be fitted"), Error);
}

TEST_CASE("Adam's first step on the input goes against its gradient") {
  const Problem problem = small_problem();
  FitOptions options;
  options.threads = 1;
  options.input_noise = 0;
  options.optimize_network = false;
  options.optimize_input = true;
  Fit fit(problem, op_table(), options);
  const std::vector<float> before = fit.plan().read(problem.input);
  fit.step();
  // m / sqrt(v) is the gradient's sign in the first step. Read after the next one, which brings z into the plan.
  const std::vector<float> gradient = fit.plan().read_like(problem.input, fit.plan().output(fit.gradients().back()));
  fit.set_learning_rate(0);
  fit.step();
  const std::vector<float> after = fit.plan().read(problem.input);
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (std::abs(gradient[i]) < 1e-6) continue;  // Adam's epsilon counts
    CHECK(after[i] - before[i] == doctest::Approx(gradient[i] > 0 ? -0.01 : 0.01).epsilon(0.02));
  }
}

TEST_CASE("z is uniform, normal or each pixel's place") {
  Problem problem;
  problem.graph = make_skip({.channels = {4}, .skips = {0}, .input_depth = 2}, 64, 32);
  problem.input = problem.graph.inputs[0];
  problem.image = problem.graph.outputs[0];
  GraphBuilder b(problem.graph, op_table());
  problem.loss = b.add("ReduceMean", {problem.image}, {{"keepdims", int64_t{0}}});
  const auto z = [&](InputKind kind) {
    FitOptions options;
    options.input = kind;
    return Fit(problem, op_table(), options).plan().read(problem.input);
  };
  double squares = 0, least = 1, most = -1;
  for (const float value : z(InputKind::normal)) {
    squares += value * value;
    least = std::min<double>(least, value);
    most = std::max<double>(most, value);
  }
  CHECK(std::sqrt(squares / 4096) == doctest::Approx(0.1).epsilon(0.05));
  CHECK(least < -0.2);
  CHECK(most > 0.2);
  for (const float value : z(InputKind::uniform)) CHECK((value >= 0 && value < 0.1F));
  const std::vector<float> mesh = z(InputKind::meshgrid);
  for (std::size_t y = 0; y < 64; ++y) {
    for (std::size_t x = 0; x < 32; ++x) {
      CHECK(mesh[y * 32 + x] == doctest::Approx(static_cast<double>(x) / 31));
      CHECK(mesh[2048 + y * 32 + x] == doctest::Approx(static_cast<double>(y) / 63));
    }
  }
  const Problem deep = small_problem();
  FitOptions options;
  options.input = InputKind::meshgrid;
  CHECK_THROWS_WITH_AS(Fit(deep, op_table(), options), doctest::Contains("3 channel(s)"), Error);
}

}  // namespace hourglass::test
