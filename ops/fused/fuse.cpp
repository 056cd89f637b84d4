#include "ops/fused/fuse.h"

#include <algorithm>
#include <optional>

#include "graph/matcher.h"
#include "graph/op.h"
#include "ops/convolution/source_inputs.h"
#include "ops/normalization/backward.h"
#include "ops/resampling/separable_map.h"

namespace hourglass {
namespace {

// The Conv's pads once it also pads as `pad` does; empty where it can't.
Dims joined_pads(const Graph& graph, const Node& pad, const Node& conv) {
  const std::string& mode = pad.attrs.string("mode");
  const Dims& given = pad.attrs.ints("pads");
  const Dims& own = conv.attrs.ints("pads");
  const bool plain_conv = std::all_of(own.begin(), own.end(), [](int64_t p) { return p == 0; }) &&
                          conv.attrs.integer("group") == 1 && !conv.attrs.has("pad_mode") &&
                          (conv.attrs.string("auto_pad") == "NOTSET" || conv.attrs.string("auto_pad") == "VALID");
  const bool spatial = graph.shape(pad.inputs[0]).rank() == 4 && !pad.attrs.has("axes") && given.size() == 8 &&
                       given[0] == 0 && given[1] == 0 && given[4] == 0 && given[5] == 0;
  if (mode == "constant" || !plain_conv || !spatial) return {};
  const Dims pads{given[2], given[3], given[6], given[7]};
  return std::all_of(pads.begin(), pads.end(), [](int64_t p) { return p >= 0; }) ? pads : Dims{};
}

// Whether the Concat joins two images along their channels.
bool joins_two_images(const Graph& graph, const Node& concat) {
  const int rank = graph.shape(concat.outputs[0]).rank();
  return concat.inputs.size() == 2 && concat.inputs[0] != concat.inputs[1] && rank == 4 &&
         normalize_axis(concat.attrs.integer("axis"), rank) == 1;
}

bool is_normalization(const Node& node) {
  return node.op->name == "BatchNormalization" || node.op->name == "ConcatBatchNormalization";
}
std::size_t images_of(const Node& norm) { return norm.inputs.size() - 2; }

// Makes `node`, whose source is the result of `norm`, read the source of `norm` instead and normalise it. `conv_bias`
// is the Conv's own bias, or none.
void read_before(const Node& norm, ValueId conv_bias, Node& node) {
  const std::size_t images = images_of(norm);
  node.inputs = SourceInputs{.src = norm.inputs[0],
                             .other = node.inputs[1],
                             .scale = norm.inputs[images],
                             .bias = norm.inputs[images + 1],
                             .mean = norm.outputs[1],
                             .inv_std = norm.outputs[2],
                             .second = images == 2 ? norm.inputs[1] : kNoValue,
                             .conv_bias = conv_bias}
                    .list();
  node.attrs.set("alpha", norm.attrs.real("alpha"));
}

// The op that computes the same as the node, and statistics of its result; empty where there is none.
std::string_view with_statistics(const Node& node) {
  if (node.outputs.size() != 1) return {};
  if (node.op->name == "Resize") return "ResizeWithStatistics";
  const bool is_plain_conv = node.op->name == "Conv" && node.inputs.size() == 2 && node.attrs.integer("group") == 1;
  return is_plain_conv || node.op->name == "FusedConv" ? "FusedConv" : "";
}

}  // namespace

void fuse(Graph& graph, const OpTable& table) {
  const std::vector<int> uses = count_uses(graph);
  std::vector<bool> dropped(graph.nodes.size(), false);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    Node& node = graph.nodes[n];
    if (node.op->name == "Conv") {
      const Node* pad = sole_producer(graph, uses, node.inputs[0], "Pad");
      const Dims pads = pad != nullptr ? joined_pads(graph, *pad, node) : Dims{};
      if (pads.empty()) continue;
      node.attrs.set("pads", pads);
      node.attrs.set("auto_pad", std::string("NOTSET"));
      node.attrs.set("pad_mode", pad->attrs.string("mode"));
      node.inputs[0] = pad->inputs[0];
      dropped[static_cast<std::size_t>(pad - graph.nodes.data())] = true;
    } else if (node.op->name == "LeakyRelu" || node.op->name == "Relu") {
      Node* norm = sole_producer(graph, uses, node.inputs[0], "BatchNormalization");
      if (norm == nullptr || norm->attrs.real("alpha") != 1) continue;
      // BatchNormalizationGrad recomputes y, the value before the activation, and reads its sign, so negative slopes
      // are fine, too.
      norm->attrs.set("alpha", node.op->name == "Relu" ? 0.0 : node.attrs.real("alpha"));
      norm->outputs[0] = node.outputs[0];
      dropped[n] = true;
    } else if (node.op->name == "BatchNormalization") {
      Node* conv = sole_producer(graph, uses, node.inputs[0], "Conv");
      if (conv != nullptr && conv->inputs.size() == 3) conv->inputs.resize(2);
    }
  }
  // After the loop above, since each BatchNormalization has its activation now.
  for (Node& node : graph.nodes) {
    if (node.op->name != "BatchNormalization") continue;
    const Node* concat = sole_producer(graph, uses, node.inputs[0], "Concat");
    if (concat == nullptr || !joins_two_images(graph, *concat)) continue;
    node.op = table.find("ConcatBatchNormalization");
    node.inputs = {concat->inputs[0], concat->inputs[1], node.inputs[1], node.inputs[2]};
    for (const char* of_onnx : {"momentum", "training_mode"}) node.attrs.erase(of_onnx);
    dropped[static_cast<std::size_t>(concat - graph.nodes.data())] = true;
  }
  drop_nodes(graph, dropped);
}

