#include "engine/cli/input_files.h"

#include <fmt/core.h>
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

FoundFile found_file(const fs::path& path, fs::path place, const std::optional<ImageHeader>& header) {
  return {.path = path.string(), .place = place.replace_extension().generic_string(), .header = header};
}

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
                               (rule.format != ImageFormat::jpeg && (ending == ".png" || ending == ".jxl")));
  } catch (const Error&) {
    return false;
  }
}

// The images below a folder, by name, files before links to them.
void add_folder(const fs::path& folder, const fs::path& top, const InputRule& rule, FoundFiles& found) {
  std::vector<fs::path> files, folders;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->is_directory(ignored) && !at->is_symlink(ignored)) folders.push_back(at->path());
    if (at->is_regular_file(ignored)) files.push_back(at->path());
  }
  if (error) {
    const std::string message = fmt::format("{}: cannot read the folder: {}", folder.string(), error.message());
    if (folder == top) throw Error(message);
    found.unreadable.push_back({.path = folder.string(), .message = message});
  }
  const auto is_link = [](const fs::path& path) {
    std::error_code ignored;
    return fs::is_symlink(path, ignored);
  };
  std::sort(folders.begin(), folders.end());
  std::sort(files.begin(), files.end());
  std::stable_partition(files.begin(), files.end(), [&](const fs::path& path) { return !is_link(path); });
  const std::string own = fs::path(rule.suffix).stem().string();  // ".restored"
  for (const fs::path& file : files) {
    if (!own.empty() && file.stem().string().ends_with(own)) continue;
    const std::optional<ImageHeader> header = find_image_header(file.string());
    if (is_taken(file, header, rule)) found.files.push_back(found_file(file, file.lexically_relative(top), header));
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
  fail("{}: is neither a JPEG nor a PNG file, nor a JPEG XL", path);
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

void add_input_options(Command& command, InputArguments& a, const std::string& heading) {
  command.add({{.names = "-r,--recursive",
                .target = &a.recursive,
                .help = "Take the images in folders, and in those below",
                .heading = heading,
                .common = true},
               {.names = "--files-from",
                .takes = "FILE",
                .target = &a.files_from,
                .help = "A list of inputs, one a line; -: from standard input",
                .heading = heading},
               {.names = "-0,--null",
                .target = &a.null_separated,
                .help = "The names in the list end with a zero byte, as 'find -print0' writes them",
                .heading = heading}});
}

void check_input_options(const InputArguments& arguments) {
  if (arguments.null_separated && arguments.files_from.empty()) fail("-0: belongs to --files-from");
}

FoundFiles find_images(const InputArguments& arguments, const InputRule& rule) {
  FoundFiles found;
  for (const std::string& input : arguments.inputs) {
    if (is_stream(input))
      fail("-: standard input is one file, and others are named beside it: save it as a file first");
    std::error_code error;
    if (!fs::is_directory(input, error)) {
      found.files.push_back(found_file(input, fs::path(input).filename(), header_of_named(input)));
    } else if (arguments.recursive) {
      add_folder(input, input, rule, found);
    } else {
      fail("{}: is a folder: -r takes the images in it and below", input);
    }
  }
  if (!arguments.files_from.empty()) {
    for (const std::string& name : read_list(arguments)) {
      found.files.push_back(found_file(name, place_of_listed(name), header_of_named(name)));
    }
  }
  return found;
}

InputFiles find_input_files(const InputArguments& arguments, const InputRule& rule) {
  FoundFiles found = find_images(arguments, rule);
  if (found.files.empty() && found.unreadable.empty()) {
    fail("there is no {} to work on in what was named",
         rule.format == ImageFormat::jpeg ? "JPEG" : "JPEG, PNG or JPEG XL");
  }

  std::vector<InputFile> files;
  std::map<std::string, std::string> by_input, by_output;  // canonical path -> as named
  for (const FoundFile& one : found.files) {
    if (!by_input.emplace(canonical_path(one.path), one.path).second) continue;
    fs::path output = one.path;
    output.replace_extension(rule.suffix);
    // The place has no ending any more, and what looks like one in it is none.
    if (!arguments.output_dir.empty()) output = fs::path(arguments.output_dir) / (one.place + rule.suffix);
    const auto [other, is_new] = by_output.emplace(canonical_path(output.string()), one.path);
    if (!is_new) {
      fail("{} and {}: would both be written to {}: rename one, or give them in two runs", other->second, one.path,
           output.string());
    }
    const std::optional<ImageHeader>& header = one.header;
    files.push_back({.path = one.path,
                     .output = output.string(),
                     .place = one.place,
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
  return {.files = part_of(std::move(files), arguments.shard), .unreadable = std::move(found.unreadable)};
}

}  // namespace hourglass::cli
