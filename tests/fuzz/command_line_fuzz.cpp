// A command line: each line of the bytes is an argument. The program's parser makes a command of them, the text of a
// help page, or a refusal that says why; nothing is run. What it makes of them is repeated by its settings, and texts
// of its own kind (sizes, earlier command lines) are read too. Of the commands, that which is called is there as it is,
// the others by their names alone: to declare all of them takes most of a start of the program.
#include <algorithm>
#include <iterator>
#include <string>
#include <variant>
#include <vector>

#include "engine/cli/commands.h"
#include "engine/cli/settings.h"
#include "engine/cli/size_option.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace hourglass;
using namespace hourglass::cli;
using fuzz::expect;

std::vector<std::string> lines_of(fuzz::Bytes bytes) {
  std::vector<std::string> lines(1);
  for (const uint8_t byte : bytes) {
    if (byte == '\n') {
      lines.emplace_back();
    } else if (byte != 0) {  // which no argument holds
      lines.back() += static_cast<char>(byte);
    }
  }
  return lines;
}

// With names and texts for a page of help, and no option.
Command outline_of(const Command& whole) {
  Command outline{.name = whole.name, .help = whole.help, .footer = whole.footer};
  for (const Command& one : whole.commands) outline.commands.push_back(outline_of(one));
  return outline;
}

using MakeCommand = Command (*)();
constexpr MakeCommand kCommands[] = {restore_command,    denoise_command, inpaint_command, upscale_command,
                                     verify_command,     compare_command, report_command,  degrade_command,
                                     experiment_command, learn_command,   model_command,   bench_command,
                                     help_command};

// The program as far as these arguments go: of one input of some, with all commands, otherwise with those alone that
// are called by their names.
Command program_for(const std::vector<std::string>& arguments, bool with_all) {
  static const Command outline = [] {
    const Command whole = program();
    expect(whole.commands.size() == std::size(kCommands), "all of the program's commands are listed here");
    for (std::size_t i = 0; i < whole.commands.size(); ++i) {
      expect(whole.commands[i].name == kCommands[i]().name, "they are listed in their order");
    }
    return outline_of(whole);
  }();
  Command made{.name = outline.name, .help = outline.help, .footer = outline.footer};
  for (std::size_t i = 0; i < outline.commands.size(); ++i) {
    const Command& one = outline.commands[i];
    if (std::find(arguments.begin(), arguments.end(), one.name) != arguments.end()) {
      made.commands.push_back(kCommands[i]());
    } else if (with_all) {
      made.commands.push_back(one);
    }
  }
  if (made.commands.empty()) made.commands.push_back(outline.commands.front());
  return made;
}

void parse_arguments(const std::vector<std::string>& arguments, bool with_all) {
  const Command hourglass = program_for(arguments, with_all);
  std::vector<const char*> argv{"hourglass"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  try {
    auto asked = parse(hourglass, "version", static_cast<int>(argv.size()), argv.data());
    if (const auto* text = std::get_if<std::string>(&asked)) return expect(!text->empty(), "a text is printed");
    auto& command = std::get<ParsedCommand>(asked);
    const Settings settings(command);
    expect(Settings::parse(settings.text()).text() == settings.text(), "the settings come back");
    settings.apply_to(command);
  } catch (const UsageError& refusal) {
    expect(refusal.what()[0] != 0, "a refusal says why");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  fuzz::refusing({data, size}, [&](fuzz::Bytes) { parse_size(text); });
  fuzz::refusing({data, size}, [&](fuzz::Bytes) { Settings::parse(text); });
  fuzz::refusing({data, size}, [&](fuzz::Bytes) { Settings::of_command_line(text); });
  return fuzz::refusing({data, size},
                        [](fuzz::Bytes bytes) { parse_arguments(lines_of(bytes), fuzz::is_chosen(bytes)); });
}
