// `restore` of a JPEG of at most 16x16 pixels: the filter, which looks for an earlier compression (by libFuzzer, in
// some inputs alone), and two iterations of a fit to half pixels and half cells, moved into the file's cells. The
// results are images of the input's size on the grid of 8 bits.
#include <cmath>

#include "engine/restore/jpeg_task.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tiny.h"

namespace {

using namespace hourglass;
using fuzz::expect;

void check(const Finished& finished, const RestoreInput& input) {
  const Image &image = finished.image, &given = input.degraded.image;
  expect(image.width == given.width && image.height == given.height, "the result is of the input's size");
  for (const float value : image.pixels) {
    expect(value >= 0 && value <= 1 && std::abs(value * 255 - std::round(value * 255)) < 1e-3F, "pixels are codes");
  }
  if (!finished.cells) return;
  for (const double share : {finished.cells->exact, finished.cells->rounded}) {
    expect(share >= 0 && share <= 1, "shares are in [0, 1]");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  return fuzz::refusing({data, size}, [](fuzz::Bytes bytes) {
    RestoreInput input;
    input.degraded = decode_jpeg(bytes, fuzz::kSide * fuzz::kSide * 3 * sizeof(float));
    input.jpeg = read_jpeg_coefficients(bytes);
    RestoreInput filtered = input;
    if (fuzz::is_chosen(bytes)) filtered.first = find_first_compression(*input.jpeg);
    if (const std::optional<Finished> finished = make_jpeg_task(filtered, {})->filter(255, {})) check(*finished, input);
    const std::unique_ptr<Task> task = make_jpeg_task(input, {.cell_weight = 0.5, .refine_passes = 2});
    check(
        restore(*task, fuzz::tiny_network, op_table(), fuzz::tiny_options(), [](const auto&) { return true; }).finished,
        input);
  });
}
