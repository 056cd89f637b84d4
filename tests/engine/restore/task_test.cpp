// The tasks as the loop sees them: energy, PSNR to what is given, gradient, finishing step.
#include "engine/restore/task.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/restore/degrade.h"
#include "engine/restore/denoise_task.h"
#include "engine/restore/inpaint_task.h"
#include "engine/restore/jpeg_task.h"
#include "engine/restore/upscale_task.h"
#include "graph/autodiff.h"
#include "graph/error.h"
#include "graph/evaluate.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

Image random_image(int64_t width, int64_t height, int channels, uint32_t seed = 3) {
  std::mt19937 random(seed);
  Image image(width, height, channels);
  for (float& value : image.pixels) value = static_cast<float>(random() % 256) / 255.0F;
  return image;
}

struct Evaluated {
  double energy = 0;
  std::vector<double> gradient;
};

Evaluated evaluate_energy(const Task& task, const std::vector<double>& pixels) {
  const Image& sought = task.baseline();
  const Shape shape{1, sought.channels, sought.height, sought.width};
  Graph graph;
  GraphBuilder builder(graph, op_table());
  const ValueId x = builder.input("x", {DType::f32, shape});
  const ValueId loss = task.energy(builder, x);
  graph.outputs = {loss};
  const Differentiated d = differentiate(graph, op_table(), loss, {x});
  const auto got = evaluate(d.graph, {{x, HostTensor(DType::f32, shape, pixels)}}, {d.loss, d.gradients[0]});
  return {.energy = got[0].values.at(0), .gradient = got[1].values};
}

// Every task but the cell energy's: the energy is the mean square whose PSNR is reported, and its gradient is right.
void check_task(const Task& task) {
  const Image& sought = task.baseline();
  const Image image = random_image(sought.width, sought.height, sought.channels, 8);
  const std::vector<double> pixels(image.pixels.begin(), image.pixels.end());
  const Evaluated at = evaluate_energy(task, pixels);
  CHECK(at.energy > 0);
  CHECK(task.psnr_degraded(image.pixels.data()) == doctest::Approx(-10 * std::log10(at.energy)).epsilon(1e-5));

  // Along a random direction, against central differences: E is quadratic, so these are exact.
  std::mt19937 random(9);
  std::vector<double> plus = pixels, minus = pixels;
  double along = 0;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const double direction = static_cast<double>(random() % 200) / 100 - 1;
    plus[i] += 0.25 * direction;
    minus[i] -= 0.25 * direction;
    along += at.gradient[i] * direction;
  }
  const double difference = evaluate_energy(task, plus).energy - evaluate_energy(task, minus).energy;
  CHECK(along == doctest::Approx(difference / 0.5).epsilon(1e-4));
}

}  // namespace

TEST_CASE("energy, its gradient and the PSNR to what is given agree") {
  for (const int channels : {1, 3}) {
    CAPTURE(channels);
    const Image image = random_image(16, 8, channels);
    check_task(*make_denoise_task(image));
    check_task(*make_inpaint_task(image, draw_mask(16, 8, 0.4, 1), {}));
    check_task(*make_upscale_task(image, {.factor = 2}));
    check_task(*make_upscale_task(image, {.factor = 4, .lobes = 3}));
    RestoreInput png;
    png.degraded.image = image;
    check_task(*make_jpeg_task(png, {}));
  }
}

TEST_CASE("a blend is the weighted mean of the two energies, total variation comes on top") {
  const std::vector<uint8_t> bytes = encode_jpeg(random_image(16, 8, 3), {.quality = 10});
  RestoreInput input;
  input.degraded.image = decode_jpeg(bytes).image;
  input.jpeg = read_jpeg_coefficients(bytes);
  const Image other = random_image(16, 8, 3, 8);
  const std::vector<double> pixels(other.pixels.begin(), other.pixels.end());
  const auto at = [&](const JpegTaskOptions& options) {
    return evaluate_energy(*make_jpeg_task(input, options), pixels);
  };
  const Evaluated mse = at({}), cell = at({.cell_weight = 1}), blend = at({.cell_weight = 0.3});
  CHECK(mse.energy != doctest::Approx(cell.energy).epsilon(0.01));
  CHECK(blend.energy == doctest::Approx(0.7 * mse.energy + 0.3 * cell.energy).epsilon(1e-6));
  const Evaluated smooth = at({.total_variation = 0.01});
  double variation = 0;
  for (int c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < 8; ++y) {
      for (int64_t x = 0; x < 16; ++x) {
        if (x + 1 < 16) variation += std::abs(other.at(c, y, x + 1) - other.at(c, y, x));
        if (y + 1 < 8) variation += std::abs(other.at(c, y + 1, x) - other.at(c, y, x));
      }
    }
  }
  CHECK(smooth.energy == doctest::Approx(mse.energy + 0.01 * variation / 384).epsilon(1e-6));
  // The upper left corner of the red plane: the signs of its two differences, over the number of samples.
  const auto sign = [](float d) { return d > 0 ? 1.0 : d < 0 ? -1.0 : 0.0; };
  const double pull = sign(other.at(0, 0, 0) - other.at(0, 0, 1)) + sign(other.at(0, 0, 0) - other.at(0, 1, 0));
  CHECK(smooth.gradient[0] - mse.gradient[0] == doctest::Approx(0.01 * pull / 384).epsilon(1e-6));
}

