#include "engine/cli/checks.h"

#include "graph/text.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace hourglass::cli {
namespace {

// Decimal, hexadecimal (0x) or octal (0), as the parser of the command line converts it.
std::optional<int64_t> integer_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  char* end = nullptr;
  const int64_t value = std::strtoll(text.c_str(), &end, 0);
  if (end != text.c_str() + text.size()) return std::nullopt;
  return value;
}

std::string not_in(const std::string& text, const std::string& set) { return text + " not in " + set; }

}  // namespace

std::optional<double> number_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size()) return std::nullopt;
  return value;
}

Check range(int64_t low, int64_t high) {
  return {.refusal = [low, high](const std::string& text) {
    const std::optional<int64_t> value = integer_of(text);
    if (value && *value >= low && *value <= high) return std::string();
    return fmt::format("{} is not between {} and {}", text, low, high);
  }};
}

Check range(double low, double high) {
  return {.refusal = [low, high](const std::string& text) {
    const std::optional<double> value = number_of(text);
    if (value && std::isnan(*value)) return "expected a finite number, got " + text;
    if (value && *value >= low && *value <= high) return std::string();
    return fmt::format("{} is not between {} and {}", text, low, high);
  }};
}

Check one_of(std::vector<std::string> choices) {
  const std::string set = fmt::format("{{{}}}", join(choices, ","));
  return {.choices = choices, .refusal = [set, choices](const std::string& text) {
            const bool found = std::find(choices.begin(), choices.end(), text) != choices.end();
            return found ? std::string() : not_in(text, set);
          }};
}

Check one_of(std::initializer_list<std::string_view> choices) {
  return one_of(std::vector<std::string>(choices.begin(), choices.end()));
}

Check one_of(std::initializer_list<int> choices) {
  std::vector<std::string> texts;
  for (const int choice : choices) texts.push_back(fmt::format("{}", choice));
  const std::string set = fmt::format("{{{}}}", join(texts, ","));
  return {.choices = texts, .refusal = [set, choices = std::vector<int>(choices)](const std::string& text) {
            const std::optional<int64_t> value = integer_of(text);
            const bool found = value && std::find(choices.begin(), choices.end(), *value) != choices.end();
            return found ? std::string() : not_in(text, set);
          }};
}

Check number_that(bool (*is)(double), const std::string& expected) {
  return {.refusal = [is, expected](const std::string& text) {
    const std::optional<double> value = number_of(text);
    if (value && std::isfinite(*value) && is(*value)) return std::string();
    return "expected " + expected + ", got " + text;
  }};
}

Check positive() {
  return number_that([](double value) { return value > 0; }, "a number above 0");
}

Check non_negative() {
  return number_that([](double value) { return value >= 0; }, "0 or a number above it");
}

Check whole_number() {
  return {.refusal = [](const std::string& text) {
    uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc() && rest == end) return std::string();
    return fmt::format("expected a whole number from 0 to {}, got {}", std::numeric_limits<uint64_t>::max(), text);
  }};
}

Check memory_size() {
  return {.refusal = [](std::string& text) {
    const std::string refusal = "expected a size as 800M, 1.5G or a number of bytes, got " + text;
    double number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
    if (error != std::errc() || !std::isfinite(number) || number < 0) return refusal;
    std::string unit(rest, end);
    std::erase(unit, ' ');
    std::transform(unit.begin(), unit.end(), unit.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; });
    // M, MB and MiB are one here.
    if (unit.ends_with("b")) unit.pop_back();
    if (unit.size() == 2 && unit[1] == 'i') unit.pop_back();
    const std::size_t power = unit.empty() ? 0 : std::string_view("kmgtpe").find(unit) + 1;
    const double bytes = number * std::pow(1024.0, static_cast<double>(power));
    constexpr double kTooMany = 0x1p63;
    if (unit.size() > 1 || (!unit.empty() && power == 0) || !(bytes < kTooMany)) return refusal;
    text = fmt::format("{}", static_cast<uint64_t>(bytes));
    return std::string();
  }};
}

Check share() {
  return {.refusal = [](std::string& text) {
    const bool is_percent = text.ends_with('%');
    const std::optional<double> number = number_of(is_percent ? text.substr(0, text.size() - 1) : text);
    constexpr double kPercent = 100;
    const double value = number.value_or(-1) / (is_percent ? kPercent : 1);
    if (!(value >= 0) || value > 1) return "expected a share as 1% or 0.01, got " + text;
    text = fmt::format("{}", value);
    return std::string();
  }};
}

}  // namespace hourglass::cli
