// The options of the commands with several methods, restore and denoise (engine/cli/method.h).
#pragma once

#include <cstdint>
#include <string>

#include "engine/cli/command_line.h"

namespace hourglass::cli {

// How --method learn is asked for, besides the network, which is --model as of a fit (FitArguments).
struct LearnArguments {
  int64_t lessons = 800;  // iterations
  double strength = 1;    // of a JPEG's result, see CellsOptions
};

struct MethodArguments {
  std::string method;  // empty: see choose_method()
  bool fast = false, best = false;
  LearnArguments learn;
  // --model where the line names none.
  std::string usual_to_learn, usual_to_fit;
};

// --method and what is short for it. help: of --method.
void add_method_options(Command& command, MethodArguments& arguments, const std::string& help);
// Those of --method learn. Its defaults are what `arguments` says. Makes those that name a network, which
// add_fit_options() has declared with an empty default, options of learning too.
void add_learn_options(Command& command, MethodArguments& arguments);

// Puts what --fast and --best are short for in their place. Throws Error for both.
void expand_flags(const MethodArguments& arguments, ParsedCommand& line);

// choose_method(), where a --model without --method chooses too: a network from an image to an image of the same size
// learns, any other is fitted. From then on the line has a --model, where its method takes one. Throws Error.
void choose_method_and_model(const MethodArguments& arguments, ParsedCommand& line, std::string usual);

}  // namespace hourglass::cli
