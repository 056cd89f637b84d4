// How the threads of a team wait for each other: spinning, or asleep, as the machine's other work asks for.
//
//   const AdaptiveWaiting waiting(threads);   // while plans run
//
// A thread that spins goes on at once when the others are done, and on an idle machine that makes small networks up to
// twice as fast. Where other programs want the CPUs, it holds the CPU that the late thread needs. So both are tried
// where the scheduler counts time for which threads of this process were ready to run and had no CPU (waiting_rule.h).
// Results do not depend on how threads wait.
//
// GCC's OpenMP runtime (libgomp) alone is told. With another one, where Linux doesn't count that time, where
// OMP_WAIT_POLICY says how threads wait, and where a team has far fewer threads than there are CPUs, all stays as it
// is.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace hourglass {

// Seconds for which the threads of a process stood ready without a CPU, in all, of those that still run. None where the
// system does not count them. `folder` is the process's in /proc, or a test's.
std::optional<double> seconds_without_cpu(const std::string& folder = "/proc/self");

// Every run of a plan says that it has ended: how many do in a second shows which way of waiting is faster.
void count_run() noexcept;

// Chooses, as long as it lives, how all threads of this process wait. One at a time.
class AdaptiveWaiting {
 public:
  // `threads`: how many compute at the same time, 1 or more.
  explicit AdaptiveWaiting(int threads);
  ~AdaptiveWaiting();
  AdaptiveWaiting(const AdaptiveWaiting&) = delete;
  AdaptiveWaiting& operator=(const AdaptiveWaiting&) = delete;

  // For how long waiting threads have slept so far, because others wanted the CPUs.
  [[nodiscard]] double seconds_asleep() const;

 private:
  class Watch;
  std::unique_ptr<Watch> watch_;  // none where there is nothing to choose
};

// Makes the threads of all teams sleep, nearly at once, while they wait, as long as it lives. libgomp lets them spin
// for a hundred turns alone where it manages more threads than the process has CPUs (libgomp/config/linux/wait.h). So
// this starts a further team, which has nothing to do.
class SleepingTeams {
 public:
  // `threads` as above.
  explicit SleepingTeams(int threads);
  ~SleepingTeams();
  SleepingTeams(const SleepingTeams&) = delete;
  SleepingTeams& operator=(const SleepingTeams&) = delete;

 private:
  class Holder;
  std::unique_ptr<Holder> holder_;
};

}  // namespace hourglass
