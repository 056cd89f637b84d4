#include "ops/reduction/reduction.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "graph/error.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/parallel.h"
#include "ops/loops/strided_loop.h"
#include "ops/loops/whole_bounds.h"
#include "ops/loops/whole_numbers.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {
namespace {

struct Sum {
  static constexpr bool kZerosVanish = true;
  static constexpr double kStart = 0;
  static double map(double x) { return x; }
  static double combine(double a, double b) { return a + b; }
  static double finish(double sum, double) { return sum; }
};
struct Mean : Sum {
  static double finish(double sum, double count) { return sum / count; }
};
struct L1 : Sum {
  static double map(double x) { return std::abs(x); }
};
struct SumSquare : Sum {
  static double map(double x) { return x * x; }
};
struct L2 : SumSquare {
  static double finish(double sum, double) { return std::sqrt(sum); }
};
// NaN is the maximum and the minimum of everything, as in numpy.
struct Max {
  static constexpr bool kZerosVanish = false;
  static constexpr double kStart = -std::numeric_limits<double>::infinity();
  static double map(double x) { return x; }
  static double combine(double a, double b) { return a > b || std::isnan(a) ? a : b; }
  static double finish(double x, double) { return x; }
};
struct Min {
  static constexpr bool kZerosVanish = false;
  static constexpr double kStart = std::numeric_limits<double>::infinity();
  static double map(double x) { return x; }
  static double combine(double a, double b) { return a < b || std::isnan(a) ? a : b; }
  static double finish(double x, double) { return x; }
};
struct Prod {
  static constexpr bool kZerosVanish = false;
  static constexpr double kStart = 1;
  static double map(double x) { return x; }
  static double combine(double a, double b) { return a * b; }
  static double finish(double x, double) { return x; }
};

// Of i64, which stop at the bounds of 32 bits in the end: no product on the way may be infinite, which times 0 is no
// number.
struct BoundedProd : Prod {
  static double combine(double a, double b) { return std::clamp(a * b, -0x1p62, 0x1p62); }
};
// Of i32 and below, modulo the range of i32.
struct ModuloProd : Prod {
  static double combine(double a, double b) {
    return static_cast<int32_t>(static_cast<int64_t>(a) * static_cast<int64_t>(b));
  }
};

template <class T>
double number(const T* x) {
  return static_cast<double>(load(x));
}
double number(const int32_t* x) { return *x; }

template <class K, class T>
HG_CLONES double reduce_row(const T* x, int64_t count) {
  double result = K::kStart;
  if constexpr (std::is_base_of_v<Sum, K>) {
#pragma omp simd reduction(+ : result)
    for (int64_t i = 0; i < count; ++i) result += K::map(number(x + i));
  } else {
    for (int64_t i = 0; i < count; ++i) {
      result = K::combine(result, K::map(number(x + i)));
    }
  }
  return result;
}

// acc[j] for `width` neighbours, over `count` rows that are `stride` apart.
template <class K, class T>
HG_CLONES void reduce_columns(const T* x, int64_t stride, int64_t count, double* acc, int64_t width) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      acc[j] = K::combine(acc[j], K::map(number(x + i * stride + j)));
    }
  }
}

// A reduction, chosen when a kernel is planned: templates are the loops over rows alone.
struct RowLoops {
  double (*reduce_row)(const void* x, int64_t count);
  void (*reduce_columns)(const void* x, int64_t stride, int64_t count, double* acc, int64_t width);
};
struct Reduction : ReductionFunctions {
  bool zeros_vanish;  // zeros do not change it, so the padding lanes of a blocked layout may be walked like the rest
  RowLoops f32, bf16;
  RowLoops whole;  // in 32 bits; null where whole numbers are not reduced so
};

template <class K, class T>
constexpr RowLoops kRows = {
    .reduce_row = [](const void* x, int64_t count) { return reduce_row<K>(static_cast<const T*>(x), count); },
    .reduce_columns = [](const void* x, int64_t stride, int64_t count, double* acc,
                         int64_t width) { reduce_columns<K>(static_cast<const T*>(x), stride, count, acc, width); },
};

template <class K>
constexpr RowLoops whole_rows() {
  if constexpr (std::is_same_v<K, Sum> || std::is_same_v<K, Max> || std::is_same_v<K, Min> ||
                std::is_base_of_v<Prod, K>) {
    return kRows<K, int32_t>;
  } else {
    return {};
  }
}

template <class K>
constexpr Reduction kReduction = {
    {.start = K::kStart, .map = K::map, .combine = K::combine, .finish = K::finish},
    K::kZerosVanish,
    kRows<K, float>,
    kRows<K, BFloat16>,
    whole_rows<K>(),
};

// A result of i32 and below counts modulo their range, as in elementwise arithmetic.
template <class K>
Reduction of(DType dtype) {
  Reduction reduction = kReduction<K>;
  const bool narrow = !is_floating(dtype) && dtype != DType::i64;
  if constexpr (std::is_same_v<K, Prod>) {
    if (narrow) reduction = kReduction<ModuloProd>;
    if (dtype == DType::i64) reduction = kReduction<BoundedProd>;
  }
  if (dtype == DType::i32 && reduction.whole.reduce_row != nullptr) {
    reduction.finish = [](double value, double) {
      return std::isfinite(value) ? in_whole_type(value, DType::i32) : value;
    };
  }
  return reduction;
}

