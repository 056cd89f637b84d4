// What --version prints.
#pragma once

#include <string>

namespace hourglass::cli {

// hourglass and the libraries that decide about its results, one per line.
std::string version_text();

}  // namespace hourglass::cli
