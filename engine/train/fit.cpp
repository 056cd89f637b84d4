#include "engine/train/fit.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <limits>
#include <set>
#include <span>

#include "engine/runtime/team.h"
#include "engine/train/random.h"
#include "graph/error.h"
#include "graph/text.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"

namespace hourglass {
namespace {

HG_CLONES void blend(float* average, const float* image, int64_t count, float decay) {
  for (int64_t i = 0; i < count; ++i) average[i] = decay * average[i] + (1 - decay) * image[i];
}

std::vector<float> meshgrid(const Shape& shape) {
  if (shape[1] != 2) {
    fail("the network's input has {} channel(s), a meshgrid has two, x and y: use a network of depth 2", shape[1]);
  }
  const int64_t height = shape[2], width = shape[3];
  std::vector<float> values(static_cast<std::size_t>(2 * height * width));
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const auto at = static_cast<std::size_t>(y * width + x);
      values[at] = static_cast<float>(x) / static_cast<float>(std::max<int64_t>(width - 1, 1));
      values[at + values.size() / 2] = static_cast<float>(y) / static_cast<float>(std::max<int64_t>(height - 1, 1));
    }
  }
  return values;
}

constexpr int kMantissaBits = 23;

uint8_t exponent_of(float value) { return static_cast<uint8_t>(std::bit_cast<uint32_t>(value) >> kMantissaBits); }

// The middle of what has the exponent.
float with_exponent(uint8_t exponent) {
  constexpr uint32_t kRootOfTwo = 0x3504F3;
  if (exponent == 0) return 0;
  if (exponent == std::numeric_limits<uint8_t>::max()) return std::numeric_limits<float>::infinity();
  return std::bit_cast<float>(static_cast<uint32_t>(exponent) << kMantissaBits | kRootOfTwo);
}

std::vector<uint16_t> narrowed(std::span<const float> values) {
  std::vector<uint16_t> words(values.size());
  kernels::narrow(values.data(), static_cast<int64_t>(values.size()),
                  reinterpret_cast<kernels::BFloat16*>(words.data()));
  return words;
}

void widen(const std::vector<uint16_t>& words, float* values) {
  kernels::widen(reinterpret_cast<const kernels::BFloat16*>(words.data()), static_cast<int64_t>(words.size()), values);
}

constexpr int64_t kMostIterations = int64_t{1} << 40;

}  // namespace

std::size_t given_bytes(const Graph& graph, bool parameters) {
  std::set<const HostTensor*> seen;
  std::size_t bytes = 0;
  for (const Value& value : graph.values) {
    if (!value.data || (value.kind == ValueKind::parameter && !parameters)) continue;
    if (seen.insert(value.data.get()).second) bytes += value.data->values.size() * sizeof(double);
  }
  return bytes;
}

CompiledTraining Fit::compile(const Problem& problem, const OpTable& table, const FitOptions& options, bool allocate) {
  if (options.pairs && !problem.target.valid()) fail("pairs were given for a problem whose loss reads no target");
  if (allocate && !options.pairs && problem.target.valid()) {
    fail("the loss reads a target, and there are no pairs that say it");
  }
  if (options.pairs && options.optimize_input) fail("the input comes from pairs: it can't be optimized too");
  return compile_training(
      {.graph = problem.graph, .input = problem.input, .image = problem.image, .loss = problem.loss}, table,
      {.train_parameters = options.optimize_network,
       .train_input = options.optimize_input,
       .precision = options.precision,
       .threads = options.threads,
       .places = options.places,
       .policy = options.policy,
       .allocate = allocate});
}

Fit::Fit(Problem problem, const OpTable& table, const FitOptions& options)
    : Fit(std::move(problem), compile_within_limit(problem, table, options), options) {}

Fit::~Fit() = default;

