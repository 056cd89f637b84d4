#include "graph/detail/onnx_tensor.h"

#include <onnx/onnx_pb.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>

#include "graph/error.h"

namespace hourglass {
namespace {

using onnx::TensorProto;

// The elements are held as doubles, whatever the file's type.
constexpr int64_t kMaxConstantElements = int64_t{1} << 28;
constexpr int64_t kMaxConstantBytes = int64_t{1} << 30;

double half_to_double(uint32_t bits) {
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  const auto exponent = static_cast<int>((bits >> 10) & 0x1f);
  const auto fraction = static_cast<double>(bits & 0x3ff);
  if (exponent == 0x1f) return fraction != 0 ? std::nan("") : sign * HUGE_VAL;
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25));
}

double bf16_to_double(uint32_t bits) { return std::bit_cast<float>(bits << 16); }

// Bytes of one element in raw data; 0 for what is not supported.
int64_t raw_size(int data_type) {
  switch (data_type) {
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
    case TensorProto::UINT64: return 8;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32: return 4;
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::INT16:
    case TensorProto::UINT16: return 2;
    case TensorProto::INT8:
    case TensorProto::UINT8:
    case TensorProto::BOOL: return 1;
    default: return 0;
  }
}

// One element from its bits, as raw data holds them.
double from_bits(int data_type, uint64_t bits) {
  switch (data_type) {
    case TensorProto::FLOAT: return std::bit_cast<float>(static_cast<uint32_t>(bits));
    case TensorProto::DOUBLE: return std::bit_cast<double>(bits);
    case TensorProto::FLOAT16: return half_to_double(static_cast<uint32_t>(bits));
    case TensorProto::BFLOAT16: return bf16_to_double(static_cast<uint32_t>(bits));
    case TensorProto::INT64: return static_cast<double>(static_cast<int64_t>(bits));
    case TensorProto::INT32: return static_cast<int32_t>(bits);
    case TensorProto::INT16: return static_cast<int16_t>(bits);
    case TensorProto::INT8: return static_cast<int8_t>(bits);
    case TensorProto::BOOL: return bits != 0 ? 1 : 0;
    default: return static_cast<double>(bits);
  }
}

// ONNX's raw data is little-endian, whatever the machine.
uint64_t little_endian(const char* bytes, int64_t size) {
  uint64_t bits = 0;
  for (int64_t i = 0; i < size; ++i) bits |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return bits;
}

int64_t typed_count(const TensorProto& proto) {
  switch (proto.data_type()) {
    case TensorProto::FLOAT: return proto.float_data_size();
    case TensorProto::DOUBLE: return proto.double_data_size();
    case TensorProto::INT64: return proto.int64_data_size();
    case TensorProto::UINT32:
    case TensorProto::UINT64: return proto.uint64_data_size();
    default: return proto.int32_data_size();
  }
}

double typed_value(const TensorProto& proto, int i) {
  switch (proto.data_type()) {
    case TensorProto::FLOAT: return proto.float_data(i);
    case TensorProto::DOUBLE: return proto.double_data(i);
    case TensorProto::INT64: return static_cast<double>(proto.int64_data(i));
    case TensorProto::UINT32:
    case TensorProto::UINT64: return static_cast<double>(proto.uint64_data(i));
    case TensorProto::FLOAT16: return half_to_double(static_cast<uint32_t>(proto.int32_data(i)));
    case TensorProto::BFLOAT16: return bf16_to_double(static_cast<uint32_t>(proto.int32_data(i)));
    default: return proto.int32_data(i);
  }
}

uint64_t parse_count(const std::string& key, const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail("external data has the {} '{}', expected a number of bytes", key, text);
  }
  return value;
}

