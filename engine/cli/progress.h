// Progress on stderr: one line that rewrites itself on a terminal, a plain line now and then elsewhere. For programs,
// the same as JSON objects, one per line.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "engine/cli/json.h"
#include "engine/cli/time_left.h"

namespace hourglass::cli {

struct ProgressOptions {
  bool quiet = false;
  bool rate = false;          // also how many iterations a second there are
  std::FILE* json = nullptr;  // where the objects go; null for none
};

// A moment of the work, as it is shown: an iteration, or a share that is done.
struct ProgressPoint {
  int64_t done = 0, total = 0;           // equal when all is done
  double seconds = 0;                    // so far
  bool may_stop_early = false;           // total is an upper bound
  std::vector<std::string> fields = {};  // for people, what matters most first: a narrow terminal leaves out the last
  Json values = {};                      // for programs, an object
  bool is_share = false;                 // done and total count no iterations: only their quotient says something
};

class Progress {
 public:
  explicit Progress(ProgressOptions options);
  // Ends the rewritten line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Another piece of work begins, whose times have nothing to do with those before. `stage` is what it is called.
  void begin(const std::string& stage);
  // Notes the time, and says whether show() would show anything: it skips what comes faster than eyes or logs can use.
  bool due(int64_t done, int64_t total, double seconds);
  // Shows the time left, the fields and, where wanted, the rate; on a terminal behind a bar.
  void show(const ProgressPoint& point);
  // due() and show() of work that has nothing more to say.
  void show(int64_t done, int64_t total, double seconds);
  // The same of work that is done in no iterations: `share` goes from 0 to 1.
  void show_share(double share, double seconds);
  // A message between the progress lines, on a terminal in lines of whole words.
  void say(const std::string& text);
  // The same of a text with columns, whose lines stay.
  void say_table(const std::string& text);
  // The same of words and a command behind them.
  void say_command(const std::string& before, const std::string& command);
  // Leaves the last line as it stands.
  void finish();

 private:
  void show_line(const ProgressPoint& point);
  void show_json(const ProgressPoint& point);

  ProgressOptions options_;
  bool terminal_;
  std::string stage_;
  bool line_open_ = false;
  bool line_due_ = false, json_due_ = false;
  double line_shown_ = -1, json_shown_ = -1;  // seconds
  TimeLeft left_;
};

// "1 h 02 min", "3 min 20 s", "12 s".
std::string duration_text(double seconds);

// "2 min to 3 min left", "at most 3 min left", "12 s left".
std::string time_left_text(const TimeLeft::Range& range, bool may_stop_early);

}  // namespace hourglass::cli
