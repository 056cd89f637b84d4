// The one exception type of the project.
//
// Every failure that a user can cause is a hourglass::Error: its text says where, what was found, what was
// expected and what to try. Layers add their context on the way up:
//
//   try { ... } catch (const Error& e) { throw e.within("net.onnx"); }
//
// Programming errors are asserts, never Errors.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace hourglass {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;

  // The same error with "context: " before its text.
  [[nodiscard]] Error within(std::string_view context) const;
};

// throw Error with a fmt-formatted text.
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace hourglass
