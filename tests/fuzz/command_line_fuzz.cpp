// A command line: each line of the bytes is an argument. The program's parser makes a command of them, the text of a
// help page, or a refusal that says why; nothing is run. What it makes of them is repeated by its settings, and texts
// of its own kind (sizes, earlier command lines) are read too.
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

void parse_arguments(const std::vector<std::string>& arguments) {
  const Command hourglass = program();
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
  return fuzz::refusing({data, size}, [](fuzz::Bytes bytes) { parse_arguments(lines_of(bytes)); });
}
