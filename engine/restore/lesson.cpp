#include "engine/restore/lesson.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/restore/consistency.h"
#include "engine/restore/dead_leaves.h"
#include "engine/restore/energy.h"
#include "engine/restore/filter.h"
#include "engine/restore/nonlocal_bayes.h"
#include "engine/restore/resample.h"
#include "graph/error.h"

namespace hourglass {
namespace {

// Smaller than this, nothing is learned from a copy: it would be all mirrors.
constexpr int64_t kLeastSide = 24;

std::vector<PictureGroup> groups_of(const JpegModel& model, const Image& filtered, const LessonOptions& o) {
  std::vector<PictureGroup> groups;
  const std::vector<Plane> whole = model.to_planes(filtered);
  PictureGroup smaller{.pictures = {}, .share = o.smaller_share};
  for (const double factor : o.factors) {
    if (static_cast<double>(std::min(filtered.width, filtered.height)) < kLeastSide * factor) continue;
    smaller.pictures.push_back(model.to_planes(shrink(filtered, factor)));
  }
  if (o.smaller_share > 0 && !smaller.pictures.empty()) groups.push_back(std::move(smaller));
  if (o.estimate_share > 0 || groups.empty()) {
    groups.push_back({.pictures = {whole}, .share = std::max(o.estimate_share, 1e-3), .off_grid = true});
  }
  if (o.leaves_share > 0 && o.leaves > 0) {
    PictureGroup leaves{.pictures = {}, .share = o.leaves_share};
    const int64_t side = o.mosaic.piece + 32;
    for (const Image& picture :
         draw_dead_leaves(o.mosaic.seed, {.width = side, .height = side, .channels = filtered.channels}, o.leaves)) {
      leaves.pictures.push_back(model.to_planes(picture));
    }
    groups.push_back(std::move(leaves));
  }
  return groups;
}

}  // namespace

Problem make_lesson_problem(const NetworkFactory& make, const OpTable& table, std::size_t planes, bool filtered,
                            int64_t side) {
  Problem problem{.graph = make(side, side), .input = {}, .image = {}, .loss = {}};
  const Shape input{1, map_input_depth(planes, filtered), side, side};
  const Shape image{1, static_cast<int64_t>(planes), side, side};
  if (problem.graph.inputs.size() != 1 || problem.graph.outputs.size() != 1) {
    fail("the network must have one input and one output, it has {} and {}", problem.graph.inputs.size(),
         problem.graph.outputs.size());
  }
  problem.input = problem.graph.inputs[0];
  problem.image = problem.graph.outputs[0];
  if (problem.graph.shape(problem.input) != input || problem.graph.shape(problem.image) != image) {
    fail("the network makes {} of {}; to learn this file's compression it must make {} of {}",
         problem.graph.shape(problem.image), problem.graph.shape(problem.input), image, input);
  }
  GraphBuilder builder(problem.graph, table);
  problem.target = builder.input("target", {DType::f32, image});
  problem.loss = mean_of_squares(builder, builder.add("Sub", {problem.image, problem.target}, {}, "energy/difference"));
  return problem;
}

double lesson_rate(int64_t iteration, int64_t iterations) {
  constexpr double kWarmUp = 0.05;
  const double done = static_cast<double>(iteration) / static_cast<double>(iterations);
  if (done < kWarmUp) return done / kWarmUp;
  return (1 + std::cos(std::numbers::pi * (done - kWarmUp) / (1 - kWarmUp))) / 2;
}

std::vector<Plane> prefilter(const std::vector<Plane>& decoded, const JpegPipeline& pipeline) {
  // As the first passes of filter_jpeg() assume.
  const double noise = table_noise(pipeline.coarseness());
  std::vector<double> sigmas(decoded.size(), kChromaNoise * noise);
  sigmas[0] = noise;
  std::vector<Plane> planes = decoded;
  nonlocal_bayes(planes, sigmas, find_groups(planes[0], {}));
  return planes;
}

Image apply_map(const LearnedMap& map, const JpegModel& model, bool filtered, bool all_symmetries) {
  const JpegPipeline pipeline(model);
  const std::vector<Plane> decoded = decode(model);
  const std::vector<Plane> second = filtered ? prefilter(decoded, pipeline) : std::vector<Plane>{};
  // Mirrored, the grid begins with the first pixel only where the sides are whole blocks.
  if (!all_symmetries || model.file().width % kMapMultiple != 0 || model.file().height % kMapMultiple != 0) {
    return model.to_image(map.apply(decoded, second, pipeline));
  }
  std::vector<Plane> sum;
  for (const bool rows : {false, true}) {
    for (const bool columns : {false, true}) {
      const std::vector<Plane> made = mirrored(
          map.apply(mirrored(decoded, rows, columns), mirrored(second, rows, columns), pipeline), rows, columns);
      if (sum.empty()) {
        sum = made;
        continue;
      }
      for (std::size_t p = 0; p < sum.size(); ++p) {
        for (std::size_t i = 0; i < sum[p].samples.size(); ++i) sum[p].samples[i] += made[p].samples[i];
      }
    }
  }
  for (Plane& plane : sum) {
    for (float& sample : plane.samples) sample /= 4;
  }
  return model.to_image(sum);
}

Image blend(const Image& filtered, const Image& learned, double weight, const JpegModel& model) {
  if (weight <= 0) return filtered;
  Image mixed = filtered;
  const auto w = static_cast<float>(weight);
  for (std::size_t i = 0; i < mixed.pixels.size(); ++i) {
    mixed.pixels[i] = (1 - w) * filtered.pixels[i] + w * learned.pixels[i];
  }
  return to_posterior_mean(mixed, model, kFilterSigmaFactor);
}

double find_blend_weight(const LearnedMap& map, const Image& filtered, const JpegModel& model, bool filtered_input,
                         bool all_symmetries) {
  // Half a block further down and right than the file's grid, where it is farthest from it.
  constexpr int64_t kOffset = 4, kLargest = 256;
  const auto side = [&](int64_t length) {
    return std::min(kLargest, (length - kOffset) / kMapMultiple * kMapMultiple);
  };
  const int64_t width = side(filtered.width), height = side(filtered.height);
  if (width < kMapMultiple || height < kMapMultiple) return 0;
  const auto begin = [&](int64_t length, int64_t part) { return (length - part - kOffset) / 16 * 8 + kOffset; };
  const Image truth = crop(filtered, begin(filtered.width, width), begin(filtered.height, height), width, height);
  const JpegCoefficients file = compress_like(model.to_planes(truth), model);
  const JpegModel again(file);
  Image decoded = again.to_image(decode(again));
  clamp(decoded);
  const Image first = filter_jpeg(decoded, decoded, again);
  const Image second =
      to_posterior_mean(apply_map(map, again, filtered_input, all_symmetries), again, kFilterSigmaFactor);
  // The w for which |first + w (second - first) - truth|^2 is least.
  double product = 0, squares = 0, errors = 0;
  for (std::size_t i = 0; i < truth.pixels.size(); ++i) {
    const double error = static_cast<double>(truth.pixels[i]) - first.pixels[i];
    const double difference = static_cast<double>(second.pixels[i]) - first.pixels[i];
    product += error * difference;
    squares += difference * difference;
    errors += error * error;
  }
  // By how much a weight changes the squared error, as a share of the filter's.
  const auto gain = [&](double weight) { return (2 * weight * product - weight * weight * squares) / errors; };
  const double best = std::clamp(product / squares, 0.0, 1.0);
  // The bootstrap is partial to the filter, whose own work the truth is here: on four photographs at quality 10 it said
  // 0 to 0.41, where 0.25 to 0.5 was best in hindsight. So half of the weight is the usual one, where that does no
  // harm.
  constexpr double kUsualWeight = 0.4, kHarm = -0.05;
  const double weight = (best + kUsualWeight) / 2;
  if (gain(weight) > kHarm) return weight;
  constexpr double kLeastGain = 0.002;        // of the smallest some are chance; 0.01 dB
  return gain(best) > kLeastGain ? best : 0;  // and where a number is no number
}

Lesson::Lesson(const JpegModel& model, const Image& filtered, NetworkFactory make, const OpTable& table,
               const LessonOptions& options)
    : model_(model), filtered_(filtered), make_(std::move(make)), table_(table), options_(options) {
  if (filtered.width != model.file().width || filtered.height != model.file().height) {
    fail("the filtered image is {}x{}, the JPEG {}x{}", filtered.width, filtered.height, model.file().width,
         model.file().height);
  }
  const auto mosaics = std::make_shared<MosaicPairs>(std::vector<JpegPipeline>{JpegPipeline(model)},
                                                     groups_of(model, filtered, options), options.mosaic);
  std::shared_ptr<const Pairs> pairs = mosaics;
  const bool second = options.filtered_mosaics > 0;
  if (second) {
    pairs = std::make_shared<FilteredPairs>(*mosaics, prefilter, options.filtered_mosaics, options.mosaic.seed + 1);
  }
  fit_ = std::make_unique<Fit>(
      make_lesson_problem(make_, table_, model.file().components.size(), second, options.mosaic.side), table_,
      FitOptions{.seed = options.mosaic.seed,
                 .adam = {.learning_rate = options.learning_rate},
                 .pairs = std::move(pairs),
                 .weights_decay = options.weights_decay,
                 .threads = options.threads,
                 .precision = options.precision,
                 .memory_limit = options.memory_limit});
}

double Lesson::step() {
  fit_->set_learning_rate(options_.learning_rate * lesson_rate(fit_->iteration() + 1, options_.iterations));
  return kMapScale * std::sqrt(fit_->step());
}

LearnedMap Lesson::map() const {
  return {make_, table_, fit_->averaged_weights(), {.threads = options_.threads, .precision = options_.precision}};
}

Lesson::Result Lesson::result() const {
  const LearnedMap learned = map();
  const bool second = options_.filtered_mosaics > 0;
  const Image image = apply_map(learned, model_, second, options_.all_symmetries);
  Result result{.image = {}, .learned = to_posterior_mean(image, model_, kFilterSigmaFactor), .weight = 0};
  result.weight = find_blend_weight(learned, filtered_, model_, second, options_.all_symmetries);
  result.image = blend(filtered_, image, result.weight, model_);
  return result;
}

}  // namespace hourglass
