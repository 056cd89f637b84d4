// Restoration: what is kept, when it stops, and that a pause leaves no trace.
#include "engine/restore/restoration.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "engine/image/jpeg.h"
#include "engine/restore/denoise_task.h"
#include "engine/restore/energy.h"
#include "engine/restore/jpeg_task.h"
#include "engine/restore/pixel_psnr.h"
#include "graph/error.h"
#include "models/builder.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

// The identity: fits an image to a wave, and hands back the average as it is. Its discrepancy falls below 1 when asked
// for the given time.
class Wave : public Task {
 public:
  explicit Wave(int calls_until_stop = 0, double phase = 0) : calls_(calls_until_stop), target_(16, 8, 1) {
    for (std::size_t i = 0; i < target_.pixels.size(); ++i)
      target_.pixels[i] = static_cast<float>(0.5 + 0.4 * std::sin(static_cast<double>(i) / 3 + phase));
  }
  [[nodiscard]] const Image& baseline() const override { return target_; }
  ValueId energy(GraphBuilder& builder, ValueId image) const override { return mse_energy(builder, image, target_); }
  [[nodiscard]] double psnr_degraded(const float* image) const override { return pixel_psnr(image, target_); }
  [[nodiscard]] Discrepancy discrepancy() const override {
    if (calls_ == 0) return {};
    return [this, left = calls_](std::span<const float>) mutable { return --left > 0 ? 1.5 : 0.9; };
  }
  [[nodiscard]] Finished finish(Image average, int, const Advance&) const override {
    return {.image = std::move(average), .cells = {}};
  }

 private:
  int calls_;
  Image target_;
};

Network network(int64_t channels = 4) {
  const auto make = [channels](int64_t height, int64_t width) {
    return make_skip({.channels = {channels}, .skips = {0}, .input_depth = 2, .output_channels = 1}, height, width);
  };
  return bind_network(make, op_table(), Wave().baseline());
}

RestoreOptions options_of(int64_t iterations, int runs = 1) {
  RestoreOptions options;
  options.iterations = iterations;
  options.runs = runs;
  options.fit.threads = 1;
  return options;
}

void advance(Restoration& restoration, int64_t steps = 1 << 30) {
  for (int64_t i = 0; i < steps && !restoration.done(); ++i) restoration.round();
}

std::string error_of_load(Restoration& restoration, const Archive& archive) {
  try {
    restoration.load(archive);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a run's share: a seed of its own, and its part of the threads") {
  RestoreOptions options = options_of(10, 3);
  options.fit.seed = 5;
  options.fit.threads = 5;
  CHECK(share_of(options, 0).seed == 5);
  CHECK(share_of(options, 2).seed == 7);
  CHECK(share_of(options, 2).threads == 5);
  options.at_once = 2;
  CHECK(share_of(options, 1).threads == 2);
  options.at_once = 8;  // more than there are runs
  CHECK(lanes_of(options) == 3);
  CHECK(share_of(options, 0).threads == 1);
  options.fit.threads = 2;
  CHECK(share_of(options, 0).threads == 1);
}

TEST_CASE("put away and taken up at any time, a restoration ends with the same bytes") {
  const Wave task;
  for (const StoppingKind kind : {StoppingKind::wmv, StoppingKind::none}) {
    RestoreOptions options = options_of(30, 3);
    options.stopping = {.kind = kind, .start = 5, .patience = 10, .window = 4};
    Restoration straight(task, network(), op_table(), options);
    advance(straight);
    const RestoreResult expected = straight.result();
    CHECK(!expected.interrupted);
    // In a run, at its end, in the next one, and when all is done.
    for (const int64_t pause : {1, 17, 30, 31, 44, 90}) {
      CAPTURE(pause);
      Restoration first(task, network(), op_table(), options);
      advance(first, pause);
      Archive archive;
      first.save(archive);
      Restoration second(task, network(), op_table(), options);
      second.load(Archive::decode(archive.encode()));
      const bool same_now = second.result().finished.image.pixels == first.result().finished.image.pixels;
      CHECK(same_now);
      if (!first.done()) CHECK(second.first().stopping_text() == first.first().stopping_text());
      advance(second);
      const RestoreResult result = second.result();
      CHECK(result.iterations == expected.iterations);
      const bool same = result.finished.image.pixels == expected.finished.image.pixels;
      CHECK(same);
      const RestoreResult last = second.finish();
      CHECK(last.iterations == expected.iterations);
      const bool same_without_fits = last.finished.image.pixels == expected.finished.image.pixels;
      CHECK(same_without_fits);
    }
  }
}

TEST_CASE("runs side by side are the runs one after another") {
  const Wave task;
  RestoreOptions options = options_of(30, 5);
  options.stopping = {.kind = StoppingKind::wmv, .start = 5, .patience = 10, .window = 4};
  std::map<int, std::vector<double>> alone;
  Restoration one(task, network(), op_table(), options);
  while (!one.done()) {
    for (const RestoreStep& step : one.round()) alone[step.run].push_back(step.loss);
  }
  options.at_once = 3;
  options.fit.threads = 3;  // one for each: the same numbers
  std::map<int, std::vector<double>> beside;
  Restoration three(task, network(), op_table(), options);
  int64_t total = 0;
  std::size_t most = 0;
  while (!three.done()) {
    const std::vector<RestoreStep> steps = three.round();
    most = std::max(most, steps.size());
    for (const RestoreStep& step : steps) {
      beside[step.run].push_back(step.loss);
      CHECK(step.iteration == static_cast<int64_t>(beside[step.run].size()));
      CHECK(step.total == ++total);
      CHECK(step.average.size() == task.baseline().pixels.size());
    }
    CHECK(total + three.iterations_left() <= 5 * 30);
  }
  CHECK(most == 3);
  CHECK(alone.size() == 5);
  CHECK(alone == beside);
  CHECK(three.iterations_left() == 0);
  CHECK(three.result().iterations == one.result().iterations);
  // Added in another order.
  const std::vector<float>&a = one.average().pixels, b = three.average().pixels;
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-6));
}

