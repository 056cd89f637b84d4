#include "engine/restore/first_compression.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
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
// How much larger than the second file's the low frequencies' steps must be for them not to be that file's own.
constexpr double kLarger = 1.3;
// Better qualities leave too little to be told apart from the second file's error.
constexpr int kBestQuality = 90;

using Table = std::array<uint16_t, 64>;

// libjpeg's, of luma and of chroma.
struct Tables {
  Table luma, chroma;
};

Tables tables_of(int quality) {
  const JpegCoefficients file = read_jpeg_coefficients(encode_jpeg(Image(16, 16, 3), {.quality = quality}));
  return {.luma = file.components[0].quantization, .chroma = file.components[1].quantization};
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

// Whether a table says more than the second file's: no step is smaller, and those of low frequencies are clearly
// larger.
bool is_coarser(const Table& table, const Table& second) {
  return std::equal(table.begin(), table.end(), second.begin(), std::greater_equal<>()) &&
         std::all_of(kLow.begin(), kLow.end(), [&](std::size_t f) { return table[f] >= kLarger * second[f]; });
}

Fit fit_of(const Histograms& counts, const Frequencies& frequencies, const Table& table, const Periods& periods) {
  Fit fit;
  for (std::size_t k = 0; k < frequencies.size(); ++k) {
    const int step = table[frequencies[k]];
    const float* cosines = periods.of(step);
    for (auto m = static_cast<std::size_t>(std::ceil(kLeastSteps * step)); m + 1 < kMagnitudes; ++m) {
      fit.sum += counts[k][m] * cosines[m];
      fit.count += counts[k][m];
      fit.squares += counts[k][m] * counts[k][m];
    }
  }
  return fit;
}

// The integers of the steps in `rows` rows of `columns` blocks, from y and x on.
JpegComponent quantized(const Plane& plane, int64_t y, int64_t x, int64_t rows, int64_t columns, const Table& table) {
  JpegComponent result{.width = columns * 8,
                       .height = rows * 8,
                       .width_in_blocks = columns,
                       .height_in_blocks = rows,
                       .blocks_w = columns,
                       .blocks_h = rows,
                       .quantization = table,
                       .coefficients = std::vector<int16_t>(static_cast<std::size_t>(rows * columns * 64))};
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      std::array<float, 64> values;
      forward_dct(plane.row(y + r * 8) + x + c * 8, plane.width, values.data());
      int16_t* n = result.coefficients.data() + (r * columns + c) * 64;
      for (std::size_t f = 0; f < 64; ++f) n[f] = static_cast<int16_t>(std::lround(values[f] / table[f]));
    }
  }
  return result;
}

// In one direction, what a decoder's triangle filter and an encoder's mean of two make of three neighbours.
float blurred_sample(float before, float here, float after) { return 0.75F * here + 0.125F * (before + after); }

// The plane of which the blur in both directions makes this one. The blur leaves at least a quarter of every frequency,
// so that each turn takes at least a quarter of what is missing.
Plane sharpened(const Plane& blurred) {
  constexpr int kTurns = 16;
  Plane result = blurred, rows = blurred;
  for (int turn = 0; turn < kTurns; ++turn) {
#pragma omp parallel for schedule(static)
    for (int64_t y = 0; y < result.height; ++y) {
      const float* in = result.row(y);
      float* out = rows.row(y);
      for (int64_t x = 0; x < result.width; ++x) {
        out[x] = blurred_sample(in[std::max<int64_t>(x - 1, 0)], in[x], in[std::min(x + 1, result.width - 1)]);
      }
    }
#pragma omp parallel for schedule(static)
    for (int64_t y = 0; y < result.height; ++y) {
      const float* above = rows.row(std::max<int64_t>(y - 1, 0));
      const float* here = rows.row(y);
      const float* below = rows.row(std::min(y + 1, result.height - 1));
      for (int64_t x = 0; x < result.width; ++x) {
        result.row(y)[x] += blurred.row(y)[x] - blurred_sample(above[x], here[x], below[x]);
      }
    }
  }
  return result;
}

