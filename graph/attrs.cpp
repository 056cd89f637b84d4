#include "graph/attrs.h"

#include "graph/error.h"

namespace hourglass {
namespace {

template <typename T>
AttrKind kind_of() {
  return static_cast<AttrKind>(AttrValue(T{}).index());
}

}  // namespace

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
          return fmt::format("[{}]", fmt::join(v, ","));
        } else {
          return fmt::format("{}", v);
        }
      },
      value);
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
