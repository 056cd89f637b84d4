// write_topologies FOLDER: every kind of network that models/builder.h makes, with its options, as ONNX files with
// weights (NAME.onnx), and what our references compute with them (NAME.golden.onnx: z and image). For another runtime
// to compute the same, see other_runtime.py.
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>

#include "graph/error.h"
#include "graph/evaluate.h"
#include "graph/onnx_export.h"
#include "models/builder.h"

namespace hourglass::test {
namespace {

std::map<std::string, Graph> topologies() {
  std::map<std::string, Graph> graphs;
  const auto skip = [&](const std::string& name, SkipOptions options) {
    options.channels = {4, 6};
    options.skips = {2, 0};
    options.input_depth = 3;
    graphs["skip-" + name] = make_skip(options, 24, 16);
  };
  skip("default", {});
  for (const auto& [name, value] :
       std::map<std::string, Upsample>{{"nearest", Upsample::nearest}, {"transposed", Upsample::transposed}}) {
    skip(name, {.upsample = value});
  }
  for (const auto& [name, value] : std::map<std::string, Downsample>{
           {"average", Downsample::average}, {"max", Downsample::max}, {"lanczos", Downsample::lanczos}}) {
    skip(name, {.down = value});
  }
  for (const auto& [name, value] : std::map<std::string, Activation>{
           {"swish", Activation::swish}, {"elu", Activation::elu}, {"relu", Activation::relu}}) {
    skip(name, {.activation = value});
  }
  skip("zero", {.padding = Padding::zero, .extra_1x1_up = false, .sigmoid = false});
  skip("filters", {.output_channels = 1, .filter_down = 5, .filter_up = 1, .filter_skip = 3});
  graphs["skip-up-channels"] =
      make_skip({.channels = {4, 6}, .up_channels = {5, 3}, .skips = {0, 2}, .input_depth = 1}, 24, 16);
  graphs["unet"] = make_unet({.channels = {4, 6, 5}, .input_depth = 3}, 24, 16);
  graphs["unet-stride"] = make_unet(
      {.channels = {4, 6}, .input_depth = 3, .upsample = Upsample::transposed, .down = Downsample::stride}, 24, 16);
  graphs["unet-average"] = make_unet({.channels = {4, 6},
                                      .input_depth = 3,
                                      .filter = 5,
                                      .down = Downsample::average,
                                      .activation = Activation::swish,
                                      .padding = Padding::zero},
                                     24, 16);
  graphs["unet-lanczos"] = make_unet({.channels = {4, 6},
                                      .input_depth = 3,
                                      .upsample = Upsample::nearest,
                                      .down = Downsample::lanczos,
                                      .activation = Activation::elu},
                                     24, 16);
  graphs["resnet"] = make_resnet({.channels = 5, .blocks = 2, .input_depth = 3}, 13, 18);
  graphs["resnet-zero"] = make_resnet({.channels = 5,
                                       .blocks = 1,
                                       .input_depth = 3,
                                       .filter = 5,
                                       .activation = Activation::elu,
                                       .padding = Padding::zero,
                                       .sigmoid = false},
                                      13, 18);
  graphs["residual_unet"] = make_residual_unet({.channels = {4, 6, 5}, .input_depth = 7}, 24, 16);
  graphs["deep_decoder"] = make_deep_decoder({.channels = {6, 5, 4}, .input_depth = 3}, 24, 16);
  graphs["deep_decoder-transposed"] = make_deep_decoder({.channels = {6, 5},
                                                         .input_depth = 3,
                                                         .output_channels = 1,
                                                         .upsample = Upsample::transposed,
                                                         .activation = Activation::leaky_relu},
                                                        24, 16);
  graphs["deep_decoder-nearest"] =
      make_deep_decoder({.channels = {6, 5}, .input_depth = 3, .upsample = Upsample::nearest}, 24, 16);
  graphs["texture"] = make_texture({.channels = 3, .scales = 3, .input_depth = 3}, 24, 16);
  graphs["texture-bilinear"] = make_texture({.channels = 2,
                                             .scales = 2,
                                             .input_depth = 3,
                                             .filter = 5,
                                             .upsample = Upsample::bilinear,
                                             .activation = Activation::swish,
                                             .padding = Padding::zero},
                                            24, 16);
  graphs["texture-transposed"] =
      make_texture({.channels = 2, .scales = 2, .input_depth = 3, .upsample = Upsample::transposed}, 24, 16);
  graphs["blur-gray"] = make_blur({.sigma = 0.7, .channels = 1}, 19, 23);
  graphs["blur"] = make_blur({}, 19, 23);
  return graphs;
}

// Draws the weights, so that the file says them; returns z.
HostTensor draw(Graph& graph) {
  std::mt19937_64 random(5);
  const auto drawn = [&](const TensorType& type, double low, double high) {
    std::uniform_real_distribution<double> uniform(low, high);
    HostTensor tensor(type.dtype, type.shape);
    for (double& value : tensor.values) value = static_cast<float>(uniform(random));
    return tensor;
  };
  for (const ValueId id : graph.parameters()) {
    Value& value = graph.value(id);
    // Not 1 and 0 as a fit starts: other numbers test more.
    const double low = value.init.low == value.init.high ? value.init.low - 0.5 : value.init.low;
    const double high = value.init.low == value.init.high ? value.init.high + 0.5 : value.init.high;
    value.data = std::make_shared<const HostTensor>(drawn(value.type, low, high));
    value.init = {};
  }
  return drawn(graph.type(graph.inputs[0]), 0, 1);
}

void write(const std::filesystem::path& folder, const std::string& name, Graph graph) {
  const HostTensor z = draw(graph);
  HostTensor image = evaluate(graph, {{graph.inputs[0], z}}, graph.outputs)[0];
  write_onnx(graph, folder / (name + ".onnx"));
  Graph golden;
  golden.name = name;
  for (const auto& [key, tensor] : std::map<std::string, const HostTensor*>{{"z", &z}, {"image", &image}}) {
    golden.values.push_back({.name = key,
                             .type = {tensor->dtype, tensor->shape},
                             .kind = ValueKind::parameter,
                             .init = {},
                             .data = std::make_shared<const HostTensor>(*tensor)});
    golden.outputs.push_back({static_cast<int32_t>(golden.values.size()) - 1});
  }
  write_onnx(golden, folder / (name + ".golden.onnx"));
}

}  // namespace
}  // namespace hourglass::test

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    std::filesystem::create_directories(argv[1]);
    for (const auto& [name, graph] : hourglass::test::topologies()) hourglass::test::write(argv[1], name, graph);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
