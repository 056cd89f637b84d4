#include "engine/cli/network_option.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "engine/restore/draw_weights.h"
#include "engine/restore/lesson.h"
#include "engine/runtime/precision.h"
#include "graph/error.h"
#include "graph/onnx_import.h"
#include "graph/text.h"
#include "models/builtin.h"
#include "models/embedded.h"
#include "ops/table.h"

namespace hourglass::cli {
namespace {

OnnxFile file_of_map(const std::string& model) {
  if (find_builtin(model) != nullptr) {
    fail("--model {}: makes an image of noise, by --method fit; what learns goes from an image to an image", model);
  }
  const std::string name = model + ".onnx";
  return comes_along(model) ? OnnxFile::parse(embedded_file(name), name) : OnnxFile::read(model);
}

}  // namespace

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
  if (comes_along(model)) fail("--model {}: learns (--method learn), and makes no image of noise", model);
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

NetworkFactory choose_map(const std::string& model, const std::string& output, bool draw, PlaneColors colors) {
  NetworkFactory make = network_of(file_of_map(model), op_table(), output);
  if (draw) {
    make = [brought = std::move(make)](int64_t height, int64_t width) {
      Graph graph = brought(height, width);
      draw_weights(graph);
      return graph;
    };
  }
  make = as_map(std::move(make), op_table(), colors);
  try {
    make_lesson_problem(make, op_table(), MosaicOptions{}.side);
  } catch (const Error& error) {
    throw error.within(model);
  }
  return make;
}

bool comes_along(const std::string& model) { return !embedded_file(model + ".onnx").empty(); }

bool is_map(const std::string& model, const std::string& output) {
  try {
    const int64_t side = MosaicOptions{}.side;
    const NetworkFactory make = network_of(file_of_map(model), op_table(), output);
    make_lesson_problem(as_map(make, op_table(), PlaneColors::rgb), op_table(), side);
    const Graph graph = make(side, side);
    const std::vector<ValueId> parameters = graph.parameters();
    const bool brings_weights =
        std::all_of(parameters.begin(), parameters.end(), [&](ValueId id) { return graph.value(id).data != nullptr; });
    return brings_weights || graph.shape(graph.inputs.at(0))[1] > graph.shape(graph.outputs.at(0))[1];
  } catch (const Error&) {
    return false;
  }
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
