// write_fitted TOPOLOGY_FOLDER FOLDER: the built-in networks, and those of the folder whose size is open, fitted for a
// few iterations, as --save-network writes them (NAME.onnx), their inputs as --network-input writes them (NAME.npy),
// and the images that they make here (NAME.golden.onnx). For another runtime to make the same, see
// tests/models/other_runtime.py.
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "engine/image/file.h"
#include "engine/image/npy.h"
#include "engine/restore/energy.h"
#include "engine/restore/fitted_network.h"
#include "engine/restore/network.h"
#include "graph/error.h"
#include "graph/onnx_export.h"
#include "graph/onnx_import.h"
#include "models/builtin.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

void write(const std::filesystem::path& folder, const std::string& name, int64_t width, int64_t height,
           const NetworkFactory& make) {
  constexpr int kIterations = 3;
  Image target(width, height, 3);
  for (std::size_t i = 0; i < target.pixels.size(); ++i) {
    target.pixels[i] = static_cast<float>(0.5 + 0.4 * std::sin(static_cast<double>(i) / 9));
  }
  const Network network = bind_network(make, op_table(), target);
  Graph graph = network.graph;
  GraphBuilder builder(graph, op_table());
  const ValueId loss = mse_energy(builder, network.image, target);
  FitOptions options;
  options.adam.learning_rate = 0.001;
  options.threads = 1;
  Fit fit({std::move(graph), network.input, network.image, loss}, op_table(), options);
  for (int i = 0; i < kIterations; ++i) fit.step();
  const FittedNetwork fitted = fitted_network(network.graph, fitted_weights(fit), op_table(), 1);
  std::vector<std::string> own_ops;
  write_onnx(fitted.graph, folder / (name + ".onnx"), {.own_ops = &own_ops});
  write_file_atomically(folder / (name + ".npy"), encode_npy(network_input(fitted.graph)), true);
  if (!own_ops.empty()) fail("{}: has ops that ONNX does not have, {} for one", name, own_ops[0]);
  Graph golden;
  golden.name = name;
  golden.values.push_back(
      {.name = "image",
       .type = fitted.graph.type(fitted.graph.outputs[0]),
       .kind = ValueKind::parameter,
       .init = {},
       .data = std::make_shared<const HostTensor>(DType::f32, fitted.graph.shape(fitted.graph.outputs[0]),
                                                  std::vector<double>(fitted.image.begin(), fitted.image.end()))});
  golden.outputs = {ValueId{0}};
  write_onnx(golden, folder / (name + ".golden.onnx"));
}

void write_all(const std::filesystem::path& exports, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const Builtin& builtin : builtins()) {
    const std::string name(builtin.name);
    // What the largest needs, for its six scales.
    const int64_t side = name == "inpaint-large" ? 192 : 75;
    write(folder, name, side, side - 14, [&](int64_t height, int64_t width) {
      return make_builtin(name, {.output_channels = 3, .input_depth = 0, .height = height, .width = width});
    });
  }
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(exports)) {
    if (!entry.path().stem().string().ends_with("-open")) continue;
    write(folder, entry.path().stem().string(), 75, 61, network_of(OnnxFile::read(entry.path()), op_table()));
    ++found;
  }
  if (found < 10) fail("{}: has {} networks of open size, expected at least 10", exports.string(), found);
}

}  // namespace
}  // namespace hourglass::test

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    hourglass::test::write_all(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
