#include "engine/image/metadata.h"

#include "tests/engine/image/fixtures.h"

namespace hourglass::test {
namespace {

// A directory of two entries, the second of them the orientation.
Bytes make_exif(bool big_endian, int orientation) {
  Bytes exif = big_endian ? Bytes{'M', 'M'} : Bytes{'I', 'I'};
  const auto put = [&](unsigned value, int bytes) {
    for (int i = 0; i < bytes; ++i) exif.push_back(static_cast<uint8_t>(value >> 8 * (big_endian ? bytes - 1 - i : i)));
  };
  put(42, 2);
  put(8, 4);
  put(2, 2);
  put(0x0100, 2), put(3, 2), put(1, 4), put(640, 2), put(0, 2);
  put(0x0112, 2), put(3, 2), put(1, 4), put(static_cast<unsigned>(orientation), 2), put(0, 2);
  put(0, 4);
  return exif;
}

}  // namespace

TEST_CASE("EXIF orientation in both byte orders") {
  for (const bool big_endian : {false, true})
    for (int orientation = 1; orientation <= 8; ++orientation)
      CHECK(exif_orientation(make_exif(big_endian, orientation)) == orientation);
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
