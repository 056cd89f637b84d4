#include "engine/restore/consistency.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "engine/restore/jpeg_part.h"
#include "ops/simd/restoration_loops.h"

namespace hourglass {
namespace {

// Mills' ratio (1 - Phi(x)) / phi(x) for x >= 0. erfc is exact to about x = 5; beyond, Laplace's continued fraction
// 1/(x + 1/(x + 2/(x + 3/(x + ...)))) converges to double precision within 60 terms.
double mills_ratio(double x) {
  if (x < 5) {
    return std::sqrt(std::numbers::pi / 2) * std::erfc(x / std::numbers::sqrt2) * std::exp(x * x / 2);
  }
  double fraction = x;
  for (int k = 60; k >= 1; --k) fraction = x + k / fraction;
  return 1 / fraction;
}

// (phi(a) - phi(b)) / (Phi(b) - Phi(a)) for a < b.
double truncated_standard_mean(double a, double b) {
  if (b <= 0) return -truncated_standard_mean(-b, -a);
  // A narrow cell, across which the density changes little: mean = middle * (1 - width^2 / 12), to first order.
  if ((b - a) * std::max(1.0, std::abs(a) + std::abs(b)) < 1e-3) return (a + b) / 2 * (1 - (b - a) * (b - a) / 12);
  if (a >= 0) {
    // Divided by phi(a), so that nothing underflows: phi(b) / phi(a) = exp(-(b - a)(b + a) / 2).
    const double decay = std::exp(-(b - a) * (b + a) / 2);
    return -std::expm1(-(b - a) * (b + a) / 2) / (mills_ratio(a) - decay * mills_ratio(b));
  }
  const double mass = (std::erf(b / std::numbers::sqrt2) - std::erf(a / std::numbers::sqrt2)) / 2;
  constexpr double kInvSqrt2Pi = 0.3989422804014327;
  return kInvSqrt2Pi * (std::exp(-a * a / 2) - std::exp(-b * b / 2)) / mass;
}

using Block = std::array<float, 64>;

// The coefficients of a component plane, block by block.
std::vector<Block> transform(const Plane& plane) {
  const int64_t columns = plane.width / 8, rows = plane.height / 8;
  std::vector<Block> blocks(static_cast<std::size_t>(columns * rows));
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      forward_dct(plane.row(r * 8) + c * 8, plane.width, blocks[static_cast<std::size_t>(r * columns + c)].data());
    }
  }
  return blocks;
}

// Adds to the image's planes what takes the component's coefficients to where `target` sends them:
// target(prediction, cell, q, index) -> coefficient; index counts blocks row by row, 64 to a block, so index % 64 is
// the frequency.
template <typename Target>
void move_coefficients(Plane& plane, const JpegModel& model, std::size_t component, const Target& target) {
  const JpegComponent& file = model.file().components[component];
  const Plane small = model.downsample(plane, component);
  std::vector<Block> blocks = transform(small);
  Plane difference(small.width, small.height);
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < file.height_in_blocks; ++r) {
    for (int64_t c = 0; c < file.width_in_blocks; ++c) {
      Block& block = blocks[static_cast<std::size_t>(r * file.width_in_blocks + c)];
      const int16_t* n = file.block(r, c);
      const auto first = static_cast<std::size_t>(r * file.width_in_blocks + c) * 64;
      for (std::size_t f = 0; f < 64; ++f)
        block[f] = target(block[f], file.bits.cell(f, n[f]), file.quantization[f], first + f) - block[f];
      inverse_dct(block.data(), difference.row(r * 8) + c * 8, difference.width);
    }
  }
  model.add_replicated(difference, component, plane);
}

