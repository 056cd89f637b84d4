#include "engine/cli/history.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <system_error>

#include "engine/image/file.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

constexpr double kFlushInterval = 1;  // seconds

std::string optional_text(const std::optional<double>& value) { return value ? fmt::format("{:.4f}", *value) : ""; }

std::string header_of(std::string_view columns, const std::string& record) {
  std::string header;
  std::istringstream lines(record);
  for (std::string line; std::getline(lines, line);) header += "# " + line + "\n";
  return fmt::format("{}{}\n", header, columns);
}

}  // namespace

History::History(const std::string& path, std::string_view columns, const std::string& record, std::string rows,
                 bool overwrite)
    : path_(path), rows_(std::move(rows)) {
  if (path_.empty()) return;
  const std::string start = header_of(columns, record);
  write_file_atomically(path_, bytes_of(start), overwrite);
  file_.reset(path_ == "-" ? ::fdopen(::dup(STDOUT_FILENO), "w") : std::fopen(path_.c_str(), "ae"));
  if (!file_) fail("{}: cannot open: {}", path_, std::system_category().message(errno));
  std::setvbuf(file_.get(), nullptr, _IONBF, 0);  // so that fwrite() says how far it came
  flush();
}

void History::add(const RestoreStep& step) {
  add_row(fmt::format("{},{:.3f},{:.8g},{:.4f},{:.4f},{},{},{}\n", step.iteration, step.seconds, step.loss,
                      step.psnr_degraded, step.psnr_degraded_average, optional_text(step.psnr_original),
                      optional_text(step.psnr_original_average), step.run),
          step.seconds);
}

void History::add(const LearnStep& step, double seconds) {
  add_row(fmt::format("{},{:.3f},{:.6g}\n", step.iteration, seconds, step.error), seconds);
}

void History::add_row(const std::string& row, double seconds) {
  rows_ += row;
  if (seconds - flushed_at_ < kFlushInterval) return;
  flushed_at_ = seconds;
  try_flush();
}

bool History::try_flush() {
  if (!file_) return true;
  written_ += std::fwrite(rows_.data() + written_, 1, rows_.size() - written_, file_.get());
  return written_ == rows_.size();
}

void History::flush() {
  if (!try_flush()) fail("{}: cannot write: {}", path_, std::system_category().message(errno));
}

}  // namespace hourglass::cli
