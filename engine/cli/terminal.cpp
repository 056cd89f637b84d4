#include "engine/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace hourglass::cli {

bool is_terminal(std::FILE* stream) {
  const char* kind = std::getenv("TERM");
  return isatty(fileno(stream)) != 0 && kind != nullptr && std::string_view(kind) != "dumb";
}

std::size_t terminal_columns(std::FILE* stream) {
  winsize size{};
  constexpr std::size_t kUsual = 80;
  return ::ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

std::size_t help_columns() {
  constexpr std::size_t kNarrowest = 40, kUsual = 80, kWidest = 120;  // longer lines are hard to read
  std::size_t columns = 0;
  if (const char* said = std::getenv("COLUMNS")) columns = std::strtoul(said, nullptr, 10);
  winsize size{};
  if (columns == 0 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  return columns == 0 ? kUsual : std::clamp(columns, kNarrowest, kWidest);
}

std::size_t report_columns() {
  constexpr std::size_t kMost = 80;
  return std::min(help_columns(), kMost);
}

std::size_t terminal_rows() {
  winsize size{};
  constexpr std::size_t kUsual = 24;
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : kUsual;
}

std::string bar(double share, int columns) {
  const int full = static_cast<int>(share * columns);
  std::string text = "[";
  for (int i = 0; i < columns; ++i) text += i < full ? '=' : (i == full ? '>' : ' ');
  return text + "]";
}

}  // namespace hourglass::cli