// The file that `location` names, which must lie inside the folder, also after links are followed.
std::filesystem::path inside(const std::filesystem::path& folder, const std::string& location) {
  namespace fs = std::filesystem;
  const fs::path relative(location);
  bool climbs = relative.empty() || relative.is_absolute() || location.find('\0') != std::string::npos;
  for (const fs::path& part : relative) climbs = climbs || part == "..";
  if (!climbs) {
    std::error_code ignored;
    const fs::path root = fs::weakly_canonical(folder, ignored);
    const fs::path file = fs::weakly_canonical(folder / relative, ignored);
    const fs::path from_root = file.lexically_relative(root);
    climbs = from_root.empty() || *from_root.begin() == "..";
  }
  if (climbs) fail("external data lies in '{}', outside of the model's folder: that is not followed", location);
  return folder / relative;
}

}  // namespace

DType dtype_from_onnx(int data_type) {
  switch (data_type) {
    case TensorProto::FLOAT: return DType::f32;
    case TensorProto::DOUBLE: return DType::f64;
    case TensorProto::FLOAT16: return DType::f16;
    case TensorProto::BFLOAT16: return DType::bf16;
    case TensorProto::INT64:
    case TensorProto::UINT64:
    case TensorProto::UINT32:
    case TensorProto::UINT16:
    case TensorProto::INT16: return DType::i64;
    case TensorProto::INT32: return DType::i32;
    case TensorProto::UINT8: return DType::u8;
    case TensorProto::INT8: return DType::i8;
    case TensorProto::BOOL: return DType::boolean;
    default: break;
  }
  const std::string name =
      TensorProto::DataType_IsValid(data_type) ? TensorProto::DataType_Name(data_type) : fmt::format("{}", data_type);
  fail("element type {} is not supported", name);
}

int dtype_to_onnx(DType dtype) {
  switch (dtype) {
    case DType::f32: return TensorProto::FLOAT;
    case DType::f64: return TensorProto::DOUBLE;
    case DType::bf16: return TensorProto::BFLOAT16;
    case DType::f16: return TensorProto::FLOAT16;
    case DType::i64: return TensorProto::INT64;
    case DType::i32: return TensorProto::INT32;
    case DType::u8: return TensorProto::UINT8;
    case DType::i8: return TensorProto::INT8;
    case DType::boolean: return TensorProto::BOOL;
  }
  return TensorProto::UNDEFINED;
}

HostTensor tensor_from_onnx(const TensorProto& proto) {
  const int type = proto.data_type();
  HostTensor tensor;
  tensor.dtype = dtype_from_onnx(type);
  tensor.shape = Shape(Dims(proto.dims().begin(), proto.dims().end()));
  const int64_t count = tensor.shape.elements();
  const int64_t size = raw_size(type);
  if (count > kMaxConstantElements || count * size > kMaxConstantBytes) {
    fail("shape {} is too large: a constant may have up to {} elements in {} MiB", tensor.shape, kMaxConstantElements,
         kMaxConstantBytes >> 20);
  }
  if (proto.has_segment()) fail("is stored in segments, which is not supported");
  if (proto.data_location() == TensorProto::EXTERNAL) fail("is stored in another file, which was not loaded");
  if (proto.has_raw_data()) {
    const std::string& raw = proto.raw_data();
    if (static_cast<int64_t>(raw.size()) != count * size) {
      fail("shape {} needs {} bytes, the file has {}", tensor.shape, count * size, raw.size());
    }
    tensor.values.resize(static_cast<std::size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      tensor.values[static_cast<std::size_t>(i)] = from_bits(type, little_endian(raw.data() + i * size, size));
    }
    return tensor;
  }
  if (typed_count(proto) != count) {
    fail("shape {} needs {} elements, the file has {}", tensor.shape, count, typed_count(proto));
  }
  tensor.values.resize(static_cast<std::size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    tensor.values[static_cast<std::size_t>(i)] = typed_value(proto, static_cast<int>(i));
  }
  return tensor;
}

