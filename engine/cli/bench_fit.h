// What every benchmark of iterations times: a network against a fixed picture with plain MSE.
#pragma once

#include <CLI/CLI.hpp>

#include <memory>
#include <string>

#include "engine/cli/size_option.h"
#include "engine/train/fit.h"

namespace hourglass::cli {

struct BenchNetwork {
  std::string model = "small", size = "512x512", precision = "auto";
  std::size_t memory_limit = 0;  // bytes
};

// --model, --size and --precision.
void add_network_options(CLI::App& command, BenchNetwork& network);

// Precision by name, "f32" or "bf16", as --precision says or auto chooses.
std::string precision_name(const BenchNetwork& network);

// `size` in place of --size.
std::unique_ptr<Fit> make_bench_fit(const BenchNetwork& network, ImageSize size, int threads);

}  // namespace hourglass::cli
