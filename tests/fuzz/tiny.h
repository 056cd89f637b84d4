// What the targets that fit something share: a network of one scale, which fits 16x16 pixels in a few milliseconds.
#pragma once

#include <memory>
#include <utility>

#include "engine/restore/jpeg_task.h"
#include "engine/restore/restoration.h"
#include "models/builder.h"
#include "ops/table.h"

namespace hourglass::fuzz {

inline constexpr int64_t kSide = 16;

inline Graph tiny_network(int64_t height, int64_t width) {
  return make_skip({.channels = {2}, .skips = {0}, .input_depth = 2}, height, width);
}

inline RestoreOptions tiny_options() {
  RestoreOptions options;
  options.iterations = 2;
  options.fit.threads = 1;
  return options;
}

// A fit that checkpoints are made of and taken up by: two runs of six iterations, with a stopping rule that has a state
// of its own, to a grey ramp.
struct TinyFit {
  static constexpr int64_t kIterations = 6;

  static RestoreInput ramp() {
    RestoreInput input;
    input.degraded.image = Image(kSide, kSide, 1);
    float value = 0;
    for (float& pixel : input.degraded.image.pixels) pixel = value += 1.0F / (kSide * kSide + 1);
    return input;
  }
  static RestoreOptions options() {
    RestoreOptions options = tiny_options();
    options.iterations = kIterations;
    options.runs = 2;
    options.stopping.kind = StoppingKind::wmv;
    options.stopping.window = 3;
    return options;
  }

  RestoreInput input = ramp();
  std::unique_ptr<Task> task = make_jpeg_task(input, {});
  Restoration restoration{*task, bind_network(tiny_network, op_table(), task->baseline()), op_table(), options()};
};

}  // namespace hourglass::fuzz
