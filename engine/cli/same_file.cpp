#include "engine/cli/same_file.h"

#include <filesystem>
#include <system_error>

#include "engine/image/file.h"
#include "graph/error.h"

namespace hourglass::cli {

namespace fs = std::filesystem;

namespace {

void refuse(const NamedFile& file, const NamedFile& earlier) {
  fail("{}: is both the {} and the {}: name another file", file.second, earlier.first, file.first);
}

}  // namespace

std::string canonical_path(const std::string& path) {
  if (output_name(path) == "-") return "-";
  std::error_code error;
  // weakly_canonical() alone leaves a bare name that does not exist yet relative.
  const fs::path absolute = fs::absolute(path, error);
  if (error) return path;
  const fs::path canonical = fs::weakly_canonical(absolute, error);
  return (error ? absolute : canonical).string();
}

bool same_file(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return false;
  if (canonical_path(a) == canonical_path(b)) return true;
  if (a == "-" || b == "-") return false;
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;  // hard links
}

void check_distinct(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs) {
  for (auto output = outputs.begin(); output != outputs.end(); ++output) {
    std::error_code ignored;
    if (fs::is_regular_file(output->second, ignored)) {
      for (const NamedFile& input : inputs) {
        if (same_file(input.second, output->second)) refuse(*output, input);
      }
    }
    for (auto earlier = outputs.begin(); earlier != output; ++earlier) {
      if (same_file(earlier->second, output->second)) refuse(*output, *earlier);
    }
  }
}

}  // namespace hourglass::cli
