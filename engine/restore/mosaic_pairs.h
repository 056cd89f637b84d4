// Pairs (J(t), t) to learn from: t is a mosaic of pieces of clean pictures, J(t) what a degradation makes of it, and
// beside it what the filter makes of J(t).
//
// Each piece is drawn on its own: a group of pictures by its share, a picture of it, a place, one of eight ways to turn
// it. Several small pieces in one mosaic show more of the pictures in an iteration than a large one does. A picture
// that is smaller than a piece goes on in mirrors. Since a piece may begin anywhere in its picture, all grid offsets
// occur. The filter takes longer than an iteration, so a number of mosaics is drawn and filtered beforehand.
#pragma once

#include <string>
#include <vector>

#include "engine/restore/degradation.h"
#include "engine/restore/learned_map.h"
#include "engine/restore/task.h"
#include "engine/train/pairs.h"

namespace hourglass {

// Clean pictures, as the degradation's planes. Gray ones are made of the first.
struct PictureGroup {
  std::vector<std::vector<Plane>> pictures;
  double share = 1;  // of the pieces, relative to the other groups'
  // The pictures come from one that goes by blocks whose grid begins at their first pixel, and no piece may begin on
  // it: there the network would learn J(t) -> t for a t that was made of J(t).
  bool off_grid = false;
};

struct MosaicOptions {
  int64_t side = 128, piece = 64;  // pixels; piece divides side, and both are multiples of kMapMultiple
  uint64_t seed = 0;
};

// So many dead leaves (dead_leaves.h), drawn from the mosaic's seed, a little larger than a piece, so that one may lie
// in several places. They become planes of the degradation.
PictureGroup draw_leaves_group(const Degradation& degradation, const MosaicOptions& mosaic, int64_t count);

class Mosaics {
 public:
  // Each mosaic goes through one of the degradations, which is drawn. Throws Error for sides that don't suit, no
  // pictures, no degradation.
  Mosaics(Degradations degradations, std::vector<PictureGroup> groups, const MosaicOptions& options);

  // A mosaic, and the number of the degradation that it goes through. A function of the options and the index alone.
  struct Target {
    std::vector<Plane> planes;
    std::size_t degradation = 0;
  };
  [[nodiscard]] Target draw(int64_t index) const;

  [[nodiscard]] const MosaicOptions& options() const { return options_; }
  [[nodiscard]] const Degradations& degradations() const { return degradations_; }
  // Differs for mosaics that differ: SHA-256 of the options, the degradations and the pictures.
  [[nodiscard]] std::string digest() const;

 private:
  void draw_piece(std::span<const float> dice, int64_t y0, int64_t x0, std::vector<Plane>& mosaic) const;

  Degradations degradations_;
  std::vector<PictureGroup> groups_;
  MosaicOptions options_;
  double shares_ = 0;  // sum
};

// Mosaics with what J and the filter make of them; each iteration takes one of them, mirrored in one of four ways.
class MosaicPairs : public Pairs {
 public:
  // Mosaics 0 to count - 1, filtered in parallel, for maps of so many channels. `advance` may end it early: the pairs
  // are then those that are there, at least one. keep: a file that holds filtered mosaics; where it has been written
  // for the same ones they are read, otherwise it is replaced once all are filtered. Empty for none. Throws Error where
  // it holds something else than mosaics or can't be written.
  MosaicPairs(const Mosaics& mosaics, int64_t count, int64_t channels, const Advance& advance = {},
              const std::string& keep = {});

  // input: z of learned_map.h; target: planes divided by kMapScale.
  void draw(int64_t iteration, std::span<float> input, std::span<float> target) const override;

  [[nodiscard]] std::size_t size() const { return samples_.size(); }

 private:
  struct Sample {
    std::size_t degradation = 0;  // its number
    // Spoiled, filtered and target planes, as many of each as the degradation has, in steps of 1 / kStepsPerLevel;
    // empty where the mosaic was not filtered.
    std::vector<int16_t> values;
  };
  static Sample filtered(const Mosaics& mosaics, int64_t index);
  [[nodiscard]] std::size_t planes_of(const Sample& sample) const {
    return degradations_[sample.degradation]->channels();
  }
  // False where it was ended.
  bool filter_all(const Mosaics& mosaics, const Advance& advance);
  bool read(const std::string& path, const std::string& key);
  void write(const std::string& path, const std::string& key) const;

  int64_t side_, channels_;
  uint64_t seed_;
  Degradations degradations_;
  std::vector<Sample> samples_;
};

}  // namespace hourglass
