#include "engine/train/stopping.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/error.h"

namespace hourglass {
namespace {

// The elements of an image that the variance is taken of: all of a small one, evenly spread ones of a large one. Single
// elements, not means of neighbours, which would hide the noise that is looked for.
class Sample {
 public:
  const std::vector<float>& of(std::span<const float> image) {
    constexpr std::size_t kMost = 8192;
    // Odd, so that it does not fall into step with rows whose length is a power of two.
    const std::size_t stride = (image.size() + kMost - 1) / kMost | 1;
    values_.clear();
    for (std::size_t i = stride / 2; i < image.size(); i += stride) values_.push_back(image[i]);
    return values_;
  }

 private:
  std::vector<float> values_;
};

class Unlimited final : public StoppingRule {
 public:
  StoppingVerdict observe(const Observation&) override { return {.is_best = true, .stop = false}; }
  [[nodiscard]] std::string text() const override { return {}; }
  void save(Archive&) const override {}
  void load(const Archive&) override {}
};

class WindowedMinimum final : public StoppingRule {
 public:
  explicit WindowedMinimum(const StoppingOptions& options)
      : variance_(options.window), minimum_(options.start, options.patience) {}

  StoppingVerdict observe(const Observation& now) override {
    iteration_ = now.iteration;
    StoppingVerdict verdict;
    if (const auto variance = variance_.add(sample_.of(now.iterate))) {
      verdict.is_best = minimum_.update(now.iteration, *variance);
    }
    verdict.stop = minimum_.exhausted(now.iteration);
    return verdict;
  }
  [[nodiscard]] std::string text() const override { return minimum_.text("variance", iteration_); }
  void save(Archive& archive) const override {
    archive.put("stopping/iteration", iteration_);
    variance_.save(archive);
    minimum_.save(archive);
  }
  void load(const Archive& archive) override {
    iteration_ = archive.integer("stopping/iteration");
    variance_.load(archive);
    minimum_.load(archive);
  }

 private:
  Sample sample_;
  WindowedVariance variance_;
  Minimum minimum_;
  int64_t iteration_ = 0;
};

// With weight w:  d = x - m,  m <- m + w d,  v <- (1 - w)(v + w |d|^2): algorithm 2 of the paper.
class ExponentialMinimum final : public StoppingRule {
 public:
  explicit ExponentialMinimum(const StoppingOptions& options)
      : weight_(options.emv_weight), minimum_(options.start, options.patience) {}

  StoppingVerdict observe(const Observation& now) override {
    iteration_ = now.iteration;
    const std::vector<float>& values = sample_.of(now.iterate);
    if (mean_.empty()) mean_.assign(values.begin(), values.end());
    if (mean_.size() != values.size()) fail("the rule's mean has {} values, the image {}", mean_.size(), values.size());
    double squares = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double difference = static_cast<double>(values[i]) - mean_[i];
      squares += difference * difference;
      mean_[i] += weight_ * difference;
    }
    variance_ = (1 - weight_) * (variance_ + weight_ * squares / static_cast<double>(values.size()));
    const bool is_best = minimum_.update(now.iteration, variance_);
    return {.is_best = is_best, .stop = minimum_.exhausted(now.iteration)};
  }
  [[nodiscard]] std::string text() const override { return minimum_.text("variance", iteration_); }
  void save(Archive& archive) const override {
    archive.put("stopping/iteration", iteration_);
    archive.put("stopping/mean", mean_);
    archive.put("stopping/variance", variance_);
    minimum_.save(archive);
  }
  void load(const Archive& archive) override {
    iteration_ = archive.integer("stopping/iteration");
    mean_ = archive.numbers("stopping/mean");
    variance_ = archive.number("stopping/variance");
    minimum_.load(archive);
  }

