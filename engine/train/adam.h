// Adam (Kingma and Ba, ICLR 2015, algorithm 1):
//   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
//   p -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
// It walks parameters and gradients where they lie in memory; both must have the same layout, padding included
// (padding has zero gradient and stays what it is).
#pragma once

#include <cstdint>
#include <vector>

namespace hourglass {

struct AdamOptions {
  double learning_rate = 0.01;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  // Gradients whose norm, over all parameters, is more than so many times the usual one are scaled down to that, so
  // that one odd pair does not throw a network without normalisation off its way (Pascanu, Mikolov, Bengio, "On the
  // difficulty of training recurrent neural networks", ICML 2013), and a step whose
  // gradients are no numbers is left out. 0: never.
  double norm_limit = 0;
};

namespace kernels {
struct BFloat16;
}

class Adam {
 public:
  explicit Adam(AdamOptions options);

  // Says how many parameters add() will add in all, so that the memory for their moments is asked for once.
  void reserve(int64_t count);
  // Adds `count` parameters with their gradients and, unless it is null, the place of their copies in bf16, which are
  // written with them. The memory must outlive the optimizer.
  void add(float* parameters, const float* gradients, int64_t count, kernels::BFloat16* copies = nullptr);
  // One update of everything, unless norm_limit leaves it out, in parallel; elementwise, so threads do not change the
  // result. Allocates nothing.
  void step() noexcept;

  void set_learning_rate(double learning_rate) { options_.learning_rate = learning_rate; }
  [[nodiscard]] double learning_rate() const { return options_.learning_rate; }
  [[nodiscard]] int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }
  // With a norm_limit: the moving average of the norms after scaling; 0 before the first step.
  [[nodiscard]] double usual_norm() const { return usual_norm_; }
  void set_usual_norm(double norm) { usual_norm_ = norm; }
  // The moments of what was added, in the order and the layout in which it was added.
  [[nodiscard]] std::vector<float>& first_moments() { return first_; }
  [[nodiscard]] std::vector<float>& second_moments() { return second_; }

 private:
  struct Chunk {
    float* parameters;
    const float* gradients;
    kernels::BFloat16* copies;  // or null
    std::size_t offset;         // into first_ and second_
    int64_t count;
  };
  // The factor of the gradients; 0 where the step is to be left out.
  double scale() noexcept;

  AdamOptions options_;
  int64_t steps_ = 0;
  double usual_norm_ = 0;
  std::vector<double> squares_;  // of the gradients, chunk by chunk
  std::vector<Chunk> chunks_;
  std::vector<float> first_, second_;  // moments, all parameters in a row
};

}  // namespace hourglass
