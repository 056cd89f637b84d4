#include "tests/cli/photos.h"

#include <fstream>
#include <sstream>

#include "engine/image/file.h"
#include "engine/image/jpeg.h"

namespace hourglass::test {

void save_jpeg(const std::string& path, int64_t width, uint32_t seed) {
  fs::create_directories(fs::path(path).parent_path());
  write_file_atomically(path, encode_jpeg(make_picture(width, 16, 3, seed), {.quality = 10}), true);
}

void fill(const std::string& photos) {
  save_jpeg(photos + "/a.jpg", 16, 1);
  save_jpeg(photos + "/b.jpg", 32, 2);
  save_jpeg(photos + "/below/c.jpeg", 48, 3);
  std::ofstream(photos + "/notes.txt") << "no photograph";
}

std::map<std::string, std::string> content(const std::string& folder) {
  std::map<std::string, std::string> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ostringstream bytes;
    bytes << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    files[entry.path().lexically_relative(folder).string()] = bytes.str();
  }
  return files;
}

Names names(const std::map<std::string, std::string>& files) {
  Names result;
  for (const auto& [name, bytes] : files) result.push_back(name);
  return result;
}

std::vector<nlohmann::json> objects_of(const std::string& lines) {
  std::vector<nlohmann::json> objects;
  std::istringstream stream(lines);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) objects.push_back(nlohmann::json::parse(line, nullptr, false));
  }
  return objects;
}

std::string text_of(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

Names children_of_children() {
  const auto children = [](const std::string& parent) {
    Names ids;
    std::error_code ignored;
    for (const auto& task : fs::directory_iterator("/proc/" + parent + "/task", ignored)) {
      std::ifstream file(task.path() / "children");
      for (std::string id; file >> id;) ids.push_back(id);
    }
    return ids;
  };
  Names found;
  for (const std::string& child : children("self")) {
    for (const std::string& id : children(child)) found.push_back(id);
  }
  return found;
}

Run filter(Names arguments) {
  arguments.insert(arguments.begin(), "restore");
  arguments.insert(arguments.end(), {"--fast", "--threads", "1"});
  return run(arguments);
}

}  // namespace hourglass::test
