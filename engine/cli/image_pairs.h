// A command that judges an image by another one, for many of them: hourglass compare, hourglass verify.
//
// What an image is judged by is a file, or, where a folder is named, the file in the same place there (input_files.h),
// whatever the endings of both; an image that a command of this program has written, photo.restored.png, belongs to
// photo as well.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/cli/command_line.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/input_files.h"
#include "engine/cli/json.h"

namespace hourglass::cli {

struct PairArguments {
  std::string first;      // what the images are judged by: a file or a folder
  InputArguments images;  // their files, folders and list
  bool json = false;
  std::optional<ImageFormat> first_format = {};  // of what is taken from the folder `first`; none: any

  // Whether two files are meant, by their names alone.
  [[nodiscard]] bool one_pair() const;
};

// The two arguments, by their names and what --help says of them, and the options: -r, --files-from, -0, --json.
struct PairHelp {
  std::string first_name, first, images;
  std::string json;  // what --json prints of two files
};
void add_pair_options(Command& command, PairArguments& arguments, const PairHelp& help);

struct ImagePair {
  std::string first, image;  // an empty one: there is none
  std::string failure = {};  // why there is no pair; empty where there is
};

// In the order in which the images are found. Each image that has no partner has a failure, and so has each file of the
// folder without an image, where folders of images are named, and each folder that can't be read. Throws Error where
// there is no image at all, or two files of the folder have one place, and the Errors of find_images().
std::vector<ImagePair> find_pairs(const PairArguments& arguments);

// What is said of a pair.
struct Judgement {
  std::string line;  // for people
  Json values;       // for programs
  ExitCode verdict = ExitCode::ok;
};

// Judges two files, or all that the arguments name, one after the other: prints a line for each, or with --json an
// object, and at the end how many there were; what fails is named, and the rest goes on. `took` gets each pair as it is
// done, with the judgement or with the failure in it. A signal ends it early. Throws Error for two files that can't be
// judged, and where it can't begin. The exit code is the worst: some failed, a judgement's verdict, ok.
struct PairWork {
  std::string command;  // "compare"
  std::string verb;     // "compared"
  std::function<Judgement(const std::string& first, const std::string& image)> judge;
  std::function<void(const ImagePair& pair, const Judgement* judgement)> took = {};
};
ExitCode judge_pairs(const PairArguments& arguments, const PairWork& work);

}  // namespace hourglass::cli