void fuse_normalized_sources(Graph& graph, std::size_t forward_nodes) {
  for (std::size_t n = forward_nodes; n < graph.nodes.size(); ++n) {
    Node& node = graph.nodes[n];
    if (node.op->name != "ConvGradWeights" || node.inputs.size() != 2) continue;
    const int32_t producer = graph.value(node.inputs[0]).producer;
    if (producer < 0 || static_cast<std::size_t>(producer) >= forward_nodes) continue;
    const Node& norm = graph.nodes[static_cast<std::size_t>(producer)];
    if (is_normalization(norm) && norm.outputs[0] == node.inputs[0]) read_before(norm, kNoValue, node);
  }
}

namespace {

// Whether a Conv can resize its source while it reads, as this Resize does.
bool resizes_for_conv(const Graph& graph, const Node& node) {
  if (node.op->name != "Resize") return false;
  const Shape &src = graph.shape(node.inputs[0]), &dst = graph.shape(node.outputs[0]);
  return node.attrs.string("coordinate_transformation_mode") != "tf_crop_and_resize" && dst[2] >= src[2] &&
         dst[3] >= src[3] && src[1] <= kernels::SeparableMap::kMostChannels;
}

void add_attrs(const Node& from, Node& to) {
  for (const auto& [name, value] : from.attrs.all()) to.attrs.set(name, value);
}

// Makes `node` read the source of `resize` and resize it.
void read_before_resize(const Node& resize, Node& node) {
  node.inputs[0] = resize.inputs[0];
  add_attrs(resize, node);
}

// All readers of a Resize's result, and the gradients among them, where each can work from the small image; absent
// where any reader can't.
struct ResizedUsers {
  Node *norm = nullptr, *norm_grad = nullptr, *resize_grad = nullptr, *grad_weights = nullptr, *grad_src = nullptr;
};
std::optional<ResizedUsers> resized_users(Graph& graph, const std::vector<std::vector<Node*>>& readers,
                                          const Node& resize, std::size_t forward_nodes) {
  ResizedUsers users;
  const ValueId id = resize.outputs[0];
  for (Node* node : readers[at(id)]) {
    const bool is_forward = node < graph.nodes.data() + forward_nodes;
    const bool is_first = std::count(node->inputs.begin(), node->inputs.end(), id) == 1;
    const bool is_grad = node->op->name == "BatchNormalizationGrad" || node->op->name == "ConcatBatchNormalizationGrad";
    if (is_forward && is_first && is_normalization(*node) && node->inputs[0] == id && users.norm == nullptr) {
      users.norm = node;
    } else if (!is_forward && is_first && is_grad && node->inputs[1] == id && users.norm_grad == nullptr) {
      users.norm_grad = node;
    } else if (!is_forward && is_first && node->op->name == "ConvGradWeights" && node->inputs[0] == id &&
               node->inputs.size() > 2 && users.grad_weights == nullptr) {
      users.grad_weights = node;
    } else {
      return std::nullopt;
    }
  }
  if (users.norm == nullptr || users.norm_grad == nullptr || users.grad_weights == nullptr) return std::nullopt;
  const std::vector<Node*>& of_norm = readers[at(users.norm->outputs[0])];
  const std::vector<Node*>& of_grad = readers[at(users.norm_grad->outputs[0])];
  const bool fits = users.norm->attrs.real("alpha") == 1 && of_norm.size() == 1 && of_norm[0]->op->name == "Conv" &&
                    of_norm[0]->attrs.integer("group") == 1 && of_grad.size() == 1 &&
                    of_grad[0]->op->name == "ResizeGrad";
  if (!fits) return std::nullopt;
  users.resize_grad = of_grad[0];
  // diff_dst of the BatchNormalization.
  const ValueId back = users.norm_grad->inputs[0];
  const int32_t producer = graph.value(back).producer;
  if (producer < 0 || readers[at(back)].size() != 1) return std::nullopt;
  users.grad_src = &graph.nodes[static_cast<std::size_t>(producer)];
  if (users.grad_src->op->name != "ConvGradSrc") return std::nullopt;
  return users;
}

}  // namespace

