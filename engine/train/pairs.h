// What a network learns from where it is not fitted to one image: pairs of an input and the target that it should make
// of it, another one in every iteration.
//
//   class Noisy : public Pairs { ... };                      // draws a picture, and the same with noise
//   Fit fit({graph, input, image, loss, target}, table, {.pairs = std::make_shared<Noisy>(...)});
//
// A pair is a function of the iteration alone (random numbers by counter, random.h), so that a fit that is taken up
// again goes on as if nothing had happened. The Deep Image Prior's z with its noise is such a source too, one without a
// target, which Fit draws in place and in the plan's own layout.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/runtime/worker.h"

namespace hourglass {

class Pairs {
 public:
  Pairs() = default;
  Pairs(const Pairs&) = delete;
  Pairs& operator=(const Pairs&) = delete;
  virtual ~Pairs() = default;

  // Fills input [1, depth, H, W] and target [1, C, h, w], both row-major and without meaning before. Iterations count
  // from 1. Called from one thread at a time, not always the same one; must not throw.
  virtual void draw(int64_t iteration, std::span<float> input, std::span<float> target) const = 0;
};

struct Pair {
  int64_t iteration = 0;  // 0: none yet
  std::vector<float> input, target;
};

// Draws each pair while the one before it is learned from, in a thread of its own.
class PairReader {
 public:
  PairReader(std::shared_ptr<const Pairs> pairs, int64_t input_elements, int64_t target_elements);

  // Of the iteration; valid until the next call. It waits where the pair has not been drawn ahead.
  const Pair& read(int64_t iteration);

 private:
  void draw(int64_t iteration);  // into next_

  std::shared_ptr<const Pairs> pairs_;
  Pair current_, next_;
  Worker worker_;  // the last member: it ends before the others do
};

}  // namespace hourglass
