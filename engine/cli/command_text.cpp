#include "engine/cli/command_text.h"

#include <fmt/format.h>

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

bool is_flag(const CLI::Option& option) { return option.get_expected_max() == 0; }

std::vector<const CLI::Option*> named_options(const CLI::App& command) {
  std::vector<const CLI::Option*> options = command.get_options();
  // Option groups are commands without a name.
  for (const CLI::App* group : command.get_subcommands([](const CLI::App* app) { return app->get_name().empty(); })) {
    const std::vector<const CLI::Option*> more = group->get_options();
    options.insert(options.end(), more.begin(), more.end());
  }
  std::erase_if(
      options, [&](const CLI::Option* option) { return option == command.get_help_ptr() || option->get_positional(); });
  return options;
}

std::string value_of(const CLI::Option& option) {
  if (is_flag(option)) return {};
  if (option.count() > 0) return fmt::format("{}", fmt::join(option.results(), ","));
  std::string value = option.get_default_str();
  // CLI11 writes the default of a list in brackets.
  std::erase_if(value, [](char c) { return c == '[' || c == ']'; });
  return value;
}

std::vector<std::pair<std::string, std::string>> settings_of(const std::vector<const CLI::Option*>& options) {
  std::vector<std::pair<std::string, std::string>> settings;
  for (const CLI::Option* option : options) {
    const std::string value = value_of(*option);
    const bool in_force = is_flag(*option) ? option->count() > 0 : !value.empty();
    if (in_force) settings.emplace_back(option->get_single_name(), value);
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
