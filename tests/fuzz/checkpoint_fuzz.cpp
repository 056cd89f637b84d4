// A checkpoint: the block of bytes as it is, and with the length and the checksum that it should have, so that what is
// behind them is reached. What is decoded comes back when it is written and read once more, and a fit goes on from it
// or refuses it: one that is never begun, and for the checkpoints of such a fit, which it would take, a new one.
#include <zlib.h>

#include <cstring>
#include <vector>

#include "engine/report/run_log.h"
#include "engine/train/archive.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tiny.h"

namespace {

using namespace hourglass;
using fuzz::expect;

// As engine/train/archive.h says: 9 bytes of signature, version, byte order, length; the payload; its checksum.
constexpr std::size_t kLengthAt = 17, kPayloadAt = 25;

std::vector<uint8_t> made_right(fuzz::Bytes bytes) {
  std::vector<uint8_t> whole(bytes.begin(), bytes.end());
  uint64_t checksum = 0;
  const uint64_t length = bytes.size() - kPayloadAt - sizeof checksum;
  const fuzz::Bytes payload = bytes.subspan(kPayloadAt, length);
  checksum = crc32_z(crc32_z(0, nullptr, 0), payload.data(), payload.size());
  std::memcpy(whole.data() + kLengthAt, &length, sizeof length);
  std::memcpy(whole.data() + kPayloadAt + length, &checksum, sizeof checksum);
  return whole;
}

// Another network's, or of another input.
bool is_refused(const Archive& archive) {
  static fuzz::TinyFit fit;
  static const auto sha256 = [](const char* name) {
    Archive own;
    fit.restoration.save(own);
    return own.text(name);
  };
  static const std::string network = sha256("network_sha256"), problem = sha256("problem_sha256");
  if (archive.text("network_sha256") == network && archive.text("problem_sha256") == problem) return false;
  fit.restoration.load(archive);
  fuzz::expect(false, "the checkpoint of another fit is refused");
  return true;
}

void take_up(const Archive& archive) {
  if (is_refused(archive)) return;
  fuzz::TinyFit fit;
  fit.restoration.load(archive);
  for (int64_t rounds = 0; !fit.restoration.done(); ++rounds) {
    expect(rounds < fuzz::TinyFit::options().runs * fuzz::TinyFit::kIterations, "a fit that is taken up ends");
    fit.restoration.round();
  }
  fit.restoration.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  fuzz::refusing({data, size}, [](fuzz::Bytes bytes) { Archive::decode(bytes); });
  if (size < kPayloadAt + sizeof(uint64_t)) return 0;
  return fuzz::refusing({data, size}, [](fuzz::Bytes bytes) {
    const Archive archive = Archive::decode(made_right(bytes));
    const std::vector<uint8_t> encoded = archive.encode();
    expect(Archive::decode(encoded).encode() == encoded, "the checkpoint comes back");
    RunLog log;
    fuzz::refusing(bytes, [&](fuzz::Bytes) { log.load(archive.part("log")); });
    if (fuzz::is_chosen(bytes)) take_up(archive);
  });
}