Fit::Fit(Problem&& problem, CompiledTraining compiled, const FitOptions& options)
    : options_(options),
      input_(problem.input),
      loss_(problem.loss),
      target_(problem.target),
      parameters_(std::move(compiled.parameters)),
      trained_(std::move(compiled.trained)),
      gradients_(std::move(compiled.gradients)),
      plan_(std::move(compiled.plan)),
      adam_(options.adam),
      image_shape_(problem.graph.shape(problem.image)) {
  draw_parameters(problem.graph);
  problem.graph = Graph();
  copy_parameters();
  if (options_.pairs) {
    pairs_ = std::make_unique<PairReader>(options_.pairs, plan_.graph().shape(input_).elements(),
                                          plan_.graph().shape(target_).elements());
  } else {
    plan_.write(input_, draw_input());
    // In the plan's order, so that each iteration's noise is added in one run over memory.
    const DType type = plan_.graph().type(input_).dtype;
    const auto* drawn = reinterpret_cast<const std::byte*>(plan_.data(input_));
    base_input_.assign(drawn, drawn + static_cast<std::size_t>(plan_.padded_elements(input_)) * size_of(type));
  }
  int64_t count = 0;
  for (const ValueId id : trained_) count += plan_.padded_elements(id);
  adam_.reserve(count);
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    const ValueId id = trained_[i];
    auto* copies = id == input_ ? nullptr : static_cast<kernels::BFloat16*>(plan_.bf16_copy(id));
    adam_.add(memory_of(id), plan_.output(gradients_[i]), plan_.padded_elements(id), copies);
  }
  image_ = plan_.output(compiled.image);
  if (!pairs_) average_.assign(static_cast<std::size_t>(image_shape_.elements()), 0.0F);
  if (options_.weights_decay > 0) {
    for (const ValueId id : parameters_) {
      averaged_weights_.emplace_back(plan_.data(id), plan_.data(id) + plan_.padded_elements(id));
    }
  }
}

CompiledTraining Fit::compile_within_limit(const Problem& problem, const OpTable& table, const FitOptions& options) {
  if (options.memory_limit > 0) planned_bytes(problem, table, options);
  return compile(problem, table, options, /*allocate=*/true);
}

std::size_t Fit::bytes_of(const Problem& problem, const CompiledTraining& compiled, const FitOptions& options) {
  const std::size_t input = static_cast<std::size_t>(compiled.plan.padded_elements(problem.input)) *
                            size_of(compiled.plan.graph().type(problem.input).dtype);
  int64_t floats = problem.graph.shape(problem.image).elements();
  int64_t largest_copy = 0;  // of what lies otherwise, while it is saved
  for (const ValueId id : compiled.trained) {
    floats += 2 * compiled.plan.padded_elements(id);
    if (!compiled.plan.is_row_major(id)) {
      largest_copy = std::max(largest_copy, problem.graph.shape(id).elements());
    }
  }
  floats += largest_copy;
  if (options.weights_decay > 0) {
    for (const ValueId id : compiled.parameters) floats += compiled.plan.padded_elements(id);
  }
  // Two pairs are in hand: the one that is learned from and the next.
  if (problem.target.valid()) {
    floats += 2 * (problem.graph.shape(problem.input).elements() + problem.graph.shape(problem.target).elements());
  }
  return compiled.plan.arena_bytes() + compiled.plan.persistent_bytes() + input + given_bytes(problem.graph, false) +
         static_cast<std::size_t>(floats) * sizeof(float);
}

std::size_t Fit::planned_bytes(const Problem& problem, const OpTable& table, const FitOptions& options) {
  const std::size_t bytes = bytes_of(problem, compile(problem, table, options, /*allocate=*/false), options);
  const std::size_t needed = bytes + options.memory_besides;
  if (options.memory_limit > 0 && needed > options.memory_limit) {
    fail("the fit needs {}{}, the limit is {}: take a smaller network, bf16 where the CPU has it, or a smaller image",
         size_text(needed),
         options.memory_besides > 0 ? fmt::format(" with the program's own {}", size_text(options.memory_besides)) : "",
         size_text(options.memory_limit));
  }
  return bytes;
}

std::vector<StepInfo> Fit::planned_steps(const Problem& problem, const OpTable& table, const FitOptions& options) {
  return compile(problem, table, options, /*allocate=*/false).plan.steps();
}

