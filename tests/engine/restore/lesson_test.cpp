// Learning from the picture itself: where the pairs come from, how a network is applied, and what it counts for.
#include "engine/restore/lesson.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "engine/image/metrics.h"
#include "engine/restore/dead_leaves.h"
#include "engine/restore/filter.h"
#include "engine/train/random.h"
#include "graph/error.h"
#include "models/builder.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

NetworkFactory small_map(std::size_t planes) {
  const ResidualUnetOptions options{.channels = {8, 8},
                                    .convolutions = 1,
                                    .input_depth = map_input_depth(planes, false),
                                    .output_channels = static_cast<int64_t>(planes)};
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

TEST_CASE("mosaics are drawn by number, and are what J makes of their targets") {
  const File file = compressed_leaves(96, 80, 1);
  const JpegModel model(file.coefficients);
  const JpegPipeline pipeline(model);
  PictureGroup group{.pictures = {model.to_planes(file.original)}, .off_grid = true};
  const MosaicPairs pairs({pipeline}, {group}, {.side = 64, .piece = 32, .seed = 4});
  std::vector<float> z(6 * 64 * 64), again(z.size()), target(64 * 64), target_again(target.size());
  pairs.draw(5, z, target);
  pairs.draw(6, again, target_again);
  CHECK(again != z);
  pairs.draw(5, again, target_again);
  CHECK(again == z);
  CHECK(target_again == target);
  const MosaicPairs::Mosaic mosaic = pairs.mosaic(5);
  std::vector<float> expected(z.size());
  write_map_input(pipeline.apply(mosaic.target), {}, pipeline, expected);
  CHECK(z == expected);
  CHECK(target[100] == mosaic.target[0].samples[100] / kMapScale);
  CHECK(z[4096] == 1);  // cos of the first row's phase
  CHECK_THROWS_AS(MosaicPairs({pipeline}, {group}, {.side = 64, .piece = 24}), Error);
  CHECK_THROWS_AS(MosaicPairs({pipeline}, {}, {.side = 64, .piece = 32}), Error);

  // Filtered beforehand, each is a pair of the same kind.
  const FilteredPairs filtered(pairs, prefilter, 2, 9);
  std::vector<float> wide(7 * 64 * 64), wide_again(wide.size());
  filtered.draw(1, wide, target);
  filtered.draw(1, wide_again, target_again);
  CHECK(wide == wide_again);
  CHECK(target == target_again);
}

TEST_CASE("a map applied in tiles is the map applied to the whole") {
  for (const std::size_t planes : {1, 3}) {
    CAPTURE(planes);
    const NetworkFactory make = small_map(planes);
    const auto weights = drawn_weights(make, 0.2F);
    const File file = compressed_leaves(150, 117, planes == 1 ? 1 : 3);
    const JpegModel model(file.coefficients);
    const JpegPipeline pipeline(model);
    const std::vector<Plane> decoded = decode(model);
    const std::vector<Plane> whole = LearnedMap(make, op_table(), weights, {}).apply(decoded, {}, pipeline);
    for (const int64_t tile : {48, 64, 96}) {
      CAPTURE(tile);
      const std::vector<Plane> tiles =
          LearnedMap(make, op_table(), weights, {.tile = tile}).apply(decoded, {}, pipeline);
      double farthest = 0, change = 0;
      for (std::size_t p = 0; p < planes; ++p) {
        for (std::size_t i = 0; i < tiles[p].samples.size(); ++i) {
          farthest = std::max<double>(farthest, std::abs(tiles[p].samples[i] - whole[p].samples[i]));
          change = std::max<double>(change, std::abs(whole[p].samples[i] - decoded[p].samples[i]));
        }
      }
      CHECK(farthest < 1e-3);
      CHECK(change > 1);  // it is no identity
    }
  }
}

TEST_CASE("a map says what it needs") {
  const File file = compressed_leaves(40, 40, 1);
  const JpegModel model(file.coefficients);
  const JpegPipeline pipeline(model);
  CHECK_THROWS_AS(LearnedMap(small_map(3), op_table(), {}, {}).apply(decode(model), {}, pipeline), Error);
  CHECK_THROWS_AS(LearnedMap(small_map(1), op_table(), {}, {}).apply(decode(model), {}, pipeline), Error);
  CHECK_THROWS_AS(Lesson(model, file.filtered, small_map(3), op_table(), {}), Error);
  // 1 + 1 + 2 + (2 + 1) + 1 + 1, in the order of the layers.
  CHECK(reach_of(small_map(1)(64, 64)) == 9);
}

TEST_CASE("a network that is of no use does not count, one that knows the original does") {
  const File file = compressed_leaves(96, 80, 1);
  const JpegModel model(file.coefficients);
  const NetworkFactory make = small_map(1);
  const LearnedMap useless(make, op_table(), drawn_weights(make, 0.5F), {});
  CHECK(find_blend_weight(useless, file.filtered, model, false, false) == 0);
  CHECK(blend(file.filtered, file.original, 0, model).pixels == file.filtered.pixels);
  CHECK(psnr(blend(file.filtered, file.original, 1, model), file.original) > psnr(file.filtered, file.original) + 1);
}

TEST_CASE("a lesson that is taken up again goes on to the same bytes") {
  const File file = compressed_leaves(80, 64, 1);
  const JpegModel model(file.coefficients);
  LessonOptions options;
  options.iterations = 6;
  options.mosaic = {.side = 64, .piece = 32, .seed = 2};
  options.leaves_share = 0.3;
  options.leaves = 3;
  options.threads = 2;
  Lesson whole(model, file.filtered, small_map(1), op_table(), options);
  while (!whole.done()) CHECK(std::isfinite(whole.step()));
  Lesson before(model, file.filtered, small_map(1), op_table(), options);
  for (int i = 0; i < 3; ++i) before.step();
  Archive archive;
  before.save(archive);
  Lesson after(model, file.filtered, small_map(1), op_table(), options);
  after.load(archive);
  CHECK(after.iteration() == 3);
  while (!after.done()) after.step();
  CHECK(after.fit().averaged_weights() == whole.fit().averaged_weights());
  const Lesson::Result result = whole.result();
  CHECK(result.weight >= 0);
  CHECK(result.weight <= 1);
  CHECK(result.image.pixels.size() == file.filtered.pixels.size());
}

}  // namespace hourglass::test
