#include "graph/attrs.h"

#include "graph/error.h"

namespace hourglass {
namespace {

template <typename T>
AttrKind kind_of() {
  return static_cast<AttrKind>(AttrValue(T{}).index());
}

}  // namespace

AttrValue::AttrValue() = default;
AttrValue::AttrValue(int64_t value) : AttrVariant(value) {}
AttrValue::AttrValue(double value) : AttrVariant(value) {}
AttrValue::AttrValue(const char* value) : AttrVariant(std::string(value)) {}
AttrValue::AttrValue(std::string value) : AttrVariant(std::move(value)) {}
AttrValue::AttrValue(Dims value) : AttrVariant(std::move(value)) {}
AttrValue::AttrValue(Floats value) : AttrVariant(std::move(value)) {}
AttrValue::AttrValue(Strings value) : AttrVariant(std::move(value)) {}
AttrValue::AttrValue(std::shared_ptr<const HostTensor> value) : AttrVariant(std::move(value)) {}
AttrValue::AttrValue(const AttrValue& other) = default;
AttrValue::AttrValue(AttrValue&& other) noexcept = default;
AttrValue& AttrValue::operator=(const AttrValue& other) = default;
AttrValue& AttrValue::operator=(AttrValue&& other) noexcept = default;
AttrValue::~AttrValue() = default;
bool AttrValue::operator==(const AttrValue& other) const {
  return static_cast<const AttrVariant&>(*this) == static_cast<const AttrVariant&>(other);
}

Attrs::Attrs() = default;
Attrs::Attrs(std::initializer_list<std::pair<const std::string, AttrValue>> values) : values_(values) {}
Attrs::Attrs(const Attrs& other) = default;
Attrs::Attrs(Attrs&& other) noexcept = default;
Attrs& Attrs::operator=(const Attrs& other) = default;
Attrs& Attrs::operator=(Attrs&& other) noexcept = default;
Attrs::~Attrs() = default;

bool Attrs::has(const std::string& name) const { return values_.contains(name); }
void Attrs::set(const std::string& name, AttrValue value) { values_[name] = std::move(value); }
void Attrs::erase(const std::string& name) { values_.erase(name); }
bool Attrs::operator==(const Attrs& other) const { return values_ == other.values_; }

AttrSpec::AttrSpec(const char* name_, AttrValue value)
    : name(name_), kind(static_cast<AttrKind>(value.index())), default_value(std::move(value)) {}
AttrSpec::AttrSpec(const char* name_, AttrKind kind_, bool is_required_)
    : name(name_), kind(kind_), is_required(is_required_) {}
AttrSpec::AttrSpec(const AttrSpec& other) = default;
AttrSpec::AttrSpec(AttrSpec&& other) noexcept = default;
AttrSpec& AttrSpec::operator=(const AttrSpec& other) = default;
AttrSpec& AttrSpec::operator=(AttrSpec&& other) noexcept = default;
AttrSpec::~AttrSpec() = default;
AttrSpec AttrSpec::required(const char* name, AttrKind kind) { return {name, kind, true}; }
AttrSpec AttrSpec::optional(const char* name, AttrKind kind) { return {name, kind, false}; }

std::string_view to_string(AttrKind kind) {
  switch (kind) {
    case AttrKind::integer: return "an integer";
    case AttrKind::real: return "a float";
    case AttrKind::string: return "a string";
    case AttrKind::ints: return "a list of integers";
    case AttrKind::floats: return "a list of floats";
    case AttrKind::strings: return "a list of strings";
    case AttrKind::tensor: return "a tensor";
  }
  return "?";
}

std::string to_string(const AttrValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::shared_ptr<const HostTensor>>) {
          return v ? fmt::format("{}:{}", v->dtype, v->shape) : "none";
        } else if constexpr (std::is_same_v<T, Dims> || std::is_same_v<T, Floats> || std::is_same_v<T, Strings>) {
          std::string list;
          const char* between = "";
          for (const auto& element : v) {
            list += fmt::format("{}{}", between, element);
            between = ",";
          }
          return "[" + list + "]";
        } else {
          return fmt::format("{}", v);
        }
      },
      static_cast<const AttrVariant&>(value));
}

template <typename T>
const T& Attrs::get(const std::string& name) const {
  const auto it = values_.find(name);
  if (it == values_.end()) fail("attribute '{}' is missing", name);
  const T* value = std::get_if<T>(&it->second);
  if (value == nullptr) {
    fail("attribute '{}' is {}, expected {}", name, to_string(static_cast<AttrKind>(it->second.index())),
         to_string(kind_of<T>()));
  }
  return *value;
}

int64_t Attrs::integer(const std::string& name) const { return get<int64_t>(name); }
double Attrs::real(const std::string& name) const { return get<double>(name); }
const std::string& Attrs::string(const std::string& name) const { return get<std::string>(name); }
const Dims& Attrs::ints(const std::string& name) const { return get<Dims>(name); }
const Floats& Attrs::floats(const std::string& name) const { return get<Floats>(name); }
const HostTensor& Attrs::tensor(const std::string& name) const { return *get<std::shared_ptr<const HostTensor>>(name); }

}  // namespace hourglass
