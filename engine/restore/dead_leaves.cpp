#include "engine/restore/dead_leaves.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <numbers>

#include "engine/train/random.h"
#include "graph/error.h"

namespace hourglass {
namespace {

constexpr int64_t kTexture = 256;  // side, a power of two
constexpr int kTextures = 10;
// Draws from the first on are the textures', from the second on the grain's, below the pictures'.
constexpr uint32_t kTextureIndex = 0x80000000, kGrainIndex = 0xC0000000;
constexpr float kPi = std::numbers::pi_v<float>;

// Uniform numbers in [0, 1), one after the other.
class Dice {
 public:
  Dice(uint64_t seed, uint32_t index, int64_t count)
      : numbers_(draw_uniform(seed, Stream::dead_leaves, index, count, 0, 1)) {}
  // A cursor, so that each shape's numbers begin at a place of their own.
  void seek(int64_t at) { at_ = static_cast<std::size_t>(at); }
  float uniform() { return numbers_[at_++]; }
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  float normal() {
    const float radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * kPi * uniform());
  }

 private:
  std::vector<float> numbers_;
  std::size_t at_ = 0;
};

// Octaves of noise on lattices of 1, 2, 4, ... pixels, interpolated, each `growth` times as strong as the one before.
std::vector<float> make_texture(uint64_t seed, uint32_t index, float growth) {
  std::vector<float> sum(static_cast<std::size_t>(kTexture * kTexture));
  const std::vector<float> noise =
      draw_normal(seed, Stream::dead_leaves, kTextureIndex + index, 2 * kTexture * kTexture, 0, 1);
  float amplitude = 1;
  std::size_t first = 0;
  for (int64_t lattice = 1; lattice <= kTexture / 8; lattice *= 2, amplitude *= growth) {
    const int64_t side = kTexture / lattice;
    const auto at = [&](int64_t y, int64_t x) {
      return noise[first + static_cast<std::size_t>((y & (side - 1)) * side + (x & (side - 1)))];
    };
    for (int64_t y = 0; y < kTexture; ++y) {
      for (int64_t x = 0; x < kTexture; ++x) {
        const int64_t v = y / lattice, u = x / lattice;
        const float fy = static_cast<float>(y % lattice) / static_cast<float>(lattice);
        const float fx = static_cast<float>(x % lattice) / static_cast<float>(lattice);
        const float value = (1 - fy) * ((1 - fx) * at(v, u) + fx * at(v, u + 1)) +
                            fy * ((1 - fx) * at(v + 1, u) + fx * at(v + 1, u + 1));
        sum[static_cast<std::size_t>(y * kTexture + x)] += amplitude * value;
      }
    }
    first += static_cast<std::size_t>(side * side);
  }
  double mean = 0, squares = 0;
  for (const float value : sum) {
    mean += value;
    squares += static_cast<double>(value) * value;
  }
  const auto count = static_cast<double>(sum.size());
  mean /= count;
  const double deviation = std::sqrt(squares / count - mean * mean);
  for (float& value : sum) value = static_cast<float>((value - mean) / deviation);
  return sum;
}

enum class Form : uint8_t { ellipse, bar, triangle, blob, arc };
enum class Pattern : uint8_t { plain, noise, stripes, spots };

constexpr std::size_t kLobes = 4;  // of a blob's outline: waves of 2, 3, 4 and 5 periods

// One leaf, in grey levels and pixels.
struct Leaf {
  Form form = Form::ellipse;
  float y = 0, x = 0, radius = 0;               // centre; half the length of a square of the same area, roughly
  float cosine = 1, sine = 0;                   // of the direction that it points to
  float length = 1, breadth = 1;                // factors of the radius, along and across that direction
  std::array<float, kLobes> lobes{}, phases{};  // of a blob: its waves, as parts of the radius
  float bend = 1;                               // of an arc: its circle's radius, as a multiple of the leaf's
  float softness = 0;                           // pixels over which the edge fades
  std::array<float, 3> color{};                 // R G B, or gray
  float slope_y = 0, slope_x = 0;               // of the gradient, grey levels a pixel
  Pattern pattern = Pattern::plain;
  const float* texture = nullptr;
  float strength = 0;                                    // of the pattern, grey levels
  std::array<float, 3> dye{};                            // the pattern's share in each channel, about 1
  float uy = 0, ux = 0, vy = 0, vx = 0, u0 = 0, v0 = 0;  // from pixels to places in the texture
  float ty = 0, tx = 0, t0 = 0;                          // from pixels to periods of the stripes
  float waviness = 0;                                    // periods by which the texture shifts the stripes
  float sharpness = 1;                                   // of stripes and spots: how hard their edges are
  float level = 0;                                       // of the texture, above which there is a spot
};

// How far a pixel at (dy, dx) from the leaf's centre lies inside its edge, in pixels; negative outside.
float inside(const Leaf& leaf, float dy, float dx) {
  const float along = (leaf.cosine * dx + leaf.sine * dy) / (leaf.length * leaf.radius);
  const float across = (leaf.cosine * dy - leaf.sine * dx) / (leaf.breadth * leaf.radius);
  const float scale = leaf.radius * std::min(leaf.length, leaf.breadth);
  switch (leaf.form) {
    case Form::ellipse: return (1 - std::sqrt(along * along + across * across)) * scale;
    case Form::bar:
      return std::min((1 - std::abs(along)) * leaf.length, (1 - std::abs(across)) * leaf.breadth) * leaf.radius;
    case Form::triangle: return std::min(across + 0.6F, 0.86F * (1 - std::abs(along)) - 0.5F * across) * scale;
    case Form::blob: {
      const float angle = std::atan2(across, along);
      float outline = 1;
      for (std::size_t k = 0; k < kLobes; ++k) {
        outline += leaf.lobes[k] * std::cos(static_cast<float>(k + 2) * angle + leaf.phases[k]);
      }
      return (outline - std::sqrt(along * along + across * across)) * scale;
    }
    case Form::arc: {
      // A strand of the leaf's breadth along a circle that touches its axis, thinner towards its ends.
      const float u = along * leaf.length, v = across * leaf.breadth, off = v - leaf.bend;
      const float aside = std::abs(std::sqrt(u * u + off * off) - leaf.bend);
      return std::min(leaf.breadth * (1 - along * along) - aside, leaf.length - std::abs(u)) * leaf.radius;
    }
  }
  return 0;
}

float texture_of(const Leaf& leaf, float dy, float dx) {
  const float u = leaf.u0 + leaf.uy * dy + leaf.ux * dx, v = leaf.v0 + leaf.vy * dy + leaf.vx * dx;
  const float fu = std::floor(u), fv = std::floor(v), a = u - fu, b = v - fv;
  const auto iu = static_cast<int64_t>(fu), iv = static_cast<int64_t>(fv);
  const auto at = [&](int64_t y, int64_t x) {
    return leaf.texture[(y & (kTexture - 1)) * kTexture + (x & (kTexture - 1))];
  };
  return (1 - b) * ((1 - a) * at(iv, iu) + a * at(iv, iu + 1)) +
         b * ((1 - a) * at(iv + 1, iu) + a * at(iv + 1, iu + 1));
}

float pattern_of(const Leaf& leaf, float dy, float dx) {
  switch (leaf.pattern) {
    case Pattern::plain: return 0;
    case Pattern::noise: return leaf.strength * texture_of(leaf, dy, dx);
    case Pattern::stripes: {
      const float shift = leaf.waviness > 0 ? leaf.waviness * texture_of(leaf, dy, dx) : 0;
      const float wave = std::sin(2 * kPi * (leaf.t0 + leaf.ty * dy + leaf.tx * dx + shift));
      return leaf.strength * std::clamp(leaf.sharpness * wave, -1.0F, 1.0F);
    }
    case Pattern::spots:
      return leaf.strength * std::clamp(leaf.sharpness * (texture_of(leaf, dy, dx) - leaf.level), -1.0F, 1.0F);
  }
  return 0;
}

// What all leaves of a picture share.
struct Scene {
  float smallest, largest;     // radius
  float brightness, contrast;  // of the leaves' grey values
  float saturation;            // standard deviation of the chroma
  std::array<float, 2> tint;   // mean chroma
  float blur;                  // of the lens: standard deviation in pixels
  float grain;                 // of the sensor: standard deviation of the noise, grey levels
};

Scene draw_scene(Dice& dice, float side) {
  Scene scene{};
  scene.smallest = std::exp(dice.uniform(0.4F, 3.0F));
  scene.largest = std::max(0.8F * side, 2 * scene.smallest);
  scene.brightness = dice.uniform(60, 180);
  scene.contrast = dice.uniform(20, 70);
  scene.saturation = std::exp(dice.uniform(1.0F, 3.6F));
  scene.tint = {6 * dice.normal(), 6 * dice.normal()};
  scene.blur = dice.uniform(0.15F, 0.9F);
  // A third has none.
  scene.grain = std::max(0.0F, dice.uniform(-2.5F, 5));
  return scene;
}

constexpr int64_t kSceneNumbers = 16, kLeafNumbers = 64;

Leaf draw_leaf(Dice& dice, const Scene& scene, float height, float width, int channels,
               const std::vector<std::vector<float>>& textures) {
  Leaf leaf;
  // Density ~ r^-3 between the smallest and the largest, by its inverse distribution function.
  const float a = 1 / (scene.smallest * scene.smallest), b = 1 / (scene.largest * scene.largest);
  leaf.radius = 1 / std::sqrt(a + (b - a) * dice.uniform());
  leaf.y = dice.uniform(-leaf.radius, height + leaf.radius);
  leaf.x = dice.uniform(-leaf.radius, width + leaf.radius);
  const float form = dice.uniform();
  leaf.form = form < 0.2F    ? Form::ellipse
              : form < 0.4F  ? Form::bar
              : form < 0.55F ? Form::triangle
              : form < 0.85F ? Form::blob
                             : Form::arc;
  const float angle = 2 * kPi * dice.uniform();
  leaf.cosine = std::cos(angle);
  leaf.sine = std::sin(angle);
  // One in eight is a twig, as all arcs are.
  const bool twig = dice.uniform() < 0.125F;
  const float stretch = leaf.form == Form::arc ? dice.uniform(1.5F, 5)
                        : twig                 ? dice.uniform(2, 5)
                                               : std::exp(0.3F * dice.normal());
  leaf.length = stretch;
  leaf.breadth = 1 / stretch;
  leaf.bend = stretch * std::exp(dice.uniform(0, 2));
  for (std::size_t k = 0; k < kLobes; ++k) {
    leaf.lobes[k] = 0.3F * dice.normal() / static_cast<float>(k + 2);
    leaf.phases[k] = 2 * kPi * dice.uniform();
  }
  leaf.softness = dice.uniform() < 0.2F ? dice.uniform(1, 5) : 1;
  const float gray = std::clamp(scene.brightness + scene.contrast * dice.normal(), 2.0F, 253.0F);
  const float cb = scene.tint[0] + scene.saturation * dice.normal();
  const float cr = scene.tint[1] + scene.saturation * dice.normal();
  // JFIF's matrix (ITU-R BT.601).
  leaf.color = {gray, gray, gray};
  if (channels == 3) leaf.color = {gray + 1.402F * cr, gray - 0.344136F * cb - 0.714136F * cr, gray + 1.772F * cb};
  for (float& value : leaf.color) value = std::clamp(value, 2.0F, 253.0F);
  const float slope = 12 * dice.normal() / std::max(leaf.radius, 4.0F), direction = 2 * kPi * dice.uniform();
  leaf.slope_y = slope * std::sin(direction);
  leaf.slope_x = slope * std::cos(direction);
  const float kind = dice.uniform(), turn = 2 * kPi * dice.uniform(), strength = std::abs(dice.normal());
  if (kind >= 0.66F) return leaf;
  leaf.pattern = kind < 0.4F ? Pattern::noise : kind < 0.53F ? Pattern::stripes : Pattern::spots;
  leaf.strength = (leaf.pattern == Pattern::noise ? 20 : 22) * strength;
  for (float& share : leaf.dye) share = channels == 3 ? 1 + 0.25F * dice.normal() : 1;
  leaf.texture = textures[static_cast<std::size_t>(dice.uniform() * static_cast<float>(textures.size()))].data();
  const float zoom = std::exp(dice.uniform(-0.7F, 0.7F)), aspect = std::exp(0.8F * dice.normal());
  leaf.ux = zoom * aspect * std::cos(turn);
  leaf.uy = zoom * aspect * std::sin(turn);
  leaf.vx = -zoom * std::sin(turn);
  leaf.vy = zoom * std::cos(turn);
  leaf.u0 = dice.uniform(0, kTexture);
  leaf.v0 = dice.uniform(0, kTexture);
  const float period = std::exp(dice.uniform(0.8F, 2.8F)), direction_of_stripes = 2 * kPi * dice.uniform();
  leaf.tx = std::cos(direction_of_stripes) / period;
  leaf.ty = std::sin(direction_of_stripes) / period;
  leaf.t0 = dice.uniform();
  leaf.waviness = std::max(0.0F, dice.uniform(-0.3F, 0.4F));
  leaf.sharpness = std::exp(dice.uniform(0, 2));
  leaf.level = 0.8F * dice.normal();
  return leaf;
}

// Paints from the front to the back: `open` says how much of each pixel is still to be painted.
void paint(const Leaf& leaf, Image& image, std::vector<float>& open) {
  const float reach = leaf.radius * std::max(leaf.length, leaf.breadth) * 1.8F + leaf.softness;
  const auto first = [](float at) { return std::max<int64_t>(0, static_cast<int64_t>(std::floor(at))); };
  const int64_t y0 = first(leaf.y - reach), x0 = first(leaf.x - reach);
  const int64_t y1 = std::min(image.height, static_cast<int64_t>(std::ceil(leaf.y + reach)));
  const int64_t x1 = std::min(image.width, static_cast<int64_t>(std::ceil(leaf.x + reach)));
  for (int64_t y = y0; y < y1; ++y) {
    for (int64_t x = x0; x < x1; ++x) {
      float& left = open[static_cast<std::size_t>(y * image.width + x)];
      if (left <= 0) continue;
      const float dy = static_cast<float>(y) - leaf.y, dx = static_cast<float>(x) - leaf.x;
      const float covered = std::clamp(0.5F + inside(leaf, dy, dx) / leaf.softness, 0.0F, 1.0F);
      if (covered <= 0) continue;
      const float shade = leaf.slope_y * dy + leaf.slope_x * dx, pattern = pattern_of(leaf, dy, dx);
      for (int c = 0; c < image.channels; ++c) {
        const auto channel = static_cast<std::size_t>(c);
        const float value = std::clamp(leaf.color[channel] + shade + leaf.dye[channel] * pattern, 0.0F, 255.0F);
        image.at(c, y, x) += left * covered * value;
      }
      left *= 1 - covered;
      if (left < 0.01F) left = 0;
    }
  }
}

// The lens: a Gaussian of 7 taps in both directions, borders repeated.
void blur(Image& image, float sigma) {
  std::array<float, 7> taps{};
  float sum = 0;
  for (int i = 0; i < 7; ++i) {
    const float d = static_cast<float>(i - 3) / sigma;
    taps[static_cast<std::size_t>(i)] = std::exp(-0.5F * d * d);
    sum += taps[static_cast<std::size_t>(i)];
  }
  for (float& tap : taps) tap /= sum;
  const auto filter = [&](float* line, int64_t count, int64_t stride) {
    std::vector<float> padded(static_cast<std::size_t>(count + 6));
    for (int64_t i = 0; i < count + 6; ++i) {
      padded[static_cast<std::size_t>(i)] = line[std::clamp<int64_t>(i - 3, 0, count - 1) * stride];
    }
    for (int64_t i = 0; i < count; ++i) {
      float value = 0;
      for (std::size_t t = 0; t < 7; ++t) value += taps[t] * padded[static_cast<std::size_t>(i) + t];
      line[i * stride] = value;
    }
  };
  for (int c = 0; c < image.channels; ++c) {
    for (int64_t y = 0; y < image.height; ++y) filter(image.plane(c) + y * image.width, image.width, 1);
    for (int64_t x = 0; x < image.width; ++x) filter(image.plane(c) + x, image.height, image.width);
  }
}

// Noise of the sensor: the same in all channels for the most part, as a camera's interpolation leaves it.
void add_grain(Image& image, float sigma, uint64_t seed, uint32_t index) {
  if (sigma <= 0) return;
  constexpr float kShared = 0.8F, kOwn = 0.6F;  // their squares add up to 1
  const int64_t pixels = image.plane_size();
  const std::vector<float> noise =
      draw_normal(seed, Stream::dead_leaves, kGrainIndex + index, (1 + image.channels) * pixels, 0, sigma);
  for (int c = 0; c < image.channels; ++c) {
    const float* own = noise.data() + (1 + c) * pixels;
    for (int64_t i = 0; i < pixels; ++i) {
      image.plane(c)[i] += kShared * noise[static_cast<std::size_t>(i)] + kOwn * own[i];
    }
  }
}

}  // namespace

