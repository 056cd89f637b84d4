// SHA-256, by which a run knows its input and its network again. `sha256sum FILE` says the same of a file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace hourglass {

class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  void add(std::span<const uint8_t> bytes);
  void add(std::string_view text);
  // The bits of each value.
  void add(std::span<const double> values);
  // 64 hexadecimal digits. Nothing may be added afterwards.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::span<const uint8_t> bytes);

}  // namespace hourglass
