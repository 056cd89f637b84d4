#include "ops/convolution/upsampled/shared_taps.h"

#include <algorithm>
#include <array>
#include <vector>

#include <doctest/doctest.h>

namespace hourglass::kernels {
namespace {

using Point = SharedTap;
constexpr int64_t kExtent = 6, kFirst = -1;  // of the short axes, which begin before a middle

constexpr std::array<float, 9> kFilter = {0.5F, -1, 2, 1.5F, 0.25F, -0.75F, 3, -2, 1.25F};

float pixel(int64_t row, int64_t column) {
  return static_cast<float>((7 * row * row + 5 * column + row * column) % 11);
}

std::array<float, kSharedProducts> filters() {
  std::array<float, kSharedProducts> all = {};
  for (int64_t tap = 0; tap < 9; ++tap) {
    all[static_cast<std::size_t>(product_of_tap(tap))] = kFilter[static_cast<std::size_t>(tap)];
  }
  add_taps_of_middles(false, reinterpret_cast<uint32_t*>(all.data()), 1);
  return all;
}

// Of what is convolved, at odd or even places of a row and of a column.
float convolved(bool odd_row, int64_t i, bool odd_column, int64_t j) {
  float sum = 0;
  for (int64_t kh = odd_row ? 0 : 1; kh < 3; kh += 2) {
    for (int64_t kw = odd_column ? 0 : 1; kw < 3; kw += 2) {
      sum += kFilter[static_cast<std::size_t>(3 * kh + kw)] * pixel(i + kh / 2, j + kw / 2);
    }
  }
  return sum;
}

// What a line gives to column j, of the even or of the odd ones.
float of_line(const std::vector<float>& line, Point h, bool odd, int64_t j) {
  static const std::array<float, kSharedProducts> all = filters();
  const auto filter = [&](Point w) { return all[static_cast<std::size_t>(product_index(h, w))]; };
  const auto at = static_cast<std::size_t>(j - kFirst);
  if (!odd) return filter(Point::even) * line[at];
  std::vector<float> beside(kExtent - 1);
  differences_beside(false, line.data(), 1, kExtent - 1, beside.data());
  const float middle = filter(Point::middle) * line[at | 1];
  return middle + filter(at % 2 == 0 ? Point::before : Point::behind) * beside[at];
}

}  // namespace

TEST_CASE("five products make four elements of what is convolved, along both axes") {
  const auto row = [](int64_t i) {
    std::vector<float> line;
    for (int64_t j = kFirst; j < kFirst + kExtent; ++j) line.push_back(pixel(i, j));
    return line;
  };
  const auto difference = [&](int64_t a, int64_t b) {
    std::vector<float> line(kExtent);
    subtract(false, row(a).data(), row(b).data(), kExtent, line.data());
    return line;
  };
  for (int64_t i = -1; i < 4; ++i) {
    for (int64_t j = kFirst; j < kFirst + kExtent - 1; ++j) {
      for (const bool odd : {false, true}) {
        CAPTURE(i);
        CAPTURE(j);
        CAPTURE(odd);
        CHECK(of_line(row(i), Point::even, odd, j) == convolved(false, i, odd, j));
        const bool is_before = i % 2 != 0;
        const int64_t middle = is_before ? i + 1 : i;
        const float shared = of_line(row(middle), Point::middle, odd, j);
        const float own = is_before ? of_line(difference(i, middle), Point::before, odd, j)
                                    : of_line(difference(i + 1, middle), Point::behind, odd, j);
        CHECK(shared + own == convolved(true, i, odd, j));
      }
    }
  }
}

TEST_CASE("a tap has part in the products whose filters it is added to") {
  for (int64_t tap = 0; tap < 9; ++tap) {
    std::vector<int64_t> expected, got;
    for (int64_t product = 0; product < kSharedProducts; ++product) {
      for_each_tap_of(static_cast<Point>(product / kSharedTaps), static_cast<Point>(product % kSharedTaps),
                      [&](Point h, Point w) {
                        if (product_index(h, w) == product_of_tap(tap)) expected.push_back(product);
                      });
    }
    for_each_product_of_tap(tap, [&](int64_t product) { got.push_back(product); });
    std::sort(got.begin(), got.end());
    CHECK(got == expected);
  }
}

}  // namespace hourglass::kernels
