#include "engine/cli/network_option.h"

#include <filesystem>

#include "engine/runtime/precision.h"
#include "graph/error.h"
#include "graph/onnx_import.h"
#include "graph/text.h"
#include "models/builtin.h"
#include "ops/table.h"

namespace hourglass::cli {

ChosenNetwork choose_network(const std::string& model, const BuiltinChannels& channels) {
  ChosenNetwork chosen{.name = model, .make = {}, .notes = std::make_shared<std::vector<std::string>>()};
  if (find_builtin(model) != nullptr) {
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
    fail("--model {}: neither a file nor a built-in network; those are {}", model, join(names, ", "));
  }
  const OnnxFile file = OnnxFile::read(model);
  chosen.make = [file, notes = chosen.notes](int64_t height, int64_t width) {
    ImportedModel imported = file.bind(op_table(), {.height = height, .width = width});
    *notes = imported.notes;
    return std::move(imported.graph);
  };
  return chosen;
}

std::string_view name_of(Precision precision) { return precision == Precision::bf16 ? "bf16" : "f32"; }

Precision choose_precision(const std::string& text) {
  if (text == "auto") return has_native_bf16() ? Precision::bf16 : Precision::f32;
  return text == "bf16" ? Precision::bf16 : Precision::f32;
}

}  // namespace hourglass::cli
