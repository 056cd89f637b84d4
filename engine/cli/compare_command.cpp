// hourglass compare REFERENCE IMAGE...: how near are images to their references?
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "engine/cli/commands.h"
#include "engine/cli/image_pairs.h"
#include "engine/cli/json.h"
#include "engine/cli/output.h"
#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/orientation.h"
#include "engine/image/read_image.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

struct CompareOptions {
  PairArguments pairs;
  std::string csv;
  bool force = false;
};

constexpr const char* kCompareFooter = R"(Prints, on the 0..255 scale:
  PSNR    over all samples of all channels, in dB
  PSNR-Y  over the luma alone (0.299 R + 0.587 G + 0.114 B, not rounded)
  PSNR-B  PSNR-Y that counts IMAGE's steps across the 8x8 grid as errors too (Yim and Bovik, 2011)
  SSIM    structural similarity of the luma (Wang et al., 2004: Gaussian window 11x11, sigma 1.5)

With --json: {"event": "result", "psnr": .., "psnr_y": .., "psnr_b": .., "ssim": ..}. Where the images are identical, a PSNR is infinite:
"inf" in the text and the CSV, null in the JSON.

Of two folders (-r), files of the same place are compared, whatever their endings: photos/a/b.jpg belongs to
originals/a/b.png, and so does photos/a/b.restored.png. One without the other counts as failed. Several images may also be
named, or listed (--files-from): each is compared with REFERENCE, or, where that is a folder, with the file of the same
place in it. The mean comes last, and so does the table; not where the run is interrupted. Exit code 3: some could not be
compared.

Where the images' EXIF orientations differ, they are compared as they are to be seen.
A gray image is compared with an RGB one as if it were three equal planes. 16-bit values are compared as they are.

Examples:
  hourglass compare original.png restored.png
  hourglass compare original.png photo.jpg --json
  hourglass compare -r originals restored --csv figures.csv
  hourglass compare original.png fast.png best.png)";

Likeness compare_files(const std::string& reference_path, const std::string& image_path) {
  const auto load = [](const std::string& path) {
    DecodedImage decoded = read_image(path);
    for (const std::string& text : decoded.warnings) warn(fmt::format("{}: {}", path, text));
    return decoded;
  };
  DecodedImage original = load(reference_path);
  const DecodedImage judged = load(image_path);
  // The grid of blocks that PSNR-B looks at is the judged image's.
  if (turn_like(original.image, original.metadata, judged.metadata))
    note(fmt::format("{}: turned like {}, as their EXIF orientations say", reference_path, image_path));
  const Image &reference = original.image, &image = judged.image;
  if (image.width != reference.width || image.height != reference.height)
    fail("the images differ in size: {} is {}x{}, {} is {}x{}; only images of one size can be compared", reference_path,
         reference.width, reference.height, image_path, image.width, image.height);
  return compare(image, reference);
}

std::string lines_of(const Likeness& result) {
  return fmt::format("PSNR    {:.3f} dB\nPSNR-Y  {:.3f} dB\nPSNR-B  {:.3f} dB\nSSIM    {:.5f}", result.psnr,
                     result.psnr_y, result.psnr_b, result.ssim);
}

std::string line_of(const Likeness& result) {
  return fmt::format("PSNR {:.3f} dB, PSNR-Y {:.3f} dB, PSNR-B {:.3f} dB, SSIM {:.5f}", result.psnr, result.psnr_y,
                     result.psnr_b, result.ssim);
}

// RFC 4180.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

// What is compared, as it comes.
class Table {
 public:
  void add(const ImagePair& pair, const Likeness* result) {
    csv_ += fmt::format("{},{},", csv_field(pair.first), csv_field(pair.image));
    if (result == nullptr) {
      csv_ += fmt::format(",,,,{}\n", csv_field(pair.failure));
      return;
    }
    csv_ += fmt::format("{:.4f},{:.4f},{:.4f},{:.6f},\n", result->psnr, result->psnr_y, result->psnr_b, result->ssim);
    ++count_;
    sum_.psnr += result->psnr, sum_.psnr_y += result->psnr_y, sum_.psnr_b += result->psnr_b, sum_.ssim += result->ssim;
  }

  [[nodiscard]] const std::string& csv() const { return csv_; }
  [[nodiscard]] int64_t count() const { return count_; }
  [[nodiscard]] Likeness mean() const {
    const auto n = static_cast<double>(count_);
    return {.psnr = sum_.psnr / n, .psnr_y = sum_.psnr_y / n, .psnr_b = sum_.psnr_b / n, .ssim = sum_.ssim / n};
  }

 private:
  std::string csv_ = "reference,image,psnr,psnr_y,psnr_b,ssim,error\n";
  Likeness sum_{};
  int64_t count_ = 0;
};

ExitCode run(const CompareOptions& options) {
  const PairArguments& pairs = options.pairs;
  if (options.force && options.csv.empty()) fail("--force: belongs to --csv");
  if (!options.csv.empty()) check_writable(options.csv, options.force);
  Table table;
  Likeness latest{};
  const bool one = pairs.one_pair();
  const ExitCode code = judge_pairs(
      pairs, {.command = "compare",
              .verb = "compared",
              .judge = [&](const std::string& reference, const std::string& image) -> Judgement {
                latest = compare_files(reference, image);
                return {.line = one ? lines_of(latest) : line_of(latest),
                        .values = {{"psnr", latest.psnr},  // infinity becomes null
                                   {"psnr_y", latest.psnr_y},
                                   {"psnr_b", latest.psnr_b},
                                   {"ssim", latest.ssim}}};
              },
              .took = [&](const ImagePair& pair,
                          const Judgement* judgement) { table.add(pair, judgement != nullptr ? &latest : nullptr); }});
  // Nobody takes some of the images for all of them.
  if (code != ExitCode::ok && code != ExitCode::some_failed) return code;
  if (!one && !pairs.json && table.count() > 0) print_message(stdout, "mean: " + line_of(table.mean()));
  if (!options.csv.empty()) write_file_atomically(options.csv, bytes_of(table.csv()), options.force);
  return code;
}

}  // namespace

Command compare_command() {
  const auto options = std::make_shared<CompareOptions>();
  Command command{
      .name = "compare", .help = "Measure how near images are to their references", .footer = kCompareFooter};
  add_pair_options(command, options->pairs,
                   {.first_name = "REFERENCE",
                    .first = "The original (JPEG, PNG or JPEG XL), or with -r a folder of originals",
                    .images = "The image that is judged; several, or folders with -r",
                    .json = "Print one line of JSON"});
  command.add({{.names = "--csv",
                .takes = "FILE",
                .target = &options->csv,
                .help = "A table to write: a row for each image, with what is printed of it or the error"},
               {.names = "--force", .target = &options->force, .help = "Replace the file of --csv that is there"}});
  command.run = [options](ParsedCommand&) { return run(*options); };
  return command;
}

}  // namespace hourglass::cli
