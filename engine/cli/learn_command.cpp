// hourglass learn -o FILE: the weights that --method learn of restore and denoise starts from, out of drawn pictures.
#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "engine/cli/checkpoint_file.h"
#include "engine/cli/command_text.h"
#include "engine/cli/commands.h"
#include "engine/cli/exit_code.h"
#include "engine/cli/fit_options.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/json.h"
#include "engine/cli/network_option.h"
#include "engine/cli/output.h"
#include "engine/cli/progress.h"
#include "engine/cli/same_file.h"
#include "engine/cli/settings.h"
#include "engine/cli/version.h"
#include "engine/image/digest.h"
#include "engine/image/file.h"
#include "engine/restore/jpeg_degradation.h"
#include "engine/restore/lesson.h"
#include "engine/restore/pretraining.h"
#include "engine/restore/restore.h"
#include "engine/runtime/precision.h"
#include "engine/runtime/waiting.h"
#include "graph/error.h"
#include "graph/onnx_export.h"
#include "graph/onnx_import.h"
#include "models/builder.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

struct LearnCommandArguments {
  std::string output, start, resume, table_from, precision = "auto";
  std::vector<int> qualities{5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 95};
  std::vector<int> noise;  // grey levels; empty: JPEG
  std::vector<int64_t> channels{24, 48, 64};
  int64_t convolutions = 2;
  PretrainingOptions pretraining;
  uint64_t seed = 0;
  int threads = 0;
  double checkpoint_every = 60;
  bool gray = false, force = false, quiet = false, json = false;
};

constexpr const char* kLearnFooter =
    R"(A network learns to undo JPEG, or with --noise white noise, on pictures that are drawn from a seed: overlapping shapes
with textures, edges in and out of focus (dead leaves). No photograph goes into it. OUTPUT is an ONNX file with weights,
whose description says how it was made; 'hourglass restore photo.jpg --model OUTPUT' ('hourglass denoise' for noise) goes
on from there with the photograph itself.

The pictures are filtered first, which takes about a second of one CPU for each mosaic. Ctrl-C ends early: OUTPUT is
written as it stands, and OUTPUT.ckpt goes on from there by --resume. The same seed, threads and CPU give the same file.

Examples:
  hourglass learn -o leaves.onnx --iterations 60000 --mosaics 3000        some hours
  hourglass learn -o noise.onnx --noise 5,15,25,50 --iterations 20000     for denoise
  hourglass learn -o camera.onnx --table-from photo.jpg --iterations 5000 --start leaves.onnx
  hourglass learn -o leaves.onnx --resume leaves.onnx.ckpt)";

NetworkFactory starting_network(const LearnCommandArguments& a, int planes) {
  if (!a.start.empty()) {
    const PlaneColors colors = a.noise.empty() ? PlaneColors::ycbcr : PlaneColors::rgb;
    return as_map(network_of(OnnxFile::read(a.start), op_table()), op_table(), colors);
  }
  const ResidualUnetOptions options{.channels = a.channels,
                                    .convolutions = a.convolutions,
                                    .input_depth = map_input_depth(planes),
                                    .output_channels = planes};
  return [options](int64_t height, int64_t width) { return make_residual_unet(options, height, width); };
}

Degradations degradations_of(const LearnCommandArguments& a, const ParsedCommand& line, int planes) {
  constexpr int kMostNoise = 255;
  for (const int sigma : a.noise) {
    if (sigma < 1 || sigma > kMostNoise) fail("--noise: {} is none, it goes from 1 to {}", sigma, kMostNoise);
  }
  for (const char* of_jpeg : {"table-from", "qualities"}) {
    if (!a.noise.empty() && line.given(of_jpeg)) {
      fail("--noise and --{}: leave out one of the two, a network learns to undo noise or JPEG", of_jpeg);
    }
  }
  if (!a.noise.empty()) return noise_degradations(a.noise, planes);
  constexpr int kBest = 100;
  for (const int quality : a.qualities) {
    if (quality < 1 || quality > kBest) fail("--qualities: {} is none, they go from 1 to {}", quality, kBest);
  }
  if (a.table_from.empty()) return jpeg_degradations(a.qualities, planes);
  try {
    const JpegCoefficients file = read_jpeg_coefficients(read_file(a.table_from));
    if (file.color == JpegColor::rgb) fail("is RGB, and lessons are for Y Cb Cr and gray");
    if (file.components.size() > static_cast<std::size_t>(planes)) fail("is in colour: leave out --gray");
    return {std::make_shared<JpegDegradation>(file)};
  } catch (const Error& error) {
    throw error.within(a.table_from);
  }
}

// What else decides about the result: the files that were read, line by line.
std::string digests_of(const LearnCommandArguments& a) {
  std::string text;
  for (const auto& [name, path] : {std::pair{"start", a.start}, std::pair{"table", a.table_from}}) {
    if (!path.empty()) text += fmt::format("{} sha256 {}\n", name, sha256_hex(read_file(path)));
  }
  return text;
}

