// The weights that lessons (lesson.h) start from: a network learns to undo JPEG, or noise, on dead leaves
// (dead_leaves.h), pictures drawn from a seed, for many tables or strengths at once. No photograph is needed.
//
//   Pretraining pretraining(make, op_table(), jpeg_degradations({10, 20, 40}, 3), {.iterations = 20000});
//   while (!pretraining.done()) pretraining.step();
//   write_onnx(pretraining.network(), "leaves.onnx", {.dynamic_size = true});
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/restore/degradation.h"
#include "engine/restore/mosaic_pairs.h"
#include "engine/restore/network.h"
#include "engine/restore/task.h"
#include "engine/runtime/precision.h"
#include "engine/train/archive.h"
#include "engine/train/fit.h"

namespace hourglass {

// Compressions with the tables of these qualities of libjpeg's scale, to learn from. channels: 1 or 3. In colour with
// 4:2:0, every third quality with full chroma too, and every other one in gray.
Degradations jpeg_degradations(const std::vector<int>& qualities, int channels);
// White noise of these standard deviations, in grey levels. In colour, every other one in gray too.
Degradations noise_degradations(const std::vector<int>& sigmas, int channels);

struct PretrainingOptions {
  int64_t iterations = 20000;
  double learning_rate = 1.5e-3;  // as lesson_rate() says
  double weights_decay = 0.998;   // FitOptions::weights_decay
  int64_t pictures = 2000;        // dead leaves
  int64_t mosaics = 1000;         // drawn from these and filtered beforehand, the longest part of a short pretraining
  std::string keep_mosaics;       // MosaicPairs' keep
  MosaicOptions mosaic{.side = 256, .piece = 128, .seed = 0};  // the seed draws the pictures and the first weights too
  int threads = 0;                                             // 0: all that are available
  Precision precision = Precision::f32;
  std::size_t memory_limit = 0;  // FitOptions::memory_limit
};

class Pretraining {
 public:
  // make: maps as learned_map.h wants them; what weights they bring are where it starts. degradations: to undo,
  // the first in colour if any is, all of one kind. `advance` hears of the filtering, and may end it. The table must
  // outlive this. Throws Error when something does not fit.
  Pretraining(NetworkFactory make, const OpTable& table, Degradations degradations, const PretrainingOptions& options,
              const Advance& advance = {});

  [[nodiscard]] bool done() const { return fit_->iteration() >= options_.iterations; }
  [[nodiscard]] int64_t iteration() const { return fit_->iteration(); }
  // One iteration. Returns how far the network's picture is from its target: rms in units of MapConditions::noise.
  double step();
  // With the average of its weights.
  [[nodiscard]] Graph network() const;

  // Everything that a Pretraining of the same arguments needs to go on as if nothing had happened.
  void save(Archive& archive) { fit_->save(archive); }
  void load(const Archive& archive) { fit_->load(archive); }

 private:
  NetworkFactory make_;
  PretrainingOptions options_;
  std::unique_ptr<Fit> fit_;
};

}  // namespace hourglass