void fuse_resized_gradients(Graph& graph, std::size_t forward_nodes, const OpTable& table) {
  const std::vector<std::vector<Node*>> readers = readers_of(graph);
  std::vector<bool> dropped(graph.nodes.size(), false);
  for (std::size_t n = 0; n < forward_nodes; ++n) {
    const Node& resize = graph.nodes[n];
    if (!resizes_for_conv(graph, resize)) continue;
    const auto is_output = [&](ValueId id) {
      return std::find(graph.outputs.begin(), graph.outputs.end(), id) != graph.outputs.end();
    };
    const auto users = resized_users(graph, readers, resize, forward_nodes);
    if (!users || is_output(resize.outputs[0]) || is_output(users->norm->outputs[0]) ||
        is_output(users->norm_grad->outputs[0]) || is_output(users->norm_grad->inputs[0])) {
      continue;
    }
    Node &norm = *users->norm_grad, &conv = *users->grad_src;
    const bool joins = norm.op->name == "ConcatBatchNormalizationGrad";
    const std::size_t numbers = joins ? 3 : 2;  // scale, bias, mean, inv_std
    // The convolution's gradient of its source becomes two: of the image before it was resized, and of the other image.
    conv.op = table.find("ConvResizeGradSrc");
    conv.attrs.set("resized_from", graph.shape(resize.inputs[0]).dims());
    add_attrs(resize, conv);
    const auto value_like = [&](ValueId id, const char* suffix) {
      graph.values.push_back(
          {.name = conv.name + suffix, .type = graph.type(id), .kind = ValueKind::computed, .init = {}, .data = {}});
      return ValueId{static_cast<int32_t>(graph.values.size() - 1)};
    };
    conv.outputs = {value_like(resize.inputs[0], ".small")};
    if (joins) conv.outputs.push_back(value_like(norm.inputs[2], ".other"));
    std::vector<ValueId> inputs{conv.outputs[0], resize.inputs[0]};
    for (std::size_t i = numbers; i < numbers + 4; ++i) inputs.push_back(norm.inputs[i]);
    const std::size_t first = joins ? 2 : 1;  // diff_scale
    std::vector<ValueId> outputs{users->resize_grad->outputs[0], norm.outputs[first], norm.outputs[first + 1]};
    if (joins) {
      inputs.insert(inputs.end(), {norm.inputs[2], conv.outputs[1]});
      outputs.push_back(norm.outputs[1]);
    }
    norm.inputs = std::move(inputs);
    norm.outputs = std::move(outputs);
    norm.op = table.find("ResizeBatchNormalizationGrad");
    norm.attrs = resize.attrs;
    read_before_resize(resize, *users->grad_weights);
    dropped[static_cast<std::size_t>(users->resize_grad - graph.nodes.data())] = true;
  }
  drop_nodes(graph, dropped);
}

