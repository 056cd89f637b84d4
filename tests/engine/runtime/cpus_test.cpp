#include "engine/runtime/cpus.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "engine/runtime/memory.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

// A tree of /proc and /sys as a test wants it.
class System {
 public:
  void put(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << '\n';
  }
  [[nodiscard]] std::string root() const { return folder_ / "root"; }

 private:
  TemporaryFolder folder_;
};

// OMP_NUM_THREADS as it is said, for the scope.
class OmpNumThreads {
 public:
  explicit OmpNumThreads(const char* value) {
    if (const char* was = std::getenv(kName)) was_ = was, had_ = true;
    value == nullptr ? ::unsetenv(kName) : ::setenv(kName, value, 1);
  }
  ~OmpNumThreads() { had_ ? ::setenv(kName, was_.c_str(), 1) : ::unsetenv(kName); }
  OmpNumThreads(const OmpNumThreads&) = delete;
  OmpNumThreads& operator=(const OmpNumThreads&) = delete;

 private:
  static constexpr const char* kName = "OMP_NUM_THREADS";
  std::string was_;
  bool had_ = false;
};

}  // namespace

TEST_CASE("there is at least one CPU, and OMP_NUM_THREADS counts where it is a number") {
  const OmpNumThreads unset(nullptr);
  const int cpus = available_cpus();
  CHECK(cpus >= 1);
  for (const auto& [text, threads] : {std::pair{"3", 3}, {"5,2", 5}, {"0", cpus}, {"many", cpus}, {"", cpus}}) {
    const OmpNumThreads told(text);
    const auto& this_text = text;
    CAPTURE(this_text);
    CHECK(available_cpus() == threads);
  }
}

TEST_CASE("the narrowest quota of all cgroups around the process counts") {
  SUBCASE("none") {
    const System system;
    CHECK(cgroup_cpus(system.root()) == 0);
    system.put("/proc/self/cgroup", "0::/");
    system.put("/sys/fs/cgroup/cpu.max", "max 100000");
    CHECK(cgroup_cpus(system.root()) == 0);
  }
  SUBCASE("version 2, its own and those around it") {
    const System system;
    system.put("/proc/self/cgroup", "0::/a.slice/b.slice/c.scope");
    system.put("/sys/fs/cgroup/a.slice/cpu.max", "300000 100000");
    CHECK(cgroup_cpus(system.root()) == 3);
    system.put("/sys/fs/cgroup/a.slice/b.slice/c.scope/cpu.max", "50000 100000");
    CHECK(cgroup_cpus(system.root()) == 0.5);
    system.put("/sys/fs/cgroup/a.slice/b.slice/cpu.max", "10000 50000");
    CHECK(cgroup_cpus(system.root()) == 0.2);
    system.put("/sys/fs/cgroup/a.slice/b.slice/other.scope/cpu.max", "1000 100000");
    CHECK(cgroup_cpus(system.root()) == 0.2);
  }
  SUBCASE("version 2 in a container, which sees itself as the root") {
    const System system;
    system.put("/proc/self/cgroup", "0::/");
    system.put("/sys/fs/cgroup/cpu.max", "150000 100000");
    CHECK(cgroup_cpus(system.root()) == 1.5);
  }
  SUBCASE("version 1, beside the other controllers") {
    const System system;
    system.put("/proc/self/cgroup", "11:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n1:name=systemd:/docker/1\n0::/x");
    const std::string folder = "/sys/fs/cgroup/cpu,cpuacct/docker/";
    system.put(folder + "1/cpu.cfs_quota_us", "-1");
    system.put(folder + "1/cpu.cfs_period_us", "100000");
    CHECK(cgroup_cpus(system.root()) == 0);
    system.put(folder + "cpu.cfs_quota_us", "250000");
    system.put(folder + "cpu.cfs_period_us", "100000");
    CHECK(cgroup_cpus(system.root()) == 2.5);
  }
}

TEST_CASE("the memory that is to be had is what the system and all cgroups around the process leave") {
  const System system;
  CHECK(available_memory(system.root()) == 0);
  system.put("/proc/meminfo", "MemTotal: 8000 kB\nMemFree: 100 kB\nMemAvailable: 6000 kB");
  CHECK(available_memory(system.root()) == 6000 * 1024);
  SUBCASE("version 2") {
    system.put("/proc/self/cgroup", "0::/a.slice/b.scope");
    system.put("/sys/fs/cgroup/a.slice/b.scope/memory.max", "max");
    system.put("/sys/fs/cgroup/a.slice/b.scope/memory.current", "1000");
    CHECK(available_memory(system.root()) == 6000 * 1024);
    system.put("/sys/fs/cgroup/a.slice/memory.max", "3000000");
    system.put("/sys/fs/cgroup/a.slice/memory.current", "2500000");
    CHECK(available_memory(system.root()) == 500000);
    // What files have been read to is given back.
    system.put("/sys/fs/cgroup/a.slice/memory.stat", "anon 1000\ninactive_file 400000\nactive_file 5");
    CHECK(available_memory(system.root()) == 900000);
  }
  SUBCASE("version 1") {
    system.put("/proc/self/cgroup", "11:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/x");
    system.put("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "2000000");
    system.put("/sys/fs/cgroup/memory/docker/memory.usage_in_bytes", "500000");
    CHECK(available_memory(system.root()) == 1500000);
  }
  CHECK(available_memory() > 0);
}

}  // namespace hourglass::test
