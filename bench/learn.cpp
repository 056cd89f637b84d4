// What learning from the picture itself adds to the filter (engine/restore/lesson.h), in dB.
//
//   build/release/bench/learn files photos/ --quality 10 --start leaves.onnx --iterations 200 --csv learn.csv
//   build/release/bench/learn table --csv learn.csv                              # the CSV as Markdown
//
// `files` compresses the middle of every PNG of the folder (or adds noise to it: --noise), filters it, learns, and
// compares with the original, which is known to this program alone: the best weight of a blend is found in hindsight,
// and stands beside the one that the lesson finds. What the filter makes is kept in --cache, for it takes longer than
// most lessons.
#include <CLI/CLI.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/restore/consistency.h"
#include "engine/restore/degrade.h"
#include "engine/restore/filter.h"
#include "engine/restore/fitted_network.h"
#include "engine/restore/jpeg_degradation.h"
#include "engine/restore/lesson.h"
#include "engine/restore/noise_degradation.h"
#include "engine/restore/noise_filter.h"
#include "graph/error.h"
#include "graph/onnx_import.h"
#include "models/builder.h"
#include "ops/table.h"

using namespace hourglass;

namespace {

struct Arguments {
  std::string folder, csv, start, cache, tag, trials;
  std::vector<int> qualities{10};
  std::vector<std::string> images;
  std::vector<int64_t> channels{24, 48, 64};
  int64_t convolutions = 2, crop = 256;
  int64_t lessons = 1, rounds = 1;
  std::vector<int> noise;  // grey levels: in place of qualities
  bool color = false, truth = false, carry = false, warm = false;
  std::vector<std::vector<float>> before;  // the weights of the photograph before, where --warm wants them
  LessonOptions lesson;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The network that is asked for: a file's, with its weights, or a new one.
NetworkFactory starting_network(const Arguments& a) {
  if (!a.start.empty()) return network_of(OnnxFile::read(a.start), op_table());
  const int64_t planes = a.color ? 3 : 1;
  const ResidualUnetOptions options{.channels = a.channels,
                                    .convolutions = a.convolutions,
                                    .input_depth = map_input_depth(planes),
                                    .output_channels = planes};
  return [options](int64_t height, int64_t width) { return make_residual_unet(options, height, width); };
}

// The network with these weights.
NetworkFactory with_weights(const NetworkFactory& make, const std::vector<std::vector<float>>& weights) {
  return [make, weights](int64_t height, int64_t width) {
    Graph graph = make(height, width);
    give_values(graph, weights);
    return graph;
  };
}

struct Taught {
  std::vector<Plane> planes;          // what the networks make of the photograph, the mean of their pictures
  double weight = 0;                  // that the last lesson finds
  double learning = 0, applying = 0;  // seconds
};

double psnr_clamped(Image image, const Image& original) {
  clamp(image);
  return psnr(image, original);
}

// How good the network is on its way, in the file of --trials: on the estimate spoiled once more (Bootstrap), as a run
// can know it, and on the photograph itself.
class Trials {
 public:
  static constexpr int64_t kCount = 16;  // in a lesson

  Trials(const Arguments& a, const std::string& key, const Degraded& photograph, const Image& filtered,
         const Image& original)
      : photograph_(photograph), original_(original), key_(key), base_(psnr_clamped(filtered, original)) {
    if (a.trials.empty()) return;
    bootstrap_.emplace(filtered, photograph.degradation());
    const bool is_new = !std::filesystem::exists(a.trials);
    file_.open(a.trials, std::ios::app);
    if (is_new) file_ << "tag,color,quality,iterations,image,iteration,on_estimate,on_original\n";
    every_ = std::max<int64_t>(a.lesson.iterations / kCount, 1);
  }

  void after(const Lesson& lesson, const std::vector<Plane>& planes) {
    if (!bootstrap_ || lesson.iteration() % every_ != 0) return;
    const LearnedMap map = lesson.map();
    const Image made =
        photograph_.degradation().to_image(blend(planes, apply_map(map, photograph_, planes), 1, photograph_));
    file_ << fmt::format("{},{},{:+.4f},{:+.4f}\n", key_, lesson.iteration(), bootstrap_->gain(map),
                         psnr_clamped(made, original_) - base_)
          << std::flush;
  }