namespace {

// A Resize that only a FusedConv and its statistics read disappears.
void resize_while_reading(Graph& graph, const OpTable& table) {
  const std::vector<int> uses = count_uses(graph);
  std::vector<bool> dropped(graph.nodes.size(), false);
  const auto find_reader = [&](ValueId id, std::string_view op) {
    return std::find_if(graph.nodes.begin(), graph.nodes.end(),
                        [&](const Node& node) { return node.op->name == op && node.inputs[0] == id; });
  };
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& resize = graph.nodes[n];
    if (!resizes_for_conv(graph, resize) || uses[at(resize.outputs[0])] != 2) continue;
    const auto conv = find_reader(resize.outputs[0], "FusedConv"),
               statistics = find_reader(resize.outputs[0], "BatchNormalizationStatistics");
    if (conv == graph.nodes.end() || statistics == graph.nodes.end() || conv->attrs.real("alpha") != 1) continue;
    read_before_resize(resize, *conv);
    read_before_resize(resize, *statistics);
    statistics->op = table.find("ResizeStatistics");
    dropped[n] = true;
  }
  drop_nodes(graph, dropped);
}

// A BatchNormalization that only one Conv reads becomes statistics of its image or images, and the Conv reads these
// images.
void normalize_while_reading(Graph& graph, const OpTable& table) {
  const std::vector<int> uses = count_uses(graph);
  for (Node& node : graph.nodes) {
    if (node.op->name != "Conv" || node.attrs.integer("group") != 1) continue;
    Node* norm = sole_producer(graph, uses, node.inputs[0], "BatchNormalization");
    if (norm == nullptr) norm = sole_producer(graph, uses, node.inputs[0], "ConcatBatchNormalization");
    if (norm == nullptr) continue;
    const ValueId bias = node.inputs.size() > 2 ? node.inputs[2] : kNoValue;
    node.op = table.find("FusedConv");
    read_before(*norm, bias, node);
    complete_attrs(*node.op, node.attrs);
    norm->op = table.find("BatchNormalizationStatistics");
    norm->inputs.resize(images_of(*norm));
    norm->outputs.erase(norm->outputs.begin());
    for (const char* of_apply : {"momentum", "training_mode", "alpha"}) norm->attrs.erase(of_apply);
  }
}

// Statistics of two concatenated images become statistics of each, concatenated.
void split_statistics(Graph& graph, const OpTable& table) {
  GraphBuilder b(graph, table);
  std::vector<Node> nodes = std::move(graph.nodes);
  graph.nodes.clear();
  for (Node& node : nodes) {
    if (node.op->name != "BatchNormalizationStatistics" || node.inputs.size() == 1) {
      graph.nodes.push_back(std::move(node));
      continue;
    }
    const Attrs attrs{{"epsilon", node.attrs.real("epsilon")}};
    const auto add = [&](ValueId image) { return b.add_all(std::string(node.op->name), {image}, attrs, node.name); };
    const std::vector<ValueId> first = add(node.inputs[0]), second = add(node.inputs[1]);
    for (std::size_t i = 0; i < 2; ++i) {
      b.add("Concat", {first[i], second[i]}, {{"axis", int64_t{0}}}, node.name);
      graph.nodes.back().outputs = {node.outputs[i]};
    }
  }
  graph.find_producers();
}

