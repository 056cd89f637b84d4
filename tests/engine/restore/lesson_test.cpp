// Learning from the picture itself: where the pairs come from, how a network is applied, and what it counts for.
#include "engine/restore/lesson.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/restore/consistency.h"
#include "engine/restore/dead_leaves.h"
#include "engine/restore/degrade.h"
#include "engine/restore/filter.h"
#include "engine/restore/jpeg_degradation.h"
#include "engine/restore/jpeg_pipeline.h"
#include "engine/restore/learn.h"
#include "engine/restore/noise_degradation.h"
#include "engine/restore/noise_filter.h"
#include "engine/restore/pretraining.h"
#include "engine/train/random.h"
#include "graph/error.h"
#include "models/builder.h"
#include "ops/table.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

NetworkFactory small_map(int64_t planes) {
  const ResidualUnetOptions options{
      .channels = {8, 8}, .convolutions = 1, .input_depth = map_input_depth(planes), .output_channels = planes};
  return [options](int64_t height, int64_t width) { return make_residual_unet(options, height, width); };
}

// Values of all parameters, drawn.
std::vector<std::vector<float>> drawn_weights(const NetworkFactory& make, float size) {
  const Graph graph = make(64, 64);
  std::vector<std::vector<float>> weights;
  for (const ValueId id : graph.parameters()) {
    weights.push_back(draw_uniform(1, Stream::weights, static_cast<uint32_t>(weights.size()),
                                   graph.shape(id).elements(), -size, size));
  }
  return weights;
}

double farthest(const std::vector<float>& a, const std::vector<float>& b) {
  double result = 0;
  for (std::size_t i = 0; i < a.size(); ++i) result = std::max<double>(result, std::abs(a[i] - b[i]));
  return result;
}

struct File {
  Image original, filtered;
  JpegCoefficients coefficients;
};

File compressed_leaves(int64_t width, int64_t height, int channels) {
  File file;
  file.original = DeadLeaves(8, {.width = width, .height = height, .channels = channels}).picture(0);
  const std::vector<uint8_t> bytes = encode_jpeg(file.original, {.quality = 20});
  file.coefficients = read_jpeg_coefficients(bytes);
  const Image decoded = decode_jpeg(bytes).image;
  file.filtered = filter_jpeg(decoded, decoded, JpegModel(file.coefficients));
  return file;
}

}  // namespace

TEST_CASE("dead leaves are a function of the seed, the index and the size") {
  const DeadLeavesOptions options{.width = 70, .height = 50, .channels = 3};
  const Image picture = DeadLeaves(1, options).picture(3);
  CHECK(picture.pixels == DeadLeaves(1, options).picture(3).pixels);
  CHECK(picture.pixels == draw_dead_leaves(1, options, 5)[3].pixels);
  CHECK(picture.pixels != DeadLeaves(2, options).picture(3).pixels);
  CHECK(picture.pixels != DeadLeaves(1, options).picture(4).pixels);
  const auto [least, most] = std::minmax_element(picture.pixels.begin(), picture.pixels.end());
  CHECK(*least >= 0);
  CHECK(*most <= 1);
  CHECK(*most - *least > 0.1F);
  CHECK_THROWS_AS(DeadLeaves(1, {.width = 0, .height = 5}), Error);
}

