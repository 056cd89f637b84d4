#include "engine/restore/lesson.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/image/metrics.h"
#include "engine/restore/energy.h"
#include "engine/restore/pixel_psnr.h"
#include "engine/restore/resample.h"
#include "graph/error.h"

namespace hourglass {
namespace {

// Smaller than this, nothing is learned from a copy: it would be all mirrors.
constexpr int64_t kLeastSide = 24;

// Lives as long as the photograph that it is the degradation of.
std::shared_ptr<const Degradation> shared(const Degradation& degradation) {
  return {std::shared_ptr<const Degradation>(), &degradation};
}

std::vector<PictureGroup> groups_of(const Degradation& degradation, const Image& filtered, const LessonOptions& o) {
  std::vector<PictureGroup> groups;
  const std::vector<Plane> whole = degradation.to_planes(filtered);
  PictureGroup smaller{.pictures = {}, .share = o.smaller_share};
  for (const double factor : o.factors) {
    if (static_cast<double>(std::min(filtered.width, filtered.height)) < kLeastSide * factor) continue;
    smaller.pictures.push_back(degradation.to_planes(shrink(filtered, factor)));
  }
  if (o.smaller_share > 0 && !smaller.pictures.empty()) groups.push_back(std::move(smaller));
  if (o.estimate_share > 0 || groups.empty()) {
    groups.push_back(
        {.pictures = {whole}, .share = std::max(o.estimate_share, 1e-3), .off_grid = degradation.conditions().blocks});
  }
  if (o.leaves_share > 0 && o.leaves > 0) {
    groups.push_back(draw_leaves_group(degradation, o.mosaic, o.leaves));
    groups.back().share = o.leaves_share;
  }
  return groups;
}

// But for the pairs.
FitOptions fit_options_of(const LessonOptions& options) {
  return {.seed = options.mosaic.seed,
          .adam = {.learning_rate = options.learning_rate, .norm_limit = kNormLimit},
          .weights_decay = options.weights_decay,
          .threads = options.threads,
          .precision = options.precision,
          .memory_limit = options.memory_limit};
}

}  // namespace

int64_t mosaics_for(int64_t iterations) {
  constexpr int64_t kIterationsPerMosaic = 16, kMostMosaics = 192;
  return std::clamp<int64_t>(iterations / kIterationsPerMosaic, 1, kMostMosaics);
}

Problem make_lesson_problem(const NetworkFactory& make, const OpTable& table, int64_t side) {
  Problem problem{.graph = make(side, side), .input = {}, .image = {}, .loss = {}};
  const MapValues values = map_values(problem.graph, side, side);
  problem.input = values.input;
  problem.image = values.image;
  GraphBuilder builder(problem.graph, table);
  problem.target = builder.input("target", problem.graph.value(values.image).type);
  const ValueId difference = builder.add("Sub", {problem.image, problem.target}, {}, "energy/difference");
  const int64_t noise_channel = map_noise_channel(values.channels);
  const ValueId noise = builder.add(
      "Slice", {problem.input}, {{"starts", Dims{noise_channel}}, {"ends", Dims{noise_channel + 1}}, {"axes", Dims{1}}},
      "energy/noise");
  problem.loss = mean_of_squares(builder, builder.add("Div", {difference, noise}, {}, "energy/relative"));
  return problem;
}

double lesson_rate(int64_t iteration, int64_t iterations) {
  constexpr double kWarmUp = 0.05;
  const double done = static_cast<double>(iteration) / static_cast<double>(iterations);
  if (done < kWarmUp) return done / kWarmUp;
  return (1 + std::cos(std::numbers::pi * (done - kWarmUp) / (1 - kWarmUp))) / 2;
}

std::vector<Plane> apply_map(const LearnedMap& map, const Degraded& photograph, const std::vector<Plane>& filtered,
                             const Advance& advance) {
  const std::vector<Plane> degraded = photograph.planes();
  if (filtered.at(0).width != degraded[0].width || filtered[0].height != degraded[0].height) {
    fail("the filtered picture is {}x{}, the photograph {}x{}", filtered[0].width, filtered[0].height,
         degraded[0].width, degraded[0].height);
  }
  std::vector<Plane> made = map.apply(degraded, filtered, photograph.degradation().conditions(), advance);
  for (std::size_t p = 0; p < made.size(); ++p) {
    const std::vector<float>& from = filtered[p].samples;
    std::vector<float>& to = made[p].samples;
    const auto count = static_cast<int64_t>(to.size());
    const double mean_square = squared_distance(to.data(), from.data(), count) / static_cast<double>(count);
    const auto most = static_cast<float>(kMostCorrection * std::sqrt(mean_square));
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i] + std::clamp(to[i] - from[i], -most, most);
  }
  return made;
}

std::vector<Plane> blend(const std::vector<Plane>& filtered, const std::vector<Plane>& learned, double weight,
                         const Degraded& photograph) {
  std::vector<Plane> mixed = filtered;
  if (weight <= 0) return mixed;
  const auto w = static_cast<float>(weight);
  for (std::size_t p = 0; p < mixed.size(); ++p) {
    const std::vector<float>& from = learned[p].samples;
    std::vector<float>& to = mixed[p].samples;
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = (1 - w) * to[i] + w * from[i];
  }
  photograph.settle(mixed);
  return mixed;
}

