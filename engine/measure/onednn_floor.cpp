#include "engine/measure/onednn_floor.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "engine/measure/statistics.h"
#include "engine/runtime/team.h"
#include "graph/op.h"
#include "ops/convolution/convolution.h"
#include "ops/geometry/resize_taps.h"
#include "ops/memory/onednn.h"

namespace hourglass {
namespace {

using kernels::Direction;

struct Operands {
  Direction direction = Direction::forward;
  TensorType src, weights, dst;  // or the gradients in their places
};

// What is read at input 0, resized where the node does that, with the channels that the weights want.
TensorType source_of(const Graph& graph, const Node& node, const Shape& weights) {
  TensorType type = graph.type(node.inputs[0]);
  const Shape shape = kernels::resizes(node.attrs) ? kernels::resized_shape(node.attrs, type.shape) : type.shape;
  type.shape = Shape{shape[0], weights[1] * node.attrs.integer("group"), shape[2], shape[3]};
  return type;
}

std::optional<Operands> operands_of(const Graph& graph, const Node& node) {
  const auto in = [&](std::size_t i) { return graph.type(node.inputs[i]); };
  const TensorType out = graph.type(node.outputs[0]);
  if (node.op->name == "Conv" || node.op->name == "FusedConv") {
    return Operands{Direction::forward, source_of(graph, node, in(1).shape), in(1), out};
  }
  if (node.op->name == "ConvGradSrc") return Operands{Direction::grad_src, out, in(1), in(0)};
  if (node.op->name == "ConvResizeGradSrc") {
    return Operands{Direction::grad_src, {out.dtype, Shape(node.attrs.ints("src_shape"))}, in(1), in(0)};
  }
  if (node.op->name == "ConvGradWeights") {
    return Operands{Direction::grad_weights, source_of(graph, node, out.shape), out, in(1)};
  }
  return std::nullopt;
}

class Timing {
 public:
  Timing(int threads, int64_t times)
      : engine_(kernels::make_engine()), stream_(engine_), team_(threads), times_(times) {}

  // Where there is such a primitive, and not just a reference.
  template <class Primitive, class Desc>
  void add(const Desc& desc, std::initializer_list<std::pair<int, MemoryDesc>> arguments) {
    std::unordered_map<int, dnnl::memory> memories;
    for (const auto& [index, memory_desc] : arguments) {
      dnnl::memory memory(memory_desc, engine_);
      if (memory_desc.get_size() > 0) std::memset(memory.get_data_handle(), 0, memory_desc.get_size());
      memories.emplace(index, std::move(memory));
    }
    const Primitive primitive(desc);
    std::vector<double> seconds;
    for (int64_t i = 0; i <= times_; ++i) {
      const auto start = std::chrono::steady_clock::now();
      primitive.execute(stream_, memories);
      stream_.wait();
      if (i > 0) seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    const double median = spread_of(std::move(seconds)).median;
    best_ = best_ > 0 ? std::min(best_, median) : median;
  }
  void add_forward(const kernels::ConvolutionSpec& spec) {
    const auto desc = kernels::make_convolution(engine_, spec);
    if (!kernels::has_fast_implementation(desc)) return;
    add<dnnl::convolution_forward>(desc, {{DNNL_ARG_SRC, desc.src_desc()},
                                          {DNNL_ARG_WEIGHTS, desc.weights_desc()},
                                          {DNNL_ARG_DST, desc.dst_desc()},
                                          {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}});
  }
  void add_grad_src(const kernels::ConvolutionSpec& spec) {
    const auto desc = kernels::make_convolution_backward_data(engine_, spec);
    if (!kernels::has_fast_implementation(desc)) return;
    add<dnnl::convolution_backward_data>(desc, {{DNNL_ARG_DIFF_SRC, desc.diff_src_desc()},
                                                {DNNL_ARG_WEIGHTS, desc.weights_desc()},
                                                {DNNL_ARG_DIFF_DST, desc.diff_dst_desc()},
                                                {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}});
  }
  void add_grad_weights(const kernels::ConvolutionSpec& spec) {
    const auto desc = kernels::make_convolution_backward_weights(engine_, spec);
    if (!kernels::has_fast_implementation(desc)) return;
    add<dnnl::convolution_backward_weights>(desc, {{DNNL_ARG_SRC, desc.src_desc()},
                                                   {DNNL_ARG_DIFF_WEIGHTS, desc.diff_weights_desc()},
                                                   {DNNL_ARG_DIFF_DST, desc.diff_dst_desc()},
                                                   {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}});
  }
  [[nodiscard]] double best() const { return best_; }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  Team team_;
  int64_t times_;
  double best_ = 0;
};

}  // namespace

double time_onednn_convolution(const Graph& graph, const Node& node, int threads, int64_t times) {
  const std::optional<Operands> operands = operands_of(graph, node);
  if (!operands) return 0;
  const auto& [direction, src, weights, dst] = *operands;
  const int64_t group = node.attrs.integer("group");
  const Shape& shape = weights.shape;
  const kernels::Window window = kernels::window_of(node.attrs, src.shape, {shape[2], shape[3]});
  TensorType grouped = weights;
  if (group > 1) grouped.shape = Shape{group, shape[0] / group, shape[1], shape[2], shape[3]};
  Timing timing(threads, times);
  for (const kernels::Tag tag : {kernels::Tag::any, kernels::Tag::nhwc}) {
    const kernels::ConvolutionSpec spec{.src = kernels::with_tag(src, tag),
                                        .weights = kernels::any(grouped),
                                        .bias = {},
                                        .dst = kernels::with_tag(dst, tag),
                                        .strides = window.strides(),
                                        .dilations = window.dilations(),
                                        .padding_l = window.padding_l(),
                                        .padding_r = window.padding_r()};
    switch (direction) {
      case Direction::forward: timing.add_forward(spec); break;
      case Direction::grad_weights: timing.add_grad_weights(spec); break;
      case Direction::grad_src:
        timing.add_grad_src(spec);
        // A pointwise one is a convolution with the weights transposed, too, for which oneDNN 2.6 has faster kernels.
        if (group == 1 && window.h.is_pointwise() && window.w.is_pointwise()) {
          kernels::ConvolutionSpec transposed = spec;
          std::swap(transposed.src, transposed.dst);
          transposed.weights = kernels::any({weights.dtype, Shape{shape[1], shape[0], 1, 1}});
          timing.add_forward(transposed);
        }
        break;
    }
  }
  return timing.best();
}

}  // namespace hourglass
