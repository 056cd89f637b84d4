// Archive: what goes in comes out, and every kind of damage has its own words.
#include "engine/train/archive.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "graph/error.h"

namespace hourglass::test {
namespace {

Archive example() {
  Archive archive;
  archive.put("integer", int64_t{-1} << 60);
  archive.put("number", std::nextafter(0.1, 1.0));
  archive.put("text", std::string("caf\xc3\xa9\0!", 7));
  archive.put("floats", std::vector<float>{1.5F, -0.0F, std::numeric_limits<float>::infinity()});
  archive.put("numbers", std::vector<double>{});
  return archive;
}

std::string error_of(std::span<const uint8_t> bytes) {
  try {
    Archive::decode(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("an archive comes back bit for bit") {
  const std::vector<uint8_t> bytes = example().encode();
  const Archive archive = Archive::decode(bytes);
  CHECK(archive.integer("integer") == int64_t{-1} << 60);
  CHECK(archive.number("number") == std::nextafter(0.1, 1.0));
  CHECK(archive.text("text") == std::string("caf\xc3\xa9\0!", 7));
  REQUIRE(archive.floats("floats").size() == 3);
  CHECK(std::bit_cast<uint32_t>(archive.floats("floats")[1]) == 0x80000000U);
  CHECK(std::isinf(archive.floats("floats")[2]));
  CHECK(archive.numbers("numbers").empty());
  CHECK(archive.has("text"));
  CHECK(!archive.has("other"));
  CHECK_THROWS_WITH(static_cast<void>(archive.integer("other")), "it has no 'other'");
  CHECK_THROWS_WITH(static_cast<void>(archive.integer("text")), "its 'text' is of another type");
  CHECK(archive.encode() == bytes);
  CHECK(archive.integer("integer", int64_t{-1} << 60, 0) == int64_t{-1} << 60);
  CHECK_THROWS_WITH(static_cast<void>(archive.integer("integer", -1, 9)),
                    "its 'integer' is -1152921504606846976, from -1 to 9 is possible");
  CHECK(archive.floats("floats", 3).size() == 3);
  CHECK_THROWS_WITH(static_cast<void>(archive.floats("floats", 2)), "its 'floats' has 3 values, 2 belong there");
}

TEST_CASE("an archive holds others") {
  Archive outer;
  outer.put("number", 1.0);
  outer.put("inner", example());
  outer.put("innermost", int64_t{1});
  const Archive inner = Archive::decode(outer.encode()).part("inner");
  CHECK(inner.encode() == example().encode());
  CHECK(!outer.part("numb").has("er"));
}

TEST_CASE("foreign, cut off, damaged and newer archives are told apart") {
  const std::vector<uint8_t> good = example().encode();
  CHECK(error_of({}) == "is no checkpoint of hourglass");
  std::vector<uint8_t> bytes = good;
  bytes[1] = 'P';
  CHECK(error_of(bytes) == "is no checkpoint of hourglass");
  // The version and the byte order follow the signature of nine bytes.
  bytes = good;
  bytes[std::endian::native == std::endian::little ? 9 : 12] = 7;
  CHECK(error_of(bytes).find("is a checkpoint of version 7, this program reads version 3") == 0);
  bytes = good;
  std::swap(bytes[13], bytes[16]);
  std::swap(bytes[14], bytes[15]);
  CHECK(error_of(bytes).find("another byte order") != std::string::npos);
  for (std::size_t size = 9; size < good.size(); ++size) {
    CHECK(error_of(std::span(good).first(size)).find("is cut off") == 0);
  }
  for (std::size_t i = 9 + 24; i < good.size(); ++i) {
    bytes = good;
    bytes[i] ^= 0x10;
    CHECK(error_of(bytes) == "is damaged: its checksum is wrong");
  }
  bytes = good;
  bytes.push_back(0);
  CHECK(error_of(bytes) == "is damaged: its checksum is wrong");
}

}  // namespace hourglass::test
