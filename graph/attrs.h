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
using AttrValue = std::variant<int64_t, double, std::string, Dims, Floats, Strings, std::shared_ptr<const HostTensor>>;
// In AttrValue's order.
enum class AttrKind : uint8_t { integer, real, string, ints, floats, strings, tensor };

std::string_view to_string(AttrKind kind);
std::string to_string(const AttrValue& value);

class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<const std::string, AttrValue>> values) : values_(values) {}

  [[nodiscard]] bool has(const std::string& name) const { return values_.contains(name); }
  void set(const std::string& name, AttrValue value) { values_[name] = std::move(value); }
  void erase(const std::string& name) { values_.erase(name); }

  // Each throws Error when the attribute is absent or of another kind.
  [[nodiscard]] int64_t integer(const std::string& name) const;
  [[nodiscard]] double real(const std::string& name) const;
  [[nodiscard]] const std::string& string(const std::string& name) const;
  [[nodiscard]] const Dims& ints(const std::string& name) const;
  [[nodiscard]] const Floats& floats(const std::string& name) const;
  [[nodiscard]] const HostTensor& tensor(const std::string& name) const;

  // By name, in alphabetical order.
  [[nodiscard]] const std::map<std::string, AttrValue>& all() const { return values_; }
  bool operator==(const Attrs&) const = default;

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

  AttrSpec(std::string name_, AttrValue value)
      : name(std::move(name_)), kind(static_cast<AttrKind>(value.index())), default_value(std::move(value)) {}
  static AttrSpec required(std::string name, AttrKind kind) { return {std::move(name), kind, true}; }
  static AttrSpec optional(std::string name, AttrKind kind) { return {std::move(name), kind, false}; }

 private:
  AttrSpec(std::string name_, AttrKind kind_, bool is_required_)
      : name(std::move(name_)), kind(kind_), is_required(is_required_) {}
};

}  // namespace hourglass
