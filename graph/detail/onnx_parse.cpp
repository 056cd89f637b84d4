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

#include "graph/detail/onnx_model.h"
#include "graph/detail/onnx_proto.h"
#include "graph/detail/onnx_tensor.h"
#include "graph/error.h"
#include "graph/onnx_import.h"
#include "graph/text.h"

namespace hourglass {
namespace {

// All tensors of a file: 2 GiB in f32.
constexpr int64_t kMaxAllElements = int64_t{1} << 29;

int newest_installed_opset() {
  return onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at(onnx::ONNX_DOMAIN).second;
}

int declared_opset(const onnx::ModelProto& proto) {
  int64_t opset = 0;
  for (const auto& import : proto.opset_import()) {
    if (import.domain().empty()) opset = std::max(opset, import.version());
  }
  if (opset == 0) fail("declares no opset, or is cut short");
  return static_cast<int>(std::clamp<int64_t>(opset, 0, std::numeric_limits<int>::max()));
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
  // Whether what is cast to that element type, a number of onnx::TensorProto::DataType, stays or becomes f32 instead:
  // half precision, be it the whole network's or only inside, and the image's type.
  [[nodiscard]] bool becomes_f32(int64_t data_type) const {
    return data_type == onnx::TensorProto::FLOAT16 || data_type == onnx::TensorProto::BFLOAT16 ||
           (precision_ != DType::f32 && data_type == dtype_to_onnx(precision_));
  }
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

OnnxSubgraph read_subgraph(const onnx::GraphProto& proto, int opset, TensorReader& tensors);

void read_attribute(const onnx::AttributeProto& attr, int opset, TensorReader& tensors, OnnxNode& node) {
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
      try {
        node.subgraphs[name] = std::make_shared<const OnnxSubgraph>(read_subgraph(attr.g(), opset, tensors));
      } catch (const Error& error) {
        node.unsupported.push_back(fmt::format("attribute '{}': {}", name, error.what()));
      }
      return;
    case A::GRAPHS: node.unsupported.push_back(fmt::format("attribute '{}' is a list of subgraphs", name)); return;
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
                .subgraphs = {},
                .captured = names_read_inside(proto),
                .unsupported = {},
                .inputs = {proto.input().begin(), proto.input().end()},
                .outputs = {proto.output().begin(), proto.output().end()}};
  for (const auto& attr : proto.attribute()) read_attribute(attr, opset, tensors, node);
  for (const char* name : {"to", "dtype"}) {
    const bool dtype = (name == std::string_view("to")) == (node.op == "Cast") && node.attrs.has(name);
    if (dtype && std::holds_alternative<int64_t>(node.attrs.all().at(name)) &&
        tensors.becomes_f32(node.attrs.integer(name))) {
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

// What the file says of an output is for messages only.
OnnxInput read_output(const onnx::ValueInfoProto& info) {
  try {
    return read_input(info);
  } catch (const Error&) {
    return {.name = info.name(), .type = {}, .ranked = false};
  }
}

// The first few.
std::string listed(std::vector<std::string> parts) {
  constexpr std::size_t kMost = 3;
  const std::size_t more = parts.size() - std::min(parts.size(), kMost);
  parts.resize(parts.size() - more);
  return join(parts, ", ") + (more > 0 ? fmt::format(" and {} others", more) : "");
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

OnnxInitializers read_initializers(const onnx::GraphProto& graph, TensorReader& tensors) {
  if (graph.sparse_initializer_size() > 0) {
    fail("initializer '{}' is a sparse tensor: write it as a dense one, its zeros included",
         graph.sparse_initializer(0).values().name());
  }
  OnnxInitializers initializers;
  for (const auto& tensor : graph.initializer()) {
    try {
      initializers.emplace_back(tensor.name(), tensors.read(tensor, true));
    } catch (const Error& error) {
      throw error.within(fmt::format("initializer '{}'", tensor.name()));
    }
  }
  return initializers;
}

std::vector<OnnxNode> read_nodes(const onnx::GraphProto& graph, int opset, TensorReader& tensors) {
  std::vector<OnnxNode> nodes;
  for (const auto& node : graph.node()) nodes.push_back(read_node(node, opset, tensors));
  name_nodes(nodes);
  return nodes;
}

OnnxSubgraph read_subgraph(const onnx::GraphProto& proto, int opset, TensorReader& tensors) {
  OnnxSubgraph graph{.nodes = read_nodes(proto, opset, tensors),
                     .initializers = read_initializers(proto, tensors),
                     .inputs = {},
                     .outputs = {}};
  for (const auto& info : proto.input()) graph.inputs.push_back(info.name());
  for (const auto& info : proto.output()) graph.outputs.push_back(info.name());
  return graph;
}

OnnxModel read_model(onnx::ModelProto& proto, const std::string& file, const std::filesystem::path& folder) {
  OnnxModel model;
  model.file = file;
  model.name = proto.graph().name();
  model.producer = proto.producer_name();
  unify_domains(proto);
  onnx::GraphProto& graph = *proto.mutable_graph();
  const int newest = std::max(kNewestOpset, newest_installed_opset());
  model.declared_opset = declared_opset(proto);
  model.opset = std::clamp(model.declared_opset, kOldestOpset, newest);
  if (model.opset != model.declared_opset) {
    model.problems.push_back(fmt::format("declares opset {}, supported are {} to {}; export it with one of those",
                                         model.declared_opset, kOldestOpset, newest));
  }
  inline_functions(proto);
  if (const int64_t count = count_nodes(graph); count > kMaxNodes) {
    fail("has {} nodes, a network may have up to {}", count, kMaxNodes);
  }
  check_names(graph);
  if (const std::vector<std::string> unread = drop_unread_nodes(graph); !unread.empty()) {
    model.notes.push_back(fmt::format("no output needs {}: left out", listed(unread)));
  }
  load_all_external_data(graph, folder);
  // A newer container around an opset that we know is read as what it is for that opset.
  if (proto.ir_version() > onnx::Version::IR_VERSION) {
    model.notes.push_back(fmt::format("declares IR version {}, read as version {}", proto.ir_version(),
                                      static_cast<int>(onnx::Version::IR_VERSION)));
    proto.set_ir_version(onnx::Version::IR_VERSION);
  }
  std::set<std::string> with_initializer;
  for (const auto& tensor : graph.initializer()) with_initializer.insert(tensor.name());
  for (const auto& info : graph.input()) {
    if (!with_initializer.contains(info.name())) model.inputs.push_back(read_input(info));
  }
  // The one input may have an initializer too, as its default value: a fitted network brings its z so.
  const bool has_default = model.inputs.empty() && graph.input_size() == 1;
  if (has_default) model.inputs.push_back(read_input(graph.input(0)));
  const bool one_float = model.inputs.size() == 1 && is_floating(model.inputs[0].type.dtype);
  TensorReader tensors(one_float ? model.inputs[0].type.dtype : DType::f32);
  model.initializers = read_initializers(graph, tensors);
  if (has_default) {
    const auto is_input = [&](const auto& initializer) { return initializer.first == model.inputs[0].name; };
    const auto it = std::find_if(model.initializers.begin(), model.initializers.end(), is_input);
    model.inputs[0].value = std::move(it->second);
    model.initializers.erase(it);
  }
  model.nodes = read_nodes(graph, model.opset, tensors);
  // Behind our own, which say more of what they refuse.
  if (model.declared_opset > newest_installed_opset()) {
    if (model.problems.empty()) {
      model.notes.push_back(fmt::format("declares opset {}, newer than the installed ONNX ({}), which can't check it",
                                        model.opset, newest_installed_opset()));
    }
  } else if (const std::string unknown = unknown_op(proto, model.opset); !unknown.empty()) {
    model.invalid = fmt::format("'{}' is not an op of ONNX opset {}", unknown, model.opset);
  } else {
    model.invalid = refusal_of(proto);
  }
  for (const auto& info : graph.output()) {
    model.outputs.push_back(read_output(info));
  }
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

std::string declared_shape(const OnnxInput& input) { return input.ranked ? open_shape(input.type.shape) : "unknown"; }

bool is_channels_last(const OnnxModel& model, const OnnxInput& input) {
  constexpr int64_t kMostChannels = 4;
  const auto looks_so = [](const Shape& shape) {
    if (shape.rank() != 4 || shape[3] == 0 || shape[3] > kMostChannels) return false;
    return std::min(shape[1] == 0 ? kMostChannels + 1 : shape[1], shape[2] == 0 ? kMostChannels + 1 : shape[2]) >
           kMostChannels;
  };
  if (!looks_so(input.type.shape)) return false;
  // A very narrow image with many channels is told from it by what is made of it.
  return input.type.shape[1] == 0 || std::any_of(model.outputs.begin(), model.outputs.end(),
                                                 [&](const auto& output) { return looks_so(output.type.shape); });
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
    fail("input '{}' has shape {}, expected an image [1, channels, height, width]", input.name, declared_shape(input));
  }
  if (is_channels_last(model, input)) {
    fail(
        "input '{}' has shape {}: its channels are last (NHWC, as TensorFlow has images), expected [1, channels, "
        "height, width]; export it with channels first (tf2onnx: --inputs-as-nchw {} and --outputs-as-nchw)",
        input.name, declared_shape(input), input.name);
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
