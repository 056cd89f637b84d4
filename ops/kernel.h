// How an op becomes a kernel: decide once in plan(), run many times.
//
// OpDef::plan gets a PlanContext and answers with a KernelPlan: which layout it wants for each input (the planner
// inserts a reorder where the producer made another), which layout it makes for each output, how much scratch
// memory it needs, which outputs may overwrite which inputs, and a Kernel. bind() is called once with the final
// addresses; run() is called once per iteration and neither allocates, throws nor locks.
//
// Layouts are oneDNN memory descriptors. Our own loops see 4-D activations through ops/memory/view.h.
#pragma once

#include <dnnl.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graph/op.h"
#include "ops/layout_policy.h"

namespace hourglass {

using MemoryDesc = dnnl::memory::desc;

// Addresses of a kernel's arguments, fixed after planning. src[i] is null for an optional input that is not given.
struct Addresses {
  std::vector<void*> src;
  std::vector<void*> dst;
  void* scratch = nullptr;  // 64-byte aligned
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void bind(const Addresses& addresses, const dnnl::stream& stream) = 0;
  virtual void run() noexcept = 0;
  // For measurements: runs a convolution's products alone, without copies between layouts, normalisation of the source,
  // or statistics of the result. The memory's contents mean nothing after it.
  virtual void run_primitives() noexcept { run(); }
};

struct KernelPlan {
  std::vector<MemoryDesc> src;  // one per node input; zero descriptor for one that is not given
  std::vector<MemoryDesc> dst;  // one per node output
  std::size_t scratch_bytes = 0;
  // (output, input) pairs whose memory may be shared: run() then reads and writes the same address.
  std::vector<std::pair<int, int>> in_place = {};
  // What runs: "loop"; oneDNN's name, "jit:avx512_common"; a convolution's kernel by its name in
  // ops/convolution/choose.h and the instructions or oneDNN's name behind it, "winograd_forward:avx2".
  std::string implementation;
  // A convolution's kernel without oneDNN, which allocates nothing while it runs.
  bool ours = false;
  // The kernels that were asked before, best first, and why they declined: "winograd_forward: 3x3 with stride 1 only".
  std::vector<std::string> declined = {};
  // The largest error of a result, relative to the result's largest value, of algorithms that round intermediate values
  // to bf16; 0: no more than the element type's own rounding.
  double rounding = 0;
  std::unique_ptr<Kernel> kernel;
};

namespace kernels {
class WholeBounds;  // ops/loops/whole_bounds.h
}

class PlanContext {
 public:
  PlanContext(const Graph& graph_, const Node& node_, const dnnl::engine& engine_, std::vector<MemoryDesc> src_,
              LayoutPolicy policy_)
      : graph(graph_), node(node_), engine(engine_), src(std::move(src_)), policy(policy_) {}

  const Graph& graph;
  const Node& node;
  const dnnl::engine& engine;
  // What the inputs look like now, as their producers made them.
  std::vector<MemoryDesc> src;
  LayoutPolicy policy;
  // What is known of the graph's whole numbers, where all of its nodes are planned; or null.
  kernels::WholeBounds* whole_bounds = nullptr;

  [[nodiscard]] bool has(std::size_t i) const { return i < node.inputs.size() && node.inputs[i].valid(); }
  [[nodiscard]] const TensorType& in(std::size_t i) const { return graph.type(node.inputs[i]); }
  [[nodiscard]] const TensorType& out(std::size_t i = 0) const { return graph.type(node.outputs[i]); }
};

// A kernel from a function: it is called with the bound addresses at every run.
std::unique_ptr<Kernel> loop_kernel(std::function<void(const Addresses&)> run);

// One that runs its steps one after another, on the same addresses; run_primitives() runs step `main` alone.
std::unique_ptr<Kernel> sequence_kernel(std::vector<std::unique_ptr<Kernel>> steps, std::size_t main);

}  // namespace hourglass
