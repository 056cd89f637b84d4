#include "ops/loops/whole_numbers.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/error.h"
#include "ops/loops/broadcast.h"
#include "ops/loops/parallel.h"
#include "ops/loops/whole_bounds.h"
#include "ops/memory/onednn.h"

namespace hourglass::kernels {
namespace {

using WriteRow = void (*)(const int64_t* from, void* to, int64_t first, int64_t count);

template <class T>
void write_modulo(const int64_t* from, void* to, int64_t first, int64_t count) {
  T* dst = static_cast<T*>(to) + first;
  for (int64_t i = 0; i < count; ++i) dst[i] = static_cast<T>(from[i]);
}

constexpr int64_t kLow = std::numeric_limits<int32_t>::min(), kHigh = std::numeric_limits<int32_t>::max();

void write_within(const int64_t* from, void* to, int64_t first, int64_t count) {
  auto* dst = static_cast<int32_t*>(to) + first;
  for (int64_t i = 0; i < count; ++i) dst[i] = static_cast<int32_t>(std::clamp(from[i], kLow, kHigh));
}

WriteRow writer_of(DType dtype) {
  switch (dtype) {
    case DType::i64: return write_within;
    case DType::i32: return write_modulo<int32_t>;
    case DType::u8: return write_modulo<uint8_t>;
    case DType::i8: return write_modulo<int8_t>;
    default: break;
  }
  fail("no kernel computes with {} elements", dtype);
}

void check_operand(const PlanContext& ctx, std::size_t i) {
  if (ctx.in(i).dtype != ctx.out().dtype) {
    fail("the operands are {} and {}, expected one type: insert a Cast", ctx.out().dtype, ctx.in(i).dtype);
  }
}

}  // namespace

KernelPlan plan_whole(PlanContext& ctx, WholeStep step) {
  const MemoryDesc dst = plain(ctx.out());
  KernelPlan plan{.src = {}, .dst = {dst}, .implementation = "loop", .kernel = nullptr};
  std::vector<BroadcastOperand> operands;
  for (std::size_t i = 0; i < ctx.node.inputs.size(); ++i) {
    check_operand(ctx, i);
    plan.src.push_back(plain(ctx.in(i)));
    operands.emplace_back(ctx.in(i), ctx.out().shape, dst);
  }
  require_32_bits(ctx);
  const int64_t elements = ctx.out().shape.elements();
  const WriteRow write = writer_of(ctx.out().dtype);
  plan.kernel = loop_kernel([=, operands = std::move(operands), step = std::move(step)](const Addresses& at) {
    constexpr int64_t kBlock = 512;
    parallel_for((elements + kBlock - 1) / kBlock, [&](int64_t block) {
      const int64_t first = block * kBlock, count = std::min(kBlock, elements - first);
      int64_t y[kBlock], x[kBlock];
      operands[0].read(at.src[0], first, count, y);
      if (operands.size() == 1) step(y, nullptr, count);
      for (std::size_t k = 1; k < operands.size(); ++k) {
        operands[k].read(at.src[k], first, count, x);
        step(y, x, count);
      }
      write(y, at.dst[0], first, count);
    });
  });
  return plan;
}

double in_whole_type(int64_t value, DType dtype) {
  switch (dtype) {
    case DType::boolean: return value != 0;
    case DType::u8: return static_cast<uint8_t>(value);
    case DType::i8: return static_cast<int8_t>(value);
    case DType::i32: return static_cast<int32_t>(value);
    default: return static_cast<double>(value);
  }
}

double in_whole_type(double value, DType dtype) {
  if (dtype == DType::i64) return std::trunc(value);
  if (dtype == DType::boolean) return value != 0;
  if (!std::isfinite(value)) return 0;
  return in_whole_type(static_cast<int64_t>(std::fmod(value, 0x1p32)), dtype);
}

}  // namespace hourglass::kernels
