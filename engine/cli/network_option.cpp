#include "engine/cli/network_option.h"

#include <filesystem>
#include <utility>

#include "engine/runtime/precision.h"
#include "graph/error.h"
#include "graph/onnx_import.h"
#include "graph/text.h"
#include "models/builtin.h"
#include "ops/table.h"

namespace hourglass::cli {

ChosenNetwork choose_network(const std::string& model, const std::string& output, const BuiltinChannels& channels) {
  ChosenNetwork chosen{.name = model, .make = {}, .notes = std::make_shared<std::vector<std::string>>()};
  if (find_builtin(model) != nullptr) {
    if (!output.empty()) fail("--model-output {}: belongs to an ONNX file, '{}' is built in", output, model);
    chosen.make = [model, channels](int64_t height, int64_t width) {
      return make_builtin(model, {.output_channels = channels.output_channels,
                                  .input_depth = channels.input_depth,
                                  .height = height,
                                  .width = width});
    };
    return chosen;
  }
  if (!std::filesystem::exists(model)) {
    std::vector<std::string_view> names;
    for (const Builtin& builtin : builtins()) names.push_back(builtin.name);
    fail("{}: neither a file nor a built-in network; those are {}", model, join(names, ", "));
  }
  const OnnxFile file = OnnxFile::read(model);
  if (const std::vector<std::string> names = file.output_names(); names.size() > 1 && output.empty()) {
    fail("{}: has {} outputs, '{}': say by --model-output NAME which one is the image", model, names.size(),
         join(names, "', '"));
  }
  chosen.fixed = fixed_sides(file);
  // The notes live as long as what fills them.
  chosen.make = [make = network_of(file, op_table(), output, chosen.notes.get()), notes = chosen.notes](
                    int64_t height, int64_t width) { return make(height, width); };
  return chosen;
}

FixedSides fixed_sides(const OnnxFile& file) {
  const ImageInput input = file.image_input();
  return {.height = input.height, .width = input.width};
}

ImageSize usual_size(const NetworkFactory& make, const FixedSides& fixed) {
  constexpr int64_t kDefault = 512;
  if (fixed.height != 0 && fixed.width != 0) {
    const Network network = bind_network(make, op_table(), 1, 1, fixed);
    return {.width = network.canvas_width, .height = network.canvas_height};
  }
  return {.width = fixed.width != 0 ? fixed.width : kDefault, .height = fixed.height != 0 ? fixed.height : kDefault};
}

Option model_output_option(std::string& target, std::vector<std::string> methods) {
  return {.names = "--model-output",
          .takes = "NAME",
          .target = &target,
          .help = "The output of an ONNX file that is the image, where there are several",
          .methods = std::move(methods)};
}

Option degradation_output_option(std::string& target, std::vector<std::string> methods) {
  return {.names = "--degradation-output",
          .takes = "NAME",
          .target = &target,
          .help = "The output of --degradation that is the measurement, where there are several",
          .methods = std::move(methods)};
}

std::string_view name_of(Precision precision) { return precision == Precision::bf16 ? "bf16" : "f32"; }

Precision choose_precision(const std::string& text) {
  if (text == "auto") return has_native_bf16() ? Precision::bf16 : Precision::f32;
  return text == "bf16" ? Precision::bf16 : Precision::f32;
}

}  // namespace hourglass::cli
