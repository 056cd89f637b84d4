#include "engine/cli/input_files.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <numeric>
#include <system_error>
#include <utility>

#include "engine/cli/same_file.h"
#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

namespace fs = std::filesystem;

// A file, and the place of its result below the output folder, still with its own ending.
struct Found {
  fs::path path, place;
  std::optional<ImageHeader> header = {};
};

fs::path place_of_listed(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  const bool leads_away = normal.is_absolute() || (!normal.empty() && *normal.begin() == "..");
  return leads_away ? normal.filename() : normal;
}

std::vector<std::string> read_list(const InputArguments& arguments) {
  const std::vector<uint8_t> bytes = read_file(arguments.files_from);
  const std::string text(bytes.begin(), bytes.end());
  std::vector<std::string> names;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(arguments.null_separated ? '\0' : '\n', at), text.size());
    if (end > at) names.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return names;
}

// Whether it looks like an image, by its name or by its first bytes.
bool is_taken(const fs::path& path, const std::optional<ImageHeader>& header, const InputRule& rule) {
  if (header) return !rule.format || header->format == *rule.format;
  if (::access(path.c_str(), R_OK) == 0) return false;
  // What can't be read is told of when its turn comes.
  try {
    const std::string ending = path.extension().string();
    return !ending.empty() && (format_to_write(path.string()) == ImageFormat::jpeg ||
                               (rule.format != ImageFormat::jpeg && ending == ".png"));
  } catch (const Error&) {
    return false;
  }
}

// The images below a folder, by name, files before links to them. Throws Error, with the folder that can't be read.
void add_folder(const fs::path& folder, const fs::path& top, const InputRule& rule, std::vector<Found>& found) {
  std::vector<fs::path> files, folders;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->is_directory(ignored) && !at->is_symlink(ignored)) folders.push_back(at->path());
    if (at->is_regular_file(ignored)) files.push_back(at->path());
  }
  if (error) fail("{}: cannot read the folder: {}", folder.string(), error.message());
  const auto is_link = [](const fs::path& path) {
    std::error_code ignored;
    return fs::is_symlink(path, ignored);
  };
  std::sort(folders.begin(), folders.end());
  std::sort(files.begin(), files.end());
  std::stable_partition(files.begin(), files.end(), [&](const fs::path& path) { return !is_link(path); });
  const std::string own = fs::path(rule.suffix).stem().string();  // ".restored"
  for (const fs::path& file : files) {
    if (file.stem().string().ends_with(own)) continue;
    const std::optional<ImageHeader> header = find_image_header(file.string());
    if (!is_taken(file, header, rule)) continue;
    found.push_back({.path = file, .place = file.lexically_relative(top), .header = header});
  }
  for (const fs::path& below : folders) add_folder(below, top, rule, found);
}

// Of a named file, which must be there and be an image; a broken one is told of when its turn comes.
ImageHeader header_of_named(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    fail("{}: does not exist{}", path, path.ends_with('\r') ? " (the name ends with a carriage return)" : "");
  }
  if (!fs::is_regular_file(path, error)) fail("{}: is no regular file, and of several inputs each must be one", path);
  if (const std::optional<ImageHeader> header = find_image_header(path)) return *header;
  read_image(path);  // says what it is
  fail("{}: is neither a JPEG nor a PNG file", path);
}

// Whether hourglass has made the file, as its metadata says.
bool is_result(const std::string& path) {
  return find_text(read_beginning(path, kMetadataWithin), kRecordKeyword).has_value();
}

// "2/8" of the files: they go, large ones first, each to the part that has the fewest pixels yet.
std::vector<InputFile> part_of(std::vector<InputFile> files, const std::string& shard) {
  if (shard.empty()) return files;
  int part = 0, parts = 0;
  const char* end = shard.data() + shard.size();
  const auto [slash, first_error] = std::from_chars(shard.data(), end, part);
  const bool has_slash = first_error == std::errc() && slash != end && *slash == '/';
  const auto [rest, second_error] = has_slash ? std::from_chars(slash + 1, end, parts) : std::from_chars_result{};
  if (!has_slash || second_error != std::errc() || rest != end || part < 1 || part > parts) {
    fail("--shard {}: is none: 2/8 is the second of eight parts", shard);
  }
  std::vector<int64_t> pixels(static_cast<std::size_t>(parts));
  std::vector<InputFile> mine;
  for (InputFile& file : files) {
    const auto least = std::min_element(pixels.begin(), pixels.end());
    *least += std::max<int64_t>(file.pixels, 1);
    if (least - pixels.begin() == part - 1) mine.push_back(std::move(file));
  }
  return mine;
}

}  // namespace

bool InputArguments::one_file() const {
  std::error_code ignored;
  return inputs.size() == 1 && files_from.empty() && output_dir.empty() && shard.empty() &&
         (is_stream(inputs[0]) || !fs::is_directory(inputs[0], ignored));
}

std::vector<InputFile> find_input_files(const InputArguments& arguments, const InputRule& rule) {
  std::vector<Found> found;
  for (const std::string& input : arguments.inputs) {
    if (is_stream(input))
      fail("-: standard input is one file, and others are named beside it: save it as a file first");
    std::error_code error;
    if (!fs::is_directory(input, error)) {
      found.push_back({.path = input, .place = fs::path(input).filename(), .header = header_of_named(input)});
    } else if (arguments.recursive) {
      add_folder(input, input, rule, found);
    } else {
      fail("{}: is a folder: -r takes the images in it and below", input);
    }
  }
  if (!arguments.files_from.empty()) {
    for (const std::string& name : read_list(arguments)) {
      found.push_back({.path = name, .place = place_of_listed(name), .header = header_of_named(name)});
    }
  }
  if (found.empty()) {
    fail("there is no {} to work on in what was named", rule.format == ImageFormat::jpeg ? "JPEG" : "JPEG or PNG");
  }

  std::vector<InputFile> files;
  std::map<std::string, std::string> by_input, by_output;  // canonical path -> as named
  for (const Found& one : found) {
    const std::string path = one.path.string();
    if (!by_input.emplace(canonical_path(path), path).second) continue;
    fs::path output = arguments.output_dir.empty() ? one.path : arguments.output_dir / one.place;
    output.replace_extension(rule.suffix);
    const auto [other, is_new] = by_output.emplace(canonical_path(output.string()), path);
    if (!is_new) {
      fail("{} and {}: would both be written to {}: rename one, or give them in two runs", other->second, path,
           output.string());
    }
    const std::optional<ImageHeader>& header = one.header;
    fs::path place = one.place;
    files.push_back({.path = path,
                     .output = output.string(),
                     .place = place.replace_extension().generic_string(),
                     .format = header ? std::optional(header->format) : std::nullopt,
                     .pixels = header ? header->width * header->height : 0});
  }
  for (const auto& [output, input] : by_output) {
    const auto in_the_way = by_input.find(output);
    if (in_the_way == by_input.end()) continue;
    if (is_result(in_the_way->second)) {  // of an earlier run, as "*.jpg" names them too
      std::erase_if(files, [&](const InputFile& file) { return file.path == in_the_way->second; });
      continue;
    }
    fail("{}: would be replaced by what is made of {}: name another --output-dir", in_the_way->second, input);
  }
  std::sort(files.begin(), files.end(), [](const InputFile& a, const InputFile& b) {
    return a.pixels != b.pixels ? a.pixels > b.pixels : a.path < b.path;
  });
  return part_of(std::move(files), arguments.shard);
}

}  // namespace hourglass::cli
