// The command line as data. A command says what options it has and where their values go; parse() reads the arguments
// of the program into those places; ParsedCommand says afterwards what was given and what was left at its default.
//
//   Command compare{.name = "compare", .help = "Measure how near an image is to its reference"};
//   compare.add({{.names = "IMAGE", .target = &a.image, .help = "The image", .required = true},
//                {.names = "-s,--scale", .target = &a.scale, .help = "How large", .checks = {range(1, 8)}}});
//   compare.run = [&a](ParsedCommand&) { return compare_images(a); };
//
// Only command_line.cpp knows which library does the parsing.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/cli/checks.h"
#include "engine/cli/exit_code.h"

namespace hourglass::cli {

// A flag that makes this false; a plain bool is a flag that makes it true.
struct Clears {
  bool* flag;
};

// A flag that says how often it is given: -vv makes it 2.
struct Counts {
  int* times;
};

// Where the value of an option goes. A list of numbers takes several values with commas between them, a list of texts
// several arguments. What stands there
// beforehand is the default, which --help shows; an optional, an empty text and an empty list have none.
using Target = std::variant<std::string*, int*, int64_t*, uint64_t*, double*, std::optional<int>*,
                            std::optional<int64_t>*, std::optional<uint64_t>*, std::optional<double>*,
                            std::vector<int>*, std::vector<int64_t>*, std::vector<std::string>*, bool*, Clears, Counts>;

struct Option {
  std::string names;  // "-o,--output"; without dashes, "INPUT", where the place among the arguments tells which it is
  // What its value is called, where neither checks nor the kind of number say it: "WIDTHxHEIGHT". Shells complete FILE,
  // FOLDER, NET (a built-in network, or a file), COMMAND (or a topic of the help), and words in small letters, as in
  // "leaves|FILE". See value_name().
  std::string takes = {};
  Target target;
  std::string help;
  std::vector<Check> checks = {};  // all must hold, in this order
  bool required = false;
  std::string heading = {};  // under which --help lists it, where that is not "Options"
  // Exactly one of the options whose choice has the same name must be given.
  std::string choice = {};
  // Refused beside the options of a choice that are not named here, as in {"--drop"}.
  std::vector<std::string> only_with = {};
  // The values of the command's --method that it means something to (engine/cli/method.h); none: to all of them.
  std::vector<std::string> methods = {};
  bool common = false;  // --help lists it first, before all headings: what most people need
  // An image to write: beside the input where it is not given, or on standard output where the input is standard input.
  bool beside_input = false;

  ~Option();
};

// "output" of "-o,--output", "INPUT" of "INPUT".
std::string name_of(const Option& option);
bool is_flag(const Option& option);
// Called by its place among the arguments.
bool is_positional(const Option& option);
// One that takes several values, as INPUT...
bool takes_several(const Option& option);
// "FILE", "learn|filter|fit", "N"; empty for a flag.
std::string value_name(const Option& option);
// As ParsedOption::value has it where nothing is given.
std::string default_text(const Option& option);

struct ParsedCommand;

// Its destructor, and Option's, are compiled once: every command makes both. They are copied where others are moved.
struct Command {
  std::string name, help;
  std::string footer = {};  // at the end of --help: explanations and examples (engine/cli/prose.h)
  std::vector<Option> options = {};
  std::vector<Command> commands = {};  // where there are any, one of them must follow
  std::function<ExitCode(ParsedCommand&)> run = {};

  void add(std::initializer_list<Option> more);
  // By name_of(); there must be one.
  Option& option(std::string_view name);
  void remove(std::string_view name);

  ~Command();
};

struct ParsedOption {
  Option option;
  std::string name;    // name_of(option)
  bool given = false;  // on the command line, or by set()
  // As given or the default; a list's elements with commas between them. Empty for a flag, and where there is neither.
  std::string value = {};

  // A value that is not empty, or a flag that is set.
  [[nodiscard]] bool in_force() const { return is_flag(option) ? given : !value.empty(); }
};

struct ParsedCommand {
  std::string name;
  // All that are called by a name but --help, as they are declared; the choices come last.
  std::vector<ParsedOption> options;
  std::vector<std::string> arguments = {};  // what is given by its place, as the names of files
  std::function<ExitCode(ParsedCommand&)> run;

  // As it is before anything is given.
  explicit ParsedCommand(const Command& command);

  // Null where there is no such option.
  [[nodiscard]] const ParsedOption* find(std::string_view name) const;
  [[nodiscard]] bool given(std::string_view name) const;
  // As if it had been given on the command line; `value` counts for nothing where it is a flag. Throws Error for a
  // value that is refused. There must be such an option.
  void set(std::string_view name, const std::string& value);
};

// What every command has, and what the program has besides, which the parser itself sees to: --help and --version.
const Option& help_option();
const Option& version_option();

// The program and the commands that lead from it to one: hourglass, bench, threads.
using CommandPath = std::vector<const Command*>;

// "hourglass bench threads".
std::string name_of(const CommandPath& path);
// Each command of the program, itself first, those of a command behind it.
std::vector<CommandPath> all_commands(const Command& program);

// Arguments that make no command: what() says why, and which --help explains it.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The command that the arguments call, with the targets of its options filled; or the text that --help or --version
// (`version`) asks for in its place. Throws UsageError.
std::variant<ParsedCommand, std::string> parse(const Command& program, const std::string& version, int argc,
                                               const char* const* argv);

}  // namespace hourglass::cli
