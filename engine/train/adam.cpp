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
  float beta1, beta2, step, correction2, epsilon, scale;
};

HG_CLONES void update(float* p, const float* g, float* m, float* v, int64_t count, Factors f) {
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = f.scale * g[i];
    m[i] = f.beta1 * m[i] + (1 - f.beta1) * gradient;
    v[i] = f.beta2 * v[i] + (1 - f.beta2) * gradient * gradient;
    p[i] -= f.step * m[i] / (std::sqrt(v[i] * f.correction2) + f.epsilon);
  }
}

// In double precision, in eight sums that are added up in order.
double sum_of_squares(const float* g, int64_t count) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int64_t k = 0; k < 8; ++k) sums[k] += static_cast<double>(g[i + k]) * g[i + k];
  }
  double sum = 0;
  for (; i < count; ++i) sum += static_cast<double>(g[i]) * g[i];
  for (const double one : sums) sum += one;
  return sum;
}

}  // namespace

Adam::Adam(AdamOptions options) : options_(options) {}

void Adam::reserve(int64_t count) {
  first_.reserve(static_cast<std::size_t>(count));
  second_.reserve(static_cast<std::size_t>(count));
}

void Adam::add(float* parameters, const float* gradients, int64_t count, kernels::BFloat16* copies) {
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    chunks_.push_back({parameters + begin, gradients + begin, copies == nullptr ? nullptr : copies + begin,
                       first_.size() + static_cast<std::size_t>(begin), std::min(kChunk, count - begin)});
  }
  first_.resize(first_.size() + static_cast<std::size_t>(count));
  second_.resize(first_.size());
  squares_.resize(chunks_.size());
}

double Adam::scale() noexcept {
  if (options_.norm_limit <= 0) return 1;
  constexpr double kDecay = 0.95;
  kernels::parallel_for(static_cast<int64_t>(chunks_.size()), [&](int64_t i) {
    const auto chunk = static_cast<std::size_t>(i);
    squares_[chunk] = sum_of_squares(chunks_[chunk].gradients, chunks_[chunk].count);
  });
  double sum = 0;
  for (const double one : squares_) sum += one;
  const double norm = std::sqrt(sum), limit = options_.norm_limit * usual_norm_;
  if (!std::isfinite(norm)) return 0;
  const bool too_large = usual_norm_ > 0 && norm > limit;
  usual_norm_ = usual_norm_ > 0 ? kDecay * usual_norm_ + (1 - kDecay) * (too_large ? limit : norm) : norm;
  return too_large ? limit / norm : 1;
}

void Adam::step() noexcept {
  const double factor = scale();
  if (factor == 0) return;
  ++steps_;
  const auto t = static_cast<double>(steps_);
  const Factors factors{
      .beta1 = static_cast<float>(options_.beta1),
      .beta2 = static_cast<float>(options_.beta2),
      .step = static_cast<float>(options_.learning_rate / (1 - std::pow(options_.beta1, t))),
      .correction2 = static_cast<float>(1 / (1 - std::pow(options_.beta2, t))),
      .epsilon = static_cast<float>(options_.epsilon),
      .scale = static_cast<float>(factor),
  };
  kernels::parallel_for(static_cast<int64_t>(chunks_.size()), [&](int64_t i) {
    const Chunk& chunk = chunks_[static_cast<std::size_t>(i)];
    update(chunk.parameters, chunk.gradients, first_.data() + chunk.offset, second_.data() + chunk.offset, chunk.count,
           factors);
    if (chunk.copies != nullptr) kernels::narrow(chunk.parameters, chunk.count, chunk.copies);
  });
}

}  // namespace hourglass
