#include "engine/cli/child_process.h"

#include <fcntl.h>
#include <signal.h>  // kill is POSIX
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <new>
#include <system_error>

#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include "engine/cli/interrupt.h"
#include "engine/cli/json.h"
#include "engine/cli/output.h"
#include "engine/image/file.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

sigset_t ending_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : InterruptGuard::kSignals) ::sigaddset(&set, number);
  return set;
}

// Until the work has handlers of its own, such a signal ends the process.
void handle_by_default() {
  for (const int number : InterruptGuard::kSignals) {
    struct sigaction action {};
    ::sigaction(number, nullptr, &action);
    if (action.sa_handler == SIG_IGN) continue;
    action.sa_handler = SIG_DFL;
    ::sigaction(number, &action, nullptr);
  }
}

void tell_error(const std::string& message, bool no_space = false) {
  Json object{{"error", message}};
  if (no_space) object["no_space"] = true;
  print_to(stdout, object.text() + "\n");
}

ExitCode guarded(const std::function<ExitCode()>& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    tell_error("out of memory");
  } catch (const NoSpace& error) {
    tell_error(error.what(), true);
  } catch (const std::exception& error) {
    tell_error(error.what());
  }
  return ExitCode::error;
}

}  // namespace

ChildProcess::ChildProcess(const std::function<ExitCode()>& work) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    fail("no pipe to a further process: {}", std::system_category().message(errno));
  }
  std::fflush(stdout);
  const pid_t parent = ::getpid();
  // A signal that comes meanwhile waits until the child would not mistake it for this process's.
  sigset_t before;
  const sigset_t ending = ending_signals();
  ::sigprocmask(SIG_BLOCK, &ending, &before);
  id_ = ::fork();
  if (id_ == 0) handle_by_default();
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (id_ < 0) {
    const int reason = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    fail("no further process: {}", std::system_category().message(reason));
  }
  if (id_ == 0) {
#if defined(__linux__)
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(static_cast<int>(ExitCode::terminated));  // it has gone before that
#else
    static_cast<void>(parent);
#endif
    ::dup2(ends[1], STDOUT_FILENO);
    const ExitCode code = guarded(work);
    std::fflush(stdout);
    ::_exit(static_cast<int>(code));
  }
  ::close(ends[1]);
  descriptor_ = ends[0];
  ::fcntl(descriptor_, F_SETFL, O_NONBLOCK);
}

ChildProcess::~ChildProcess() {
  if (id_ > 0) {
    ::kill(id_, SIGKILL);
    wait();
  }
  ::close(descriptor_);
}

bool ChildProcess::read(const std::function<void(const std::string& line)>& take) {
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t count = ::read(descriptor_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return true;
    unfinished_.append(buffer.data(), static_cast<std::size_t>(count));
    for (std::size_t end = 0; (end = unfinished_.find('\n')) != std::string::npos;) {
      const std::string line = unfinished_.substr(0, end);
      unfinished_.erase(0, end + 1);
      take(line);
    }
    if (count == 0) return false;
  }
}

void ChildProcess::ask_to_end() const {
  if (id_ > 0) ::kill(id_, SIGTERM);
}

ChildProcess::End ChildProcess::wait() {
  int status = 0;
  rusage usage{};
  while (::wait4(id_, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  id_ = -1;
  constexpr std::size_t kKiB = 1024;  // ru_maxrss on Linux and the BSDs
  End end{.peak_bytes = static_cast<std::size_t>(usage.ru_maxrss) * kKiB};
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  end.exit_code = end.signal != 0 ? 128 + end.signal : WEXITSTATUS(status);
  return end;
}

}  // namespace hourglass::cli
