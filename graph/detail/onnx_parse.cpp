// The half of the importer that knows protobuf: bytes -> OnnxModel, checked by ONNX's own checker.
#include <onnx/checker.h>
#include <onnx/defs/schema.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <set>
#include <string_view>
#include <unordered_set>

#include "graph/detail/onnx_model.h"
#include "graph/detail/onnx_tensor.h"
#include "graph/error.h"
#include "graph/onnx_import.h"
#include "graph/text.h"

namespace hourglass {
namespace {

// Passes that go through all nodes once for each are still done in seconds.
constexpr int kMaxNodes = 100'000;

// All tensors of a file: 2 GiB in f32.
constexpr int64_t kMaxAllElements = int64_t{1} << 29;

// All of its external data, as much as a file in itself may hold.
constexpr uint64_t kMaxExternalBytes = uint64_t{1} << 31;

// The newest that our ops were written for and tested with; an older ONNX library can't check all of it.
constexpr int kOldestOpset = 7, kNewestOpset = 22;

int newest_installed_opset() {
  return onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at(onnx::ONNX_DOMAIN).second;
}

onnx::ModelProto parse_proto(std::string_view bytes) {
  if (bytes.empty()) fail("the file is empty");
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) fail("the model is larger than 2 GB");
  onnx::ModelProto proto;
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    fail("is not an ONNX model, is cut short, or nests subgraphs too deeply");
  }
  if (!proto.has_graph()) fail("is not an ONNX model, or is cut short: there is no graph in it");
  return proto;
}

// "ai.onnx" is the default domain's other name.
void unify_domains(onnx::ModelProto& proto) {
  for (auto& opset : *proto.mutable_opset_import()) {
    if (opset.domain() == "ai.onnx") opset.clear_domain();
  }
  for (auto& node : *proto.mutable_graph()->mutable_node()) {
    if (node.domain() == "ai.onnx") node.clear_domain();
  }
}

int declared_opset(const onnx::ModelProto& proto) {
  int64_t opset = 0;
  for (const auto& import : proto.opset_import()) {
    if (import.domain().empty()) opset = std::max(opset, import.version());
  }
  const int newest = std::max(kNewestOpset, newest_installed_opset());
  if (opset == 0) fail("declares no opset, or is cut short");
  if (opset < kOldestOpset || opset > newest) {
    fail("declares opset {}, supported are {} to {}; export it with one of those (PyTorch: opset_version=13)", opset,
         kOldestOpset, newest);
  }
  return static_cast<int>(opset);
}

// The first lines of the checker's message; the rest is a dump of the node.
std::string shorten(std::string_view text) {
  constexpr std::size_t kLongest = 400;
  if (const auto context = text.find("\n\n==> Context"); context != std::string_view::npos) {
    text = text.substr(0, context);
  }
  std::string result(text.substr(0, kLongest));
  while (!result.empty() && result.back() == '\n') result.pop_back();
  return text.size() > kLongest ? result + "..." : result;
}

// What ONNX's checker has against the model; empty: nothing.
std::string refusal_of(const onnx::ModelProto& proto) {
  try {
    onnx::checker::check_model(proto);
  } catch (const std::exception& error) {
    return fmt::format("ONNX's checker refuses it: {}", shorten(error.what()));
  }
  return {};
}

// Every name is given once, and before it is read: so there is no cycle.
void check_names(const onnx::GraphProto& graph) {
  std::unordered_set<std::string_view> known, computed, initialized;
  for (const auto& tensor : graph.initializer()) {
    if (!initialized.insert(tensor.name()).second) fail("two initializers are called '{}'", tensor.name());
  }
  for (const auto& info : graph.input()) {
    if (!known.insert(info.name()).second) fail("two inputs are called '{}'", info.name());
  }
  known.insert(initialized.begin(), initialized.end());
  for (const auto& node : graph.node()) computed.insert(node.output().begin(), node.output().end());
  for (const auto& node : graph.node()) {
    for (const std::string& name : node.input()) {
      if (name.empty() || known.contains(name)) continue;
      fail("node '{}' ({}) reads '{}', which {}", node.name(), node.op_type(), name,
           computed.contains(name) ? "no node before it computes: the graph has a cycle, or its nodes are out of order"
                                   : "nothing in the file gives");
    }
    for (const std::string& name : node.output()) {
      if (name.empty() || known.insert(name).second) continue;
      fail("node '{}' ({}) computes '{}', a name that is taken already", node.name(), node.op_type(), name);
    }
  }
  for (const auto& info : graph.output()) {
    if (!known.contains(info.name())) fail("output '{}' is not computed by any node", info.name());
  }
}

