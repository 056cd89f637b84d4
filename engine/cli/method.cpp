#include "engine/cli/method.h"

#include <algorithm>

#include "graph/error.h"
#include "graph/text.h"

namespace hourglass::cli {
namespace {

bool belongs_to(const Option& option, std::string_view method) {
  const std::vector<std::string>& methods = option.methods;
  return methods.empty() || std::find(methods.begin(), methods.end(), method) != methods.end();
}

}  // namespace

ParsedCommand of_method(ParsedCommand line, std::string_view method) {
  std::erase_if(line.options, [&](const ParsedOption& one) { return !belongs_to(one.option, method); });
  for (ParsedOption& one : line.options) {
    if (one.name != "method") continue;
    one.given = true;
    one.value = method;
  }
  return line;
}

void expand_flag(ParsedCommand& line, std::string_view name, const NamedValues& short_for) {
  if (line.given(name)) {
    for (const auto& [option, value] : short_for) {
      if (!line.given(option)) {
        line.set(option, value);
      } else if (option == "method" && line.find(option)->value != value) {
        fail("--{} is short for --method {}: leave out --method {}", name, value, line.find(option)->value);
      }
    }
  }
  std::erase_if(line.options, [&](const ParsedOption& one) { return one.name == name; });
}

void choose_method(ParsedCommand& line, const std::string& usual) {
  const bool said = line.given("method");
  std::string chosen_by;
  std::string method = said ? line.find("method")->value : usual;
  for (const ParsedOption& one : line.options) {
    if (!one.given || belongs_to(one.option, method)) continue;
    if (said) {
      fail("--{}: belongs to --method {}, and means nothing to --method {}: leave out one of the two", one.name,
           join(one.option.methods, " or "), method);
    }
    method = one.option.methods.front();
    chosen_by = one.name;
  }
  for (const ParsedOption& one : line.options) {
    if (!one.given || belongs_to(one.option, method)) continue;
    fail("--{} and --{} belong to different methods, {} and {}: leave out one of the two", one.name, chosen_by,
         one.option.methods.front(), method);
  }
  line.set("method", method);
  line = of_method(std::move(line), method);
}

}  // namespace hourglass::cli