// The node that writes an image takes its statistics while writing.
void take_statistics_while_writing(Graph& graph, const OpTable& table) {
  std::vector<bool> dropped(graph.nodes.size(), false);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    Node& node = graph.nodes[n];
    const bool applies = node.op->name == "BatchNormalization";
    if (!applies && node.op->name != "BatchNormalizationStatistics") continue;
    const int32_t producer = graph.value(node.inputs[0]).producer;
    if (producer < 0) continue;
    Node& writer = graph.nodes[static_cast<std::size_t>(producer)];
    const std::string_view op = with_statistics(writer);
    if (op.empty()) continue;
    writer.op = table.find(op);
    writer.outputs.insert(writer.outputs.end(), node.outputs.end() - 2, node.outputs.end());
    if (op == "FusedConv") writer.attrs.set("with_statistics", int64_t{1});
    writer.attrs.set("epsilon", node.attrs.real("epsilon"));
    complete_attrs(*writer.op, writer.attrs);
    dropped[n] = !applies;
    if (!applies) continue;
    node.op = table.find("BatchNormalizationApply");
    node.inputs.insert(node.inputs.end(), node.outputs.begin() + 1, node.outputs.end());
    node.outputs.resize(1);
    for (const char* of_statistics : {"momentum", "training_mode", "epsilon"}) node.attrs.erase(of_statistics);
  }
  drop_nodes(graph, dropped);
}

}  // namespace

namespace {

// The ConvGradSrc of a pointwise convolution of few channels that makes the value, where nothing else reads it; or
// null.
Node* pointwise_gradient(Graph& graph, const std::vector<int>& uses, ValueId id) {
  Node* node = sole_producer(graph, uses, id, "ConvGradSrc");
  if (node == nullptr || node->attrs.integer("group") != 1) return nullptr;
  const Shape &from = graph.shape(node->inputs[0]), &weights = graph.shape(node->inputs[1]), &to = graph.shape(id);
  const Dims& strides = node->attrs.ints("strides");
  const bool steps_by_one = std::all_of(strides.begin(), strides.end(), [](int64_t s) { return s == 1; });
  const bool is_pointwise = steps_by_one && weights[2] == 1 && weights[3] == 1 && from[2] == to[2] && from[3] == to[3];
  return is_pointwise && weights[0] <= kernels::PointwiseGradient::kMostChannels ? node : nullptr;
}

}  // namespace

void fuse_pointwise_gradients(Graph& graph, const OpTable& table) {
  const std::vector<int> uses = count_uses(graph);
  std::vector<bool> dropped(graph.nodes.size(), false);
  const auto drop = [&](const Node& node) { dropped[static_cast<std::size_t>(&node - graph.nodes.data())] = true; };
  for (Node& node : graph.nodes) {
    if (node.op->name != "BatchNormalizationGrad" || graph.shape(node.inputs[0]).rank() != 4) continue;
    const Node* conv = pointwise_gradient(graph, uses, node.inputs[0]);
    ValueId other;
    if (conv == nullptr) {
      const Node* sum = sole_producer(graph, uses, node.inputs[0], "Add");
      if (sum == nullptr || graph.shape(sum->inputs[0]) != graph.shape(sum->inputs[1])) continue;
      for (std::size_t i = 0; i < 2 && conv == nullptr; ++i) {
        conv = pointwise_gradient(graph, uses, sum->inputs[i]);
        other = sum->inputs[1 - i];
      }
      if (conv == nullptr) continue;
      drop(*sum);
    }
    drop(*conv);
    std::vector<ValueId> inputs = conv->inputs;
    inputs.insert(inputs.end(), node.inputs.begin() + 1, node.inputs.end());
    if (other.valid()) inputs.push_back(other);
    node.inputs = std::move(inputs);
    node.op = table.find("PointwiseBatchNormalizationGrad");
  }
  drop_nodes(graph, dropped);
}

void fuse_normalizations(Graph& graph, const OpTable& table) {
  normalize_while_reading(graph, table);
  split_statistics(graph, table);
  resize_while_reading(graph, table);
  take_statistics_while_writing(graph, table);
}

}  // namespace hourglass