Reduction reduction_of(Reduce which, DType dtype) {
  switch (which) {
    case Reduce::sum: return of<Sum>(dtype);
    case Reduce::mean: return of<Mean>(dtype);
    case Reduce::l1: return of<L1>(dtype);
    case Reduce::l2: return of<L2>(dtype);
    case Reduce::sum_square: return of<SumSquare>(dtype);
    case Reduce::max: return of<Max>(dtype);
    case Reduce::min: return of<Min>(dtype);
    case Reduce::prod: break;
  }
  return of<Prod>(dtype);
}

const RowLoops& rows_of(const Reduction& reduction, DType dtype) {
  return dtype == DType::i32 ? reduction.whole : dtype == DType::bf16 ? reduction.bf16 : reduction.f32;
}

const void* element(const void* data, DType dtype, int64_t index) {
  return static_cast<const std::byte*>(data) + index * static_cast<int64_t>(size_of(dtype));
}

void store_result(void* data, DType dtype, int64_t index, double value) {
  if (dtype == DType::i32) {
    constexpr double kLow = std::numeric_limits<int32_t>::min(), kHigh = std::numeric_limits<int32_t>::max();
    static_cast<int32_t*>(data)[index] = static_cast<int32_t>(std::clamp(value, kLow, kHigh));
    return;
  }
  with_element(dtype == DType::bf16,
               [&](auto* type) { store(static_cast<decltype(type)>(data) + index, static_cast<float>(value)); });
}

// All elements to one, in any dense layout. Zeros must vanish where the layout has padding.
void plan_all(KernelPlan& plan, const Reduction& k, DType dtype, int64_t elements, double count) {
  constexpr int64_t kChunk = 1 << 12;
  const int64_t chunks = (elements + kChunk - 1) / kChunk;
  plan.scratch_bytes = static_cast<std::size_t>(chunks) * sizeof(double);
  plan.kernel = loop_kernel([=, rows = rows_of(k, dtype)](const Addresses& at) {
    auto* partial = static_cast<double*>(at.scratch);
    parallel_for(chunks, [&](int64_t i) {
      partial[i] = rows.reduce_row(element(at.src[0], dtype, i * kChunk), std::min(kChunk, elements - i * kChunk));
    });
    double total = k.start;
    for (int64_t i = 0; i < chunks; ++i) total = k.combine(total, partial[i]);
    store_result(at.dst[0], dtype, 0, k.finish(total, count));
  });
}

// Height and width, and perhaps batch and channels, of an activation in its own layout. Partial results per (n, channel
// group, chunk of rows) lie in scratch, one per lane.
void plan_spatial(KernelPlan& plan, const Reduction& k, DType dtype, const View& v, bool over_batch, bool over_channels,
                  double count) {
  const int64_t rows = std::max<int64_t>(1, (1 << 12) / std::max<int64_t>(1, v.w * v.block));
  const int64_t chunks = (v.h + rows - 1) / rows;
  plan.scratch_bytes = static_cast<std::size_t>(v.n * v.groups * chunks * v.block) * sizeof(double);
  plan.kernel = loop_kernel([=, kernel_rows = rows_of(k, dtype)](const Addresses& at) {
    auto* partial = static_cast<double*>(at.scratch);
    parallel_for(v.n * v.groups * chunks, [&](int64_t i) {
      double* acc = partial + i * v.block;
      std::fill(acc, acc + v.block, k.start);
      const int64_t ng = i / chunks;
      for (int64_t h = i % chunks * rows; h < std::min(v.h, (i % chunks + 1) * rows); ++h) {
        const void* row = element(at.src[0], dtype, v.offset(ng / v.groups, ng % v.groups, h, 0));
        if (v.block == 1 && v.stride_w == 1) {
          *acc = k.combine(*acc, kernel_rows.reduce_row(row, v.w));
        } else {
          kernel_rows.reduce_columns(row, v.stride_w, v.w, acc, v.block);
        }
      }
    });
    const auto gather = [&](int64_t n, int64_t c, double total) {
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const int64_t unit = (n * v.groups + c / v.block) * chunks + chunk;
        total = k.combine(total, partial[unit * v.block + c % v.block]);
      }
      return total;
    };
    const int64_t out_n = over_batch ? 1 : v.n, out_c = over_channels ? 1 : v.c;
    for (int64_t n = 0; n < out_n; ++n) {
      for (int64_t c = 0; c < out_c; ++c) {
        double total = k.start;
        for (int64_t in = n; in < (over_batch ? v.n : n + 1); ++in) {
          for (int64_t ic = c; ic < (over_channels ? v.c : c + 1); ++ic) total = gather(in, ic, total);
        }
        store_result(at.dst[0], dtype, n * out_c + c, k.finish(total, count));
      }
    }
  });
}

