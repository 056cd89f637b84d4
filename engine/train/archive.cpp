#include "engine/train/archive.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "graph/error.h"

namespace hourglass {
namespace {

// As PNG's: a byte above 127 and both line ends, so that a transfer in text mode shows.
constexpr std::string_view kSignature = "\x89HGCKPT\r\n";
constexpr uint32_t kVersion = 4;  // counts what a seed draws, too: that is not in a checkpoint
constexpr uint32_t kByteOrder = 0x01020304;

struct Header {
  uint32_t version = kVersion;
  uint32_t byte_order = kByteOrder;
  uint64_t payload_bytes = 0;
};
static_assert(sizeof(Header) == 16);
constexpr std::size_t kStart = kSignature.size() + sizeof(Header);
using Checksum = uint64_t;

template <typename T>
std::span<const uint8_t> bytes_of(const T* items, std::size_t count) {
  return {reinterpret_cast<const uint8_t*>(items), count * sizeof(T)};
}
template <typename T>
std::span<uint8_t> bytes_of(T* items, std::size_t count) {
  return {reinterpret_cast<uint8_t*>(items), count * sizeof(T)};
}

// Visits what a value takes behind its name and type, as spans of bytes: a sequence has its length before it.
template <typename T, typename Visit>
void put_value(const T& value, const Visit& visit) {
  visit(bytes_of(&value, 1));
}
template <typename Sequence, typename Visit>
void put_sequence(const Sequence& items, const Visit& visit) {
  put_value(static_cast<uint64_t>(items.size()), visit);
  visit(bytes_of(items.data(), items.size()));
}
template <typename Visit>
void put_value(const std::string& text, const Visit& visit) {
  put_sequence(text, visit);
}
template <typename Visit>
void put_value(const std::vector<double>& numbers, const Visit& visit) {
  put_sequence(numbers, visit);
}
template <typename T, typename Visit>
void put_value(const Deferred<T>& numbers, const Visit& visit) {
  if (numbers.there != nullptr) return put_sequence(std::span(numbers.there, numbers.count), visit);
  const std::vector<T> made = numbers.make();
  if (made.size() != numbers.count)
    fail("{} numbers were made of the {} that were promised", made.size(), numbers.count);
  put_sequence(made, visit);
}

// How many bytes that are.
template <typename T>
uint64_t size_of_value(const T& value) {
  uint64_t size = 0;
  put_value(value, [&](std::span<const uint8_t> bytes) { size += bytes.size(); });
  return size;
}
template <typename T>
uint64_t size_of_value(const Deferred<T>& numbers) {
  return sizeof(uint64_t) + numbers.count * sizeof(T);
}

}  // namespace

// Walks over the payload of a block.
class Archive::Reader {
 public:
  Reader(const std::shared_ptr<const ReadAt>& read, uint64_t begin, uint64_t end)
      : read_(read), at_(begin), end_(end) {}
  [[nodiscard]] bool done() const { return at_ == end_; }

  template <typename T>
  void value(T& item) {
    take(bytes_of(&item, 1));
  }
  void value(std::string& text) { sequence(text); }
  void value(std::vector<double>& numbers) { sequence(numbers); }
  template <typename T>
  void value(Deferred<T>& numbers) {
    numbers.count = length(sizeof(T));
    numbers.make = [read = read_, at = at_, count = numbers.count] {
      std::vector<T> made(count);
      if (count > 0) (*read)(at, bytes_of(made.data(), count));
      return made;
    };
    at_ += numbers.count * sizeof(T);
  }
  // Reads the alternative of the index.
  template <std::size_t I = 0>
  Value alternative(std::size_t index) {
    if constexpr (I == std::variant_size_v<Value>) {
      fail("it holds a value of the unknown type {}", index);
    } else {
      if (index != I) return alternative<I + 1>(index);
      std::variant_alternative_t<I, Value> item{};
      value(item);
      return item;
    }
  }

 private:
  // Of a sequence, checked before memory for it is asked for.
  std::size_t length(std::size_t bytes_each) {
    uint64_t count = 0;
    value(count);
    if (count > (end_ - at_) / bytes_each) overrun();
    return static_cast<std::size_t>(count);
  }
  template <typename Sequence>
  void sequence(Sequence& items) {
    items.resize(length(sizeof items[0]));
    take(bytes_of(items.data(), items.size()));
  }
  [[noreturn]] static void overrun() { fail("its contents contradict their lengths"); }
  void take(std::span<uint8_t> into) {
    if (into.size() > end_ - at_) overrun();
    if (!into.empty()) (*read_)(at_, into);
    at_ += into.size();
  }

