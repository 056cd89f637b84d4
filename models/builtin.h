// The topologies that come with the program.
//
//   Graph graph = make_builtin("small", {.output_channels = 1, .height = 512, .width = 512});
//   std::string_view file = builtin_file("small");  // models/hourglass-small.onnx, byte for byte
//
// Both are the same: the files in models/ are make_builtin's graphs at 3 output channels (models/README.md has the
// commands that wrote them); a test compares them byte by byte.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "models/builder.h"

namespace hourglass {

struct Builtin {
  std::string_view name;         // "small"
  std::string_view description;  // one line
  std::string_view file_name;    // in models/: "hourglass-small.onnx"
  std::variant<SkipOptions, UnetOptions> options;
};

// In the order in which a user should read them.
std::span<const Builtin> builtins();
// Null when there is none of that name.
const Builtin* find_builtin(std::string_view name);

struct BuiltinSize {
  int64_t output_channels = 3;
  int64_t input_depth = 0;  // 0: the topology's own
  int64_t height = 512, width = 512;
};
// Throws Error, listing the names, when there is none of that name, or when the size does not fit.
Graph make_builtin(std::string_view name, const BuiltinSize& size);
int64_t size_multiple(const Builtin& builtin);

// The ONNX file, embedded in the program. Throws as make_builtin.
std::string_view builtin_file(std::string_view name);

}  // namespace hourglass
