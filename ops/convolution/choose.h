// Chooses the kernel that computes a convolution or one of its two gradients: one list of candidates, best first. Each
// candidate is asked in turn and answers with its plan, or declines with a reason; the first plan is taken. Where all
// candidates decline a convolution with extra work, the convolution alone is planned, and the extra work becomes passes
// of its own around it: the source is normalised before, statistics of dst are taken after, Resize's gradient runs
// after.
//
//   forward
//     blur_last_forward            3x3 on an image resized to exactly twice its size: convolution, then blur
//     winograd_forward             3x3, stride 1: Winograd's F(4x4, 3x3)
//     phase_filters_amx            an image resized to twice its size: one small filter for each of the four phases
//     amx_forward                  any window: direct convolution by AMX tiles
//     pointwise_few                1x1 of a normalised source, 8 or 16 channels to at most 16
//     pointwise_vector             1x1 of a normalised source, 32 channels or more: GEMM
//     onednn_bands_forward         oneDNN, band by band: a padding mode that shows the image's own pixels
//     onednn_whole_forward         oneDNN, the whole image; groups
//   gradient of the source
//     blur_last_grad_src           through 3x3 and a resize to twice the size
//     winograd_grad_src            3x3, stride 1: Winograd's F(4x4, 3x3)
//     amx_grad_src                 no dilation, no wide border; strides, or at most 16 or a multiple of 32 channels;
//                                  1x1 without strides only where it keeps the number of channels
//     onednn_transposed_grad_src   1x1: oneDNN forward, with the weights transposed
//     onednn_border_grad_src       oneDNN for the image, and for each side of its border: large images of few channels
//     onednn_bands_grad_src        oneDNN, band by band: a padding mode that shows pixels, or 1x1 in bf16
//     onednn_whole_grad_src        oneDNN, the whole image; groups
//   gradient of the weights
//     blur_last_grad_weights       3x3 on an image resized to twice its size
//     narrow_3x3_grad_weights      nine taps, at most 16 channels on both sides, on one of them whole vectors
//     winograd_grad_weights        3x3, stride 1: Winograd's F(4x4, 3x3)
//     narrow_1x1_grad_weights      1x1, at most 8 channels on a side
//     amx_grad_weights             any window: GEMM by AMX tiles
//     vector_grad_weights          any window: GEMM by vector instructions
//     onednn_bands_grad_weights    oneDNN, band by band: a padding mode that shows pixels, or at least 16 channels on
//                                  both sides (1x1: 64, in bf16 any)
//     onednn_whole_grad_weights    oneDNN, the whole image; groups
//
// The list itself, with the instructions that each candidate needs, is at the top of choose.cpp.
// HOURGLASS_SKIP=name,... leaves candidates out, which shows what a network costs without, say, winograd_forward. A
// name that no candidate has is an error.
#pragma once

#include <span>
#include <string_view>

#include "ops/convolution/convolution.h"
#include "ops/simd/isa.h"

namespace hourglass::kernels {

// What a candidate can take: sources, results and special cases, as bits.
enum Takes : unsigned {
  kPlain = 1,       // a source that lies in memory as the convolution reads it
  kNormalized = 2,  // a source that is normalised while it is read
  kResized = 4,     // resized and normalised while it is read; grad_src: Resize's gradient after the convolution's
  kStatistics = 8,  // forward: statistics of dst as further outputs
  kGroups = 16,
  kBandRows = 32,     // a Convolution::band_rows that is not 0
  kBf16Weights = 64,  // grad_weights: diff_weights in bf16, not f32
};

struct Candidate {
  std::string_view name;  // unique; shown by -vv and in reports, and used in HOURGLASS_SKIP and tests
  Direction direction;
  Isa f32, bf16;    // the instruction set that it needs for each element type
  bool beside_amx;  // false: where the CPU has AMX, another candidate is faster in bf16
  unsigned takes;   // bits of Takes
  bool ours;        // our own loops, not oneDNN's: run() allocates nothing
  // Called only where all of the above fits the convolution.
  Answer (*plan)(const PlanContext& ctx, const Convolution& conv);
};

// All candidates of all directions, best first.
std::span<const Candidate> convolution_candidates();

// The plan of the first candidate that does not decline. Inputs and outputs of the plan are those of the node. forward:
// src, weights, then the bias; or, with a normalised source, the list of SourceInputs (source_inputs.h). grad_src:
// diff_dst, weights. grad_weights: src, diff_dst, then scale, bias, mean, inv_std and the second activation. Throws
// Error where all candidates decline, and for a name in HOURGLASS_SKIP that no candidate has.
KernelPlan plan_convolution(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
