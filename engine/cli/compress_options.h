// --quality Q, --ratio R and --subsampling S: how an image is turned into a bad JPEG.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

#include "engine/image/jpeg.h"

namespace hourglass::cli {

struct CompressArguments {
  int quality = 0;   // 0: not given
  double ratio = 0;  // likewise
  std::string subsampling = "420";
};

struct CompressOptions {
  CLI::Option *quality, *ratio, *subsampling;
};

// `how` is the group that --quality and --ratio join; it says how many of its options must be given.
CompressOptions add_compress_options(CLI::App& command, CLI::App& how, CompressArguments& arguments);

// The encoder's result, for a given quality or a given share of the bytes that the image had as a file. `jpeg` holds
// what else is wanted of the file. Throws Error when no quality makes it small enough.
QualityChoice compress(const Image& image, const CompressArguments& arguments, JpegOptions jpeg,
                       std::size_t file_bytes);

}  // namespace hourglass::cli
