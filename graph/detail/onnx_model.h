// What the importer needs of an ONNX file, free of protobuf: made once by parse_onnx, bound many times by OnnxFile.
// Internal to graph/.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/attrs.h"
#include "graph/graph.h"

namespace hourglass {

// The domain of ops that are not ONNX's, or not in a form that ONNX has: nodes in it are canonical (graph/op.h).
inline constexpr std::string_view kOwnDomain = "hourglass";

struct OnnxNode {
  std::string name;  // unique; made from the op when the file has none
  std::string op;
  std::string domain;  // "" for ONNX's own
  int version = 0;     // the opset that the op's definition here is from; 0: not known
  Attrs attrs;
  std::vector<std::string> unsupported;      // attributes that an Attrs can't hold, with the reason
  std::vector<std::string> inputs, outputs;  // "" for one that is not given
};

struct OnnxInput {
  std::string name;
  TensorType type;                               // dims of 0 are open
  bool ranked = false;                           // whether the file says anything about its shape
  std::shared_ptr<const HostTensor> value = {};  // what it is unless the caller gives another, or null
};

struct OnnxModel {
  std::string file;  // for messages
  std::string name, producer;
  int opset = 0;
  std::vector<OnnxNode> nodes;  // in topological order
  std::vector<std::pair<std::string, std::shared_ptr<const HostTensor>>> initializers;
  std::vector<OnnxInput> inputs;  // without those that have an initializer, unless it is the only input
  std::vector<std::string> outputs;
  std::vector<std::string> notes;
  // What ONNX has against the model as a whole: its checker, or that it does not know an op of its own domain. bind()
  // first says what it has against the nodes, which is more to the point.
  std::string invalid;
};

// Parses and checks. `folder` is where external data may lie; empty: nowhere.
OnnxModel parse_onnx(std::string_view bytes, const std::string& file, const std::filesystem::path& folder);

// The one input, if it is an image: [1 or open, C, H, W] of floats. Throws Error, without the file's name, otherwise.
const OnnxInput& image_input_of(const OnnxModel& model);

// A file's bytes; throws Error for one that can't be read or is larger than protobuf can hold.
std::string read_onnx_bytes(const std::filesystem::path& path);

// A file holds 0.2f, its author wrote 0.2: the double nearest to the shortest decimal that gives the same float. For
// attributes, not for weights.
double decimal(float value);

}  // namespace hourglass
