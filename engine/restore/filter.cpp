#include "engine/restore/filter.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "engine/restore/consistency.h"
#include "engine/restore/jpeg_part.h"
#include "engine/restore/jpeg_pipeline.h"
#include "engine/restore/nonlocal_bayes.h"
#include "engine/restore/pixel_psnr.h"
#include "engine/restore/tiles.h"

namespace hourglass {
namespace {

constexpr int64_t kLeast = 8;      // pixels in width and height
constexpr int64_t kPatchStep = 5;  // between reference patches
constexpr int64_t kShift = 2;      // of the reference patches, from search to search
// Patches are looked for again in every other pass.
constexpr int kPassesPerSearch = 2;
// How far beyond the last result a pass starts, in units of the way from the one before to it.
constexpr double kMomentum = 0.7;
// The noise of the first and of the last pass, in units of the JPEG's; between them it falls by equal factors.
constexpr double kFirstNoise = 1.3, kLastNoise = 0.6;
// After so many passes the noise is no longer guessed from the table: it is this factor times the rms difference in
// luma between their result and the JPEG.
constexpr int kPassesToMeasure = 2;
constexpr double kNoiseFactor = 2;
// Of pictures that are filtered tile by tile, in pixels: half of the way over which two tiles are blended, and the side
// of the squares in which the noise is measured.
constexpr int64_t kRamp = 16, kSample = 320;

// start = current + momentum (current - start), the point from which the next pass starts.
void extrapolate(const std::vector<Plane>& current, double momentum, std::vector<Plane>& start) {
  const auto m = static_cast<float>(momentum);
  for (std::size_t p = 0; p < current.size(); ++p) {
    const std::vector<float>& now = current[p].samples;
    std::vector<float>& before = start[p].samples;
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < now.size(); ++i) before[i] = now[i] + m * (now[i] - before[i]);
  }
}

// Of luma, in grey levels: what the first passes assume, and what all others do; 0: as the first ones have measured it.
struct Noise {
  double first = 0, then = 0;
};

// The passes over one picture, one after the other. Refers to the model.
class Passes {
 public:
  Passes(const Image& start, const JpegModel& model, int count, double sigma_factor)
      : model_(model), count_(count), sigma_factor_(sigma_factor), current_(model.to_planes(start)), next_(current_) {}

  // The next pass. False where `stop` says so, which is asked now and then; the picture is then that of the pass
  // before.
  bool step(double noise, const std::function<bool()>& stop) {
    extrapolate(current_, kMomentum, next_);
    if (done_ % kPassesPerSearch == 0) {
      const int64_t offset = done_ / kPassesPerSearch * kShift % kPatchStep;
      groups_ = find_groups(next_[0],
                            {.step = kPatchStep,
                             .offset_y = offset,
                             .offset_x = offset,
                             .members = current_.size() > 1 ? kernels::kLargeGroup : kernels::kSmallGroup},
                            stop);
    }
    const double fall = count_ > 1 ? static_cast<double>(done_) / (count_ - 1) : 0;
    std::vector<double> sigmas(current_.size(), noise * kFirstNoise * std::pow(kLastNoise / kFirstNoise, fall));
    if (model_.file().color == JpegColor::ycbcr) sigmas[1] = sigmas[2] = kChromaNoise * sigmas[0];
    if (stop() || !nonlocal_bayes(next_, sigmas, groups_, stop)) return false;
    to_posterior_mean(next_, model_, sigma_factor_);
    std::swap(current_, next_);
    ++done_;
    return true;
  }

  // All passes, or as many as there is time for. decoded: the JPEG's pixels. `advance` is not told that all is done.
  void run(const Image& decoded, const Noise& noise, const Advance& advance) {
    bool ended = false;
    const auto stop = [&] {
      ended = ended || !advance(static_cast<double>(done_) / count_);
      return ended;
    };
    double sigma = noise.first;
    while (done_ < count_ && step(sigma, stop)) {
      if (done_ != kPassesToMeasure || done_ == count_) continue;
      const double then = noise.then > 0 ? noise.then : kNoiseFactor * std::sqrt(mean_square_from(decoded));
      if (then > 0) sigma = then;
    }
  }

  // Of luma's differences.
  [[nodiscard]] double mean_square_from(const Image& decoded) const {
    const Plane luma = model_.to_planes(decoded)[0];
    const auto count = static_cast<int64_t>(luma.samples.size());
    return squared_distance(current_[0].samples.data(), luma.samples.data(), count) / static_cast<double>(count);
  }
  [[nodiscard]] int done() const { return done_; }
  [[nodiscard]] Image image() const { return model_.to_image(current_); }

 private:
  const JpegModel& model_;
  int count_, done_ = 0;
  double sigma_factor_;
  std::vector<Plane> current_, next_;
  PatchGroups groups_;
};

// A grid of tiles over a picture.
struct Tiles {
  std::vector<TileSpan> rows, columns;

  Tiles(const JpegCoefficients& file, int64_t side)
      : rows(tile_spans(file.height, {side, mcu_height(file), kFilterMargin, kRamp})),
        columns(tile_spans(file.width, {side, mcu_width(file), kFilterMargin, kRamp})) {}

