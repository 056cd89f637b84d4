// What has spoiled a photograph, as lessons (lesson.h) see it: other pictures can be spoiled in the same way, so pairs
// of a spoiled and a clean picture cost nothing, and a filter makes a first estimate of what was there.
//
//   const JpegDegradation jpeg(file);                         // or NoiseDegradation(25.0 / 255, 3)
//   const Spoiled pair = jpeg.spoil(planes, seed, index);     // another picture: pair.picture->planes(), pair.filtered
//
// There are two: the compression of one JPEG (jpeg_degradation.h), and white noise (noise_degradation.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/image/digest.h"
#include "engine/image/image.h"
#include "engine/restore/jpeg_model.h"
#include "engine/restore/task.h"

namespace hourglass {

// What a network is told of the degradation besides the pictures (learned_map.h).
struct MapConditions {
  double strength = 1;     // in grey levels: a JPEG's coarseness, or the noise's standard deviation; above 0
  double noise = 1;        // grey levels, about the rms error of the filter's picture, which the network is to undo
  bool blocks = false;     // whether it goes by blocks of 8x8 pixels, whose grid begins at the first pixel
  bool transposes = true;  // whether a transposed picture is spoiled as the picture is, transposed
};

class Degradation;

// A picture's values go from 0 to 1; planes hold grey levels, from 0 to 255, minus 128.
inline constexpr float kGreyLevels = 255, kMiddleLevel = 128;

// A spoiled picture. Its planes have the picture's size.
class Degraded {
 public:
  Degraded() = default;
  Degraded(const Degraded&) = delete;
  Degraded& operator=(const Degraded&) = delete;
  virtual ~Degraded() = default;

  [[nodiscard]] virtual const Degradation& degradation() const = 0;
  // What is left of the picture.
  [[nodiscard]] virtual std::vector<Plane> planes() const = 0;
  // Moves an estimate of the picture to what the spoiled one states for certain.
  virtual void settle(std::vector<Plane>& /*estimate*/) const {}
  // The last step behind a network, of a settled estimate: places that are alike clean each other, which a network that
  // sees one of them at a time leaves to be done. Where `advance` ends it early, what was not reached is as it was.
  [[nodiscard]] virtual Image refine(Image estimate, const Advance& /*advance*/) const { return estimate; }
};

struct Spoiled {
  std::unique_ptr<Degraded> picture;
  Image filtered;  // what the filter makes of it
};

class Degradation {
 public:
  Degradation() = default;
  Degradation(const Degradation&) = delete;
  Degradation& operator=(const Degradation&) = delete;
  virtual ~Degradation() = default;

  // How many planes its pictures have: 1 or 3.
  [[nodiscard]] virtual std::size_t channels() const = 0;
  // An image's planes, as Degraded has them, and back; not clamped.
  [[nodiscard]] virtual std::vector<Plane> to_planes(const Image& image) const = 0;
  [[nodiscard]] virtual Image to_image(const std::vector<Plane>& planes) const = 0;
  [[nodiscard]] virtual MapConditions conditions() const = 0;
  // Why no lesson can be about it; empty where one can.
  [[nodiscard]] virtual std::string obstacle() const { return {}; }
  // Another picture, of any size and as many planes as channels() says; of more the first ones. Seed and index
  // draw what is random in the degradation. What it gives refers to this.
  [[nodiscard]] virtual Spoiled spoil(const std::vector<Plane>& picture, uint64_t seed, uint32_t index) const = 0;
  // Adds what tells it from others.
  virtual void identify(Digest& digest) const = 0;
};

using Degradations = std::vector<std::shared_ptr<const Degradation>>;

}  // namespace hourglass
