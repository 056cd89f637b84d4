// Where Linux keeps the limits that this process is under: the folders of its control groups.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace hourglass {

enum class CgroupVersion : int { v1 = 1, v2 = 2 };

// Calls look(folder, version) for the process's cgroup of the controller ("cpu", "memory") and for all those around it,
// whose limits count as well; a folder may come twice, or not be there. `root` is a test's.
void for_each_cgroup(std::string_view controller, const std::string& root,
                     const std::function<void(const std::string& folder, CgroupVersion version)>& look);

}  // namespace hourglass