void Fit::draw_parameters(const Graph& graph) {
  uint32_t index = 0;
  for (const ValueId id : parameters_) {
    const Value& value = graph.value(id);
    const int64_t count = value.type.shape.elements();
    const Init& init = value.init;
    switch (init.kind) {
      case Init::Kind::values: plan_.write(id, {value.data->values.begin(), value.data->values.end()}); break;
      case Init::Kind::uniform:
        plan_.write(id, draw_uniform(options_.seed, Stream::weights, index, count, static_cast<float>(init.low),
                                     static_cast<float>(init.high)));
        break;
      case Init::Kind::normal:
        plan_.write(id, draw_normal(options_.seed, Stream::weights, index, count, static_cast<float>(init.mean),
                                    static_cast<float>(init.stddev)));
        break;
    }
    ++index;
  }
}

void Fit::copy_parameters() {
  for (const ValueId id : parameters_) {
    auto* copies = static_cast<kernels::BFloat16*>(plan_.bf16_copy(id));
    if (copies != nullptr) kernels::narrow(plan_.data(id), plan_.padded_elements(id), copies);
  }
}

std::vector<float> Fit::input() const {
  if (!options_.optimize_input) return draw_input();
  return plan_.read_like(input_, reinterpret_cast<const float*>(base_input_.data()));
}

std::vector<float> Fit::draw_input() const {
  const Value& input = plan_.graph().value(input_);
  if (input.data) return {input.data->values.begin(), input.data->values.end()};
  const Shape& shape = input.type.shape;
  const auto scale = static_cast<float>(options_.input_scale);
  switch (options_.input) {
    case InputKind::uniform: return draw_uniform(options_.seed, Stream::input, 0, shape.elements(), 0.0F, scale);
    case InputKind::normal: return draw_normal(options_.seed, Stream::input, 0, shape.elements(), 0.0F, scale);
    case InputKind::meshgrid: return meshgrid(shape);
  }
  return {};
}

float* Fit::memory_of(ValueId trained) {
  return trained == input_ ? reinterpret_cast<float*>(base_input_.data()) : plan_.data(trained);
}

void Fit::draw_input_and_target() noexcept {
  if (!pairs_) {
    draw_noise();
    return;
  }
  const Pair& pair = pairs_->read(iteration_);
  plan_.write(input_, pair.input);
  plan_.write(target_, pair.target);
}

void Fit::draw_noise() noexcept {
  if (options_.input_noise > 0) {
    const bool is_bf16 = plan_.graph().type(input_).dtype == DType::bf16;
    kernels::with_element(is_bf16, [&](auto* element) {
      using T = std::remove_pointer_t<decltype(element)>;
      add_normal_noise(plan_.view(input_), reinterpret_cast<const T*>(base_input_.data()),
                       reinterpret_cast<T*>(plan_.data(input_)), static_cast<float>(options_.input_noise),
                       options_.seed, static_cast<uint32_t>(iteration_));
    });
  } else if (options_.optimize_input) {
    std::copy(base_input_.begin(), base_input_.end(), reinterpret_cast<std::byte*>(plan_.data(input_)));
  }
}

void Fit::begin_average_anew() { std::copy_n(image_, average_.size(), average_.begin()); }

void Fit::blend_average() noexcept {
  const float decay = iteration_ == 1 ? 0.0F : static_cast<float>(options_.average_decay);
  kernels::parallel_ranges(static_cast<int64_t>(average_.size()), 1024, [&](int64_t begin, int64_t end) {
    blend(average_.data() + begin, image_ + begin, end - begin, decay);
  });
}

void Fit::update_weights() noexcept {
  const Team team(plan_.threads(), options_.places);
  adam_.step();
  average_weights();
}

void Fit::average_weights() noexcept {
  const auto n = static_cast<double>(iteration_);
  const auto decay = static_cast<float>(std::min(options_.weights_decay, (n - 1) / (n + 8)));
  for (std::size_t i = 0; i < averaged_weights_.size(); ++i) {
    std::vector<float>& average = averaged_weights_[i];
    const float* weights = plan_.data(parameters_[i]);
    kernels::parallel_ranges(static_cast<int64_t>(average.size()), 1024, [&](int64_t begin, int64_t end) {
      blend(average.data() + begin, weights + begin, end - begin, decay);
    });
  }
}

std::vector<std::vector<float>> Fit::weights() const {
  std::vector<std::vector<float>> values;
  for (const ValueId id : parameters_) values.push_back(plan_.read(id));
  return values;
}

