// Y Cb Cr of JPEG and R G B: JFIF 1.02 (ITU-R BT.601's luma), without the offset of 128 that the level shift takes away
// again. Both matrices are row-major.
#pragma once

#include <array>

namespace hourglass {

inline constexpr double kLumaOfRed = 0.299, kLumaOfGreen = 0.587, kLumaOfBlue = 0.114;
// By how much Cb and Cr are smaller than blue and red minus luma.
inline constexpr double kBlueScale = 2 - 2 * kLumaOfBlue, kRedScale = 2 - 2 * kLumaOfRed;

// clang-format off
inline constexpr std::array<double, 9> kYcbcrFromRgb{
    kLumaOfRed,               kLumaOfGreen,               kLumaOfBlue,
    -kLumaOfRed / kBlueScale, -kLumaOfGreen / kBlueScale, 0.5,
    0.5,                      -kLumaOfGreen / kRedScale,  -kLumaOfBlue / kRedScale};

inline constexpr std::array<double, 9> kRgbFromYcbcr{
    1, 0,                                        kRedScale,
    1, -kLumaOfBlue * kBlueScale / kLumaOfGreen, -kLumaOfRed * kRedScale / kLumaOfGreen,
    1, kBlueScale,                               0};
// clang-format on

}  // namespace hourglass
