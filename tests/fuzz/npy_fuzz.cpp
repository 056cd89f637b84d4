// An array of NumPy's: what is decoded is finite, fills its shape, and comes back when it is written and read once
// more.
#include <algorithm>
#include <cmath>

#include "engine/image/npy.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  using namespace hourglass;
  using fuzz::expect;
  return fuzz::refusing({data, size}, [](fuzz::Bytes bytes) {
    const Array array = decode_npy(bytes);
    std::size_t count = 1;
    for (const int64_t extent : array.shape) count *= static_cast<std::size_t>(extent);
    expect(array.values.size() == count, "the values fill the shape");
    expect(std::all_of(array.values.begin(), array.values.end(), [](float value) { return std::isfinite(value); }),
           "the values are finite");
    const Array again = decode_npy(encode_npy(array));
    expect(again.shape == array.shape && again.values == array.values, "the array comes back");
  });
}
