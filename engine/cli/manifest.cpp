#include "engine/cli/manifest.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "engine/image/file.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

bool is_result(const Json& object) {
  const std::string status = text_of(object, "status");
  return status == kDone || status == kKept;
}

// "a/b" and "a" of "a/b/c.jpg". A line that tells of a file says that they could be read.
std::vector<std::string> folders_above(const std::string& file) {
  std::vector<std::string> folders;
  for (std::filesystem::path path = file; path.has_relative_path() && path.parent_path() != path;) {
    path = path.parent_path();
    folders.push_back(path.string());
  }
  return folders;
}

}  // namespace

Manifest::Manifest(const std::string& path) : path_(path) {
  if (path.empty()) return;
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_to_write(name(), "cannot open", errno);
  if (::lseek(descriptor_, 0, SEEK_END) <= 0 || ::lseek(descriptor_, 0, SEEK_SET) != 0) return;
  const std::vector<uint8_t> bytes = read_from(descriptor_, name());
  for (const Json& object : parse_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()}).objects) {
    know(object);
  }
  if (bytes.back() != '\n') add_text("\n");  // what a power cut has left of a line ends here
}

Manifest::~Manifest() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Manifest::add(const Json& object) {
  add_found(object);
  sync();
}

void Manifest::add_found(const Json& object) {
  add_text(object.text() + "\n");
  know(object);
}

bool Manifest::tells(const Json& object) const {
  const std::string input = text_of(object, "input"), output = text_of(object, "output");
  if (is_result(object)) {
    const std::vector<std::string> above = folders_above(input);
    const auto could_not_be_read = [&](const std::string& folder) { return failures_.contains({folder, ""}); };
    return results_.contains(output) && std::none_of(above.begin(), above.end(), could_not_be_read);
  }
  const auto known = failures_.find({input, output});
  return known != failures_.end() && known->second == text_of(object, "error");
}

void Manifest::know(const Json& object) {
  const std::string input = text_of(object, "input"), output = text_of(object, "output");
  if (is_result(object)) {
    results_.insert(output);
  } else {
    failures_[{input, output}] = text_of(object, "error");
  }
  if (is_of_folder(object)) return;
  for (const std::string& folder : folders_above(input)) failures_.erase({folder, ""});
}

void Manifest::add_text(const std::string& text) {
  if (descriptor_ >= 0) write_to(descriptor_, name(), bytes_of(text));
}

void Manifest::sync() {
  if (descriptor_ < 0) return;
  if (::fsync(descriptor_) != 0 && errno != EINVAL) fail_to_write(name(), "cannot write", errno);  // pipes can't
}

std::string text_of(const Json& object, const char* name) {
  const Json* member = object.find(name);
  return member == nullptr ? std::string() : member->text_or({});
}

bool is_of_folder(const Json& object) { return text_of(object, "output").empty(); }

ManifestLines parse_manifest(std::string_view text) {
  ManifestLines lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty()) continue;
    std::optional<Json> object = Json::parse(line);
    if (object && !text_of(*object, "status").empty() && !text_of(*object, "input").empty()) {
      lines.objects.push_back(*std::move(object));
    } else {
      ++lines.broken;
    }
  }
  return lines;
}

ManifestLines read_manifest(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  ManifestLines lines = parse_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (lines.objects.empty()) fail("{}: is no manifest: no line of it is an object with input and status", path);
  return lines;
}

std::vector<Json> merge_manifests(const std::vector<Json>& objects) {
  std::vector<Json> merged;
  std::map<std::pair<std::string, std::string>, std::size_t> place_of;  // by input and output
  for (const Json& object : objects) {
    const std::string input = text_of(object, "input"), output = text_of(object, "output");
    if (!is_of_folder(object)) {
      for (const std::string& folder : folders_above(input)) {
        const auto unreadable = place_of.find({folder, ""});
        if (unreadable == place_of.end()) continue;
        merged[unreadable->second] = Json();
        place_of.erase(unreadable);
      }
    }
    const auto [place, is_new] = place_of.emplace(std::pair(input, output), merged.size());
    if (is_new) {
      merged.push_back(object);
      continue;
    }
    Json& known = merged[place->second];
    const std::string before = text_of(known, "status"), now = text_of(object, "status");
    // What a line of "done" has measured, one of "kept" does not know.
    if (now == kDone || (now == kKept && before != kDone) || (now == kFailed && before == kFailed)) known = object;
  }
  std::erase_if(merged, [](const Json& object) { return text_of(object, "status").empty(); });
  return merged;
}

}  // namespace hourglass::cli
