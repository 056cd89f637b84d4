// A command as it could be typed again, with what it left to the defaults said.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/cli/command_line.h"

namespace hourglass::cli {

// Names of options without dashes, and their values; empty for flags.
using NamedValues = std::vector<std::pair<std::string, std::string>>;

// The options in force, in the order of --help.
NamedValues settings_of(const ParsedCommand& command);

// "hourglass restore 'my photo.jpg' --output clean.png --model small ...". `names` are the arguments without dashes.
std::string command_text(const std::string& command, const std::vector<std::string>& names,
                         const NamedValues& settings);

// As a POSIX shell reads it back.
std::string quoted(const std::string& text);

// "1 thread", "2 threads".
std::string counted(int64_t count, std::string_view noun);

}  // namespace hourglass::cli