TEST_CASE("mosaics are drawn by number, and pairs are what J and the filter make of them") {
  const File file = compressed_leaves(96, 80, 1);
  const JpegModel model(file.coefficients);
  PictureGroup group{.pictures = {model.to_planes(file.original)}, .off_grid = true};
  const Degradations degradations{std::make_shared<JpegDegradation>(file.coefficients)};
  const Mosaics mosaics(degradations, {group}, {.side = 64, .piece = 32, .seed = 4});
  CHECK(mosaics.draw(5).planes[0].samples == mosaics.draw(5).planes[0].samples);
  CHECK(mosaics.draw(5).planes[0].samples != mosaics.draw(6).planes[0].samples);
  CHECK_THROWS_AS(Mosaics(degradations, {group}, {.side = 64, .piece = 24}), Error);
  CHECK_THROWS_AS(Mosaics(degradations, {}, {.side = 64, .piece = 32}), Error);

  constexpr int64_t kPixels = 64 * 64;
  constexpr double kStep = 1.01 / 128;  // twice what is lost where the samples are kept
  const std::vector<Plane> t = mosaics.draw(0).planes;
  const JpegCoefficients compressed = compress_like(t, model);
  const JpegModel again(compressed);
  const std::vector<Plane> decoded = decode(again);
  Image image = again.to_image(decoded);
  clamp(image);
  const std::vector<Plane> filtered = again.to_planes(filter_jpeg(image, image, again));
  const MapConditions conditions = degradations[0]->conditions();
  CHECK(conditions.noise == table_noise(JpegPipeline(model).coarseness()));
  const MosaicPairs pairs(mosaics, 1, 1);
  std::vector<float> z(static_cast<std::size_t>(map_input_depth(1) * kPixels)), expected(z.size()), target(kPixels);
  bool found = false;  // mirrored in one of four ways
  for (int64_t iteration = 1; iteration < 20 && !found; ++iteration) {
    pairs.draw(iteration, z, target);
    for (const bool rows : {false, true}) {
      for (const bool columns : {false, true}) {
        write_map_input(mirrored(decoded, rows, columns), mirrored(filtered, rows, columns), conditions, 1, expected);
        const bool same = farthest(z, expected) < kStep / conditions.noise;
        if (same) CHECK(std::abs(target[100] - mirrored(t, rows, columns)[0].samples[100] / kMapScale) < kStep);
        found = found || (same && rows && !columns);
      }
    }
  }
  CHECK(found);
  CHECK(z[2 * kPixels] == 1);  // cos of the first row's phase
  std::vector<float> z_again(z.size()), target_again(target.size());
  pairs.draw(3, z, target);
  pairs.draw(3, z_again, target_again);
  CHECK(z == z_again);
  CHECK(target == target_again);

  // A map of three planes sees and makes no chroma.
  const MosaicPairs wide(mosaics, 1, 3);
  std::vector<float> z_wide(static_cast<std::size_t>(map_input_depth(3) * kPixels)), target_wide(3 * kPixels, 1);
  wide.draw(3, z_wide, target_wide);
  CHECK(std::equal(target.begin(), target.end(), target_wide.begin()));
  CHECK(std::count(target_wide.begin() + kPixels, target_wide.end(), 0.0F) == 2 * kPixels);
  CHECK(std::count(z_wide.begin() + kPixels, z_wide.begin() + 3 * kPixels, 0.0F) == 2 * kPixels);

  // What is kept in a file is what is drawn anew; a file of other mosaics is replaced.
  const TemporaryFolder folder;
  const std::string keep = folder / "mosaics";
  const MosaicPairs written(mosaics, 2, 1, {}, keep);
  const std::vector<uint8_t> bytes = read_file(keep);
  int calls = 0;
  const MosaicPairs read(
      mosaics, 2, 1, [&](double) { return ++calls > 0; }, keep);
  CHECK(calls == 0);
  for (const int64_t iteration : {1, 2, 3, 4}) {
    written.draw(iteration, z, target);
    read.draw(iteration, z_again, target_again);
    CHECK(z == z_again);
  }
  const Mosaics others(degradations, {group}, {.side = 64, .piece = 32, .seed = 5});
  CHECK(others.digest() != mosaics.digest());
  // Cut short, it is none; and what was not filtered whole is not kept.
  write_file_atomically(keep, std::vector<uint8_t>(bytes.begin(), bytes.end() - 1), true);
  const MosaicPairs ended(
      mosaics, 2, 1, [](double) { return false; }, keep);
  CHECK(read_file(keep).size() == bytes.size() - 1);
  CHECK(folder.names() == std::vector<std::string>{"mosaics"});
  const MosaicPairs replaced(others, 1, 1, {}, keep);
  CHECK(read_file(keep) != bytes);
  CHECK_THROWS_AS(MosaicPairs(mosaics, 1, 1, {}, folder / "none/mosaics"), Error);

  // Ended early, there is one pair at least.
  CHECK(MosaicPairs(mosaics, 40, 1, [](double) { return false; }).size() < 40);
  CHECK(MosaicPairs(mosaics, 40, 1, [](double) { return false; }).size() >= 1);
}