TEST_CASE("runs side by side, put away and taken up") {
  const Wave task;
  RestoreOptions options = options_of(20, 4);
  options.at_once = 3;
  options.fit.threads = 3;
  Restoration straight(task, network(), op_table(), options);
  advance(straight);
  // With three in hand, at the end of the three, with the last one beside two lanes at rest, and at the end.
  for (const int64_t rounds : {1, 20, 25, 40}) {
    CAPTURE(rounds);
    Restoration first(task, network(), op_table(), options);
    advance(first, rounds);
    Archive archive;
    first.save(archive);
    Restoration second(task, network(), op_table(), options);
    second.load(Archive::decode(archive.encode()));
    CHECK(second.iterations_left() == first.iterations_left());
    advance(second);
    const bool same = second.result().finished.image.pixels == straight.result().finished.image.pixels;
    CHECK(same);
    CHECK(second.result().iterations == 80);
    options.at_once = 2;
    Restoration narrow(task, network(), op_table(), options);
    CHECK(error_of_load(narrow, archive).find("it has more runs in hand than 2") == 0);
    options.at_once = 3;
  }
}

TEST_CASE("a picture that is fitted in tiles is made of the fits of each tile, all from one seed") {
  Image picture(300, 170, 1);
  for (std::size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = static_cast<float>(i % 41) / 41;
  const std::unique_ptr<Task> task = make_denoise_task(picture, 0.1);
  const NetworkOf of_tile = [](const Image& tile) {
    const auto make = [](int64_t height, int64_t width) {
      return make_skip({.channels = {4}, .skips = {0}, .input_depth = 2, .output_channels = 1}, height, width);
    };
    return bind_network(make, op_table(), tile);
  };
  RestoreOptions options = options_of(3);
  options.fit.seed = 4;
  options.original = picture;
  options.tile_side = kLeastTile;
  const TileGrid tiles = tiles_of(*task, kLeastTile);
  REQUIRE(tiles.count() == 6);
  options.runs = tiles.count();
  const auto whole_network = [&] { return of_tile(task->tile(tiles.rectangle(tiles.largest()))->baseline()); };

  std::vector<float> sum(picture.pixels.size()), cover(picture.pixels.size());
  Image begun = picture;  // when the first tile has ended, and the second has not
  for (int i = 0; i < tiles.count(); ++i) {
    const Rectangle at = tiles.rectangle(i);
    const std::unique_ptr<Task> tile = task->tile(at);
    CHECK(tile->baseline().width == at.width);
    CHECK(tile->baseline().pixels[5] == picture.at(0, at.y, at.x + 5));
    RestoreOptions alone = options_of(3);
    alone.fit.seed = 4;
    Restoration fit(*tile, of_tile(tile->baseline()), op_table(), alone);
    advance(fit);
    tiles.add(i, fit.average().pixels, sum, cover);
    for (std::size_t k = 0; i == 0 && k < sum.size(); ++k) {
      begun.pixels[k] = sum[k] + (1 - cover[k]) * picture.pixels[k];
    }
  }
  for (const float weight : cover) CHECK(weight == doctest::Approx(1));

  Restoration in_tiles(*task, whole_network(), op_table(), options, of_tile);
  advance(in_tiles, 4);
  CHECK(in_tiles.runs_ended() == 1);
  CHECK(in_tiles.average().pixels == begun.pixels);
  Archive archive;
  in_tiles.save(archive);
  Restoration later(*task, whole_network(), op_table(), options, of_tile);
  later.load(Archive::decode(archive.encode()));
  for (Restoration* restoration : {&in_tiles, &later}) {
    while (!restoration->done()) {
      for (const RestoreStep& step : restoration->round()) {
        CHECK(step.average.empty());
        CHECK(step.psnr_original == step.psnr_degraded);  // here the input is the original
      }
    }
    const Image made = restoration->average();
    double farthest = 0;
    for (std::size_t k = 0; k < sum.size(); ++k) {
      farthest = std::max(farthest, static_cast<double>(std::abs(made.pixels[k] - sum[k])));
    }
    CHECK(farthest < 1e-6);
  }
  CHECK(later.average().pixels == in_tiles.average().pixels);

  // Side by side they are the same, within the order of the sums.
  options.at_once = 2;
  Restoration beside(*task, whole_network(), op_table(), options, of_tile);
  advance(beside);
  double apart = 0;
  const Image made_beside = beside.average();
  for (std::size_t k = 0; k < sum.size(); ++k) {
    apart = std::max(apart, static_cast<double>(std::abs(made_beside.pixels[k] - sum[k])));
  }
  CHECK(apart < 1e-6);
  for (int i = 0; i < tiles.count(); ++i) {
    CHECK(tiles.rectangle(i).width <= tiles.rectangle(tiles.largest()).width);
    CHECK(tiles.rectangle(i).height <= tiles.rectangle(tiles.largest()).height);
  }

  const Wave uncut;
  CHECK_THROWS_WITH_AS(tiles_of(uncut, kLeastTile), "this image can't be fitted in tiles", Error);
  CHECK_THROWS_AS(tiles_of(*task, kLeastTile - 1), Error);
}

TEST_CASE("a tile of a JPEG is a JPEG of its own") {
  RestoreInput input;
  input.degraded.image = Image(203, 150, 3);
  for (std::size_t i = 0; i < input.degraded.image.pixels.size(); ++i) {
    input.degraded.image.pixels[i] = static_cast<float>(i % 97) / 97;
  }
  const std::vector<uint8_t> bytes = encode_jpeg(input.degraded.image, {.quality = 30});
  input.degraded.image = decode_jpeg(bytes).image;
  input.jpeg = read_jpeg_coefficients(bytes);
  const std::unique_ptr<Task> task = make_jpeg_task(input, {.cell_weight = 1});
  CHECK(task->tile_unit() == 16);
  const std::unique_ptr<Task> tile = task->tile({.x = 128, .y = 32, .width = 75, .height = 118});
  // The original's pixels lie in its cells, up to the border where chroma is filtered with what lies beyond.
  CHECK(tile->discrepancy()(tile->baseline().pixels) ==
        doctest::Approx(task->discrepancy()(input.degraded.image.pixels)).epsilon(0.3));
  const std::unique_ptr<Task> all = task->tile({.x = 0, .y = 0, .width = 203, .height = 150});
  CHECK(all->discrepancy()(input.degraded.image.pixels) == task->discrepancy()(input.degraded.image.pixels));
}

TEST_CASE("interrupted before any run has ended, the result is the mean of those in hand") {
  const Wave task;
  RestoreOptions options = options_of(50, 2);
  options.at_once = 2;
  options.fit.threads = 2;
  Restoration both(task, network(), op_table(), options);
  std::vector<std::vector<float>> averages;
  for (int i = 0; i < 10; ++i) {
    averages.clear();
    for (const RestoreStep& step : both.round()) averages.emplace_back(step.average.begin(), step.average.end());
  }
  REQUIRE(averages.size() == 2);
  const Image mean = both.average();
  for (std::size_t i = 0; i < mean.pixels.size(); ++i) {
    CHECK(mean.pixels[i] == doctest::Approx((averages[0][i] + averages[1][i]) / 2));
  }
  CHECK(both.result().interrupted);
}

TEST_CASE("the memory that runs need: what each holds, and once what the program holds besides") {
  const Wave task;
  RestoreOptions options = options_of(10, 2);
  options.fit.threads = 2;
  const auto needed = [&](int at_once, std::size_t besides) {
    options.at_once = at_once;
    options.fit.memory_besides = besides;
    return needed_bytes(make_problem(task, network(), op_table()), op_table(), options);
  };
  constexpr std::size_t kBesides = 1000000;
  for (const int at_once : {1, 2}) CHECK(needed(at_once, kBesides) == needed(at_once, 0) + kBesides);
  CHECK(needed(2, 0) > needed(1, 0) * 3 / 2);
  for (const int at_once : {1, 2}) {
    options.fit.memory_limit = needed(at_once, kBesides);
    Restoration restoration(task, network(), op_table(), options);
    restoration.round();
    --options.fit.memory_limit;
    CHECK_THROWS_WITH_AS(Restoration(task, network(), op_table(), options), doctest::Contains("the fit needs "), Error);
  }
}

TEST_CASE("what goes wrong in one of the runs side by side is told") {
  const Wave task;
  RestoreOptions wild = options_of(300, 2);
  wild.at_once = wild.fit.threads = 2;
  wild.schedule = Schedule::constant;
  wild.fit.adam.learning_rate = 1e30;
  wild.stopping = {.kind = StoppingKind::wmv, .start = 1000};  // there is nothing to keep
  Restoration restoration(task, network(), op_table(), wild);
  CHECK_THROWS_WITH_AS(advance(restoration), doctest::Contains("try a lower --learning-rate"), Error);
}

TEST_CASE("the rule decides when a run ends and what it leaves") {
  const RestoreOptions options = options_of(500, 2);
  // Asked at every fifth iteration.
  const Wave stops(8);
  Restoration restoration(stops, network(), op_table(), options);
  std::vector<float> average;
  for (int i = 1; i <= 40; ++i) {
    const RestoreStep step = restoration.round().at(0);
    CHECK(step.stopped == (i == 40));
    CHECK(step.run == 0);
    average = restoration.average().pixels;
  }
  const bool last_average = restoration.result().finished.image.pixels == average;
  CHECK(last_average);
  CHECK(restoration.result().interrupted);
  const RestoreStep next = restoration.round().at(0);
  CHECK(next.run == 1);
  CHECK(next.iteration == 1);
  CHECK(next.total == 41);
  // A run that has only begun does not count.
  const bool unchanged = restoration.result().finished.image.pixels == average;
  CHECK(unchanged);
  advance(restoration);
  CHECK(restoration.result().iterations == 80);
  CHECK(!restoration.result().interrupted);

  // A minimum long ago: its average is what is left.
  RestoreOptions early = options_of(60);
  early.schedule = Schedule::constant;
  early.stopping = {.kind = StoppingKind::emv, .start = 10, .patience = 1000};
  const Wave task;
  Restoration kept(task, network(), op_table(), early);
  while (!kept.done()) {
    if (kept.round().at(0).is_best) average = kept.first().fit().average();
  }
  const bool best = kept.result().finished.image.pixels == average;
  CHECK(best);
}

TEST_CASE("a fit that comes apart is taken back, and said") {
  RestoreOptions wild = options_of(300);
  wild.schedule = Schedule::constant;
  wild.fit.adam.learning_rate = 1e30;
  const Wave task;
  Restoration restoration(task, network(), op_table(), wild);
  std::string notes, error;
  try {
    while (!restoration.done()) notes += restoration.round().at(0).note + "\n";
  } catch (const Error& e) {
    error = e.what();
  }
  CAPTURE(notes);
  CHECK(notes.find("the fit came apart") != std::string::npos);
  CHECK(notes.find("taken back to an earlier state, learning rate now 5e+29") != std::string::npos);
  // Either it has nothing to keep, or it ends with what it has.
  const bool ended = error.find("try a lower --learning-rate") != std::string::npos ||
                     notes.find("this run ends with the best state") != std::string::npos;
  CHECK(ended);
}

TEST_CASE("a fit that ends without finite weights or a finite loss is an error") {
  // The first step makes all weights infinite; the second's loss is no number, and takes the fit back to its start.
  for (const int64_t iterations : {1, 2, 3, 4, 30}) {
    CAPTURE(iterations);
    RestoreOptions wild = options_of(iterations);
    wild.schedule = Schedule::constant;
    wild.fit.adam.learning_rate = 1e39;
    const Wave task;
    Restoration restoration(task, network(), op_table(), wild);
    CHECK_THROWS_WITH_AS(advance(restoration), doctest::Contains("the fit diverged"), Error);
  }
}

TEST_CASE("a state of another network, another input or another size is refused") {
  const RestoreOptions options = options_of(10);
  const Wave task;
  Restoration restoration(task, network(), op_table(), options);
  advance(restoration, 3);
  Archive archive;
  restoration.save(archive);
  Restoration other_network(task, network(6), op_table(), options);
  CHECK(error_of_load(other_network, archive).find("its network is another one") == 0);
  const Wave shifted(0, 1e-6);
  Restoration other_input(shifted, network(), op_table(), options);
  CHECK(error_of_load(other_input, archive).find("what it was fitted to is not what is given now") == 0);
  CHECK(error_of_load(other_input, Archive()) == "it has no 'network_sha256'");
  CHECK(error_of_load(restoration, archive) == "a run has begun already: another one can't be taken up in its place");
}

TEST_CASE("a state that contradicts itself is refused, whatever is wrong in it") {
  RestoreOptions options = options_of(40, 2);
  const Wave task;
  for (const StoppingKind kind : {StoppingKind::wmv, StoppingKind::emv}) {
    options.stopping = {.kind = kind, .window = 10};
    Restoration restoration(task, network(), op_table(), options);
    advance(restoration, 53);
    Archive state;
    restoration.save(state);
    const Archive good = Archive::decode(state.encode());
    const auto refused = [&](const auto& change) {
      Archive archive = good;
      change(archive);
      Restoration other(task, network(), op_table(), options);
      try {
        other.load(archive);
        advance(other);
      } catch (const Error&) {
        return true;
      }
      return false;
    };
    CHECK(!refused([](Archive&) {}));
    constexpr int64_t kFar = int64_t{1} << 62;
    for (const std::string name : {"begun", "ended", "total", "lanes/0/index", "lanes/0/iteration",
                                   "lanes/0/fit/iteration", "lanes/0/fit/adam_steps"}) {
      CAPTURE(name);
      for (const int64_t value : {-kFar, int64_t{-1}, kFar}) {
        CHECK(refused([&](Archive& archive) { archive.put(name, value); }));
      }
    }
    CHECK(refused([](Archive& archive) { archive.put("begun", int64_t{1}); }));
    CHECK(refused([](Archive& archive) { archive.put("ended", int64_t{0}); }));
    for (const std::string name : {"sum", "lanes/0/best", "lanes/0/fit/average", "lanes/0/fit/weights/0"}) {
      CAPTURE(name);
      CHECK(refused([&](Archive& archive) { archive.put(name, std::vector<float>(3)); }));
    }
    const bool windowed = kind == StoppingKind::wmv;
    const std::string values = windowed ? "lanes/0/stopping/window_sums" : "lanes/0/stopping/mean";
    for (const std::size_t count : {std::size_t{10}, std::size_t{20}, std::size_t{10000}}) {
      CHECK(refused([&](Archive& archive) { archive.put(values, std::vector<double>(count)); }));
    }
    if (windowed) {
      CHECK(refused([](Archive& archive) { archive.put("lanes/0/stopping/window_count", int64_t{-5}); }));
      CHECK(refused([](Archive& archive) { archive.put("lanes/0/stopping/window_count", kFar); }));
    }
  }
}

}  // namespace hourglass::test
