// The manual pages, in man(7)'s macros: hourglass(1), hourglass-restore(1), hourglass-stopping(7) of a topic.
#pragma once

#include <string>

#include "engine/cli/command_line.h"
#include "engine/cli/help_topics.h"

namespace hourglass::cli {

// "hourglass-bench-threads.1", "hourglass-cells.7".
std::string man_page_name(const CommandPath& path);
std::string man_page_name(const Topic& topic);

std::string man_page(const CommandPath& path);
std::string man_page(const Topic& topic);

}  // namespace hourglass::cli
