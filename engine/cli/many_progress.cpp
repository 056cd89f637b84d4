#include "engine/cli/many_progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "engine/cli/command_text.h"
#include "engine/cli/output.h"
#include "engine/cli/progress.h"
#include "engine/cli/prose.h"
#include "engine/cli/terminal.h"

namespace hourglass::cli {
namespace {

constexpr double kMegapixel = 1e6;
constexpr double kLogInterval = 10;  // seconds between lines where there is no terminal

// What no terminal takes for a command: names of files may hold anything.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return text;
}

}  // namespace

ManyProgress::ManyProgress(bool quiet) : quiet_(quiet), terminal_(is_terminal()) {}
ManyProgress::~ManyProgress() { finish(); }

void ManyProgress::clear() {
  if (lines_ == 0) return;
  print_to(stderr, lines_ > 1 ? fmt::format("\r\x1b[{}A\x1b[J", lines_ - 1) : "\r\x1b[J");
  lines_ = 0;
}

void ManyProgress::look(std::size_t seen, std::size_t files, double seconds) {
  if (seen == files) return clear();
  if (quiet_ || seconds - looked_ < (terminal_ ? kTerminalInterval : kLogInterval)) return;
  looked_ = seconds;
  clear();
  print_to(stderr, fmt::format("looking for what is done: {}/{} files{}", seen, files, terminal_ ? "" : "\n"));
  if (terminal_) lines_ = 1;
}

void ManyProgress::show(const ManyState& state) {
  left_.add(static_cast<int64_t>(state.pixels_done), state.seconds);
  if (quiet_ || !terminal_ || (shown_ >= 0 && state.seconds - shown_ < kTerminalInterval)) return;
  shown_ = state.seconds;
  const auto range = left_.until(state.pixels);
  const double share = state.pixels > 0 ? state.pixels_done / static_cast<double>(state.pixels) : 1;
  std::string line =
      fmt::format("{}/{} files{}", state.done, state.files, range ? "  " + time_left_text(*range, false) : "");
  if (state.failed > 0) line += fmt::format("  {} failed", state.failed);
  line += fmt::format("  {:.1f} of {:.1f} megapixels", state.pixels_done / kMegapixel,
                      static_cast<double>(state.pixels) / kMegapixel);
  const std::size_t room = terminal_columns() - 1;
  const std::string with_bar = bar(share) + " " + line;
  std::string text = (with_bar.size() <= room ? with_bar : line).substr(0, room);
  // What has scrolled away can't be rewritten.
  const std::size_t shown = std::min(state.under_way.size(), std::max<std::size_t>(terminal_rows(), 3) - 2);
  for (std::size_t i = 0; i < shown; ++i) {
    text += '\n';
    text += first_columns(printable("  " + state.under_way[i]), room);
  }
  clear();
  print_to(stderr, text);
  lines_ = 1 + shown;
}

void ManyProgress::file(const ManyState& state, const std::string& text) {
  if (quiet_ || terminal_) return;
  print_to(stderr, fmt::format("{}/{}  {}\n", state.done, state.files, printable(text)));
}

void ManyProgress::error(const std::string& text) {
  clear();
  print_message(stderr, "hourglass: " + printable(text));
}

void ManyProgress::say(const std::string& text) {
  if (quiet_) return;
  clear();
  print_message(stderr, printable(text));
}

void ManyProgress::finish() {
  if (lines_ > 0) print_to(stderr, "\n");
  lines_ = 0;
}

}  // namespace hourglass::cli
