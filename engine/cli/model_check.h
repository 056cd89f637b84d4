// Can this ONNX file be trained here? All that stands in the way, a verdict for each of its nodes, and the rule for
// sizes. What is trainable here is what `restore --method fit` takes: both go through bind_network() and
// compile_training().
//
//   const ModelCheck check = check_model(OnnxFile::read("net.onnx"), {.height = 512, .width = 512});
//   check.trainable, check.problems, check.nodes[i].report.problem, check.size_rule, ...
#pragma once

#include <string>
#include <vector>

#include "engine/runtime/precision.h"
#include "graph/onnx_import.h"

namespace hourglass::cli {

struct CheckOptions {
  int64_t height = 0, width = 0;  // 0: usual_size()
  std::string output = {};        // as --model-output has it
  Precision precision = Precision::f32;
  int threads = 0;
  std::string frozen = {};  // patterns, as --freeze has them
};

struct NodeCheck {
  NodeReport report;
  std::string help;              // against the problem
  std::string no_gradient = {};  // why its op has none
  // What would run: implementations' names, and the element types that they make.
  std::vector<std::string> forward = {}, backward = {}, precisions = {};
};

struct ParameterCheck {
  std::string name;
  Shape shape;
  std::string start;
};

struct ModelCheck {
  bool trainable = false;
  std::vector<std::string> problems;  // of the whole
  int opset = 0;
  std::string producer;
  std::vector<std::string> notes;
  std::string size_rule;
  int64_t canvas_height = 0, canvas_width = 0;
  std::vector<NodeCheck> nodes;
  std::vector<ParameterCheck> parameters;
  std::vector<std::string> frozen;   // that would be parameters
  std::vector<std::string> buffers;  // those of the parameters that look as if they should not be trained
};

// "trains", "runs" (nothing behind it is trained), "a constant", "merged" (into its neighbours, or not needed),
// "refused", "behind a refused one".
std::string_view verdict_of(const NodeCheck& node);

// Throws Error for patterns that match nothing.
ModelCheck check_model(const OnnxFile& file, const CheckOptions& options);

}  // namespace hourglass::cli
