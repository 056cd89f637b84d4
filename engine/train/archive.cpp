#include "engine/train/archive.h"

#include <zlib.h>

#include <cstring>
#include <string_view>

#include "graph/error.h"

namespace hourglass {
namespace {

// As PNG's: a byte above 127 and both line ends, so that a transfer in text mode shows.
constexpr std::string_view kSignature = "\x89HGCKPT\r\n";
constexpr uint32_t kVersion = 3;  // counts what a seed draws, too: that is not in a checkpoint
constexpr uint32_t kByteOrder = 0x01020304;

struct Header {
  uint32_t version = kVersion;
  uint32_t byte_order = kByteOrder;
  uint64_t payload_bytes = 0;
  uint64_t crc = 0;
};
static_assert(sizeof(Header) == 24);

uint64_t crc_of(std::span<const uint8_t> bytes) { return crc32_z(crc32_z(0, nullptr, 0), bytes.data(), bytes.size()); }

class Writer {
 public:
  explicit Writer(std::vector<uint8_t>& bytes) : bytes_(bytes) {}
  template <typename T>
  void value(const T& value) {
    raw(&value, sizeof value);
  }
  template <typename Sequence>
  void sequence(const Sequence& items) {
    value(static_cast<uint64_t>(items.size()));
    raw(items.data(), items.size() * sizeof items[0]);
  }

 private:
  void raw(const void* from, std::size_t count) {
    if (count == 0) return;
    const std::size_t at = bytes_.size();
    bytes_.resize(at + count);
    std::memcpy(bytes_.data() + at, from, count);
  }
  std::vector<uint8_t>& bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool done() const { return bytes_.empty(); }
  template <typename T>
  void value(T& value) {
    raw(&value, sizeof value);
  }
  template <typename Sequence>
  void sequence(Sequence& items) {
    uint64_t count = 0;
    value(count);
    // Before the memory is asked for.
    if (count > bytes_.size() / sizeof items[0]) overrun();
    items.resize(static_cast<std::size_t>(count));
    raw(items.data(), items.size() * sizeof items[0]);
  }

 private:
  [[noreturn]] static void overrun() { fail("its contents contradict their lengths"); }
  void raw(void* to, std::size_t count) {
    if (count > bytes_.size()) overrun();
    if (count > 0) std::memcpy(to, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
  }
  std::span<const uint8_t> bytes_;
};

template <typename T>
constexpr bool kIsSequence = !std::is_arithmetic_v<T>;

// That a value takes behind its name and type: a sequence has its length before it.
template <typename T>
std::size_t bytes_of(const T& item) {
  if constexpr (kIsSequence<T>) {
    return sizeof(uint64_t) + item.size() * sizeof item[0];
  } else {
    return sizeof item;
  }
}
template <typename... T>
std::size_t bytes_of(const std::variant<T...>& value) {
  return std::visit([](const auto& item) { return bytes_of(item); }, value);
}

// Reads a Variant whose alternative has the index.
template <typename Variant, std::size_t I = 0>
Variant read_alternative(Reader& reader, std::size_t index) {
  if constexpr (I == std::variant_size_v<Variant>) {
    fail("it holds a value of the unknown type {}", index);
  } else {
    if (index != I) return read_alternative<Variant, I + 1>(reader, index);
    std::variant_alternative_t<I, Variant> value{};
    if constexpr (kIsSequence<decltype(value)>) {
      reader.sequence(value);
    } else {
      reader.value(value);
    }
    return value;
  }
}

}  // namespace

template <typename T>
const T& Archive::get(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) fail("it has no '{}'", name);
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) fail("its '{}' is of another type", name);
  return *value;
}

int64_t Archive::integer(const std::string& name) const { return get<int64_t>(name); }
int64_t Archive::integer(const std::string& name, int64_t low, int64_t high) const {
  const int64_t value = integer(name);
  if (value < low || value > high) fail("its '{}' is {}, from {} to {} is possible", name, value, low, high);
  return value;
}

