// Files of onnx_maker.h bound to a size, and what becomes of them.
#pragma once

#include <doctest/doctest.h>

#include <string_view>

#include "graph/onnx_import.h"
#include "ops/table.h"
#include "tests/graph/onnx_maker.h"

namespace hourglass::test {

inline ImportedModel bind(const ModelMaker& m, int64_t height = 8, int64_t width = 6) {
  return import_onnx(m.bytes(), "m.onnx", op_table(), {.height = height, .width = width});
}

// The value of that name, which must be there.
inline const Value& named(const Graph& graph, std::string_view name) {
  const ValueId id = graph.find(name);
  REQUIRE_MESSAGE(id.valid(), name);
  return graph.value(id);
}

}  // namespace hourglass::test
