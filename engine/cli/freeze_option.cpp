#include "engine/cli/freeze_option.h"

#include <fmt/core.h>
#include <fnmatch.h>  // POSIX

#include <algorithm>
#include <sstream>

#include "graph/error.h"
#include "graph/op.h"
#include "graph/text.h"

namespace hourglass::cli {
namespace {

// The first few names, and how many there are besides.
std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kFew = 4;
  if (names.size() <= kFew) return join(names, ", ");
  return fmt::format("{} and {} more", join(std::vector<std::string>(names.begin(), names.begin() + kFew), ", "),
                     names.size() - kFew);
}

bool has_few_numbers(const HostTensor& tensor) {
  constexpr std::size_t kMost = 16;
  std::vector<double> found;
  for (const double value : tensor.values) {
    if (std::find(found.begin(), found.end(), value) != found.end()) continue;
    if (found.size() == kMost) return false;
    found.push_back(value);
  }
  return tensor.shape.rank() > 1 && found.size() > 1 && tensor.values.size() >= 2 * found.size();
}

bool ends_like_spectral_norm(std::string_view name) { return name.ends_with("_u") || name.ends_with("_v"); }

}  // namespace

std::vector<std::string> freeze(Graph& graph, const std::string& patterns) {
  std::vector<std::string> frozen, names;
  const std::vector<ValueId> parameters = graph.parameters();
  for (const ValueId id : parameters) names.push_back(graph.value(id).name);
  std::istringstream list(patterns);
  for (std::string pattern; std::getline(list, pattern, ',');) {
    bool matches = false;
    for (const ValueId id : parameters) {
      Value& value = graph.value(id);
      if (::fnmatch(pattern.c_str(), value.name.c_str(), 0) != 0) continue;
      matches = true;
      if (value.data == nullptr) {
        fail("--freeze {}: '{}' is drawn at random; only what has values in the file can be kept as it is", pattern,
             value.name);
      }
      if (value.kind == ValueKind::constant) continue;  // by an earlier pattern
      value.kind = ValueKind::constant;
      frozen.push_back(value.name);
    }
    if (!matches) {
      fail("--freeze {}: no parameter is called so{}{}; 'hourglass model check' lists them", pattern,
           names.empty() ? "" : ", those here are ", some_of(names));
    }
  }
  return frozen;
}

std::vector<std::string> likely_buffers(const Graph& graph) {
  std::vector<bool> is_likely(graph.values.size(), false);
  const auto at = [](ValueId id) { return static_cast<std::size_t>(id.index); };
  for (const ValueId id : graph.parameters()) {
    const Value& value = graph.value(id);
    if (value.data == nullptr) continue;
    is_likely[at(id)] =
        has_few_numbers(*value.data) || (value.type.shape.rank() == 1 && ends_like_spectral_norm(value.name));
  }
  for (const Node& node : graph.nodes) {
    if (node.op->name != "Conv" || node.inputs.size() < 3 || !is_likely[at(node.inputs[1])]) continue;
    const Value& bias = graph.value(node.inputs[2]);
    is_likely[at(node.inputs[2])] = bias.kind == ValueKind::parameter && bias.data != nullptr;
  }
  std::vector<std::string> names;
  for (const ValueId id : graph.parameters()) {
    if (is_likely[at(id)]) names.push_back(graph.value(id).name);
  }
  return names;
}

std::string buffers_note(const Graph& graph) {
  const std::vector<std::string> names = likely_buffers(graph);
  if (names.empty()) return {};
  int64_t numbers = 0;
  for (const std::string& name : names) numbers += graph.shape(graph.find(name)).elements();
  return fmt::format(
      "{} trained though {} like {} (masks, fixed filters), {} numbers in all: {}; --freeze keeps what it "
      "names as it is in the file",
      names.size() == 1 ? "1 parameter is" : fmt::format("{} parameters are", names.size()),
      names.size() == 1 ? "it looks" : "they look", names.size() == 1 ? "a buffer" : "buffers", numbers,
      some_of(names));
}

}  // namespace hourglass::cli
