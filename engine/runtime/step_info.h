// What a report says of one step of a plan: a node's kernel, or a reorder between layouts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hourglass {

struct StepInfo {
  std::string name;            // node's name, or "reorder VALUE"
  std::string op;              // node's op, or "Reorder"
  std::string implementation;  // oneDNN's name for it, or "loop"
  std::string layout;          // of the first output
  std::size_t scratch_bytes = 0;
  // The kernels that were asked before, best first, and why they declined: "winograd_forward: 3x3 with stride 1 only".
  std::vector<std::string> declined;
  int64_t node = -1;  // index into graph().nodes; -1 for a reorder
};

}  // namespace hourglass
