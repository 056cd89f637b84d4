// hourglass verify PHOTO.jpg IMAGE...: could the JPEG have come from this image?
#include <fmt/core.h>

#include <cmath>
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

constexpr const char* kVerifyFooter =
    R"(Puts IMAGE through PHOTO's own pipeline: its colour conversion, chroma sampling and 8x8 DCT, in floating point, and its
quantization tables, and compares what comes out with what stands in the file. Yes: the file is what a JPEG encoder can make of
IMAGE. All coefficients come out as in the file then, or the others miss by so little that an encoder that works with integers
can have rounded them to the other side. The one that misses most decides. (Where all steps are 1 or 2, at quality 98 and
more, a yes says little.) Encoders that do not round to the nearest step, or take chroma from other places than between
the pixels, make files that get a no with their own original: of those that prefer zeros the answer says so.

Of two folders (-r), files of the same place are verified: restored/a/b.restored.png belongs to photos/a/b.jpg. One without
the other counts as failed. Several images may also be named, or listed (--files-from): each goes with PHOTO, or, where that
is a folder, with the file of the same place in it. Exit code 0: yes to all. 5: no to some. 3: some could
not be verified.

Examples:
  hourglass verify photo.jpg photo.restored.png
  hourglass verify photo.jpg photo.restored.png --json
  hourglass verify -r photos restored)";

std::string in_words(const CellCheck& check, const std::string& jpeg, bool agrees) {
  const std::string verdict =
      agrees ? "yes: " + jpeg + " can be a JPEG of this image: " : "no: " + jpeg + " is no JPEG of this image: ";
  if (check.same == check.coefficients) {
    return verdict + fmt::format("each of the {} coefficients in the file comes out of the image too", check.same);
  }
  // All but one are not 100.000 %.
  const double percent = std::floor(1e5 * check.share()) / 1e3;
  // Upwards: what is beyond the limit is never the limit itself.
  const double farthest = std::ceil(1e2 * check.farthest) / 1e2;
  const int64_t others = check.coefficients - check.same;
  const std::string perhaps =
      agrees || check.near_zero < others
          ? ""
          : fmt::format(
                "; {} zero in the file and less than a step in the image, which an encoder that prefers zeros "
                "(as mozjpeg) makes of an original too",
                others == 1 ? "it is" : "all that miss are");
  return verdict +
         fmt::format(
             "{} of the {} coefficients in the file ({:.3f} %) come out of the image too, {} by {} {:.2f}, "
             "counted before quantization; an encoder's rounding explains up to {:g}",
             check.same, check.coefficients, percent, agrees ? "and the others miss" : "but one misses",
             agrees ? "at most" : "as much as", farthest, kEncoderRounding) +
         perhaps;
}

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
  const bool agrees = check.farthest <= kEncoderRounding;
  return {.line = in_words(check, jpeg, agrees),
          .values = {{"agrees", agrees},
                     {"coefficients", check.coefficients},
                     {"same", check.same},
                     {"share", check.share()},
                     {"farthest", check.farthest}},
          .verdict = agrees ? ExitCode::ok : ExitCode::differs};
}

}  // namespace

Command verify_command() {
  const auto pairs = std::make_shared<PairArguments>();
  pairs->first_format = ImageFormat::jpeg;
  Command command{.name = "verify", .help = "Say whether JPEGs could have come from images", .footer = kVerifyFooter};
  add_pair_options(command, *pairs,
                   {.first_name = "PHOTO",
                    .first = "The JPEG, or with -r a folder of them",
                    .images = "The image (PNG, JPEG or JPEG XL); several, or folders with -r",
                    .json = "One JSON object: agrees, coefficients, same, share, farthest"});
  command.run = [pairs](ParsedCommand&) {
    return judge_pairs(*pairs, {.command = "verify", .verb = "verified", .judge = verify});
  };
  return command;
}

}  // namespace hourglass::cli
