// Convolution by 3x3 filters with stride 1, and both of its gradients, by Winograd's minimal filtering algorithm F(4x4,
// 3x3) (Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks"): a quarter of the multiplications of
// a direct convolution, in f32 and in bf16 (products of bf16, sums and transforms in f32).
//
// For each block of 4x4 outputs, whose tile d of 6x6 source pixels overlaps its neighbours' by two,
// Y = A^T [(G g G^T) . (B^T d B)] A, where g is the filter, and . multiplies element by element. Summed over the
// channels, each of the 36 elements ("points") is a matrix product [tiles x C] * [C x OC]: 36 GEMMs over a block of
// tiles, with the transforms before and after in the same cache. The gradient of the source is the same convolution
// with the filters flipped and transposed. The gradient of the weights is G^T [(B^T d B) . (A dY A^T)] G, where the 36
// products sum over the tiles instead of the channels. The border is made while a tile is read; the gradient of the
// border is added to the pixels that the border shows. So no padding mode costs a copy of the image.
//
// It is the best choice for 3x3 filters on CPUs without AMX, except behind a resize to twice the size
// (upsampled/blur_last_*), for gradients of weights with at most 16 channels (weight_gradient/narrow.cpp), and on AVX2
// with 8 channels or fewer. The transforms are in ops/simd/winograd_transforms.h, the GEMM in ops/simd/gemm.h.
// Activations are channels-last, weights [KH][KW][C][OC]. The same number of threads gives the same bytes.
#pragma once

#include "ops/convolution/convolution.h"

namespace hourglass::kernels {

// Declines other filters, strides and dilations, and on AVX2 few channels.
Answer plan_winograd(const PlanContext& ctx, const Convolution& conv);

}  // namespace hourglass::kernels
