#include "tests/ops/case.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <random>
#include <set>

#include "graph/error.h"
#include "ops/loops/element.h"
#include "ops/table.h"

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

// All of the text as a number.
template <typename Number>
Number to_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail("'{}' is not {}", text, std::is_integral_v<Number> ? "an integer" : "a number");
  }
  return value;
}

template <typename Number>
std::vector<Number> to_numbers(std::string_view text, char separator) {
  std::vector<Number> numbers;
  for (const std::string& part : split(text, separator)) numbers.push_back(to_number<Number>(part));
  return numbers;
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
    input.low = to_number<double>(range.substr(0, dots));
    input.high = to_number<double>(range.substr(dots + 2));
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
  input.type.shape = Shape(text == "scalar" ? Dims() : to_numbers<int64_t>(text, 'x'));
  return input;
}

AttrValue parse_attr(const AttrSpec& spec, std::string text) {
  Dims extents;  // of a tensor, where they stand before its elements
  if (const auto colon = text.find(":["); colon != std::string::npos && spec.kind == AttrKind::tensor) {
    extents = to_numbers<int64_t>(text.substr(0, colon), 'x');
    text = text.substr(colon + 1);
  }
  const bool is_list = text.starts_with('[');
  std::erase(text, '[');
  std::erase(text, ']');
  switch (spec.kind) {
    case AttrKind::integer: return to_number<int64_t>(text);
    case AttrKind::real: return to_number<double>(text);
    case AttrKind::string: return text;
    case AttrKind::ints: return to_numbers<int64_t>(text, ',');
    case AttrKind::floats: return to_numbers<double>(text, ',');
    case AttrKind::strings: return Strings(split(text, ','));
    case AttrKind::tensor: {
      const bool whole = text.find('.') == std::string::npos;
      std::vector<double> values = to_numbers<double>(text, ',');
      if (is_list && extents.empty()) extents = {static_cast<int64_t>(values.size())};
      const Shape shape(std::move(extents));
      if (shape.elements() != static_cast<int64_t>(values.size()))
        fail("{} elements do not make {}", values.size(), shape);
      return std::make_shared<const HostTensor>(whole ? DType::i64 : DType::f32, shape, std::move(values));
    }
  }
  fail("attribute '{}' can't be written in a case", spec.name);
}

double round_to_bf16(double value) {
  kernels::BFloat16 rounded{};
  kernels::store(&rounded, static_cast<float>(value));
  return kernels::load(&rounded);
}

// The cases of one file, added to the table's.
void read_file(const std::filesystem::path& file, const OpTable& table, CaseTable& cases) {
  std::ifstream in(file);
  std::set<std::string> ops_of_file;
  std::vector<const OpDef*> ops;  // of the lines that follow
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    try {
      if (line.empty() || line.starts_with('#')) continue;
      if (line.starts_with('[')) {
        if (!line.ends_with(']')) fail("expected [OP OP ...], found '{}'", line);
        ops.clear();
        for (const std::string& name : split(std::string_view(line).substr(1, line.size() - 2), ' ')) {
          const OpDef* op = table.find(name);
          if (op == nullptr) fail("there is no op '{}'", name);
          ops.push_back(op);
          if (ops_of_file.insert(name).second && !cases.try_emplace(name).second) {
            fail("another file has cases of {} too", name);
          }
        }
        continue;
      }
      if (ops.empty()) fail("expected [OP OP ...] before the first case, found '{}'", line);
      for (const OpDef* op : ops) {
        parse_case(*op, line);
        cases.find(op->name)->second.push_back(line);
      }
    } catch (const Error& e) {
      throw e.within(fmt::format("{}:{}", file.string(), number));
    }
  }
  if (!in.eof()) fail("{}: can't be read", file.string());
  if (ops_of_file.empty()) fail("{}: has no [OP OP ...]", file.string());
}

}  // namespace

Attrs parse_attrs(const OpDef& op, std::string_view text) {
  Attrs attrs;
  for (const std::string& pair : split(text, ' ')) {
    const auto equals = pair.find('=');
    const std::string name = pair.substr(0, equals);
    const auto spec = std::find_if(op.attrs.begin(), op.attrs.end(), [&](const AttrSpec& s) { return s.name == name; });
    if (spec == op.attrs.end()) fail("{} has no attribute '{}'", op.name, name);
    attrs.set(name, parse_attr(*spec, pair.substr(equals + 1)));
  }
  complete_attrs(op, attrs);
  return attrs;
}

Case parse_case(const OpDef& op, std::string_view text) {
  Case result;
  const auto bar = text.find('|');
  for (const std::string& input : split(text.substr(0, bar), ' ')) result.inputs.push_back(parse_input(input));
  const auto given = static_cast<int>(result.inputs.size());
  if (given < op.min_inputs || given > op.max_inputs) {
    fail("{} has {} to {} inputs, found {}", op.name, op.min_inputs, op.max_inputs, given);
  }
  result.attrs = parse_attrs(op, bar == std::string_view::npos ? "" : text.substr(bar + 1));
  return result;
}

CaseTable read_cases(const std::filesystem::path& folder, const OpTable& table) {
  CaseTable cases;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") read_file(entry.path(), table, cases);
  }
  return cases;
}

std::vector<std::string_view> ops_without_cases(const OpTable& table, const CaseTable& cases) {
  std::vector<std::string_view> names;
  for (const OpDef* op : table.all()) {
    const auto found = cases.find(op->name);
    if (op->infer != nullptr && (found == cases.end() || found->second.empty())) names.push_back(op->name);
  }
  return names;
}

const CaseTable& all_cases() {
  static const CaseTable cases = read_cases(HOURGLASS_TEST_CASES, op_table());
  return cases;
}

const std::vector<std::string>& cases_of(const OpDef& op) {
  static const std::vector<std::string> none;
  const auto found = all_cases().find(op.name);
  return found == all_cases().end() ? none : found->second;
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
