#include "engine/restore/mosaic_pairs.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <exception>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

#include "engine/image/digest.h"
#include "engine/restore/dead_leaves.h"
#include "engine/train/random.h"
#include "graph/error.h"

namespace hourglass {
namespace {

constexpr int64_t kNumbersPerPiece = 8;
constexpr std::string_view kSignature = "hourglass mosaics\n";
constexpr float kStepsPerLevel = 128;  // of the samples that are kept, to a grey level

// A whole number from 0 to count - 1.
int64_t pick(float number, int64_t count) {
  return std::min(static_cast<int64_t>(number * static_cast<float>(count)), count - 1);
}

// The picture goes on in mirrors: ... 2 1 0 0 1 2 ... n-1 n-1 n-2 ...
int64_t mirrored(int64_t at, int64_t length) {
  at %= 2 * length;
  return at < length ? at : 2 * length - 1 - at;
}

}  // namespace

PictureGroup draw_leaves_group(const Degradation& degradation, const MosaicOptions& mosaic, int64_t count) {
  constexpr int64_t kMargin = 32;
  const int64_t side = mosaic.piece + kMargin;
  const auto channels = static_cast<int>(degradation.channels());
  PictureGroup group;
  for (const Image& picture :
       draw_dead_leaves(mosaic.seed, {.width = side, .height = side, .channels = channels}, count)) {
    group.pictures.push_back(degradation.to_planes(picture));
  }
  return group;
}

Mosaics::Mosaics(Degradations degradations, std::vector<PictureGroup> groups, const MosaicOptions& options)
    : degradations_(std::move(degradations)), groups_(std::move(groups)), options_(options) {
  if (options.piece < kMapMultiple || options.piece % kMapMultiple != 0 || options.side < options.piece ||
      options.side % options.piece != 0) {
    fail(
        "a mosaic of {0}x{0} can't be made of pieces of {1}x{1}: the piece must be a multiple of {2} and divide the "
        "side",
        options.side, options.piece, kMapMultiple);
  }
  if (degradations_.empty()) fail("mosaics need something that spoils them");
  for (const PictureGroup& group : groups_) {
    if (group.pictures.empty() || !(group.share > 0)) fail("a group of pictures to learn from is empty");
    for (const std::vector<Plane>& picture : group.pictures) {
      for (const auto& degradation : degradations_) {
        const std::size_t wanted = degradation->channels();
        if (picture.size() == wanted || wanted == 1) continue;
        fail("a picture has {} planes, and {} are wanted", picture.size(), wanted);
      }
    }
    shares_ += group.share;
  }
  if (groups_.empty()) fail("there are no pictures to learn from");
}

void Mosaics::draw_piece(std::span<const float> dice, int64_t y0, int64_t x0, std::vector<Plane>& mosaic) const {
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
  for (std::size_t p = 0; p < mosaic.size(); ++p) {
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

Mosaics::Target Mosaics::draw(int64_t index) const {
  const int64_t count = options_.side / options_.piece;
  const std::vector<float> dice = draw_uniform(options_.seed, Stream::pairs, static_cast<uint32_t>(index),
                                               1 + kNumbersPerPiece * count * count, 0, 1);
  Target target;
  target.degradation = static_cast<std::size_t>(pick(dice[0], static_cast<int64_t>(degradations_.size())));
  for (std::size_t p = 0; p < degradations_[target.degradation]->channels(); ++p) {
    target.planes.emplace_back(options_.side, options_.side);
  }
  std::span<const float> rest = std::span(dice).subspan(1);
  for (int64_t y = 0; y < count; ++y) {
    for (int64_t x = 0; x < count; ++x) {
      draw_piece(rest.first(kNumbersPerPiece), y * options_.piece, x * options_.piece, target.planes);
      rest = rest.subspan(kNumbersPerPiece);
    }
  }
  return target;
}

std::string Mosaics::digest() const {
  Digest digest;
  const auto add = [&](const auto* values, std::size_t count) {
    digest.add(std::span(reinterpret_cast<const uint8_t*>(values), count * sizeof(*values)));
  };
  constexpr int64_t kVersion = 3;  // of what the filters make and of how samples are kept
  const std::array options{kVersion, options_.side, options_.piece, static_cast<int64_t>(options_.seed)};
  add(options.data(), options.size());
  const auto add_counts = [&](std::initializer_list<int64_t> counts) { add(counts.begin(), counts.size()); };
  add_counts({static_cast<int64_t>(degradations_.size()), static_cast<int64_t>(groups_.size())});
  for (const auto& degradation : degradations_) degradation->identify(digest);
  for (const PictureGroup& group : groups_) {
    add(&group.share, 1);
    add_counts({static_cast<int64_t>(group.off_grid), static_cast<int64_t>(group.pictures.size())});
    for (const std::vector<Plane>& picture : group.pictures) {
      for (const Plane& plane : picture) {
        add_counts({plane.width, plane.height});
        add(plane.samples.data(), plane.samples.size());
      }
    }
  }
  return digest.hex();
}

MosaicPairs::MosaicPairs(const Mosaics& mosaics, int64_t count, int64_t channels, const Advance& advance,
                         const std::string& keep)
    : side_(mosaics.options().side),
      channels_(channels),
      seed_(mosaics.options().seed + 1),
      degradations_(mosaics.degradations()),
      samples_(static_cast<std::size_t>(count)) {
  if (count < 1) fail("pairs need at least one mosaic");
  const std::string key = keep.empty() ? std::string{} : mosaics.digest();
  if (!keep.empty() && read(keep, key)) return;
  if (filter_all(mosaics, advance) && !keep.empty()) write(keep, key);
}

MosaicPairs::Sample MosaicPairs::filtered(const Mosaics& mosaics, int64_t index) {
  const Mosaics::Target target = mosaics.draw(index);
  const Degradation& degradation = *mosaics.degradations()[target.degradation];
  const Spoiled spoiled = degradation.spoil(target.planes, mosaics.options().seed, static_cast<uint32_t>(index));
  const std::vector<Plane> degraded = spoiled.picture->planes(), filtered = degradation.to_planes(spoiled.filtered);
  Sample sample{.degradation = target.degradation, .values = {}};
  for (const std::vector<Plane>* planes : {&degraded, &filtered, &target.planes}) {
    for (const Plane& plane : *planes) {
      for (const float value : plane.samples) {
        constexpr float kMost = std::numeric_limits<int16_t>::max();
        sample.values.push_back(static_cast<int16_t>(std::lround(std::clamp(kStepsPerLevel * value, -kMost, kMost))));
      }
    }
  }
  return sample;
}

bool MosaicPairs::filter_all(const Mosaics& mosaics, const Advance& advance) {
  std::atomic<bool> ended = false;
  std::atomic<int64_t> done = 0;
  std::exception_ptr failure;
  const auto count = static_cast<double>(samples_.size());
#pragma omp parallel for schedule(dynamic)
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    if (ended && i > 0) continue;
    try {
      samples_[i] = filtered(mosaics, static_cast<int64_t>(i));
      ++done;
      if (advance && omp_get_thread_num() == 0 && !advance(static_cast<double>(done) / count)) ended = true;
    } catch (...) {
#pragma omp critical(hourglass_mosaics)
      failure = std::current_exception();
      ended = true;
    }
  }
  if (failure) std::rethrow_exception(failure);
  if (advance && !ended) advance(1);
  std::erase_if(samples_, [](const Sample& sample) { return sample.values.empty(); });
  return !ended;
}

// kSignature, the key, then each sample: the number of its degradation and its values.
bool MosaicPairs::read(const std::string& path, const std::string& key) {
  std::ifstream file(path, std::ios::binary);
  const auto text_of = [&](std::size_t length) {
    std::string text(length, ' ');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return text;
  };
  const std::string signature = text_of(kSignature.size());
  if (signature.empty()) return false;
  if (signature != kSignature) fail("{}: holds no mosaics, and is not replaced", path);
  if (text_of(key.size()) != key) return false;
  std::vector<Sample> there(samples_.size());
  for (Sample& sample : there) {
    uint32_t number = 0;
    file.read(reinterpret_cast<char*>(&number), sizeof(number));
    if (!file || number >= degradations_.size()) return false;
    sample.degradation = number;
    sample.values.resize(3 * planes_of(sample) * static_cast<std::size_t>(side_ * side_));
    file.read(reinterpret_cast<char*>(sample.values.data()),
              static_cast<std::streamsize>(sample.values.size() * sizeof(int16_t)));
    if (!file) return false;
  }
  samples_ = std::move(there);
  return true;
}

void MosaicPairs::write(const std::string& path, const std::string& key) const {
  const std::string part = path + ".part";
  std::ofstream file(part, std::ios::binary);
  file.write(kSignature.data(), static_cast<std::streamsize>(kSignature.size()));
  file.write(key.data(), static_cast<std::streamsize>(key.size()));
  for (const Sample& sample : samples_) {
    const auto number = static_cast<uint32_t>(sample.degradation);
    file.write(reinterpret_cast<const char*>(&number), sizeof(number));
    file.write(reinterpret_cast<const char*>(sample.values.data()),
               static_cast<std::streamsize>(sample.values.size() * sizeof(int16_t)));
  }
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(part, path, error);
  if (file && !error) return;
  std::filesystem::remove(part, error);
  fail("{}: can't be written", path);
}

void MosaicPairs::draw(int64_t iteration, std::span<float> input, std::span<float> target) const {
  const std::vector<float> dice = draw_uniform(seed_, Stream::pairs, static_cast<uint32_t>(iteration), 3, 0, 1);
  const Sample& sample = samples_[static_cast<std::size_t>(pick(dice[0], static_cast<int64_t>(samples_.size())))];
  const int16_t* from = sample.values.data();
  // Mirrored, a mosaic of whole blocks is the one that would have come of the mirrored target.
  const auto next = [&] {
    std::vector<Plane> planes;
    for (std::size_t p = 0; p < planes_of(sample); ++p) {
      planes.emplace_back(side_, side_);
      for (float& value : planes.back().samples) value = static_cast<float>(*from++) / kStepsPerLevel;
    }
    return mirrored(planes, dice[1] < 0.5F, dice[2] < 0.5F);
  };
  const std::vector<Plane> degraded = next(), filtered = next(), clean = next();
  write_map_input(degraded, filtered, degradations_[sample.degradation]->conditions(), channels_, input);
  float* to = target.data();
  for (std::size_t p = 0; p < std::min(clean.size(), static_cast<std::size_t>(channels_)); ++p) {
    to = std::transform(clean[p].samples.begin(), clean[p].samples.end(), to, [](float v) { return v / kMapScale; });
  }
  std::fill(to, target.data() + target.size(), 0.0F);
}

}  // namespace hourglass