// The name of an op of ONNX's own domain that ONNX does not know; empty when there is none.
std::string unknown_op(const onnx::ModelProto& proto, int opset) {
  for (const auto& node : proto.graph().node()) {
    if (!node.domain().empty()) continue;
    if (onnx::OpSchemaRegistry::Schema(node.op_type(), opset, onnx::ONNX_DOMAIN) == nullptr) return node.op_type();
  }
  return {};
}

// Reads tensors for the model. A network in double or half precision becomes one in f32.
class TensorReader {
 public:
  // `precision`: the image's element type.
  explicit TensorReader(DType precision) : precision_(precision) {}

  [[nodiscard]] DType precision() const { return precision_; }
  [[nodiscard]] int converted() const { return converted_; }

  // A size computed in double must stay exact, so single doubles keep their type, unless all is double.
  std::shared_ptr<const HostTensor> read(const onnx::TensorProto& proto, bool weight) {
    HostTensor tensor = tensor_from_onnx(proto);
    elements_ += tensor.shape.elements();
    if (elements_ > kMaxAllElements) fail("the file's constants have more than {} elements in all", kMaxAllElements);
    const bool converts =
        is_floating(tensor.dtype) && tensor.dtype != DType::f32 &&
        (tensor.dtype == precision_ || tensor.dtype != DType::f64 || (weight && tensor.shape.elements() > 1));
    if (converts) {
      tensor.dtype = DType::f32;
      for (double& value : tensor.values) value = static_cast<float>(value);
      ++converted_;
    }
    return std::make_shared<const HostTensor>(std::move(tensor));
  }

 private:
  DType precision_;
  int converted_ = 0;
  int64_t elements_ = 0;
};

void read_attribute(const onnx::AttributeProto& attr, TensorReader& tensors, OnnxNode& node) {
  using A = onnx::AttributeProto;
  const std::string& name = attr.name();
  if (attr.has_ref_attr_name()) {
    node.unsupported.push_back(fmt::format("attribute '{}' refers to a function's attribute", name));
    return;
  }
  switch (attr.type()) {
    case A::INT: node.attrs.set(name, attr.i()); return;
    case A::FLOAT: node.attrs.set(name, decimal(attr.f())); return;
    case A::STRING: node.attrs.set(name, attr.s()); return;
    case A::INTS: node.attrs.set(name, Dims(attr.ints().begin(), attr.ints().end())); return;
    case A::FLOATS: {
      Floats values;
      for (const float value : attr.floats()) values.push_back(decimal(value));
      node.attrs.set(name, std::move(values));
      return;
    }
    case A::STRINGS: node.attrs.set(name, Strings(attr.strings().begin(), attr.strings().end())); return;
    case A::TENSOR: try { node.attrs.set(name, tensors.read(attr.t(), false));
      } catch (const Error& error) {
        node.unsupported.push_back(fmt::format("attribute '{}': {}", name, error.what()));
      }
      return;
    case A::GRAPH:
    case A::GRAPHS: node.unsupported.push_back(fmt::format("attribute '{}' is a subgraph", name)); return;
    default: node.unsupported.push_back(fmt::format("attribute '{}' is of a kind that is not supported", name));
  }
}

// 0 for what the installed ONNX does not know.
int version_of(const onnx::NodeProto& proto, int opset) {
  if (!proto.domain().empty() || opset > newest_installed_opset()) return 0;
  const auto* schema = onnx::OpSchemaRegistry::Schema(proto.op_type(), opset, onnx::ONNX_DOMAIN);
  return schema == nullptr ? 0 : schema->SinceVersion();
}

OnnxNode read_node(const onnx::NodeProto& proto, int opset, TensorReader& tensors) {
  OnnxNode node{.name = proto.name(),
                .op = proto.op_type(),
                .domain = proto.domain(),
                .version = version_of(proto, opset),
                .attrs = {},
                .unsupported = {},
                .inputs = {proto.input().begin(), proto.input().end()},
                .outputs = {proto.output().begin(), proto.output().end()}};
  for (const auto& attr : proto.attribute()) read_attribute(attr, tensors, node);
  // Numbers of onnx::TensorProto::DataType: what was to be the image's type is f32 now.
  for (const char* name : {"to", "dtype"}) {
    const bool dtype = (name == std::string_view("to")) == (node.op == "Cast") && node.attrs.has(name);
    if (dtype && tensors.precision() != DType::f32 && std::holds_alternative<int64_t>(node.attrs.all().at(name)) &&
        node.attrs.integer(name) == dtype_to_onnx(tensors.precision())) {
      node.attrs.set(name, int64_t{dtype_to_onnx(DType::f32)});
    }
  }
  return node;
}

