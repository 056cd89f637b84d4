// Which kernel serves a convolution: one list of candidates, best first. Each is asked in turn and answers with its
// plan or with the reason why not; the first plan is taken. Where all decline, what a kernel can't do itself is done
// around it: the source normalised before, statistics taken behind, Resize's gradient behind.
//
//   forward
//     blur_last_forward            3x3 behind an image resized to exactly twice its size: convolved small, blurred last
//     winograd_forward             3x3, stride 1: Winograd's F(4x4, 3x3)
//     phase_filters_amx            behind an image resized to twice its size: a filter for each of the four phases
//     amx_forward                  any window, by AMX tiles
//     pointwise_few                1x1 of a normalised source, 8 or 16 channels to at most 16
//     pointwise_vector             1x1 of a normalised source, 32 channels or more
//     onednn_bands_forward         oneDNN, band by band: a border that shows the image's own pixels
//     onednn_whole_forward         oneDNN, the whole image; groups
//   gradient of the source
//     blur_last_grad_src           through 3x3 and a resize to twice the size
//     winograd_grad_src            3x3, stride 1
//     amx_grad_src                 no dilation; strides, or 16 or a multiple of 32 channels
//     onednn_transposed_grad_src   1x1: oneDNN forward, with the weights transposed
//     onednn_border_grad_src       oneDNN inside, column blocks for what falls on the border: large images of few
//     channels onednn_bands_grad_src        oneDNN, band by band onednn_whole_grad_src        oneDNN, the whole image;
//     groups
//   gradient of the weights
//     blur_last_grad_weights       3x3 behind an image resized to twice its size
//     narrow_3x3_grad_weights      nine taps, at most 16 channels on both sides
//     winograd_grad_weights        3x3, stride 1
//     narrow_1x1_grad_weights      1x1, at most 8 channels on a side
//     amx_grad_weights             any window, by AMX tiles
//     vector_grad_weights          any window, by vector products
//     onednn_bands_grad_weights    oneDNN, band by band
//     onednn_whole_grad_weights    oneDNN, the whole image; groups
//
// The list itself, with the instructions that each needs, is at the top of choose.cpp. HOURGLASS_SKIP=name,... leaves
// candidates out: what does a network cost without winograd_forward? A name that is none of these is an error.
#pragma once

#include <span>
#include <string_view>

#include "ops/convolution/convolution.h"
#include "ops/simd/isa.h"

namespace hourglass::kernels {

// Sources and results that a candidate takes, as bits.
enum Takes : unsigned {
  kPlain = 1,       // a source that is there
  kNormalized = 2,  // one that is normalised while it is read
  kResized = 4,     // and resized before that; for grad_src, Resize's gradient behind the convolution's
  kStatistics = 8,  // statistics of dst, besides
  kGroups = 16,
  kBandRows = 32,    // a given Convolution::band_rows
  kMixedTypes = 64,  // weights of another type than the activations; dimensions of no elements
};

struct Candidate {
  std::string_view name;  // unique: -v, reports, HOURGLASS_SKIP and tests say it
  Direction direction;
  Isa f32, bf16;    // that each element type needs
  bool beside_amx;  // false: where the CPU has AMX, another candidate is faster in bf16
  unsigned takes;   // bits of Takes
  bool ours;        // without oneDNN: allocates nothing while it runs
  // Asked only where all of the above holds.
  Answer (*plan)(const PlanContext& ctx, const Convolution& conv);
};

// Best first.
std::span<const Candidate> convolution_candidates();

// The best kernel there is. The plan's inputs and outputs are as the node's whose convolution it is: forward src,
// weights and, with a bias or a normalised source, those behind them; grad_src diff_dst and weights; grad_weights src,
// diff_dst and what normalises src. Throws Error where there is none, and for a HOURGLASS_SKIP that names none.
KernelPlan plan_convolution(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
