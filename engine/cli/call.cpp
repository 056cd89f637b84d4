#include "engine/cli/call.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/output.h"
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
    // As long as nothing has told the arguments apart.
    arguments_.assign(argv + std::min(argc, 1), std::find(argv, argv + argc, std::string("--")));
    wants_json_ = std::any_of(arguments_.begin(), arguments_.end(), [](std::string_view argument) {
      return argument == "--json" || argument.starts_with("--json=");
    });
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
    wants_json_ = command_->given("json");
    return flushed(command_->run(*command_));
  }

  ExitCode report(ExitCode code, const std::string& text) const {
    print_message(stderr, fmt::format("hourglass: {}", text));
    if (!wants_json_) return code;
    const Json object =
        error_object(text, command_ && command_->arguments.size() == 1 ? command_->arguments[0] : std::string());
    // Where the output itself goes to stdout, the objects make way.
    std::FILE* stream = (command_ ? takes_stdout(*command_) : may_take_stdout()) ? stderr : stdout;
    print_to(stream, object.text() + "\n");
    std::fflush(stream);
    return code;
  }

  static bool takes_stdout(const ParsedCommand& command) {
    const ParsedOption* output = command.find("output");
    if (output == nullptr || output->option.takes == "FOLDER") return false;
    if (!output->value.empty()) return output_name(output->value) == "-";
    return output->option.beside_input && command.arguments.size() == 1 && is_stream(command.arguments[0]);
  }

  // The same of arguments that make no command, as far as they tell.
  [[nodiscard]] bool may_take_stdout() const {
    std::optional<std::string> output;
    bool from_stream = false;
    for (std::size_t i = 1; i < arguments_.size(); ++i) {
      const std::string& argument = arguments_[i];
      constexpr std::string_view kLong = "--output=", kShort = "-o";
      if (argument == kShort || argument == "--output") {
        if (i + 1 < arguments_.size()) output = arguments_[++i];
      } else if (argument.starts_with(kLong)) {
        output = argument.substr(kLong.size());
      } else if (argument.starts_with(kShort)) {
        output = argument.substr(kShort.size());
      } else {
        from_stream = from_stream || is_stream(argument);
      }
    }
    if (output) {
      return output_name(*output) == "-" &&
             !has_option([](const Option& one) { return name_of(one) == "output" && one.takes == "FOLDER"; });
    }
    return from_stream && has_option([](const Option& one) { return one.beside_input; });
  }

  // Whether the command that the first argument names has an option that is so.
  template <typename Is>
  [[nodiscard]] bool has_option(const Is& is) const {
    const std::vector<Command> commands = program().commands;
    const auto called = std::find_if(commands.begin(), commands.end(),
                                     [&](const Command& one) { return one.name == arguments_.front(); });
    return called != commands.end() && std::any_of(called->options.begin(), called->options.end(), is);
  }

  int argc_;
  char** argv_;
  std::vector<std::string> arguments_;  // those before "--"
  bool wants_json_ = false;
  std::optional<ParsedCommand> command_;
};

}  // namespace

ExitCode call(int argc, char** argv) { return Call(argc, argv).run(); }

}  // namespace hourglass::cli
