#include "engine/restore/mosaic_pairs.h"

#include <algorithm>

#include "engine/train/random.h"
#include "graph/error.h"

namespace hourglass {
namespace {

constexpr int64_t kNumbersPerPiece = 8;

// A whole number from 0 to count - 1.
int64_t pick(float number, int64_t count) {
  return std::min(static_cast<int64_t>(number * static_cast<float>(count)), count - 1);
}

// The picture goes on in mirrors: ... 2 1 0 0 1 2 ... n-1 n-1 n-2 ...
int64_t mirrored(int64_t at, int64_t length) {
  at %= 2 * length;
  return at < length ? at : 2 * length - 1 - at;
}

float* write_planes(const std::vector<Plane>& planes, float* to) {
  for (const Plane& plane : planes) {
    to = std::transform(plane.samples.begin(), plane.samples.end(), to, [](float v) { return v / kMapScale; });
  }
  return to;
}

}  // namespace

std::vector<Plane> mirrored(const std::vector<Plane>& planes, bool rows, bool columns) {
  std::vector<Plane> result = planes;
  for (Plane& plane : result) {
    for (int64_t y = 0; columns && y < plane.height; ++y) std::reverse(plane.row(y), plane.row(y) + plane.width);
    for (int64_t y = 0; rows && y < plane.height / 2; ++y) {
      std::swap_ranges(plane.row(y), plane.row(y) + plane.width, plane.row(plane.height - 1 - y));
    }
  }
  return result;
}

MosaicPairs::MosaicPairs(std::vector<JpegPipeline> pipelines, std::vector<PictureGroup> groups,
                         const MosaicOptions& options)
    : pipelines_(std::move(pipelines)), groups_(std::move(groups)), options_(options) {
  if (options.piece < kMapMultiple || options.piece % kMapMultiple != 0 || options.side < options.piece ||
      options.side % options.piece != 0) {
    fail(
        "a mosaic of {0}x{0} can't be made of pieces of {1}x{1}: the piece must be a multiple of {2} and divide the "
        "side",
        options.side, options.piece, kMapMultiple);
  }
  if (pipelines_.empty()) fail("mosaics need a JPEG pipeline that they go through");
  for (const PictureGroup& group : groups_) {
    if (group.pictures.empty() || !(group.share > 0)) fail("a group of pictures to learn from is empty");
    for (const std::vector<Plane>& picture : group.pictures) {
      if (picture.size() != pipelines_[0].components().size()) {
        fail("a picture has {} planes, the JPEG {} components", picture.size(), pipelines_[0].components().size());
      }
    }
    shares_ += group.share;
  }
  if (groups_.empty()) fail("there are no pictures to learn from");
}

void MosaicPairs::draw_piece(std::span<const float> dice, int64_t y0, int64_t x0, std::vector<Plane>& mosaic) const {
  double share = dice[0] * shares_;
  std::size_t chosen = 0;
  while (chosen + 1 < groups_.size() && share >= groups_[chosen].share) share -= groups_[chosen++].share;
  const PictureGroup& group = groups_[chosen];
  const std::vector<Plane>& picture =
      group.pictures[static_cast<std::size_t>(pick(dice[1], static_cast<int64_t>(group.pictures.size())))];
  const int64_t piece = options_.piece, height = picture[0].height, width = picture[0].width;
  const auto place = [&](float number, int64_t length) {
    return pick(number, length >= piece ? length - piece + 1 : length);
  };
  const int64_t top = place(dice[2], height);
  int64_t left = place(dice[3], width);
  if (group.off_grid && top % 8 == 0 && left % 8 == 0) left += 1 + pick(dice[7], 7);
  const bool flip_rows = dice[4] < 0.5F, flip_columns = dice[5] < 0.5F, transpose = dice[6] < 0.5F;
  for (std::size_t p = 0; p < picture.size(); ++p) {
    for (int64_t y = 0; y < piece; ++y) {
      float* to = mosaic[p].row(y0 + y) + x0;
      for (int64_t x = 0; x < piece; ++x) {
        int64_t v = transpose ? x : y, u = transpose ? y : x;
        if (flip_rows) v = piece - 1 - v;
        if (flip_columns) u = piece - 1 - u;
        to[x] = picture[p].row(mirrored(top + v, height))[mirrored(left + u, width)];
      }
    }
  }
}

MosaicPairs::Mosaic MosaicPairs::mosaic(int64_t iteration) const {
  const int64_t count = options_.side / options_.piece;
  const std::vector<float> dice = draw_uniform(options_.seed, Stream::pairs, static_cast<uint32_t>(iteration),
                                               1 + count * count * kNumbersPerPiece, 0, 1);
  Mosaic mosaic;
  mosaic.pipeline = &pipelines_[static_cast<std::size_t>(pick(dice[0], static_cast<int64_t>(pipelines_.size())))];
  for (std::size_t p = 0; p < groups_[0].pictures[0].size(); ++p) {
    mosaic.target.emplace_back(options_.side, options_.side);
  }
  std::span<const float> rest = std::span(dice).subspan(1);
  for (int64_t y = 0; y < count; ++y) {
    for (int64_t x = 0; x < count; ++x) {
      draw_piece(rest.first(kNumbersPerPiece), y * options_.piece, x * options_.piece, mosaic.target);
      rest = rest.subspan(kNumbersPerPiece);
    }
  }
  return mosaic;
}

void MosaicPairs::draw(int64_t iteration, std::span<float> input, std::span<float> target) const {
  const Mosaic drawn = mosaic(iteration);
  write_map_input(drawn.pipeline->apply(drawn.target), {}, *drawn.pipeline, input);
  write_planes(drawn.target, target.data());
}

FilteredPairs::FilteredPairs(const MosaicPairs& mosaics, const PlaneFilter& filter, int64_t count, uint64_t seed)
    : seed_(seed) {
  if (count < 1) fail("filtered pairs need at least one mosaic");
  for (int64_t i = 1; i <= count; ++i) {
    MosaicPairs::Mosaic mosaic = mosaics.mosaic(i);
    std::vector<Plane> decoded = mosaic.pipeline->apply(mosaic.target);
    std::vector<Plane> filtered = filter(decoded, *mosaic.pipeline);
    samples_.push_back({.decoded = std::move(decoded),
                        .filtered = std::move(filtered),
                        .target = std::move(mosaic.target),
                        .pipeline = *mosaic.pipeline});
  }
}

void FilteredPairs::draw(int64_t iteration, std::span<float> input, std::span<float> target) const {
  // Mirrored, a mosaic of whole blocks is the one that would have come of the mirrored target.
  const std::vector<float> dice = draw_uniform(seed_, Stream::pairs, static_cast<uint32_t>(iteration), 3, 0, 1);
  const Sample& sample = samples_[static_cast<std::size_t>(pick(dice[0], static_cast<int64_t>(samples_.size())))];
  const auto turn = [&](const std::vector<Plane>& planes) { return mirrored(planes, dice[1] < 0.5F, dice[2] < 0.5F); };
  write_map_input(turn(sample.decoded), turn(sample.filtered), sample.pipeline, input);
  write_planes(turn(sample.target), target.data());
}

}  // namespace hourglass
