#include "engine/image/digest.h"

#include <sys/types.h>  // sha2.h needs it

#include <sha2.h>

#include "engine/image/file.h"

namespace hourglass {

struct Digest::State {
  SHA2_CTX context;
};

Digest::Digest() : state_(std::make_unique<State>()) { SHA256Init(&state_->context); }
Digest::~Digest() = default;

void Digest::add(std::span<const uint8_t> bytes) { SHA256Update(&state_->context, bytes.data(), bytes.size()); }
void Digest::add(std::string_view text) { add(bytes_of(text)); }
void Digest::add(std::span<const double> values) {
  add({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
}

std::string Digest::hex() {
  char text[SHA256_DIGEST_STRING_LENGTH];
  SHA256End(&state_->context, text);
  return text;
}

std::string sha256_hex(std::span<const uint8_t> bytes) {
  Digest digest;
  digest.add(bytes);
  return digest.hex();
}

}  // namespace hourglass
