#include "engine/cli/command_line.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <set>
#include <type_traits>

#include "engine/cli/help_page.h"
#include "engine/cli/spelling.h"
#include "engine/cli/terminal.h"
#include "graph/error.h"
#include "graph/text.h"

namespace hourglass::cli {
namespace {

template <class T>
constexpr bool kIsList = false;
template <class T>
constexpr bool kIsList<std::vector<T>> = true;
template <>
constexpr bool kIsList<std::vector<std::string>> = false;  // a name may hold commas
template <class T>
constexpr bool kIsOptional = false;
template <class T>
constexpr bool kIsOptional<std::optional<T>> = true;

std::string text_at(const Target& target) {
  return std::visit(
      []<class T>(T place) -> std::string {
        if constexpr (std::is_pointer_v<T>) {
          using Value = std::remove_pointer_t<T>;
          if constexpr (std::is_same_v<Value, double>) {
            return fmt::format("{:g}", *place);
          } else if constexpr (kIsList<Value>) {
            return join(std::vector<int64_t>(place->begin(), place->end()), ",");
          } else if constexpr (!std::is_same_v<Value, bool> && !kIsOptional<Value> &&
                               !std::is_same_v<Value, std::vector<std::string>>) {
            return fmt::format("{}", *place);
          }
        }
        return {};
      },
      target);
}

// All of an option's checks as the parser wants them. They may rewrite the text, so they are what it calls a transform.
CLI::Validator validator_of(const std::vector<Check>& checks) {
  return {[checks](std::string& text) {
            for (const Check& check : checks) {
              if (std::string refusal = check.refusal(text); !refusal.empty()) return refusal;
            }
            return std::string();
          },
          ""};
}

CLI::Option* declare(CLI::App& app, const Option& option) {
  CLI::Option* declared = std::visit(
      [&]<class T>(T place) -> CLI::Option* {
        if constexpr (std::is_same_v<T, Clears>) {
          return app.add_flag("!" + option.names, *place.flag, option.help)->disable_flag_override();
        } else if constexpr (std::is_same_v<T, Counts>) {
          return app.add_flag(option.names, *place.times, option.help)->disable_flag_override();
        } else if constexpr (std::is_same_v<T, bool*>) {
          return app.add_flag(option.names, *place, option.help)->disable_flag_override();
        } else {
          CLI::Option* one = app.add_option(option.names, *place, option.help);
          if constexpr (kIsList<std::remove_pointer_t<T>>) one->delimiter(',');
          one->type_name(value_name(option));  // for its messages
          return one;
        }
      },
      option.target);
  if (!option.checks.empty()) declared->transform(validator_of(option.checks));
  declared->required(option.required);
  return declared;
}

std::string value_of(const CLI::Option& option) { return join(option.results(), ","); }

// A command and what the parser knows it by.
struct Declared {
  const Command& command;
  CLI::App& app;
  std::vector<CLI::Option*> options = {};  // as command.options
  std::vector<Declared> commands = {};
};

std::size_t index_of(const Command& command, std::string_view name) {
  const auto found = std::find_if(command.options.begin(), command.options.end(),
                                  [&](const Option& option) { return name_of(option) == name; });
  return static_cast<std::size_t>(found - command.options.begin());
}

// What goes only with some options of a choice excludes the others.
void exclude(const Declared& declared) {
  const std::vector<Option>& options = declared.command.options;
  for (std::size_t i = 0; i < options.size(); ++i) {
    const std::vector<std::string>& allowed = options[i].only_with;
    if (allowed.empty()) continue;
    const std::string& choice = options[index_of(declared.command, allowed.front())].choice;
    for (std::size_t k = 0; k < options.size(); ++k) {
      const bool is_allowed = std::find(allowed.begin(), allowed.end(), name_of(options[k])) != allowed.end();
      if (options[k].choice == choice && !is_allowed) declared.options[i]->excludes(declared.options[k]);
    }
  }
}

// Each choice is a group of the parser's.
Declared declare(CLI::App& app, const Command& command) {
  Declared declared{.command = command, .app = app};
  std::map<std::string, CLI::App*> choices;
  for (const Option& option : command.options) {
    CLI::App* place = &app;
    if (!option.choice.empty()) {
      CLI::App*& choice = choices[option.choice];
      if (choice == nullptr) {
        choice = app.add_option_group(option.choice);
        choice->require_option(1);
      }
      place = choice;
    }
    declared.options.push_back(declare(*place, option));
  }
  exclude(declared);
  app.set_help_flag(help_option().names);
  if (!command.commands.empty()) app.require_subcommand(1);
  for (const Command& one : command.commands) {
    declared.commands.push_back(declare(*app.add_subcommand(one.name, one.help), one));
  }
  return declared;
}

// The command that was called, in as many steps as commands hold others, behind those that lead to it.
const Declared& called(const Declared& from, CommandPath& path) {
  path.push_back(&from.command);
  for (const Declared& one : from.commands) {
    if (one.app.parsed()) return called(one, path);
  }
  return from;
}

std::string commands_of(const Command& command) {
  std::vector<std::string> names;
  for (const Command& one : command.commands) names.push_back(one.name);
  return join(names, ", ");
}

// Why an argument that nothing takes is wrong, and what was meant, perhaps.
std::string refusal_of(const CommandPath& path, const std::string& argument) {
  const Command& command = *path.back();
  const bool is_program = path.size() == 1;
  const std::string of = is_program ? "" : " of '" + name_of(path) + "'";
  if (argument.starts_with('-') && argument != "-") {
    const std::string name = argument.substr(0, argument.find('='));
    const std::string meant = nearest(name, option_names(path));
    const std::string said = is_program ? "there is no command or option '" : "there is no option '";
    return said + name + "'" + of + did_you_mean(meant);
  }
  if (command.commands.empty()) return "'" + argument + "' is one argument too many";
  const std::string said = is_program ? "there is no command or option '" : "there is no command '";
  const std::string meant = nearest_command(path, argument);
  const std::vector<std::string> options = option_names(path);
  if (std::find(options.begin(), options.end(), "--" + argument) != options.end()) {
    return said + argument + "'" + of + did_you_mean("--" + argument);
  }
  if (!meant.empty()) return said + argument + "'" + of + did_you_mean(meant);
  return said + argument + "'" + of + (is_program ? "" : "; there are " + commands_of(command));
}

// Of arguments that nothing takes, an option tells most.
const std::string& most_telling(const std::vector<std::string>& arguments) {
  const auto option = std::find_if(arguments.begin(), arguments.end(),
                                   [](const std::string& one) { return one.size() > 1 && one.starts_with('-'); });
  return option == arguments.end() ? arguments.front() : *option;
}

// What the parser says of arguments, in words; what it says well stays. A value may be in it, of any length.
std::string in_words(const std::string& said) {
  constexpr std::string_view kExactly = "Exactly 1 option from [", kIsRequired = "] is required";
  if (const std::size_t end = said.find(kIsRequired); said.starts_with(kExactly) && end != std::string::npos) {
    std::string options;
    for (const char c : said.substr(kExactly.size(), end - kExactly.size())) {
      options += c;
      if (c == ',') options += ' ';
    }
    return (said.ends_with(kIsRequired) ? "one must be given of " : "only one may be given of ") + options;
  }
  constexpr std::string_view kRequired = ": 1 required ", kMissing = " missing";
  if (const std::size_t at = said.find(kRequired); at != std::string::npos && said.ends_with(kMissing)) {
    const std::size_t type = at + kRequired.size();
    return fmt::format("{0}: its value is missing, as in '{0} {1}'", said.substr(0, at),
                       said.substr(type, said.size() - kMissing.size() - type));
  }
  constexpr std::string_view kAtMost = ": At Most 1 required but received ";
  if (const std::size_t at = said.find(kAtMost); at != std::string::npos) {
    return fmt::format("{}: is given {} times, and means one value", said.substr(0, at),
                       said.substr(at + kAtMost.size()));
  }
  constexpr std::string_view kOverride = " was given a disallowed flag override";
  if (said.ends_with(kOverride)) {
    const std::string name = said.substr(0, said.size() - kOverride.size());
    return (name.size() == 1 ? "-" : "--") + name + ": takes no value";
  }
  return said;
}

ParsedCommand parsed(const Declared& declared) {
  ParsedCommand result(declared.command);
  for (ParsedOption& option : result.options) {
    const CLI::Option& one = *declared.options[index_of(declared.command, option.name)];
    option.given = one.count() > 0;
    if (option.given && !is_flag(option.option)) option.value = value_of(one);
  }
  for (std::size_t i = 0; i < declared.options.size(); ++i) {
    if (!is_positional(declared.command.options[i])) continue;
    const std::vector<std::string>& given = declared.options[i]->results();
    result.arguments.insert(result.arguments.end(), given.begin(), given.end());
  }
  return result;
}

}  // namespace

std::string name_of(const Option& option) {
  const std::string last = option.names.substr(option.names.rfind(',') + 1);
  return last.substr(std::min(last.find_first_not_of('-'), last.size()));
}

bool is_positional(const Option& option) { return !option.names.starts_with('-'); }

bool takes_several(const Option& option) { return std::holds_alternative<std::vector<std::string>*>(option.target); }

std::string value_name(const Option& option) {
  if (is_flag(option)) return {};
  if (!option.takes.empty()) return option.takes;
  for (const Check& check : option.checks) {
    if (!check.choices.empty()) return join(check.choices, "|");
  }
  if (is_positional(option)) return "FILE";
  return std::visit(
      []<class T>(T place) -> std::string {
        if constexpr (std::is_pointer_v<T>) {
          using Value = std::remove_cvref_t<decltype(*place)>;
          if constexpr (kIsList<Value>) return "N,N,...";
          if constexpr (std::is_same_v<Value, double> || std::is_same_v<Value, std::optional<double>>) return "X";
          if constexpr (std::is_same_v<Value, std::string> || std::is_same_v<Value, std::vector<std::string>>) {
            return "TEXT";
          }
        }
        return "N";
      },
      option.target);
}

std::string default_text(const Option& option) { return text_at(option.target); }

const Option& help_option() {
  static const Option option{.names = "-h,--help", .target = static_cast<bool*>(nullptr), .help = "Print this help"};
  return option;
}

const Option& version_option() {
  static const Option option{.names = "--version",
                             .target = static_cast<bool*>(nullptr),
                             .help =
                                 "Print the versions of hourglass and of its libraries; with --json of "
                                 "all of them, and their licences"};
  return option;
}

std::string name_of(const CommandPath& path) {
  std::vector<std::string> names;
  for (const Command* one : path) names.push_back(one->name);
  return join(names, " ");
}

std::vector<CommandPath> all_commands(const Command& program) {
  std::vector<CommandPath> all;
  const auto add = [&](const auto& self, CommandPath path, const Command& command) -> void {
    path.push_back(&command);
    all.push_back(path);
    for (const Command& one : command.commands) self(self, path, one);
  };
  add(add, {}, program);
  return all;
}

bool is_flag(const Option& option) {
  const Target& target = option.target;
  return std::holds_alternative<bool*>(target) || std::holds_alternative<Clears>(target) ||
         std::holds_alternative<Counts>(target);
}

Option::~Option() = default;
Command::~Command() = default;

void Command::add(std::initializer_list<Option> more) { options.insert(options.end(), more); }

Option& Command::option(std::string_view sought) { return options.at(index_of(*this, sought)); }

void Command::remove(std::string_view sought) {
  std::erase_if(options, [&](const Option& one) { return name_of(one) == sought; });
}

ParsedCommand::ParsedCommand(const Command& command) : name(command.name), run(command.run) {
  for (const bool in_choice : {false, true}) {
    for (const Option& option : command.options) {
      if (is_positional(option) || option.choice.empty() == in_choice) continue;
      options.push_back({.option = option, .name = name_of(option), .value = default_text(option)});
    }
  }
}

const ParsedOption* ParsedCommand::find(std::string_view sought) const {
  const auto found = std::find_if(options.begin(), options.end(), [&](const auto& one) { return one.name == sought; });
  return found == options.end() ? nullptr : &*found;
}

bool ParsedCommand::given(std::string_view sought) const {
  const ParsedOption* found = find(sought);
  return found != nullptr && found->given;
}

void ParsedCommand::set(std::string_view sought, const std::string& value) {
  const auto found = std::find_if(options.begin(), options.end(), [&](const auto& one) { return one.name == sought; });
  const bool flag = is_flag(found->option);
  CLI::App app;
  CLI::Option* option = declare(app, found->option);
  try {
    option->add_result(flag ? option->get_flag_value(found->name, {}) : value);
    option->run_callback();
  } catch (const CLI::ParseError& error) {
    fail("{}", error.what());
  }
  found->given = true;
  if (!flag) found->value = value_of(*option);
}

std::variant<ParsedCommand, std::string> parse(const Command& program, const std::string& version, int argc,
                                               const char* const* argv) {
  // The parser takes one for the name of a choice, and may go on with it for ever.
  const char* const* empty =
      std::find_if(argv + std::min(argc, 1), argv + argc, [](const char* argument) { return *argument == 0; });
  if (empty != argv + argc) {
    throw UsageError(fmt::format("argument {} is empty: leave it out, or say what it stands for\nTry '{} --help'.",
                                 empty - argv, program.name));
  }
  CLI::App app(program.help, program.name);
  app.set_version_flag(version_option().names, version);
  const Declared declared = declare(app, program);
  CommandPath path;
  try {
    app.parse(argc, argv);
    return parsed(called(declared, path));
  } catch (const CLI::CallForHelp&) {
    called(declared, path);
    return help_text(path, help_columns());
  } catch (const CLI::CallForVersion&) {
    return version + "\n";
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> unknown = called(declared, path).app.remaining();
    const std::string why = !unknown.empty() ? refusal_of(path, most_telling(unknown))
                            : path.back()->commands.empty()
                                ? in_words(error.what())
                                : "a command is missing; there are " + commands_of(*path.back());
    throw UsageError(fmt::format("{}\nTry '{} --help'.", why, name_of(path)));
  }
}

}  // namespace hourglass::cli
