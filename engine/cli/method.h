// How an image is restored, where there is more than one way: a command's --method. Which options belong to which
// method stands with each of them (Option::methods); here is what follows of it.
#pragma once

#include <string>
#include <string_view>

#include "engine/cli/command_line.h"
#include "engine/cli/command_text.h"

namespace hourglass::cli {

inline constexpr const char* kFilter = "filter";  // Task::filter(): no network
inline constexpr const char* kLearn = "learn";    // the filter, and a network that learns from the picture made smaller
inline constexpr const char* kFit = "fit";        // a network is fitted; its result goes through Task::finish()

// The line as if it had been typed with this --method: without the options that belong to others.
ParsedCommand of_method(ParsedCommand line, std::string_view method);

// Where the flag `name` is given, gives the line what it is short for in its place: values by the names of their
// options, but for those that the line gives itself. Throws Error where the line gives another --method.
void expand_flag(ParsedCommand& line, std::string_view name, const NamedValues& short_for);

// Settles a command's --method. It is what the line says; where that says nothing, the one that a given option belongs
// to, and else the `usual` one. From then on the line has it as given, and no options of other methods. Throws Error
// for an option that belongs to another method than the line says, or than another option does.
void choose_method(ParsedCommand& line, const std::string& usual);

}  // namespace hourglass::cli
