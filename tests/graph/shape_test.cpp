// Shapes at the ends of what they hold.
#include "graph/shape.h"

#include <doctest/doctest.h>

#include "graph/error.h"

namespace hourglass::test {

TEST_CASE("a shape without elements has strides that no other shape would have") {
  constexpr int64_t kLarge = int64_t{1} << 31;
  CHECK(Shape{2, 3, 4}.strides() == Dims{12, 4, 1});
  CHECK(Shape{0, kLarge, 4}.elements() == 0);
  CHECK(Shape{0, kLarge, 4}.strides() == Dims{4 * kLarge, 4, 1});
  CHECK(Shape{kLarge, 4, 0}.elements() == 0);
  // Wherever the 0 stands, what overflows without it is refused.
  CHECK_THROWS_WITH_AS((Shape{0, kLarge, kLarge, kLarge}), doctest::Contains("more elements than"), Error);
  CHECK_THROWS_WITH_AS((Shape{kLarge, 0, kLarge, kLarge}), doctest::Contains("more elements than"), Error);
  CHECK_THROWS_WITH_AS((Shape{kLarge, kLarge, kLarge, 0}), doctest::Contains("more elements than"), Error);
  CHECK_THROWS_WITH_AS((Shape{1, -1}), doctest::Contains("negative extent"), Error);
}

}  // namespace hourglass::test