ExitCode run(LearnCommandArguments& a, ParsedCommand& line) {
  std::optional<Archive> resumed;
  if (!a.resume.empty()) {
    resumed = read_checkpoint(a.resume);
    try {
      Settings::parse(resumed->text("settings")).apply_to(line);
    } catch (const Error& error) {
      throw error.within(a.resume);
    }
  }
  const Settings settings(line, {{"threads", fmt::format("{}", threads_of(a.threads))},
                                 {"precision", std::string(name_of(choose_precision(a.precision)))}});
  if (output_name(a.output) == "-") {
    fail("-o {}: a checkpoint stands beside the network, which is not for standard output: name a file", a.output);
  }
  check_distinct(
      {{"--start", a.start}, {"--table-from", a.table_from}},
      {{"--output", a.output}, {"the checkpoint", a.output + ".ckpt"}, {"--keep-mosaics", a.pretraining.keep_mosaics}});
  check_distinct({{"--resume", a.resume}}, {{"--output", a.output}, {"--keep-mosaics", a.pretraining.keep_mosaics}});
  if (!a.pretraining.keep_mosaics.empty()) check_writable(a.pretraining.keep_mosaics, true);
  check_writable(a.output, a.force || resumed);
  const std::string digests = digests_of(a);
  if (resumed && resumed->text("digests") != digests) {
    fail("{}: was begun with other files than those of --start and --table-from", a.resume);
  }
  const int planes = a.gray ? 1 : 3;
  const NetworkFactory make = starting_network(a, planes);
  Degradations degradations = degradations_of(a, line, planes);
  PretrainingOptions options = a.pretraining;
  options.mosaic.seed = a.seed;
  options.threads = threads_of(a.threads);
  options.precision = choose_precision(a.precision);

  try {
    make_lesson_problem(make, op_table(), options.mosaic.side);
  } catch (const Error& error) {
    throw error.within(a.start.empty() ? "the network" : a.start);
  }
  const AdaptiveWaiting waiting(options.threads);
  const InterruptGuard interrupt;
  Progress progress({.quiet = a.quiet, .json = a.json ? stdout : nullptr});
  using Clock = std::chrono::steady_clock;
  auto start = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  progress.begin("filter");
  progress.show_share(0, 0);
  Pretraining pretraining(make, op_table(), std::move(degradations), options, [&](double share) {
    progress.show_share(share, seconds());
    return interrupt.signal() == 0;
  });
  if (interrupt.signal() != 0) {
    progress.finish();
    const std::string text = "stopped before the first iteration: nothing is written";
    progress.say(text);
    const Json object = interrupted_object(text);
    if (a.json) print_to(stdout, object.text() + "\n");
    return exit_code_of(interrupt.signal());
  }
  if (resumed) {
    pretraining.load(*resumed);
    resumed->close();
  }

  CheckpointFile checkpoint({.path = a.output + ".ckpt", .on_request = true, .every_seconds = a.checkpoint_every});
  if (resumed && same_file(checkpoint.path(), a.resume)) checkpoint.adopt();
  const auto put_away = [&] {
    Archive archive;
    pretraining.save(archive);
    archive.put("settings", settings.text());
    archive.put("digests", digests);
    checkpoint.write(archive, seconds());
  };
  progress.begin("learn");
  start = Clock::now();
  double squares = 0;
  constexpr int kMostNotFinite = 20;
  int64_t count = 0;
  int not_finite = 0;
  while (!pretraining.done() && interrupt.signal() == 0) {
    const double error = pretraining.step();
    // Adam leaves such a step out; where they don't end, the weights themselves are lost.
    not_finite = std::isfinite(error) ? 0 : not_finite + 1;
    if (not_finite > kMostNotFinite) fail("the weights became infinite: give a lower --learning-rate");
    if (not_finite > 0) continue;
    squares += error * error;
    ++count;
    const int64_t done = pretraining.iteration();
    if (progress.due(done, options.iterations, seconds())) {
      const double rms = std::sqrt(squares / static_cast<double>(count));
      squares = 0, count = 0;
      progress.show({.done = done,
                     .total = options.iterations,
                     .seconds = seconds(),
                     .fields = {fmt::format("error {:.4f} of the filter's", rms)},
                     .values = {{"error", rms}}});
    }
    if (checkpoint.due(seconds(), 0)) put_away();
  }
  progress.finish();
  const bool ended = !pretraining.done();
  if (ended) put_away();
  const std::string how = fmt::format("{}\n{}iteration {}\n{}", settings.command_line("-o OUTPUT"), digests,
                                      pretraining.iteration(), version_text());
  const std::string bytes = export_onnx(pretraining.network(), {.dynamic_size = true, .description = how});
  write_file_atomically(a.output, bytes_of(bytes), true);
  if (!ended) checkpoint.remove();
  progress.say(fmt::format("{}: {} iterations, {} bytes", a.output, pretraining.iteration(), bytes.size()));
  const Json object{{"event", "result"},
                    {"output", a.output},
                    {"iterations", pretraining.iteration()},
                    {"seconds", seconds()},
                    {"bytes", static_cast<int64_t>(bytes.size())},
                    {"interrupted", ended}};
  if (a.json) print_to(stdout, object.text() + "\n");
  if (!ended) return ExitCode::ok;
  progress.say_command("to go on", fmt::format("hourglass learn -o {0} --resume {0}.ckpt", cli::quoted(a.output)));
  return exit_code_of(interrupt.signal());
}

}  // namespace

