#include "ops/resampling/separable_map.h"

#include <algorithm>
#include <type_traits>

#include "graph/error.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"

namespace hourglass::kernels {
namespace {

// With fewer channels side by side, a channels-last row is gathered element by element, not pixel by pixel.
constexpr int64_t kPixelBlock = 8;

// Most floats of a block of a combined row: it stays in the first-level cache with its sources and its result, so that
// reading and writing memory overlap. Whole rows take a fifth to a half longer (128 x 256 x 256).
constexpr int64_t kBlockFloats = 1024;

// dst (+)= sum over r of weight[r] * src[r], rows of `count` elements; up to kRows rows at a time.
constexpr int64_t kRows = 4;

template <class T>
HG_CLONES void combine_rows(const T* const* src, const float* weight, int64_t rows, bool add, float* dst,
                            int64_t count) {
  const T *a = src[0], *b = src[rows > 1 ? 1 : 0], *c = src[rows > 2 ? 2 : 0], *d = src[rows > 3 ? 3 : 0];
  const float wa = weight[0], wb = rows > 1 ? weight[1] : 0, wc = rows > 2 ? weight[2] : 0,
              wd = rows > 3 ? weight[3] : 0;
  if (add) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      dst[i] += wa * load(a + i) + wb * load(b + i) + (wc * load(c + i) + wd * load(d + i));
    }
  } else if (rows == 1) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) dst[i] = wa * load(a + i);
  } else if (rows == 2) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) dst[i] = wa * load(a + i) + wb * load(b + i);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      dst[i] = wa * load(a + i) + wb * load(b + i) + (wc * load(c + i) + wd * load(d + i));
    }
  }
}

// dst[o] = sum over t of weight[t * stride + o] * src[index[t * stride + o] - first], by elements: for row-major rows,
// and for channels-last rows of few channels, whose taps are repeated for each channel.
template <class T, int kTaps>
HG_CLONES void gather_elements(const float* src, int32_t first, const int32_t* index, const float* weight, int64_t taps,
                               int64_t stride, T* dst, int64_t count) {
  if constexpr (kTaps > 0) taps = kTaps;
#pragma omp simd
  for (int64_t o = 0; o < count; ++o) {
    float sum = 0;
    for (int64_t t = 0; t < taps; ++t) sum += weight[t * stride + o] * src[index[t * stride + o] - first];
    store(dst + o, sum);
  }
}

// The same for pixels of kBlock channels (0: `block` of them), `column` elements apart in src and `step` in dst.
template <class T, int kBlock, int kTaps>
HG_CLONES void gather_pixels(const float* src, int32_t first, const int32_t* index, const float* weight, int64_t taps,
                             int64_t stride, T* dst, int64_t count, int64_t block, int64_t column, int64_t step) {
  if constexpr (kBlock > 0) block = kBlock;
  const auto pixel = [&](int64_t t, int64_t o) { return src + (index[t * stride + o] - first) * column; };
  for (int64_t o = 0; o < count; ++o) {
    T* out = dst + o * step;
    if constexpr (kTaps > 0) {
      const float* from[kTaps];
      float weights[kTaps];
      for (int t = 0; t < kTaps; ++t) {
        from[t] = pixel(t, o);
        weights[t] = weight[t * stride + o];
      }
#pragma omp simd
      for (int64_t i = 0; i < block; ++i) {
        float sum = weights[0] * from[0][i];
        for (int t = 1; t < kTaps; ++t) sum += weights[t] * from[t][i];
        store(out + i, sum);
      }
    } else {
      constexpr int64_t kLanes = 16;
      for (int64_t begin = 0; begin < block; begin += kLanes) {
        const int64_t lanes = std::min(kLanes, block - begin);
        float sum[kLanes] = {};
        for (int64_t t = 0; t < taps; ++t) {
          const float w = weight[t * stride + o];
          const float* a = pixel(t, o) + begin;
          for (int64_t i = 0; i < lanes; ++i) sum[i] += w * a[i];
        }
        for (int64_t i = 0; i < lanes; ++i) store(out + begin + i, sum[i]);
      }
    }
  }
}

