// A command as it could be typed again, with what it left to the defaults said.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <utility>
#include <vector>

namespace hourglass::cli {

// The options that have a value, by name without dashes, in the order of --help; a flag's value is empty.
std::vector<std::pair<std::string, std::string>> settings_of(const CLI::App& command);

// "hourglass restore 'my photo.jpg' --output clean.png --model small ...". `names` are the positionals, `settings` come
// from settings_of().
std::string command_text(const CLI::App& command, const std::vector<std::string>& names,
                         const std::vector<std::pair<std::string, std::string>>& settings);

// As a POSIX shell reads it back.
std::string quoted(const std::string& text);

}  // namespace hourglass::cli
