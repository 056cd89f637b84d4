#include "engine/cli/image_pairs.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>

#include "engine/cli/command_text.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/output.h"
#include "engine/cli/same_file.h"
#include "engine/image/file.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

namespace fs = std::filesystem;

// What the program's commands put before the ending of a result.
constexpr std::string_view kResultMarks[] = {".restored", ".denoised", ".upscaled", ".filled"};

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return !is_stream(path) && fs::is_directory(path, ignored);
}

std::string without_mark(const std::string& place) {
  for (const std::string_view mark : kResultMarks) {
    if (place.ends_with(mark)) return place.substr(0, place.size() - mark.size());
  }
  return place;
}

// The files of the folder that images are judged by.
class Firsts {
 public:
  explicit Firsts(const PairArguments& arguments) : folder_(arguments.first) {
    FoundFiles found = find_images(
        {.inputs = {folder_}, .recursive = arguments.images.recursive, .files_from = {}, .output_dir = {}, .shard = {}},
        {.suffix = {}, .format = arguments.first_format});
    unreadable_ = std::move(found.unreadable);
    std::set<std::string> places;
    for (const FoundFile& file : found.files) places.insert(file.place);
    for (const FoundFile& file : found.files) {
      const std::string unmarked = without_mark(file.place);
      if (unmarked != file.place && places.contains(unmarked)) continue;  // a result beside its input
      const auto [other, is_new] = by_place_.emplace(file.place, file.path);
      if (!is_new) fail("{} and {}: which of them is meant by {} can't be told", other->second, file.path, file.place);
      files_.insert(canonical_path(file.path));
    }
  }

  [[nodiscard]] const std::vector<UnreadableFolder>& unreadable() const { return unreadable_; }
  [[nodiscard]] bool holds(const std::string& path) const { return files_.contains(canonical_path(path)); }
  // Nothing where there is none.
  std::optional<std::string> partner_of(const std::string& place) {
    for (const std::string& name : {place, without_mark(place)}) {
      const auto found = by_place_.find(name);
      if (found == by_place_.end()) continue;
      taken_.insert(name);
      return found->second;
    }
    return {};
  }
  [[nodiscard]] std::vector<std::string> without_partner() const {
    std::vector<std::string> paths;
    for (const auto& [place, path] : by_place_) {
      if (!taken_.contains(place)) paths.push_back(path);
    }
    return paths;
  }

 private:
  std::string folder_;
  std::map<std::string, std::string> by_place_;
  std::set<std::string> files_, taken_;  // canonical paths; places
  std::vector<UnreadableFolder> unreadable_;
};

void add_unreadable(const std::vector<UnreadableFolder>& folders, std::vector<ImagePair>& pairs) {
  for (const UnreadableFolder& folder : folders) {
    pairs.push_back({.first = {}, .image = folder.path, .failure = folder.message});
  }
}

Json object_of(const char* status, const ImagePair& pair, const Json& values) {
  Json object{{"event", pair.failure.empty() ? "result" : "error"}, {"status", status}};
  if (!pair.first.empty()) object["reference"] = pair.first;
  if (!pair.image.empty()) object["image"] = pair.image;
  object.update(values);
  return object;
}

// Standard input is read to its end once.
void check_streams(const PairArguments& arguments) {
  const std::vector<std::string>& images = arguments.images.inputs;
  const bool is_read_again = !arguments.one_pair() || images[0] == arguments.first;
  if (is_stream(arguments.first) && is_read_again)
    fail("{}: can be read once, and would be read again: save it as a file first", arguments.first);
}

}  // namespace

bool PairArguments::one_pair() const { return images.one_file() && !is_folder(first); }

void add_pair_options(Command& command, PairArguments& a, const PairHelp& help) {
  command.add({{.names = help.first_name, .target = &a.first, .help = help.first, .required = true},
               {.names = "IMAGE", .target = &a.images.inputs, .help = help.images}});
  add_input_options(command, a.images, "");
  command.add({{.names = "--json",
                .target = &a.json,
                .help = help.json + "; of several, an object on a line for each, with reference, image and status"}});
}

