#include "engine/image/digest.h"

#include <doctest/doctest.h>

#include <fstream>

#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "tests/engine/image/fixtures.h"

namespace hourglass::test {

TEST_CASE("SHA-256 is the standard's, in one piece or several") {
  // FIPS 180-4's examples.
  constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const Bytes abc{'a', 'b', 'c'};
  CHECK(sha256_hex(abc) == kAbc);
  CHECK(sha256_hex({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Digest pieces;
  pieces.add("a");
  pieces.add("bc");
  CHECK(pieces.hex() == kAbc);
  const auto of = [](double value) {
    Digest digest;
    digest.add(std::span(&value, 1));
    return digest.hex();
  };
  CHECK(of(1.0) == of(1.0));
  CHECK(of(0.0) != of(-0.0));
}

TEST_CASE("an image knows the digest of its file") {
  const std::string path = data_path("chelsea_q10.jpg");
  CHECK(read_image(path).sha256 == sha256_hex(read_file(path)));
}

}  // namespace hourglass::test
