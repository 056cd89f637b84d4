#include "engine/restore/filter.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "engine/restore/consistency.h"
#include "engine/restore/jpeg_part.h"
#include "engine/restore/jpeg_pipeline.h"
#include "engine/restore/nonlocal_bayes.h"
#include "engine/restore/pixel_psnr.h"

namespace hourglass {
namespace {

constexpr int64_t kLeast = 8;  // pixels in width and height
constexpr int64_t kStep = 5;   // between reference patches
constexpr int64_t kShift = 2;  // of the reference patches, from search to search
// Patches are looked for again in every other pass.
constexpr int kPassesPerSearch = 2;
// How far beyond the last result a pass starts, in units of the way from the
// one before to it.
constexpr double kMomentum = 0.7;
// The noise of the first and of the last pass, in units of the JPEG's; between
// them it falls by equal factors.
constexpr double kFirstNoise = 1.3, kLastNoise = 0.6;
// After so many passes the noise is no longer guessed from the table: it is
// this factor times the rms difference in luma between their result and the
// JPEG.
constexpr int kPassesToMeasure = 2;
constexpr double kNoiseFactor = 2;
// Of large pictures, in pixels: how far a tile goes beyond what it gives, half
// of the way over which two tiles that meet are blended, and the side of the
// squares in which the noise is measured.
constexpr int64_t kMargin = 48, kRamp = 16, kSample = 320;

double rms_difference(const Plane& a, const Plane& b) {
  const auto count = static_cast<int64_t>(a.samples.size());
  return std::sqrt(squared_distance(a.samples.data(), b.samples.data(), count) / static_cast<double>(count));
}

// start = current + momentum (current - start), the point from which the next
// pass starts.
void extrapolate(const std::vector<Plane>& current, double momentum, std::vector<Plane>& start) {
  const auto m = static_cast<float>(momentum);
  for (std::size_t p = 0; p < current.size(); ++p) {
    const std::vector<float>& now = current[p].samples;
    std::vector<float>& before = start[p].samples;
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < now.size(); ++i) before[i] = now[i] + m * (now[i] - before[i]);
  }
}

// Of luma, in grey levels: what the first passes assume, and what all others
// do; 0: as the first ones have measured it.
struct Noise {
  double first = 0, then = 0;
};

// The passes over one picture, one after the other.
class Passes {
 public:
  Passes(const Image& start, const JpegModel& model, int count)
      : model_(model), count_(count), current_(model.to_planes(start)), next_(current_) {}

  // False where `stop` says so, which is asked now and then; the picture is
  // then that of the pass before.
  bool step(int pass, double noise, const std::function<bool()>& stop) {
    extrapolate(current_, kMomentum, next_);
    if (pass % kPassesPerSearch == 0) {
      const int64_t offset = pass / kPassesPerSearch * kShift % kStep;
      groups_ = find_groups(next_[0],
                            {.step = kStep,
                             .offset_y = offset,
                             .offset_x = offset,
                             .members = current_.size() > 1 ? kernels::kLargeGroup : kernels::kSmallGroup},
                            stop);
    }
    const double fall = count_ > 1 ? static_cast<double>(pass) / (count_ - 1) : 0;
    std::vector<double> sigmas(current_.size(), noise * kFirstNoise * std::pow(kLastNoise / kFirstNoise, fall));
    if (model_.file().color == JpegColor::ycbcr) sigmas[1] = sigmas[2] = kChromaNoise * sigmas[0];
    if (stop() || !nonlocal_bayes(next_, sigmas, groups_, stop)) return false;
    to_posterior_mean(next_, model_, kFilterSigmaFactor);
    std::swap(current_, next_);
    return true;
  }

  [[nodiscard]] const Plane& luma() const { return current_[0]; }
  [[nodiscard]] Image image() const { return model_.to_image(current_); }

 private:
  const JpegModel& model_;
  int count_;
  std::vector<Plane> current_, next_;
  PatchGroups groups_;
};

// decoded: null where the noise is known from the start. `advance` is not told that all is done.
Image filter_at_once(const Image& start, const Image* decoded, const JpegModel& model, int passes, const Noise& noise,
                     const Advance& advance) {
  Passes filter(start, model, passes);
  double sigma = noise.first;
  bool ended = false;
  for (int pass = 0; pass < passes; ++pass) {
    const auto stop = [&] {
      ended = ended || !advance(static_cast<double>(pass) / passes);
      return ended;
    };
    if (!filter.step(pass, sigma, stop)) break;
    if (pass + 1 != kPassesToMeasure) continue;
    const double then =
        decoded == nullptr ? noise.then : kNoiseFactor * rms_difference(filter.luma(), model.to_planes(*decoded)[0]);
    if (then > 0) sigma = then;
  }
  return filter.image();
}

// One direction of a row of tiles. A tile has the pixels [first, last), and
// gives [from, to), besides a ramp around either end that is not the picture's.
struct Span {
  int64_t first = 0, from = 0, to = 0, last = 0;