// Adds the first file's chroma, where that can be told, and makes it begin at a whole MCU.
void find_chroma(const JpegModel& model, const Plane& luma, const Tables& tables, const Periods& periods,
                 FirstCompression& first) {
  const JpegCoefficients& second = model.file();
  const int64_t ratio = model.ratio_h(1);
  for (std::size_t i = 1; i < 3; ++i) {
    if (model.ratio_h(i) != ratio || model.ratio_v(i) != ratio) return;
    if (!is_coarser(tables.chroma, second.components[i].quantization)) return;
  }
  if (ratio > 2 || first.y % ratio != 0 || first.x % ratio != 0) return;
  std::array<Plane, 2> planes;
  for (std::size_t i = 0; i < 2; ++i) {
    planes[i] = decode_component(second.components[i + 1]);
    if (ratio == 2) planes[i] = sharpened(planes[i]);
  }
  // An MCU of 16x16 pixels has four blocks of luma, any of which may be the one that was found.
  double most = kOnAnother.mean, second_best = -1;
  int64_t grid_y = -1, grid_x = -1;
  for (int64_t y = first.y / ratio; y < 8; y += ratio == 2 ? 4 : 8) {
    for (int64_t x = first.x / ratio; x < 8; x += ratio == 2 ? 4 : 8) {
      Fit both;
      for (std::size_t i = 0; i < 2; ++i) {
        const Histograms counts =
            histograms_of(planes[i], second.width / ratio, second.height / ratio, 8 * y + x, kLow);
        const Fit one = fit_of(counts, kLow, tables.chroma, periods);
        both.sum += one.sum, both.count += one.count;
      }
      constexpr double kLeastOfChroma = 100;
      const double mean = both.count < kLeastOfChroma ? -1 : both.sum / both.count;
      if (mean > most) {
        second_best = std::exchange(most, mean), grid_y = y, grid_x = x;
      } else {
        second_best = std::max(second_best, mean);
      }
    }
  }
  if (grid_y < 0 || (ratio == 2 && most < kClearly * second_best)) return;
  const int64_t y = grid_y * ratio, x = grid_x * ratio;
  const int64_t rows = (second.height - y) / (8 * ratio), columns = (second.width - x) / (8 * ratio);
  if (rows == 0 || columns == 0) return;
  first.y = y, first.x = x;
  const auto sampling = static_cast<int>(ratio);
  first.file = {.width = columns * 8 * ratio,
                .height = rows * 8 * ratio,
                .color = JpegColor::ycbcr,
                .max_h_sampling = sampling,
                .max_v_sampling = sampling,
                .components = {},
                .warnings = {}};
  first.file.components.push_back(quantized(luma, first.y, first.x, rows * ratio, columns * ratio, tables.luma));
  first.file.components[0].h_sampling = first.file.components[0].v_sampling = sampling;
  for (const Plane& plane : planes) {
    first.file.components.push_back(quantized(plane, grid_y, grid_x, rows, columns, tables.chroma));
  }
}

}  // namespace

std::optional<FirstCompression> find_first_compression(const JpegCoefficients& file) {
  const JpegModel model(file);
  const JpegComponent& second = file.components[0];
  // Integers without their lowest bits look like those of larger steps.
  const auto is_complete = [](const JpegComponent& component) { return component.bits.is_complete(); };
  if (!std::ranges::all_of(file.components, is_complete)) return {};
  if (file.color == JpegColor::rgb || model.ratio_h(0) != 1 || model.ratio_v(0) != 1) return {};
  const Plane plane = decode_component(file.components[0]);
  std::vector<Tables> tables;  // by quality, from 1 on
  for (int quality = 1; quality <= kBestQuality; ++quality) tables.push_back(tables_of(quality));
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
      if (!is_coarser(tables[t].luma, second.quantization)) continue;
      const double mean = fit_of(counts, kLow, tables[t].luma, periods).mean(needed);
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
  double closest = -1;
  for (std::size_t t = std::max(best->table, kNeighbours) - kNeighbours;
       t <= std::min(best->table + kNeighbours, tables.size() - 1); ++t) {
    if (!is_coarser(tables[t].luma, second.quantization)) continue;
    const double mean = fit_of(counts, all, tables[t].luma, periods).mean({});
    if (mean > closest) closest = mean, chosen = t;
  }
  FirstCompression result{.y = grid / 8, .x = grid % 8, .quality = static_cast<int>(chosen) + 1, .file = {}};
  const int64_t rows = (file.height - result.y) / 8, columns = (file.width - result.x) / 8;
  result.file = {.width = columns * 8, .height = rows * 8, .components = {}, .warnings = {}};
  result.file.components.push_back(quantized(plane, result.y, result.x, rows, columns, tables[chosen].luma));
  if (file.components.size() == 3) find_chroma(model, plane, tables[chosen], periods, result);
  return result;
}

}  // namespace hourglass