std::vector<std::vector<float>> Fit::averaged_weights() const {
  if (averaged_weights_.empty()) return weights();
  std::vector<std::vector<float>> values;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    values.push_back(plan_.read_like(parameters_[i], averaged_weights_[i].data()));
  }
  return values;
}

std::string_view name_of(FitPart part) {
  switch (part) {
    case FitPart::noise: return "Noise";
    case FitPart::average: return "Average";
    case FitPart::adam: return "Adam";
    case FitPart::plan_step: break;
  }
  return "plan step";
}

double Fit::step() noexcept {
  ++iteration_;
  draw_input_and_target();
  plan_.run();
  blend_average();
  update_weights();
  return plan_.output(loss_)[0];
}

double Fit::step_timed(std::vector<TimedPart>& parts, const std::function<void()>& after_part) {
  using Clock = std::chrono::steady_clock;
  constexpr std::size_t kAroundThePlan = 3;
  parts.clear();
  parts.reserve(plan_.steps().size() + kAroundThePlan);
  const auto start = Clock::now();
  const auto now = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  const auto timed = [&](FitPart part, const auto& work) {
    const double begin = now();
    work();
    parts.push_back({.part = part, .begin = begin, .end = now()});
    after_part();
  };
  ++iteration_;
  timed(FitPart::noise, [&] { draw_input_and_target(); });
  plan_.run_profiled([&](std::size_t step, double seconds) {
    const double end = now();
    parts.push_back({.part = FitPart::plan_step, .step = step, .begin = end - seconds, .end = end});
    after_part();
  });
  timed(FitPart::average, [&] { blend_average(); });
  timed(FitPart::adam, [&] { update_weights(); });
  return plan_.output(loss_)[0];
}

void Fit::save(Archive& archive) {
  archive.put("fit/iteration", iteration_);
  archive.put("fit/adam_steps", adam_.steps());
  if (options_.adam.norm_limit > 0) archive.put("fit/usual_norm", adam_.usual_norm());
  archive.put("fit/average", average_);
  const auto put = [&](const char* name, std::size_t i, ValueId id, const float* memory) {
    const auto count = static_cast<std::size_t>(plan_.graph().shape(id).elements());
    Deferred<float> values{.count = count, .make = [this, id, memory] { return plan_.read_like(id, memory); }};
    if (plan_.is_row_major(id)) values.there = memory;
    archive.put(fmt::format("fit/{}/{}", name, i), std::move(values));
  };
  std::size_t offset = 0;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    const ValueId id = trained_[i];
    put("weights", i, id, memory_of(id));
    put("first_moments", i, id, adam_.first_moments().data() + offset);
    put("second_moments", i, id, adam_.second_moments().data() + offset);
    offset += static_cast<std::size_t>(plan_.padded_elements(id));
  }
  for (std::size_t i = 0; i < averaged_weights_.size(); ++i) {
    put("averaged_weights", i, parameters_[i], averaged_weights_[i].data());
  }
}

void Fit::load(const Archive& archive) {
  average_ = archive.floats("fit/average", average_.size());
  std::size_t offset = 0;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    const ValueId id = trained_[i];
    plan_.write_like(id, archive.floats(fmt::format("fit/weights/{}", i)), memory_of(id));
    plan_.write_like(id, archive.floats(fmt::format("fit/first_moments/{}", i)), adam_.first_moments().data() + offset);
    plan_.write_like(id, archive.floats(fmt::format("fit/second_moments/{}", i)),
                     adam_.second_moments().data() + offset);
    offset += static_cast<std::size_t>(plan_.padded_elements(id));
  }
  for (std::size_t i = 0; i < averaged_weights_.size(); ++i) {
    plan_.write_like(parameters_[i], archive.floats(fmt::format("fit/averaged_weights/{}", i)),
                     averaged_weights_[i].data());
  }
  copy_parameters();
  iteration_ = archive.integer("fit/iteration", 0, kMostIterations);
  adam_.set_steps(archive.integer("fit/adam_steps", 0, kMostIterations));
  if (options_.adam.norm_limit > 0) adam_.set_usual_norm(archive.number("fit/usual_norm"));
}

template <typename Visit>
void Fit::with_row_major(ValueId id, const float* memory, const Visit& visit) const {
  if (plan_.is_row_major(id)) return visit(std::span(memory, static_cast<std::size_t>(plan_.padded_elements(id))));
  const std::vector<float> values = plan_.read_like(id, memory);
  visit(std::span<const float>(values));
}

