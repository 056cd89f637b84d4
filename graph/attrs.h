// Typed attributes of a node, by name.
//
// After import, or after GraphBuilder::add, a node carries every attribute its OpDef declares, defaults filled
// in; an optional attribute without a default (AttrSpec::optional) may be absent. Ops therefore read with
// ints("pads") and need no second default.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "graph/tensor.h"

namespace hourglass {

using Floats = std::vector<double>;
using Strings = std::vector<std::string>;
using AttrVariant =
    std::variant<int64_t, double, std::string, Dims, Floats, Strings, std::shared_ptr<const HostTensor>>;
// A class of its own, and with Attrs and AttrSpec defined in attrs.cpp: nearly every source makes and copies them, and
// a variant's and a map's code is much to compile.
struct AttrValue : AttrVariant {
  AttrValue();
  AttrValue(int64_t value);
  AttrValue(double value);
  AttrValue(const char* value);
  AttrValue(std::string value);
  AttrValue(Dims value);
  AttrValue(Floats value);
  AttrValue(Strings value);
  AttrValue(std::shared_ptr<const HostTensor> value);
  AttrValue(const AttrValue& other);
  AttrValue(AttrValue&& other) noexcept;
  AttrValue& operator=(const AttrValue& other);
  AttrValue& operator=(AttrValue&& other) noexcept;
  ~AttrValue();
  bool operator==(const AttrValue& other) const;
};
// In AttrValue's order.
enum class AttrKind : uint8_t { integer, real, string, ints, floats, strings, tensor };

std::string_view to_string(AttrKind kind);
std::string to_string(const AttrValue& value);

class Attrs {
 public:
  Attrs();
  Attrs(std::initializer_list<std::pair<const std::string, AttrValue>> values);
  Attrs(const Attrs& other);
  Attrs(Attrs&& other) noexcept;
  Attrs& operator=(const Attrs& other);
  Attrs& operator=(Attrs&& other) noexcept;
  ~Attrs();

  [[nodiscard]] bool has(const std::string& name) const;
  void set(const std::string& name, AttrValue value);
  void erase(const std::string& name);

  // Each throws Error when the attribute is absent or of another kind.
  [[nodiscard]] int64_t integer(const std::string& name) const;
  [[nodiscard]] double real(const std::string& name) const;
  [[nodiscard]] const std::string& string(const std::string& name) const;
  [[nodiscard]] const Dims& ints(const std::string& name) const;
  [[nodiscard]] const Floats& floats(const std::string& name) const;
  [[nodiscard]] const HostTensor& tensor(const std::string& name) const;

  // By name, in alphabetical order.
  [[nodiscard]] const std::map<std::string, AttrValue>& all() const { return values_; }
  bool operator==(const Attrs& other) const;

 private:
  template <typename T>
  const T& get(const std::string& name) const;
  std::map<std::string, AttrValue> values_;
};

// How an op declares one attribute: {"alpha", 0.01} has a default, required("axis", AttrKind::integer) must be
// given, optional("value", AttrKind::real) may be absent.
struct AttrSpec {
  std::string name;
  AttrKind kind = AttrKind::integer;
  std::optional<AttrValue> default_value;
  bool is_required = false;

  AttrSpec(const char* name, AttrValue value);
  AttrSpec(const AttrSpec& other);
  AttrSpec(AttrSpec&& other) noexcept;
  AttrSpec& operator=(const AttrSpec& other);
  AttrSpec& operator=(AttrSpec&& other) noexcept;
  ~AttrSpec();
  static AttrSpec required(const char* name, AttrKind kind);
  static AttrSpec optional(const char* name, AttrKind kind);

 private:
  AttrSpec(const char* name, AttrKind kind, bool is_required);
};

}  // namespace hourglass
