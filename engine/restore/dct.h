// The orthonormal DCT-II.
#pragma once

#include <cmath>
#include <numbers>

namespace hourglass {

// Coefficient k's weight of sample i, of n samples: a(k) cos((2 i + 1) k pi / 2n), a(0) = sqrt(1/n), else sqrt(2/n).
// For n = 8 it is that of ITU-T T.81, A.3.3, in orthonormal form.
inline double dct_basis(int n, int k, int i) {
  return std::sqrt((k == 0 ? 1.0 : 2.0) / n) * std::cos((2 * i + 1) * k * std::numbers::pi / (2 * n));
}

}  // namespace hourglass
