// hourglass verify PHOTO.jpg IMAGE: could the JPEG have come from this image?
#include <fmt/format.h>

#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/output.h"
#include "engine/image/orientation.h"
#include "engine/image/read_image.h"
#include "engine/restore/jpeg_task.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

struct Options {
  std::string jpeg, image;
  bool json = false;
};

constexpr const char* kFooter =
    R"(Puts IMAGE through PHOTO's own pipeline: its colour conversion, chroma sampling and 8x8 DCT, in floating point, and its
quantization tables. Says how many of the coefficients come out as they stand in the file. 100 % means that the file is
what a JPEG encoder makes of IMAGE. (An encoder that works with integers can differ where a coefficient lies on the
border between two steps.)

Examples:
  hourglass verify photo.jpg photo.restored.png
  hourglass verify photo.jpg photo.restored.png --json)";

ExitCode run(const Options& options) {
  const RestoreInput input = load_input(options.jpeg);
  if (!input.jpeg) fail("{}: not a JPEG, so it states no coefficients to verify", options.jpeg);
  for (const std::string& text : input.degraded.warnings) warn(fmt::format("{}: {}", options.jpeg, text));
  DecodedImage file = read_image(options.image);
  Image& image = file.image;
  if (turn_like(image, file.metadata, input.degraded.metadata))
    note(fmt::format("{}: turned like {}, as their EXIF orientations say", options.image, options.jpeg));
  const Image& decoded = input.degraded.image;
  if (image.width != decoded.width || image.height != decoded.height) {
    fail("the images differ in size: {} is {}x{}, {} is {}x{}", options.jpeg, decoded.width, decoded.height,
         options.image, image.width, image.height);
  }
  if (image.channels < decoded.channels) image = gray_to_rgb(image);
  const CellCheck check = check_cells(image, JpegModel(*input.jpeg));
  if (options.json) {
    const Json json = {{"coefficients", check.coefficients}, {"same", check.same}, {"share", check.share()}};
    fmt::print("{}\n", json.text());
  } else {
    fmt::print("{} of {} coefficients ({:.3f} %) come out as in {}\n", check.same, check.coefficients,
               100 * check.share(), options.jpeg);
  }
  return ExitCode::ok;
}

}  // namespace

Command verify_command() {
  const auto options = std::make_shared<Options>();
  Command command{.name = "verify", .help = "Say whether a JPEG could have come from an image", .footer = kFooter};
  command.add({{.names = "PHOTO", .target = &options->jpeg, .help = "The JPEG", .required = true},
               {.names = "IMAGE", .target = &options->image, .help = "The image: PNG or JPEG", .required = true},
               {.names = "--json", .target = &options->json, .help = "One JSON object: coefficients, same, share"}});
  command.run = [options](ParsedCommand&) { return run(*options); };
  return command;
}

}  // namespace hourglass::cli