double Archive::number(const std::string& name) const { return get<double>(name); }
const std::string& Archive::text(const std::string& name) const { return get<std::string>(name); }
const std::vector<float>& Archive::floats(const std::string& name) const { return get<std::vector<float>>(name); }
const std::vector<double>& Archive::numbers(const std::string& name) const { return get<std::vector<double>>(name); }

template <typename T>
const T& Archive::get(const std::string& name, std::size_t count) const {
  const T& values = get<T>(name);
  if (values.size() != count) fail("its '{}' has {} values, {} belong there", name, values.size(), count);
  return values;
}

const std::vector<float>& Archive::floats(const std::string& name, std::size_t count) const {
  return get<std::vector<float>>(name, count);
}
const std::vector<double>& Archive::numbers(const std::string& name, std::size_t count) const {
  return get<std::vector<double>>(name, count);
}

void Archive::put(const std::string& name, const Archive& part) {
  for (const auto& [inner, value] : part.values_) values_[name + "/" + inner] = value;
}

Archive Archive::part(const std::string& name) const {
  const std::string prefix = name + "/";
  Archive part;
  for (auto i = values_.lower_bound(prefix); i != values_.end() && i->first.starts_with(prefix); ++i) {
    part.values_[i->first.substr(prefix.size())] = i->second;
  }
  return part;
}

std::vector<uint8_t> Archive::encode() const& { return Archive(*this).encode(); }

std::vector<uint8_t> Archive::encode() && {
  constexpr std::size_t kStart = kSignature.size() + sizeof(Header);
  std::size_t size = kStart;
  for (const auto& [name, value] : values_) size += bytes_of(name) + 1 + bytes_of(value);
  std::vector<uint8_t> bytes;
  bytes.reserve(size);
  bytes.resize(kStart);
  Writer writer(bytes);
  for (auto& [name, value] : values_) {
    writer.sequence(name);
    writer.value(static_cast<uint8_t>(value.index()));
    std::visit(
        [&](const auto& item) {
          if constexpr (kIsSequence<std::decay_t<decltype(item)>>) {
            writer.sequence(item);
          } else {
            writer.value(item);
          }
        },
        value);
    value = int64_t{0};
  }
  const auto payload = std::span(bytes).subspan(kStart);
  const Header header{.payload_bytes = payload.size(), .crc = crc_of(payload)};
  std::memcpy(bytes.data(), kSignature.data(), kSignature.size());
  std::memcpy(bytes.data() + kSignature.size(), &header, sizeof header);
  return bytes;
}

Archive Archive::decode(std::span<const uint8_t> bytes) {
  if (bytes.size() < kSignature.size() || std::memcmp(bytes.data(), kSignature.data(), kSignature.size()) != 0) {
    fail("is no checkpoint of hourglass");
  }
  bytes = bytes.subspan(kSignature.size());
  Header header;
  if (bytes.size() < sizeof header) fail("is cut off within its first bytes");
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto payload = bytes.subspan(sizeof header);
  if (header.byte_order != kByteOrder) fail("was written on a machine with another byte order");
  if (header.version != kVersion) {
    fail("is a checkpoint of version {}, this program reads version {}: finish it with the program that began it",
         header.version, kVersion);
  }
  if (payload.size() < header.payload_bytes) {
    fail("is cut off: {} of {} bytes are there", payload.size(), header.payload_bytes);
  }
  if (payload.size() > header.payload_bytes || crc_of(payload) != header.crc) {
    fail("is damaged: its checksum is wrong");
  }
  Archive archive;
  Reader reader(payload);
  while (!reader.done()) {
    std::string name;
    reader.sequence(name);
    uint8_t index = 0;
    reader.value(index);
    archive.values_[name] = read_alternative<Value>(reader, index);
  }
  return archive;
}

}  // namespace hourglass
