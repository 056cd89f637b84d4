#include "engine/cli/completion.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>
#include <vector>

#include "engine/cli/command_text.h"
#include "engine/cli/help_page.h"
#include "engine/cli/help_topics.h"
#include "graph/text.h"
#include "models/builtin.h"

namespace hourglass::cli {
namespace {

constexpr std::string_view kHead = "# Completes hourglass. Written by 'hourglass help --completion {}'.\n";

// What a value may be.
struct Values {
  std::vector<std::string> words;
  bool files = false, folders = false;
};

bool is_word(std::string_view text) {
  return !text.empty() && text != "..." &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return std::isupper(c) != 0; });
}

void add_help_words(const Command& program, std::vector<std::string>& words) {
  for (const CommandPath& path : all_commands(program)) {
    if (path.size() == 2) words.push_back(path.back()->name);
  }
  for (const Topic& topic : topics()) words.emplace_back(topic.name);
}

// By what the value is called, see Option::takes.
Values values_of(const Option& option, const Command& program) {
  Values values;
  std::istringstream kinds(value_name(option));
  for (std::string kind; std::getline(kinds, kind, '|');) {
    if (kind == "FILE" || kind == "NET") values.files = true;
    if (kind == "FOLDER") values.folders = true;
    if (kind == "COMMAND") add_help_words(program, values.words);
    if (kind == "NET") {
      for (const Builtin& one : builtins()) values.words.emplace_back(one.name);
    }
    if (is_word(kind)) values.words.push_back(kind);
  }
  return values;
}

// What stands in the places of arguments without dashes.
Values arguments_of(const CommandPath& path) {
  Values values;
  for (const Command& one : path.back()->commands) values.words.push_back(one.name);
  for (const Option& option : path.back()->options) {
    if (!is_positional(option)) continue;
    const Values more = values_of(option, *path.front());
    values.words.insert(values.words.end(), more.words.begin(), more.words.end());
    values.files |= more.files;
    values.folders |= more.folders;
  }
  return values;
}

// "restore", "bench threads"; nothing for the program itself.
std::string words_of(const CommandPath& path) { return name_of(CommandPath(path.begin() + 1, path.end())); }

// The first sentence or so, for shells that show it.
std::string summary_of(const std::string& help) {
  const std::size_t end = help.find_first_of(";:(");
  std::string text = help.substr(0, end);
  while (!text.empty() && (text.back() == ' ' || text.back() == ',')) text.pop_back();
  return text.empty() ? help : text;
}

// ---- bash

std::string bash_values(const Values& values) {
  std::string text;
  if (!values.words.empty()) text += " words='" + join(values.words, " ") + "'";
  if (values.files) text += " files=yes";
  if (values.folders) text += " folders=yes";
  return text;
}

std::string bash_script(const Command& program) {
  std::string commands, values, options;
  for (const CommandPath& path : all_commands(program)) {
    const std::string command = words_of(path);
    if (path.size() > 1) {
      const std::string above = words_of(CommandPath(path.begin(), path.end() - 1));
      commands += fmt::format("      '{}/{}') command='{}' ;;\n", above, path.back()->name, command);
    }
    for (const Option* option : named_options(path)) {
      if (is_flag(*option)) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : names_of(*option)) patterns.push_back("'" + command + "/" + name + "'");
      values +=
          fmt::format("    {}){} value=yes ;;\n", join(patterns, " | "), bash_values(values_of(*option, program)));
    }
    std::vector<std::string> names;
    for (const Option* option : named_options(path)) {
      for (const std::string& name : names_of(*option)) names.push_back(name);
    }
    options += fmt::format("    '{}')\n      options='{}'\n     {} ;;\n", command, join(names, " "),
                           bash_values(arguments_of(path)));
  }
  return fmt::format(kHead, "bash") + fmt::format(R"(_hourglass() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}
  local command='' options='' words='' files='' folders='' value='' i
  # --option=value comes as three words.
  if [[ $current == '=' ]]; then
    current=''
  elif [[ $previous == '=' ]]; then
    previous=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command/${{COMP_WORDS[i]}}" in
{}    esac
  done
  COMPREPLY=()
  case "$command/$previous" in
{}  esac
  [[ -n $value ]] || case "$command" in
{}  esac
  if [[ -z $value && $current == -* ]]; then
    words=$options files='' folders=''
  fi
  if [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  fi
  if [[ -n $files$folders ]]; then
    local kind=-f
    [[ -n $files ]] || kind=-d
    local -a found
    mapfile -t found < <(compgen "$kind" -- "$current")
    COMPREPLY+=("${{found[@]}}")
    compopt -o filenames 2>/dev/null
  fi
}}
complete -F _hourglass hourglass
)",
                                                  commands, values, options);
}

// ---- zsh

