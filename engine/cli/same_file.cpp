#include "engine/cli/same_file.h"

#include <filesystem>
#include <system_error>

namespace hourglass::cli {

namespace fs = std::filesystem;

std::string canonical_path(const std::string& path) {
  if (path == "-") return path;
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

}  // namespace hourglass::cli