TEST_CASE("pairs of gray files stand among those in colour") {
  const Degradations files = jpeg_degradations({20, 60}, 3);
  CHECK(std::count_if(files.begin(), files.end(), [](const auto& file) { return file->channels() == 1; }) == 1);
  REQUIRE(files[0]->channels() == 3);
  const MosaicOptions options{.side = 32, .piece = 32, .seed = 3};
  const Mosaics mosaics(files, {draw_leaves_group(*files[0], options, 4)}, options);
  const int64_t channels = 3, depth = map_input_depth(channels), pixels = 32 * 32;
  constexpr int64_t kCount = 12;
  const MosaicPairs pairs(mosaics, kCount, channels);
  int gray = 0;
  for (int64_t i = 0; i < 2 * kCount; ++i) {
    std::vector<float> z(static_cast<std::size_t>(depth * pixels)), target(static_cast<std::size_t>(channels * pixels));
    pairs.draw(i, z, target);
    const auto is_zero = [&](const std::vector<float>& values, int64_t channel) {
      const auto first = values.begin() + channel * pixels;
      return std::all_of(first, first + pixels, [](float v) { return v == 0; });
    };
    CHECK(!is_zero(target, 0));
    CHECK(!is_zero(z, 0));
    // Target, filtered, decoded minus filtered: all three have chroma, or none.
    CHECK(is_zero(target, 1) == is_zero(z, 1));
    CHECK(is_zero(target, 2) == is_zero(z, channels + 2));
    gray += is_zero(target, 1) ? 1 : 0;
  }
  CHECK(gray > 0);
  CHECK(gray < 2 * kCount);
  // A file in colour can't go through gray pictures.
  PictureGroup flat{.pictures = {{Plane(40, 40)}}};
  CHECK_THROWS_AS(Mosaics(files, {flat}, options), Error);
}

// An image and what a convolution with weights 0 makes of it, which it halves `halvings` times besides, and
// doubles again.
NetworkFactory image_to_image(int64_t channels, int halvings) {
  return [=](int64_t height, int64_t width) {
    Graph graph;
    GraphBuilder b(graph, op_table());
    const ValueId image = b.input("image", {DType::f32, {1, channels, height, width}});
    const Shape weights{channels, channels, 3, 3};
    const std::vector<double> zeros(static_cast<std::size_t>(weights.elements()));
    const ValueId filters =
        b.parameter("filters", {DType::f32, weights}, {}, std::make_shared<HostTensor>(DType::f32, weights, zeros));
    ValueId made = b.add("Conv", {image, filters}, {{"kernel_shape", Dims{3, 3}}, {"pads", Dims{1, 1, 1, 1}}});
    for (int i = 0; i < halvings; ++i) {
      made = b.add("AveragePool", {made}, {{"kernel_shape", Dims{2, 2}}, {"strides", Dims{2, 2}}});
    }
    for (int i = 0; i < halvings; ++i) {
      made = b.add("Resize", {made}, {{"scales", Floats{1, 1, 2, 2}}});
    }
    graph.outputs = {b.add("Add", {image, made})};
    return graph;
  };
}

