// What ONNX itself says that a node makes, for nodes that are not supported here: its own shape inference, for the
// types of the inputs as they are bound. Internal to graph/.
#pragma once

#include <optional>
#include <vector>

#include "graph/detail/onnx_model.h"

namespace hourglass {

// One per output of the node; nothing for what ONNX does not know, be it the op or an extent. `inputs`: null for one
// that is not given; the values of those that are constant count.
std::vector<std::optional<TensorType>> types_as_onnx_says(const OnnxNode& node, int opset,
                                                          const std::vector<const Value*>& inputs);

}  // namespace hourglass
