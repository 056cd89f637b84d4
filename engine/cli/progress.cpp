#include "engine/cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace hourglass::cli {
namespace {

constexpr double kTerminalInterval = 0.1;  // seconds between rewrites
constexpr double kPlainInterval = 1.0;     // seconds between lines in a log

std::string bar(double share) {
  constexpr int kWidth = 20;
  const int full = static_cast<int>(share * kWidth);
  std::string text = "[";
  for (int i = 0; i < kWidth; ++i) text += i < full ? '=' : (i == full ? '>' : ' ');
  return text + "]";
}

// Of the terminal behind stderr; some don't say.
std::size_t columns() {
  winsize size{};
  constexpr std::size_t kUsual = 80;
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

std::string rate_text(double rate) {
  return rate >= 1 || rate <= 0 ? fmt::format("{:.1f} it/s", rate) : fmt::format("{:.1f} s/it", 1 / rate);
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  if (whole >= 3600) return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

Progress::Progress(Mode mode) : mode_(mode), terminal_(isatty(STDERR_FILENO) != 0) {}
Progress::~Progress() { finish(); }

void Progress::show(int64_t done, int64_t total, double seconds, const std::string& text) {
  if (mode_ == Mode::quiet) return;
  const bool last = done >= total;
  if (!last && last_shown_ >= 0 && seconds - last_shown_ < (terminal_ ? kTerminalInterval : kPlainInterval)) return;
  last_shown_ = seconds;
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const std::string left = rate > 0 ? duration_text(static_cast<double>(total - done) / rate) : "?";
  // What matters most comes first: a narrow terminal cuts the end off.
  std::string line =
      fmt::format("{}/{}  {}  {}  {}", done, total, last ? "done" : left + " left", rate_text(rate), text);
  if (terminal_) {
    // A line that wraps could not be rewritten.
    const std::size_t room = columns() - 1;
    const std::string with_bar =
        fmt::format("{} {}", bar(static_cast<double>(done) / static_cast<double>(total)), line);
    if (with_bar.size() <= room) line = with_bar;
    fmt::print(stderr, "\r\x1b[K{}", std::string_view(line).substr(0, room));
    std::fflush(stderr);
    line_open_ = true;
  } else {
    fmt::print(stderr, "{}\n", line);
  }
}

void Progress::say(const std::string& text) {
  if (mode_ == Mode::quiet) return;
  finish();
  fmt::print(stderr, "{}\n", text);
}

void Progress::finish() {
  if (line_open_) fmt::print(stderr, "\n");
  line_open_ = false;
}

}  // namespace hourglass::cli