  std::shared_ptr<const ReadAt> read_;
  uint64_t at_, end_;
};

Archive::Archive() = default;
Archive::Archive(const Archive& other) = default;
Archive::Archive(Archive&& other) noexcept = default;
Archive& Archive::operator=(const Archive& other) = default;
Archive& Archive::operator=(Archive&& other) noexcept = default;
Archive::~Archive() = default;

void Archive::put(const std::string& name, int64_t value) { values_[name] = value; }
void Archive::put(const std::string& name, double value) { values_[name] = value; }
void Archive::put(const std::string& name, std::string value) { values_[name] = std::move(value); }
void Archive::put(const std::string& name, std::vector<double> value) { values_[name] = std::move(value); }
void Archive::put(const std::string& name, Deferred<float> value) { values_[name] = std::move(value); }
void Archive::put(const std::string& name, Deferred<uint8_t> value) { values_[name] = std::move(value); }
void Archive::put(const std::string& name, Deferred<uint16_t> value) { values_[name] = std::move(value); }
void Archive::put(const std::string& name, std::vector<float> value) {
  const std::size_t count = value.size();
  const auto shared = std::make_shared<const std::vector<float>>(std::move(value));
  put(name, Deferred<float>{count, [shared] { return *shared; }});
}

bool Archive::has(const std::string& name) const { return values_.contains(name); }

template <typename T>
const T& Archive::get(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) fail("it has no '{}'", name);
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) fail("its '{}' is of another type", name);
  return *value;
}

namespace {
void check_count(const std::string& name, std::size_t count, std::size_t wanted) {
  if (count != wanted) fail("its '{}' has {} values, {} belong there", name, count, wanted);
}
}  // namespace

int64_t Archive::integer(const std::string& name) const { return get<int64_t>(name); }
int64_t Archive::integer(const std::string& name, int64_t low, int64_t high) const {
  const int64_t value = integer(name);
  if (value < low || value > high) fail("its '{}' is {}, from {} to {} is possible", name, value, low, high);
  return value;
}

double Archive::number(const std::string& name) const { return get<double>(name); }
const std::string& Archive::text(const std::string& name) const { return get<std::string>(name); }
const std::vector<double>& Archive::numbers(const std::string& name) const { return get<std::vector<double>>(name); }
const std::vector<double>& Archive::numbers(const std::string& name, std::size_t count) const {
  const std::vector<double>& values = numbers(name);
  check_count(name, values.size(), count);
  return values;
}

template <typename T>
std::vector<T> Archive::made(const std::string& name, std::size_t count) const {
  const Deferred<T>& values = get<Deferred<T>>(name);
  check_count(name, values.count, count);
  return values.values();
}