std::optional<ExternalData> find_external_data(const TensorProto& proto, const std::filesystem::path& folder) {
  if (proto.data_location() != TensorProto::EXTERNAL) return {};
  if (folder.empty()) fail("is stored in another file, which a model in memory can't name; save it as one file");
  ExternalData data;
  std::string location;
  bool has_length = false;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") data.offset = parse_count("offset", entry.value());
    if (entry.key() == "length") {
      data.length = parse_count("length", entry.value());
      has_length = true;
    }
  }
  data.path = inside(folder, location);
  std::error_code error;
  const bool is_file = std::filesystem::is_regular_file(data.path, error);
  const uint64_t size = is_file ? std::filesystem::file_size(data.path, error) : 0;
  if (error || !is_file) fail("external data '{}' can't be read", data.path.string());
  if (data.offset > size || (has_length && data.length > size - data.offset)) {
    fail("external data '{}' has {} bytes, the model reads {} from byte {}", data.path.string(), size, data.length,
         data.offset);
  }
  if (!has_length) data.length = size - data.offset;
  if (data.length > static_cast<uint64_t>(kMaxConstantBytes)) {
    fail("has {} bytes of external data: a constant may have up to {} MiB", data.length, kMaxConstantBytes >> 20);
  }
  return data;
}

void load_external_data(TensorProto& proto, const std::filesystem::path& folder) {
  const std::optional<ExternalData> data = find_external_data(proto, folder);
  if (!data) return;
  std::string bytes(data->length, '\0');
  std::ifstream file(data->path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(data->offset));
  file.read(bytes.data(), static_cast<std::streamsize>(data->length));
  if (!file) fail("external data '{}' can't be read", data->path.string());
  proto.set_raw_data(std::move(bytes));
  proto.clear_external_data();
  proto.clear_data_location();
}

void tensor_to_onnx(const HostTensor& tensor, TensorProto& proto) {
  proto.set_data_type(dtype_to_onnx(tensor.dtype));
  for (const int64_t extent : tensor.shape.dims()) proto.add_dims(extent);
  const auto size = static_cast<int64_t>(size_of(tensor.dtype));
  std::string raw;
  raw.reserve(tensor.values.size() * static_cast<std::size_t>(size));
  const bool whole = !is_floating(tensor.dtype);
  const Dims ints = whole ? tensor.to_ints() : Dims{};
  for (std::size_t i = 0; i < tensor.values.size(); ++i) {
    uint64_t bits = 0;
    if (whole) {
      bits = static_cast<uint64_t>(ints[i]);
    } else if (tensor.dtype == DType::f64) {
      bits = std::bit_cast<uint64_t>(tensor.values[i]);
    } else if (tensor.dtype == DType::f32) {
      bits = std::bit_cast<uint32_t>(static_cast<float>(tensor.values[i]));
    } else {
      fail("a constant of type {} can't be written", tensor.dtype);
    }
    for (int64_t b = 0; b < size; ++b) raw.push_back(static_cast<char>(bits >> (8 * b)));
  }
  proto.set_raw_data(std::move(raw));
}

void write_attribute(const std::string& name, const AttrValue& value, onnx::NodeProto& node) {
  using A = onnx::AttributeProto;
  A& attr = *node.add_attribute();
  attr.set_name(name);
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, int64_t>) {
          attr.set_type(A::INT);
          attr.set_i(v);
        } else if constexpr (std::is_same_v<T, double>) {
          attr.set_type(A::FLOAT);
          attr.set_f(static_cast<float>(v));
        } else if constexpr (std::is_same_v<T, std::string>) {
          attr.set_type(A::STRING);
          attr.set_s(v);
        } else if constexpr (std::is_same_v<T, Dims>) {
          attr.set_type(A::INTS);
          for (const int64_t n : v) attr.add_ints(n);
        } else if constexpr (std::is_same_v<T, Floats>) {
          attr.set_type(A::FLOATS);
          for (const double x : v) attr.add_floats(static_cast<float>(x));
        } else if constexpr (std::is_same_v<T, Strings>) {
          attr.set_type(A::STRINGS);
          for (const std::string& s : v) attr.add_strings(s);
        } else {
          attr.set_type(A::TENSOR);
          tensor_to_onnx(*v, *attr.mutable_t());
        }
      },
      value);
}

}  // namespace hourglass
