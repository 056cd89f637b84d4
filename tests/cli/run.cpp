#include "tests/cli/run.h"

#include <fcntl.h>
#include <signal.h>  // kill is POSIX
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/temporary_folder.h"

extern char** environ;

namespace hourglass::test {
namespace {

std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The program's process id. Files in the places of its streams.
pid_t start(const std::vector<std::string>& arguments, const std::string& in, const std::string& out,
            const std::string& err) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, in.c_str(), O_RDONLY, 0);
  const auto open = [&](int fd, const std::string& path) {
    if (path == "closed") {
      posix_spawn_file_actions_addclose(&actions, fd);
    } else {
      posix_spawn_file_actions_addopen(&actions, fd, path.c_str(), O_WRONLY | O_CREAT, 0600);
    }
  };
  open(STDOUT_FILENO, out);
  open(STDERR_FILENO, err);
  std::vector<char*> argv = {const_cast<char*>("hourglass")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  // A shell may have the tests, in the background, ignore Ctrl-C.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGINT);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const int error = ::posix_spawn(&child, HOURGLASS_PROGRAM, &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  REQUIRE(error == 0);
  return child;
}

int exit_code_of(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Run run(const std::vector<std::string>& arguments, const std::string& stdin_path, const std::string& stdout_path,
        const std::string& stderr_path) {
  const TemporaryFolder folder;
  const std::string in = stdin_path.empty() ? "/dev/null" : stdin_path;
  const std::string out = stdout_path.empty() ? folder / "out" : stdout_path;
  const std::string err = stderr_path.empty() ? folder / "err" : stderr_path;
  const int exit_code = exit_code_of(start(arguments, in, out, err));
  return {.exit_code = exit_code,
          .out = stdout_path.empty() ? slurp(out) : std::string(),
          .err = stderr_path.empty() ? slurp(err) : std::string()};
}

Run run_into_pipe(const std::vector<std::string>& arguments) {
  const TemporaryFolder folder;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  // The child opens the pipe's end by a name of its own, as it opens files.
  const std::string end = "/proc/self/fd/" + std::to_string(ends[1]), err = folder / "err";
  const int exit_code = exit_code_of(start(arguments, "/dev/null", end, err));
  ::close(ends[1]);
  Run result{.exit_code = exit_code, .out = {}, .err = slurp(err)};
  char buffer[4096];
  for (ssize_t count; (count = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    result.out.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  return result;
}

namespace {

Run signalled(const std::vector<std::string>& arguments, int signal,
              const std::function<bool(const std::string& err)>& when, int times, int pause) {
  const TemporaryFolder folder;
  const std::string out = folder / "out", err = folder / "err";
  const pid_t child = start(arguments, "/dev/null", out, err);
  // A program that ends before it says so stays a zombie until the end, so that the signal can't hit another.
  constexpr int kAttempts = 6000;
  for (int i = 0; i < kAttempts && !when(slurp(err)); ++i) ::usleep(10000);
  for (int i = 0; i < times; ++i) {
    REQUIRE(::kill(child, signal) == 0);
    // One that is still pending would swallow the next.
    if (i + 1 < times) ::usleep(static_cast<useconds_t>(pause) * 1000);
  }
  const int exit_code = exit_code_of(child);
  return {.exit_code = exit_code, .out = slurp(out), .err = slurp(err)};
}

}  // namespace

Run run_and_signal(const std::vector<std::string>& arguments, int signal, const std::string& when) {
  return signalled(
      arguments, signal, [&](const std::string& err) { return err.find(when) != std::string::npos; }, 1, 0);
}

Run run_and_signal_when(const std::vector<std::string>& arguments, int signal, const std::function<bool()>& when,
                        int times, int pause) {
  return signalled(
      arguments, signal, [&](const std::string&) { return when(); }, times, pause);
}

std::string last_line(const std::string& text) {
  std::istringstream lines(text);
  std::string last;
  for (std::string line; std::getline(lines, line);) last = line;
  return last;
}

void check_fails(const Run& result, int exit_code, const std::string& text) {
  CAPTURE(result.err);
  CAPTURE(text);
  CHECK(result.exit_code == exit_code);
  // What --json says of it.
  if (!result.out.empty()) CHECK(result.out.starts_with(R"({"event":"error")"));
  CHECK(result.err.rfind("hourglass: ", 0) == 0);
  CHECK(result.err.find("hourglass: ", 1) == std::string::npos);
  CHECK(result.err.find(text) != std::string::npos);
}

}  // namespace hourglass::test
