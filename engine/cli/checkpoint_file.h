// The file in which a run is put away while it goes on, so that nothing is lost when it is ended.
//
//   CheckpointFile file({.path = "photo.restored.png.ckpt", .on_request = false, .every_seconds = 60});
//   if (file.due(seconds, expected_seconds)) file.write(archive);
//   file.remove();   // the run has ended well
#pragma once

#include <string>

#include "engine/train/archive.h"

namespace hourglass::cli {

struct CheckpointOptions {
  std::string path;         // empty: none is ever written
  bool on_request = false;  // otherwise only for runs of more than kLongRun
  double every_seconds = 60;
  double start_seconds = 0;  // how long the run had lasted when it was taken up
};

class CheckpointFile {
 public:
  explicit CheckpointFile(CheckpointOptions options)
      : options_(std::move(options)), written_at_(options_.start_seconds) {}

  [[nodiscard]] bool possible() const { return !options_.path.empty(); }
  [[nodiscard]] const std::string& path() const { return options_.path; }
  // After `seconds` of a run that will last about `expected`.
  [[nodiscard]] bool due(double seconds, double expected) const;
  // Replaces the file, which is whole at all times. Throws Error.
  void write(const Archive& archive, double seconds);
  // The file, if this run or the one that it goes on with has written it.
  void remove() const;
  void adopt() { exists_ = true; }

  // Runs shorter than this are begun anew rather than put away: two minutes.
  static constexpr double kLongRun = 120;

 private:
  CheckpointOptions options_;
  double written_at_;
  bool exists_ = false;
};

// Whether the run in the checkpoint has written this file, or would have.
bool written_by(const Archive& checkpoint, const std::string& path);

// The file is held open for what is deferred in it, until Archive::close(). Throws Error, with the path, when it is no
// whole checkpoint of this version.
Archive read_checkpoint(const std::string& path);

}  // namespace hourglass::cli
