#include "engine/cli/man_page.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <span>
#include <string_view>
#include <vector>

#include "engine/cli/help_page.h"
#include "engine/cli/prose.h"
#include "engine/cli/version.h"
#include "graph/text.h"

namespace hourglass::cli {
namespace {

constexpr const char* kCommandSection = "1";
constexpr const char* kTopicSection = "7";

// As roff prints it, on a line of its own or within one.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '\\': result += "\\e"; break;
      case '-': result += "\\-"; break;
      case '\'': result += "\\(aq"; break;
      case '`': result += "\\(ga"; break;
      case '^': result += "\\(ha"; break;
      case '~': result += "\\(ti"; break;
      default: result += c;
    }
  }
  if (result.starts_with('.')) result.insert(0, "\\&");
  return result;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

std::string hyphened(const CommandPath& path) {
  std::vector<std::string> names;
  for (const Command* one : path) names.push_back(one->name);
  return join(names, "-");
}

std::string name_of(const Topic& topic) { return "hourglass-" + std::string(topic.name); }

std::string head(const std::string& name, const char* section, std::string_view what) {
  return fmt::format(".\\\" Written by 'hourglass help --man'.\n.TH {} {} {} \"hourglass {}\"\n.SH NAME\n{} \\- {}\n",
                     upper(escaped(name)), section, release_date(), release_version(), escaped(name), escaped(what));
}

std::string bold(std::string_view text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + escaped(text) + "\\fR"; }

std::string entry_text(const std::string& term, std::string_view text) {
  return ".TP\n" + term + "\n" + (text.empty() ? "\\&" : escaped(text)) + "\n";
}

// A heading begins a paragraph by itself.
void begin_paragraph(std::string& text) {
  const std::size_t last_line = text.rfind('\n', text.size() - 2) + 1;
  if (text.compare(last_line, 3, ".SH") != 0) text += ".PP\n";
}

// Commands stand as they are typed; what is said of one stands before it.
void add_example(std::string& text, const Entry& entry) {
  begin_paragraph(text);
  if (!entry.text.empty()) text += escaped(entry.text) + ":\n";
  text += ".RS 4\n.nf\n" + escaped(entry.term) + "\n.fi\n.RE\n";
}

void add_prose(std::string& text, std::span<const Block> blocks) {
  for (const Block& block : blocks) {
    if (const std::string title = block.title(); !title.empty()) {
      text += ".SH " + upper(title) + "\n";
    } else if (block.entries.empty()) {
      begin_paragraph(text);
      text += escaped(block.paragraph) + "\n";
    }
    for (const Entry& entry : block.entries) {
      if (entry.term.starts_with("hourglass ")) {
        add_example(text, entry);
      } else {
        text += entry_text(bold(entry.term), entry.text);
      }
    }
  }
}

std::string label(const Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : names_of(option)) names.push_back(is_positional(option) ? italic(name) : bold(name));
  std::string text = join(names, ", ");
  if (is_positional(option) && takes_several(option)) text += "...";
  return is_flag(option) || is_positional(option) ? text : text + " " + italic(value_name(option));
}

std::string reference(const std::string& name, const char* section) {
  return ".BR " + escaped(name) + " (" + section + ")";
}

// The command that it belongs to, its own commands, or all topics.
std::string see_also(const CommandPath& path) {
  std::vector<std::string> pages;
  const CommandPath above(path.begin(), path.end() - 1);
  if (!above.empty()) pages.push_back(reference(hyphened(above), kCommandSection));
  for (const Command& one : path.back()->commands) {
    CommandPath below = path;
    below.push_back(&one);
    pages.push_back(reference(hyphened(below), kCommandSection));
  }
  for (const Topic& topic : topics()) pages.push_back(reference(name_of(topic), kTopicSection));
  return ".SH SEE ALSO\n" + join(pages, " ,\n") + "\n";
}

}  // namespace

std::string man_page_name(const CommandPath& path) { return hyphened(path) + "." + kCommandSection; }
std::string man_page_name(const Topic& topic) { return name_of(topic) + "." + kTopicSection; }

std::string man_page(const CommandPath& path) {
  const Command& command = *path.back();
  std::string text = head(hyphened(path), kCommandSection, command.help);
  text += ".SH SYNOPSIS\n" + bold(name_of(path)) + escaped(usage_of(path).substr(name_of(path).size())) + "\n";
  text += ".SH DESCRIPTION\n" + escaped(command.help) + ".\n";
  // What stands before the first heading describes the command.
  const std::vector<Block> footer = parse_prose(command.footer);
  const auto sections =
      std::find_if(footer.begin(), footer.end(), [](const Block& block) { return !block.title().empty(); });
  add_prose(text, {footer.begin(), sections});
  if (!command.commands.empty()) {
    text += ".SH COMMANDS\n";
    for (const Entry& one : command_entries(command)) text += entry_text(bold(one.term), one.text + ".");
  }
  text += ".SH OPTIONS\n";
  const std::vector<OptionGroup> groups = option_groups(path);
  for (const OptionGroup& group : groups) {
    if (groups.size() > 1) text += ".SS " + escaped(group.title) + "\n";
    for (const Option* option : group.options) text += entry_text(label(*option), text_of(*option) + ".");
  }
  add_prose(text, {sections, footer.end()});
  return text + see_also(path);
}

std::string man_page(const Topic& topic) {
  std::string text = head(name_of(topic), kTopicSection, topic.title) + ".SH DESCRIPTION\n";
  add_prose(text, parse_prose(topic.text));
  return text + ".SH SEE ALSO\n" + reference("hourglass", kCommandSection) + "\n";
}

}  // namespace hourglass::cli
