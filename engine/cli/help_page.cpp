#include "engine/cli/help_page.h"

#include <fmt/core.h>

#include <algorithm>
#include <sstream>

#include "graph/text.h"

namespace hourglass::cli {
namespace {

std::string title_of(const Option& option, bool has_common) {
  if (is_positional(option)) return "Arguments";
  if (!option.choice.empty()) return option.choice + " (exactly one of these)";
  if (option.common) return "Common options";
  if (!option.heading.empty()) return option.heading;
  return has_common ? "More options" : "Options";
}

// Of the groups; those of a rank stay as they are declared. What is of one method comes last.
int rank_of(const Option& option) {
  if (is_positional(option)) return 0;
  if (!option.choice.empty()) return 1;
  if (option.common) return 2;
  if (option.heading.empty()) return 3;
  return option.methods.empty() ? 4 : 5;
}

std::vector<Entry> entries_of(const OptionGroup& group) {
  std::vector<Entry> entries;
  for (const Option* option : group.options) entries.push_back({.term = label_of(*option), .text = text_of(*option)});
  return entries;
}

}  // namespace

std::vector<OptionGroup> option_groups(const CommandPath& path) {
  std::vector<const Option*> options;
  for (const Option& option : path.back()->options) options.push_back(&option);
  std::stable_sort(options.begin(), options.end(),
                   [](const Option* a, const Option* b) { return rank_of(*a) < rank_of(*b); });
  const bool has_common = std::any_of(options.begin(), options.end(), [](const Option* one) { return one->common; });
  std::vector<OptionGroup> groups;
  const auto group_called = [&](const std::string& title) -> OptionGroup& {
    for (OptionGroup& group : groups) {
      if (group.title == title) return group;
    }
    return groups.emplace_back(OptionGroup{.title = title, .options = {}});
  };
  for (const Option* option : options) group_called(title_of(*option, has_common)).options.push_back(option);
  OptionGroup& last = group_called(has_common ? "Common options" : "Options");
  last.options.push_back(&help_option());
  if (path.size() == 1) last.options.push_back(&version_option());
  return groups;
}

std::vector<const Option*> named_options(const CommandPath& path) {
  std::vector<const Option*> options;
  for (const OptionGroup& group : option_groups(path)) {
    for (const Option* option : group.options) {
      if (!is_positional(*option)) options.push_back(option);
    }
  }
  return options;
}

std::vector<std::string> names_of(const Option& option) {
  std::istringstream stream(option.names);
  std::vector<std::string> names;
  for (std::string name; std::getline(stream, name, ',');) names.push_back(name);
  return names;
}

std::string label_of(const Option& option) {
  if (is_positional(option)) return option.names + (takes_several(option) ? "..." : "");
  std::string label = join(names_of(option), ", ");
  if (!is_flag(option)) label += " " + value_name(option);
  return label;
}

std::string text_of(const Option& option) {
  const std::string usual = default_text(option);
  return usual.empty() ? option.help : fmt::format("{} (default: {})", option.help, usual);
}

std::string usage_of(const CommandPath& path) {
  const Command& command = *path.back();
  if (!command.commands.empty()) return name_of(path) + " COMMAND [OPTIONS]";
  std::string usage = name_of(path) + " [OPTIONS]";
  for (const Option& option : command.options) {
    const std::string label = label_of(option);
    if (is_positional(option)) {
      usage += option.required ? " " + label : " [" + label + "]";
    } else if (option.required) {
      usage += " " + names_of(option).front() + " " + value_name(option);
    }
  }
  return usage;
}

std::vector<Entry> command_entries(const Command& command) {
  std::vector<Entry> entries;
  for (const Command& one : command.commands) entries.push_back({.term = one.name, .text = one.help});
  return entries;
}

std::string help_text(const CommandPath& path, std::size_t width) {
  const Command& command = *path.back();
  std::string text;
  const std::string usage = "Usage: " + usage_of(path);
  constexpr std::size_t kHang = 7;  // behind "Usage: "
  for (const std::string& line : wrapped(usage, width - kHang)) text += (text.empty() ? "" : "       ") + line + "\n";
  text += "\n" + prose_text(command.help + ".", width);
  if (!command.commands.empty()) text += "\nCommands:\n" + entries_text(command_entries(command), width);
  for (const OptionGroup& group : option_groups(path)) {
    text += "\n" + group.title + ":\n" + entries_text(entries_of(group), width);
  }
  if (!command.footer.empty()) text += "\n" + prose_text(command.footer, width);
  return text;
}

}  // namespace hourglass::cli
