// Shared taps: Winograd's F(2, 2) for blur last (ops/convolution/upsampled/axis.h), where two neighbouring odd elements
// of the convolved axis take three products instead of four. With the even elements, four elements take five products;
// along both axes sixteen take 25 instead of 36.
//   convolved[4m - 1] = w0 * short[2m - 1] + w2 * short[2m]     = before + middle
//   convolved[4m + 1] = w0 * short[2m]     + w2 * short[2m + 1] = middle + behind
//   before = w0 * (short[2m - 1] - short[2m]),  middle = (w0 + w2) * short[2m],
//   behind = w2 * (short[2m + 1] - short[2m])
// This is Toom-Cook with the interpolation points 0, 1 and infinity: its transforms need additions only. The gradient
// of the short axis has the same form, with w0 and w2 exchanged:
//   diff_short[2m] = w1 * g[4m] + w2 * g[4m - 1] + w0 * g[4m + 1],  and likewise diff_short[2m + 1].
#pragma once

#include <array>
#include <cstdint>

namespace hourglass::kernels {

// The coefficients along an axis: w1 (even), w0 (before), w2 (behind) and w0 + w2 (middle).
enum class SharedTap : uint8_t { even, before, behind, middle };
constexpr int64_t kSharedTaps = 4;
constexpr int64_t kSharedProducts = kSharedTaps * kSharedTaps;  // along both axes

// Whether columns share products, and not only rows, for pixels of `depth` words. With 8 or 16 words, sharing made
// gradients of weights slower by a tenth to two fifths.
constexpr bool columns_share(int64_t depth) { return depth >= 24; }

// The coefficient that is filter tap 0, 1 or 2 alone.
constexpr SharedTap point_of_tap(int64_t tap) {
  constexpr std::array<SharedTap, 3> kOf = {SharedTap::before, SharedTap::even, SharedTap::behind};
  return kOf[static_cast<std::size_t>(tap)];
}
constexpr int64_t product_index(SharedTap h, SharedTap w) {
  return static_cast<int64_t>(h) * kSharedTaps + static_cast<int64_t>(w);
}
// The product of filter tap 3 * kh + kw alone.
constexpr int64_t product_of_tap(int64_t tap) { return product_index(point_of_tap(tap / 3), point_of_tap(tap % 3)); }

// Calls f(h, w) for the single taps whose sum the coefficient (h, w) is.
template <typename F>
constexpr void for_each_tap_of(SharedTap h, SharedTap w, const F& f) {
  const auto along = [](SharedTap point, const auto& each) {
    if (point != SharedTap::middle) return each(point);
    each(SharedTap::before);
    each(SharedTap::behind);
  };
  along(h, [&](SharedTap of_h) { along(w, [&](SharedTap of_w) { f(of_h, of_w); }); });
}

// Calls f(product) for every product that contains filter tap 3 * kh + kw.
template <typename F>
constexpr void for_each_product_of_tap(int64_t tap, const F& f) {
  const auto along = [](int64_t of_axis, const auto& each) {
    each(point_of_tap(of_axis));
    if (of_axis != 1) each(SharedTap::middle);
  };
  along(tap / 3, [&](SharedTap h) { along(tap % 3, [&](SharedTap w) { f(product_index(h, w)); }); });
}

// to[i] = a[i] - b[i], in f32 or bf16.
void subtract(bool is_bf16, const void* a, const void* b, int64_t count, void* to);

// to[p] = that of pixels p and p + 1 which is no middle less the one which is, for p in [0, count): where odd pixels
// are middles, row[p] - row[p + 1] for even p and row[p + 1] - row[p] for odd p.
void differences_beside(bool is_bf16, const void* row, int64_t channels, int64_t count, void* to);

// Makes the filters of coefficients that are sums of taps from the filters of single taps. Filter product_index()
// begins `words` words after the one before it. Runs on all threads.
void add_taps_of_middles(bool is_bf16, uint32_t* filters, int64_t words);

}  // namespace hourglass::kernels
