#include "engine/restore/first_compression.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>
#include <utility>
#include <vector>

namespace hourglass {
namespace {

using Frequencies = std::vector<std::size_t>;  // (v, u) as 8 v + u

// Those whose coefficients are large enough to show their steps on every grid that is tried.
const Frequencies kLow = {1, 2, 3, 8, 9, 10, 16, 17, 24};
// A coefficient of 1024 and more counts as 1023.
constexpr int kMagnitudes = 1024;
// So many blocks of a grid are looked at, spread over the picture.
constexpr int64_t kBlocks = 4096;
// What is less than this many steps away from zero says nothing of them.
constexpr double kLeastSteps = 0.45;
// So many coefficients must say something.
constexpr double kLeastCount = 400;
// How closely they must gather at the steps' multiples (Fit::mean()), and how many values they must have
// (Fit::values()): on the file's own grid and on others. Of the eleven photographs of bench/README.md, those that were
// compressed once (quality 10 to 90) have means of at most 0.29 and 0; twice (libjpeg's tables, in eight pairs), at
// least 0.43 and 0.16, with at least 7.5 and 78 values. Drawn patterns repeat a few values.
struct Needed {
  double mean, values;
};
constexpr Needed kOnOwnGrid{.mean = 0.4, .values = 5}, kOnAnother{.mean = 0.12, .values = 50};
// How much more closely than on any other grid: at least 3.6 times so there.
constexpr double kClearly = 2;
// How much larger than the second file's a step must be for it not to be that file's own.
constexpr double kLarger = 1.3;
// Better qualities leave too little to be told apart from the second file's error.
constexpr int kBestQuality = 90;

using Table = std::array<uint16_t, 64>;

Table luma_table(int quality) {
  const std::vector<uint8_t> bytes = encode_jpeg(Image(8, 8, 1), {.quality = quality});
  return read_jpeg_coefficients(bytes).components[0].quantization;
}

// How often coefficients have which magnitude, by frequency.
using Histograms = std::vector<std::array<float, kMagnitudes>>;

Histograms histograms_of(const Plane& plane, int64_t width, int64_t height, int64_t grid,
                         const Frequencies& frequencies) {
  Histograms counts(frequencies.size());
  const int64_t y = grid / 8, x = grid % 8;
  const int64_t rows = (height - y) / 8, columns = (width - x) / 8, blocks = std::max<int64_t>(rows * columns, 0);
  const int64_t looked_at = std::min(blocks, kBlocks);
  for (int64_t i = 0; i < looked_at; ++i) {
    const int64_t block = i * blocks / looked_at;
    std::array<float, 64> values;
    forward_dct(plane.row(y + block / columns * 8) + x + block % columns * 8, plane.width, values.data());
    for (std::size_t k = 0; k < frequencies.size(); ++k) {
      const long magnitude = std::lround(std::abs(values[frequencies[k]]));
      ++counts[k][static_cast<std::size_t>(std::min<long>(magnitude, kMagnitudes - 1))];
    }
  }
  return counts;
}

// cos(2 pi m / step) for each step and magnitude m.
class Periods {
 public:
  Periods() : cosines_(kSteps * kMagnitudes) {
    for (int step = 1; step < kSteps; ++step) {
      for (int m = 0; m < kMagnitudes; ++m) {
        cosines_[place(step) + static_cast<std::size_t>(m)] =
            static_cast<float>(std::cos(2 * std::numbers::pi * m / step));
      }
    }
  }
  [[nodiscard]] const float* of(int step) const { return cosines_.data() + place(step); }

