// ONNX's numbers and names of element types (TensorProto.DataType), as attributes such as Cast's `to` hold them.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "graph/error.h"
#include "graph/shape.h"

namespace hourglass::ops {

struct OnnxType {
  int64_t number;
  std::string_view name;
  DType dtype;
};
inline constexpr std::array<OnnxType, 9> kOnnxTypes = {{{1, "FLOAT", DType::f32},
                                                        {2, "UINT8", DType::u8},
                                                        {3, "INT8", DType::i8},
                                                        {6, "INT32", DType::i32},
                                                        {7, "INT64", DType::i64},
                                                        {9, "BOOL", DType::boolean},
                                                        {10, "FLOAT16", DType::f16},
                                                        {11, "DOUBLE", DType::f64},
                                                        {16, "BFLOAT16", DType::bf16}}};

// Throws Error for a type that is not in the list.
inline DType dtype_of(int64_t number) {
  for (const OnnxType& type : kOnnxTypes) {
    if (type.number == number) return type.dtype;
  }
  fail("element type {} is not supported", number);
}

// Throws Error for a type that is not in the list.
inline int64_t number_of(DType dtype) {
  for (const OnnxType& type : kOnnxTypes) {
    if (type.dtype == dtype) return type.number;
  }
  fail("element type {} has no number in ONNX", dtype);
}

}  // namespace hourglass::ops
