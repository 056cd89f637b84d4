// Which files a command works on, out of files, folders and lists, and where the result of each goes.
//
// A folder gives the images in it, told by their first bytes; links to folders are not followed. A file's place is its
// path relative to its folder; of a file in a list the name, folders and all, as far as these are relative and do not
// lead upwards; of a file on the command line the name alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/cli/command_line.h"
#include "engine/image/read_image.h"

namespace hourglass::cli {

// As the command line says it.
struct InputArguments {
  std::vector<std::string> inputs;  // files and folders; "-" is standard input
  bool recursive = false;           // folders too, with all that is below them
  std::string files_from;           // a list of files, one a line; "-" for standard input; empty for none
  bool null_separated = false;      // the list's names end with a zero byte
  std::string output_dir;           // empty: each result beside its input
  std::string shard;                // "2/8": the second of eight parts; empty: all

  // Whether a single file is meant, by its name alone.
  [[nodiscard]] bool one_file() const;
};

struct InputFile {
  std::string path, output;
  std::string place;  // of the result below the output folder, or below the input's own; without an ending
  std::optional<ImageFormat> format = {};  // by its first bytes; none where it can't be read
  int64_t pixels = 0;                      // 0 where its header does not say
};

// How a command treats what it finds.
struct InputRule {
  std::string suffix;                 // of its outputs: "photo.jpg" becomes "photo.restored.png" for ".restored.png"
  std::optional<ImageFormat> format;  // of the files that it takes from folders; none: any
};

// An image that was found.
struct FoundFile {
  std::string path;
  std::string place;                       // with '/', and without an ending
  std::optional<ImageHeader> header = {};  // none where it can't be read
};

// Below a folder that was named; what else is in that goes on.
struct UnreadableFolder {
  std::string path, message;
};

struct FoundFiles {
  std::vector<FoundFile> files;
  std::vector<UnreadableFolder> unreadable;
};

// Lets a command take folders and lists: -r, --files-from and -0, under the heading.
void add_input_options(Command& command, InputArguments& arguments, const std::string& heading);

// Throws Error for an option that goes with another one alone.
void check_input_options(const InputArguments& arguments);

// As they are named, those of a folder by name. Results of an earlier run in folders, told by the suffix of their
// names, are passed over. Throws Error for a folder without `recursive`, a list or a named folder that can't be read,
// and a file of the list or the command line that is no image.
FoundFiles find_images(const InputArguments& arguments, const InputRule& rule);

struct InputFiles {
  std::vector<InputFile> files;
  std::vector<UnreadableFolder> unreadable;
};

// The files in the order in which they are to be done, large ones first. A file that is named twice is done once.
// Throws the Errors of find_images(), and one for no file at all, and where two results would have one name, or one the
// name of an input that is no earlier result.
InputFiles find_input_files(const InputArguments& arguments, const InputRule& rule);

}  // namespace hourglass::cli
