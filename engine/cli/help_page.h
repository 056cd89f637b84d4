// What there is to say of a command, in order, from its declarations: --help shows it, man_page.h and completion.h
// write it down for others.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/cli/command_line.h"
#include "engine/cli/prose.h"

namespace hourglass::cli {

struct OptionGroup {
  std::string title;  // "Arguments", "Common options", "How (exactly one of these)"
  std::vector<const Option*> options;
};

// The last command's arguments and options, with --help: arguments, choices, common options, the others, by heading.
std::vector<OptionGroup> option_groups(const CommandPath& path);

// Those that are called by a name.
std::vector<const Option*> named_options(const CommandPath& path);

// "-o", "--output"; "INPUT".
std::vector<std::string> names_of(const Option& option);

// "-o, --output FILE", "--fast", "INPUT...".
std::string label_of(const Option& option);

// What it is for, with its default.
std::string text_of(const Option& option);

// "hourglass verify [OPTIONS] PHOTO IMAGE".
std::string usage_of(const CommandPath& path);

// Its commands, and what they do.
std::vector<Entry> command_entries(const Command& command);

// What --help prints, in lines of at most `width` columns.
std::string help_text(const CommandPath& path, std::size_t width);

}  // namespace hourglass::cli
