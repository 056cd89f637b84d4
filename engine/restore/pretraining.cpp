#include "engine/restore/pretraining.h"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "engine/image/jpeg.h"
#include "engine/restore/fitted_network.h"
#include "engine/restore/jpeg_degradation.h"
#include "engine/restore/lesson.h"
#include "engine/restore/noise_degradation.h"
#include "graph/error.h"

namespace hourglass {

Degradations jpeg_degradations(const std::vector<int>& qualities, int channels) {
  constexpr std::size_t kFullChromaEvery = 3, kGrayEvery = 2;
  Degradations result;
  const auto add = [&](int quality, Subsampling subsampling, int components) {
    const Image blank(kMapMultiple, kMapMultiple, components);
    const std::vector<uint8_t> bytes = encode_jpeg(blank, {.quality = quality, .subsampling = subsampling});
    result.push_back(std::make_shared<JpegDegradation>(read_jpeg_coefficients(bytes)));
  };
  for (std::size_t i = 0; i < qualities.size(); ++i) {
    add(qualities[i], Subsampling::s420, channels);
    if (channels > 1 && i % kFullChromaEvery == 1) add(qualities[i], Subsampling::s444, channels);
    if (channels > 1 && i % kGrayEvery == 0) add(qualities[i], Subsampling::s420, 1);
  }
  return result;
}

Degradations noise_degradations(const std::vector<int>& sigmas, int channels) {
  constexpr std::size_t kGrayEvery = 2;
  Degradations result;
  for (std::size_t i = 0; i < sigmas.size(); ++i) {
    result.push_back(std::make_shared<NoiseDegradation>(sigmas[i] / 255.0, channels));
    if (channels > 1 && i % kGrayEvery == 0) result.push_back(std::make_shared<NoiseDegradation>(sigmas[i] / 255.0, 1));
  }
  return result;
}

Pretraining::Pretraining(NetworkFactory make, const OpTable& table, Degradations degradations,
                         const PretrainingOptions& options, const Advance& advance)
    : make_(std::move(make)), options_(options) {
  if (options.threads > 0) omp_set_num_threads(options.threads);  // of drawing and filtering; Fit sees to its own
  if (degradations.empty()) fail("pretraining needs something to undo");
  const Problem problem = make_lesson_problem(make_, table, options.mosaic.side);
  PictureGroup leaves = draw_leaves_group(*degradations[0], options.mosaic, options.pictures);
  const Mosaics mosaics(std::move(degradations), {std::move(leaves)}, options.mosaic);
  fit_ = std::make_unique<Fit>(
      problem, table,
      FitOptions{.seed = options.mosaic.seed,
                 .adam = {.learning_rate = options.learning_rate, .norm_limit = kNormLimit},
                 .pairs = std::make_shared<MosaicPairs>(mosaics, options.mosaics, problem.graph.shape(problem.image)[1],
                                                        advance, options.keep_mosaics),
                 .weights_decay = options.weights_decay,
                 .threads = options.threads,
                 .precision = options.precision,
                 .memory_limit = options.memory_limit});
}

double Pretraining::step() {
  fit_->set_learning_rate(options_.learning_rate * lesson_rate(fit_->iteration() + 1, options_.iterations));
  return std::sqrt(fit_->step());
}

Graph Pretraining::network() const {
  constexpr int64_t kSide = 4 * kMapMultiple;  // any: the file leaves it open
  Graph graph = make_(kSide, kSide);
  give_values(graph, fit_->averaged_weights());
  return graph;
}

}  // namespace hourglass
