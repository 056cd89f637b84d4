// Contact sheets, thumbnails, and the maps of a restoration.
#include <algorithm>
#include <cmath>

#include "engine/image/jpeg.h"
#include "engine/image/png.h"
#include "engine/report/contact_sheet.h"
#include "engine/report/maps.h"
#include "engine/report/page_picture.h"
#include "engine/restore/consistency.h"
#include "tests/engine/image/fixtures.h"

namespace hourglass::test {

TEST_CASE("a contact sheet shows its pictures pixel by pixel, the last one last") {
  std::vector<Panel> panels;
  for (int i = 0; i < 5; ++i) {
    panels.push_back({.image = make_picture(400, 360, i % 2 == 0 ? 3 : 1, i + 1), .title = "picture", .detail = "dB"});
  }
  const Image sheet = contact_sheet(panels, "Sheet", {});
  // Three columns of 200 units at two pixels each, their gaps and the borders; two rows.
  const int64_t left = 32, step = 400 + 28;
  CHECK(sheet.width == 2 * left + 2 * step + 400);
  const Image& last = panels[4].image;
  const int64_t x = left + step, top = sheet.height - 16 - 80 - 360;
  for (int64_t row = 0; row < 360; row += 7) {
    for (int64_t column = 0; column < 400; column += 7) {
      const float expected = std::clamp(last.at(0, row, column), 0.0F, 1.0F);
      REQUIRE(std::abs(sheet.at(0, top + row, x + column) - expected) < 0.003F);
    }
  }
  CHECK(contact_sheet(std::span(panels).first(1), "", "").width == 2 * left + 400);
  CHECK(contact_sheet(panels, "Sheet", "a note").height > sheet.height);
  CHECK_CONTAINS(error_of([] { contact_sheet({}, "", ""); }), "needs pictures");
}

TEST_CASE("thumbnails are smaller, never larger, and keep their shape") {
  const Image small = thumbnail(make_picture(300, 200, 1), 150);
  CHECK(small.width == 150);
  CHECK(small.height == 100);
  CHECK(small.channels == 3);
  const Image same = make_picture(30, 20, 3);
  CHECK(thumbnail(same, 150).pixels == same.pixels);
  CHECK(thumbnail(make_picture(900, 1, 3), 100).height == 1);
}

TEST_CASE("a page holds photographs exactly, and large ones as JPEGs, so that it stays small") {
  const Image small = make_picture(60, 40, 3);
  const Picture exact = page_picture(small);
  CHECK(exact.mime == "image/png");
  CHECK(largest_difference(decode_png(exact.bytes).image, small) < 0.003);
  CHECK(page_picture_note(small.plane_size()).empty());

  const Image large = make_picture(2500, 1700, 1);
  const Picture lossy = page_picture(large);
  CHECK(lossy.mime == "image/jpeg");
  CHECK(decode_jpeg(lossy.bytes).image.width == 2500);
  CHECK(lossy.bytes.size() < encode_png(large).size() * 3 / 4);
  CHECK_CONTAINS(page_picture_note(large.plane_size()), "as JPEGs of quality 95: ");

  // Larger still, it is shown in its size and holds less.
  const Picture huge = page_picture(make_picture(6150, 4000, 1));
  CHECK(huge.width == 6150);
  const Image held = decode_jpeg(huge.bytes).image;
  CHECK(held.plane_size() <= 24'000'000);
  CHECK(static_cast<double>(held.width) == doctest::Approx(1.5375 * static_cast<double>(held.height)).epsilon(0.01));
  CHECK_CONTAINS(page_picture_note(24'600'000), "made smaller");
}

TEST_CASE("the difference: red where brighter, blue where darker") {
  Image before(20, 10, 3), after(20, 10, 3);
  std::fill(before.pixels.begin(), before.pixels.end(), 0.5F);
  after.pixels = before.pixels;
  for (int channel = 0; channel < 3; ++channel) {
    for (int64_t y = 0; y < 10; ++y) {
      after.at(channel, y, 3) += 10 / 255.0F;
      after.at(channel, y, 8) -= 5 / 255.0F;
    }
  }
  const DifferenceMap map = difference_map(before, after);
  CHECK(map.full_255 == doctest::Approx(10).epsilon(0.01));
  CHECK(map.image.at(0, 4, 3) > map.image.at(2, 4, 3) + 0.3F);
  CHECK(map.image.at(2, 4, 8) > map.image.at(0, 4, 8) + 0.2F);
  CHECK(map.image.at(0, 4, 12) > 0.95F);
  CHECK(difference_map(before, before).full_255 == 2);
  CHECK_CONTAINS(error_of([&] { difference_map(before, make_picture(3, 3, 3)); }), "sizes differ");
}

TEST_CASE("the cells that an image does not keep are counted and shown where they are") {
  const Image picture = make_picture(40, 24, 3);
  const JpegCoefficients file = read_jpeg_coefficients(encode_jpeg(picture, {.quality = 10}));
  const JpegModel model(file);
  const Image consistent = to_consistent(picture, model, 255);
  REQUIRE(check_cells(consistent, model).share() == 1);
  const Image clean = cell_map(consistent, model);
  CHECK(clean.width == 5);
  CHECK(clean.height == 3);
  for (int64_t i = 1; i < clean.plane_size(); ++i) CHECK(clean.plane(0)[i] == clean.plane(0)[0]);

  Image spoiled = consistent;
  for (int64_t y = 8; y < 16; ++y) {
    for (int64_t x = 32; x < 40; ++x) spoiled.at(1, y, x) = (x + y) % 2 == 0 ? 1.0F : 0.0F;
  }
  int64_t outside = 0;
  for (const std::vector<int>& component : outside_cells(spoiled, model)) {
    for (const int count : component) outside += count;
  }
  const CellCheck check = check_cells(spoiled, model);
  CHECK(outside == check.coefficients - check.same);
  CHECK(outside > 0);
  CHECK(outside_cells(spoiled, model)[0][1 * 5 + 4] > 0);
  const Image map = cell_map(spoiled, model);
  // Far from it, all is as it was; there, orange.
  CHECK(map.at(2, 0, 0) == clean.at(2, 0, 0));
  CHECK(map.at(2, 1, 4) < clean.at(2, 1, 4) - 0.2F);
}

}  // namespace hourglass::test
