// Which file a name on the command line stands for: two spellings of one file are one file.
#pragma once

#include <string>

namespace hourglass::cli {

// The absolute path, without symbolic links as far as it exists. "-" stays what it is.
std::string canonical_path(const std::string& path);

// Whether both name the same file, or would once it is there.
bool same_file(const std::string& a, const std::string& b);

}  // namespace hourglass::cli
