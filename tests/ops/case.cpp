#include "tests/ops/case.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "graph/error.h"
#include "ops/loops/element.h"

namespace hourglass::test {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::string part;
  for (const char ch : text) {
    if (ch == separator) {
      if (!part.empty()) parts.push_back(part);
      part.clear();
    } else {
      part += ch;
    }
  }
  if (!part.empty()) parts.push_back(part);
  return parts;
}

CaseInput parse_input(std::string text) {
  CaseInput input;
  if (text == "-") {
    input.given = false;
    return input;
  }
  if (const auto at = text.find('@'); at != std::string::npos) {
    const std::string range = text.substr(at + 1);
    const auto dots = range.find("..");
    if (dots == std::string::npos) fail("'{}' is not a range", range);
    input.low = std::stod(range.substr(0, dots));
    input.high = std::stod(range.substr(dots + 2));
    input.avoid_zero = false;
    text.resize(at);
  }
  if (const auto colon = text.find(':'); colon != std::string::npos) {
    const std::string name = text.substr(0, colon);
    bool found = false;
    for (const DType dtype : {DType::f32, DType::bf16, DType::i64, DType::i32, DType::u8, DType::boolean}) {
      if (to_string(dtype) == name) {
        input.type.dtype = dtype;
        found = true;
      }
    }
    if (!found) fail("'{}' is not an element type", name);
    text = text.substr(colon + 1);
  }
  Dims dims;
  if (text != "scalar") {
    for (const std::string& extent : split(text, 'x')) dims.push_back(std::stoll(extent));
  }
  input.type.shape = Shape(std::move(dims));
  return input;
}

AttrValue parse_attr(const AttrSpec& spec, std::string text) {
  const bool is_list = text.starts_with('[');
  std::erase(text, '[');
  std::erase(text, ']');
  switch (spec.kind) {
    case AttrKind::integer: return static_cast<int64_t>(std::stoll(text));
    case AttrKind::real: return std::stod(text);
    case AttrKind::string: return text;
    case AttrKind::ints: {
      Dims values;
      for (const std::string& part : split(text, ',')) values.push_back(std::stoll(part));
      return values;
    }
    case AttrKind::floats: {
      Floats values;
      for (const std::string& part : split(text, ',')) values.push_back(std::stod(part));
      return values;
    }
    case AttrKind::strings: return Strings(split(text, ','));
    case AttrKind::tensor: {
      const bool whole = text.find('.') == std::string::npos;
      std::vector<double> values;
      for (const std::string& part : split(text, ',')) values.push_back(std::stod(part));
      const Shape shape = is_list ? Shape{static_cast<int64_t>(values.size())} : Shape{};
      return std::make_shared<const HostTensor>(whole ? DType::i64 : DType::f32, shape, std::move(values));
    }
  }
  fail("attribute '{}' can't be written in a case", spec.name);
}

double round_to_bf16(double value) {
  detail::BFloat16 rounded{};
  detail::store(&rounded, static_cast<float>(value));
  return detail::load(&rounded);
}

}  // namespace

Case parse_case(const OpDef& op, std::string_view text) {
  Case result;
  const auto bar = text.find('|');
  for (const std::string& input : split(text.substr(0, bar), ' ')) result.inputs.push_back(parse_input(input));
  if (bar != std::string_view::npos) {
    for (const std::string& pair : split(text.substr(bar + 1), ' ')) {
      const auto equals = pair.find('=');
      const std::string name = pair.substr(0, equals);
      const auto spec =
          std::find_if(op.attrs.begin(), op.attrs.end(), [&](const AttrSpec& s) { return s.name == name; });
      if (spec == op.attrs.end()) fail("{} has no attribute '{}'", op.name, name);
      result.attrs.set(name, parse_attr(*spec, pair.substr(equals + 1)));
    }
  }
  complete_attrs(op, result.attrs);
  return result;
}

Case in_bf16(const OpDef& op, const Case& c) {
  Case result = c;
  for (std::size_t i = 0; i < result.inputs.size(); ++i) {
    DType& dtype = result.inputs[i].type.dtype;
    if ((op.bf16_inputs >> i & 1) != 0 && dtype == DType::f32) dtype = DType::bf16;
  }
  return result;
}

std::vector<HostTensor> draw_inputs(const Case& c, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<HostTensor> tensors;
  for (const CaseInput& input : c.inputs) {
    HostTensor tensor(input.type.dtype, input.type.shape);
    std::uniform_real_distribution<double> uniform(input.low, input.high);
    for (double& value : tensor.values) {
      do {
        // Values that the type holds exactly, so that kernel and reference start from the same numbers.
        value = static_cast<float>(uniform(random));
        if (input.type.dtype == DType::bf16) value = round_to_bf16(value);
        if (!is_floating(input.type.dtype)) value = std::floor(value);
      } while (input.avoid_zero && std::abs(value) < 0.02);
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace hourglass::test
