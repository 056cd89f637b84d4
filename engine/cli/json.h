// What the program prints for other programs. An object's members keep the order in which they were put.
//
//   Json report{{"psnr", 31.2}, {"model", "small"}, {"shape", std::vector<int64_t>{1, 3, 8, 8}}};
//   report["rows"].push_back(Json{{"threads", 1}});
//   fmt::print("{}\n", report.text());
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace hourglass::cli {

class Json {
 public:
  struct Member;
  using Value = std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, std::vector<Json>,
                             std::vector<Member>>;

  Json();  // null
  Json(bool value);
  Json(double value);
  Json(const char* value);
  Json(std::string_view value);
  Json(const std::string& value);
  template <std::signed_integral T>
  Json(T value);
  template <std::unsigned_integral T>
  Json(T value);
  // An array.
  template <class T>
  Json(const std::vector<T>& values);
  // Objects.
  Json(std::initializer_list<Member> members);
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;
  ~Json();
  template <class T>
  Json(const std::map<std::string, T>& values);
  static Json array();
  // Of text(). Nothing for what is no JSON, or is nested more than 64 deep.
  static std::optional<Json> parse(std::string_view text);

  // Of an array; none of all else.
  [[nodiscard]] std::vector<Json> elements() const;
  // A member of an object; null where there is none of that name.
  [[nodiscard]] const Json* find(std::string_view name) const;
  // Where it is a text or a number, that; otherwise what is `missing`.
  [[nodiscard]] std::string text_or(std::string missing) const;
  [[nodiscard]] double number_or(double missing) const;

  // Of an object, or of null, which becomes one. A member that is not there is put at the end, as null.
  Json& operator[](std::string_view name);
  // To an array, or to null, which becomes one.
  void push_back(Json value);
  // Puts all members of another object, or none where that is null.
  void update(const Json& object);

  // On one line, or, with an indentation, on many. File names and a network's names may be no UTF-8: what is none
  // becomes U+FFFD. Numbers that are not finite are null.
  [[nodiscard]] std::string text(int indentation = -1) const;

  [[nodiscard]] const Value& value() const { return value_; }

 private:
  Value value_;
};

struct Json::Member {
  std::string name;
  Json value;
};

// An object that --json prints at the end of the work: {"event":"result"} and the members of `values`.
Json result_object(const Json& values);
// The last object of work that has failed: {"event":"error"}, the input where there is one, and the text as "error".
Json error_object(const std::string& text, const std::string& input = {});
// The same of work that a signal has ended before it had a result, with "interrupted":true.
Json interrupted_object(const std::string& text, const std::string& input = {});

// Behind Member: what makes a Value needs to know what it may hold.
template <std::signed_integral T>
Json::Json(T value) : value_(int64_t{value}) {}
template <std::unsigned_integral T>
Json::Json(T value) : value_(uint64_t{value}) {}
template <class T>
Json::Json(const std::vector<T>& values) : value_(std::vector<Json>(values.begin(), values.end())) {}
template <class T>
Json::Json(const std::map<std::string, T>& values) : value_(std::vector<Member>()) {
  for (const auto& [name, value] : values) (*this)[name] = value;
}

}  // namespace hourglass::cli