OnnxInput read_input(const onnx::ValueInfoProto& info) {
  if (!info.type().has_tensor_type()) fail("input '{}' is not a tensor", info.name());
  const auto& tensor = info.type().tensor_type();
  OnnxInput input{.name = info.name(), .type = {}, .ranked = tensor.has_shape()};
  try {
    input.type.dtype = dtype_from_onnx(tensor.elem_type());
    Dims dims;
    // Some exporters write 0 or -1 for an open extent.
    for (const auto& dim : tensor.shape().dim()) dims.push_back(std::max<int64_t>(dim.dim_value(), 0));
    for (int64_t& dim : dims) {
      if (dim > std::numeric_limits<int32_t>::max()) fail("extent {} is absurd", dim);
    }
    input.type.shape = Shape(std::move(dims));
  } catch (const Error& error) {
    throw error.within(fmt::format("input '{}'", info.name()));
  }
  return input;
}

void name_nodes(std::vector<OnnxNode>& nodes) {
  std::set<std::string> taken;
  for (const OnnxNode& node : nodes) taken.insert(node.name);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    OnnxNode& node = nodes[i];
    if (!node.name.empty() && seen.insert(node.name).second) continue;
    std::string name = fmt::format("{}_{}", node.name.empty() ? node.op : node.name, i);
    while (!taken.insert(name).second) name += "_";
    seen.insert(name);
    node.name = std::move(name);
  }
}

// Calls use(TensorProto&) for every tensor of the graph itself.
template <typename Use>
void for_each_tensor(onnx::GraphProto& graph, const Use& use) {
  for (auto& tensor : *graph.mutable_initializer()) {
    try {
      use(tensor);
    } catch (const Error& error) {
      throw error.within(fmt::format("initializer '{}'", tensor.name()));
    }
  }
  for (auto& node : *graph.mutable_node()) {
    for (auto& attr : *node.mutable_attribute()) {
      if (!attr.has_t()) continue;
      try {
        use(*attr.mutable_t());
      } catch (const Error& error) {
        throw error.within(fmt::format("node '{}' ({}): attribute '{}'", node.name(), node.op_type(), attr.name()));
      }
    }
  }
}

void load_all_external_data(onnx::GraphProto& graph, const std::filesystem::path& folder) {
  uint64_t bytes = 0;
  for_each_tensor(graph, [&](const onnx::TensorProto& tensor) {
    if (const auto data = find_external_data(tensor, folder)) bytes += data->length;
    if (bytes > kMaxExternalBytes) fail("the model has more than {} MiB of external data", kMaxExternalBytes >> 20);
  });
  for_each_tensor(graph, [&](onnx::TensorProto& tensor) { load_external_data(tensor, folder); });
}

