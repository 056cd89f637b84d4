#include "engine/cli/checkpoint_file.h"

#include <filesystem>
#include <limits>
#include <sstream>
#include <system_error>
#include <utility>

#include "engine/cli/same_file.h"
#include "engine/image/file.h"
#include "graph/error.h"

namespace hourglass::cli {

bool CheckpointFile::due(double seconds, double expected) const {
  if (!possible() || seconds - written_at_ < options_.every_seconds) return false;
  return options_.on_request || exists_ || expected >= kLongRun;
}

void CheckpointFile::write(Archive archive, double seconds) {
  // Also after a failure: a full disk is not tried again in every iteration.
  written_at_ = seconds;
  write_file_atomically(options_.path, std::move(archive).encode(), /*overwrite=*/true);
  exists_ = true;
}

void CheckpointFile::remove() const {
  std::error_code ignored;
  if (exists_) std::filesystem::remove(options_.path, ignored);
}

bool written_by(const Archive& checkpoint, const std::string& path) {
  const std::string sought = canonical_path(path);
  std::istringstream lines(checkpoint.text("outputs"));
  for (std::string line; std::getline(lines, line);) {
    if (line == sought) return true;
  }
  return false;
}

Archive read_checkpoint(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path, std::numeric_limits<std::size_t>::max());
  try {
    return Archive::decode(bytes);
  } catch (const Error& error) {
    throw error.within(path);
  }
}

}  // namespace hourglass::cli
