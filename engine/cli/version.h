// What --version prints.
#pragma once

#include <string>

namespace hourglass::cli {

// hourglass and the libraries that decide about its results, one per line.
std::string version_text();

// "1.0.0", and the day of this release, "2026-11-29".
const char* release_version();
const char* release_date();

}  // namespace hourglass::cli
