// Random numbers by counter: every number is a function of (seed, stream, position), so a run can be resumed at any
// iteration, and neither threads nor memory layouts change what is drawn.
//
// The generator is Threefry4x32-20 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), written
// here as a loop that vectorises: it adds, rotates and XORs words of 32 bits, for which every CPU has vectors, and does
// not multiply. A test holds it against Random123. Normals are Box-Muller pairs. An iteration's noise is drawn with
// thirteen rounds, and from 16 bits for a normal.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/geometry/activation_view.h"

namespace hourglass {

// What a number is for. Each use of a seed has its own stream.
enum class Stream : uint32_t {
  input = 1,
  input_noise = 2,
  weights = 3,
  degradation = 4,
  pairs = 5,
  dead_leaves = 6,
  bootstrap = 7,
  lesson_noise = 8
};

// count numbers uniform in [low, high); exactly `low` when low == high. `index` separates draws of one stream.
std::vector<float> draw_uniform(uint64_t seed, Stream stream, uint32_t index, int64_t count, float low, float high);
// count numbers, normal with the given mean and standard deviation.
std::vector<float> draw_normal(uint64_t seed, Stream stream, uint32_t index, int64_t count, float mean, float stddev);

// dst = base + sigma * N(0, 1), a fresh draw for each iteration; base and dst lie as `view` says (padding lanes
// are left as they are). What an element gets depends on (seed, iteration, n, c, h, w) only.
template <class T>
void add_normal_noise(const kernels::View& view, const T* base, T* dst, float sigma, uint64_t seed, uint32_t iteration);

}  // namespace hourglass
