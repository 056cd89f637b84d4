#include "engine/cli/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace hourglass::cli {
namespace {

using Library = nlohmann::ordered_json;

Library to_library(const Json& json) {
  return std::visit(
      []<class T>(const T& value) -> Library {
        if constexpr (std::is_same_v<T, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_same_v<T, std::vector<Json>>) {
          Library array = Library::array();
          for (const Json& one : value) array.push_back(to_library(one));
          return array;
        } else if constexpr (std::is_same_v<T, std::vector<Json::Member>>) {
          Library object = Library::object();
          for (const Json::Member& member : value) object[member.name] = to_library(member.value);
          return object;
        } else {
          return value;
        }
      },
      json.value());
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
  return to_library(*this).dump(indentation, ' ', false, Library::error_handler_t::replace);
}

}  // namespace hourglass::cli