// Any dimensions of a row-major tensor: each result is made by one thread, over `reduced` for each index of `outer`; a
// result has up to kBlock neighbours that are made with it where the innermost dimension is kept.
void plan_plain(KernelPlan& plan, const Reduction& k, DType dtype, const Shape& src, const std::vector<bool>& mask,
                double count) {
  StridedLoop<2> nest{.extents = src.dims(),
                      .strides = {src.strides(), broadcast_strides(keepdims_shape(src, mask), src)}};
  nest.collapse();
  // After collapsing, dimensions alternate between kept and reduced.
  struct Dim {
    int64_t extent, src_stride, dst_stride;
  };
  std::vector<Dim> outer, reduced;
  for (std::size_t d = 0; d < nest.extents.size(); ++d) {
    const Dim dim{nest.extents[d], nest.strides[0][d], nest.strides[1][d]};
    (dim.dst_stride == 0 ? reduced : outer).push_back(dim);
  }
  constexpr int64_t kBlock = 128;
  const bool inner_kept = !outer.empty() && outer.back().src_stride == 1;
  const Dim inner = inner_kept ? outer.back() : Dim{1, 0, 0};  // neighbours in dst and in src
  if (inner_kept) outer.pop_back();
  const Dim run = reduced.empty() ? Dim{1, 0, 0} : reduced.back();  // innermost reduced dimension
  if (!reduced.empty()) reduced.pop_back();
  const auto product = [](const std::vector<Dim>& dims) {
    int64_t result = 1;
    for (const Dim& dim : dims) result *= dim.extent;
    return result;
  };
  const int64_t outer_count = product(outer), reduced_count = product(reduced);
  const int64_t blocks = (inner.extent + kBlock - 1) / kBlock;
  plan.kernel = loop_kernel([=, rows = rows_of(k, dtype)](const Addresses& at) {
    parallel_for(outer_count * blocks, [&](int64_t i) {
      const int64_t block = i % blocks * kBlock;
      const int64_t width = std::min(kBlock, inner.extent - block);
      int64_t from = block, to = block, rest = i / blocks;
      for (std::size_t d = outer.size(); d-- > 0;) {
        from += rest % outer[d].extent * outer[d].src_stride;
        to += rest % outer[d].extent * outer[d].dst_stride;
        rest /= outer[d].extent;
      }
      double acc[kBlock];
      std::fill(acc, acc + width, k.start);
      for (int64_t r = 0; r < reduced_count; ++r) {
        int64_t at_r = from, left = r;
        for (std::size_t d = reduced.size(); d-- > 0;) {
          at_r += left % reduced[d].extent * reduced[d].src_stride;
          left /= reduced[d].extent;
        }
        const void* x = element(at.src[0], dtype, at_r);
        if (run.src_stride == 1) {
          acc[0] = k.combine(acc[0], rows.reduce_row(x, run.extent));
        } else {
          rows.reduce_columns(x, run.src_stride, run.extent, acc, width);
        }
      }
      for (int64_t j = 0; j < width; ++j) store_result(at.dst[0], dtype, to + j, k.finish(acc[j], count));
    });
  });
}

}  // namespace

Shape keepdims_shape(const Shape& src, const std::vector<bool>& reduced) {
  Dims dims = src.dims();
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (reduced[i]) dims[i] = 1;
  }
  return Shape(std::move(dims));
}

ReductionFunctions reduction_functions(Reduce which, DType dtype) { return reduction_of(which, dtype); }

RowSum row_sum_of(Reduce which) {
  const Reduction reduction = reduction_of(which, DType::f32);
  return {.sum = [sum = reduction.f32.reduce_row](const float* src, int64_t count) { return sum(src, count); },
          .finish = reduction.finish};
}

KernelPlan plan_reduction(PlanContext& ctx, Reduce which, const std::vector<bool>& mask) {
  const Reduction reduction = reduction_of(which, ctx.in(0).dtype);
  TensorType in = ctx.in(0);
  if (in.dtype == DType::i64) in.dtype = DType::i32;  // as both lie in memory
  if (in.dtype != DType::i32) {
    require_one_float_type(ctx);
  } else if (reduction.whole.reduce_row == nullptr) {
    fail("no kernel reduces whole numbers so: insert a Cast to float");
  }
  require_32_bits(ctx);
  const double count = static_cast<double>(in.shape.elements()) / static_cast<double>(ctx.out().shape.elements());
  const bool everything = ctx.out().shape.elements() == 1;
  const MemoryDesc dense = elementwise_layout(ctx.src[0], in);
  KernelPlan result{.src = {dense}, .dst = {plain(ctx.out())}, .implementation = "loop", .kernel = nullptr};
  if (everything && (reduction.zeros_vanish || !has_padding(dense))) {
    plan_all(result, reduction, in.dtype, padded_elements(dense), count);
  } else if (in.shape.rank() == 4 && is_viewable(dense) && mask[2] && mask[3]) {
    plan_spatial(result, reduction, in.dtype, view_of(dense), mask[0], mask[1], count);
  } else {
    result.src[0] = plain(in);
    plan_plain(result, reduction, in.dtype, in.shape, mask, count);
  }
  return result;
}

}  // namespace hourglass::kernels
