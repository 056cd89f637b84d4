#include "engine/runtime/cgroups.h"

#include <fstream>

namespace hourglass {

void for_each_cgroup(std::string_view controller, const std::string& root,
                     const std::function<void(const std::string& folder, CgroupVersion version)>& look) {
  const std::string mount = root + "/sys/fs/cgroup", name(controller);
  const auto look_around = [&](const std::string& hierarchy, std::string path, CgroupVersion version) {
    for (; !path.empty() && path != "/"; path.erase(path.find_last_of('/'))) look(hierarchy + path, version);
  };
  // "0::/user.slice/app.scope" of version 2, "4:cpu,cpuacct:/docker/1234" of version 1. In a namespace of cgroups the
  // path counts from its own root, and the limits around that can't be seen.
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (path.empty() || path.front() != '/' || path.find("/..") != std::string::npos) continue;
    if (controllers.empty()) {
      for (const char* place : {"", "/unified"}) look_around(mount + place, path, CgroupVersion::v2);
    } else if (("," + controllers + ",").find("," + name + ",") != std::string::npos) {
      for (const std::string& place : {name, controllers}) look_around(mount + "/" + place, path, CgroupVersion::v1);
    }
  }
  for (const char* place : {"", "/unified"}) look(mount + place, CgroupVersion::v2);
  look(mount + "/" + name, CgroupVersion::v1);
}

}  // namespace hourglass
