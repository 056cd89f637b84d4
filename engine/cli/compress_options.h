// --quality Q, --ratio R and --subsampling S: how an image is turned into a bad JPEG.
#pragma once

#include <optional>
#include <string>

#include "engine/cli/command_line.h"
#include "engine/image/jpeg.h"

namespace hourglass::cli {

struct CompressArguments {
  std::optional<int> quality;
  std::optional<double> ratio;  // of the bytes that the image had as a file
  std::string subsampling = "420";
};

// --quality and --ratio join the options of `choice`, of which one must be given.
void add_compress_options(Command& command, const std::string& choice, CompressArguments& arguments);

// The encoder's result, for a given quality or a given share of the bytes that the image had as a file. `jpeg` holds
// what else is wanted of the file. Throws Error when no quality makes it small enough.
QualityChoice compress(const Image& image, const CompressArguments& arguments, JpegOptions jpeg,
                       std::size_t file_bytes);

}  // namespace hourglass::cli