std::vector<ImagePair> find_pairs(const PairArguments& arguments) {
  const FoundFiles images = find_images(arguments.images, {});
  std::vector<ImagePair> pairs;
  add_unreadable(images.unreadable, pairs);
  if (!is_folder(arguments.first)) {
    for (const FoundFile& image : images.files) pairs.push_back({.first = arguments.first, .image = image.path});
  } else {
    Firsts firsts(arguments);
    add_unreadable(firsts.unreadable(), pairs);
    for (const FoundFile& image : images.files) {
      if (firsts.holds(image.path)) continue;
      const std::optional<std::string> first = firsts.partner_of(image.place);
      pairs.push_back({.first = first.value_or(""), .image = image.path});
      if (!first) {
        pairs.back().failure =
            fmt::format("{}: nothing in {} is called {}", image.path, arguments.first, without_mark(image.place));
      }
    }
    // Who names images by hand does not mean the others.
    const bool names_folders = std::any_of(arguments.images.inputs.begin(), arguments.images.inputs.end(), is_folder);
    for (const std::string& first : names_folders ? firsts.without_partner() : std::vector<std::string>()) {
      pairs.push_back(
          {.first = first, .image = {}, .failure = fmt::format("{}: there is no image of that name", first)});
    }
  }
  if (pairs.empty()) fail("there is no image to work on in what was named");
  return pairs;
}

ExitCode judge_pairs(const PairArguments& arguments, const PairWork& work) {
  if (arguments.images.inputs.empty() && arguments.images.files_from.empty()) {
    throw UsageError(fmt::format("IMAGE is required\nTry 'hourglass {} --help'.", work.command));
  }
  check_input_options(arguments.images);
  check_streams(arguments);
  const auto took = [&](const ImagePair& pair, const Judgement* judgement) {
    if (work.took) work.took(pair, judgement);
  };
  if (arguments.one_pair()) {
    const ImagePair pair{.first = arguments.first, .image = arguments.images.inputs[0]};
    const Judgement judgement = work.judge(pair.first, pair.image);
    took(pair, &judgement);
    if (arguments.json) {
      print_to(stdout, result_object(judgement.values).text() + "\n");
    } else {
      print_message(stdout, judgement.line);
    }
    return judgement.verdict;
  }
  const InterruptGuard interrupt;
  std::vector<ImagePair> pairs = find_pairs(arguments);
  int64_t done = 0, failed = 0;
  ExitCode verdict = ExitCode::ok;
  for (ImagePair& pair : pairs) {
    if (interrupt.signal() != 0) break;
    std::optional<Judgement> judgement;
    try {
      if (pair.failure.empty()) judgement = work.judge(pair.first, pair.image);
    } catch (const Error& error) {
      pair.failure = error.what();
    } catch (const std::bad_alloc&) {
      pair.failure = pair.image + ": out of memory";
    } catch (const std::exception& error) {
      pair.failure = fmt::format("{}: unexpected: {}", pair.image, error.what());
    }
    took(pair, judgement ? &*judgement : nullptr);
    if (judgement) {
      ++done;
      if (judgement->verdict != ExitCode::ok) verdict = judgement->verdict;
      if (arguments.json) {
        print_to(stdout, object_of("done", pair, judgement->values).text() + "\n");
      } else {
        print_message(stdout, fmt::format("{}: {}", pair.image, judgement->line));
      }
    } else {
      ++failed;
      print_message(stderr, "hourglass: " + pair.failure);
      if (arguments.json) print_to(stdout, object_of("failed", pair, Json{{"error", pair.failure}}).text() + "\n");
    }
  }
  std::string text = fmt::format("{}: {} {}", counted(static_cast<int64_t>(pairs.size()), "image"), done, work.verb);
  const int64_t left = static_cast<int64_t>(pairs.size()) - done - failed;
  if (failed > 0) text += fmt::format(", {} failed", failed);
  if (left > 0) text += fmt::format(", {} not done", left);
  print_message(stderr, text);
  if (interrupt.signal() != 0) {
    const Json object = interrupted_object("stopped early, as asked");
    if (arguments.json) print_to(stdout, object.text() + "\n");
    return exit_code_of(interrupt.signal());
  }
  return failed > 0 ? ExitCode::some_failed : verdict;
}

}  // namespace hourglass::cli