// factor * the rms over the blocks of (coefficient - the middle of its cell), for each frequency.
std::array<double, 64> sigmas_of(const std::vector<Block>& blocks, const JpegComponent& file, double factor) {
  // Sums belong to rows of blocks, so that threads don't change them.
  std::vector<std::array<double, 64>> rows(static_cast<std::size_t>(file.height_in_blocks));
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < file.height_in_blocks; ++r) {
    std::array<double, 64> sums{};
    for (int64_t c = 0; c < file.width_in_blocks; ++c) {
      const Block& block = blocks[static_cast<std::size_t>(r * file.width_in_blocks + c)];
      const int16_t* n = file.block(r, c);
      for (std::size_t f = 0; f < 64; ++f) {
        const double offset = block[f] - static_cast<double>(file.bits.cell(f, n[f]).middle()) * file.quantization[f];
        sums[f] += offset * offset;
      }
    }
    rows[static_cast<std::size_t>(r)] = sums;
  }
  std::array<double, 64> sigmas{};
  for (const std::array<double, 64>& sums : rows) {
    for (std::size_t f = 0; f < 64; ++f) sigmas[f] += sums[f];
  }
  for (double& sigma : sigmas) sigma = factor * std::sqrt(sigma / static_cast<double>(blocks.size()));
  return sigmas;
}

// One row of MCUs as a file of its own. Blocks share samples with others of their row alone, so what holds for all rows
// holds for the image.
struct Strip {
  int64_t first = 0, height = 0;  // rows of the image
  JpegCoefficients file;
};

int64_t strips_of(const JpegCoefficients& file) {
  const int64_t unit = mcu_height(file);
  return (file.height + unit - 1) / unit;
}

Strip strip_of(const JpegCoefficients& file, int64_t index) {
  const int64_t unit = mcu_height(file), first = index * unit, height = std::min(unit, file.height - first);
  return {.first = first,
          .height = height,
          .file = part_of(file, {.x = 0, .y = first, .width = file.width, .height = height})};
}

// Rows [first, first + height) of the image.
Image rows_of(const Image& image, int64_t first, int64_t height) {
  Image rows(image.width, height, image.channels);
  for (int c = 0; c < image.channels; ++c) {
    std::copy_n(image.plane(c) + first * image.width, height * image.width, rows.plane(c));
  }
  return rows;
}

void put_rows(const Image& rows, int64_t first, Image& image) {
  for (int c = 0; c < image.channels; ++c) {
    std::copy_n(rows.plane(c), rows.plane_size(), image.plane(c) + first * image.width);
  }
}

// visit(image's rows, their model, strip) for every strip, in parallel.
template <typename Visit>
void for_each_strip(const Image& image, const JpegModel& model, const Visit& visit) {
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t i = 0; i < strips_of(model.file()); ++i) {
    const Strip strip = strip_of(model.file(), i);
    visit(rows_of(image, strip.first, strip.height), JpegModel(strip.file), strip);
  }
}

// A coefficient clamped into its cell, `margin` grey levels inside (never beyond the cell's middle).
float clamp_to_cell(float c, const JpegCell& cell, int q, float margin) {
  const float width = cell.width() * static_cast<float>(q), centre = cell.middle() * static_cast<float>(q);
  const float half = std::max(0.5F * width - margin, 0.02F * width);
  return std::clamp(c, centre - half, centre + half);
}

// A coefficient of an image under the file's pipeline.
struct ImageCoefficient {
  const JpegComponent& file;
  std::size_t component, index;  // of the file's components, and in all of this one's blocks
  float steps;                   // divided by its quantization step
  int n;                         // what the file says it is

  [[nodiscard]] std::size_t frequency() const { return index % 64; }
  [[nodiscard]] JpegCell cell() const { return file.bits.cell(frequency(), n); }
  // Whether it would stand in the file as it does.
  [[nodiscard]] bool comes_out() const {
    return file.bits.sent(frequency(), static_cast<int>(std::lround(steps))) == n;
  }
};

