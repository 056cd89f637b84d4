#include "engine/measure/load.h"

#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "engine/runtime/cgroups.h"

namespace hourglass {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

// CPU seconds of a line of /proc/stat: "cpu3  user nice system idle iowait irq softirq steal guest guest_nice", in
// ticks; guest is counted in user.
struct Line {
  std::string name;  // "cpu" of all together
  double busy = 0, stolen = 0;
};

std::vector<Line> read_stat(const std::string& path) {
  std::vector<Line> lines;
  const auto ticks = static_cast<double>(std::max(1L, sysconf(_SC_CLK_TCK)));
  std::ifstream file(path);
  for (std::string text; std::getline(file, text) && text.starts_with("cpu");) {
    std::istringstream line(text);
    std::string name;
    double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
    if (!(line >> name >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal)) continue;
    lines.push_back({.name = name, .busy = (user + nice + system + irq + softirq) / ticks, .stolen = steal / ticks});
  }
  return lines;
}

// Of the process's cgroups, the one that was held back the longest.
double read_throttled(const std::string& root) {
  double seconds = 0;
  for_each_cgroup("cpu", root, [&](const std::string& folder, CgroupVersion version) {
    const bool is_v2 = version == CgroupVersion::v2;
    constexpr double kMicro = 1e-6, kNano = 1e-9;
    std::ifstream file(folder + "/cpu.stat");
    std::string name;
    for (double value = 0; file >> name >> value;) {
      if (name == (is_v2 ? "throttled_usec" : "throttled_time")) {
        seconds = std::max(seconds, value * (is_v2 ? kMicro : kNano));
      }
    }
  });
  return seconds;
}

}  // namespace

LoadCounters read_load(const std::string& root, const CpuSet& cpus) {
  LoadCounters counters;
  counters.at = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  std::set<std::string> names;
  for (const int cpu : cpus) names.insert(fmt::format("cpu{}", cpu));
  const std::vector<Line> lines = read_stat(root + "/proc/stat");
  const auto is_asked = [&](const Line& line) { return names.contains(line.name); };
  counters.cpus = static_cast<int>(std::count_if(lines.begin(), lines.end(), is_asked));
  if (counters.cpus == 0) {
    names = {"cpu"};
    counters.cpus = std::max(1, static_cast<int>(lines.size()) - 1);
  }
  for (const Line& line : lines) {
    if (!is_asked(line)) continue;
    counters.busy += line.busy;
    counters.stolen += line.stolen;
  }
  counters.throttled = read_throttled(root);
  std::ifstream(root + "/proc/loadavg") >> counters.load_average;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  counters.own = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  counters.preemptions = usage.ru_nivcsw;
  return counters;
}

Load load_between(const LoadCounters& begin, const LoadCounters& end) {
  const double seconds = end.at - begin.at;
  Load load{.cpus = begin.cpus, .load_average = begin.load_average};
  if (!(seconds > 0)) return load;
  load.others = std::max(0.0, (end.busy - begin.busy) - (end.own - begin.own)) / seconds;
  load.stolen = std::max(0.0, end.stolen - begin.stolen) / seconds;
  load.throttled = std::max(0.0, end.throttled - begin.throttled) / seconds;
  load.preemptions = static_cast<double>(end.preemptions - begin.preemptions) / seconds;
  return load;
}

std::string describe(const Load& load) {
  constexpr double kVisible = 0.05;
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (load.others > kVisible * load.cpus)
    add(fmt::format("other programs used {:.1f} of {} CPUs", load.others, load.cpus));
  if (load.stolen > kVisible * load.cpus) add(fmt::format("the hypervisor kept back {:.1f}", load.stolen));
  if (load.throttled > kVisible) {
    add(fmt::format("the cgroup's quota held threads back for {:.0f} % of the time", 100 * load.throttled));
  }
  if (text.empty()) return text;
  return text + fmt::format("; load average at the start {:.1f}, {:.0f} preemptions a second", load.load_average,
                            load.preemptions);
}

}  // namespace hourglass
