// OnnxModel -> Graph, for one image size: node by node, in the file's order. Internal to graph/.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "graph/detail/constant_folder.h"
#include "graph/detail/onnx_model.h"
#include "graph/onnx_import.h"
#include "graph/op.h"

namespace hourglass {

class Binder {
 public:
  Binder(const OnnxModel& model, const OpTable& table, const ImportOptions& options);

  // Each once.
  ImportedModel bind();
  Examination examine();

 private:
  // ---- the whole file

  void find_nodes();
  [[nodiscard]] std::vector<std::string> wanted_outputs() const;
  void refuse_unsupported() const;
  void add_everything();
  void bind_input();
  void bind_inputs_anyhow();
  void simplify();
  // Throws Error for what makes all that is computed with it no number: a weight that is not finite as f32, or a NaN.
  // Other constants may be infinite, as masks are.
  void check_numbers(const Graph& graph) const;
  // Ops that exist to fold, and have not.
  [[nodiscard]] std::vector<const Node*> shape_ops_left() const;
  void cut_at_problems();
  NodeReport* report_of(std::string_view name);
  [[nodiscard]] std::vector<OutputReport> report_outputs() const;

  // ---- one node (bind_node.cpp)

  void add_initializer(const std::string& name, const std::shared_ptr<const HostTensor>& data);
  void add_node(const OnnxNode& file_node);
  // What can be said against a node without looking at a shape.
  [[nodiscard]] std::vector<std::string> reasons_of(const OnnxNode& node) const;
  void refuse(const OnnxNode& node, const std::string& problem);
  void give_up(const OnnxNode& node);
  // Of an examination: makes what a node with a problem would make stand for itself. False for what is not known.
  bool stand_in(const OnnxNode& node);
  bool add_source(const OnnxNode& node, const std::vector<ValueId>& inputs);
  bool add_copy(const OnnxNode& node, const std::vector<ValueId>& inputs);
  bool add_mean_of_mask(const OnnxNode& node, const std::vector<ValueId>& inputs);
  bool add_mean_of_choice(const OnnxNode& node, const std::vector<ValueId>& inputs);
  void canonicalize(const OnnxNode& file_node, Node& node, std::vector<std::string>& outputs);
  void inputs_to_attrs(Node& node);
  // Of a node that runs: what the file computes in double precision is computed in f32.
  void narrow_doubles(Node& node);
  bool add_parts(const Node& node, const std::vector<std::string>& outputs);
  bool fold(const Node& node, const std::vector<std::string>& outputs);
  void append(Node& node, const std::vector<std::string>& outputs);
  // Of values that others computed for a node; those from the graph's `first_new` on are called so, too.
  void name_outputs(const std::vector<std::string>& names, const std::vector<ValueId>& values, std::size_t first_new);
  void note(const std::string& text);
  // That a random mask counts as its mean; refused where nothing is trained.
  void note_mean_of_mask();

  // ---- control flow (bind_control_flow.cpp)

  bool add_control_flow(const OnnxNode& node, const std::vector<ValueId>& inputs);
  std::vector<ValueId> add_if(const OnnxNode& node, const std::vector<ValueId>& inputs);
  std::vector<ValueId> add_loop(const OnnxNode& node, const std::vector<ValueId>& inputs);
  // Throws Error for what is not known yet.
  bool is_true(ValueId id);
  // A subgraph's nodes, with its inputs as given; returns its outputs, kNoValue for those behind a node that failed.
  std::vector<ValueId> add_subgraph(const OnnxSubgraph& subgraph, const std::string& prefix,
                                    const std::vector<ValueId>& inputs);
  // The values of a Loop's iterations, one behind another along a new axis.
  ValueId stack(const std::vector<ValueId>& values, const std::string& name);

  // ---- values and their names

  // Names are looked up from the subgraph at hand outwards. kNoValue: behind a node that failed.
  [[nodiscard]] const ValueId* find(const std::string& name) const;
  void define(const std::string& name, ValueId id) { scopes_.back().names[name] = id; }
  // Value::name is the file's, which it is then known by.
  ValueId add_value(Value value);
  ValueId add_constant(const std::string& name, std::shared_ptr<const HostTensor> data);
  [[nodiscard]] std::string output_name(const Node& node, const std::vector<std::string>& outputs, std::size_t i) const;
  // Within a subgraph: with its prefix.
  std::string unique_name(const std::string& name);
  [[nodiscard]] std::string node_name(const OnnxNode& node) const { return scopes_.back().prefix + node.name; }
  // Made when it is first needed, with all names of the file taken.
  GraphBuilder& builder();

  struct Scope {
    std::string prefix;  // of what is made in it
    std::unordered_map<std::string, ValueId> names;
  };

  const OnnxModel& model_;
  const OpTable& table_;
  const ImportOptions& options_;
  ImportedModel result_{};
  Graph& graph_ = result_.graph;
  ConstantFolder folder_{graph_};
  std::vector<const OnnxNode*> nodes_;  // that are needed
  std::vector<Scope> scopes_{1};
  std::optional<GraphBuilder> builder_;
  std::unordered_set<std::string> weights_;                      // names of values in a weight's place
  std::vector<std::pair<std::string, std::string>> drawn_like_;  // outputs and ops of Random...Like
  std::vector<std::string> errors_;
  std::vector<ValueId> read_by_failed_;  // what nodes read that could not be added
  std::vector<std::string> stand_ins_;   // names of values
  std::vector<NodeReport> reports_;      // examine() only: one per node
  NodeReport* report_ = nullptr;         // of the node at hand
  int64_t drawn_ = 0;                    // elements
  int64_t part_elements_ = 0;
  int64_t written_out_ = 0;  // nodes, initializers, inputs and outputs of iterations and branches
  int separated_ = 0;
};

}  // namespace hourglass
