// What a report says of one step of a plan: a node's kernel, or a reorder between layouts.
#pragma once

#include <cstdint>
#include <string>

namespace hourglass {

struct StepInfo {
  std::string name;            // node's name, or "reorder VALUE"
  std::string op;              // node's op, or "Reorder"
  std::string implementation;  // oneDNN's name for it, or "loop"
  std::string layout;          // of the first output
  int64_t node = -1;           // index into graph().nodes; -1 for a reorder
};

}  // namespace hourglass
