// The `hourglass` program: the command line, and errors as messages and exit codes. The work is in the layers below.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "engine/cli/commands.h"
#include "engine/cli/output.h"
#include "engine/cli/version.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

constexpr const char* kDescription = "Restores photographs from themselves, on the CPU, with the Deep Image Prior.";

constexpr const char* kFooter = R"(Examples:
  hourglass restore photo.jpg                               writes photo.restored.png beside it
  hourglass denoise noisy.png -o clean.png                  so do inpaint and upscale
  hourglass degrade photo.png -o photo.jpg --quality 10     make a bad JPEG of a good image
  hourglass compare photo.png photo.jpg                     how far is it from the original?

'hourglass COMMAND --help' explains a command. Inputs are JPEG or PNG, told apart by their content; '-' stands for
standard input or output. Exit codes: 0 done, 1 an error (nothing was written), 2 a wrong command line,
129 hung up, 130 interrupted, 143 terminated.)";

// Every command registers itself here.
void add_commands(CLI::App& app, Action& action) {
  add_restore_command(app, action);
  add_denoise_command(app, action);
  add_inpaint_command(app, action);
  add_upscale_command(app, action);
  add_verify_command(app, action);
  add_compare_command(app, action);
  add_degrade_command(app, action);
  add_experiment_command(app, action);
  add_model_command(app, action);
  add_bench_command(app, action);
}

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

// "bench threads ", the command that was chosen and the one in it; empty for none.
std::string chosen_names(const CLI::App& app) {
  std::string names;
  // Option groups are commands without a name.
  for (const CLI::App* chosen : app.get_subcommands()) {
    if (!chosen->get_name().empty()) names += chosen->get_name() + " " + chosen_names(*chosen);
  }
  return names;
}

ExitCode run(int argc, char** argv) {
  CLI::App app(kDescription, "hourglass");
  app.footer(kFooter);
  app.set_version_flag("--version", version_text(), "Print the versions of hourglass and its libraries");
  app.require_subcommand(1);
  Action action;
  add_commands(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return flushed(static_cast<ExitCode>(app.exit(help_or_version)));
  } catch (const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    if (chosen.empty() && !app.remaining().empty())
      return report(ExitCode::usage, fmt::format("there is no command or option '{}'\nTry 'hourglass --help'.",
                                                 app.remaining().front()));
    return report(ExitCode::usage, fmt::format("{}\nTry 'hourglass {}--help'.", error.what(), chosen_names(app)));
  }
  return flushed(action());
}

// Threads that wait for each other spin, then sleep. libgomp's default, 300 000 turns, is longer than the program's
// loops, so that on a machine with other work to do the waiting thread holds the CPU that the late one needs: 45 to 66
// ms per iteration instead of 30 to 34 (small network, 256x256, two threads beside two busy programs). On an idle
// machine the two are equal; without any spinning it takes 31 ms instead of 13. libgomp reads the environment when it
// is loaded, before any code of ours, so the program starts itself again. Should that fail, it is only slower.
void spin_briefly(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  if (setenv("GOMP_SPINCOUNT", "10000", 1) == 0) execv("/proc/self/exe", argv);
}

}  // namespace

void warn(std::string_view text) { print_to(stderr, fmt::format("hourglass: warning: {}\n", text)); }

}  // namespace hourglass::cli

int main(int argc, char** argv) {
  using namespace hourglass::cli;
  fill_standard_streams();
  spin_briefly(argv);
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
