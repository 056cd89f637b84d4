#include "tests/cli/run.h"

#include <fcntl.h>
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

}  // namespace

Run run(const std::vector<std::string>& arguments, const std::string& stdin_path, const std::string& stdout_path) {
  const TemporaryFolder folder;
  const std::string in = stdin_path.empty() ? "/dev/null" : stdin_path;
  const std::string out = stdout_path.empty() ? folder / "out" : stdout_path, err = folder / "err";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  std::vector<char*> argv = {const_cast<char*>("hourglass")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, HOURGLASS_PROGRAM, &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  REQUIRE(error == 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          .out = stdout_path.empty() ? slurp(out) : std::string(),
          .err = slurp(err)};
}

std::string data_path(const std::string& name) { return std::string(HOURGLASS_TEST_DATA "/images/") + name; }

void check_fails(const Run& result, int exit_code, const std::string& text) {
  CAPTURE(result.err);
  CAPTURE(text);
  CHECK(result.exit_code == exit_code);
  CHECK(result.out.empty());
  CHECK(result.err.rfind("hourglass: ", 0) == 0);
  CHECK(result.err.find("hourglass: ", 1) == std::string::npos);
  CHECK(result.err.find(text) != std::string::npos);
}

}  // namespace hourglass::test
