#include "engine/train/adam.h"

#include <algorithm>
#include <cmath>

#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"

namespace hourglass {
namespace {

constexpr int64_t kChunk = 16384;  // elements per task: four arrays of 64 KiB fit the second-level cache

struct Factors {
  float beta1, beta2, step, correction2, epsilon;
};

HG_CLONES void update(float* p, const float* g, float* m, float* v, int64_t count, Factors f) {
  for (int64_t i = 0; i < count; ++i) {
    m[i] = f.beta1 * m[i] + (1 - f.beta1) * g[i];
    v[i] = f.beta2 * v[i] + (1 - f.beta2) * g[i] * g[i];
    p[i] -= f.step * m[i] / (std::sqrt(v[i] * f.correction2) + f.epsilon);
  }
}

}  // namespace

void Adam::add(float* parameters, const float* gradients, int64_t count, kernels::BFloat16* copies) {
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    chunks_.push_back({parameters + begin, gradients + begin, copies == nullptr ? nullptr : copies + begin,
                       first_.size() + static_cast<std::size_t>(begin), std::min(kChunk, count - begin)});
  }
  first_.resize(first_.size() + static_cast<std::size_t>(count));
  second_.resize(first_.size());
}

void Adam::step() noexcept {
  ++steps_;
  const auto t = static_cast<double>(steps_);
  const Factors factors{
      .beta1 = static_cast<float>(options_.beta1),
      .beta2 = static_cast<float>(options_.beta2),
      .step = static_cast<float>(options_.learning_rate / (1 - std::pow(options_.beta1, t))),
      .correction2 = static_cast<float>(1 / (1 - std::pow(options_.beta2, t))),
      .epsilon = static_cast<float>(options_.epsilon),
  };
  kernels::parallel_for(static_cast<int64_t>(chunks_.size()), [&](int64_t i) {
    const Chunk& chunk = chunks_[static_cast<std::size_t>(i)];
    update(chunk.parameters, chunk.gradients, first_.data() + chunk.offset, second_.data() + chunk.offset, chunk.count,
           factors);
    if (chunk.copies != nullptr) kernels::narrow(chunk.parameters, chunk.count, chunk.copies);
  });
}

}  // namespace hourglass
