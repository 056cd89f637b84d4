// Fits a network to its energy: the Deep Image Prior's loop, one iteration at a time.
//
// A Problem is a graph whose `loss` depends on its parameters and on one input z; `image` is what the network makes of
// z. Fit differentiates it, plans it, draws z and the weights from the seed, and then each step()
//   1. draws z + input_noise * N(0, 1),  2. runs forward and backward,  3. updates the exponential average of the
//   image,  4. lets Adam update the weights.
//
// Where the loss depends on a `target` too, the network learns from pairs (pairs.h): step 1 takes the next pair, and
// step 3 is left out, since every iteration's image is another one. What is averaged then are the weights.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/runtime/compile.h"
#include "engine/runtime/plan.h"
#include "engine/runtime/precision.h"
#include "engine/train/adam.h"
#include "engine/train/archive.h"
#include "engine/train/pairs.h"
#include "graph/graph.h"

namespace hourglass {

struct Problem {
  Graph graph;
  ValueId input;  // z, [1, depth, H, W] f32
  ValueId image;  // [1, C, h, w] f32
  ValueId loss;   // one f32 element
  // [1, C, h, w] f32, another graph input that the loss compares the image with: FitOptions::pairs says its values.
  ValueId target = kNoValue;
};

// What z holds: numbers drawn once, or, for networks whose input has two channels, each pixel's place: x and y from 0
// at the first column and row to 1 at the last.
enum class InputKind : uint8_t { uniform, normal, meshgrid };

struct FitOptions {
  uint64_t seed = 0;
  AdamOptions adam;
  bool optimize_network = true;  // Adam changes the weights
  bool optimize_input = false;   // Adam changes z
  InputKind input = InputKind::uniform;
  double input_scale = 0.1;         // z is uniform in [0, input_scale), or normal with this standard deviation
  double input_noise = 1.0 / 30.0;  // standard deviation of each iteration's noise on z
  double average_decay = 0.99;      // the image's exponential average: a = decay * a + (1 - decay) * image
  // Where z and the target come from in each iteration, in place of what the four options above say. Needed by a
  // problem with a target, and by no other.
  std::shared_ptr<const Pairs> pairs = nullptr;
  // The weights' exponential average, 0 for none: w = d * w + (1 - d) * weights, d = min(decay, (n - 1) / (n + 8)) in
  // iteration n, so that the start is soon forgotten (Polyak, Juditsky, SIAM J. Control Optim. 30, 1992).
  double weights_decay = 0;
  int threads = 0;                  // 0: all that are available
  std::vector<CpuSet> places = {};  // CPUs that each thread is kept to (engine/runtime/placement.h); none: to none
  LayoutPolicy policy = LayoutPolicy::channels_last;
  // bf16: the network's activations (graph/precision.h); where the CPU only emulates it, Fit throws.
  Precision precision = Precision::f32;
  // Bytes that the fit may hold, as planned_bytes() counts them, together with what is held besides it; where it needs
  // more, Fit throws. 0: no limit.
  std::size_t memory_limit = 0;
  std::size_t memory_besides = 0;
};

// An iteration's parts: what surrounds the plan, and each step of the plan.
enum class FitPart : uint8_t { noise, plan_step, average, adam };
std::string_view name_of(FitPart part);

// When a part ran, in seconds since the iteration began.
struct TimedPart {
  FitPart part = FitPart::noise;
  std::size_t step = 0;  // of a plan_step: index into plan().steps()
  double begin = 0, end = 0;
};

// What a fit can be taken back to, in 3 bytes a weight: its weights rounded to bf16, and Adam's second moments to
// powers of two, which changes a step by a fifth at most. First moments are not kept.
struct FitSnapshot {
  int64_t iteration = 0, adam_steps = 0;
  double usual_norm = 0;
  std::vector<float> average;
  std::vector<std::vector<uint16_t>> weights;        // of each trained value, row-major, as are these
  std::vector<std::vector<uint8_t>> second_moments;  // the exponents of f32

  // Refers to the snapshot until the archive is written.
  void save(Archive& archive) const;
};

// Bytes of the values that a graph brings, as doubles: constants, z where the network's file says it, and parameters'
// initial values if these count.
std::size_t given_bytes(const Graph& graph, bool parameters);

class Fit {
 public:
  // The initial values that the problem's parameters bring are let go as soon as the plan has them: whoever keeps a
  // copy of the problem keeps them too. Throws Error when the graph can't be differentiated or planned.
  Fit(Problem problem, const OpTable& table, const FitOptions& options);
  ~Fit();

  // What a Fit of this holds: the plan's memory, Adam's moments, z, the average, values that the graph brings,
  // parameters' excepted, and what is copied as it is saved. Plans, but allocates none of it; of pairs nothing need be
  // given. Throws Error where that is more than options.memory_limit leaves it.
  static std::size_t planned_bytes(const Problem& problem, const OpTable& table, const FitOptions& options);