TEST_CASE("a network from an image to an image is a map of the filtered planes") {
  const File file = compressed_leaves(400, 40, 3);
  const JpegModel model(file.coefficients);
  const std::vector<Plane> filtered = model.to_planes(file.filtered), degraded = model.to_planes(file.original);
  const MapConditions conditions{.strength = 10, .noise = 5};
  for (const int64_t channels : {1, 3}) {
    for (const int halvings : {0, 5}) {
      CAPTURE(channels);
      CAPTURE(halvings);
      const NetworkFactory make = as_map(image_to_image(channels, halvings), op_table(), PlaneColors::ycbcr);
      const Graph graph = make(160, 288);
      CHECK(graph.shape(graph.inputs[0]) == Shape{1, map_input_depth(channels), 160, 288});
      CHECK(graph.value(graph.parameters().at(0)).name == "filters");
      CHECK(reach_of(graph) >= 0);
      // By the weights 0 it changes nothing. Of 400x40 pixels 416x64 are given to one that halves five times.
      const auto applied = [&](const std::vector<std::vector<float>>& weights, int64_t tile) {
        return LearnedMap(make, op_table(), weights, {.tile = tile}).apply(degraded, filtered, conditions);
      };
      const std::vector<Plane> same = applied({}, 64);
      REQUIRE(same.size() == 3);
      for (std::size_t p = 0; p < 3; ++p) CHECK(farthest(same[p].samples, filtered[p].samples) < 1e-3);
      // In tiles it makes of a picture what it makes of it whole.
      const std::vector<std::vector<float>> drawn = drawn_weights(make, 0.3F);
      const std::vector<Plane> whole = applied(drawn, 1024), tiled = applied(drawn, 64);
      CHECK(farthest(whole[0].samples, filtered[0].samples) > 1);
      for (std::size_t p = 0; p < 3; ++p) CHECK(farthest(tiled[p].samples, whole[p].samples) < 1e-3);
      const Problem problem = make_lesson_problem(make, op_table(), 64);
      CHECK(problem.graph.parameters().size() == 1);
    }
  }
  // It sees R G B, whatever the planes are: one that takes its image away from white takes each channel away.
  const NetworkFactory negative = [](int64_t height, int64_t width) {
    Graph graph;
    GraphBuilder b(graph, op_table());
    const ValueId image = b.input("image", {DType::f32, {1, 3, height, width}});
    const ValueId white = b.constant({DType::f32, {1, 3, 1, 1}, {1, 0.5, 0.25}}, "white");
    graph.outputs = {b.add("Sub", {white, image})};
    return graph;
  };
  const LearnedMap map(as_map(negative, op_table(), PlaneColors::ycbcr), op_table(), {}, {});
  const Image seen = model.to_image(filtered), made = model.to_image(map.apply(degraded, filtered, conditions));
  for (int c = 0; c < 3; ++c) {
    CHECK(made.plane(c)[777] == doctest::Approx(1 / std::pow(2.0, c) - seen.plane(c)[777]).epsilon(1e-4));
  }
  // A map stays as it is; a network that makes images of something else is none.
  CHECK(as_map(small_map(3), op_table(), PlaneColors::ycbcr)(32, 32).nodes.size() == small_map(3)(32, 32).nodes.size());
  const NetworkFactory other = [](int64_t height, int64_t width) {
    return make_residual_unet({.input_depth = 3, .output_channels = 1}, height, width);
  };
  CHECK_THROWS_AS(make_lesson_problem(as_map(other, op_table(), PlaneColors::ycbcr), op_table(), 64), Error);
}

TEST_CASE("noise spoils as it says, the same for the same seed, and a network is shown no blocks") {
  const Image picture = DeadLeaves(3, {.width = 64, .height = 48, .channels = 3}).picture(1);
  constexpr double kSigma = 20;
  const NoiseDegradation noise(kSigma / 255, 3);
  const std::vector<Plane> planes = noise.to_planes(picture);
  REQUIRE(planes.size() == 3);
  CHECK(planes[1].row(7)[9] == doctest::Approx(255 * picture.plane(1)[7 * 64 + 9] - 128));
  CHECK(farthest(noise.to_image(planes).pixels, picture.pixels) < 1e-6);

  const Spoiled once = noise.spoil(planes, 5, 1);
  const std::vector<Plane> noisy = once.picture->planes();
  CHECK(noise.spoil(planes, 5, 1).picture->planes()[2].samples == noisy[2].samples);
  CHECK(noise.spoil(planes, 6, 1).picture->planes()[2].samples != noisy[2].samples);
  CHECK(noise.spoil(planes, 5, 2).picture->planes()[2].samples != noisy[2].samples);
  const double rms = 255 * std::pow(10, -psnr(noise.to_image(noisy), picture) / 20);
  CHECK(rms > 0.8 * kSigma);  // clipping takes some of it
  CHECK(rms < 1.05 * kSigma);
  CHECK(psnr(once.filtered, picture) > psnr(noise.to_image(noisy), picture) + 3);
  const Image given = noise.to_image(noisy);
  CHECK(degraded_by_noise(given, kSigma / 255)->degradation().conditions().strength == doctest::Approx(kSigma));
  CHECK(farthest(degraded_by_noise(given, kSigma / 255)->planes()[0].samples, noisy[0].samples) < 1e-4);

  const MapConditions conditions = noise.conditions();
  constexpr int64_t kPixels = 64 * 48;
  std::vector<float> z(static_cast<std::size_t>(map_input_depth(3) * kPixels));
  write_map_input(noisy, planes, conditions, 3, z);
  const auto channel = [&](int64_t c) { return z[static_cast<std::size_t>(c * kPixels + 100)]; };
  CHECK(channel(0) == doctest::Approx(planes[0].samples[100] / kMapScale));
  CHECK(channel(3) == doctest::Approx((noisy[0].samples[100] - planes[0].samples[100]) / conditions.noise));
  for (int64_t c = 6; c < 14; ++c) CHECK(channel(c) == 0);
  CHECK(channel(14) == doctest::Approx(std::log2(kSigma) / 4 - 1));
  CHECK(channel(map_noise_channel(3)) == doctest::Approx(conditions.noise / kMapScale));

  // One seed may have all strengths, in colour and gray.
  const Degradations all = noise_degradations({10, 20}, 3);
  REQUIRE(all.size() == 3);
  CHECK(all[1]->channels() == 1);
  const auto identity = [](const Degradation& degradation) {
    Digest digest;
    degradation.identify(digest);
    return digest.hex();
  };
  CHECK(identity(*all[2]) == identity(noise));
  CHECK(identity(*all[0]) != identity(noise));
  CHECK(identity(*all[0]) != identity(*all[1]));
}