  // visit(row, column), until it answers false.
  template <typename Visit>
  void for_each(const Visit& visit) const {
    for (const TileSpan& row : rows) {
      for (const TileSpan& column : columns) {
        if (!visit(row, column)) return;
      }
    }
  }
  [[nodiscard]] std::size_t count() const { return rows.size() * columns.size(); }
};

Image crop(const Image& image, const Rectangle& at) { return crop(image, at.x, at.y, at.width, at.height); }

// The noise that the first of so many passes measure in the middles of all tiles together.
double sampled_noise(const Image& start, const Image& decoded, const JpegModel& model, const Tiles& tiles,
                     const FilterOptions& options, double first, const Advance& advance) {
  const JpegCoefficients& whole = model.file();
  // The first pixel and the length of what is looked at, in whole MCUs or up to the tile's end.
  const auto middle = [](const TileSpan& span, int64_t mcu) {
    const int64_t length = std::min(kSample / mcu * mcu, span.to - span.from);
    return std::pair((span.from + (span.to - span.from - length) / 2) / mcu * mcu, length);
  };
  double squares = 0;
  bool ended = false;
  tiles.for_each([&](const TileSpan& row, const TileSpan& column) {
    const auto [y, height] = middle(row, mcu_height(whole));
    const auto [x, width] = middle(column, mcu_width(whole));
    const Rectangle at{.x = x, .y = y, .width = width, .height = height};
    const JpegCoefficients file = part_of(whole, at);
    const JpegModel part(file);
    Passes filter(crop(start, at), part, options.passes, options.sigma_factor);
    while (!ended && filter.done() < kPassesToMeasure) ended = !filter.step(first, [&] { return !advance(0); });
    squares += filter.mean_square_from(crop(decoded, at));
    return !ended;
  });
  const double measured = kNoiseFactor * std::sqrt(squares / static_cast<double>(tiles.count()));
  return !ended && measured > 0 ? measured : first;
}

// Adds to the result how the tile differs from `start`, as far as it is this tile's.
void add_tile(const Image& tile, const Image& start, const TileSpan& row, const TileSpan& column, Image& result) {
  std::vector<float> weights(static_cast<std::size_t>(tile.width));
  for (int64_t x = 0; x < tile.width; ++x) weights[static_cast<std::size_t>(x)] = column.weight(column.first + x);
  for (int c = 0; c < tile.channels; ++c) {
#pragma omp parallel for schedule(static)
    for (int64_t y = 0; y < tile.height; ++y) {
      const float of_row = row.weight(row.first + y);
      const int64_t at = (row.first + y) * result.width + column.first;
      for (int64_t x = 0; x < tile.width; ++x) {
        const float change = tile.plane(c)[y * tile.width + x] - start.plane(c)[at + x];
        result.plane(c)[at + x] += of_row * weights[static_cast<std::size_t>(x)] * change;
      }
    }
  }
}

Image filter_in_tiles(const Image& start, const Image& decoded, const JpegModel& model, const FilterOptions& options,
                      Noise noise, const Advance& advance) {
  const Tiles tiles(model.file(), options.tile);
  double done = 0;
  bool ended = false;
  const Advance tell = [&](double of_tile) {
    ended = ended || !advance((done + of_tile) / static_cast<double>(tiles.count()));
    return !ended;
  };
  if (noise.then <= 0 && options.passes > kPassesToMeasure) {
    noise.then = sampled_noise(start, decoded, model, tiles, options, noise.first, tell);
  }
  Image result = start;
  tiles.for_each([&](const TileSpan& row, const TileSpan& column) {
    if (ended) return false;
    const Rectangle at{
        .x = column.first, .y = row.first, .width = column.last - column.first, .height = row.last - row.first};
    const JpegCoefficients file = part_of(model.file(), at);
    const JpegModel part(file);
    Passes filter(crop(start, at), part, options.passes, options.sigma_factor);
    filter.run(decoded, noise, tell);
    if (filter.done() > 0) add_tile(filter.image(), start, row, column, result);
    ++done;
    return true;
  });
  return result;
}

}  // namespace

double table_noise(double mean_step) { return 0.717 * std::pow(mean_step, 0.6394) + 0.5804; }

Image filter_jpeg(const Image& start, const Image& decoded, const JpegModel& model, const FilterOptions& options,
                  const Advance& advance) {
  if (start.width < kLeast || start.height < kLeast) return start;
  const Noise noise{.first = options.noise > 0 ? options.noise : table_noise(JpegPipeline(model).coarseness()),
                    .then = options.noise};
  bool ended = false;
  const Advance tell = watched(advance, ended);
  Image result;
  if (std::max(start.width, start.height) <= options.tile) {
    Passes filter(start, model, options.passes, options.sigma_factor);
    filter.run(decoded, noise, tell);
    result = filter.image();
  } else {
    result = filter_in_tiles(start, decoded, model, options, noise, tell);
  }
  if (advance && !ended) advance(1);
  return result;
}

}  // namespace hourglass