  // The kernels that a Fit of this would run, in order. Plans, but allocates no memory.
  static std::vector<StepInfo> planned_steps(const Problem& problem, const OpTable& table, const FitOptions& options);

  // One iteration; allocates nothing, unless it takes a pair. Returns the loss before the update.
  double step() noexcept;
  // The same iteration, to the same bytes; `parts` becomes what it consisted of, in order.
  // after_part() is called after each of them.
  double step_timed(
      std::vector<TimedPart>& parts, const std::function<void()>& after_part = [] {});

  [[nodiscard]] int64_t iteration() const { return iteration_; }
  // Row-major [C, h, w], as of the last step(), and its exponential average (the first image starts it; empty where the
  // network learns from pairs).
  [[nodiscard]] const float* image() const { return image_; }
  [[nodiscard]] const std::vector<float>& average() const { return average_; }
  // The average is then the image as of the last step().
  void begin_average_anew();
  [[nodiscard]] const Shape& image_shape() const { return image_shape_; }
  // z without noise, row-major. Not where the network learns from pairs.
  [[nodiscard]] std::vector<float> input() const;
  // Of each of parameters(), row-major; the second are the weights themselves where there is no average of them.
  [[nodiscard]] std::vector<std::vector<float>> weights() const;
  [[nodiscard]] std::vector<std::vector<float>> averaged_weights() const;

  // Everything that a Fit of the same problem and options needs to go on as if nothing had happened: weights, moments,
  // counters and the average, weights and moments row-major, under names that begin with "fit/". Weights and moments
  // are deferred: the archive must be written before the next step().
  void save(Archive& archive);
  // Throws Error when the archive's values don't fit this network.
  void load(const Archive& archive);
  // Takes the fit back. Adam forgets where it was heading, so that it does not run into the same wall again.
  [[nodiscard]] FitSnapshot snapshot();
  void restore(const FitSnapshot& snapshot);
  // Throws Error when the archive's snapshot doesn't fit this network.
  [[nodiscard]] FitSnapshot load_snapshot(const Archive& archive) const;
  // The trained values as they are, row-major; and a fit that begins with these as if it had just been made.
  [[nodiscard]] std::vector<std::vector<float>> trained_values();
  void begin_anew(const std::vector<std::vector<float>>& trained_values);

  void set_learning_rate(double rate) { adam_.set_learning_rate(rate); }
  [[nodiscard]] Plan& plan() { return plan_; }
  [[nodiscard]] const Plan& plan() const { return plan_; }
  // The network's weights, trained or not.
  [[nodiscard]] const std::vector<ValueId>& parameters() const { return parameters_; }
  // What Adam changes, the weights and z or one of them, and the loss' gradients by these, as graph values.
  [[nodiscard]] const std::vector<ValueId>& trained() const { return trained_; }
  [[nodiscard]] const std::vector<ValueId>& gradients() const { return gradients_; }

 private:
  Fit(Problem&& problem, CompiledTraining compiled, const FitOptions& options);
  static CompiledTraining compile(const Problem& problem, const OpTable& table, const FitOptions& options,
                                  bool allocate);
  static CompiledTraining compile_within_limit(const Problem& problem, const OpTable& table, const FitOptions& options);
  static std::size_t bytes_of(const Problem& problem, const CompiledTraining& compiled, const FitOptions& options);
  // As the problem's graph says.
  void draw_parameters(const Graph& graph);
  // To their copies in bf16, which Adam keeps up to date from then on.
  void copy_parameters();
  [[nodiscard]] std::vector<float> draw_input() const;
  void draw_input_and_target() noexcept;
  void draw_noise() noexcept;
  void blend_average() noexcept;
  void update_weights() noexcept;
  void average_weights() noexcept;
  // visit(the row-major values, as a span) of memory that lies as the value does: where they are, or copied.
  template <typename Visit>
  void with_row_major(ValueId id, const float* memory, const Visit& visit) const;
  // Sets such memory; fill(a pointer) writes the row-major values there.
  template <typename Fill>
  void set_row_major(ValueId id, float* memory, const Fill& fill) const;
  // Where a trained value lies, in the plan's layout: z without noise lies outside the plan.
  [[nodiscard]] float* memory_of(ValueId trained);

  FitOptions options_;
  ValueId input_, loss_, target_;
  std::vector<ValueId> parameters_, trained_, gradients_;
  Plan plan_;
  Adam adam_;
  Shape image_shape_;
  std::vector<std::byte> base_input_;  // z without noise, as the plan's input lies in memory, of its type
  const float* image_ = nullptr;
  std::vector<float> average_;
  std::vector<std::vector<float>> averaged_weights_;  // of parameters_, in the plan's layout; empty where not wanted
  std::unique_ptr<PairReader> pairs_;
  int64_t iteration_ = 0;
};

}  // namespace hourglass