 private:
  const Degraded& photograph_;
  const Image& original_;
  std::string key_;
  double base_;
  std::optional<Bootstrap> bootstrap_;
  std::ofstream file_;
  int64_t every_ = 1;
};

// Lessons of the last round from the picture that the round before has made, the first from the filter's.
Taught teach(Arguments& a, const Degraded& photograph, const Image& filtered, const Image& first, Trials& trials) {
  const Degradation& degradation = photograph.degradation();
  Taught taught;
  Image source = first;
  NetworkFactory make = starting_network(a);
  if (a.warm && !a.before.empty()) make = with_weights(make, a.before);
  const std::vector<Plane> planes = degradation.to_planes(filtered);
  for (int64_t round = 0; round < a.rounds; ++round) {
    taught.planes.clear();
    for (int64_t k = 0; k < a.lessons; ++k) {
      auto start = std::chrono::steady_clock::now();
      LessonOptions options = a.lesson;
      options.mosaic.seed += static_cast<uint64_t>(1000 * (round * a.lessons + k));
      Lesson lesson(photograph, source, make, op_table(), options);
      while (!lesson.done()) {
        lesson.step();
        trials.after(lesson, planes);
      }
      a.before = lesson.fit().averaged_weights();
      taught.learning += seconds_since(start);
      start = std::chrono::steady_clock::now();
      const LearnedMap map = lesson.map();
      const std::vector<Plane> made = apply_map(map, photograph, planes);
      taught.applying += seconds_since(start);
      taught.weight = Bootstrap(filtered, degradation).weight(map);
      if (taught.planes.empty()) {
        for (const Plane& plane : made) taught.planes.emplace_back(plane.width, plane.height);
      }
      for (std::size_t p = 0; p < made.size(); ++p) {
        for (std::size_t i = 0; i < made[p].samples.size(); ++i) {
          taught.planes[p].samples[i] += made[p].samples[i] / static_cast<float>(a.lessons);
        }
      }
    }
    if (round + 1 == a.rounds) break;
    source = photograph.refine(degradation.to_image(blend(planes, taught.planes, 1, photograph)), {});
    if (a.carry) make = with_weights(make, a.before);
  }
  return taught;
}

// The filter's result, from the cache where it is.
Image filtered_image(const Arguments& a, const std::string& key, const Image& decoded,
                     const std::function<Image()>& filter) {
  if (a.cache.empty()) return filter();
  const std::string path = a.cache + "/" + key + ".f32";
  Image image = decoded;
  const auto bytes = static_cast<std::streamsize>(image.pixels.size() * sizeof(float));
  if (std::ifstream file(path, std::ios::binary); file) {
    file.read(reinterpret_cast<char*>(image.pixels.data()), bytes);
    if (file.gcount() == bytes) return image;
  }
  image = filter();
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(image.pixels.data()), bytes);
  return image;
}

// Of the errors of two images.
double correlation(const Image& a, const Image& b, const Image& original) {
  double aa = 0, bb = 0, ab = 0;
  for (std::size_t i = 0; i < original.pixels.size(); ++i) {
    const double x = a.pixels[i] - original.pixels[i], y = b.pixels[i] - original.pixels[i];
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  return ab / std::sqrt(aa * bb);
}

constexpr const char* kColumns =
    "tag,color,quality,iterations,image,jpeg,filter,learned,best_weight,best,fixed,weight,found,correlation,learning_s,"
    "applying_s\n";
// The weight of `fixed`.
constexpr double kFixedWeight = 0.8;
constexpr uint64_t kNoiseSeed = 0;  // of 'hourglass degrade --noise'

std::string measure(Arguments& a, const std::string& key, const std::string& name, const Image& original, int level) {
  JpegCoefficients file;
  std::optional<JpegModel> model;
  Image spoiled;
  std::unique_ptr<Degraded> photograph;
  std::function<Image()> filter;
  if (a.noise.empty()) {
    const std::vector<uint8_t> bytes = encode_jpeg(original, {.quality = level});
    file = read_jpeg_coefficients(bytes);
    model.emplace(file);
    spoiled = decode_image(bytes, key).image;
    photograph = degraded_jpeg(*model);
    filter = [&] { return filter_jpeg(spoiled, spoiled, *model); };
  } else {
    spoiled = add_noise(original, level, kNoiseSeed);
    for (float& value : spoiled.pixels) value = static_cast<float>(to_byte(value)) / 255.0F;
    photograph = degraded_by_noise(spoiled, level / 255.0);
    filter = [&] { return filter_noise(spoiled, level / 255.0); };
  }
  const Degradation& degradation = photograph->degradation();
  const Image filtered = filtered_image(
      a, fmt::format("{}-{}-{}{}-{}", name, a.color ? "color" : "gray", a.noise.empty() ? "q" : "noise", level, a.crop),
      spoiled, filter);
  Trials trials(a, key, *photograph, filtered, original);
  const Taught taught = teach(a, *photograph, filtered, a.truth ? original : filtered, trials);
  const std::vector<Plane>& learned = taught.planes;
  const double weight = taught.weight;

  const std::vector<Plane> planes = degradation.to_planes(filtered);
  const double base = psnr_clamped(filtered, original);
  const auto gain_of = [&](const Image& image) { return psnr_clamped(image, original) - base; };
  const auto blended = [&](double w) { return degradation.to_image(blend(planes, learned, w, *photograph)); };
  // Of what the program makes.
  const auto gain = [&](double w) { return w > 0 ? gain_of(photograph->refine(blended(w), {})) : 0; };
  double best = 0, best_weight = 0;
  for (int i = 1; i <= 20; ++i) {
    const double w = i / 20.0, g = gain_of(blended(w));
    if (g > best) {
      best = g;
      best_weight = w;
    }
  }
  best = gain(best_weight);
  return fmt::format("{},{:.3f},{:.3f},{:+.3f},{:.2f},{:+.3f},{:+.3f},{:.2f},{:+.3f},{:.3f},{:.1f},{:.1f}\n", key,
                     psnr_clamped(spoiled, original), base, gain(1), best_weight, best, gain(kFixedWeight), weight,
                     gain(weight), correlation(filtered, blended(1), original), taught.learning, taught.applying);
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void measure_files(Arguments& a) {
  const std::string known = read_text(a.csv);
  std::ofstream csv(a.csv, std::ios::app);
  if (known.empty()) csv << kColumns << std::flush;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(a.folder)) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() != ".png") continue;
    if (a.images.empty() || std::find(a.images.begin(), a.images.end(), name) != a.images.end()) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  if (a.warm && known.find("\n" + a.tag + ",") != std::string::npos) {
    fail("{}: has rows of {}, and the next photograph would not go on from the one before: another --tag", a.csv,
         a.tag);
  }
  for (const int level : a.noise.empty() ? a.qualities : a.noise) {
    a.before.clear();
    for (const auto& path : files) {
      const std::string name = path.stem().string();
      const std::string key =
          fmt::format("{},{},{},{},{}", a.tag, a.color ? "color" : "gray", level, a.lesson.iterations, name);
      if (known.find("\n" + key + ",") != std::string::npos) continue;
      Image image = read_image(path.string()).image;
      if (!a.color) image = to_gray(image);
      if (a.color && image.channels != 3) continue;
      const int64_t width = std::min(a.crop, image.width), height = std::min(a.crop, image.height);
      image = crop(image, (image.width - width) / 2, (image.height - height) / 2, width, height);
      for (float& value : image.pixels) value = static_cast<float>(to_byte(value)) / 255.0F;
      const std::string row = measure(a, key, name, image, level);
      csv << row << std::flush;
      fmt::print(stderr, "{}", row);
    }
  }
}

struct Sums {
  int count = 0;
  std::vector<double> columns = std::vector<double>(11);  // from jpeg on
  double worst = 1e9;                                     // of the found weight's gain
};

// Means over the images.
void print_table(const Arguments& a) {
  std::map<std::string, Sums> groups;
  std::istringstream lines(read_text(a.csv));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::vector<std::string> cells;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, ',');) cells.push_back(cell);
    if (cells.size() != 16) fail("{}: '{}' is no row of this table", a.csv, line);
    if (!a.images.empty() && std::find(a.images.begin(), a.images.end(), cells[4]) == a.images.end()) continue;
    Sums& sums = groups[fmt::format("{} | {} | {} | {}", cells[0], cells[1], cells[2], cells[3])];
    ++sums.count;
    for (std::size_t i = 0; i < sums.columns.size(); ++i) sums.columns[i] += std::stod(cells[5 + i]);
    sums.worst = std::min(sums.worst, std::stod(cells[12]));
  }
  fmt::print(
      "| what | colours | quality | iterations | images | JPEG | filter | f alone | best blend (weight) | weight {} | "
      "found "
      "(weight) | least | correlation | learning, s | applying, s "
      "|\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
      "---|---|\n",
      kFixedWeight);
  for (const auto& [name, sums] : groups) {
    std::vector<double> c = sums.columns;
    for (double& value : c) value /= sums.count;
    fmt::print(
        "| {} | {} | {:.2f} | {:.2f} | {:+.3f} | {:+.3f} ({:.2f}) | {:+.3f} | {:+.3f} ({:.2f}) | {:+.3f} | {:.3f} | "
        "{:.1f} | {:.1f} |\n",
        name, sums.count, c[0], c[1], c[2], c[4], c[3], c[5], c[7], c[6], sums.worst, c[8], c[9], c[10]);
  }
}

