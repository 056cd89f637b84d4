#include "engine/image/metadata.h"

#include "engine/image/orientation.h"
#include "tests/engine/image/fixtures.h"

namespace hourglass::test {
namespace {

Metadata with_exif(const Bytes& exif) {
  Metadata metadata;
  metadata.exif = exif;
  return metadata;
}

}  // namespace

TEST_CASE("EXIF orientation in both byte orders") {
  for (const bool big_endian : {false, true})
    for (int orientation = 1; orientation <= 8; ++orientation)
      CHECK(exif_orientation(make_exif(big_endian, orientation)) == orientation);
}

TEST_CASE("an image is turned as its orientation says") {
  Image image(3, 2, 1);  // a b c / d e f
  image.pixels = {0, 1, 2, 3, 4, 5};
  const std::vector<std::vector<float>> seen{{0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0},
                                             {3, 4, 5, 0, 1, 2}, {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2},
                                             {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    const Image turned = upright(image, orientation);
    CHECK(turned.width == (orientation < 5 ? 3 : 2));
    CHECK(turned.height == (orientation < 5 ? 2 : 3));
    CHECK(turned.pixels == seen[static_cast<std::size_t>(orientation - 1)]);
    // From any orientation into any other, both are seen alike.
    for (int other = 1; other <= 8; ++other) {
      Image moved = image;
      CHECK(turn_like(moved, with_exif(make_exif(true, orientation)), with_exif(make_exif(false, other))) ==
            (orientation != other));
      CHECK(upright(moved, other).pixels == turned.pixels);
    }
  }
}

TEST_CASE("a damaged EXIF block means upright") {
  CHECK(exif_orientation({}) == 1);
  CHECK(exif_orientation(make_exif(true, 9)) == 1);
  CHECK(exif_orientation(make_exif(true, 0)) == 1);
  const Bytes whole = make_exif(false, 6);
  for (std::size_t size = 0; size < 34; ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(exif_orientation(cut) == 1);
  }
  Bytes far = whole;
  far[4] = far[5] = far[6] = far[7] = 0xff;  // the directory lies beyond the end
  CHECK(exif_orientation(far) == 1);
}

}  // namespace hourglass::test
