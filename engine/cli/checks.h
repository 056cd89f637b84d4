// What the value of an option must be: refused with a reason before it is converted.
//
//   {.names = "--threads", .target = &a.threads, .help = "...", .checks = {range(0, 4096)}}
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hourglass::cli {

struct Check {
  // All values that there are, where these are few.
  std::vector<std::string> choices = {};
  // Why the text is refused, as "expected a number above 0, got -1"; empty when it is not. It may rewrite the text
  // into the form that the option's target reads.
  std::function<std::string(std::string& text)> refusal;
};

// A number between two bounds, which belong to the range.
Check range(int64_t low, int64_t high);
Check range(double low, double high);
inline Check range(int low, int high) { return range(int64_t{low}, int64_t{high}); }

Check one_of(std::vector<std::string> choices);
Check one_of(std::initializer_list<std::string_view> choices);
Check one_of(std::initializer_list<int> choices);

// A finite number for which `is` holds. `expected` says so in words, "a number above 0".
Check number_that(bool (*is)(double), const std::string& expected);
Check positive();
Check non_negative();
// A number that a uint64_t holds, without a sign.
Check whole_number();
// "800M", "1.5G" or a number of bytes, rewritten as bytes.
Check memory_size();

// A share between 0 and 1, "0.01" or "1%", rewritten as a number.
Check share();

// The number that the whole text is.
std::optional<double> number_of(const std::string& text);

}  // namespace hourglass::cli
