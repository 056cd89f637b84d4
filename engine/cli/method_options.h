// The options of the commands with several methods, restore and denoise (engine/cli/method.h).
#pragma once

#include <cstdint>
#include <string>

#include "engine/cli/command_line.h"

namespace hourglass::cli {

// How --method learn is asked for.
struct LearnArguments {
  int64_t lessons = 800;         // iterations
  std::string start = "leaves";  // an ONNX file, or the name of weights that come with the program
  double strength = 1;           // of a JPEG's result, see CellsOptions
};

struct MethodArguments {
  std::string method;  // empty: see choose_method()
  bool fast = false, best = false;
  LearnArguments learn;
};

// --method and what is short for it. help: of --method.
void add_method_options(Command& command, MethodArguments& arguments, const std::string& help);
// Those of --method learn. Its defaults are what `arguments` says.
void add_learn_options(Command& command, LearnArguments& arguments);

// Puts what --fast and --best are short for in their place. Throws Error for both.
void expand_flags(const MethodArguments& arguments, ParsedCommand& line);

}  // namespace hourglass::cli
