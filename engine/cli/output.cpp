#include "engine/cli/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>  // SIGPIPE is POSIX
#include <unistd.h>

namespace hourglass::cli {

void print_to(std::FILE* stream, std::string_view text) {
  // A reader of stdout that has gone ends the program, as is usual; one of stderr does not.
  const auto before = stream == stderr ? ::signal(SIGPIPE, SIG_IGN) : SIG_ERR;
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
  if (before != SIG_ERR) ::signal(SIGPIPE, before);
}

void warn(std::string_view text) { print_to(stderr, fmt::format("hourglass: warning: {}\n", text)); }

void note(std::string_view text) { print_to(stderr, fmt::format("hourglass: note: {}\n", text)); }

void fill_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // open() takes the lowest place that is free.
    if (::fcntl(fd, F_GETFD) < 0) ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace hourglass::cli
