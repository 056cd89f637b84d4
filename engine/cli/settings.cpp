#include "engine/cli/settings.h"

#include <fmt/format.h>

#include <sstream>
#include <vector>

#include "engine/cli/command_text.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

std::vector<const CLI::Option*> setting_options(const CLI::App& command) {
  std::vector<const CLI::Option*> options = named_options(command);
  std::erase_if(options, [](const CLI::Option* option) { return option->get_group() == kFilesGroup; });
  return options;
}

// The same text, or the same number.
bool same_value(const std::string& a, const std::string& b) {
  double x = 0, y = 0;
  return a == b || (CLI::detail::lexical_cast(a, x) && CLI::detail::lexical_cast(b, y) && x == y);
}

std::string said(const std::string& name, const std::string& value) {
  return value.empty() ? "--" + name : "--" + name + " " + value;
}

}  // namespace

Settings::Settings(const CLI::App& command) : command_(command.get_name()) {
  for (auto& [name, value] : settings_of(setting_options(command))) values_[name] = std::move(value);
}

Settings Settings::parse(const std::string& text) {
  Settings settings;
  std::istringstream lines(text);
  std::getline(lines, settings.command_);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t at = line.find('=');
    if (at == std::string::npos) fail("its settings hold '{}', which is none", line);
    settings.values_[line.substr(0, at)] = line.substr(at + 1);
  }
  return settings;
}

std::string Settings::text() const {
  std::string text = command_ + "\n";
  for (const auto& [name, value] : values_) text += name + "=" + value + "\n";
  return text;
}

void Settings::apply_to(CLI::App& command) const {
  if (command_ != command.get_name()) fail("was begun with 'hourglass {}', not {}", command_, command.get_name());
  for (const CLI::Option* option : setting_options(command)) {
    const std::string name = option->get_single_name();
    if (option->count() > 0 && !values_.contains(name)) fail("was begun without --{}: leave it out", name);
  }
  for (const auto& [name, value] : values_) {
    CLI::Option* option = command.get_option_no_throw("--" + name);
    if (option == nullptr) fail("was begun with --{}, which this program does not know", name);
    if (option->count() == 0) {
      option->add_result(is_flag(*option) ? option->get_flag_value(name, "") : value);
      option->run_callback();
    } else if (name != "threads" && !same_value(value_of(*option), value)) {
      fail("was begun with {}, not {}: leave it out to go on, or begin anew without --resume", said(name, value),
           value_of(*option));
    }
  }
}

std::string Settings::command_line() const {
  std::string line = "hourglass " + command_ + " INPUT";
  for (const auto& [name, value] : values_) line += " " + said(name, value);
  return line;
}

}  // namespace hourglass::cli