std::vector<float> Archive::floats(const std::string& name) const { return get<Deferred<float>>(name).values(); }
std::vector<float> Archive::floats(const std::string& name, std::size_t count) const {
  return made<float>(name, count);
}
std::vector<uint8_t> Archive::bytes(const std::string& name, std::size_t count) const {
  return made<uint8_t>(name, count);
}
std::vector<uint16_t> Archive::words(const std::string& name, std::size_t count) const {
  return made<uint16_t>(name, count);
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

void Archive::write(const Sink& sink) const {
  Header header;
  for (const auto& [name, value] : values_) {
    header.payload_bytes += size_of_value(name) + 1;
    header.payload_bytes += std::visit([](const auto& item) { return size_of_value(item); }, value);
  }
  constexpr std::size_t kPiece = 1 << 16;
  std::vector<uint8_t> pieces(kPiece);  // small ones, put together
  std::size_t used = 0;
  const auto flush = [&] {
    sink(std::span(pieces).first(used));
    used = 0;
  };
  const auto add = [&](std::span<const uint8_t> bytes) {
    if (used + bytes.size() > kPiece) flush();
    if (bytes.size() > kPiece) return sink(bytes);
    std::memcpy(pieces.data() + used, bytes.data(), bytes.size());
    used += bytes.size();
  };
  add(bytes_of(reinterpret_cast<const uint8_t*>(kSignature.data()), kSignature.size()));
  put_value(header, add);
  Checksum checksum = crc32_z(0, nullptr, 0);
  const auto add_checked = [&](std::span<const uint8_t> bytes) {
    if (bytes.empty()) return;  // zlib would begin anew
    checksum = crc32_z(checksum, bytes.data(), bytes.size());
    add(bytes);
  };
  for (const auto& [name, value] : values_) {
    put_value(name, add_checked);
    put_value(static_cast<uint8_t>(value.index()), add_checked);
    std::visit([&](const auto& item) { put_value(item, add_checked); }, value);
  }
  put_value(checksum, add);
  flush();
}

std::vector<uint8_t> Archive::encode() const {
  std::vector<uint8_t> bytes;
  write([&](std::span<const uint8_t> piece) {
    if (piece.empty()) return;
    const std::size_t before = bytes.size();
    bytes.resize(before + piece.size());
    std::memcpy(bytes.data() + before, piece.data(), piece.size());
  });
  return bytes;
}

namespace {

Checksum checksum_of(const Archive::ReadAt& read, uint64_t begin, uint64_t end) {
  constexpr std::size_t kChunk = 1 << 20;
  std::vector<uint8_t> chunk(static_cast<std::size_t>(std::min<uint64_t>(kChunk, end - begin)));
  Checksum checksum = crc32_z(0, nullptr, 0);
  for (uint64_t at = begin; at < end; at += chunk.size()) {
    chunk.resize(static_cast<std::size_t>(std::min<uint64_t>(chunk.size(), end - at)));
    read(at, chunk);
    checksum = crc32_z(checksum, chunk.data(), chunk.size());
  }
  return checksum;
}

// Reads the header and checks the block; returns where its payload ends.
uint64_t check_block(uint64_t size, const Archive::ReadAt& read) {
  std::string signature(kSignature.size(), ' ');
  if (size >= signature.size()) read(0, bytes_of(reinterpret_cast<uint8_t*>(signature.data()), signature.size()));
  if (signature != kSignature) fail("is no checkpoint of hourglass");
  if (size < kStart) fail("is cut off within its first bytes");
  Header header;
  read(kSignature.size(), bytes_of(reinterpret_cast<uint8_t*>(&header), sizeof header));
  if (header.byte_order != kByteOrder) fail("was written on a machine with another byte order");
  if (header.version != kVersion) {
    fail("is a checkpoint of version {}, this program reads version {}: finish it with the program that began it",
         header.version, kVersion);
  }
  const uint64_t rest = size - kStart;
  if (rest < sizeof(Checksum) || rest - sizeof(Checksum) < header.payload_bytes) {
    fail("is cut off: {} of {} bytes are there", size, kStart + header.payload_bytes + sizeof(Checksum));
  }
  const uint64_t end = kStart + header.payload_bytes;
  Checksum checksum = 0;
  read(end, bytes_of(reinterpret_cast<uint8_t*>(&checksum), sizeof checksum));
  if (rest - sizeof(Checksum) > header.payload_bytes || checksum_of(read, kStart, end) != checksum) {
    fail("is damaged: its checksum is wrong");
  }
  return end;
}

}  // namespace

Archive Archive::open(uint64_t size, const ReadAt& read) {
  const uint64_t end = check_block(size, read);
  Archive archive;
  Reader reader(std::make_shared<const ReadAt>(read), kStart, end);
  while (!reader.done()) {
    std::string name;
    reader.value(name);
    uint8_t index = 0;
    reader.value(index);
    archive.values_[name] = reader.alternative(index);
  }
  return archive;
}

Archive Archive::decode(std::span<const uint8_t> bytes) {
  const auto copy = std::make_shared<const std::vector<uint8_t>>(bytes.begin(), bytes.end());
  return open(copy->size(), [copy](uint64_t at, std::span<uint8_t> into) {
    std::memcpy(into.data(), copy->data() + at, into.size());
  });
}

void Archive::close() {
  std::erase_if(values_, [](const auto& entry) {
    return std::visit(
        []<typename T>(const T&) {
          return std::is_same_v<T, Deferred<float>> || std::is_same_v<T, Deferred<uint8_t>> ||
                 std::is_same_v<T, Deferred<uint16_t>>;
        },
        entry.second);
  });
}

}  // namespace hourglass