DeadLeaves::DeadLeaves(uint64_t seed, const DeadLeavesOptions& options) : seed_(seed), options_(options) {
  if (options.width < 1 || options.height < 1 || (options.channels != 1 && options.channels != 3)) {
    fail("dead leaves of {}x{} with {} channels: sides of at least 1 and 1 or 3 channels are possible", options.width,
         options.height, options.channels);
  }
  for (uint32_t i = 0; i < kTextures; ++i) {
    textures_.push_back(make_texture(seed, i, 0.5F + 1.2F * static_cast<float>(i) / (kTextures - 1)));
  }
}

Image DeadLeaves::picture(uint32_t index) const {
  Image image(options_.width, options_.height, options_.channels);
  // Enough for small leaves to cover it seven times.
  const int64_t leaves = 500 + image.plane_size() / 16;
  Dice dice(seed_, index, kSceneNumbers + leaves * kLeafNumbers);
  const auto height = static_cast<float>(image.height), width = static_cast<float>(image.width);
  const Scene scene = draw_scene(dice, std::min(height, width));
  std::vector<float> open(static_cast<std::size_t>(image.plane_size()), 1.0F);
  for (int64_t i = 0; i < leaves; ++i) {
    constexpr int64_t kLookEvery = 64;
    if (i % kLookEvery == 0 && std::all_of(open.begin(), open.end(), [](float left) { return left == 0; })) break;
    dice.seek(kSceneNumbers + i * kLeafNumbers);
    paint(draw_leaf(dice, scene, height, width, image.channels, textures_), image, open);
  }
  // What no leaf has covered is the ground.
  for (int c = 0; c < image.channels; ++c) {
    for (int64_t i = 0; i < image.plane_size(); ++i) {
      image.plane(c)[i] += open[static_cast<std::size_t>(i)] * scene.brightness;
    }
  }
  blur(image, scene.blur);
  add_grain(image, scene.grain, seed_, index);
  for (float& value : image.pixels) value = std::clamp(value / 255.0F, 0.0F, 1.0F);
  return image;
}

std::vector<Image> draw_dead_leaves(uint64_t seed, const DeadLeavesOptions& options, int64_t count) {
  const DeadLeaves leaves(seed, options);
  std::vector<Image> pictures(static_cast<std::size_t>(count));
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic)
  for (int64_t i = 0; i < count; ++i) {
    try {
      pictures[static_cast<std::size_t>(i)] = leaves.picture(static_cast<uint32_t>(i));
    } catch (...) {
#pragma omp critical(hourglass_dead_leaves)
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  return pictures;
}

}  // namespace hourglass
