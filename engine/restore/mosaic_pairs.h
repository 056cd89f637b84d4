// Pairs (J(t), t) to learn from: t is a mosaic of pieces of clean pictures, J(t) what JPEG makes of it.
//
// Each piece is drawn on its own: a group of pictures by its share, a picture of it, a place, one of eight ways to turn
// it. Several small pieces in one mosaic show more of the pictures in an iteration than a large one does. A picture
// that is smaller than a piece goes on in mirrors. Since a piece may begin anywhere in its picture, all grid offsets
// occur.
#pragma once

#include <functional>
#include <vector>

#include "engine/restore/jpeg_pipeline.h"
#include "engine/restore/learned_map.h"
#include "engine/train/pairs.h"

namespace hourglass {

// Clean pictures, as planes of samples minus 128, one for each colour component.
struct PictureGroup {
  std::vector<std::vector<Plane>> pictures;
  double share = 1;  // of the pieces, relative to the other groups'
  // The pictures come from a JPEG whose grid begins at their first pixel, and no piece may begin on it: there the
  // network would learn J(t) -> t for a t that was made of J(t).
  bool off_grid = false;
};

// The planes with their rows, their columns, or both in reverse order.
std::vector<Plane> mirrored(const std::vector<Plane>& planes, bool rows, bool columns);

// Filters J(t), for networks that are given both.
using PlaneFilter = std::function<std::vector<Plane>(const std::vector<Plane>& decoded, const JpegPipeline& pipeline)>;

struct MosaicOptions {
  int64_t side = 256, piece = 128;  // pixels; piece divides side, and both are multiples of kMapMultiple
  uint64_t seed = 0;
};

class MosaicPairs : public Pairs {
 public:
  // In each iteration one of the pipelines is drawn. Throws Error for sides that don't suit, no pictures, no pipeline.
  MosaicPairs(std::vector<JpegPipeline> pipelines, std::vector<PictureGroup> groups, const MosaicOptions& options);

  // A mosaic and the pipeline that it goes through.
  struct Mosaic {
    std::vector<Plane> target;
    const JpegPipeline* pipeline = nullptr;
  };
  [[nodiscard]] Mosaic mosaic(int64_t iteration) const;

  // input: z of learned_map.h; target: planes divided by kMapScale.
  void draw(int64_t iteration, std::span<float> input, std::span<float> target) const override;

 private:
  void draw_piece(std::span<const float> dice, int64_t y0, int64_t x0, std::vector<Plane>& mosaic) const;

  std::vector<JpegPipeline> pipelines_;
  std::vector<PictureGroup> groups_;
  MosaicOptions options_;
  double shares_ = 0;  // sum
};

// A number of mosaics drawn and filtered beforehand, since a filter takes longer than an iteration; each
// iteration takes one of them, mirrored in one of four ways.
class FilteredPairs : public Pairs {
 public:
  FilteredPairs(const MosaicPairs& mosaics, const PlaneFilter& filter, int64_t count, uint64_t seed);
  void draw(int64_t iteration, std::span<float> input, std::span<float> target) const override;

 private:
  struct Sample {
    std::vector<Plane> decoded, filtered, target;
    JpegPipeline pipeline;
  };
  std::vector<Sample> samples_;
  uint64_t seed_;
};

}  // namespace hourglass
