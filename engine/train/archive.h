// Named values as one checked block of bytes: what a checkpoint is made of.
//
//   Archive archive;
//   archive.put("fit/iteration", int64_t{100});
//   const std::vector<uint8_t> bytes = archive.encode();
//   Archive::decode(bytes).integer("fit/iteration");   // 100
//
// Numbers come back bit for bit. The block opens with a signature, the format's version, a mark of the byte order, the
// length and zlib's CRC-32 of what follows, so that decode() tells a damaged block from a foreign or a newer one.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace hourglass {

class Archive {
 public:
  // Replaces what has the name already.
  void put(const std::string& name, int64_t value) { values_[name] = value; }
  void put(const std::string& name, double value) { values_[name] = value; }
  void put(const std::string& name, std::string value) { values_[name] = std::move(value); }
  void put(const std::string& name, std::vector<float> value) { values_[name] = std::move(value); }
  void put(const std::string& name, std::vector<double> value) { values_[name] = std::move(value); }
  // All values of `part`, as "name/...".
  void put(const std::string& name, const Archive& part);

  [[nodiscard]] bool has(const std::string& name) const { return values_.contains(name); }
  // Throw Error when there is no such value, or one of another type.
  [[nodiscard]] int64_t integer(const std::string& name) const;
  [[nodiscard]] double number(const std::string& name) const;
  // ... or one outside of [low, high].
  [[nodiscard]] int64_t integer(const std::string& name, int64_t low, int64_t high) const;
  [[nodiscard]] const std::string& text(const std::string& name) const;
  [[nodiscard]] const std::vector<float>& floats(const std::string& name) const;
  [[nodiscard]] const std::vector<double>& numbers(const std::string& name) const;
  // ... or when there are not `count` numbers.
  [[nodiscard]] const std::vector<float>& floats(const std::string& name, std::size_t count) const;
  [[nodiscard]] const std::vector<double>& numbers(const std::string& name, std::size_t count) const;
  // What was put as a part under the name; empty when nothing was.
  [[nodiscard]] Archive part(const std::string& name) const;

  [[nodiscard]] std::vector<uint8_t> encode() const&;
  // The values go as they are written, so that the memory of both is not held at once.
  [[nodiscard]] std::vector<uint8_t> encode() &&;
  // Throws Error that says which it is: no such block at all, one of another version or byte order, cut off, damaged.
  static Archive decode(std::span<const uint8_t> bytes);

 private:
  using Value = std::variant<int64_t, double, std::string, std::vector<float>, std::vector<double>>;
  template <typename T>
  [[nodiscard]] const T& get(const std::string& name) const;
  template <typename T>
  [[nodiscard]] const T& get(const std::string& name, std::size_t count) const;

  std::map<std::string, Value> values_;
};

}  // namespace hourglass