// visit(coefficient) for every one of which the file says something.
template <typename Visit>
void visit_cells(const Image& image, const JpegModel& model, const Visit& visit) {
  const std::vector<Plane> planes = model.to_planes(image);
  for (std::size_t i = 0; i < planes.size(); ++i) {
    const JpegComponent& file = model.file().components[i];
    const std::vector<Block> blocks = transform(model.downsample(planes[i], i));
    std::size_t index = 0;
    for (int64_t r = 0; r < file.height_in_blocks; ++r) {
      for (int64_t c = 0; c < file.width_in_blocks; ++c) {
        const Block& block = blocks[index / 64];
        const int16_t* n = file.block(r, c);
        for (std::size_t f = 0; f < 64; ++f, ++index) {
          // A step of zero says nothing.
          const bool says = file.quantization[f] > 0 && file.bits.missing[f] != JpegBits::kNothingSent;
          if (!says) continue;
          visit(ImageCoefficient{.file = file,
                                 .component = i,
                                 .index = index,
                                 .steps = block[f] / static_cast<float>(file.quantization[f]),
                                 .n = n[f]});
        }
      }
    }
  }
}

// to_consistent() of one strip; adds what came of it to the check.
Image move_into_cells(const Image& image, const JpegModel& model, int levels, CellCheck& check) {
  // Rounding to 8 bits adds noise of 0.29 grey levels to each coefficient: a margin of three times that keeps almost
  // all in their cells, and one that falls out all the same gets a wider one in the next round. Several rounds are
  // needed where pixels are clipped and where blocks share samples beyond the border.
  constexpr int kRounds = 24;
  const float margin = levels > 0 ? 0.9F * 255.0F / static_cast<float>(levels) : 0.01F;
  std::vector<std::vector<float>> margins;
  for (const JpegComponent& component : model.file().components) {
    margins.emplace_back(static_cast<std::size_t>(component.width_in_blocks * component.height_in_blocks) * 64, margin);
  }
  Image current = image, best;
  int64_t fewest = -1;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<Plane> planes = model.to_planes(current);
    for (std::size_t i = 0; i < planes.size(); ++i) {
      move_coefficients(planes[i], model, i, [&](float c, const JpegCell& cell, int q, std::size_t index) {
        return clamp_to_cell(c, cell, q, margins[i][index]);
      });
    }
    current = model.to_image(planes);
    clamp(current);
    Image candidate = current;
    if (levels > 0) {
      const auto steps = static_cast<float>(levels);
      for (float& value : candidate.pixels) value = std::round(value * steps) / steps;
    }
    int64_t outside = 0;
    visit_cells(candidate, model, [&](const ImageCoefficient& c) {
      if (c.comes_out()) return;
      ++outside;
      margins[c.component][c.index] *= 1.5F;
    });
    if (fewest < 0 || outside < fewest) {
      fewest = outside;
      best = std::move(candidate);
    }
    if (fewest == 0) break;
  }
  visit_cells(best, model, [&](const ImageCoefficient&) { ++check.coefficients; });
  check.same = check.coefficients - fewest;
  return best;
}

}  // namespace

double truncated_normal_mean(double mean, double sigma, double low, double high) {
  if (!(sigma > 0)) return std::clamp(mean, low, high);
  const double result = mean + sigma * truncated_standard_mean((low - mean) / sigma, (high - mean) / sigma);
  return std::clamp(result, low, high);
}

Image to_posterior_mean(const Image& estimate, const JpegModel& model, double sigma_factor) {
  std::vector<Plane> planes = model.to_planes(estimate);
  to_posterior_mean(planes, model, sigma_factor);
  return model.to_image(planes);
}