Command learn_command() {
  const auto arguments = std::make_shared<LearnCommandArguments>();
  LearnCommandArguments& a = *arguments;
  PretrainingOptions& p = a.pretraining;
  Command command{.name = "learn",
                  .help = "Make the weights that --method learn starts from, out of drawn pictures",
                  .footer = kLearnFooter};
  command.add({
      {.names = "-o,--output",
       .takes = "FILE",
       .target = &a.output,
       .help = "The ONNX file to write",
       .required = true,
       .heading = kFilesHeading,
       .common = true},
      {.names = "--iterations",
       .target = &p.iterations,
       .help = "How long to learn",
       .checks = {range(1, 100000000)},
       .common = true},
      {.names = "--mosaics",
       .target = &p.mosaics,
       .help = "How many pictures of 256x256 to learn from, each in its four mirror images; 1.2 MB of memory each",
       .checks = {range(1, 100000)}},
      {.names = "--drawings",
       .target = &p.pictures,
       .help = "How many pictures of 160x160 to draw, from which the mosaics are cut; 0.6 MB of memory each",
       .checks = {range(1, 1000000)}},
      {.names = "--qualities",
       .target = &a.qualities,
       .help = "Of libjpeg's scale, 1 to 100: the compressions to undo; with --table-from, of no meaning"},
      {.names = "--noise",
       .target = &a.noise,
       .help = "White noise of these standard deviations, in whole grey levels, is to be undone in place of JPEG: "
               "15,25,50"},
      {.names = "--table-from",
       .takes = "FILE",
       .target = &a.table_from,
       .help = "A JPEG whose tables and sampling are to be undone, and no others"},
      {.names = "--gray", .target = &a.gray, .help = "A network for gray files and the luma of others alone"},
      {.names = "--channels",
       .target = &a.channels,
       .help = "Of the network's scales, the finest first; with --start, of no meaning"},
      {.names = "--convolutions",
       .target = &a.convolutions,
       .help = "Of 3x3 in each block of the network",
       .checks = {range(1, 16)}},
      {.names = "--start",
       .takes = "FILE",
       .target = &a.start,
       .help = "An ONNX file with the network and the weights to start from",
       .common = true},
      {.names = "--learning-rate",
       .target = &p.learning_rate,
       .help = "Of Adam, at its largest; it falls to 0 by half a cosine",
       .checks = {positive()}},
      {.names = "--seed",
       .target = &a.seed,
       .help = "Of the drawings and of all else that is random",
       .checks = {whole_number()}},
      {.names = "--threads",
       .target = &a.threads,
       .help = "How many; 0: as OMP_NUM_THREADS says, else all CPUs that this process may use",
       .checks = {range(0, 4096)},
       .common = true},
      {.names = "--precision",
       .target = &a.precision,
       .help = "auto (bf16 where the CPU has it), f32 or bf16",
       .checks = {one_of({"auto", "f32", "bf16"})}},
      {.names = "--resume",
       .takes = "FILE",
       .target = &a.resume,
       .help = "Go on from OUTPUT.ckpt, to the same bytes as if nothing had happened",
       .heading = kFilesHeading,
       .common = true},
      {.names = "--keep-mosaics",
       .takes = "FILE",
       .target = &p.keep_mosaics,
       .help = "A file that holds the filtered mosaics, about 1.2 MB each, and spares --resume and further networks "
               "their filtering; written where it is not there or holds others",
       .heading = kFilesHeading},
      {.names = "--checkpoint-every",
       .takes = "SECONDS",
       .target = &a.checkpoint_every,
       .help = "Seconds between two writings of OUTPUT.ckpt",
       .checks = {non_negative()},
       .heading = kFilesHeading},
      {.names = "--force",
       .target = &a.force,
       .help = "Replace OUTPUT where it exists",
       .heading = kFilesHeading,
       .common = true},
      {.names = "-q,--quiet",
       .target = &a.quiet,
       .help = "Say nothing but errors",
       .heading = kFilesHeading,
       .common = true},
      {.names = "--json",
       .target = &a.json,
       .help = "JSON objects on stdout, one per line: the progress once a second, at last the result",
       .heading = kFilesHeading},
  });
  command.run = [arguments](ParsedCommand& line) { return run(*arguments, line); };
  return command;
}

}  // namespace hourglass::cli
