// What every benchmark of iterations times: a network against a fixed picture with plain MSE.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/cli/command_line.h"
#include "engine/cli/size_option.h"
#include "engine/train/fit.h"

namespace hourglass::cli {

struct BenchNetwork {
  std::string model = "small", model_output, size = "512x512", precision = "auto";
  std::optional<uint64_t> memory_limit;  // bytes
};

// --model, --model-output, --size, --precision and --memory-limit.
void add_network_options(Command& command, BenchNetwork& network);

// Precision by name, "f32" or "bf16", as --precision says or auto chooses.
std::string precision_name(const BenchNetwork& network);

// `size` in place of --size.
std::unique_ptr<Fit> make_bench_fit(const BenchNetwork& network, ImageSize size, int threads,
                                    const std::vector<CpuSet>& places = {});
// Bytes that it would hold. Plans, but allocates none of it.
std::size_t bench_bytes(const BenchNetwork& network, ImageSize size, int threads);

}  // namespace hourglass::cli