// The same for steady columns: each period of pixels finds its taps `step` elements further on in src.
template <class T, int kBlock, int kTaps>
HG_CLONES void gather_steady(const float* src, int32_t first, const int32_t* index, const float* weight, int64_t stride,
                             int64_t period, int64_t step, T* dst, int64_t count, int64_t block, int64_t column,
                             int64_t dst_step) {
  if constexpr (kBlock > 0) block = kBlock;
  // Pixels without gaps in both images: as if they were one pixel.
  if (period == 1 && step == block && dst_step == block) {
    block *= count;
    count = 1;
  }
  for (int64_t p = 0; p < std::min(period, count); ++p) {
    const float* from[kTaps];
    float weights[kTaps];
    for (int t = 0; t < kTaps; ++t) {
      from[t] = src + (index[t * stride + p] - first) * column;
      weights[t] = weight[t * stride + p];
    }
    T* out = dst + p * dst_step;
    for (int64_t o = p, at = 0; o < count; o += period, at += step, out += period * dst_step) {
#pragma omp simd
      for (int64_t i = 0; i < block; ++i) {
        float sum = weights[0] * from[0][at + i];
        for (int t = 1; t < kTaps; ++t) sum += weights[t] * from[t][at + i];
        store(out + i, sum);
      }
    }
  }
}

HG_CLONES void normalize_run(float* x, int64_t count, int64_t period, const float* __restrict center,
                             const float* __restrict factor, const float* __restrict offset) {
  for (int64_t i = 0; i < count; i += period) {
    const int64_t n = std::min(period, count - i);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) x[i + j] = (x[i + j] - center[j]) * factor[j] + offset[j];
  }
}

std::vector<TapList> spread(const std::vector<TapList>& lists, int64_t lanes) {
  std::vector<TapList> elements;
  for (const TapList& list : lists) {
    for (int64_t lane = 0; lane < lanes; ++lane) {
      elements.push_back(list);
      for (auto& [i, w] : elements.back()) i = i * lanes + lane;
    }
  }
  return elements;
}

// Elements of a row that make_normalized() has room for.
constexpr int64_t kMostWide = SeparableMap::kMostChannels * SeparableMap::kMostReach;
constexpr int64_t kMostNormalized = std::max(kBlockFloats, kMostWide);

}  // namespace

SeparableMap::SeparableMap(const View& src, const View& dst, const std::vector<TapList>& rows,
                           const std::vector<TapList>& columns, bool by_pixels)
    : src_(src),
      dst_(dst),
      by_elements_(!by_pixels && src.block == dst.block && dst.block < kPixelBlock),
      rows_(src.h, rows),
      columns_(by_elements_ ? Taps(src.w * dst.block, spread(columns, dst.block)) : Taps(src.w, columns)),
      column_(by_elements_ ? 1 : src.block),
      lanes_(by_elements_ ? 1 : dst.block) {
  steady_ = steady_columns();
  for (int64_t o = 0; o < columns_.dst; ++o) {
    int64_t low = columns_.src, high = 0;
    for (int64_t t = 0; t < columns_.count; ++t) {
      low = std::min(low, columns_.at(t, o));
      high = std::max(high, columns_.at(t, o) + 1);
    }
    low_.push_back(static_cast<int32_t>(low));
    high_.push_back(static_cast<int32_t>(high));
    if (!blocks_.empty()) {
      Block& last = blocks_.back();
      const int64_t begin = std::min(last.src_begin, low), end = std::max(last.src_end, high);
      if ((end - begin) * column_ <= kBlockFloats) {
        last = {last.begin, o + 1, begin, end};
        continue;
      }
    }
    blocks_.push_back({o, o + 1, low, high});
  }
  for (const Block& block : blocks_) buffer_ = std::max(buffer_, (block.src_end - block.src_begin) * column_);
  if (by_pixels && buffer_ > kMostNormalized) {
    fail("pixels of {} channels are mixed from up to {} elements of a row, supported are {}", src.c, buffer_,
         kMostNormalized);
  }
  buffer_ = (buffer_ + 15) / 16 * 16;
}

