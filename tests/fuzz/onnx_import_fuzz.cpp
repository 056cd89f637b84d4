// Whatever the bytes, the importer either binds a graph or throws Error; nothing else, in bounded time and memory. What
// it binds is differentiated too, where it can be: gradient rules see shapes that no sane file has.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "graph/autodiff.h"
#include "graph/error.h"
#include "graph/onnx_import.h"
#include "ops/table.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  using namespace hourglass;
  try {
    const OnnxFile file = OnnxFile::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
    // 0: what the file fixes.
    const ImageInput input = file.image_input();
    const ImportOptions size{.height = input.height != 0 ? 0 : 24, .width = input.width != 0 ? 0 : 17};
    Graph graph = file.bind(op_table(), size).graph;
    if (graph.type(graph.outputs.front()).dtype != DType::f32) return 0;
    GraphBuilder builder(graph, op_table());
    const ValueId loss = builder.add("ReduceSum", {graph.outputs.front()}, {{"keepdims", int64_t{0}}}, "loss");
    differentiate(graph, op_table(), loss, graph.parameters());
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
