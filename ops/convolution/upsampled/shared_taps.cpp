#include "ops/convolution/upsampled/shared_taps.h"

#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"

namespace hourglass::kernels {
namespace {

using Point = SharedTap;

template <class T>
HG_CLONES void subtract_elements(const T* a, const T* b, int64_t count, T* to) {
  for (int64_t i = 0; i < count; ++i) store(to + i, load(a + i) - load(b + i));
}

template <class T>
HG_CLONES void subtract_middles(const T* row, int64_t channels, int64_t count, T* to) {
  for (int64_t p = 0; p < count; ++p) {
    const T* middle = row + (p | 1) * channels;
    const T* beside = row + (p % 2 == 0 ? p : p + 1) * channels;
    T* at = to + p * channels;
    for (int64_t c = 0; c < channels; ++c) store(at + c, load(beside + c) - load(middle + c));
  }
}

template <class T>
HG_CLONES void add_two(const T* const* from, int64_t begin, int64_t end, T* to) {
  for (int64_t i = begin; i < end; ++i) store(to + i, load(from[0] + i) + load(from[1] + i));
}
template <class T>
HG_CLONES void add_four(const T* const* from, int64_t begin, int64_t end, T* to) {
  for (int64_t i = begin; i < end; ++i) {
    store(to + i, load(from[0] + i) + load(from[1] + i) + (load(from[2] + i) + load(from[3] + i)));
  }
}

// Elements [begin, end) of each filter; filters are `stride` elements apart.
template <class T>
void add_taps(T* filters, int64_t stride, int64_t begin, int64_t end) {
  for (int64_t product = 0; product < kSharedProducts; ++product) {
    const auto h = static_cast<Point>(product / kSharedTaps), w = static_cast<Point>(product % kSharedTaps);
    std::array<const T*, 4> taps = {};
    std::size_t count = 0;
    for_each_tap_of(h, w,
                    [&](Point of_h, Point of_w) { taps[count++] = filters + product_index(of_h, of_w) * stride; });
    if (count == 2) add_two(taps.data(), begin, end, filters + product * stride);
    if (count == 4) add_four(taps.data(), begin, end, filters + product * stride);
  }
}

}  // namespace

void subtract(bool is_bf16, const void* a, const void* b, int64_t count, void* to) {
  with_element(is_bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    subtract_elements(static_cast<const T*>(a), static_cast<const T*>(b), count, static_cast<T*>(to));
  });
}

void differences_beside(bool is_bf16, const void* row, int64_t channels, int64_t count, void* to) {
  with_element(is_bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    subtract_middles(static_cast<const T*>(row), channels, count, static_cast<T*>(to));
  });
}

void add_taps_of_middles(bool is_bf16, uint32_t* filters, int64_t words) {
  constexpr int64_t kGrain = 16;
  with_element(is_bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    const auto elements = words * static_cast<int64_t>(sizeof(uint32_t) / sizeof(T));
    parallel_ranges(elements, kGrain,
                    [&](int64_t begin, int64_t end) { add_taps(reinterpret_cast<T*>(filters), elements, begin, end); });
  });
}

}  // namespace hourglass::kernels
