// The `hourglass` program: the command line, and errors as messages and exit codes. The work is in the layers below.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <variant>

#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/output.h"
#include "engine/cli/spin_count.h"
#include "engine/cli/version.h"
#include "engine/image/file.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

constexpr const char* kCannotPrint = "standard output: cannot write";

// A full disk behind stdout shows when it is flushed.
ExitCode flushed(ExitCode code) {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) fail(kCannotPrint);
  return code;
}

// One call of the program. What is wrong is told once, and with --json as an object too.
class Call {
 public:
  Call(int argc, char** argv) : argc_(argc), argv_(argv) {
    // As with other programs; 'help' is a command of its own.
    static std::string version_flag = "--version";
    if (argc > 1 && argv[1] == std::string("version")) argv[1] = version_flag.data();
    char** const end = std::find(argv, argv + argc, std::string("--"));
    wants_json_ = std::find(argv, end, std::string("--json")) != end;
  }

  ExitCode run() {
    try {
      return called();
    } catch (const UsageError& error) {
      return report(ExitCode::usage, error.what());
    } catch (const Error& error) {
      return report(ExitCode::error, error.what());
    } catch (const std::bad_alloc&) {
      return report(ExitCode::error, "out of memory");
    } catch (const std::exception& error) {
      // What is printed where nothing can be written is thrown too.
      const bool printing = std::ferror(stdout) != 0;
      return report(ExitCode::error, printing ? kCannotPrint : fmt::format("unexpected: {}", error.what()));
    }
  }

 private:
  ExitCode called() {
    std::variant<ParsedCommand, std::string> asked =
        parse(program(), wants_json_ ? version_json() : version_text(), argc_, argv_);
    if (const auto* text = std::get_if<std::string>(&asked)) {
      print_to(stdout, *text);
      return flushed(ExitCode::ok);
    }
    command_ = std::get<ParsedCommand>(std::move(asked));
    return flushed(command_->run(*command_));
  }

  ExitCode report(ExitCode code, const std::string& text) const {
    print_message(stderr, fmt::format("hourglass: {}", text));
    if (!wants_json_) return code;
    Json object{{"event", "error"}};
    if (command_ && command_->arguments.size() == 1) object["input"] = command_->arguments[0];
    object["error"] = text;
    std::FILE* stream = image_on_stdout() ? stderr : stdout;
    print_to(stream, object.text() + "\n");
    std::fflush(stream);
    return code;
  }

  // Where the image itself goes to stdout, the objects make way.
  [[nodiscard]] bool image_on_stdout() const {
    const ParsedOption* output = command_ ? command_->find("output") : nullptr;
    if (output == nullptr) return false;
    if (!output->value.empty()) return output_name(output->value) == "-";
    return command_->arguments.size() == 1 && is_stream(command_->arguments[0]);
  }

  int argc_;
  char** argv_;
  bool wants_json_ = false;
  std::optional<ParsedCommand> command_;
};

}  // namespace

}  // namespace hourglass::cli

int main(int argc, char** argv) {
  using namespace hourglass::cli;
  restore_environment();
  fill_standard_streams();
  return static_cast<int>(Call(argc, argv).run());
}
