// Restoration: what is kept, when it stops, and that a pause leaves no trace.
#include "engine/restore/restoration.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/restore/energy.h"
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
  [[nodiscard]] Finished finish(Image average, int) const override {
    return {.image = std::move(average), .cells = {}};
  }

 private:
  int calls_;
  Image target_;
};

NetworkFactory network(int64_t channels = 4) {
  return [channels](int64_t height, int64_t width) {
    return make_skip({.channels = {channels}, .skips = {0}, .input_depth = 2, .output_channels = 1}, height, width);
  };
}

RestoreOptions options_of(int64_t iterations, int runs = 1) {
  RestoreOptions options;
  options.iterations = iterations;
  options.runs = runs;
  options.fit.threads = 1;
  return options;
}

void advance(Restoration& restoration, int64_t steps = 1 << 30) {
  for (int64_t i = 0; i < steps && !restoration.done(); ++i) restoration.step();
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
      if (!first.done()) CHECK(second.stopping_text() == first.stopping_text());
      advance(second);
      const RestoreResult result = second.result();
      CHECK(result.iterations == expected.iterations);
      const bool same = result.finished.image.pixels == expected.finished.image.pixels;
      CHECK(same);
    }
  }
}

TEST_CASE("the rule decides when a run ends and what it leaves") {
  const RestoreOptions options = options_of(500, 2);
  // Asked at every fifth iteration.
  const Wave stops(8);
  Restoration restoration(stops, network(), op_table(), options);
  std::vector<float> average;
  for (int i = 1; i <= 40; ++i) {
    const RestoreStep step = restoration.step();
    CHECK(step.stopped == (i == 40));
    CHECK(step.run == 0);
    average = restoration.average();
  }
  const bool last_average = restoration.result().finished.image.pixels == average;
  CHECK(last_average);
  CHECK(restoration.result().interrupted);
  const RestoreStep next = restoration.step();
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
    if (kept.step().is_best) average = kept.average();
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
    while (!restoration.done()) notes += restoration.step().note + "\n";
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
  CHECK(error_of_load(restoration, Archive()) == "it has no 'network_sha256'");
}

}  // namespace hourglass::test
