// Which files a command works on, out of files, folders and lists, and where the result of each goes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/image/decoded_image.h"

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

// The files in the order in which they are to be done, large ones first. A folder gives the images in it, told by their
// first bytes, but no results, told by the suffix of their names; links to folders are not followed. Their results keep
// the place relative to the folder; those of a list keep the names' folders, as far as these are relative and do not
// lead upwards. A file that is named twice is done once. Throws Error for a folder without `recursive`, a list or
// a folder that can't be read, no file at all, a file of the list or the command line that is no image, and where two
// results would have one name, or one the name of an input that is no earlier result.
std::vector<InputFile> find_input_files(const InputArguments& arguments, const InputRule& rule);

}  // namespace hourglass::cli