TEST_CASE("a lesson takes noise out of a picture, more than the filter does") {
  const Image original = DeadLeaves(9, {.width = 160, .height = 128, .channels = 1}).picture(2);
  constexpr double kSigma = 25.0 / 255;
  const Image noisy = add_noise(original, 25, 3), filtered = filter_noise(noisy, kSigma);
  const std::unique_ptr<Degraded> photograph = degraded_by_noise(noisy, kSigma);
  const LearnOptions options{.iterations = 300, .threads = 1, .example = true};
  const Learned learned = learn_picture(filtered, *photograph, small_map(1), op_table(), options, {});
  CAPTURE(learned.weight);
  CHECK(psnr(learned.image, original) > psnr(filtered, original) + 0.1);
  REQUIRE(learned.example);
  CHECK(psnr(learned.example->after, learned.example->target) > psnr(learned.example->before, learned.example->target));
  // Tried out as it starts, sixteen times on the way and at its end.
  REQUIRE(learned.gains.size() == 18);
  CHECK(learned.gains.front().iteration == 0);
  CHECK(learned.gains[1].iteration == 18);
  CHECK(learned.gains.back().iteration == 300);
  CHECK(learned.gains.back().decibels > learned.gains.front().decibels + 0.1);
  CHECK(learned.gains.back().decibels > 0);
}

TEST_CASE("a picture without anything in it has nothing to gain") {
  Image flat(80, 80, 1);
  std::fill(flat.pixels.begin(), flat.pixels.end(), 100.0F / 255);
  const JpegCoefficients file = read_jpeg_coefficients(encode_jpeg(flat, {.quality = 10}));
  const JpegModel model(file);
  const std::unique_ptr<Degraded> photograph = degraded_jpeg(model);
  const LearnOptions options{.iterations = 2, .threads = 1, .example = true};
  const Learned learned = learn_picture(flat, *photograph, small_map(1), op_table(), options, {});
  REQUIRE(learned.gains.size() == 3);
  for (const LessonGain& gain : learned.gains) CHECK(std::isfinite(gain.decibels));
}