SeparableMap::Steady SeparableMap::steady_columns() const {
  constexpr int64_t kMostPeriod = 4;
  Steady longest;
  if (by_elements_) return longest;
  for (int64_t period = 1; period <= std::min(kMostPeriod, columns_.dst - 1); ++period) {
    const auto step_at = [&](int64_t o) { return columns_.at(0, o + period) - columns_.at(0, o); };
    const auto goes_on = [&](int64_t o, int64_t step) {
      for (int64_t t = 0; t < columns_.count; ++t) {
        if (columns_.at(t, o + period) != columns_.at(t, o) + step) return false;
        if (columns_.weight_at(t, o + period) != columns_.weight_at(t, o)) return false;
      }
      return true;
    };
    Steady steady{.period = period};
    for (int64_t begin = 0; begin + period < columns_.dst;) {
      const int64_t step = step_at(begin);
      int64_t o = begin;
      while (o + period < columns_.dst && goes_on(o, step)) ++o;
      if (o > begin && o + period - begin > steady.end - steady.begin) {
        steady = {.begin = begin, .end = o + period, .period = period, .step = step};
      }
      begin = std::max(o, begin + 1);
    }
    if (steady.end - steady.begin > 2 * (longest.end - longest.begin)) longest = steady;
  }
  return longest;
}

// Combines rows of src for a block into the buffer. False where nothing was to be done, since the row is one row of src
// with weight 1, which is used in place.
template <class T>
bool SeparableMap::combine(const T* src, int64_t oh, const Block& block, float* buffer) const {
  const T* sources[kRows] = {};
  float weights[kRows] = {};
  for (int64_t t = 0; t < rows_.count; t += kRows) {
    const int64_t rows = std::min(kRows, rows_.count - t);
    for (int64_t r = 0; r < rows; ++r) {
      sources[r] = src + rows_.at(t + r, oh) * src_.stride_h + block.src_begin * column_;
      weights[r] = rows_.weight_at(t + r, oh);
    }
    if (std::is_same_v<T, float> && rows_.count == 1 && weights[0] == 1) return false;
    combine_rows(sources, weights, rows, t > 0, buffer, (block.src_end - block.src_begin) * column_);
  }
  return true;
}

// body(begin, end, is_steady) for the columns before the steady ones, for these, and for those after them.
template <typename Body>
void SeparableMap::for_stretches(const Block& block, const Body& body) const {
  const int64_t begin = std::clamp(steady_.begin, block.begin, block.end),
                end = std::clamp(steady_.end, begin, block.end);
  if (block.begin < begin) body(block.begin, begin, false);
  if (begin < end) body(begin, end, true);
  if (end < block.end) body(end, block.end, false);
}

template <class D>
void SeparableMap::gather(const Block& block, const float* combined, D* dst, int64_t stride) const {
  const int64_t taps = columns_.count, row = columns_.dst;
  const auto first = static_cast<int32_t>(block.src_begin);
  using std::integral_constant;
  const auto with_taps = [&](auto constant) {
    constexpr int kTaps = constant();
    const auto pixels = [&](auto lanes) {
      for_stretches(block, [&](int64_t begin, int64_t end, bool is_steady) {
        const int32_t* index = columns_.index.data() + begin;
        const float* weight = columns_.weight.data() + begin;
        D* to = dst + (begin - block.begin) * stride;
        if constexpr (kTaps > 0) {
          if (is_steady) {
            gather_steady<D, lanes(), kTaps>(combined, first, index, weight, row, steady_.period,
                                             steady_.step * column_, to, end - begin, lanes_, column_, stride);
            return;
          }
        }
        gather_pixels<D, lanes(), kTaps>(combined, first, index, weight, taps, row, to, end - begin, lanes_, column_,
                                         stride);
      });
    };
    if (by_elements_) {
      return gather_elements<D, kTaps>(combined, first, columns_.index.data() + block.begin,
                                       columns_.weight.data() + block.begin, taps, row, dst, block.end - block.begin);
    }
    // A constant number of channels is worth a version of its own where the taps are few, as those of nearest and
    // linear.
    if constexpr (kTaps == 1 || kTaps == 2) {
      switch (lanes_) {
        case 8: return pixels(integral_constant<int, 8>());
        case 16: return pixels(integral_constant<int, 16>());
        case 32: return pixels(integral_constant<int, 32>());
        case 128: return pixels(integral_constant<int, 128>());
        default: break;
      }
    }
    return pixels(integral_constant<int, 0>());
  };
  switch (taps) {
    case 1: return with_taps(integral_constant<int, 1>());
    case 2: return with_taps(integral_constant<int, 2>());
    case 3: return with_taps(integral_constant<int, 3>());
    case 4: return with_taps(integral_constant<int, 4>());
    default: return with_taps(integral_constant<int, 0>());
  }
}

