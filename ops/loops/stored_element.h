// The type in which elements lie in memory while a plan runs: an i64 in 32 bits, a truth value in a byte. Loops are
// chosen by it when a kernel is planned, where an element's value matters (where it only moves: moved_element.h).
#pragma once

#include "graph/error.h"
#include "ops/loops/element.h"

namespace hourglass::kernels {

// fn(a null pointer to the type), of whole numbers and truth values.
template <typename Function>
void with_stored_whole(DType dtype, const Function& fn) {
  switch (dtype) {
    case DType::i32:
    case DType::i64: return fn(static_cast<int32_t*>(nullptr));
    case DType::i8: return fn(static_cast<int8_t*>(nullptr));
    case DType::u8:
    case DType::boolean: return fn(static_cast<uint8_t*>(nullptr));
    default: break;
  }
  fail("no kernel computes so with {} elements", dtype);
}

// The same, of floating numbers too.
template <typename Function>
void with_stored(DType dtype, const Function& fn) {
  if (dtype == DType::f32) return fn(static_cast<float*>(nullptr));
  if (dtype == DType::bf16) return fn(static_cast<BFloat16*>(nullptr));
  with_stored_whole(dtype, fn);
}

}  // namespace hourglass::kernels
