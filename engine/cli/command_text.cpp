#include "engine/cli/command_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

namespace hourglass::cli {

std::string quoted(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("_./-+=:,@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return text;
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string counted(int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

NamedValues settings_of(const ParsedCommand& command) {
  NamedValues settings;
  for (const ParsedOption& option : command.options) {
    if (option.in_force()) settings.emplace_back(option.name, option.value);
  }
  return settings;
}

std::string command_text(const std::string& command, const std::vector<std::string>& names,
                         const NamedValues& settings) {
  std::string text = "hourglass " + command;
  for (const std::string& name : names) text += " " + quoted(name);
  for (const auto& [name, value] : settings) {
    text += " --" + name;
    if (!value.empty()) text += " " + quoted(value);
  }
  return text;
}

}  // namespace hourglass::cli
