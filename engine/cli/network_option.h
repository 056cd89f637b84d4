// --model small|medium|standard|unet|FILE.onnx, --model-output NAME and --precision auto|f32|bf16, resolved.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/cli/command_line.h"
#include "engine/cli/size_option.h"
#include "engine/restore/learned_map.h"
#include "engine/restore/network.h"
#include "engine/train/fit.h"
#include "graph/onnx_import.h"

namespace hourglass::cli {

struct ChosenNetwork {
  std::string name;
  NetworkFactory make;
  FixedSides fixed = {};  // by the file
  // What the importer has to say, filled when the network is made.
  std::shared_ptr<std::vector<std::string>> notes;
};

struct BuiltinChannels {
  int output_channels = 3;  // as many as the image has
  int64_t input_depth = 0;  // 0: the topology's own
};

// A built-in topology is made with these channels; a file is taken as it is, with that output of several that --model-
// output names. Throws Error when it is neither.
ChosenNetwork choose_network(const std::string& model, const std::string& output, const BuiltinChannels& channels);

// The networks that learn to improve a picture (engine/restore/learned_map.h), of --model: the one that comes with the
// program under that name, or a file's; draw: with new weights (draw_weights()). Throws Error for what improves none.
NetworkFactory choose_map(const std::string& model, const std::string& output, bool draw, PlaneColors colors);
// Whether it is one that comes with the program.
bool comes_along(const std::string& model);
// Whether choose_map() has such a network, and it need not be meant for a fit: one from an image to an image whose
// weights are all to be drawn may be either, and is taken for one that makes its image of noise.
bool is_map(const std::string& model, const std::string& output);

// Throws Error as image_input() does.
FixedSides fixed_sides(const OnnxFile& file);

// The image's size where none is asked for: all of the output of a file that fixes its input, or 512x512.
ImageSize usual_size(const NetworkFactory& make, const FixedSides& fixed);

// Declares --model-output; `methods` as Option has them.
Option model_output_option(std::string& target, std::vector<std::string> methods = {});

// Declares --degradation-output, which belongs to --degradation.
Option degradation_output_option(std::string& target, std::vector<std::string> methods = {});

// auto is bf16 where the CPU computes it natively, f32 elsewhere.
Precision choose_precision(const std::string& text);
// "f32" or "bf16".
std::string_view name_of(Precision precision);

}  // namespace hourglass::cli
