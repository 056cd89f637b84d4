// hourglass degrade IMAGE -o OUT: an image made worse in a known way, to try the other commands on.
#include <fmt/core.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "engine/cli/commands.h"
#include "engine/cli/compress_options.h"
#include "engine/cli/json.h"
#include "engine/cli/network_option.h"
#include "engine/cli/output.h"
#include "engine/cli/same_file.h"
#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/metrics.h"
#include "engine/image/npy.h"
#include "engine/image/orientation.h"
#include "engine/image/read_image.h"
#include "engine/restore/degrade.h"
#include "engine/restore/operator_task.h"
#include "engine/restore/resample.h"
#include "graph/error.h"
#include "graph/onnx_import.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

struct DegradeOptions {
  std::string input, output, mask, degradation, degradation_output;
  CompressArguments compress;
  std::optional<double> noise, drop;
  std::optional<int> downscale;
  std::string kernel = "lanczos2";
  uint64_t seed = 0;
  bool progressive = false, keep_metadata = false, gray = false, force = false, json = false;
};

constexpr const char* kDegradeFooter =
    R"(Prints what was done and, where the sizes agree, the PSNR to IMAGE.

Examples:
  hourglass degrade photo.png -o photo.jpg --quality 10               for restore
  hourglass degrade photo.png -o photo.jpg --ratio 0.25               a quarter of photo.png's bytes
  hourglass degrade photo.png -o noisy.png --noise 25                 for denoise
  hourglass degrade photo.png -o holes.png --drop 0.5 --mask mask.png   for inpaint
  hourglass degrade photo.png -o small.png --downscale 4              for upscale
  hourglass degrade photo.png -o blurred.npy --degradation blur.onnx  for restore --degradation
  hourglass degrade photo.png -o - --quality 40 --subsampling 444 > photo.jpg)";

// What is said at the end, for people and for programs.
struct Report {
  std::string text;
  Json json;
};

Report make_jpeg(const DegradeOptions& options, DecodedImage& decoded, std::size_t input_bytes) {
  JpegOptions jpeg{.progressive = options.progressive};
  if (options.keep_metadata) {
    for (const std::string& text : lost_in_jpeg(decoded.metadata)) warn(options.input + ": " + text);
    if (decoded.metadata.exif.size() > kMaxJpegExif) decoded.metadata.exif.clear();
    jpeg.metadata = &decoded.metadata;
  }
  const QualityChoice choice = compress(decoded.image, options.compress, jpeg, input_bytes);
  const double quality_db = psnr(decode_jpeg(choice.bytes).image, decoded.image);
  write_file_atomically(options.output, choice.bytes, options.force);
  return {.text = fmt::format("quality {}, {} bytes ({:.1f} % of the input's {}), PSNR {:.3f} dB", choice.quality,
                              choice.bytes.size(),
                              100.0 * static_cast<double>(choice.bytes.size()) / static_cast<double>(input_bytes),
                              input_bytes, quality_db),
          .json = {{"quality", choice.quality},
                   {"bytes", choice.bytes.size()},
                   {"input_bytes", input_bytes},
                   {"psnr", quality_db}}};
}

// Writes the PNG, in the input's bit depth, and returns what a reader of it will see.
Image save_png(const DegradeOptions& options, const DecodedImage& decoded, const Image& image) {
  PngOptions png;
  png.bit_depth = decoded.bit_depth;
  std::vector<std::string> warnings;
  png.warnings = &warnings;
  if (options.keep_metadata) png.metadata = &decoded.metadata;
  const std::vector<uint8_t> bytes = encode_png(image, png);
  for (const std::string& text : warnings) warn(fmt::format("{}: {}", options.input, text));
  write_file_atomically(options.output, bytes, options.force);
  return decode_png(bytes).image;
}

Report make_noisy(const DegradeOptions& options, const DecodedImage& decoded) {
  const Image saved = save_png(options, decoded, add_noise(decoded.image, *options.noise, options.seed));
  const double psnr_db = psnr(saved, decoded.image);
  return {.text = fmt::format("noise {}, PSNR {:.3f} dB", *options.noise, psnr_db),
          .json = {{"noise", *options.noise}, {"seed", options.seed}, {"psnr", psnr_db}}};
}

