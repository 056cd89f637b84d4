#include "engine/cli/checkpoint_file.h"

#include <filesystem>
#include <sstream>
#include <system_error>

#include "engine/cli/same_file.h"
#include "engine/image/file.h"
#include "graph/error.h"

namespace hourglass::cli {

bool CheckpointFile::due(double seconds, double expected) const {
  if (!possible() || seconds - written_at_ < options_.every_seconds) return false;
  return options_.on_request || exists_ || expected >= kLongRun;
}

void CheckpointFile::write(const Archive& archive, double seconds) {
  // Also after a failure: a full disk is not tried again in every iteration.
  written_at_ = seconds;
  write_file_atomically(
      options_.path, [&](const WriteBytes& write) { archive.write(write); }, /*overwrite=*/true);
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
  const ReadableFile file = open_file(path);
  try {
    return Archive::open(file.size, file.read);
  } catch (const Error& error) {
    throw error.within(path);
  }
}

}  // namespace hourglass::cli
