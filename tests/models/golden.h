// The golden data that scripts/golden_pytorch.py wrote: PyTorch's loss, gradients and Adam steps for small skip
// networks, and the same networks as our graphs.
//
//   for (const GoldenCase& c : golden_cases()) {
//     Golden golden(c);
//     golden.at("grad64/" + name)           // tensors, by the names that the script's head lists
//     golden.graph, .loss, .parameters      // mean((image - target)^2) behind make_skip's graph
//   }
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "models/builder.h"

namespace hourglass::test {

struct GoldenCase {
  std::string name;  // of the file in tests/data/golden, without .onnx
  SkipOptions options;
  int64_t height, width;
};

const std::vector<GoldenCase>& golden_cases();

class Golden {
 public:
  explicit Golden(const GoldenCase& c);

  Graph graph;  // inputs z and target, outputs loss and image
  ValueId z, target, loss, image;
  std::vector<ValueId> parameters;

  [[nodiscard]] const HostTensor& at(const std::string& name) const;
  [[nodiscard]] const std::map<std::string, HostTensor>& tensors() const { return tensors_; }
  // What the graph is run with at the start: z, target and init/*.
  [[nodiscard]] std::map<ValueId, HostTensor> given() const;
  // The largest |element| among all grad64/*.
  [[nodiscard]] double largest_gradient() const { return largest_gradient_; }
  // Whether the loss really depends on the parameter. It does not on a shift that the next normalisation takes out
  // again; such a gradient is zero but for rounding, and Adam, which divides by its size, walks the parameter about
  // by rounding errors.
  [[nodiscard]] bool matters(const std::string& parameter) const;

 private:
  std::map<std::string, HostTensor> tensors_;
  double largest_gradient_ = 0;
};

double largest(const HostTensor& tensor);
// The largest |a - b|; NaN counts as infinite.
double largest_difference(const HostTensor& a, const HostTensor& b);

}  // namespace hourglass::test
