#include "engine/train/pairs.h"

#include <utility>

#include "engine/runtime/team.h"

namespace hourglass {

PairReader::PairReader(std::shared_ptr<const Pairs> pairs, int64_t input_elements, int64_t target_elements)
    : pairs_(std::move(pairs)) {
  for (Pair* pair : {&current_, &next_}) {
    pair->input.resize(static_cast<std::size_t>(input_elements));
    pair->target.resize(static_cast<std::size_t>(target_elements));
  }
}

void PairReader::draw(int64_t iteration) {
  // One thread: the others have the network to compute, and sums must not depend on how many there are.
  const Team team(1);
  next_.iteration = iteration;
  pairs_->draw(iteration, next_.input, next_.target);
}

const Pair& PairReader::read(int64_t iteration) {
  worker_.wait();
  if (next_.iteration != iteration) draw(iteration);
  std::swap(current_, next_);
  worker_.begin([this, next = iteration + 1] { draw(next); });
  return current_;
}

}  // namespace hourglass