TEST_CASE("inpainting: what is missing has no weight, what is known stays") {
  const Image image = random_image(12, 10, 3);
  const Image mask = draw_mask(12, 10, 0.5, 4);
  const std::unique_ptr<Task> task = make_inpaint_task(image, mask, {});
  Image other = random_image(12, 10, 3, 77);
  const std::vector<double> pixels(other.pixels.begin(), other.pixels.end());
  const Evaluated at = evaluate_energy(*task, pixels);
  double known = 0, count = 0;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const bool is_known = mask.pixels[i % 120] > 0;
    CHECK((at.gradient[i] != 0) == (is_known && other.pixels[i] != image.pixels[i]));
    if (!is_known) continue;
    known += (pixels[i] - image.pixels[i]) * (pixels[i] - image.pixels[i]);
    ++count;
  }
  CHECK(at.energy == doctest::Approx(known / count).epsilon(1e-5));

  const Image finished = task->finish(other, 255, {}).image;
  const Image redrawn = make_inpaint_task(image, mask, {.keep_known = false})->finish(other, 255, {}).image;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    CHECK(finished.pixels[i] == doctest::Approx(mask.pixels[i % 120] > 0 ? image.pixels[i] : other.pixels[i]));
    CHECK(redrawn.pixels[i] == doctest::Approx(other.pixels[i]));
  }
}

TEST_CASE("a mask must suit its image") {
  const Image image = random_image(12, 10, 3);
  Image mask(12, 10, 1);
  CHECK_THROWS_WITH_AS(make_inpaint_task(image, mask, {}), doctest::Contains("black everywhere"), Error);
  for (float& value : mask.pixels) value = 1;
  CHECK_THROWS_WITH_AS(make_inpaint_task(image, mask, {}), doctest::Contains("white everywhere"), Error);
  CHECK_THROWS_WITH_AS(make_inpaint_task(image, Image(10, 12, 1), {}), doctest::Contains("is 10x12, the image 12x10"),
                       Error);
  // Mid-gray is the border between missing and known.
  mask.pixels[0] = 127.0F / 255;
  mask.pixels[1] = 128.0F / 255;
  Image other = image;
  other.pixels[1] = 1 - other.pixels[1];
  const std::unique_ptr<Task> task = make_inpaint_task(image, mask, {});
  CHECK(std::isfinite(task->psnr_degraded(other.pixels.data())));
  other = image;
  other.pixels[0] = 1 - other.pixels[0];
  CHECK(std::isinf(task->psnr_degraded(other.pixels.data())));
}

TEST_CASE("upscaling: the baseline has the result's size, and stays an image") {
  const std::unique_ptr<Task> task = make_upscale_task(random_image(7, 5, 3), {.factor = 8});
  CHECK(task->baseline().width == 56);
  CHECK(task->baseline().height == 40);
  for (const float value : task->baseline().pixels) {
    CHECK(value >= 0);
    CHECK(value <= 1);
  }
  CHECK_THROWS_WITH_AS(make_upscale_task(Image(4096, 4096, 1), {.factor = 8}), doctest::Contains("is more than"),
                       Error);
}

TEST_CASE("a result lies on the grid of its bit depth") {
  Image image(2, 1, 1);
  image.pixels = {-0.2F, 0.50001F};
  const std::unique_ptr<Task> task = make_denoise_task(image);
  CHECK(task->finish(image, levels_of(8), {}).image.pixels == std::vector<float>{0, 128.0F / 255});
  CHECK(task->finish(image, levels_of(16), {}).image.pixels == std::vector<float>{0, 32768.0F / 65535});
}

TEST_CASE("noise and holes are as strong as asked for, and come from the seed") {
  Image gray(200, 150, 3);
  for (float& value : gray.pixels) value = 0.5F;
  const Image noisy = add_noise(gray, 25, 7);
  double sum = 0, squares = 0;
  for (const float value : noisy.pixels) {
    const double d = (static_cast<double>(value) - 0.5) * 255;
    sum += d;
    squares += d * d;
  }
  const auto count = static_cast<double>(noisy.pixels.size());
  CHECK(std::abs(sum / count) < 0.5);
  CHECK(std::sqrt(squares / count) == doctest::Approx(25).epsilon(0.01));
  const bool same = noisy.pixels == add_noise(gray, 25, 7).pixels,
             other = noisy.pixels == add_noise(gray, 25, 8).pixels;
  CHECK(same);
  CHECK(!other);

  const Image mask = draw_mask(200, 150, 0.3, 7);
  const auto missing = std::count(mask.pixels.begin(), mask.pixels.end(), 0.0F);
  CHECK(missing == doctest::Approx(0.3 * 30000).epsilon(0.03));
  CHECK(missing + std::count(mask.pixels.begin(), mask.pixels.end(), 1.0F) == 30000);
  const Image holes = apply_mask(gray, mask);
  for (std::size_t i = 0; i < holes.pixels.size(); ++i) CHECK(holes.pixels[i] == 0.5F * mask.pixels[i % 30000]);
}

}  // namespace hourglass::test
