// hourglass verify PHOTO.jpg IMAGE...: could the JPEG have come from this image?
#include <fmt/format.h>

#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/image_pairs.h"
#include "engine/cli/json.h"
#include "engine/cli/output.h"
#include "engine/image/orientation.h"
#include "engine/image/read_image.h"
#include "engine/restore/jpeg_task.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

constexpr const char* kFooter =
    R"(Puts IMAGE through PHOTO's own pipeline: its colour conversion, chroma sampling and 8x8 DCT, in floating point, and its
quantization tables. Says how many of the coefficients come out as they stand in the file. 100 % means that the file is
what a JPEG encoder makes of IMAGE. (An encoder that works with integers can differ where a coefficient lies on the
border between two steps.)

Of two folders (-r), files of the same place are verified: restored/a/b.restored.png belongs to photos/a/b.jpg. One without
the other counts as failed. Several images may also be named, or listed (--files-from): each goes with PHOTO, or, where that
is a folder, with the file of the same place in it. Exit code 3: some could not be verified.

Examples:
  hourglass verify photo.jpg photo.restored.png
  hourglass verify photo.jpg photo.restored.png --json
  hourglass verify -r photos restored)";

Judgement verify(const std::string& jpeg, const std::string& path) {
  const RestoreInput input = load_input(jpeg);
  if (!input.jpeg) fail("{}: not a JPEG, so it states no coefficients to verify", jpeg);
  for (const std::string& text : input.degraded.warnings) warn(fmt::format("{}: {}", jpeg, text));
  DecodedImage file = read_image(path);
  Image& image = file.image;
  if (turn_like(image, file.metadata, input.degraded.metadata))
    note(fmt::format("{}: turned like {}, as their EXIF orientations say", path, jpeg));
  const Image& decoded = input.degraded.image;
  if (image.width != decoded.width || image.height != decoded.height) {
    fail("the images differ in size: {} is {}x{}, {} is {}x{}", jpeg, decoded.width, decoded.height, path, image.width,
         image.height);
  }
  if (image.channels < decoded.channels) image = gray_to_rgb(image);
  const CellCheck check = check_cells(image, JpegModel(*input.jpeg));
  return {.line = fmt::format("{} of {} coefficients ({:.3f} %) come out as in {}", check.same, check.coefficients,
                              100 * check.share(), jpeg),
          .values = {{"coefficients", check.coefficients}, {"same", check.same}, {"share", check.share()}}};
}

}  // namespace

Command verify_command() {
  const auto pairs = std::make_shared<PairArguments>();
  pairs->first_format = ImageFormat::jpeg;
  Command command{.name = "verify", .help = "Say whether JPEGs could have come from images", .footer = kFooter};
  add_pair_options(command, *pairs,
                   {.first_name = "PHOTO",
                    .first = "The JPEG, or with -r a folder of them",
                    .images = "The image (PNG, JPEG or JPEG XL); several, or folders with -r",
                    .json = "One JSON object: coefficients, same, share"});
  command.run = [pairs](ParsedCommand&) {
    return judge_pairs(*pairs, {.command = "verify", .verb = "verified", .judge = verify});
  };
  return command;
}

}  // namespace hourglass::cli