Bootstrap::Bootstrap(const Image& filtered, const Degradation& degradation, int64_t side) : degradation_(degradation) {
  // Half a block further down and right than a JPEG's grid, where it is farthest from it.
  constexpr int64_t kOffset = 4;
  constexpr uint64_t kBootstrapSeed = 0xB0075;  // no lesson's
  const auto part_of = [&](int64_t length) { return std::min(side, (length - kOffset) / kMapMultiple * kMapMultiple); };
  const int64_t width = part_of(filtered.width), height = part_of(filtered.height);
  if (width < kMapMultiple || height < kMapMultiple) return;
  const auto begin = [&](int64_t length, int64_t part) { return (length - part - kOffset) / 16 * 8 + kOffset; };
  truth_ = crop(filtered, begin(filtered.width, width), begin(filtered.height, height), width, height);
  spoiled_ = degradation.spoil(degradation.to_planes(truth_), kBootstrapSeed, 0);
}

Image Bootstrap::made_by(const LearnedMap& map) const {
  const std::vector<Plane> planes = degradation_.to_planes(spoiled_.filtered);
  return degradation_.to_image(blend(planes, apply_map(map, *spoiled_.picture, planes), 1, *spoiled_.picture));
}

double Bootstrap::gain(const LearnedMap& map) const {
  if (truth_.pixels.empty()) return 0;
  const double gain = psnr(made_by(map), truth_) - psnr(spoiled_.filtered, truth_);
  return std::isfinite(gain) ? gain : 0;  // of a picture without anything in it
}

double Bootstrap::weight(const LearnedMap& map) const {
  if (truth_.pixels.empty()) return 0;
  const Image &first = spoiled_.filtered, second = made_by(map);
  // The w for which |first + w (second - first) - truth|^2 is least.
  double product = 0, squares = 0, errors = 0;
  for (std::size_t i = 0; i < truth_.pixels.size(); ++i) {
    const double error = static_cast<double>(truth_.pixels[i]) - first.pixels[i];
    const double difference = static_cast<double>(second.pixels[i]) - first.pixels[i];
    product += error * difference;
    squares += difference * difference;
    errors += error * error;
  }
  // By how much a weight changes the squared error, as a share of the filter's.
  const auto gained = [&](double weight) { return (2 * weight * product - weight * weight * squares) / errors; };
  const double best = std::clamp(product / squares, 0.0, 1.0);
  // The bootstrap is partial to the filter, whose own work the truth is here: on five photographs at quality 10 it said
  // 0.56 to 0.74, where 0.8 to 1 was best in hindsight. So half of the weight is a larger one, unless that costs more
  // than 5 % of the squared error there.
  constexpr double kUsualWeight = 1.2, kHarm = -0.05;
  const double weight = std::min((best + kUsualWeight) / 2, 1.0);
  if (gained(weight) > kHarm) return weight;
  constexpr double kLeastGain = 0.002;          // of the smallest some are chance; 0.01 dB
  return gained(best) > kLeastGain ? best : 0;  // and where a number is no number
}

std::size_t Lesson::planned_bytes(const NetworkFactory& make, const OpTable& table, const LessonOptions& options) {
  return Fit::planned_bytes(make_lesson_problem(make, table, options.mosaic.side), table, fit_options_of(options));
}

Lesson::Lesson(const Degraded& photograph, const Image& filtered, NetworkFactory make, const OpTable& table,
               const LessonOptions& options, const Advance& advance)
    : make_(std::move(make)), table_(table), options_(options), scale_(photograph.degradation().conditions().noise) {
  const Degradation& degradation = photograph.degradation();
  if (options.threads > 0) omp_set_num_threads(options.threads);  // of drawing and filtering; Fit sees to its own
  const Problem problem = make_lesson_problem(make_, table_, options.mosaic.side);
  const int64_t channels = problem.graph.shape(problem.image)[1];
  const int64_t count = options.mosaics > 0 ? options.mosaics : mosaics_for(options.iterations);
  // Planes that the photograph has not are zero in image and target.
  const auto planes = std::min<int64_t>(channels, static_cast<int64_t>(degradation.channels()));
  scale_ *= std::sqrt(static_cast<double>(channels) / static_cast<double>(planes));
  const Mosaics mosaics({shared(degradation)}, groups_of(degradation, filtered, options), options.mosaic);
  FitOptions fit_options = fit_options_of(options);
  fit_options.pairs = std::make_shared<MosaicPairs>(mosaics, count, channels, advance);
  fit_ = std::make_unique<Fit>(problem, table_, fit_options);
}

double Lesson::step() {
  fit_->set_learning_rate(options_.learning_rate * lesson_rate(fit_->iteration() + 1, options_.iterations));
  return scale_ * std::sqrt(fit_->step());
}

LearnedMap Lesson::map() const {
  return {make_,
          table_,
          fit_->averaged_weights(),
          {.threads = options_.threads, .precision = options_.precision, .symmetries = options_.symmetries}};
}

}  // namespace hourglass
