// Which file a name on the command line stands for: two spellings of one file are one file.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace hourglass::cli {

// The absolute path, without symbolic links as far as it exists. "-" stays what it is.
std::string canonical_path(const std::string& path);

// Whether both name the same file, or would once it is there.
bool same_file(const std::string& a, const std::string& b);

// What the user knows it by, "--history" or "input", and its path; an empty path stands for none.
using NamedFile = std::pair<std::string, std::string>;

// Throws Error where an output would take the place of an input or of another output, however they are spelled. Streams
// and devices may be read and written.
void check_distinct(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs);

}  // namespace hourglass::cli