TEST_CASE("a map applied in tiles is the map applied to the whole") {
  for (const int64_t planes : {1, 3}) {
    CAPTURE(planes);
    const NetworkFactory make = small_map(planes);
    const auto weights = drawn_weights(make, 0.2F);
    const File file = compressed_leaves(150, 117, 3);
    const JpegModel model(file.coefficients);
    const MapConditions conditions = JpegDegradation(file.coefficients).conditions();
    const std::vector<Plane> decoded = decode(model), filtered = model.to_planes(file.filtered);
    const std::vector<Plane> whole = LearnedMap(make, op_table(), weights, {}).apply(decoded, filtered, conditions);
    for (const int64_t tile : {48, 64, 96}) {
      CAPTURE(tile);
      const std::vector<Plane> tiles =
          LearnedMap(make, op_table(), weights, {.tile = tile}).apply(decoded, filtered, conditions);
      for (std::size_t p = 0; p < 3; ++p) {
        double off = 0, change = 0;
        for (std::size_t i = 0; i < tiles[p].samples.size(); ++i) {
          off = std::max<double>(off, std::abs(tiles[p].samples[i] - whole[p].samples[i]));
          change = std::max<double>(change, std::abs(whole[p].samples[i] - filtered[p].samples[i]));
        }
        CHECK(off < 1e-3);
        // It is no identity, but for the planes that it does not make.
        if (p < static_cast<std::size_t>(planes)) {
          CHECK(change > 0.5);
        } else {
          CHECK(change == 0);
        }
      }
    }
  }
}

TEST_CASE("applying a map tells how far it is, and can be ended: what is left stays filtered") {
  const NetworkFactory make = small_map(1);
  const File file = compressed_leaves(150, 70, 1);
  const JpegModel model(file.coefficients);
  const MapConditions conditions = JpegDegradation(file.coefficients).conditions();
  const std::vector<Plane> decoded = decode(model), filtered = model.to_planes(file.filtered);
  const LearnedMap map(make, op_table(), drawn_weights(make, 0.2F), {.tile = 64});
  std::vector<double> shares;
  const std::vector<Plane> whole = map.apply(decoded, filtered, conditions, [&](double share) {
    shares.push_back(share);
    return true;
  });
  REQUIRE(shares.size() > 2);
  CHECK(std::is_sorted(shares.begin(), shares.end()));
  CHECK(shares.back() == 1);
  const std::vector<Plane> begun =
      map.apply(decoded, filtered, conditions, [&](double share) { return share < shares[1]; });
  CHECK(begun[0].row(0)[0] == whole[0].row(0)[0]);
  CHECK(begun[0].row(0)[0] != filtered[0].row(0)[0]);
  CHECK(begun[0].samples.back() == filtered[0].samples.back());
  CHECK(whole[0].samples.back() != filtered[0].samples.back());
}

TEST_CASE("learning tells of all its work, and an end while the network is applied leaves the filter's picture") {
  const File file = compressed_leaves(96, 96, 1);
  const JpegModel model(file.coefficients);
  const std::unique_ptr<Degraded> photograph = degraded_jpeg(model);
  const LearnOptions options{.iterations = 4, .threads = 1};
  const auto learn_until = [&](double end, std::vector<double>& shares) {
    return learn_picture(file.filtered, *photograph, small_map(1), op_table(), options, [&](double share) {
      shares.push_back(share);
      return share < end;
    });
  };
  std::vector<double> all, some;
  const Learned learned = learn_until(2, all);
  CHECK(std::is_sorted(all.begin(), all.end()));
  CHECK(all.back() == 1);
  if (learned.weight > 0) {
    CHECK(learn_until(0.95, some).weight == 0);
    CHECK(learn_until(0.95, some).image.pixels == file.filtered.pixels);
  }
  // Nothing of the lesson is lost: what was put away at its end goes on with the picture alone.
  Archive whole;
  LearnOptions kept = options;
  kept.example = true;
  kept.on_step = [&](const LearnStep& step) {
    if (step.iteration == options.iterations) {
      Archive archive;
      step.save(archive);
      whole = Archive::decode(archive.encode());
    }
  };
  const Learned left = learn_picture(file.filtered, *photograph, small_map(1), op_table(), kept,
                                     [](double share) { return share < 0.95; });
  CHECK(left.iterations == options.iterations);
  LearnOptions later = options;
  later.resumed = &whole;
  const Learned resumed = learn_picture(file.filtered, *photograph, small_map(1), op_table(), later, {});
  CHECK(resumed.image.pixels == learned.image.pixels);
  CHECK(resumed.errors == learned.errors);
  CHECK(learned.gains.empty());
  CHECK(left.gains.size() == 5);
  CHECK(resumed.gains.size() == 5);
  // An end in the lesson is obeyed at once: what it has taught so far is applied.
  some.clear();
  const Learned ended = learn_until(0.5, some);
  CHECK(ended.iterations > 0);
  CHECK(ended.iterations < options.iterations);
  // Unless nobody wants a part of it.
  LearnOptions all_or_nothing = options;
  all_or_nothing.partial = false;
  const Learned nothing = learn_picture(file.filtered, *photograph, small_map(1), op_table(), all_or_nothing,
                                        [](double share) { return share < 0.5; });
  CHECK(nothing.weight == 0);
  CHECK(nothing.image.pixels == file.filtered.pixels);
}

