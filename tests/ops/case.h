// The case strings of OpDef::cases:   INPUT INPUT ... | NAME=VALUE NAME=VALUE ...
//
//   1x8x5x7              f32 input of that shape, values uniform in [-1, 1], at least 0.02 away from 0
//   scalar               rank 0
//   1x8x5x7@0.5..2       values uniform in [0.5, 2]
//   i64:4@0..3           another element type (integers are whole)
//   -                    an optional input that is not given
// Attribute values are read by the kind that the op declares: 2, 0.2, reflect, [1,1,1,1]. A tensor is i64 unless there
// is a point in it, of rank 1 in brackets and a scalar without.
#pragma once

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

// The same case with the inputs in bf16 that the op takes in it (OpDef::bf16_inputs).
Case in_bf16(const OpDef& op, const Case& c);

// The inputs' values, drawn from the seed.
std::vector<HostTensor> draw_inputs(const Case& c, uint64_t seed);

}  // namespace hourglass::test
