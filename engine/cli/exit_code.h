// What the program tells the shell.
#pragma once

#include <signal.h>  // SIGHUP is POSIX

namespace hourglass::cli {

enum class ExitCode : int {
  ok = 0,
  error = 1,          // the work could not be done: a message says why, nothing was written
  usage = 2,          // the command line is wrong
  some_failed = 3,    // of several files: a message says of each why, the others were done
  slower = 4,         // bench compare: a point is slower than it was
  differs = 5,        // verify: the JPEG did not come from the image
  hung_up = 129,      // 128 + SIGHUP
  interrupted = 130,  // 128 + SIGINT
  terminated = 143,   // 128 + SIGTERM
};

// Of a run that SIGINT, SIGTERM or SIGHUP has ended.
inline ExitCode exit_code_of(int signal) {
  return signal == SIGTERM ? ExitCode::terminated : signal == SIGHUP ? ExitCode::hung_up : ExitCode::interrupted;
}

}  // namespace hourglass::cli
