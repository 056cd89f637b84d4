// A command as it could be typed again, with what it left to the defaults said.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <utility>
#include <vector>

namespace hourglass::cli {

// All that are called by a name but --help, those in option groups too, in the order of --help.
std::vector<const CLI::Option*> named_options(const CLI::App& command);
bool is_flag(const CLI::Option& option);
// As said, or the default; a list's elements with commas between them. Empty for a flag, and where there is neither.
std::string value_of(const CLI::Option& option);

// Those that have a value, or are flags that are set: names without dashes, and values.
std::vector<std::pair<std::string, std::string>> settings_of(const std::vector<const CLI::Option*>& options);

// "hourglass restore 'my photo.jpg' --output clean.png --model small ...". `names` are the positionals, `settings` come
// from settings_of().
std::string command_text(const CLI::App& command, const std::vector<std::string>& names,
                         const std::vector<std::pair<std::string, std::string>>& settings);

// As a POSIX shell reads it back.
std::string quoted(const std::string& text);

// "1 thread", "2 threads".
std::string counted(int64_t count, std::string_view noun);

}  // namespace hourglass::cli