void add_learning(CLI::App& app, Arguments& a) {
  LessonOptions& o = a.lesson;
  app.add_option("--qualities,--quality", a.qualities)->delimiter(',')->capture_default_str();
  app.add_option("--noise", a.noise, "White noise of these standard deviations in grey levels, in place of JPEG")
      ->delimiter(',');
  app.add_option("--iterations", o.iterations)->capture_default_str();
  app.add_option("--rate", o.learning_rate)->capture_default_str();
  app.add_option("--weights-decay", o.weights_decay)->capture_default_str();
  app.add_option("--side", o.mosaic.side)->capture_default_str();
  app.add_option("--piece", o.mosaic.piece)->capture_default_str();
  app.add_option("--seed", o.mosaic.seed)->capture_default_str();
  app.add_option("--mosaics", o.mosaics, "How many are drawn and filtered; 0: one for sixteen iterations")
      ->capture_default_str();
  app.add_option("--channels", a.channels)->delimiter(',')->capture_default_str();
  app.add_option("--convolutions", a.convolutions)->capture_default_str();
  app.add_option("--start", a.start, "An ONNX file with the network and its weights");
  app.add_option("--threads", o.threads)->capture_default_str();
  app.add_flag("--color", a.color);
  app.add_flag_callback("--bf16", [&o] { o.precision = Precision::bf16; });
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app("What learning from the picture itself adds to the filter.");
  app.require_subcommand(1);
  CLI::App* files = app.add_subcommand("files", "Compresses, filters, learns and compares");
  add_learning(*files, a);
  files->add_option("folder", a.folder, "PNG files")->required();
  files->add_option("--csv", a.csv, "Results; rows that are there are not measured again")->required();
  files->add_option("--tag", a.tag, "Names the rows")->required();
  files->add_option("--images", a.images, "Only these, without .png")->delimiter(',');
  files->add_option("--crop", a.crop, "Side of the middle part that is used")->capture_default_str();
  files->add_option("--cache", a.cache, "Folder that keeps what the filter makes");
  files->add_option("--smaller", a.lesson.smaller_share, "Share of the smaller copies")->capture_default_str();
  files->add_option("--estimate", a.lesson.estimate_share, "Share of the estimate")->capture_default_str();
  files->add_option("--leaves", a.lesson.leaves_share, "Share of dead leaves")->capture_default_str();
  files->add_option("--factors", a.lesson.factors)->delimiter(',')->capture_default_str();
  files->add_flag("--symmetries", a.lesson.symmetries);
  files->add_option("--lessons", a.lessons, "The mean of so many networks, each with a seed of its own")
      ->capture_default_str();
  files->add_option("--rounds", a.rounds, "Lessons, each from the picture that the one before has made")
      ->capture_default_str();
  files->add_flag("--carry", a.carry, "Rounds go on from the weights of the one before");
  files->add_flag("--warm", a.warm, "Photographs go on from the weights of the one before");
  files->add_option("--trials", a.trials,
                    "CSV of what the network gains sixteen times on its way: tag,color,quality,iterations,image,"
                    "iteration, in dB on the estimate spoiled once more, and on the photograph");
  files->add_flag("--truth", a.truth, "Learn from the original, which nobody has: what could be reached");
  CLI::App* table = app.add_subcommand("table", "The CSV as Markdown");
  table->add_option("--csv", a.csv)->required();
  table->add_option("--images", a.images, "Only these")->delimiter(',');
  CLI11_PARSE(app, argc, argv);
  try {
    if (files->parsed()) measure_files(a);
    if (table->parsed()) print_table(a);
  } catch (const std::exception& error) {
    fmt::print(stderr, "learn: {}\n", error.what());
    return 1;
  }
  return 0;
}
