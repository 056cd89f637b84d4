#include "engine/cli/compress_options.h"

#include <cmath>

#include "graph/error.h"

namespace hourglass::cli {
namespace {

Subsampling subsampling_of(const std::string& name) {
  return name == "444"   ? Subsampling::s444
         : name == "422" ? Subsampling::s422
         : name == "440" ? Subsampling::s440
                         : Subsampling::s420;
}

Check share_of_file() {
  return number_that([](double ratio) { return ratio > 0 && ratio <= 1; }, "a share above 0 and at most 1");
}

}  // namespace

void add_compress_options(Command& command, const std::string& choice, CompressArguments& a) {
  command.add(
      {{.names = "--quality",
        .target = &a.quality,
        .help = "JPEG of libjpeg's quality, 1 to 100",
        .checks = {range(1, 100)},
        .choice = choice},
       {.names = "--ratio",
        .target = &a.ratio,
        .help = "JPEG of the largest quality whose file is at most this share of the image's bytes; a quarter of a "
                "PNG is a nearly clean "
                "JPEG",
        .checks = {share_of_file()},
        .choice = choice},
       {.names = "--subsampling",
        .target = &a.subsampling,
        .help = "The JPEG's chroma subsampling",
        .checks = {one_of({"444", "422", "420", "440"})},
        .only_with = {"quality", "ratio"}}});
}

QualityChoice compress(const Image& image, const CompressArguments& arguments, JpegOptions jpeg,
                       std::size_t file_bytes) {
  jpeg.subsampling = subsampling_of(arguments.subsampling);
  if (arguments.quality) {
    jpeg.quality = *arguments.quality;
    return {.quality = jpeg.quality, .bytes = encode_jpeg(image, jpeg)};
  }
  const double ratio = arguments.ratio.value();
  const auto budget = static_cast<std::size_t>(std::floor(ratio * static_cast<double>(file_bytes)));
  std::optional<QualityChoice> choice = encode_jpeg_within(image, budget, jpeg);
  if (!choice) {
    jpeg.quality = 1;
    fail("no quality makes a JPEG of at most {} bytes (--ratio {} of the input's {}); quality 1 needs {}", budget,
         ratio, file_bytes, encode_jpeg(image, jpeg).size());
  }
  return std::move(*choice);
}

}  // namespace hourglass::cli
