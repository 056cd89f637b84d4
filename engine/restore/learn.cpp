#include "engine/restore/learn.h"

#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/restore/lesson.h"
#include "engine/restore/resample.h"
#include "graph/error.h"

namespace hourglass {
namespace {

// Of the work that is told as done when the mosaics are filtered, and when the iterations are done.
constexpr double kMosaicsShare = 0.3, kLessonShare = 0.9;
// And when the network has been applied; then its picture is filtered.
constexpr double kAppliedShare = 0.97;
// How often a network is tried out during its lesson, and on a picture of which side.
constexpr int64_t kTrials = 16, kTrialSide = 128;

// The middle of the picture at half its size, spoiled, and what the filter and two networks make of it. Nothing where
// that is too small.
std::optional<LessonExample> make_example(const Image& filtered, const Degradation& degradation,
                                          const LearnedMap& before, const LearnedMap& after) {
  constexpr int64_t kFactor = 2, kLargest = 128;
  constexpr uint64_t kSeed = 0xE3A3;  // no lesson's
  const auto side = [&](int64_t length) { return std::min(kLargest, length / kFactor / kMapMultiple * kMapMultiple); };
  const int64_t width = side(filtered.width), height = side(filtered.height);
  if (width < kMapMultiple || height < kMapMultiple) return {};
  const Image half = shrink(filtered, kFactor);
  LessonExample example;
  example.target = crop(half, (half.width - width) / 2, (half.height - height) / 2, width, height);
  const Spoiled spoiled = degradation.spoil(degradation.to_planes(example.target), kSeed, 0);
  example.degraded = degradation.to_image(spoiled.picture->planes());
  example.filtered = spoiled.filtered;
  const std::vector<Plane> planes = degradation.to_planes(example.filtered);
  const auto made_by = [&](const LearnedMap& map) {
    return degradation.to_image(blend(planes, apply_map(map, *spoiled.picture, planes), 1, *spoiled.picture));
  };
  example.before = made_by(before);
  example.after = made_by(after);
  for (Image* image : {&example.target, &example.degraded, &example.filtered, &example.before, &example.after})
    clamp(*image);
  return example;
}

// Where the lesson that was put away has come to.
void take_up(Lesson& lesson, const LearnOptions& options, Learned& result) {
  try {
    lesson.load(*options.resumed);
    result.iterations = lesson.iteration();
    result.errors = options.resumed->numbers("errors", static_cast<std::size_t>(result.iterations));
    // Of a run that was to have no report there are none.
    const std::vector<double>& gains = options.resumed->numbers("gains");
    for (std::size_t i = 0; i + 1 < gains.size(); i += 2) {
      result.gains.push_back({static_cast<int64_t>(gains[i]), gains[i + 1]});
    }
  } catch (const Error& error) {
    throw error.within(options.resumed_from);
  }
}

LessonOptions lesson_options(const LearnOptions& options, const Image& picture) {
  LessonOptions lesson;
  lesson.iterations = options.iterations;
  lesson.symmetries = picture.plane_size() <= kMostForSymmetries;
  lesson.threads = options.threads;
  lesson.mosaic.seed = options.seed;
  lesson.precision = options.precision;
  return lesson;
}

// Bytes that the program holds at most, of which the network takes so many in its lesson, and where it is applied.
std::size_t memory_with(int64_t pixels, int channels, int64_t iterations, int64_t in_lesson, int64_t applied) {
  constexpr int64_t kProgram = 38'000'000, kMosaic = 360'000;
  const bool gray = channels == 1;
  // Transposed copies.
  const int64_t turned = pixels <= kMostForSymmetries ? pixels * (gray ? 16 : 48) : 0;
  const int64_t network = std::max(in_lesson + mosaics_for(iterations) * kMosaic, applied);
  return static_cast<std::size_t>(kProgram + network + turned + pixels * (gray ? 40 : 118));
}

}  // namespace

std::size_t learn_memory(int64_t pixels, int channels, int64_t iterations) {
  constexpr int64_t kTile = 512 * 512, kLesson = 28'000'000;
  const int64_t tile = std::min(pixels, kTile) * (channels == 1 ? 560 : 640);
  return memory_with(pixels, channels, iterations, kLesson, tile + 2'000'000);
}

std::size_t learn_memory(const Image& picture, const NetworkFactory& make, const OpTable& table,
                         const LearnOptions& options) {
  const LessonOptions lesson = lesson_options(options, picture);
  const LearnedMap map(make, table, {}, {.threads = lesson.threads, .precision = lesson.precision});
  const auto with_margin = [](std::size_t bytes) { return static_cast<int64_t>(bytes + bytes / 10); };
  return memory_with(picture.plane_size(), picture.channels, options.iterations,
                     with_margin(Lesson::planned_bytes(make, table, lesson)),
                     with_margin(map.planned_bytes(picture.height, picture.width)));
}

Learned learn_picture(const Image& filtered, const Degraded& photograph, const NetworkFactory& make,
                      const OpTable& table, const LearnOptions& options, const Advance& advance) {
  const Degradation& degradation = photograph.degradation();
  Learned result{.image = filtered};
  result.reason = degradation.obstacle();
  if (result.reason.empty() && std::min(filtered.width, filtered.height) < kLeastSideToLearn) {
    result.reason = fmt::format("the photograph is smaller than {0}x{0}", kLeastSideToLearn);
  }
  if (!result.reason.empty()) {
    if (advance) advance(1);
    return result;
  }

  bool ended = false;
  const auto part = [&](double from, double to) {
    return [&advance, &ended, from, to](double done) {
      if (!ended && advance && !advance(from + (to - from) * done)) ended = true;
      return !ended;
    };
  };
  std::optional<LearnedMap> map, first;
  std::optional<Bootstrap> trial;
  if (options.example) trial.emplace(filtered, degradation, kTrialSide);
  const auto try_out = [&](const Lesson& lesson) {
    if (trial) result.gains.push_back({lesson.iteration(), trial->gain(lesson.map())});
  };
  {
    Lesson lesson(photograph, filtered, make, table, lesson_options(options, filtered), part(0, kMosaicsShare));
    const auto tell = part(kMosaicsShare, kLessonShare);
    if (options.example) first.emplace(lesson.map());
    if (options.resumed != nullptr) take_up(lesson, options, result);
    if (lesson.iteration() == 0) try_out(lesson);
    const int64_t every = std::max<int64_t>(options.iterations / kTrials, 1);
    const int64_t before = result.iterations;
    const auto save = [&](Archive& archive) {
      lesson.save(archive);
      archive.put("errors", result.errors);
      std::vector<double> gains;
      for (const LessonGain& one : result.gains)
        gains.insert(gains.end(), {static_cast<double>(one.iteration), one.decibels});
      archive.put("gains", gains);
    };
    while (!ended && !lesson.done()) {
      result.errors.push_back(lesson.step());
      result.iterations = lesson.iteration();
      if (result.iterations % every == 0) try_out(lesson);
      tell(static_cast<double>(result.iterations) / static_cast<double>(options.iterations));
      if (options.on_step)
        options.on_step({.iteration = result.iterations, .error = result.errors.back(), .save = save});
    }
    if (trial && (result.gains.empty() || result.gains.back().iteration < lesson.iteration())) try_out(lesson);
    if (ended && (result.iterations == before || !options.partial)) return result;
    map.emplace(lesson.map());
  }
  if (options.threads > 0) omp_set_num_threads(options.threads);
  if (first && !ended) result.example = make_example(filtered, degradation, *first, *map);
  const double weight = Bootstrap(filtered, degradation).weight(*map);
  if (weight > 0) {
    // Where the lesson was ended early, that has been obeyed: what it has taught is applied.
    const bool obeyed = ended;
    const auto tell = part(kLessonShare, kAppliedShare);
    std::vector<Plane> planes = degradation.to_planes(filtered);
    std::vector<Plane> made = apply_map(*map, photograph, planes, [&](double done) { return tell(done) || obeyed; });
    // A part of the picture alone is no result.
    if (ended && !obeyed) return result;
    result.weight = weight;
    Image blended = degradation.to_image(blend(planes, made, weight, photograph));
    planes.clear();
    made.clear();
    const auto tell_of_filter = part(kAppliedShare, 1);
    result.image = photograph.refine(std::move(blended), [&](double done) { return tell_of_filter(done) || obeyed; });
  }
  if (advance && !ended) advance(1);
  return result;
}

}  // namespace hourglass
