// The `hourglass` program: the command line, and errors as messages and exit codes. The work is in the layers below.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <variant>

#include "engine/cli/commands.h"
#include "engine/cli/output.h"
#include "engine/cli/spin_count.h"
#include "engine/cli/version.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

ExitCode report(ExitCode code, std::string_view text) {
  print_to(stderr, fmt::format("hourglass: {}\n", text));
  return code;
}

constexpr const char* kCannotPrint = "standard output: cannot write";

// A full disk behind stdout shows when it is flushed.
ExitCode flushed(ExitCode code) {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) fail(kCannotPrint);
  return code;
}

// Of --version, with or without --json.
std::string version(int argc, char** argv) {
  const bool json =
      std::any_of(argv, argv + argc, [](const char* argument) { return argument == std::string("--json"); });
  return json ? version_json() : version_text();
}

ExitCode run(int argc, char** argv) {
  // As with other programs; 'help' is a command of its own.
  static std::string version_flag = "--version";
  if (argc > 1 && argv[1] == std::string("version")) argv[1] = version_flag.data();
  try {
    std::variant<ParsedCommand, std::string> asked = parse(program(), version(argc, argv), argc, argv);
    if (auto* command = std::get_if<ParsedCommand>(&asked)) return flushed(command->run(*command));
    print_to(stdout, std::get<std::string>(asked));
    return flushed(ExitCode::ok);
  } catch (const UsageError& error) {
    return report(ExitCode::usage, error.what());
  }
}

}  // namespace

}  // namespace hourglass::cli

int main(int argc, char** argv) {
  using namespace hourglass::cli;
  restore_environment();
  fill_standard_streams();
  ExitCode code = ExitCode::error;
  try {
    code = run(argc, argv);
  } catch (const hourglass::Error& error) {
    code = report(ExitCode::error, error.what());
  } catch (const std::bad_alloc&) {
    code = report(ExitCode::error, "out of memory");
  } catch (const std::exception& error) {
    // What is printed where nothing can be written is thrown too.
    const bool printing = std::ferror(stdout) != 0;
    code = report(ExitCode::error, printing ? kCannotPrint : fmt::format("unexpected: {}", error.what()));
  }
  return static_cast<int>(code);
}