Report make_holes(const DegradeOptions& options, const DecodedImage& decoded) {
  const Image& image = decoded.image;
  const Image mask = draw_mask(image.width, image.height, *options.drop, options.seed);
  write_png(options.mask, mask, {}, options.force);
  const Image saved = save_png(options, decoded, apply_mask(image, mask));
  const double missing =
      1 - std::accumulate(mask.pixels.begin(), mask.pixels.end(), 0.0) / static_cast<double>(mask.pixels.size());
  const double psnr_db = psnr(saved, image);
  return {.text = fmt::format("{:.2f} % of the pixels dropped, PSNR {:.3f} dB; mask {}", 100 * missing, psnr_db,
                              options.mask),
          .json = {{"drop", *options.drop},
                   {"seed", options.seed},
                   {"mask", options.mask},
                   {"missing", missing},
                   {"psnr", psnr_db}}};
}

Report make_small(const DegradeOptions& options, const DecodedImage& decoded) {
  const Image& image = decoded.image;
  const int64_t factor = *options.downscale;
  if (image.width % factor != 0 || image.height % factor != 0) {
    fail("{}: is {}x{}, and {} does not divide both: cut it to {}x{} first", options.input, image.width, image.height,
         factor, image.width / factor * factor, image.height / factor * factor);
  }
  const Downsampler downsampler(*options.downscale, options.kernel == "lanczos3" ? 3 : 2);
  const Image saved = save_png(options, decoded, downsampler.apply(image));
  return {
      .text = fmt::format("{}x{}, by {}", saved.width, saved.height, options.kernel),
      .json = {{"downscale", factor}, {"kernel", options.kernel}, {"width", saved.width}, {"height", saved.height}}};
}

// As a PNG where the operator makes an image, as numbers of any shape where OUTPUT is a .npy.
Report make_measurement(const DegradeOptions& options, const DecodedImage& decoded) {
  const OnnxFile op = OnnxFile::read(options.degradation);
  Array made;
  try {
    made = measure(op, op_table(), decoded.image, options.degradation_output);
  } catch (const Error& error) {
    throw error.within("--degradation " + options.degradation);
  }
  const Dims& shape = made.shape;
  Report report{.text = fmt::format("{}, by {}", Shape(shape), options.degradation),
                .json = {{"degradation", options.degradation}, {"shape", shape}}};
  if (!options.degradation_output.empty()) report.json["degradation_output"] = options.degradation_output;
  if (options.output.ends_with(".npy")) {
    write_file_atomically(options.output, encode_npy(made), options.force);
    return report;
  }
  if (shape.size() != 4 || shape[0] != 1 || (shape[1] != 1 && shape[1] != 3)) {
    fail("--degradation {}: makes {}, which is no image: write it to a file that ends in .npy", options.degradation,
         Shape(shape));
  }
  Image image(shape[3], shape[2], static_cast<int>(shape[1]));
  image.pixels = std::move(made.values);
  clamp(image);
  const Image saved = save_png(options, decoded, image);
  if (saved.width == decoded.image.width && saved.height == decoded.image.height &&
      saved.channels == decoded.image.channels) {
    const double psnr_db = psnr(saved, decoded.image);
    report.text += fmt::format(", PSNR {:.3f} dB", psnr_db);
    report.json["psnr"] = psnr_db;
  }
  return report;
}

// holes.png -> holes.mask.png
void resolve_mask(DegradeOptions& options) {
  if (options.mask.empty()) {
    if (options.output == "-") fail("--drop to standard output needs --mask: where the mask goes");
    options.mask = std::filesystem::path(options.output).replace_extension(".mask.png").string();
  }
}

