// The inputs and attributes with which tests and benchmarks run each op: text files in tests/ops/cases, one per op
// family, named after it (conv.txt has the cases of ops/conv.cpp).
//
//   # A comment has a line of its own.
//   [Relu LeakyRelu]                 the ops that the cases below are of
//   1x8x5x7
//   2x17x6x3 | alpha=0.2
//
// A case is one line:   INPUT INPUT ... | NAME=VALUE NAME=VALUE ...
//
//   1x8x5x7              f32 input of that shape, values uniform in [-1, 1], at least 0.02 away from 0
//   scalar               rank 0
//   1x8x5x7@0.5..2       values uniform in [0.5, 2]
//   i64:4@0..3           another element type (integers are whole)
//   -                    an optional input that is not given
//
// Attribute values are read by the kind that the op declares: 2, 0.2, reflect, [1,1,1,1]. A tensor is i64 unless there
// is a point in it, of rank 1 in brackets and a scalar without; of another rank with its extents before: 2x2:[0,1,2,3].
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.h"

namespace hourglass::test {

struct CaseInput {
  bool given = true;
  TensorType type;
  double low = -1, high = 1;
  bool avoid_zero = true;
};

struct Case {
  std::vector<CaseInput> inputs;
  Attrs attrs;  // complete
};

// Throws Error for a string that does not fit the op.
Case parse_case(const OpDef& op, std::string_view text);
// The part behind the bar, for a test that has inputs of its own.
Attrs parse_attrs(const OpDef& op, std::string_view text);

// The case strings of each op, by its name.
using CaseTable = std::map<std::string, std::vector<std::string>, std::less<>>;

// The case strings of every op in a folder of such files, in the files' order. Throws Error, with file and line, for a
// case that does not fit its op, for an op that the table lacks or that another file has too, and for a file without
// ops.
CaseTable read_cases(const std::filesystem::path& folder, const OpTable& table);

// The names of the ops that ought to have cases and have none. A composition of other ops (OpDef::lower) needs none:
// its parts have theirs, and ONNX's own cases (tests/conformance) test it as a whole; nor does Elementwise, which is
// what its body says (tests/engine/runtime/elementwise_test.cpp).
std::vector<std::string_view> ops_without_cases(const OpTable& table, const CaseTable& cases);

// The cases in tests/ops/cases.
const CaseTable& all_cases();

// The op's case strings in tests/ops/cases; none where it has none.
const std::vector<std::string>& cases_of(const OpDef& op);

// The same case with the inputs in bf16 that the op takes in it (OpDef::bf16_inputs).
Case in_bf16(const OpDef& op, const Case& c);

// The inputs' values, drawn from the seed.
std::vector<HostTensor> draw_inputs(const Case& c, uint64_t seed);

}  // namespace hourglass::test
