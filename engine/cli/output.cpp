#include "engine/cli/output.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>  // SIGPIPE is POSIX
#include <unistd.h>

#include <sstream>

#include "engine/cli/prose.h"
#include "engine/cli/terminal.h"
#include "graph/text.h"

namespace hourglass::cli {

void print_to(std::FILE* stream, std::string_view text) {
  // A reader of stdout that has gone ends the program, as is usual; one of stderr does not.
  const auto before = stream == stderr ? ::signal(SIGPIPE, SIG_IGN) : SIG_ERR;
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
  if (before != SIG_ERR) ::signal(SIGPIPE, before);
}

void print_message(std::FILE* stream, std::string_view text) {
  std::string lines;
  std::istringstream given{std::string(text)};
  for (std::string line; std::getline(given, line);) {
    if (is_terminal(stream)) line = join(broken_at_blanks(line, terminal_columns(stream)), "\n");
    lines += line + "\n";
  }
  print_to(stream, lines.empty() ? "\n" : lines);
}

void print_table(std::FILE* stream, std::string_view text) {
  print_to(stream, std::string(text) + (text.ends_with('\n') ? "" : "\n"));
}

void print_command(std::FILE* stream, std::string_view before, std::string_view command) {
  constexpr std::size_t kIndent = 2;
  std::string text = fmt::format("{}: {}\n", before, command);
  if (is_terminal(stream) && columns_of(text) > terminal_columns(stream)) {
    text = fmt::format("{}:\n", before);
    for (const std::string& line : wrapped_command(command, terminal_columns(stream) - kIndent)) {
      text += std::string(kIndent, ' ') + line + "\n";
    }
  }
  print_to(stream, text);
}

void warn(std::string_view text) { print_message(stderr, fmt::format("hourglass: warning: {}", text)); }

void note(std::string_view text) { print_message(stderr, fmt::format("hourglass: note: {}", text)); }

void fill_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // open() takes the lowest place that is free.
    if (::fcntl(fd, F_GETFD) < 0) ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace hourglass::cli
