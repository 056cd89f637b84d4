// A network that trains in a millisecond.
#pragma once

#include <memory>

#include "engine/train/fit.h"
#include "ops/table.h"

namespace hourglass::test {

// One 3x3 convolution from 3 to 8 channels on 16x16, its mean square as the loss.
inline std::unique_ptr<Fit> tiny_fit(int threads, const std::vector<CpuSet>& places = {}) {
  Problem problem;
  GraphBuilder b(problem.graph, op_table());
  problem.input = b.input("z", {DType::f32, Shape{1, 3, 16, 16}});
  const ValueId w =
      b.parameter("w", {DType::f32, Shape{8, 3, 3, 3}}, {.kind = Init::Kind::uniform, .low = -0.1, .high = 0.1});
  problem.image = b.add("Conv", {problem.input, w}, {{"pads", Dims{1, 1, 1, 1}}});
  problem.loss = b.add("ReduceMean", {b.add("Mul", {problem.image, problem.image})}, {{"keepdims", int64_t{0}}});
  FitOptions options;
  options.threads = threads;
  options.places = places;
  return std::make_unique<Fit>(problem, op_table(), options);
}

}  // namespace hourglass::test