OnnxModel read_model(onnx::ModelProto& proto, const std::string& file, const std::filesystem::path& folder) {
  OnnxModel model;
  model.file = file;
  model.name = proto.graph().name();
  model.producer = proto.producer_name();
  unify_domains(proto);
  model.opset = declared_opset(proto);
  if (proto.graph().sparse_initializer_size() > 0) fail("sparse initializers are not supported");
  if (proto.graph().node_size() > kMaxNodes) {
    fail("has {} nodes, a network may have up to {}", proto.graph().node_size(), kMaxNodes);
  }
  check_names(proto.graph());
  load_all_external_data(*proto.mutable_graph(), folder);
  // A newer container around an opset that we know is read as what it is for that opset.
  if (proto.ir_version() > onnx::Version::IR_VERSION) {
    model.notes.push_back(fmt::format("declares IR version {}, read as version {}", proto.ir_version(),
                                      static_cast<int>(onnx::Version::IR_VERSION)));
    proto.set_ir_version(onnx::Version::IR_VERSION);
  }
  std::set<std::string> with_initializer;
  for (const auto& tensor : proto.graph().initializer()) with_initializer.insert(tensor.name());
  for (const auto& info : proto.graph().input()) {
    if (!with_initializer.contains(info.name())) model.inputs.push_back(read_input(info));
  }
  // The one input may have an initializer too, as its default value: a fitted network brings its z so.
  const bool has_default = model.inputs.empty() && proto.graph().input_size() == 1;
  if (has_default) model.inputs.push_back(read_input(proto.graph().input(0)));
  const bool one_float = model.inputs.size() == 1 && is_floating(model.inputs[0].type.dtype);
  TensorReader tensors(one_float ? model.inputs[0].type.dtype : DType::f32);
  for (const auto& tensor : proto.graph().initializer()) {
    try {
      std::shared_ptr<const HostTensor> values = tensors.read(tensor, true);
      if (has_default && tensor.name() == model.inputs[0].name) {
        model.inputs[0].value = std::move(values);
      } else {
        model.initializers.emplace_back(tensor.name(), std::move(values));
      }
    } catch (const Error& error) {
      throw error.within(fmt::format("initializer '{}'", tensor.name()));
    }
  }
  for (const auto& node : proto.graph().node()) model.nodes.push_back(read_node(node, model.opset, tensors));
  name_nodes(model.nodes);
  // Behind our own, which say more of what they refuse.
  if (model.opset > newest_installed_opset()) {
    model.notes.push_back(fmt::format("declares opset {}, newer than the installed ONNX ({}), which can't check it",
                                      model.opset, newest_installed_opset()));
  } else if (const std::string unknown = unknown_op(proto, model.opset); !unknown.empty()) {
    model.invalid = fmt::format("'{}' is not an op of ONNX opset {}", unknown, model.opset);
  } else {
    model.invalid = refusal_of(proto);
  }
  for (const auto& info : proto.graph().output()) model.outputs.push_back(info.name());
  if (one_float && tensors.precision() != DType::f32) {
    model.notes.push_back(fmt::format("the network is in {}; it runs in f32 here", tensors.precision()));
    model.inputs[0].type.dtype = DType::f32;
  }
  if (tensors.converted() > 0) {
    model.notes.push_back(
        fmt::format("{} tensors in double or half precision were converted to f32", tensors.converted()));
  }
  return model;
}

}  // namespace

double decimal(float value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, value);
  double result = value;
  std::from_chars(text, written.ptr, result);
  return result;
}

const OnnxInput& image_input_of(const OnnxModel& model) {
  if (model.inputs.empty()) fail("has no image input");
  if (model.inputs.size() > 1) {
    std::vector<std::string> names;
    for (const OnnxInput& input : model.inputs) names.push_back(input.name);
    fail("has {} inputs ('{}'), expected one image", names.size(), join(names, "', '"));
  }
  const OnnxInput& input = model.inputs.front();
  if (input.type.dtype != DType::f32) fail("input '{}' is {}, expected float", input.name, input.type.dtype);
  if (!input.ranked || input.type.shape.rank() != 4) {
    fail("input '{}' has shape {}, expected an image [1, channels, height, width]", input.name,
         input.ranked ? input.type.shape.to_string() : "unknown");
  }
  if (input.type.shape[0] > 1) fail("input '{}' is a batch of {}, expected 1", input.name, input.type.shape[0]);
  if (input.type.shape[1] == 0) {
    fail("input '{}' leaves its number of channels open: export it with a fixed one", input.name);
  }
  return input;
}

std::string read_onnx_bytes(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) fail("there is no such file");
  if (!std::filesystem::is_regular_file(path, error)) fail("is not a file");
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > static_cast<std::uintmax_t>(std::numeric_limits<int>::max())) fail("is larger than 2 GB");
  std::ifstream file(path, std::ios::binary);
  std::string bytes(error ? 0 : size, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (error || !file) fail("can't be read");
  return bytes;
}

OnnxModel parse_onnx(std::string_view bytes, const std::string& file, const std::filesystem::path& folder) {
  try {
    onnx::ModelProto proto = parse_proto(bytes);
    return read_model(proto, file, folder);
  } catch (const Error& error) {
    throw error.within(file);
  }
}

std::map<std::string, HostTensor> read_tensors(const std::filesystem::path& path) {
  try {
    onnx::ModelProto proto = parse_proto(read_onnx_bytes(path));
    std::map<std::string, HostTensor> tensors;
    for (auto& tensor : *proto.mutable_graph()->mutable_initializer()) {
      try {
        load_external_data(tensor, path.has_parent_path() ? path.parent_path() : ".");
        if (!tensors.emplace(tensor.name(), tensor_from_onnx(tensor)).second) fail("is there twice");
      } catch (const Error& error) {
        throw error.within(fmt::format("initializer '{}'", tensor.name()));
      }
    }
    return tensors;
  } catch (const Error& error) {
    throw error.within(path.string());
  }
}

}  // namespace hourglass