ExitCode run(DegradeOptions& options) {
  options.output = output_name(options.output);
  if (options.drop) resolve_mask(options);
  check_distinct({{"input", options.input}, {"--degradation", options.degradation}},
                 {{"--output", options.output}, {"--mask", options.mask}});
  check_writable(options.output, options.force);
  if (options.drop) check_writable(options.mask, options.force);
  const bool png = options.noise || options.drop || options.downscale || !options.degradation.empty();
  check_ending(options.output, png ? ImageFormat::png : ImageFormat::jpeg);
  if (options.drop) check_ending(options.mask, ImageFormat::png);
  const std::vector<uint8_t> input = read_file(options.input);
  DecodedImage decoded = decode_image(input, options.input);
  for (const std::string& text : decoded.warnings) warn(fmt::format("{}: {}", options.input, text));
  if (!options.keep_metadata && turn_like(decoded.image, decoded.metadata, {}))
    note(
        fmt::format("{}: turned upright, as its EXIF orientation says, which the output does not have", options.input));
  if (options.gray && decoded.image.channels > 1) {
    decoded.image = to_gray(decoded.image);
    decoded.metadata.icc_profile.clear();  // a colour profile says nothing about gray
  }
  const Report report = options.noise                  ? make_noisy(options, decoded)
                        : options.drop                 ? make_holes(options, decoded)
                        : options.downscale            ? make_small(options, decoded)
                        : !options.degradation.empty() ? make_measurement(options, decoded)
                                                       : make_jpeg(options, decoded, input.size());
  // Where the image itself goes to stdout, the report makes way.
  std::FILE* to = options.output == "-" ? stderr : stdout;
  if (options.json) {
    print_to(to, result_object(report.json).text() + "\n");
  } else {
    print_message(to, options.output + ": " + report.text);
  }
  return ExitCode::ok;
}

Check probability() {
  return number_that([](double share) { return share > 0 && share < 1; }, "a share between 0 and 1");
}

}  // namespace

Command degrade_command() {
  const auto options = std::make_shared<DegradeOptions>();
  Command command{.name = "degrade",
                  .help = "Make an image worse: compressed, noisy, with holes, small, or as you say",
                  .footer = kDegradeFooter};
  const std::string how = "How";
  command.add({{.names = "IMAGE",
                .target = &options->input,
                .help = "The image to degrade (JPEG, PNG or JPEG XL)",
                .required = true},
               {.names = "-o,--output",
                .takes = "FILE",
                .target = &options->output,
                .help = "The JPEG to write; a PNG for noise, holes and small images",
                .required = true,
                .common = true}});
  add_compress_options(command, how, options->compress);
  Option degradation_output = degradation_output_option(options->degradation_output);
  degradation_output.only_with = {"degradation"};
  command.add(
      {{.names = "--noise",
        .target = &options->noise,
        .help = "Normal noise of this standard deviation, in grey levels of 255, clamped",
        .checks = {positive()},
        .choice = how},
       {.names = "--drop",
        .target = &options->drop,
        .help = "Pixels are made black with this probability",
        .checks = {probability()},
        .choice = how},
       {.names = "--downscale",
        .target = &options->downscale,
        .help = "Smaller by this factor: 2, 4 or 8",
        .checks = {one_of({2, 4, 8})},
        .choice = how},
       {.names = "--degradation",
        .takes = "FILE",
        .target = &options->degradation,
        .help = "An ONNX file, image in, measurement out, as 'restore' takes it; OUTPUT may then end in .npy",
        .choice = how},
       std::move(degradation_output),
       {.names = "--seed", .target = &options->seed, .help = "Of the noise and the holes", .checks = {whole_number()}},
       {.names = "--mask",
        .takes = "FILE",
        .target = &options->mask,
        .help = "For --drop, the mask to write: white = kept (default: OUTPUT with .mask.png)",
        .only_with = {"drop"}},
       {.names = "--kernel",
        .target = &options->kernel,
        .help = "For --downscale: lanczos2 or lanczos3",
        .checks = {one_of({"lanczos2", "lanczos3"})},
        .only_with = {"downscale"}},
       {.names = "--progressive",
        .target = &options->progressive,
        .help = "Write a progressive JPEG",
        .only_with = {"quality", "ratio"}},
       {.names = "--keep-metadata",
        .target = &options->keep_metadata,
        .help = "Keep colour profile, EXIF and pixel density, which count for --ratio too; without, the image is "
                "turned upright"},
       {.names = "--gray", .target = &options->gray, .help = "Of the luma alone (BT.601), as a gray image"},
       {.names = "--force", .target = &options->force, .help = "Replace an existing output", .common = true},
       {.names = "--json", .target = &options->json, .help = "Report as one line of JSON"}});
  command.run = [options](ParsedCommand&) { return run(*options); };
  return command;
}

}  // namespace hourglass::cli