 private:
  double weight_;
  Sample sample_;
  std::vector<double> mean_;
  double variance_ = 0;
  Minimum minimum_;
  int64_t iteration_ = 0;
};

class DiscrepancyTarget final : public StoppingRule {
 public:
  explicit DiscrepancyTarget(Discrepancy discrepancy) : discrepancy_(std::move(discrepancy)) {
    if (!discrepancy_) fail("the discrepancy rule needs an input whose error is known, as a JPEG's is");
  }
  StoppingVerdict observe(const Observation& now) override {
    // The average moves by a hundredth in each iteration: every fifth is often enough.
    constexpr int64_t kEvery = 5;
    if (now.iteration % kEvery == 0) latest_ = discrepancy_(now.average);
    return {.is_best = true, .stop = latest_ <= 1};
  }
  [[nodiscard]] std::string text() const override {
    return std::isfinite(latest_) ? fmt::format("{:.2f} times as far from it as the original", latest_) : std::string();
  }
  void save(Archive& archive) const override { archive.put("stopping/discrepancy", latest_); }
  void load(const Archive& archive) override { latest_ = archive.number("stopping/discrepancy"); }

 private:
  Discrepancy discrepancy_;
  double latest_ = std::numeric_limits<double>::infinity();
};

class FixedIteration final : public StoppingRule {
 public:
  explicit FixedIteration(int64_t last) : last_(last) {
    if (last < 1) fail("a fixed stop needs an iteration of at least 1, got {}", last);
  }
  StoppingVerdict observe(const Observation& now) override {
    return {.is_best = now.iteration <= last_, .stop = now.iteration >= last_};
  }
  [[nodiscard]] std::string text() const override { return fmt::format("stops at {}", last_); }
  void save(Archive&) const override {}
  void load(const Archive&) override {}

 private:
  int64_t last_;
};

class EnergyTarget final : public StoppingRule {
 public:
  explicit EnergyTarget(double target) : target_(target) {
    if (!(target > 0)) fail("the energy to stop at must be above 0, got {}", target);
  }
  StoppingVerdict observe(const Observation& now) override {
    // Single iterates jump; a mean over about ten of them is what has been reached.
    constexpr double kWeight = 0.1;
    smoothed_ = now.iteration == 1 ? now.loss : smoothed_ + kWeight * (now.loss - smoothed_);
    return {.is_best = true, .stop = smoothed_ <= target_};
  }
  [[nodiscard]] std::string text() const override {
    return fmt::format("energy {:.2g} times its target", smoothed_ / target_);
  }
  void save(Archive& archive) const override { archive.put("stopping/energy", smoothed_); }
  void load(const Archive& archive) override { smoothed_ = archive.number("stopping/energy"); }

 private:
  double target_;
  double smoothed_ = 0;
};

}  // namespace

bool Minimum::update(int64_t iteration, double score) {
  latest_ = score;
  if (iteration < start_ || (found_ && score >= lowest_)) return false;
  found_ = true;
  at_ = iteration;
  lowest_ = score;
  return true;
}

std::string Minimum::text(std::string_view what, int64_t iteration) const {
  if (!found_) return fmt::format("{} counts from {}", what, start_);
  return fmt::format("{} {:.2f} of its minimum, patience {}/{}", what, lowest_ > 0 ? latest_ / lowest_ : 1.0,
                     waited(iteration), patience_);
}

void Minimum::save(Archive& archive) const {
  archive.put("stopping/minimum", std::vector<double>{lowest_, latest_});
  archive.put("stopping/minimum_at", found_ ? at_ : int64_t{-1});
}

void Minimum::load(const Archive& archive) {
  const std::vector<double>& scores = archive.numbers("stopping/minimum", 2);
  lowest_ = scores[0];
  latest_ = scores[1];
  at_ = archive.integer("stopping/minimum_at", -1, std::numeric_limits<int64_t>::max());
  found_ = at_ >= 0;
}

