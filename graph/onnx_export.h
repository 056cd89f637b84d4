// Graph -> ONNX file, for Netron and every other tool, and for our own importer: what is written comes back the same.
//
// Parameters with values become initializers, as an input's default value does; parameters that are drawn become
// RandomUniform or RandomNormal nodes, so that a topology without weights is a few KB and says how it starts. Constants
// become Constant nodes. What the canonical form (graph/op.h) keeps in attributes and ONNX in inputs goes back to
// inputs. Nodes that ONNX does not have at that opset (gradients, mostly) stand in the domain "hourglass". The same
// graph gives the same bytes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace hourglass {

// Of the files that we write: the oldest in which BatchNormalization says that it trains (training_mode).
inline constexpr int kExportOpset = 14;
// Of those that need GridSample or ScatterND that adds.
inline constexpr int kNewerExportOpset = 16;

struct ExportOptions {
  // Leaves the image's height and width open. Sizes that an attribute holds (Resize's sizes, Slice's ends) stay what
  // they are, so only for a graph that has none. No shapes of inner values are written then.
  bool dynamic_size = false;
  std::string description = {};  // for people: the model's doc_string
  // Where given, becomes the names of the ops in the domain "hourglass", each once, in order: other software does not
  // know them.
  std::vector<std::string>* own_ops = nullptr;
};

// The bytes of the file. Throws Error when ONNX's checker refuses the result.
std::string export_onnx(const Graph& graph, const ExportOptions& options = {});

void write_onnx(const Graph& graph, const std::filesystem::path& path, const ExportOptions& options = {});

}  // namespace hourglass