TEST_CASE("with its symmetries, a map treats mirror images alike, and transposed ones where chroma allows it") {
  const NetworkFactory make = small_map(3);
  const auto weights = drawn_weights(make, 0.2F);
  const File file = compressed_leaves(96, 80, 3);
  const JpegModel model(file.coefficients);
  const MapConditions conditions = JpegDegradation(file.coefficients).conditions();
  const std::vector<Plane> decoded = decode(model), filtered = model.to_planes(file.filtered);
  for (const bool symmetries : {false, true}) {
    const LearnedMap map(make, op_table(), weights, {.symmetries = symmetries});
    const Plane straight = map.apply(decoded, filtered, conditions)[0];
    const Plane turned = mirrored(
        map.apply(mirrored(decoded, true, false), mirrored(filtered, true, false), conditions), true, false)[0];
    CHECK((farthest(straight.samples, turned.samples) < 1e-3) == symmetries);
    const auto transposes = [&](const MapConditions& of) {
      const Plane once = map.apply(decoded, filtered, of)[0];
      const Plane back = transposed(map.apply(transposed(decoded), transposed(filtered), of))[0];
      return farthest(once.samples, back.samples) < 1e-3;
    };
    CHECK(transposes(conditions) == symmetries);
    // Chroma that is coarser in one direction than in the other is not the same when it is transposed.
    JpegCoefficients wide = file.coefficients;
    REQUIRE(wide.max_v_sampling == 2);
    wide.max_v_sampling = wide.components[0].v_sampling = 1;
    CHECK(!JpegDegradation(wide).conditions().transposes);
    CHECK(!transposes(JpegDegradation(wide).conditions()));
  }
}

TEST_CASE("a map with its symmetries tells of all its work, and an end in its second half leaves no seam") {
  const NetworkFactory make = small_map(1);
  const File file = compressed_leaves(150, 70, 1);
  const JpegModel model(file.coefficients);
  const MapConditions conditions = JpegDegradation(file.coefficients).conditions();
  const std::vector<Plane> decoded = decode(model), filtered = model.to_planes(file.filtered);
  const LearnedMap map(make, op_table(), drawn_weights(make, 0.2F), {.tile = 64, .symmetries = true});
  std::vector<double> shares;
  const auto apply_until = [&](double end) {
    shares.clear();
    return map
        .apply(decoded, filtered, conditions,
               [&](double share) {
                 shares.push_back(share);
                 return share < end;
               })[0]
        .samples;
  };
  const std::vector<float> whole = apply_until(2);
  CHECK(std::is_sorted(shares.begin(), shares.end()));
  CHECK(shares.back() == 1);
  const std::vector<float> early = apply_until(0.6), late = apply_until(0.9);
  CHECK(shares.back() < 1);
  CHECK(early == late);
  CHECK(early != whole);
}

