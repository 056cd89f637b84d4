// hourglass compare REFERENCE IMAGE: how near is an image to its reference?
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/output.h"
#include "engine/image/metrics.h"
#include "engine/image/orientation.h"
#include "engine/image/read_image.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

struct Options {
  std::string reference, image;
  bool json = false;
};

constexpr const char* kFooter = R"(Prints, on the 0..255 scale:
  PSNR    over all samples of all channels, in dB
  PSNR-Y  over the luma alone (0.299 R + 0.587 G + 0.114 B, not rounded)
  PSNR-B  PSNR-Y that counts IMAGE's steps across the 8x8 grid as errors too (Yim and Bovik, 2011)
  SSIM    structural similarity of the luma (Wang et al., 2004: Gaussian window 11x11, sigma 1.5)

With --json: {"psnr": .., "psnr_y": .., "psnr_b": .., "ssim": ..}. Where the images are identical, a PSNR is infinite:
"inf" in the text, null in the JSON.

Where the images' EXIF orientations differ, they are compared as they are to be seen.
A gray image is compared with an RGB one as if it were three equal planes. 16-bit values are compared as they are.

Examples:
  hourglass compare original.png restored.png
  hourglass compare original.png photo.jpg --json)";

ExitCode run(const Options& options) {
  const auto load = [](const std::string& path) {
    DecodedImage decoded = read_image(path);
    for (const std::string& text : decoded.warnings) warn(fmt::format("{}: {}", path, text));
    return decoded;
  };
  DecodedImage original = load(options.reference);
  const DecodedImage judged = load(options.image);
  // The grid of blocks that PSNR-B looks at is the judged image's.
  if (turn_like(original.image, original.metadata, judged.metadata))
    note(fmt::format("{}: turned like {}, as their EXIF orientations say", options.reference, options.image));
  const Image &reference = original.image, &image = judged.image;
  if (image.width != reference.width || image.height != reference.height)
    fail("the images differ in size: {} is {}x{}, {} is {}x{}; only images of one size can be compared",
         options.reference, reference.width, reference.height, options.image, image.width, image.height);
  const Comparison result = compare(image, reference);
  if (options.json) {
    const Json json = {
        {"psnr", result.psnr}, {"psnr_y", result.psnr_y}, {"psnr_b", result.psnr_b}, {"ssim", result.ssim}};
    fmt::print("{}\n", json.text());  // infinity becomes null
  } else {
    fmt::print("PSNR    {:.3f} dB\nPSNR-Y  {:.3f} dB\nPSNR-B  {:.3f} dB\nSSIM    {:.5f}\n", result.psnr, result.psnr_y,
               result.psnr_b, result.ssim);
  }
  return ExitCode::ok;
}

}  // namespace

Command compare_command() {
  const auto options = std::make_shared<Options>();
  Command command{.name = "compare", .help = "Measure how near an image is to its reference", .footer = kFooter};
  command.add(
      {{.names = "REFERENCE", .target = &options->reference, .help = "The original (JPEG or PNG)", .required = true},
       {.names = "IMAGE",
        .target = &options->image,
        .help = "The image that is judged (JPEG or PNG)",
        .required = true},
       {.names = "--json", .target = &options->json, .help = "Print one line of JSON"}});
  command.run = [options](ParsedCommand&) { return run(*options); };
  return command;
}

}  // namespace hourglass::cli