template <typename Fill>
void Fit::set_row_major(ValueId id, float* memory, const Fill& fill) const {
  if (plan_.is_row_major(id)) return fill(memory);
  std::vector<float> values(static_cast<std::size_t>(plan_.graph().shape(id).elements()));
  fill(values.data());
  plan_.write_like(id, values, memory);
}

FitSnapshot Fit::snapshot() {
  FitSnapshot snapshot{.iteration = iteration_,
                       .adam_steps = adam_.steps(),
                       .usual_norm = adam_.usual_norm(),
                       .average = average_,
                       .weights = {},
                       .second_moments = {}};
  std::size_t offset = 0;
  for (const ValueId id : trained_) {
    with_row_major(id, memory_of(id), [&](auto values) { snapshot.weights.push_back(narrowed(values)); });
    with_row_major(id, adam_.second_moments().data() + offset, [&](auto moments) {
      std::vector<uint8_t>& exponents = snapshot.second_moments.emplace_back(moments.size());
      std::transform(moments.begin(), moments.end(), exponents.begin(), exponent_of);
    });
    offset += static_cast<std::size_t>(plan_.padded_elements(id));
  }
  return snapshot;
}

void Fit::restore(const FitSnapshot& snapshot) {
  std::size_t offset = 0;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    const ValueId id = trained_[i];
    set_row_major(id, memory_of(id), [&](float* values) { widen(snapshot.weights[i], values); });
    const std::vector<uint8_t>& exponents = snapshot.second_moments[i];
    set_row_major(id, adam_.second_moments().data() + offset,
                  [&](float* moments) { std::transform(exponents.begin(), exponents.end(), moments, with_exponent); });
    offset += static_cast<std::size_t>(plan_.padded_elements(id));
  }
  std::fill(adam_.first_moments().begin(), adam_.first_moments().end(), 0.0F);
  copy_parameters();
  average_ = snapshot.average;
  iteration_ = snapshot.iteration;
  adam_.set_steps(snapshot.adam_steps);
  adam_.set_usual_norm(snapshot.usual_norm);
}

void FitSnapshot::save(Archive& archive) const {
  archive.put("iteration", iteration);
  archive.put("adam_steps", adam_steps);
  archive.put("usual_norm", usual_norm);
  archive.put("average", average);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    archive.put(fmt::format("weights/{}", i),
                Deferred<uint16_t>{.count = weights[i].size(), .there = weights[i].data()});
    archive.put(fmt::format("second_moments/{}", i),
                Deferred<uint8_t>{.count = second_moments[i].size(), .there = second_moments[i].data()});
  }
}

FitSnapshot Fit::load_snapshot(const Archive& archive) const {
  FitSnapshot snapshot{.iteration = archive.integer("iteration", 0, kMostIterations),
                       .adam_steps = archive.integer("adam_steps", 0, kMostIterations),
                       .usual_norm = archive.number("usual_norm"),
                       .average = archive.floats("average", average_.size()),
                       .weights = {},
                       .second_moments = {}};
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    const auto count = static_cast<std::size_t>(plan_.graph().shape(trained_[i]).elements());
    snapshot.weights.push_back(archive.words(fmt::format("weights/{}", i), count));
    snapshot.second_moments.push_back(archive.bytes(fmt::format("second_moments/{}", i), count));
  }
  return snapshot;
}

std::vector<std::vector<float>> Fit::trained_values() {
  std::vector<std::vector<float>> values;
  for (const ValueId id : trained_) values.push_back(plan_.read_like(id, memory_of(id)));
  return values;
}

void Fit::begin_anew(const std::vector<std::vector<float>>& trained_values) {
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    plan_.write_like(trained_[i], trained_values[i], memory_of(trained_[i]));
  }
  copy_parameters();
  std::fill(adam_.first_moments().begin(), adam_.first_moments().end(), 0.0F);
  std::fill(adam_.second_moments().begin(), adam_.second_moments().end(), 0.0F);
  std::fill(average_.begin(), average_.end(), 0.0F);
  iteration_ = 0;
  adam_.set_steps(0);
  adam_.set_usual_norm(0);
}

}  // namespace hourglass
