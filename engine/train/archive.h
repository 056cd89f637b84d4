// Named values as one checked block of bytes: what a checkpoint is made of.
//
//   Archive archive;
//   archive.put("fit/iteration", int64_t{100});
//   const std::vector<uint8_t> bytes = archive.encode();
//   Archive::decode(bytes).integer("fit/iteration");   // 100
//
// Numbers come back bit for bit. The block opens with a signature, the format's version, a mark of the byte order and
// the length of what follows, and ends with zlib's CRC-32 of that, so that a damaged block is told from a foreign or a
// newer one. A checkpoint may be as large as the program: long runs of numbers (Deferred) are made one after the other
// as they are written, and stay in the file until they are asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace hourglass {

// So many numbers, made when they are read or written, or not even then: those that lie somewhere as they are. What
// either refers to must stay as it is until then.
template <typename T>
struct Deferred {
  std::size_t count = 0;
  std::function<std::vector<T>()> make = {};
  const T* there = nullptr;  // in place of make()

  [[nodiscard]] std::vector<T> values() const {
    return there != nullptr ? std::vector<T>(there, there + count) : make();
  }
};

class Archive {
 public:
  // In archive.cpp, as all that compiles the map: every source of the program reads this header.
  Archive();
  Archive(const Archive& other);
  Archive(Archive&& other) noexcept;
  Archive& operator=(const Archive& other);
  Archive& operator=(Archive&& other) noexcept;
  ~Archive();

  // Replaces what has the name already.
  void put(const std::string& name, int64_t value);
  void put(const std::string& name, double value);
  void put(const std::string& name, std::string value);
  void put(const std::string& name, std::vector<double> value);
  void put(const std::string& name, std::vector<float> value);
  void put(const std::string& name, Deferred<float> value);
  void put(const std::string& name, Deferred<uint8_t> value);
  void put(const std::string& name, Deferred<uint16_t> value);
  // All values of `part`, as "name/...".
  void put(const std::string& name, const Archive& part);

  [[nodiscard]] bool has(const std::string& name) const;
  // Throw Error when there is no such value, or one of another type.
  [[nodiscard]] int64_t integer(const std::string& name) const;
  [[nodiscard]] double number(const std::string& name) const;
  // ... or one outside of [low, high].
  [[nodiscard]] int64_t integer(const std::string& name, int64_t low, int64_t high) const;
  [[nodiscard]] const std::string& text(const std::string& name) const;
  [[nodiscard]] const std::vector<double>& numbers(const std::string& name) const;
  [[nodiscard]] std::vector<float> floats(const std::string& name) const;
  // ... or when there are not `count` numbers.
  [[nodiscard]] const std::vector<double>& numbers(const std::string& name, std::size_t count) const;
  [[nodiscard]] std::vector<float> floats(const std::string& name, std::size_t count) const;
  [[nodiscard]] std::vector<uint8_t> bytes(const std::string& name, std::size_t count) const;
  [[nodiscard]] std::vector<uint16_t> words(const std::string& name, std::size_t count) const;
  // What was put as a part under the name; empty when nothing was.
  [[nodiscard]] Archive part(const std::string& name) const;

  // Gives the block to `sink`, piece by piece.
  using Sink = std::function<void(std::span<const uint8_t>)>;
  void write(const Sink& sink) const;
  [[nodiscard]] std::vector<uint8_t> encode() const;

  // Reads bytes from a place on, all that are asked for; throws Error.
  using ReadAt = std::function<void(uint64_t at, std::span<uint8_t> into)>;
  // A block of `size` bytes, whose long runs of numbers are read when they are asked for: `read` must do until close().
  // Throws Error that says which it is: no such block at all, one of another version or byte order, cut off, damaged.
  static Archive open(uint64_t size, const ReadAt& read);
  static Archive decode(std::span<const uint8_t> bytes);
  // Forgets what is deferred, and so lets go of the file.
  void close();

 private:
  using Value = std::variant<int64_t, double, std::string, std::vector<double>, Deferred<float>, Deferred<uint8_t>,
                             Deferred<uint16_t>>;
  class Reader;
  template <typename T>
  [[nodiscard]] const T& get(const std::string& name) const;
  template <typename T>
  [[nodiscard]] std::vector<T> made(const std::string& name, std::size_t count) const;

  std::map<std::string, Value> values_;
};

}  // namespace hourglass