template <class T, class D>
void SeparableMap::make_row(const T* src, int64_t oh, float* buffer, D* dst) const {
  for (const Block& block : blocks_) {
    const float* combined = buffer;
    if (!combine(src, oh, block, buffer)) {
      combined = reinterpret_cast<const float*>(src) + rows_.at(0, oh) * src_.stride_h + block.src_begin * column_;
    }
    gather(block, combined, dst + block.begin * lanes_, lanes_);
  }
}

template <class T>
void SeparableMap::make_normalized(const T* src, int64_t oh, int64_t ow, int64_t count,
                                   const NormalizationCoefficients& k, int64_t period, T* dst, int64_t stride) const {
  alignas(64) float buffer[kMostNormalized];
  for (const Block& whole : blocks_) {
    Block block = whole;
    block.begin = std::max(block.begin, ow);
    block.end = std::min(block.end, ow + count);
    if (block.begin >= block.end) continue;
    if (block.begin != whole.begin || block.end != whole.end) {
      block.src_begin = *std::min_element(low_.begin() + block.begin, low_.begin() + block.end);
      block.src_end = *std::max_element(high_.begin() + block.begin, high_.begin() + block.end);
    }
    if constexpr (std::is_same_v<T, BFloat16>) {
      const Bf16Rows* rows = bf16_rows();
      if (rows != nullptr && rows_.count == 2 && columns_.count == 2 && lanes_ % 16 == 0 && column_ == lanes_) {
        const auto row = [&](int64_t t) { return src + rows_.at(t, oh) * src_.stride_h + block.src_begin * column_; };
        rows->combine(row(0), row(1), rows_.weight_at(0, oh), rows_.weight_at(1, oh),
                      (block.src_end - block.src_begin) * column_, period, k, buffer);
        for_stretches(block, [&](int64_t begin, int64_t end, bool is_steady) {
          rows->gather(buffer, static_cast<int32_t>(block.src_begin), columns_.index.data() + begin,
                       columns_.weight.data() + begin, columns_.dst, lanes_, is_steady ? steady_.period : end - begin,
                       steady_.step * column_, end - begin, dst + (begin - ow) * stride, stride);
        });
        continue;
      }
    }
    if (!combine(src, oh, block, buffer)) {
      std::copy_n(reinterpret_cast<const float*>(src) + rows_.at(0, oh) * src_.stride_h + block.src_begin * column_,
                  (block.src_end - block.src_begin) * column_, buffer);
    }
    normalize_run(buffer, (block.src_end - block.src_begin) * column_, period, k.center, k.factor, k.offset);
    gather(block, buffer, dst + (block.begin - ow) * stride, stride);
  }
}

template void SeparableMap::make_row<float, float>(const float*, int64_t, float*, float*) const;
template void SeparableMap::make_row<BFloat16, float>(const BFloat16*, int64_t, float*, float*) const;
template void SeparableMap::make_row<BFloat16, BFloat16>(const BFloat16*, int64_t, float*, BFloat16*) const;
template void SeparableMap::make_normalized<float>(const float*, int64_t, int64_t, int64_t,
                                                   const NormalizationCoefficients&, int64_t, float*, int64_t) const;
template void SeparableMap::make_normalized<BFloat16>(const BFloat16*, int64_t, int64_t, int64_t,
                                                      const NormalizationCoefficients&, int64_t, BFloat16*,
                                                      int64_t) const;

}  // namespace hourglass::kernels
