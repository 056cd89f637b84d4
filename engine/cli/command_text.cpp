#include "engine/cli/command_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace hourglass::cli {
namespace {

bool is_flag(const CLI::Option& option) { return option.get_expected_max() == 0; }

}  // namespace

std::string quoted(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("_./-+=:,@%").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return text;
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::vector<std::pair<std::string, std::string>> settings_of(const CLI::App& command) {
  std::vector<std::pair<std::string, std::string>> settings;
  const auto add = [&](const CLI::App& app) {
    for (const CLI::Option* option : app.get_options()) {
      if (option == command.get_help_ptr() || option->get_positional()) continue;
      const std::string name = option->get_single_name();
      if (is_flag(*option)) {
        if (option->count() > 0) settings.emplace_back(name, std::string());
        continue;
      }
      std::string value = fmt::format("{}", fmt::join(option->results(), ","));
      if (option->count() == 0) value = option->get_default_str();
      // CLI11 writes the default of a list in brackets.
      std::erase_if(value, [](char c) { return c == '[' || c == ']'; });
      if (!value.empty()) settings.emplace_back(name, value);
    }
  };
  add(command);
  // Option groups are commands without a name.
  for (const CLI::App* group : command.get_subcommands([](const CLI::App* app) { return app->get_name().empty(); })) {
    add(*group);
  }
  return settings;
}

std::string command_text(const CLI::App& command, const std::vector<std::string>& names,
                         const std::vector<std::pair<std::string, std::string>>& settings) {
  std::string text = "hourglass " + command.get_name();
  for (const std::string& name : names) text += " " + quoted(name);
  for (const auto& [name, value] : settings) {
    text += " --" + name;
    if (!value.empty()) text += " " + quoted(value);
  }
  return text;
}

}  // namespace hourglass::cli
