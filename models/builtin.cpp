#include "models/builtin.h"

#include <algorithm>

#include "graph/error.h"
#include "graph/text.h"
#include "models/embedded.h"

namespace hourglass {
namespace {

const Builtin& builtin(std::string_view name) {
  if (const Builtin* found = find_builtin(name)) return *found;
  std::vector<std::string_view> names;
  for (const Builtin& entry : builtins()) names.push_back(entry.name);
  fail("no built-in topology is called '{}'; there are {}", name, join(names, ", "));
}

Graph make(const SkipOptions& options, int64_t height, int64_t width) { return make_skip(options, height, width); }
Graph make(const UnetOptions& options, int64_t height, int64_t width) { return make_unet(options, height, width); }

}  // namespace

std::span<const Builtin> builtins() {
  static const Builtin all[] = {
      {.name = "small",
       .description = "skip hourglass, 8 to 128 channels: the paper's network for JPEG artifacts; fast",
       .file_name = "hourglass-small.onnx",
       .options = SkipOptions{.channels = {8, 16, 32, 64, 128}, .skips = {0, 0, 0, 4, 4}, .input_depth = 3}},
      {.name = "medium",
       .description = "skip hourglass, 32 channels at five scales: three times the work of small",
       .file_name = "hourglass-medium.onnx",
       .options = SkipOptions{.channels = {32, 32, 32, 32, 32}}},
      {.name = "standard",
       .description = "skip hourglass, 128 channels at five scales: the paper's default; slow",
       .file_name = "hourglass.onnx",
       .options = SkipOptions{}},
      {.name = "unet",
       .description = "U-Net, 16 to 128 channels, a skip at every block",
       .file_name = "unet.onnx",
       .options = UnetOptions{}},
      {.name = "inpaint",
       .description = "standard with skips of 128 channels: the paper's for text and scattered missing pixels; slow",
       .file_name = "hourglass-inpaint.onnx",
       .options = SkipOptions{.skips = {128, 128, 128, 128, 128}, .upsample = Upsample::nearest}},
      {.name = "inpaint-large",
       .description = "16 to 128 channels at six scales, no skips, filters of 5x5: the paper's for large holes",
       .file_name = "hourglass-inpaint-large.onnx",
       .options = SkipOptions{.channels = {16, 32, 64, 128, 128, 128},
                              .skips = {0, 0, 0, 0, 0, 0},
                              .input_depth = 1,
                              .filter_down = 5,
                              .upsample = Upsample::nearest,
                              .extra_1x1_up = false}},
  };
  return all;
}

const Builtin* find_builtin(std::string_view name) {
  const auto all = builtins();
  const auto it = std::find_if(all.begin(), all.end(), [&](const Builtin& entry) { return entry.name == name; });
  return it == all.end() ? nullptr : &*it;
}

Graph make_builtin(std::string_view name, const BuiltinSize& size) {
  const Builtin& entry = builtin(name);
  return std::visit(
      [&](auto options) {
        options.output_channels = size.output_channels;
        if (size.input_depth > 0) options.input_depth = size.input_depth;
        return make(options, size.height, size.width);
      },
      entry.options);
}

int64_t size_multiple(const Builtin& entry) {
  return std::visit([](const auto& options) { return size_multiple(options); }, entry.options);
}

std::string_view builtin_file(std::string_view name) { return embedded_file(builtin(name).file_name); }

}  // namespace hourglass