TEST_CASE("what is in the cells already is not moved far; the filter behind the network keeps it there") {
  const File file = compressed_leaves(96, 80, 3);
  const JpegModel model(file.coefficients);
  const std::unique_ptr<Degraded> photograph = degraded_jpeg(model);
  const std::vector<Plane> filtered = model.to_planes(file.filtered), original = model.to_planes(file.original);
  const Image blended = model.to_image(blend(filtered, original, 1, *photograph));
  std::vector<Plane> as_the_filter = original;
  to_posterior_mean(as_the_filter, model, kFilterSigmaFactor);
  CHECK(psnr(blended, file.original) > psnr(model.to_image(as_the_filter), file.original) + 1);

  // Noise that the cells allow is taken out.
  std::vector<Plane> noisy = original;
  for (std::size_t p = 0; p < noisy.size(); ++p) {
    std::vector<float>& samples = noisy[p].samples;
    const std::vector<float> noise =
        draw_normal(3, Stream::degradation, static_cast<uint32_t>(p), static_cast<int64_t>(samples.size()), 0, 4);
    std::transform(samples.begin(), samples.end(), noise.begin(), samples.begin(), std::plus<>());
  }
  const Image before = model.to_image(blend(filtered, noisy, 1, *photograph)), after = photograph->refine(before, {});
  CHECK(psnr(after, file.original) > psnr(before, file.original) + 0.1);
  CHECK(check_cells(after, model).share() > 0.999);
  CHECK(farthest(photograph->refine(before, [](double) { return false; }).pixels, before.pixels) < 1e-5);
}

TEST_CASE("a map says what it needs") {
  const File file = compressed_leaves(40, 40, 1);
  const JpegModel model(file.coefficients);
  const std::unique_ptr<Degraded> photograph = degraded_jpeg(model);
  const MapConditions conditions = JpegDegradation(file.coefficients).conditions();
  const std::vector<Plane> decoded = decode(model);
  const NetworkFactory wrong = [](int64_t height, int64_t width) {
    return make_residual_unet({.channels = {8}, .input_depth = 7, .output_channels = 1}, height, width);
  };
  CHECK_THROWS_AS(LearnedMap(wrong, op_table(), {}, {}).apply(decoded, decoded, conditions), Error);
  CHECK_THROWS_AS(LearnedMap(small_map(1), op_table(), {}, {}).apply(decoded, decoded, conditions),
                  Error);  // no weights
  const LearnedMap right(small_map(1), op_table(), drawn_weights(small_map(1), 0.2F), {});
  CHECK_THROWS_AS(apply_map(right, *photograph, {Plane(40, 32)}), Error);
  CHECK_THROWS_AS(Lesson(*photograph, file.filtered, wrong, op_table(), LessonOptions{}), Error);
  // 1 + 1 + 2 + (2 + 1) + 1 + 1, in the order of the layers.
  CHECK(reach_of(small_map(1)(64, 64)) == 9);
}

TEST_CASE("a network that is of no use does not count, one that knows the original does") {
  const File file = compressed_leaves(96, 80, 1);
  const JpegModel model(file.coefficients);
  const std::unique_ptr<Degraded> photograph = degraded_jpeg(model);
  const NetworkFactory make = small_map(1);
  const LearnedMap useless(make, op_table(), drawn_weights(make, 5), {});
  CHECK(Bootstrap(file.filtered, photograph->degradation()).weight(useless) == 0);
  const std::vector<Plane> filtered = model.to_planes(file.filtered), original = model.to_planes(file.original);
  CHECK(blend(filtered, original, 0, *photograph)[0].samples == filtered[0].samples);
  CHECK(psnr(model.to_image(blend(filtered, original, 1, *photograph)), file.original) >
        psnr(file.filtered, file.original) + 1);
}

TEST_CASE("a lesson that is taken up again goes on to the same bytes") {
  const File file = compressed_leaves(80, 64, 1);
  const JpegModel model(file.coefficients);
  const std::unique_ptr<Degraded> photograph = degraded_jpeg(model);
  LessonOptions options;
  options.iterations = 6;
  options.mosaic = {.side = 64, .piece = 32, .seed = 2};
  options.leaves_share = 0.3;
  options.leaves = 3;
  options.mosaics = 3;
  options.threads = 2;
  Lesson whole(*photograph, file.filtered, small_map(1), op_table(), options);
  while (!whole.done()) CHECK(std::isfinite(whole.step()));
  Lesson before(*photograph, file.filtered, small_map(1), op_table(), options);
  for (int i = 0; i < 3; ++i) before.step();
  Archive archive;
  before.save(archive);
  Lesson after(*photograph, file.filtered, small_map(1), op_table(), options);
  after.load(Archive::decode(archive.encode()));
  CHECK(after.iteration() == 3);
  while (!after.done()) after.step();
  CHECK(after.fit().averaged_weights() == whole.fit().averaged_weights());
}

}  // namespace hourglass::test
