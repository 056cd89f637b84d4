// When to stop a fit, and which of its states to keep, without knowing the original.
//
// A rule sees every iteration and says two things: whether the average as it stands is the best so far, so that the
// loop keeps a copy, and whether to stop. A network learns the image first and what spoiled it later; in between the
// iterates hardly move, so the minimum of their variance tells the moment (Wang, Li, Zhuang, Chen, Liang and Sun,
// "Early stopping for deep image prior", TMLR 2023: ES-WMV, and ES-EMV without a window).
//
//   auto rule = make_stopping_rule({.kind = StoppingKind::wmv});
//   while (true) {
//     fit.step();
//     const StoppingVerdict verdict = rule->observe({iteration, loss, iterate, average});
//     if (verdict.is_best) best = average;
//     if (verdict.stop) break;
//   }
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/train/archive.h"

namespace hourglass {

struct Observation {
  int64_t iteration = 0;           // from 1
  double loss = 0;                 // of this iterate
  std::span<const float> iterate;  // what the network makes
  std::span<const float> average;  // its exponential average
};

struct StoppingVerdict {
  bool is_best = false;
  bool stop = false;
};

class StoppingRule {
 public:
  StoppingRule() = default;
  StoppingRule(const StoppingRule&) = delete;
  StoppingRule& operator=(const StoppingRule&) = delete;
  virtual ~StoppingRule() = default;

  // Iterations must come in order, without gaps.
  virtual StoppingVerdict observe(const Observation& observation) = 0;
  // For people: "variance 1.2 of its minimum, patience 230/500". Empty when there is nothing to say.
  [[nodiscard]] virtual std::string text() const = 0;
  // The state, under names that begin with "stopping/". A rule of the same options goes on as if nothing had happened.
  virtual void save(Archive& archive) const = 0;
  virtual void load(const Archive& archive) = 0;
};

// The minimum of a score, and how long ago it was.
class Minimum {
 public:
  Minimum(int64_t start, int64_t patience) : start_(start), patience_(patience) {}

  // Whether the score is the lowest so far. Scores before `start` count for nothing: the first minimum may be a false
  // one, while the network still makes a gray image.
  bool update(int64_t iteration, double score);
  // Whether `patience` iterations have passed since the minimum.
  [[nodiscard]] bool exhausted(int64_t iteration) const { return found_ && waited(iteration) >= patience_; }
  // "variance 1.2 of its minimum, patience 230/500"
  [[nodiscard]] std::string text(std::string_view what, int64_t iteration) const;
  void save(Archive& archive) const;
  void load(const Archive& archive);

 private:
  [[nodiscard]] int64_t waited(int64_t iteration) const { return iteration - at_; }

  int64_t start_, patience_;
  bool found_ = false;
  int64_t at_ = 0;                  // iteration of the minimum
  double lowest_ = 0, latest_ = 0;  // scores
};

// The mean over all elements of their variance within the last `window` vectors. The window moves by a tenth of its
// length, as sums over ten parts: memory and work don't depend on its length.
class WindowedVariance {
 public:
  explicit WindowedVariance(int64_t window);

  // Says the variance each time that a part is complete and the window is full. All vectors have the same size.
  std::optional<double> add(const std::vector<float>& values);
  [[nodiscard]] int64_t window() const { return part_length_ * static_cast<int64_t>(parts_.size()); }
  void save(Archive& archive) const;
  void load(const Archive& archive);

 private:
  // Sums over the vectors of one part; the squares are summed over the elements too.
  struct Part {
    std::vector<double> sum;
    double squares = 0;
  };
  int64_t part_length_;
  int64_t count_ = 0;        // vectors so far
  std::vector<Part> parts_;  // a ring: vector i is in part i / part_length modulo their number
};

enum class StoppingKind : uint8_t {
  automatic,    // discrepancy where the input's error is known, none elsewhere
  none,         // to the end; the last average is the best
  wmv,          // at the minimum of the windowed variance of the iterates
  emv,          // at the minimum of their exponentially weighted variance
  discrepancy,  // when the average agrees with the input as well as the original would
  fixed,        // at an iteration
  energy,       // when the energy, smoothed, has come down to a target
};

// How far an image is from the input, in units of how far the original must be from it: the discrepancy principle
// (Morozov 1966) says that a fit which comes below 1 fits what spoiled the input.
using Discrepancy = std::function<double(std::span<const float> image)>;

struct StoppingOptions {
  StoppingKind kind = StoppingKind::none;
  int64_t start = 200;      // wmv, emv: no minimum counts before
  int64_t patience = 500;   // wmv, emv: iterations without a new minimum after which to stop
  int64_t window = 100;     // wmv
  double emv_weight = 0.1;  // emv: of the newest iterate
  Discrepancy discrepancy = {};
  int64_t iteration = 0;  // fixed
  double energy = 0;      // energy
};

std::unique_ptr<StoppingRule> make_stopping_rule(const StoppingOptions& options);

}  // namespace hourglass
