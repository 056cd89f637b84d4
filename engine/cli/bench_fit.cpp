#include "engine/cli/bench_fit.h"

#include "engine/cli/network_option.h"
#include "engine/restore/energy.h"
#include "engine/restore/restore.h"
#include "ops/table.h"

namespace hourglass::cli {

void add_network_options(Command& command, BenchNetwork& network) {
  command.add({{.names = "--model",
                .takes = "NET",
                .target = &network.model,
                .help = "A built-in network ('hourglass model list' names them), or an ONNX file"},
               model_output_option(network.model_output),
               {.names = "--size", .takes = "WIDTHxHEIGHT", .target = &network.size, .help = "The image's"},
               {.names = "--precision",
                .target = &network.precision,
                .help = "auto (bf16 where the CPU has it), f32 or bf16",
                .checks = {one_of({"auto", "f32", "bf16"})}},
               {.names = "--memory-limit",
                .takes = "SIZE",
                .target = &network.memory_limit,
                .help = "What the fit may hold, as 4G or 800M (a number alone: bytes); one that needs more is refused "
                        "(default: no limit)",
                .checks = {memory_size()}}});
}

std::string precision_name(const BenchNetwork& network) {
  return std::string(name_of(choose_precision(network.precision)));
}

namespace {

struct BenchProblem {
  Problem problem;
  FitOptions options;
};

BenchProblem problem_of(const BenchNetwork& network, ImageSize size, int threads) {
  const ChosenNetwork chosen = choose_network(network.model, network.model_output, {});
  Network bound = bind_network(chosen.make, op_table(), size.height, size.width, chosen.fixed);
  Image target(size.width, size.height, static_cast<int>(bound.graph.shape(bound.image)[1]));
  for (std::size_t i = 0; i < target.pixels.size(); ++i) target.pixels[i] = static_cast<float>(i * 7919 % 256) / 255.0F;
  FitOptions options;
  options.threads = threads;
  options.precision = choose_precision(network.precision);
  options.memory_limit = network.memory_limit.value_or(0);
  options.memory_besides = memory_besides_fits(size.width * size.height);
  return {.problem = mse_problem(std::move(bound), op_table(), target), .options = options};
}

}  // namespace

std::unique_ptr<Fit> make_bench_fit(const BenchNetwork& network, ImageSize size, int threads,
                                    const std::vector<CpuSet>& places) {
  BenchProblem bench = problem_of(network, size, threads);
  bench.options.places = places;
  return std::make_unique<Fit>(bench.problem, op_table(), bench.options);
}

std::size_t bench_bytes(const BenchNetwork& network, ImageSize size, int threads) {
  const BenchProblem bench = problem_of(network, size, threads);
  return Fit::planned_bytes(bench.problem, op_table(), bench.options);
}

}  // namespace hourglass::cli
