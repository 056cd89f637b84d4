// A spoiled photograph by the filter and by a network that learns, in the run, to undo what has spoiled it (lesson.h):
// one file's compression, or noise; what the filter leaves to be done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/restore/degradation.h"
#include "engine/restore/network.h"
#include "engine/restore/task.h"
#include "engine/runtime/precision.h"
#include "engine/train/archive.h"

namespace hourglass {

// After an iteration of a lesson.
struct LearnStep {
  int64_t iteration = 0;  // from 1
  double error = 0;       // of its picture, rms in grey levels
  // Puts into an archive what a later learn_picture() of the same arguments needs to go on from here.
  std::function<void(Archive&)> save;
};

struct LearnOptions {
  int64_t iterations = 800;  // of the lesson; 0: the network as it comes
  uint64_t seed = 0;
  int threads = 0;  // 0: all that are available
  Precision precision = Precision::f32;
  bool example = false;                                // whether Learned::example and ::gains are wanted
  const Archive* resumed = nullptr;                    // what LearnStep::save had put there; null: the lesson begins
  std::string resumed_from = {};                       // its name, for errors
  bool partial = true;                                 // whether a lesson that is ended early is applied
  std::function<void(const LearnStep&)> on_step = {};  // told after `advance`
};

// What the lesson is about, on a piece of the picture at half its size: images with the photograph's channels.
struct LessonExample {
  Image target, degraded, filtered;  // t, J(t), and what the filter makes of that
  Image before, after;               // what the network makes of both before and after the lesson
};

// How good the network is after so many iterations, as far as that can be known without the original: see
// Bootstrap::gain().
struct LessonGain {
  int64_t iteration = 0;
  double decibels = 0;
};

struct Learned {
  Image image;                      // settled (degradation.h)
  double weight = 0;                // of the network's part; 0: the image is the filter's
  int64_t iterations = 0;           // done
  std::string reason = {};          // why nothing was learned; empty where something was
  std::vector<double> errors = {};  // of each iteration's picture, rms in grey levels
  std::optional<LessonExample> example = {};
  std::vector<LessonGain> gains = {};  // in the order of iterations
};

// Of a picture to learn from: the least of both sides.
inline constexpr int64_t kLeastSideToLearn = 64;

// Pixels: up to here, applying the network to the picture turned in eight ways takes less time than the lesson.
inline constexpr int64_t kMostForSymmetries = 3'000'000;

// Bytes that the program holds at most while it filters such a picture, learns for so many iterations with the network
// that comes with it, and applies that, in f32, with a margin of a tenth. The lesson holds its mosaics (lesson.h), the
// network the values of a tile (learned_map.h): in colour 216 MiB for 0.26 megapixels, 294 for 0.84. In bf16 a tile
// takes half of that.
std::size_t learn_memory(int64_t pixels, int channels, int64_t iterations);
// With another network, by its plans: in the precision in which it learns.
std::size_t learn_memory(const Image& picture, const NetworkFactory& make, const OpTable& table,
                         const LearnOptions& options);

// filtered: the filter's result. make: maps as learned_map.h wants them, of one plane or three; the values of their
// weights are where the lesson starts. What one of one plane does not make, the other planes, stays as filtered.
// Photographs that are too small to learn from come back as they are, and those of a degradation with an obstacle():
// `reason` says so. Throws Error when the network does not suit.
Learned learn_picture(const Image& filtered, const Degraded& photograph, const NetworkFactory& make,
                      const OpTable& table, const LearnOptions& options, const Advance& advance);

}  // namespace hourglass
