// Progress of a run of several files: on a terminal a line for the whole and one for each file under way, which rewrite
// themselves; elsewhere a line for each file that ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/cli/time_left.h"

namespace hourglass::cli {

struct ManyState {
  std::size_t files = 0, done = 0, kept = 0, failed = 0;  // done counts those that are kept and those that failed
  int64_t pixels = 0;                                     // of all files that are not kept
  double pixels_done = 0;                                 // and of what is done of them, those under way by an estimate
  double seconds = 0;                                     // so far
  std::vector<std::string> under_way;                     // a line for each
};

class ManyProgress {
 public:
  explicit ManyProgress(bool quiet);
  // Leaves the lines as they stand.
  ~ManyProgress();
  ManyProgress(const ManyProgress&) = delete;
  ManyProgress& operator=(const ManyProgress&) = delete;

  // So many of the files have been looked at for what is done already; all of them leave nothing of that on a terminal.
  // Shows nothing where it is quick.
  void look(std::size_t seen, std::size_t files, double seconds);
  void show(const ManyState& state);
  // A file has ended, as `text` says.
  void file(const ManyState& state, const std::string& text);
  // A message that stays, also where everything is quiet but errors.
  void error(const std::string& text);
  void say(const std::string& text);
  void finish();

 private:
  void clear();

  bool quiet_, terminal_;
  std::size_t lines_ = 0;  // that are on the terminal and will be rewritten
  double shown_ = -1;      // seconds
  double looked_ = 0;      // seconds, of look()
  TimeLeft left_;
};

}  // namespace hourglass::cli
