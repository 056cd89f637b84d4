// What it means to be an op: the contract that every file in ops/ fills in.
//
// A *canonical* node is an ONNX node with two changes: attributes are complete (defaults filled in), and inputs
// that must be constant (Pad's pads, Resize's scales, Slice's starts, ...) have become attributes, as
// OpDef::const_inputs says. Older opsets are brought to this form by OpDef::normalize. So shape rules, gradients
// and kernels see one form only, whatever opset a file declares.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace hourglass {

// Defined by ops/kernel.h; graph/ only passes them through.
class PlanContext;
struct KernelPlan;

// Shape inference. `inputs[i]` is null for an optional input that is not given. Push one type per output.
struct InferContext {
  const Attrs& attrs;
  std::vector<const TensorType*> inputs;
  std::vector<TensorType> outputs;

  [[nodiscard]] const Shape& shape(std::size_t i) const { return inputs[i]->shape; }
  [[nodiscard]] bool has(std::size_t i) const { return i < inputs.size() && inputs[i] != nullptr; }
};

// The double-precision reference: slow, plain, obviously right. outputs come zero-filled with the inferred
// types; write outputs[i].values. inputs[i] is null for an optional input that is not given.
struct ReferenceContext {
  const Attrs& attrs;
  std::vector<const HostTensor*> inputs;
  std::vector<HostTensor> outputs;
};

// The gradient rule (vector-Jacobian product): emits nodes that compute inputs' gradients from outputs'.
class VjpContext {
 public:
  VjpContext(GraphBuilder& builder, const Node& node, std::vector<ValueId> output_grads, std::vector<bool> wanted);

  GraphBuilder& b;
  const Node& node;  // the forward node; a copy, so adding nodes does not move it

  [[nodiscard]] ValueId in(std::size_t i) const { return i < node.inputs.size() ? node.inputs[i] : kNoValue; }
  [[nodiscard]] ValueId out(std::size_t i) const { return node.outputs[i]; }
  [[nodiscard]] const Shape& in_shape(std::size_t i) const { return b_graph().shape(in(i)); }
  // kNoValue when nothing flows back through output i.
  [[nodiscard]] ValueId grad_out(std::size_t i = 0) const { return output_grads_[i]; }
  // Whether input i is on a path from a parameter. A rule should not emit nodes for one that is not wanted.
  [[nodiscard]] bool wants(std::size_t i) const { return i < wanted_.size() && wanted_[i]; }
  // Must have the shape of input i.
  void set_grad(std::size_t i, ValueId grad);
  [[nodiscard]] const std::vector<ValueId>& grads() const { return grads_; }

 private:
  [[nodiscard]] const Graph& b_graph() const { return b.graph(); }
  std::vector<ValueId> output_grads_;
  std::vector<bool> wanted_;
  std::vector<ValueId> grads_;
};

// A node as read from a file, on its way to the canonical form. normalize() may change op, attrs and inputs; the
// importer then applies const_inputs and fills in defaults.
struct NormalizeContext {
  int opset;        // of the default domain, as the file declares it
  std::string& op;  // e.g. "Upsample" -> "Resize"
  Attrs& attrs;
  std::vector<ValueId>& inputs;
  std::vector<std::string>& outputs;  // names; drop what the canonical op does not have
  const Graph& graph;                 // types of the inputs
  std::vector<std::string>& notes;    // said to the user once, e.g. "trained with batch statistics"
  bool fixed = false;                 // ImportOptions::fixed
};

// A canonical node whose op is a composition of others, on its way to being those.
struct LowerContext {
  GraphBuilder& b;
  const Node& node;                // without outputs
  std::size_t outputs_wanted = 1;  // how many of them, from the first, are asked for

  [[nodiscard]] bool has(std::size_t i) const { return i < node.inputs.size() && node.inputs[i].valid(); }
  // A copy: adding nodes moves values.
  [[nodiscard]] Shape shape(ValueId id) const { return b.graph().shape(id); }
  // Adds a part, named after the node.
  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attrs attrs = {}) const;
  [[nodiscard]] ValueId reshape(ValueId src, Dims shape) const;
  // One number of src's type.
  [[nodiscard]] ValueId number(ValueId src, double value) const;
};

// From opset `since` (to `until`, that one included; 0 = still), input `index` is a constant that becomes attribute
// `attr`.
struct ConstInput {
  std::size_t index;
  std::string_view attr;
  int since = 1;
  int until = 0;
};

// A canonical node on its way into an ONNX file of opset kExportOpset or kNewerExportOpset (graph/onnx_export.h). The
// exporter has already turned attributes back into inputs as const_inputs says, and drops attributes that equal their default.
struct ToOnnxContext {
  const Graph& graph;
  const Node& node;
  std::vector<bool> output_used;  // by another node, or as an output of the graph
  std::string& op;
  Attrs& attrs;
  std::vector<std::string>& inputs;   // names; "" for one that is not given
  std::vector<std::string>& outputs;  // names
  // Adds an initializer to the file (its name is made from the node's and the hint) and returns its name.
  std::function<std::string(std::string_view hint, HostTensor)> constant;
};

