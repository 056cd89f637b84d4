// A measurement and the operator that made it, as an ONNX file: image in, measurement out. Anything differentiable will
// do: a blur, a projection, a mask.
//
//   const OnnxFile blur = OnnxFile::read("models/blur.onnx");
//   const std::unique_ptr<Task> task = make_operator_task(blur, table, {.shape = {1, 3, 256, 256}, .values = ...}, {});
//
// E(image) = mean((D(image) - measurement)^2). Nothing in the operator is trained: its weights are constants,
// and BatchNormalization in inference mode takes its running statistics.
#pragma once

#include <memory>
#include <string>

#include "engine/image/npy.h"
#include "engine/restore/task.h"
#include "graph/onnx_import.h"

namespace hourglass {

struct OperatorTaskOptions {
  // Of the image that is sought; 0: what the file fixes, else the measurement's size, or that times 2, 3, 4 or 8.
  int64_t height = 0, width = 0;
  std::string output = {};  // the measurement, where the file has several outputs
};

// The measurement's shape is the operator's output's, but for leading ones. Throws Error for an operator that draws
// parameters, and when no size of the image gives the measurement's shape.
std::unique_ptr<Task> make_operator_task(const OnnxFile& op, const OpTable& table, const Array& measurement,
                                         const OperatorTaskOptions& options);

// What the operator makes of an image, in the shape that it says. `output` as above.
Array measure(const OnnxFile& op, const OpTable& table, const Image& image, const std::string& output = {});

}  // namespace hourglass
