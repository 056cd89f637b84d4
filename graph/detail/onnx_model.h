// What the importer needs of an ONNX file, free of protobuf: made once by parse_onnx, bound many times by OnnxFile.
// Internal to graph/.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/attrs.h"
#include "graph/graph.h"

namespace hourglass {

// The domain of ops that are not ONNX's, or not in a form that ONNX has: nodes in it are canonical (graph/op.h).
inline constexpr std::string_view kOwnDomain = "hourglass";

// Passes that go through all nodes once for each are still done in seconds. Those that control flow and functions make
// of others count as well.
inline constexpr int64_t kMaxNodes = 100'000;

// What is in a function, a branch or an iteration is called after the node around it, whose name may have that many
// characters.
inline constexpr std::size_t kLongestPrefix = 4096;

// The newest opset that our ops were written for and tested with; an older ONNX library can't check all of it.
inline constexpr int kOldestOpset = 7, kNewestOpset = 24;

struct OnnxSubgraph;

struct OnnxNode {
  std::string name;  // unique; made from the op when the file has none
  std::string op;
  std::string domain;  // "" for ONNX's own
  int version = 0;     // the opset that the op's definition here is from; 0: not known
  Attrs attrs;
  std::map<std::string, std::shared_ptr<const OnnxSubgraph>> subgraphs;  // attributes that are graphs: of If and Loop
  std::vector<std::string> captured;                                     // the names that those read
  std::vector<std::string> unsupported;      // attributes that an Attrs can't hold, with the reason
  std::vector<std::string> inputs, outputs;  // "" for one that is not given
};

using OnnxInitializers = std::vector<std::pair<std::string, std::shared_ptr<const HostTensor>>>;

// The body of an If or a Loop. It reads names of its own and those of the graph around it.
struct OnnxSubgraph {
  std::vector<OnnxNode> nodes;
  OnnxInitializers initializers;
  std::vector<std::string> inputs, outputs;
};

// An input or output of the file.
struct OnnxInput {
  std::string name;
  TensorType type;                               // dims of 0 are open
  bool ranked = false;                           // whether the file says anything about its shape
  std::shared_ptr<const HostTensor> value = {};  // what it is unless the caller gives another, or null
};

struct OnnxModel {
  std::string file;  // for messages
  std::string name, producer;
  int opset = 0;                // what the nodes are read as
  int declared_opset = 0;       // by the file; another one where it is not supported
  std::vector<OnnxNode> nodes;  // in topological order; without those that no output needs
  OnnxInitializers initializers;
  std::vector<OnnxInput> inputs;  // without those that have an initializer, unless it is the only input
  std::vector<OnnxInput> outputs;
  std::vector<std::string> notes;
  // What there is against the model as a whole.
  std::vector<std::string> problems;
  // What ONNX has against it: its checker, or that it does not know an op of its own domain. Said where there is
  // nothing against a node, which is more to the point.
  std::string invalid;
};

// Parses and checks. `folder` is where external data may lie; empty: nowhere.
OnnxModel parse_onnx(std::string_view bytes, const std::string& file, const std::filesystem::path& folder);

// The one input, if it is an image: [1 or open, C, H, W] of floats. Throws Error, without the file's name, otherwise.
const OnnxInput& image_input_of(const OnnxModel& model);

// "1x3x?x?".
std::string declared_shape(const OnnxInput& input);

// Whether it is [N, H, W, C], as TensorFlow has images: three or four numbers last, and what can't be channels before.
bool is_channels_last(const OnnxModel& model, const OnnxInput& input);

// A file's bytes; throws Error for one that can't be read or is larger than protobuf can hold.
std::string read_onnx_bytes(const std::filesystem::path& path);

// A file holds 0.2f, its author wrote 0.2: the double nearest to the shortest decimal that gives the same float. For
// attributes, not for weights.
double decimal(float value);

}  // namespace hourglass
