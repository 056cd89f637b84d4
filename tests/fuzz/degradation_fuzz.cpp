// `restore --degradation`: the bytes are an ONNX file that says how an image was degraded. What it makes of a ramp of
// 16x16 pixels, or of the size that it fixes, is restored by two iterations (by libFuzzer, of some inputs alone). Any
// graph or any refusal will do, within bounded time and memory.
#include "engine/restore/operator_task.h"
#include "engine/restore/restore.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tiny.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  using namespace hourglass;
  return fuzz::refusing({data, size}, [](fuzz::Bytes bytes) {
    const OnnxFile op = OnnxFile::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "fuzz");
    const ImageInput input = op.image_input();
    constexpr int64_t kMostSide = 64;
    if (input.height > kMostSide || input.width > kMostSide || input.channels > 3) return;
    const int64_t height = input.height != 0 ? input.height : fuzz::kSide;
    const int64_t width = input.width != 0 ? input.width : fuzz::kSide;
    Image image(width, height, static_cast<int>(input.channels));
    for (std::size_t i = 0; i < image.pixels.size(); ++i) {
      image.pixels[i] = static_cast<float>(i) / static_cast<float>(image.pixels.size());
    }
    const Array measurement = measure(op, op_table(), image);
    const auto task = make_operator_task(op, op_table(), measurement, {.height = height, .width = width});
    fuzz::expect(task->baseline().pixels.size() == image.pixels.size(), "the image sought is of the size asked for");
    if (!fuzz::is_chosen(bytes)) return;
    restore(*task, fuzz::tiny_network, op_table(), fuzz::tiny_options(), [](const auto&) { return true; });
  });
}
