// hourglass degrade IMAGE -o OUT.jpg: the JPEG of an image at a given quality or size, to try a restoration on.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/cli/commands.h"
#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

struct Options {
  std::string input, output;
  int quality = 0;
  double ratio = 0;
  std::string subsampling = "420";
  bool progressive = false, keep_metadata = false, force = false, json = false;
};

constexpr const char* kFooter =
    R"(Prints the quality, the size and the PSNR to IMAGE.

Examples:
  hourglass degrade photo.png -o photo.jpg --quality 10
  hourglass degrade photo.png -o photo.jpg --ratio 0.25               a quarter of photo.png's bytes
  hourglass degrade photo.png -o - --quality 40 --subsampling 444 > photo.jpg)";

Subsampling subsampling_of(const std::string& name) {
  return name == "444"   ? Subsampling::s444
         : name == "422" ? Subsampling::s422
         : name == "440" ? Subsampling::s440
                         : Subsampling::s420;
}

// The encoder's result, for a given quality or a given share of the input's bytes.
QualityChoice encode(const Image& image, const Options& options, const JpegOptions& jpeg, std::size_t input_bytes) {
  if (options.quality > 0) return {.quality = options.quality, .bytes = encode_jpeg(image, jpeg)};
  const auto budget = static_cast<std::size_t>(std::floor(options.ratio * static_cast<double>(input_bytes)));
  std::optional<QualityChoice> choice = encode_jpeg_within(image, budget, jpeg);
  if (!choice)
    fail("no quality makes a JPEG of at most {} bytes (--ratio {} of the input's {}); quality 1 needs {}", budget,
         options.ratio, input_bytes, [&] {
           JpegOptions worst = jpeg;
           worst.quality = 1;
           return encode_jpeg(image, worst).size();
         }());
  return std::move(*choice);
}

ExitCode run(const Options& options) {
  check_writable(options.output, options.force);
  const std::vector<uint8_t> input = read_file(options.input);
  DecodedImage decoded = decode_image(input, options.input);
  for (const std::string& text : decoded.warnings) warn(fmt::format("{}: {}", options.input, text));
  JpegOptions jpeg{.subsampling = subsampling_of(options.subsampling), .progressive = options.progressive};
  if (options.keep_metadata) {
    if (decoded.metadata.exif.size() > kMaxJpegExif) {
      warn(fmt::format("{}: the EXIF block has {} bytes, more than a JPEG holds, and is left out", options.input,
                       decoded.metadata.exif.size()));
      decoded.metadata.exif.clear();
    }
    jpeg.metadata = &decoded.metadata;
  }
  if (options.quality > 0) jpeg.quality = options.quality;
  const QualityChoice choice = encode(decoded.image, options, jpeg, input.size());
  const double quality_db = psnr(decode_jpeg(choice.bytes).image, decoded.image);
  write_file_atomically(options.output, choice.bytes, options.force);

  // Where the JPEG itself goes to stdout, the report makes way.
  std::FILE* report = options.output == "-" ? stderr : stdout;
  if (options.json) {
    const nlohmann::ordered_json json = {{"quality", choice.quality},
                                         {"bytes", choice.bytes.size()},
                                         {"input_bytes", input.size()},
                                         {"psnr", quality_db}};
    fmt::print(report, "{}\n", json.dump());
  } else {
    fmt::print(report, "{}: quality {}, {} bytes ({:.1f} % of the input's {}), PSNR {:.3f} dB\n", options.output,
               choice.quality, choice.bytes.size(),
               100.0 * static_cast<double>(choice.bytes.size()) / static_cast<double>(input.size()), input.size(),
               quality_db);
  }
  return ExitCode::ok;
}

// CLI11's range check lets NaN pass.
std::string check_ratio(const std::string& text) {
  double ratio = 0;
  if (CLI::detail::lexical_cast(text, ratio) && ratio > 0 && ratio <= 1) return {};
  return "expected a share above 0 and at most 1, got " + text;
}

}  // namespace

void add_degrade_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("degrade", "Make a JPEG of a given quality or size");
  const auto options = std::make_shared<Options>();
  command->add_option("IMAGE", options->input, "The image to degrade (JPEG or PNG)")->required();
  command->add_option("-o,--output", options->output, "The JPEG to write")->required();
  CLI::Option_group* how = command->add_option_group("How much");
  how->add_option("--quality", options->quality, "libjpeg's quality, 1 to 100")->check(CLI::Range(1, 100));
  how->add_option("--ratio", options->ratio, "The largest quality whose file is at most this share of IMAGE's bytes")
      ->check(CLI::Validator(check_ratio, "in (0, 1]"));
  how->require_option(1);
  command->add_option("--subsampling", options->subsampling, "Chroma subsampling")
      ->check(CLI::IsMember({"444", "422", "420", "440"}))
      ->capture_default_str();
  command->add_flag("--progressive", options->progressive, "Write a progressive JPEG");
  command->add_flag("--keep-metadata", options->keep_metadata,
                    "Keep colour profile, EXIF and pixel density, which count for --ratio too");
  command->add_flag("--force", options->force, "Replace an existing output");
  command->add_flag("--json", options->json, "Report as one line of JSON");
  command->footer(kFooter);
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace hourglass::cli
