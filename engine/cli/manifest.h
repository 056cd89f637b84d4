// The record of a run of several files: a JSON object on a line of its own for each file that ends, added at once, so
// that whatever ends the run leaves what was done before it. Runs that share the files out (--shard), or that come one
// after the other, may each have a manifest, or one together.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/cli/json.h"

namespace hourglass::cli {

// "status" of an object.
inline constexpr const char* kDone = "done";      // by this run
inline constexpr const char* kKept = "kept";      // by an earlier one, of which no manifest tells here
inline constexpr const char* kFailed = "failed";  // "error" says why

class Manifest {
 public:
  // An empty path: none. Throws Error where it can't be written.
  explicit Manifest(const std::string& path);
  ~Manifest();
  Manifest(const Manifest&) = delete;
  Manifest& operator=(const Manifest&) = delete;

  // Is on disk afterwards. Throws Error, and NoSpace where that is the reason.
  void add(const Json& object);
  // The same of what the next run would find out again: it is on disk after sync(), once for thousands of files.
  void add_found(const Json& object);
  void sync();
  // Whether it says so already: of a result that there is one in that place, done or kept, and of no folder above its
  // input that it could not be read; of a failure the same words.
  [[nodiscard]] bool tells(const Json& object) const;

 private:
  void add_text(const std::string& text);
  void know(const Json& object);
  [[nodiscard]] std::string name() const { return "--manifest " + path_; }

  std::string path_;
  int descriptor_ = -1;
  std::set<std::string> results_;                                        // outputs
  std::map<std::pair<std::string, std::string>, std::string> failures_;  // the last words, by input and output
};

// The objects of a manifest; lines that a break has cut off are left out, and counted.
struct ManifestLines {
  std::vector<Json> objects;
  int64_t broken = 0;
};
ManifestLines parse_manifest(std::string_view text);
// Throws Error where there is no such file, and where no line of it is a manifest's.
ManifestLines read_manifest(const std::string& path);

// Where the object has such a text, that; else an empty one.
std::string text_of(const Json& object, const char* name);
// Whether it tells of a folder that could not be read, which has no output.
bool is_of_folder(const Json& object);

// What became of each input and output, in the order of their first lines: a result counts more than a failure, and of
// two lines that say alike the last. A folder that could not be read is left out where a later line tells of a file in
// it.
std::vector<Json> merge_manifests(const std::vector<Json>& objects);

}  // namespace hourglass::cli
