// --model small|medium|standard|unet|FILE.onnx and --precision auto|f32|bf16, resolved.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/restore/network.h"
#include "engine/train/fit.h"

namespace hourglass::cli {

struct ChosenNetwork {
  std::string name;
  NetworkFactory make;
  // What the importer has to say, filled when the network is made.
  std::shared_ptr<std::vector<std::string>> notes;
};

struct BuiltinChannels {
  int output_channels = 3;  // as many as the image has
  int64_t input_depth = 0;  // 0: the topology's own
};

// A built-in topology is made with these channels; a file is taken as it is. Throws Error when it is neither.
ChosenNetwork choose_network(const std::string& model, const BuiltinChannels& channels);

// auto is bf16 where the CPU computes it natively, f32 elsewhere.
Precision choose_precision(const std::string& text);
// "f32" or "bf16".
std::string_view name_of(Precision precision);

}  // namespace hourglass::cli
