// Progress on stderr: one line that rewrites itself on a terminal, a plain line now and then elsewhere.
#pragma once

#include <cstdint>
#include <string>

namespace hourglass::cli {

class Progress {
 public:
  enum class Mode : uint8_t { quiet, normal };
  explicit Progress(Mode mode);
  // Ends the rewritten line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Shows the time left, the rate and `text`, behind a bar where the terminal has room; skips what comes faster than
  // eyes or logs can use.
  void show(int64_t done, int64_t total, double seconds, const std::string& text);
  // A message between the progress lines.
  void say(const std::string& text);
  // Leaves the last line as it stands.
  void finish();

 private:
  Mode mode_;
  bool terminal_;
  bool line_open_ = false;
  double last_shown_ = -1;
};

// "1 h 02 min", "3 min 20 s", "12 s".
std::string duration_text(double seconds);

}  // namespace hourglass::cli
