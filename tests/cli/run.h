// Runs the built `hourglass` program, without a shell, and says what it did.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/engine/image/fixtures.h"

namespace hourglass::test {

struct Run {
  int exit_code = -1;  // 128 + signal when a signal ended it
  std::string out, err;
};

// stdin_path: a file for standard input, empty for none. stdout_path, stderr_path: where these go instead of Run::out
// and Run::err; "closed" for nowhere.
Run run(const std::vector<std::string>& arguments, const std::string& stdin_path = {},
        const std::string& stdout_path = {}, const std::string& stderr_path = {});

// Standard output is a pipe, whose reader gets at most what a pipe holds: 64 KiB.
Run run_into_pipe(const std::vector<std::string>& arguments);

// Sends the signal as soon as stderr holds the text.
Run run_and_signal(const std::vector<std::string>& arguments, int signal, const std::string& when);
// The same as soon as `when()` is true, `times` times, `pause` milliseconds apart.
Run run_and_signal_when(const std::vector<std::string>& arguments, int signal, const std::function<bool()>& when,
                        int times = 1, int pause = 20);

// Without its line end: of --json, the result.
std::string last_line(const std::string& text);

// That it failed with the code, wrote nothing to stdout, but for an error of --json, and one message to stderr, which holds the text.
void check_fails(const Run& result, int exit_code, const std::string& text);

}  // namespace hourglass::test
