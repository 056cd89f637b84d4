// .npy files: what numpy writes, and what is damaged.
#include "engine/image/npy.h"

#include <doctest/doctest.h>

#include <bit>
#include <limits>

#include "graph/error.h"

namespace hourglass::test {
namespace {

std::vector<uint8_t> file(const std::string& header, const std::vector<uint8_t>& data) {
  std::string text = std::string("\x93NUMPY\x01") + '\0' + static_cast<char>(header.size()) + '\0' + header;
  std::vector<uint8_t> bytes(text.begin(), text.end());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

std::string header(const std::string& type, const std::string& shape, const std::string& order = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

template <class T>
std::vector<uint8_t> bytes_of(std::initializer_list<T> values) {
  std::vector<uint8_t> bytes;
  for (const T value : values) {
    const auto raw = std::bit_cast<std::array<uint8_t, sizeof(T)>>(value);
    bytes.insert(bytes.end(), raw.begin(), raw.end());
  }
  return bytes;
}

std::string refusal(const std::vector<uint8_t>& bytes) {
  try {
    decode_npy(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("arrays as numpy writes them") {
  const Array f32 = decode_npy(file(header("<f4", "(2, 1, 2)"), bytes_of<float>({1, -0.5F, 0.25F, 3})));
  CHECK(f32.shape == std::vector<int64_t>{2, 1, 2});
  CHECK(f32.values == std::vector<float>{1, -0.5F, 0.25F, 3});
  const Array f64 = decode_npy(file(header("<f8", "(2,)"), bytes_of<double>({0.5, -8})));
  CHECK(f64.shape == std::vector<int64_t>{2});
  CHECK(f64.values == std::vector<float>{0.5F, -8});
  CHECK(decode_npy(file(header("|u1", "(1, 3)"), {0, 7, 255})).values == std::vector<float>{0, 7, 255});
  CHECK(is_npy(file(header("|u1", "(1,)"), {0})));
  CHECK_FALSE(is_npy(std::vector<uint8_t>{0x89, 'P', 'N', 'G'}));
}

TEST_CASE("what is written comes back, its data aligned") {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{6}, {2, 3}, {1, 1, 3, 2}}) {
    const Array array{.shape = shape, .values = {0, 1, -2.5F, 1e-30F, 3e38F, 0.1F}};
    const std::vector<uint8_t> bytes = encode_npy(array);
    CHECK((bytes.size() - 4 * array.values.size()) % 64 == 0);
    const Array again = decode_npy(bytes);
    CHECK(again.shape == shape);
    CHECK(again.values == array.values);
  }
}

TEST_CASE("arrays that are refused") {
  const auto says = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(says(refusal(file(header("<c8", "(1,)"), {})), "expected '<f4'"));
  CHECK(says(refusal(file(header("<f4", "(1,)", "True"), {0, 0, 0, 0})), "column by column"));
  CHECK(says(refusal(file(header("<f4", "(3,)"), {0, 0, 0, 0})), "should hold 12 bytes behind its header, it has 4"));
  CHECK(says(refusal(file(header("<f4", "(1000000, 1000000)"), {})), "is larger than"));
  CHECK(says(refusal(file(header("<f4", "(9223372036854775807, 2)"), {})), "is larger than"));
  CHECK(says(refusal(file(header("<f4", "(0, 3)"), {})), "damaged, or empty"));
  CHECK(says(refusal(file(header("<f4", "(-1,)"), {})), "damaged, or empty"));
  CHECK(says(refusal(file(header("<f4", "3"), {})), "shape is damaged"));
  CHECK(says(refusal(file("{}", {})), "has no 'descr'"));
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  CHECK(says(refusal(file(header("<f4", "(2,)"), bytes_of<float>({1, nan}))), "holds nan as element 1"));
  CHECK(says(refusal(file(header("<f4", "(2,)"), bytes_of<float>({-infinity, 1}))), "holds -inf as element 0"));
  CHECK(says(refusal(file(header("<f8", "(1,)"), bytes_of<double>({1e300}))), "holds inf as element 0"));
  // Cut short anywhere: refused, nothing worse.
  const std::vector<uint8_t> whole = file(header("<f4", "(2,)"), bytes_of<float>({1, 2}));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(refusal({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}).empty());
  }
}

}  // namespace hourglass::test