WindowedVariance::WindowedVariance(int64_t window) {
  constexpr int64_t kParts = 10;
  if (window < 2) fail("a window needs at least 2 iterations, got {}", window);
  const int64_t parts = std::min(kParts, window);
  part_length_ = window / parts;
  parts_.resize(static_cast<std::size_t>(parts));
}

std::optional<double> WindowedVariance::add(const std::vector<float>& values) {
  const int64_t in_part = count_ % part_length_;
  const auto number = static_cast<std::size_t>(count_ / part_length_) % parts_.size();
  Part& part = parts_[number];
  if (in_part == 0) {
    part.sum.assign(values.size(), 0.0);
    part.squares = 0;
  }
  for (const Part& p : parts_) {
    if (!p.sum.empty() && p.sum.size() != values.size()) {
      fail("the window holds vectors of {} values, this one has {}", p.sum.size(), values.size());
    }
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = values[i];
    part.sum[i] += value;
    part.squares += value * value;
  }
  ++count_;
  if (count_ < window() || count_ % part_length_ != 0) return std::nullopt;
  // mean of squares - square of the mean, in double: values lie near [0, 1], variances are far above 1e-16.
  const auto length = static_cast<double>(window());
  double squares = 0, squared_means = 0;
  for (const Part& p : parts_) squares += p.squares;
  for (std::size_t i = 0; i < values.size(); ++i) {
    double sum = 0;
    for (const Part& p : parts_) sum += p.sum[i];
    squared_means += sum / length * (sum / length);
  }
  return std::max(0.0, (squares / length - squared_means) / static_cast<double>(values.size()));
}

void WindowedVariance::save(Archive& archive) const {
  std::vector<double> sums, squares;
  for (const Part& part : parts_) {
    sums.insert(sums.end(), part.sum.begin(), part.sum.end());
    squares.push_back(part.squares);
  }
  archive.put("stopping/window_count", count_);
  archive.put("stopping/window_sums", std::move(sums));
  archive.put("stopping/window_squares", std::move(squares));
}

void WindowedVariance::load(const Archive& archive) {
  constexpr int64_t kMost = int64_t{1} << 40;
  count_ = archive.integer("stopping/window_count", 0, kMost);
  const std::vector<double>& sums = archive.numbers("stopping/window_sums");
  const std::vector<double>& squares = archive.numbers("stopping/window_squares");
  // Until the first round is complete only the parts that have begun hold sums.
  const auto begun = std::min(parts_.size(), static_cast<std::size_t>((count_ + part_length_ - 1) / part_length_));
  const bool whole = begun == 0 ? sums.empty() : !sums.empty() && sums.size() % begun == 0;
  if (squares.size() != parts_.size() || !whole) {
    fail("its window of {} parts does not fit one of {}", squares.size(), parts_.size());
  }
  const auto size = static_cast<std::ptrdiff_t>(begun == 0 ? 0 : sums.size() / begun);
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    parts_[i] = {.sum = {}, .squares = squares[i]};
    if (i < begun) {
      const auto first = sums.begin() + static_cast<std::ptrdiff_t>(i) * size;
      parts_[i].sum.assign(first, first + size);
    }
  }
}

std::unique_ptr<StoppingRule> make_stopping_rule(const StoppingOptions& options) {
  switch (options.kind) {
    case StoppingKind::automatic:
      if (options.discrepancy) return std::make_unique<DiscrepancyTarget>(options.discrepancy);
      return std::make_unique<Unlimited>();
    case StoppingKind::none: return std::make_unique<Unlimited>();
    case StoppingKind::wmv: return std::make_unique<WindowedMinimum>(options);
    case StoppingKind::emv: return std::make_unique<ExponentialMinimum>(options);
    case StoppingKind::discrepancy: return std::make_unique<DiscrepancyTarget>(options.discrepancy);
    case StoppingKind::fixed: return std::make_unique<FixedIteration>(options.iteration);
    case StoppingKind::energy: return std::make_unique<EnergyTarget>(options.energy);
  }
  return nullptr;
}

}  // namespace hourglass