std::string zsh_escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (std::string_view("[]:\\").find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

// ":NAME:what completes it".
std::string zsh_values(const Option& option, const Command& program) {
  const Values values = values_of(option, program);
  const std::string words = "(" + join(values.words, " ") + ")";
  const std::string files = values.files ? "_files" : values.folders ? "_files -/" : "";
  std::string action = files;
  if (!values.words.empty()) {
    // A colon ends an action, so those within it are escaped.
    action =
        files.empty() ? words : fmt::format(R"({{_alternative "words\:word\:{}" "files\:file\:{}"}})", words, files);
  }
  return ":" + zsh_escaped(names_of(option).back() == option.names ? value_name(option) : "value") + ":" + action;
}

std::string zsh_option(const Option& option, const Command& program) {
  const std::vector<std::string> names = names_of(option);
  const bool repeated = std::holds_alternative<Counts>(option.target);
  std::string text;
  for (const std::string& name : names) {
    const std::string excluded = repeated ? "*" : "(" + join(names, " ") + ")";
    const std::string described = excluded + name +
                                  (is_flag(option)          ? ""
                                   : name.starts_with("--") ? "="
                                                            : "+") +
                                  "[" + zsh_escaped(summary_of(option.help)) + "]";
    text += " \\\n    " + quoted(described + (is_flag(option) ? "" : zsh_values(option, program)));
  }
  return text;
}

std::string zsh_function(const CommandPath& path) {
  std::string name = "_" + name_of(path), arguments;
  std::replace(name.begin(), name.end(), ' ', '_');
  for (const Option* option : named_options(path)) arguments += zsh_option(*option, *path.front());
  if (path.back()->commands.empty()) {
    for (const Option& option : path.back()->options) {
      if (!is_positional(option)) continue;
      arguments += " \\\n    " + quoted((takes_several(option) ? "*" : "") + zsh_values(option, *path.front()));
    }
    return fmt::format("{}() {{\n  _arguments -s -S{}\n}}\n\n", name, arguments);
  }
  std::string described;
  for (const Command& one : path.back()->commands) {
    described += "\n    " + quoted(zsh_escaped(one.name) + ":" + zsh_escaped(one.help));
  }
  return fmt::format(R"({0}() {{
  local curcontext=$curcontext state line
  local -a commands
  commands=({1}
  )
  _arguments -C -S{2} \
    '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument) (( $+functions[{0}_$line[1]] )) && {0}_$line[1] ;;
  esac
}}

)",
                     name, described, arguments);
}

std::string zsh_script(const Command& program) {
  std::string text = "#compdef hourglass\n" + fmt::format(kHead, "zsh") + "\n";
  for (const CommandPath& path : all_commands(program)) text += zsh_function(path);
  return text + "_hourglass \"$@\"\n";
}

// ---- fish

// Within single quotes.
std::string fish_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

std::string fish_values(const Values& values) {
  std::string text;
  if (!values.words.empty()) text += " -a " + fish_quoted(join(values.words, " "));
  if (values.files) {
    text += " -F";
  } else if (values.folders) {
    text += " -a '(__fish_complete_directories (commandline -ct))'";
  }
  return text;
}

std::string fish_script(const Command& program) {
  std::string commands, lines;
  for (const CommandPath& path : all_commands(program)) {
    const std::string command = words_of(path);
    if (path.size() > 1) commands += " " + fish_quoted(command);
    const std::string where = "complete -c hourglass -n " + fish_quoted("__hourglass_is " + fish_quoted(command));
    for (const Command& one : path.back()->commands) {
      lines += where + " -f -a " + one.name + " -d " + fish_quoted(one.help) + "\n";
    }
    if (path.back()->commands.empty()) lines += where + fish_values(arguments_of(path)) + "\n";
    for (const Option* option : named_options(path)) {
      lines += where;
      for (const std::string& name : names_of(*option)) {
        lines += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (!is_flag(*option)) {
        const Values values = values_of(*option, program);
        lines += (values.files ? " -r" : " -r -f") + fish_values(values);
      }
      lines += " -d " + fish_quoted(summary_of(option->help)) + "\n";
    }
  }
  return fmt::format(kHead, "fish") + fmt::format(R"(
# Whether the words before the cursor call the command, as 'bench threads'.
function __hourglass_is
    set -l called ''
    for word in (commandline -opc)[2..-1]
        set -l longer (string trim -- "$called $word")
        contains -- $longer{}
        and set called $longer
    end
    test "$called" = "$argv[1]"
end

complete -c hourglass -f
{})",
                                                  commands, lines);
}

}  // namespace

std::span<const Shell> shells() {
  static constexpr std::array kShells{
      Shell{.name = "bash", .folder = "bash-completion/completions", .file = "hourglass", .script = bash_script},
      Shell{.name = "zsh", .folder = "zsh/vendor-completions", .file = "_hourglass", .script = zsh_script},
      Shell{.name = "fish", .folder = "fish/vendor_completions.d", .file = "hourglass.fish", .script = fish_script}};
  return kShells;
}

}  // namespace hourglass::cli