  // How much of the pixel is this tile's; of all tiles together 1.
  [[nodiscard]] float weight(int64_t at) const {
    const auto ramp = [](int64_t inside) {
      return std::clamp(0.5F + static_cast<float>(inside) / static_cast<float>(2 * kRamp), 0.0F, 1.0F);
    };
    return (from == first ? 1 : ramp(at - from)) * (to == last ? 1 : ramp(to - at));
  }
};

// Of equal size as nearly as they can be, in whole MCUs.
std::vector<Span> spans(int64_t length, int64_t tile, int64_t mcu) {
  const int64_t count = (length + tile - 1) / tile, margin = (kMargin + mcu - 1) / mcu * mcu;
  std::vector<Span> result;
  for (int64_t i = 0; i < count; ++i) {
    const auto border = [&](int64_t index) { return index == count ? length : length * index / count / mcu * mcu; };
    const int64_t from = border(i), to = border(i + 1);
    result.push_back(
        {.first = std::max<int64_t>(0, from - margin), .from = from, .to = to, .last = std::min(length, to + margin)});
  }
  return result;
}

Rectangle tile_of(const Span& column, const Span& row) {
  return {.x = column.first, .y = row.first, .width = column.last - column.first, .height = row.last - row.first};
}

Image crop(const Image& image, const Rectangle& at) { return crop(image, at.x, at.y, at.width, at.height); }

// The noise that the first passes measure in the middles of all tiles together.
double sampled_noise(const Image& start, const Image& decoded, const JpegModel& model, const std::vector<Span>& rows,
                     const std::vector<Span>& columns, double first, const Advance& advance) {
  const JpegCoefficients& whole = model.file();
  // kSample pixels in the middle of a tile, in whole MCUs.
  const auto middle = [](const Span& span, int64_t mcu) {
    const int64_t size = std::min(kSample, span.to - span.from);
    const int64_t begin = (span.from + (span.to - span.from - size) / 2) / mcu * mcu;
    return Span{.first = begin, .from = begin, .to = begin + size, .last = begin + size};
  };
  double squares = 0;
  int64_t count = 0;
  for (const Span& row : rows) {
    for (const Span& column : columns) {
      const Rectangle at = tile_of(middle(column, mcu_width(whole)), middle(row, mcu_height(whole)));
      const JpegCoefficients file = part_of(whole, at);
      const JpegModel part(file);
      Passes filter(crop(start, at), part, kFilterPasses);
      for (int pass = 0; pass < kPassesToMeasure; ++pass) {
        if (!filter.step(pass, first, [&] { return !advance(0); })) return first;
      }
      const Plane luma = part.to_planes(crop(decoded, at))[0];
      const auto pixels = static_cast<int64_t>(luma.samples.size());
      squares += squared_distance(filter.luma().samples.data(), luma.samples.data(), pixels);
      count += pixels;
    }
  }
  const double measured = kNoiseFactor * std::sqrt(squares / static_cast<double>(count));
  return measured > 0 ? measured : first;
}

// Where the tile lies, from `start` towards what it has, as far as it is this
// tile's.
void blend_in(const Image& tile, const Image& start, const Span& column, const Span& row, Image& result) {
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

}  // namespace

double table_noise(double mean_step) { return 0.717 * std::pow(mean_step, 0.6394) + 0.5804; }

Image filter_jpeg(const Image& start, const Image& decoded, const JpegModel& model, const FilterOptions& options,
                  const Advance& advance) {
  if (start.width < kLeast || start.height < kLeast) return start;
  Noise noise{.first = options.noise > 0 ? options.noise : table_noise(JpegPipeline(model).coarseness()),
              .then = options.noise};
  bool ended = false;
  if (start.plane_size() <= options.tile * options.tile) {
    Image result = filter_at_once(start, options.noise > 0 ? nullptr : &decoded, model, options.passes, noise,
                                  watched(advance, ended));
    if (advance && !ended) advance(1);
    return result;
  }
  const std::vector<Span> rows = spans(start.height, options.tile, mcu_height(model.file()));
  const std::vector<Span> columns = spans(start.width, options.tile, mcu_width(model.file()));
  const auto share = static_cast<double>(rows.size() * columns.size());
  double done = 0;
  const Advance tell = [&](double of_tile) {
    ended = ended || (advance && !advance((done + of_tile) / share));
    return !ended;
  };
  if (noise.then <= 0) noise.then = sampled_noise(start, decoded, model, rows, columns, noise.first, tell);
  Image result = start;
  for (const Span& row : rows) {
    for (const Span& column : columns) {
      if (ended) return result;
      const Rectangle at = tile_of(column, row);
      const JpegCoefficients file = part_of(model.file(), at);
      const Image tile = filter_at_once(crop(start, at), nullptr, JpegModel(file), options.passes, noise, tell);
      blend_in(tile, start, column, row, result);
      ++done;
    }
  }
  if (advance && !ended) advance(1);
  return result;
}

}  // namespace hourglass
