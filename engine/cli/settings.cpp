#include "engine/cli/settings.h"

#include <fmt/core.h>

#include <optional>
#include <sstream>

#include "engine/cli/checks.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

// The same text, or the same number.
bool same_value(const std::string& a, const std::string& b) {
  const std::optional<double> x = number_of(a), y = number_of(b);
  return a == b || (x && y && *x == *y);
}

// A value on one line: a line feed becomes a backslash and an n, a backslash two of them.
std::string escaped(const std::string& value) {
  std::string text;
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
    } else {
      text.append(c == '\\' ? 2 : 1, c);
    }
  }
  return text;
}

std::string unescaped(const std::string& text) {
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escapes = text[i] == '\\' && i + 1 < text.size();
    if (escapes) ++i;
    value += escapes && text[i] == 'n' ? '\n' : text[i];
  }
  return value;
}

std::string said(const std::string& name, const std::string& value) {
  return value.empty() ? "--" + name : "--" + name + " " + value;
}

}  // namespace

bool is_setting(const ParsedOption& option) {
  const std::string& heading = option.option.heading;
  return heading != kFilesHeading && heading != kFitFilesHeading && heading != kManyFilesHeading;
}

Settings::Settings(const ParsedCommand& command, const NamedValues& in_force) : command_(command.name) {
  for (const ParsedOption& option : command.options) {
    if (is_setting(option) && option.in_force()) values_[option.name] = option.value;
  }
  for (const auto& [name, value] : in_force) values_[name] = value;
}

Settings Settings::parse(const std::string& text) {
  Settings settings;
  std::istringstream lines(text);
  std::getline(lines, settings.command_);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t at = line.find('=');
    if (at == std::string::npos) fail("its settings hold '{}', which is none", line);
    settings.values_[line.substr(0, at)] = unescaped(line.substr(at + 1));
  }
  return settings;
}

Settings Settings::of_command_line(const std::string& line) {
  Settings settings;
  std::istringstream words(line);
  std::string word, *value = nullptr;
  words >> word >> settings.command_;
  while (words >> word) {
    if (word.starts_with("--")) {
      value = &settings.values_[word.substr(2)];
    } else if (value != nullptr) {
      *value += (value->empty() ? "" : " ") + word;
    }
  }
  return settings;
}

bool Settings::agrees(const Settings& done, bool with_threads) const {
  std::map<std::string, std::string> rest = done.values_;
  for (const auto& [name, value] : values_) {
    if (name == "threads" && !with_threads) continue;
    const auto found = rest.find(name);
    if (found == rest.end() || !same_value(found->second, value)) return false;
    rest.erase(found);
  }
  for (const char* name : kDecidedByRun) rest.erase(name);
  if (!with_threads) rest.erase("threads");
  return command_ == done.command_ && rest.empty();
}

std::string Settings::text() const {
  std::string text = command_ + "\n";
  for (const auto& [name, value] : values_) text += name + "=" + escaped(value) + "\n";
  return text;
}

void Settings::apply_to(ParsedCommand& command) const {
  if (command_ != command.name) fail("was begun with 'hourglass {}', not {}", command_, command.name);
  for (const ParsedOption& option : command.options) {
    if (is_setting(option) && option.given && !values_.contains(option.name)) {
      fail("was begun without --{}: leave it out", option.name);
    }
  }
  for (const auto& [name, value] : values_) {
    const ParsedOption* option = command.find(name);
    if (option == nullptr) fail("was begun with --{}, which this program does not know", name);
    if (!option->given) {
      command.set(name, value);
    } else if (name != "threads" && !same_value(option->value, value)) {
      fail("was begun with {}, not {}: leave it out to go on, or begin anew without --resume", said(name, value),
           option->value);
    }
  }
}

std::string Settings::command_line(const std::string& files) const {
  std::string line = "hourglass " + command_ + " " + files;
  for (const auto& [name, value] : values_) line += " " + said(name, value);
  return line;
}

}  // namespace hourglass::cli
