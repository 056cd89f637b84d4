#include "engine/cli/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace hourglass::cli {
namespace {

using Nlohmann = nlohmann::ordered_json;

// Arrays and objects within each other: those of the program's own are not half as deep, and what walks over them, down
// to the end of their lives, calls itself for each.
constexpr int kMostNested = 64;

Nlohmann to_library(const Json& json) {
  return std::visit(
      []<class T>(const T& value) -> Nlohmann {
        if constexpr (std::is_same_v<T, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<T, std::vector<Json>>) {
          Nlohmann array = Nlohmann::array();
          for (const Json& one : value) array.push_back(to_library(one));
          return array;
        } else if constexpr (std::is_same_v<T, std::vector<Json::Member>>) {
          Nlohmann object = Nlohmann::object();
          for (const Json::Member& member : value) object[member.name] = to_library(member.value);
          return object;
        } else {
          return value;
        }
      },
      json.value());
}

Json from_library(const Nlohmann& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    Json json = Json::array();
    for (const Nlohmann& one : value) json.push_back(from_library(one));
    return json;
  }
  if (!value.is_object()) return {};
  Json json(std::initializer_list<Json::Member>{});
  for (const auto& [name, one] : value.items()) json[name] = from_library(one);
  return json;
}

}  // namespace

Json::Json() = default;
Json::Json(const Json& other) = default;
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) = default;
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;
Json::Json(bool value) : value_(value) {}
Json::Json(double value) : value_(value) {}
Json::Json(const char* value) : value_(std::string(value)) {}
Json::Json(std::string_view value) : value_(std::string(value)) {}
Json::Json(const std::string& value) : value_(value) {}
Json::Json(std::initializer_list<Member> members) : value_(std::vector<Member>(members)) {}

Json Json::array() { return std::vector<Json>(); }

std::optional<Json> Json::parse(std::string_view text) {
  bool is_deep = false;
  const auto is_kept = [&](int depth, Nlohmann::parse_event_t /*event*/, const Nlohmann& /*value*/) {
    is_deep = is_deep || depth > kMostNested;
    return !is_deep;
  };
  const Nlohmann value = Nlohmann::parse(text, is_kept, false);
  if (is_deep || value.is_discarded()) return {};
  return from_library(value);
}

const Json* Json::find(std::string_view name) const {
  const auto* members = std::get_if<std::vector<Member>>(&value_);
  if (members == nullptr) return nullptr;
  const auto found =
      std::find_if(members->begin(), members->end(), [&](const Member& member) { return member.name == name; });
  return found == members->end() ? nullptr : &found->value;
}

std::vector<Json> Json::elements() const {
  const auto* elements = std::get_if<std::vector<Json>>(&value_);
  return elements == nullptr ? std::vector<Json>() : *elements;
}

std::string Json::text_or(std::string missing) const {
  const auto* text = std::get_if<std::string>(&value_);
  return text == nullptr ? std::move(missing) : *text;
}

double Json::number_or(double missing) const {
  return std::visit(
      [&]<class T>(const T& value) -> double {
        if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) return static_cast<double>(value);
        return missing;
      },
      value_);
}

Json& Json::operator[](std::string_view name) {
  if (value_.index() == 0) value_ = std::vector<Member>();
  auto& members = std::get<std::vector<Member>>(value_);
  const auto found =
      std::find_if(members.begin(), members.end(), [&](const Member& member) { return member.name == name; });
  if (found != members.end()) return found->value;
  return members.emplace_back(Member{.name = std::string(name), .value = {}}).value;
}

void Json::push_back(Json value) {
  if (value_.index() == 0) value_ = std::vector<Json>();
  std::get<std::vector<Json>>(value_).push_back(std::move(value));
}

void Json::update(const Json& object) {
  if (object.value_.index() == 0) return;
  for (const Member& member : std::get<std::vector<Member>>(object.value_)) (*this)[member.name] = member.value;
}

std::string Json::text(int indentation) const {
  return to_library(*this).dump(indentation, ' ', false, Nlohmann::error_handler_t::replace);
}

Json result_object(const Json& values) {
  Json object{{"event", "result"}};
  object.update(values);
  return object;
}

Json error_object(const std::string& text, const std::string& input) {
  Json object{{"event", "error"}};
  if (!input.empty()) object["input"] = input;
  object["error"] = text;
  return object;
}

Json interrupted_object(const std::string& text, const std::string& input) {
  Json object = error_object(text, input);
  object["interrupted"] = true;
  return object;
}

}  // namespace hourglass::cli