void to_posterior_mean(std::vector<Plane>& planes, const JpegModel& model, double sigma_factor) {
  for (std::size_t i = 0; i < planes.size(); ++i) {
    const JpegComponent& file = model.file().components[i];
    Plane small = model.downsample(planes[i], i);  // then what is to be added to it
    std::vector<Block> blocks = transform(small);
    const std::array<double, 64> sigmas = sigmas_of(blocks, file, sigma_factor);
    // Below this the normal is a point for float: all that is left is the cell.
    constexpr float kLeast = 1e-3F;
    Block floats;
    for (std::size_t f = 0; f < 64; ++f) {
      floats[f] = std::max(static_cast<float>(sigmas[f]), kLeast * static_cast<float>(file.quantization[f]));
    }
    const kernels::RestorationLoops& loops = kernels::restoration_loops();
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < file.height_in_blocks; ++r) {
      for (int64_t c = 0; c < file.width_in_blocks; ++c) {
        Block& block = blocks[static_cast<std::size_t>(r * file.width_in_blocks + c)];
        // A cell is [(at - 1/2) width, (at + 1/2) width].
        Block at, widths, moved = block;
        const int16_t* n = file.block(r, c);
        for (std::size_t f = 0; f < 64; ++f) {
          const JpegCell cell = file.bits.cell(f, n[f]);
          at[f] = cell.middle() / cell.width();
          widths[f] = cell.width() * static_cast<float>(file.quantization[f]);
        }
        loops.truncated_means(moved.data(), at.data(), widths.data(), floats.data(), 64);
        for (std::size_t f = 0; f < 64; ++f) block[f] = at[f] * widths[f] + moved[f] - block[f];
        inverse_dct(block.data(), small.row(r * 8) + c * 8, small.width);
      }
    }
    model.add_replicated(small, i, planes[i]);
  }
}

Image to_consistent(Image image, const JpegModel& model, int levels) {
  for_each_strip(image, model, [&](const Image& rows, const JpegModel& part, const Strip& strip) {
    CellCheck check;
    put_rows(move_into_cells(rows, part, levels, check), strip.first, image);
  });
  return image;
}

CellCheck check_consistent(const Image& image, const JpegModel& model, int levels) {
  CellCheck total;
  for_each_strip(image, model, [&](const Image& rows, const JpegModel& part, const Strip&) {
    CellCheck check;
    move_into_cells(rows, part, levels, check);
#pragma omp critical(hourglass_cell_check)
    total += check;
  });
  return total;
}

CellCheck check_cells(const Image& image, const JpegModel& model) {
  CellCheck total;
  for_each_strip(image, model, [&](const Image& rows, const JpegModel& part, const Strip&) {
    CellCheck check;
    visit_cells(rows, part, [&](const ImageCoefficient& c) {
      ++check.coefficients;
      if (c.comes_out()) {
        ++check.same;
        return;
      }
      const JpegCell cell = c.cell();
      const double beyond = std::max(cell.low - c.steps, c.steps - cell.high);
      check.farthest = std::max(check.farthest, beyond * c.file.quantization[c.frequency()]);
      check.near_zero += c.n == 0 && c.steps > 2 * cell.low && c.steps < 2 * cell.high ? 1 : 0;
    });
#pragma omp critical(hourglass_cell_check)
    total += check;
  });
  return total;
}

std::vector<std::vector<int>> outside_cells(const Image& image, const JpegModel& model) {
  std::vector<std::vector<int>> outside;
  for (const JpegComponent& component : model.file().components) {
    outside.emplace_back(static_cast<std::size_t>(component.width_in_blocks * component.height_in_blocks));
  }
  visit_cells(image, model,
              [&](const ImageCoefficient& c) { outside[c.component][c.index / 64] += c.comes_out() ? 0 : 1; });
  return outside;
}

double rms_cell_offset(const Image& image, const JpegModel& model) {
  double squares = 0;
  int64_t count = 0;
  visit_cells(image, model, [&](const ImageCoefficient& c) {
    if (c.n == 0 && c.frequency() != 0) return;
    const JpegCell cell = c.cell();
    const double offset = static_cast<double>((c.steps - cell.middle()) / cell.width());
    squares += offset * offset;
    ++count;
  });
  return std::sqrt(squares / static_cast<double>(std::max<int64_t>(count, 1)));
}

}  // namespace hourglass
