// What completes the program's commands, options and values in a shell, as a script of that shell.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "engine/cli/command_line.h"

namespace hourglass::cli {

struct Shell {
  std::string_view name;    // "bash"
  std::string_view folder;  // where its completions are looked for, below share/
  std::string_view file;    // what it calls that of this program
  std::string (*script)(const Command& program);
};

// bash, zsh and fish.
std::span<const Shell> shells();

}  // namespace hourglass::cli
