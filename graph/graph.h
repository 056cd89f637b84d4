// The intermediate representation: a directed acyclic graph of ops over values with static shapes.
//
// Nodes stand in topological order: a node's inputs are computed before it, and passes keep it so. Values are
// numbered; a ValueId is an index and stays valid while the graph only grows. A Graph is a plain value: copy it,
// transform the copy. The ops' meaning is in the OpTable that nodes point into, which must outlive the graph.
//
//   GraphBuilder b(graph, table);
//   ValueId x = b.input("x", {DType::f32, Shape{1, 3, 64, 64}});
//   ValueId y = b.add("LeakyRelu", {x}, {{"alpha", 0.2}});
//   graph.outputs = {y};
#pragma once

#include <string>
#include <vector>

#include "graph/attrs.h"
#include "graph/shape.h"
#include "graph/tensor.h"

namespace hourglass {

struct OpDef;
class OpTable;

struct ValueId {
  int32_t index = -1;
  [[nodiscard]] bool valid() const { return index >= 0; }
  auto operator<=>(const ValueId&) const = default;
};
// Stands for an optional input that is not given.
inline constexpr ValueId kNoValue{};
// The place of its value in Graph::values.
inline std::size_t at(ValueId id) { return static_cast<std::size_t>(id.index); }

// What a value looks like: element type and extents.
struct TensorType {
  DType dtype = DType::f32;
  Shape shape;
  bool operator==(const TensorType&) const = default;
};

enum class ValueKind : uint8_t {
  input,      // given by the caller before each run
  constant,   // fixed, Value::data holds it
  parameter,  // trained; Value::init says how it starts
  computed,   // output of a node
};

// How a parameter starts. Distributions are drawn by the trainer from its seed.
struct Init {
  enum class Kind : uint8_t { values, uniform, normal };
  Kind kind = Kind::values;
  double low = 0, high = 0;     // uniform: [low, high)
  double mean = 0, stddev = 0;  // normal
};

struct Value {
  std::string name;  // unique within the graph
  TensorType type;
  ValueKind kind = ValueKind::computed;
  int32_t producer = -1;  // computed: index into Graph::nodes
  Init init;              // parameter
  // constant; parameter with Init::Kind::values; input that has a value where the caller gives none
  std::shared_ptr<const HostTensor> data;
};

struct Node {
  const OpDef* op = nullptr;
  std::string name;  // as in the file, or made from the op; unique
  Attrs attrs;
  std::vector<ValueId> inputs;  // kNoValue for an optional input that is not given
  std::vector<ValueId> outputs;
  // For a node that fuse_elementwise() made of others: those, in order. Values that only they read are
  // nobody's outputs.
  std::vector<Node> body = {};
};

class Graph {
 public:
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;

  // In graph.cpp: many sources copy and destroy graphs.
  Graph();
  Graph(const Graph& other);
  Graph(Graph&& other) noexcept;
  Graph& operator=(const Graph& other);
  Graph& operator=(Graph&& other) noexcept;
  ~Graph();

  [[nodiscard]] const Value& value(ValueId id) const { return values[static_cast<std::size_t>(id.index)]; }
  Value& value(ValueId id) { return values[static_cast<std::size_t>(id.index)]; }
  [[nodiscard]] const TensorType& type(ValueId id) const { return value(id).type; }
  [[nodiscard]] const Shape& shape(ValueId id) const { return value(id).type.shape; }

  // All values of one kind, in order of creation.
  [[nodiscard]] std::vector<ValueId> all(ValueKind kind) const;
  [[nodiscard]] std::vector<ValueId> parameters() const { return all(ValueKind::parameter); }
  // Sets every Value::producer, after a pass has moved or dropped nodes.
  void find_producers();
  // kNoValue when there is none.
  [[nodiscard]] ValueId find(std::string_view value_name) const;
};

// Adds to a graph; every node is shape-checked as it is added.
class GraphBuilder {
 public:
  GraphBuilder(Graph& graph, const OpTable& table);
  ~GraphBuilder();

  ValueId input(const std::string& name, TensorType type);
  ValueId constant(HostTensor data, const std::string& name = "constant");
  ValueId parameter(const std::string& name, TensorType type, Init init,
                    std::shared_ptr<const HostTensor> values = nullptr);

  // Appends a node of the op, fills in attribute defaults, infers its outputs' types. Returns the first output;
  // the others follow in node(...).outputs. An op that is a composition (OpDef::lower) adds its parts instead. Throws
  // Error, with the node's name and op, when the op's rules are not met. `name` is made unique; empty means "take it
  // from the op's name".
  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attrs attrs = {}, std::string name = {});
  // The same, all outputs.
  std::vector<ValueId> add_all(std::string_view op, std::vector<ValueId> inputs, Attrs attrs = {},
                               std::string name = {});

  // Adds the nodes of a graph of one input and one output, with its constants and parameters, and takes `input` for its
  // input. Names are those of the other graph behind `prefix`. Returns its output.
  ValueId append(const Graph& other, ValueId input, const std::string& prefix = {});

  [[nodiscard]] Graph& graph() { return graph_; }
  [[nodiscard]] const OpTable& table() const { return table_; }
  // `name`, or `name` with a number behind it when it is taken. Reserves it.
  std::string unique_name(const std::string& name);

 private:
  ValueId add_value(Value value);

  Graph& graph_;
  const OpTable& table_;
  std::map<std::string, int, std::less<>> taken_;
};

// A readable dump, one line per value and node, those of a body indented below theirs:
//   %12 up3/conv = Conv(%8, weights, bias) {pads=[1,1,1,1]} -> f32:1x128x64x64
std::string to_string(const Graph& graph);

}  // namespace hourglass
