// Products that neighbours share: two odd elements of what is convolved (ops/convolution/upsampled/axis.h) are
// made of three products instead of four, and with the even ones five make four elements, along both axes 25 make 16
// instead of 36.
//   convolved[4m - 1] = w0 * short[2m - 1] + w2 * short[2m]     = before + middle
//   convolved[4m + 1] = w0 * short[2m]     + w2 * short[2m + 1] = middle + behind
//   before = w0 * (short[2m - 1] - short[2m]),  middle = (w0 + w2) * short[2m],
//   behind = w2 * (short[2m + 1] - short[2m])
// That is Winograd's F(2, 2) at 0, 1 and infinity, whose coefficients are 0, 1 and -1. The gradient of the short axis
// is of the same form, with w0 and w2 exchanged:
//   diff_short[2m] = w1 * g[4m] + w2 * g[4m - 1] + w0 * g[4m + 1],  and likewise diff_short[2m + 1].
#pragma once

#include <array>
#include <cstdint>

namespace hourglass::kernels {

// What is multiplied along an axis: the taps w1, w0, w2 and w0 + w2.
enum class SharedTap : uint8_t { even, before, behind, middle };
constexpr int64_t kSharedTaps = 4;
constexpr int64_t kSharedProducts = kSharedTaps * kSharedTaps;  // along both axes

// Whether columns share products, and not only rows: with pixels of so many words. With 8 or 16
// gradients of weights were slower by a tenth to two fifths.
constexpr bool columns_share(int64_t depth) { return depth >= 24; }

// Where a tap stands alone.
constexpr SharedTap point_of_tap(int64_t tap) {
  constexpr std::array<SharedTap, 3> kOf = {SharedTap::before, SharedTap::even, SharedTap::behind};
  return kOf[static_cast<std::size_t>(tap)];
}
constexpr int64_t product_index(SharedTap h, SharedTap w) {
  return static_cast<int64_t>(h) * kSharedTaps + static_cast<int64_t>(w);
}
// Of tap 3 * kh + kw.
constexpr int64_t product_of_tap(int64_t tap) { return product_index(point_of_tap(tap / 3), point_of_tap(tap % 3)); }

// Calls f(h, w) for the taps' points that a point is the sum of, along both axes.
template <typename F>
constexpr void for_each_tap_of(SharedTap h, SharedTap w, const F& f) {
  const auto along = [](SharedTap point, const auto& each) {
    if (point != SharedTap::middle) return each(point);
    each(SharedTap::before);
    each(SharedTap::behind);
  };
  along(h, [&](SharedTap of_h) { along(w, [&](SharedTap of_w) { f(of_h, of_w); }); });
}

// Calls f(product) for those that tap 3 * kh + kw has part in.
template <typename F>
constexpr void for_each_product_of_tap(int64_t tap, const F& f) {
  const auto along = [](int64_t of_axis, const auto& each) {
    each(point_of_tap(of_axis));
    if (of_axis != 1) each(SharedTap::middle);
  };
  along(tap / 3, [&](SharedTap h) { along(tap % 3, [&](SharedTap w) { f(product_index(h, w)); }); });
}

// Of f32 or bf16: to[i] = a[i] - b[i].
void subtract(bool is_bf16, const void* a, const void* b, int64_t count, void* to);

// `count` pixels of a row that begins before a middle: pixel p less the middle beside it, to[p] = row[p] - row[p + 1]
// and, behind the middle, row[p + 1] - row[p].
void differences_beside(bool is_bf16, const void* row, int64_t channels, int64_t count, void* to);

// Filters of the points that are sums of taps, from those of the taps alone; filter product_index() begins `words`
// words behind the one before. By all threads.
void add_taps_of_middles(bool is_bf16, uint32_t* filters, int64_t words);

}  // namespace hourglass::kernels
