#include "engine/measure/load.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>

namespace hourglass {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

}  // namespace

LoadCounters read_load(const std::string& root) {
  LoadCounters counters;
  counters.at = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  // "cpu  user nice system idle iowait irq softirq steal guest guest_nice", in ticks; guest is counted in user.
  std::ifstream file(root + "/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  if (file >> name >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal && name == "cpu") {
    const auto ticks = static_cast<double>(std::max(1L, sysconf(_SC_CLK_TCK)));
    counters.busy = (user + nice + system + irq + softirq) / ticks;
    counters.stolen = steal / ticks;
  }
  std::ifstream(root + "/proc/loadavg") >> counters.load_average;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  counters.own = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  counters.preemptions = usage.ru_nivcsw;
  return counters;
}

Load load_between(const LoadCounters& begin, const LoadCounters& end) {
  const double seconds = end.at - begin.at;
  Load load{.load_average = begin.load_average};
  if (!(seconds > 0)) return load;
  load.others = std::max(0.0, (end.busy - begin.busy) - (end.own - begin.own)) / seconds;
  load.stolen = std::max(0.0, end.stolen - begin.stolen) / seconds;
  load.preemptions = static_cast<double>(end.preemptions - begin.preemptions) / seconds;
  return load;
}

std::string describe(const Load& load, int cpus) {
  constexpr double kVisible = 0.05;
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (load.others > kVisible * cpus) add(fmt::format("other programs used {:.1f} of {} CPUs", load.others, cpus));
  if (load.stolen > kVisible * cpus) add(fmt::format("the hypervisor kept back {:.1f}", load.stolen));
  if (text.empty()) return text;
  return text + fmt::format("; load average at the start {:.1f}, {:.0f} preemptions a second", load.load_average,
                            load.preemptions);
}

}  // namespace hourglass
