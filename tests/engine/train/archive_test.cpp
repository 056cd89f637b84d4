// Archive: what goes in comes out, and every kind of damage has its own words.
#include "engine/train/archive.h"

#include <doctest/doctest.h>

#include <algorithm>
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
  archive.put("bytes", Deferred<uint8_t>{3, [] { return std::vector<uint8_t>{0, 255, 7}; }});
  archive.put("words", Deferred<uint16_t>{2, [] { return std::vector<uint16_t>{65535, 1}; }});
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
  CHECK(archive.bytes("bytes", 3) == std::vector<uint8_t>{0, 255, 7});
  CHECK(archive.words("words", 2) == std::vector<uint16_t>{65535, 1});
  CHECK_THROWS_WITH(static_cast<void>(archive.words("words", 3)), "its 'words' has 2 values, 3 belong there");
  CHECK_THROWS_WITH(static_cast<void>(archive.words("bytes", 3)), "its 'bytes' is of another type");
  CHECK(archive.encode() == bytes);
  CHECK(archive.integer("integer", int64_t{-1} << 60, 0) == int64_t{-1} << 60);
  CHECK_THROWS_WITH(static_cast<void>(archive.integer("integer", -1, 9)),
                    "its 'integer' is -1152921504606846976, from -1 to 9 is possible");
  CHECK(archive.floats("floats", 3).size() == 3);
  CHECK_THROWS_WITH(static_cast<void>(archive.floats("floats", 2)), "its 'floats' has 3 values, 2 belong there");
}

TEST_CASE(
    "long runs of numbers are made one after the other, when they are written, and read when they are asked for") {
  constexpr std::size_t kCount = 100000;
  int made = 0;
  Archive archive;
  for (const char* name : {"a", "b", "c"}) {
    archive.put(name, Deferred<float>{kCount, [&] {
                                        ++made;
                                        return std::vector<float>(kCount, static_cast<float>(made));
                                      }});
  }
  CHECK(made == 0);
  std::vector<uint8_t> file;
  archive.write([&](std::span<const uint8_t> piece) {
    // No more is in hand than what was made last, and what is small.
    CHECK(file.size() + piece.size() <= static_cast<std::size_t>(made) * kCount * sizeof(float) + 200);
    file.insert(file.end(), piece.begin(), piece.end());
  });
  CHECK(made == 3);
  uint64_t read = 0;
  Archive opened = Archive::open(file.size(), [&](uint64_t at, std::span<uint8_t> into) {
    read += into.size();
    std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(at), into.size(), into.begin());
  });
  read = 0;
  CHECK(opened.floats("b")[kCount - 1] == 2);
  CHECK(read == kCount * sizeof(float));
  opened.put("kept", int64_t{1});
  opened.close();
  CHECK(!opened.has("b"));
  CHECK(opened.integer("kept") == 1);
  archive.put("a", Deferred<float>{3, [] { return std::vector<float>(2); }});
  CHECK_THROWS_WITH(static_cast<void>(archive.encode()), "2 numbers were made of the 3 that were promised");
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
  CHECK(error_of(bytes).find("is a checkpoint of version 7, this program reads version 4") == 0);
  bytes = good;
  std::swap(bytes[13], bytes[16]);
  std::swap(bytes[14], bytes[15]);
  CHECK(error_of(bytes).find("another byte order") != std::string::npos);
  for (std::size_t size = 9; size < good.size(); ++size) {
    CHECK(error_of(std::span(good).first(size)).find("is cut off") == 0);
  }
  for (std::size_t i = 9 + 16; i < good.size(); ++i) {
    bytes = good;
    bytes[i] ^= 0x10;
    CHECK(error_of(bytes) == "is damaged: its checksum is wrong");
  }
  bytes = good;
  bytes.push_back(0);
  CHECK(error_of(bytes) == "is damaged: its checksum is wrong");
}

}  // namespace hourglass::test
