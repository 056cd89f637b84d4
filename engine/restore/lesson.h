// Learning to undo what has spoiled one photograph, from the picture itself.
//
// How it was spoiled is known (J, degradation.h: one file's compression, or noise of known strength), so a network f
// can be taught J(t) -> t with any clean pictures t, and then be applied to the photograph's own pixels y. The pictures
// are its own, made smaller: of an estimate x of the original, what is left of its error shrinks with it, while edges
// and texture of a photograph look alike at all scales (Zontak, Mosseri, Irani, CVPR 2013; Shocher, Cohen, Irani,
// "Zero-shot super-resolution", CVPR 2018). Besides them the estimate itself, at other grid offsets where there is a
// grid, and, where asked for, dead leaves. f is shown what the filter makes of J(t) too, so that it learns what the
// filter leaves to be done. The estimate becomes (1 - w) x + w f(y, x), then it is settled and refined (degradation.h).
//
//   Lesson lesson(photograph, filtered, make, op_table(), {.iterations = 800});
//   while (!lesson.done()) lesson.step();
//   const LearnedMap f = lesson.map();
//   const double w = Bootstrap(filtered, photograph.degradation()).weight(f);
//
// w is found without the original: x, spoiled once more (on a grid that lies elsewhere) is a picture whose original is
// known to be x. There f and the filter are compared (a parametric bootstrap; Efron, Tibshirani 1993, chapter 6). Where
// f does clear harm there, w is 0 and the result is x.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/image/image.h"
#include "engine/restore/degradation.h"
#include "engine/restore/learned_map.h"
#include "engine/restore/mosaic_pairs.h"
#include "engine/restore/network.h"
#include "engine/runtime/precision.h"
#include "engine/train/archive.h"
#include "engine/train/fit.h"

namespace hourglass {

struct LessonOptions {
  int64_t iterations = 800;
  double learning_rate = 1e-3;  // the largest: it rises in the first twentieth, then falls to 0 by half a cosine
  double weights_decay = 0.98;  // FitOptions::weights_decay
  MosaicOptions mosaic;         // its seed also draws what weights the network's graph leaves open
  // Of the pieces, how many are of each kind, relative to each other.
  double smaller_share = 1, estimate_share = 0.3, leaves_share = 0;
  std::vector<double> factors{1.25, 1.5, 2, 2.5, 3};  // how many times smaller the copies are
  int64_t leaves = 64;                                // how many dead leaves pictures
  int64_t mosaics = 0;                                // how many are drawn and filtered; 0: mosaics_for()
  bool symmetries = false;                            // MapOptions::symmetries
  int threads = 0;                                    // 0: all that are available
  Precision precision = Precision::f32;
  std::size_t memory_limit = 0;  // FitOptions::memory_limit
};

// How many mosaics a lesson of so many iterations draws: one for sixteen, at least 1, at most 192. One for eight takes
// a fourth longer in all and gains 0.004 dB more (bench/README.md, "Longer, twice, or from the photograph before").
int64_t mosaics_for(int64_t iterations);

// Problem (fit.h) of a network that learns J(t) -> t from mosaics of side x side: the mean square of what its image and
// the target differ by, in units of the noise (MapConditions). Throws Error when the network is no map.
Problem make_lesson_problem(const NetworkFactory& make, const OpTable& table, int64_t side);

// Measured on house and coffee at quality 10 (bench/README.md, "The filter, and learning").
inline constexpr double kMostCorrection = 4;
// AdamOptions::norm_limit. At a rate of 3e-3 two lessons of five came apart without it (bench/README.md, "Lessons").
inline constexpr double kNormLimit = 2;

// The learning rate of an iteration, from 1, relative to the largest: linear up to a twentieth, then half a cosine.
double lesson_rate(int64_t iteration, int64_t iterations);

// f applied to a photograph, of which `filtered` are the planes as the filter leaves them: the picture, not settled.
// What f changes is limited to kMostCorrection times its rms in each plane: where a picture holds something that is
// like nothing else in it, a coloured line along its border for instance, f is at its worst.
std::vector<Plane> apply_map(const LearnedMap& map, const Degraded& photograph, const std::vector<Plane>& filtered,
                             const Advance& advance = {});

// (1 - weight) filtered + weight learned, settled.
std::vector<Plane> blend(const std::vector<Plane>& filtered, const std::vector<Plane>& learned, double weight,
                         const Degraded& photograph);

// The bootstrap above, on the middle of the picture.
class Bootstrap {
 public:
  static constexpr int64_t kSide = 256;  // of that middle, at most
  Bootstrap(const Image& filtered, const Degradation& degradation, int64_t side = kSide);

  // The weight of the network's picture, from 0 to 1.
  [[nodiscard]] double weight(const LearnedMap& map) const;
  // By how many dB the network's picture is nearer to its original, which is the estimate, than the filter's is. 0
  // where the picture is too small for it.
  [[nodiscard]] double gain(const LearnedMap& map) const;

 private:
  // What the network makes of it, settled.
  [[nodiscard]] Image made_by(const LearnedMap& map) const;

  const Degradation& degradation_;
  Image truth_;  // empty: too small
  Spoiled spoiled_;
};

class Lesson {
 public:
  // What the Fit of a lesson holds, in bytes, planned on paper. Throws Error where the network does not suit.
  static std::size_t planned_bytes(const NetworkFactory& make, const OpTable& table, const LessonOptions& options);

  // filtered: the filter's result, of the photograph's size. make: networks from what learned_map.h says; what weights
  // they bring are where the lesson starts. The photograph and the table must outlive this. Throws Error when something
  // does not fit. `advance` hears of the filtering of the mosaics, and may end it.
  Lesson(const Degraded& photograph, const Image& filtered, NetworkFactory make, const OpTable& table,
         const LessonOptions& options, const Advance& advance = {});

  [[nodiscard]] bool done() const { return fit_->iteration() >= options_.iterations; }
  [[nodiscard]] int64_t iteration() const { return fit_->iteration(); }
  // One iteration. Returns how far the network's picture is from its target: rms in grey levels.
  double step();
  // f as it stands, with the average of its weights.
  [[nodiscard]] LearnedMap map() const;

  // Everything that a Lesson of the same arguments needs to go on as if nothing had happened.
  void save(Archive& archive) { fit_->save(archive); }
  void load(const Archive& archive) { fit_->load(archive); }
  [[nodiscard]] Fit& fit() { return *fit_; }

 private:
  NetworkFactory make_;
  const OpTable& table_;
  LessonOptions options_;
  double scale_;  // from the root of the loss to grey levels
  std::unique_ptr<Fit> fit_;
};

}  // namespace hourglass