 private:
  static constexpr int kSteps = 256;
  [[nodiscard]] static std::size_t place(int step) { return static_cast<std::size_t>(step) * kMagnitudes; }
  std::vector<float> cosines_;
};

// How well a table explains the coefficients of a grid: the mean of cos(2 pi c / q) over those that are not near zero,
// 1 where all are multiples of their steps, and below 0 where they have nothing to do with them, as small ones are the
// more frequent.
struct Fit {
  double sum = 0, count = 0, squares = 0;  // squares: of how often each value of each frequency comes
  // How many values there would be if all came equally often.
  [[nodiscard]] double values() const { return squares > 0 ? count * count / squares : 0; }
  // -1 where too little says anything.
  [[nodiscard]] double mean(const Needed& needed) const {
    return count < kLeastCount || values() < needed.values ? -1 : sum / count;
  }
};

// own: the second file's steps. Smaller ones, and on its grid those too, would say nothing new.
Fit fit_of(const Histograms& counts, const Frequencies& frequencies, const Table& table, const Table& own,
           const Periods& periods) {
  Fit fit;
  for (std::size_t k = 0; k < frequencies.size(); ++k) {
    const int step = table[frequencies[k]];
    if (step < kLarger * own[frequencies[k]]) return {};
    const float* cosines = periods.of(step);
    for (auto m = static_cast<std::size_t>(std::ceil(kLeastSteps * step)); m + 1 < kMagnitudes; ++m) {
      fit.sum += counts[k][m] * cosines[m];
      fit.count += counts[k][m];
      fit.squares += counts[k][m] * counts[k][m];
    }
  }
  return fit;
}

// The integers of the steps in the plane's blocks.
JpegCoefficients quantized(const Plane& plane, int64_t width, int64_t height, int64_t y, int64_t x,
                           const Table& table) {
  JpegComponent luma{.quantization = table, .coefficients = {}};
  luma.width_in_blocks = luma.blocks_w = (width - x) / 8;
  luma.height_in_blocks = luma.blocks_h = (height - y) / 8;
  luma.width = luma.width_in_blocks * 8, luma.height = luma.height_in_blocks * 8;
  luma.coefficients.resize(static_cast<std::size_t>(luma.blocks_w * luma.blocks_h * 64));
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < luma.blocks_h; ++r) {
    for (int64_t c = 0; c < luma.blocks_w; ++c) {
      std::array<float, 64> values;
      forward_dct(plane.row(y + r * 8) + x + c * 8, plane.width, values.data());
      int16_t* n = luma.coefficients.data() + (r * luma.blocks_w + c) * 64;
      for (std::size_t f = 0; f < 64; ++f) n[f] = static_cast<int16_t>(std::lround(values[f] / table[f]));
    }
  }
  JpegCoefficients file{.width = luma.width, .height = luma.height, .components = {}, .warnings = {}};
  file.components.push_back(std::move(luma));
  return file;
}

}  // namespace

std::optional<FirstCompression> find_first_compression(const JpegCoefficients& file) {
  const JpegComponent& second = file.components[0];
  if (file.color == JpegColor::rgb || second.width != file.width || second.height != file.height) return {};
  const Plane plane = decode_component(file.components[0]);
  std::vector<Table> tables;  // by quality, from 1 on
  for (int quality = 1; quality <= kBestQuality; ++quality) tables.push_back(luma_table(quality));
  const Periods periods;
  struct Found {
    double mean = -1;
    std::size_t table = 0;
  };
  std::array<Found, 64> found;  // by grid, 8 y + x
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t grid = 0; grid < 64; ++grid) {
    const Histograms counts = histograms_of(plane, file.width, file.height, grid, kLow);
    const Needed& needed = grid == 0 ? kOnOwnGrid : kOnAnother;
    Found& best = found[static_cast<std::size_t>(grid)];
    for (std::size_t t = 0; t < tables.size(); ++t) {
      const double mean = fit_of(counts, kLow, tables[t], second.quantization, periods).mean(needed);
      if (mean > std::max(best.mean, needed.mean)) best = {.mean = mean, .table = t};
    }
  }
  const auto by_mean = [](const Found& a, const Found& b) { return a.mean < b.mean; };
  const auto best = std::max_element(found.begin(), found.end(), by_mean);
  if (best->mean < 0) return {};
  const int64_t grid = best - found.begin();
  // A photograph has one grid; a drawn pattern has many.
  const double mean = std::exchange(best->mean, -1);
  if (mean < kClearly * std::max_element(found.begin(), found.end(), by_mean)->mean) return {};
  // Neighbouring qualities may have the same low steps: the others decide.
  Frequencies all(63);
  std::iota(all.begin(), all.end(), 1);
  const Histograms counts = histograms_of(plane, file.width, file.height, grid, all);
  constexpr std::size_t kNeighbours = 2;
  std::size_t chosen = best->table;
  double most = -1;
  for (std::size_t t = std::max(best->table, kNeighbours) - kNeighbours;
       t <= std::min(best->table + kNeighbours, tables.size() - 1); ++t) {
    const double mean = fit_of(counts, all, tables[t], second.quantization, periods).mean({});
    if (mean > most) most = mean, chosen = t;
  }
  const Table& table = tables[chosen];
  const int quality = static_cast<int>(chosen) + 1;
  FirstCompression result{.y = grid / 8, .x = grid % 8, .quality = quality, .luma = {}};
  result.luma = quantized(plane, file.width, file.height, result.y, result.x, table);
  return result;
}

}  // namespace hourglass
