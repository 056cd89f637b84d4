// Uses every installed layer through the installed headers: a graph of its own, differentiated and run; and a few
// iterations of a restoration of the image that it is given.
#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

#include "engine/image/metrics.h"
#include "engine/restore/jpeg_task.h"
#include "engine/restore/restore.h"
#include "engine/runtime/plan.h"
#include "graph/autodiff.h"
#include "models/builtin.h"
#include "ops/table.h"

using namespace hourglass;

namespace {

bool differentiates() {
  Graph graph;
  GraphBuilder b(graph, op_table());
  const ValueId x = b.input("x", {DType::f32, Shape{1}});
  const ValueId loss = b.add("LeakyRelu", {x}, {{"alpha", 0.25}});
  graph.outputs = {loss};
  const Differentiated d = differentiate(graph, op_table(), loss, {x});
  Plan plan(d.graph, PlanOptions{});
  plan.write(x, std::vector<float>{-8});
  plan.run();
  const float value = plan.output(d.loss)[0], slope = plan.output(d.gradients[0])[0];
  std::printf("LeakyRelu(-8) = %g, its derivative %g\n", static_cast<double>(value), static_cast<double>(slope));
  return value == -2.0F && slope == 0.25F;
}

bool restores(const char* path) {
  const RestoreInput input = load_input(path);
  const Image& image = input.degraded.image;
  RestoreOptions options;
  options.iterations = 3;
  const auto network = [&](int64_t height, int64_t width) {
    return make_builtin("small", {.output_channels = image.channels, .height = height, .width = width});
  };
  int steps = 0;
  const std::unique_ptr<Task> task = make_jpeg_task(input, {});
  const RestoreResult result = restore(*task, network, op_table(), options, [&](const RestoreStep&) {
    ++steps;
    return true;
  });
  const double psnr_db = psnr(result.finished.image, image);
  std::printf("%d steps, PSNR to the input %.2f dB\n", steps, psnr_db);
  return steps == 3 && result.finished.image.width == image.width && std::isfinite(psnr_db) && psnr_db > 5;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return count == 2 && differentiates() && restores(arguments[1]) ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