// A row of an operand in f32: element i is data[i * step]. The step is 1, or 0 where one number stands for all.
struct RowSource {
  const float* data;
  int64_t step;
};
// Elements [0, count) of an elementwise op in f32, from one RowSource per input. dst may be any of the sources. Ops of
// more than kMostRowSources inputs stay alone: fuse_elementwise() leaves them as they are.
inline constexpr std::size_t kMostRowSources = 8;
using Row = std::function<void(const RowSource* src, float* dst, int64_t count)>;
// A sum over all elements, a row at a time: finish(sum of the rows' sums, number of elements).
struct RowSum {
  std::function<double(const float* src, int64_t count)> sum;
  std::function<double(double sum, double count)> finish;
};

struct OpDef {
  std::string_view name;
  // The oldest opset of the ONNX op that is understood.
  int since = 1;
  // Not an ONNX op: made by gradient rules and passes. Exported in the domain "hourglass".
  bool internal = false;
  // Inputs after const_inputs have become attributes.
  int min_inputs = 1, max_inputs = 1;
  std::vector<AttrSpec> attrs = {};
  std::vector<ConstInput> const_inputs = {};
  void (*normalize)(NormalizeContext&) = nullptr;
  // For an op that is a composition of others: adds those and returns the outputs. Whoever adds such a node, importer
  // or GraphBuilder, gets the parts instead, so gradients, kernels and references know the parts only, and the fields
  // from `infer` on may stay empty. It may return nothing: then the node stays what it is.
  std::vector<ValueId> (*lower)(LowerContext&) = nullptr;
  // For ops whose canonical form is not ONNX's, and for internal ones that ONNX has in another form. Returns false when
  // this node has no ONNX form: it is then written as it is, in the domain "hourglass".
  bool (*to_onnx)(ToOnnxContext&) = nullptr;
  void (*infer)(InferContext&) = nullptr;
  // Null where it is not needed (most internal ops), and with a reason in `no_gradient`.
  void (*vjp)(VjpContext&) = nullptr;
  std::string_view no_gradient = {};
  // Null for ops that only fold (Shape, Gather of integers, ...).
  KernelPlan (*plan)(PlanContext&) = nullptr;
  // For an op of one output whose element i is a function of the elements i of its inputs, broadcast to its shape; and
  // for one that sums up all elements where it makes one number. See plan_by_row() (ops/), fuse_elementwise() (graph/).
  Row (*row)(const Attrs&, std::size_t inputs) = nullptr;
  RowSum (*row_sum)() = nullptr;
  void (*reference)(ReferenceContext&) = nullptr;
  // The outputs' values depend on the inputs' types only (Shape, Size): the importer folds it whatever the inputs hold,
  // and `reference` gets inputs without values.
  bool by_type = false;
  // The inputs that may be bf16 (bit i: input i), all of them together; the others stay f32. 0: computes in f32 only.
  uint32_t bf16_inputs = 0;
  // out = A·in for fixed attributes: the harness checks <Ax, y> = <x, A'y>.
  bool linear = false;
  // The op that computes output 0 once more, for little more than the time to write it: this one, or one that takes
  // this node's inputs and its other outputs. Empty: that is worth keeping, see graph/recompute.h.
  std::string_view again = {};
};

// All ops by name. ops/table.h has the one that holds everything; tests may make their own.
class OpTable {
 public:
  explicit OpTable(std::vector<std::span<const OpDef>> families);
  // Null when there is none.
  [[nodiscard]] const OpDef* find(std::string_view name) const;
  [[nodiscard]] const std::vector<const OpDef*>& all() const { return all_; }

 private:
  std::vector<const OpDef*> all_;  // sorted by name
};

// Fills in defaults; throws Error naming unknown, missing or ill-typed attributes.
void complete_attrs(const OpDef& op, Attrs& attrs);

// Runs op.infer with the error's context set. `what` names the node in messages.
std::vector<TensorType> infer_types(const OpDef& op, const Attrs& attrs, const std::vector<const TensorType*>& inputs,
                                    const std::string& what);

// Adds the parts of a node that is a composition, see OpDef::lower; the last one gets its name, which must be reserved.
// Empty when the node has to stay what it is.
std::vector<ValueId> lower(GraphBuilder& builder, const Node& node, std::size_t outputs_wanted = 1);

// Evaluates one node by its reference.
std::vector<HostTensor> evaluate_reference(const OpDef& op, const Attrs& attrs,
                                           const std::vector<const HostTensor*>& inputs);

}  // namespace hourglass
