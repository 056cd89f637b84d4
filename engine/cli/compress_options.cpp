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

// CLI11's range check lets NaN pass.
std::string check_ratio(const std::string& text) {
  double ratio = 0;
  if (CLI::detail::lexical_cast(text, ratio) && ratio > 0 && ratio <= 1) return {};
  return "expected a share above 0 and at most 1, got " + text;
}

}  // namespace

CompressOptions add_compress_options(CLI::App& command, CLI::App& how, CompressArguments& a) {
  CLI::Option* quality =
      how.add_option("--quality", a.quality, "JPEG of libjpeg's quality, 1 to 100")->check(CLI::Range(1, 100));
  CLI::Option* ratio = how.add_option("--ratio", a.ratio,
                                      "JPEG of the largest quality whose file is at most this share of IMAGE's bytes")
                           ->check(CLI::Validator(check_ratio, "in (0, 1]"));
  CLI::Option* subsampling = command.add_option("--subsampling", a.subsampling, "The JPEG's chroma subsampling")
                                 ->check(CLI::IsMember({"444", "422", "420", "440"}))
                                 ->capture_default_str();
  return {quality, ratio, subsampling};
}

QualityChoice compress(const Image& image, const CompressArguments& arguments, JpegOptions jpeg,
                       std::size_t file_bytes) {
  jpeg.subsampling = subsampling_of(arguments.subsampling);
  if (arguments.quality > 0) {
    jpeg.quality = arguments.quality;
    return {.quality = arguments.quality, .bytes = encode_jpeg(image, jpeg)};
  }
  const auto budget = static_cast<std::size_t>(std::floor(arguments.ratio * static_cast<double>(file_bytes)));
  std::optional<QualityChoice> choice = encode_jpeg_within(image, budget, jpeg);
  if (!choice) {
    jpeg.quality = 1;
    fail("no quality makes a JPEG of at most {} bytes (--ratio {} of the input's {}); quality 1 needs {}", budget,
         arguments.ratio, file_bytes, encode_jpeg(image, jpeg).size());
  }
  return std::move(*choice);
}

}  // namespace hourglass::cli
