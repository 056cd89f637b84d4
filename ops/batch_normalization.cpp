// BatchNormalization: dst = act(xhat * scale + bias), xhat = (src - mean) * inv_std.       ONNX BatchNormalization-15
//   src, dst: [N,C,...]; scale, bias, mean, inv_std: [C].  mean and the biased variance are taken over N and space, of
//   this very batch, whatever training_mode says; inv_std = 1 / sqrt(variance + epsilon).
//   act(y) = y > 0 ? y : alpha * y: a LeakyRelu or Relu behind the normalisation, alpha = 1 for none.
// Gradient, with M = N * space, y = xhat * scale + bias and dz = diff_dst * (y > 0 ? 1 : alpha):
//   diff_bias = sum(dz)    diff_scale = sum(dz * xhat)
//   diff_src = scale * inv_std * (dz - diff_bias / M - xhat * diff_scale / M)
// Only src, mean and inv_std are kept for it: y is cheaper to compute again than to store.
//   Ioffe, Szegedy, ICML 2015.
//
// BatchNormalizationApply: dst as above, with mean and inv_std given.
//
// Both directions are a reduction and an elementwise pass, bound by memory. Channels don't mix, so the two passes go
// group of channels by group of channels: the second one finds its data in the cache.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/error.h"
#include "ops/detail/loop.h"
#include "ops/detail/onednn.h"
#include "ops/detail/view.h"

namespace hourglass::ops {
namespace {

using detail::View;

// ---- definition

void normalize(NormalizeContext& ctx) {
  if (ctx.attrs.has("spatial") && ctx.attrs.integer("spatial") == 0) {
    fail("spatial=0 (statistics per pixel) is not supported; expected spatial=1 (statistics per channel)");
  }
  // How a file says that it trains: is_test=0 before opset 7, more than one output before 14, training_mode since.
  bool trains = ctx.outputs.size() > 1;
  if (ctx.opset >= 14) trains = ctx.attrs.has("training_mode") && ctx.attrs.integer("training_mode") != 0;
  if (ctx.opset < 7) trains = !ctx.attrs.has("is_test") || ctx.attrs.integer("is_test") == 0;
  if (!trains) ctx.notes.emplace_back("BatchNormalization is trained with batch statistics");
  ctx.attrs.set("training_mode", int64_t{trains});
  for (const char* old : {"spatial", "is_test", "consumed_inputs"}) ctx.attrs.erase(old);
  if (ctx.inputs.size() > 3) ctx.inputs.resize(3);    // running mean and variance
  if (ctx.outputs.size() > 1) ctx.outputs.resize(1);  // their updates, and the old opsets' saved statistics
}

// Batch statistics are ONNX's training mode; running statistics must be given there, and their updates have outputs:
// all go unused, but ONNX's shape inference insists on them.
bool to_onnx(ToOnnxContext& ctx) {
  if (ctx.output_used[1] || ctx.output_used[2] || ctx.node.attrs.real("alpha") != 1) return false;
  const Shape channels = ctx.graph.shape(ctx.node.inputs[1]);
  HostTensor variance(DType::f32, channels);
  std::fill(variance.values.begin(), variance.values.end(), 1.0);
  ctx.inputs.resize(3);
  ctx.inputs.push_back(ctx.constant("mean", HostTensor(DType::f32, channels)));
  ctx.inputs.push_back(ctx.constant("variance", std::move(variance)));
  ctx.attrs.set("training_mode", int64_t{1});
  return true;
}

void check_parameter(const InferContext& ctx, std::size_t index, const char* name, int64_t channels) {
  const TensorType& type = *ctx.inputs[index];
  if (type.dtype != DType::f32 || type.shape != Shape{channels}) {
    fail("{} is {}:{}, expected f32:{}, one per channel of src", name, type.dtype, type.shape, channels);
  }
}

void check_src(const InferContext& ctx, std::size_t index) {
  const TensorType& type = *ctx.inputs[index];
  if (type.shape.rank() < 2) fail("src has shape {}, expected at least [N,C]", type.shape);
  if (!is_floating(type.dtype)) fail("src has {} elements, expected floating ones", type.dtype);
}

void infer_forward(InferContext& ctx) {
  check_src(ctx, 0);
  const int64_t channels = ctx.shape(0)[1];
  check_parameter(ctx, 1, "scale", channels);
  check_parameter(ctx, 2, "bias", channels);
  const TensorType statistic{DType::f32, Shape{channels}};
  ctx.outputs = {*ctx.inputs[0], statistic, statistic};
}

void infer_apply(InferContext& ctx) {
  check_src(ctx, 0);
  const char* names[] = {"scale", "bias", "mean", "inv_std"};
  for (std::size_t i = 0; i < 4; ++i) check_parameter(ctx, 1 + i, names[i], ctx.shape(0)[1]);
  ctx.outputs = {*ctx.inputs[0]};
}

void infer_backward(InferContext& ctx) {
  check_src(ctx, 1);
  if (ctx.shape(0) != ctx.shape(1)) fail("diff_dst has shape {}, src {}", ctx.shape(0), ctx.shape(1));
  const int64_t channels = ctx.shape(1)[1];
  const char* names[] = {"scale", "bias", "mean", "inv_std"};
  for (std::size_t i = 0; i < 4; ++i) check_parameter(ctx, 2 + i, names[i], channels);
  ctx.outputs = {*ctx.inputs[1], *ctx.inputs[2], *ctx.inputs[3]};
}

void vjp(VjpContext& ctx) {
  if (!ctx.grad_out().valid()) return;  // only the statistics are used: they are not differentiated
  const std::vector<ValueId> grads =
      ctx.b.add_all("BatchNormalizationGrad", {ctx.grad_out(), ctx.in(0), ctx.in(1), ctx.in(2), ctx.out(1), ctx.out(2)},
                    {{"alpha", ctx.node.attrs.real("alpha")}}, ctx.node.name + "/grad");
  for (std::size_t i = 0; i < 3; ++i) {
    if (ctx.wants(i)) ctx.set_grad(i, grads[i]);
  }
}

// fn(channel, index) for every element of a row-major [N,C,...].
template <typename Function>
void for_each_element(const Shape& shape, const Function& fn) {
  const int64_t channels = shape[1];
  const int64_t space = shape.elements() / std::max<int64_t>(shape[0] * channels, 1);
  for (int64_t i = 0; i < shape.elements(); ++i) {
    fn(static_cast<std::size_t>(i / space % channels), static_cast<std::size_t>(i));
  }
}

void reference_forward(ReferenceContext& ctx) {
  const double alpha = ctx.attrs.real("alpha");
  const HostTensor& src = *ctx.inputs[0];
  const auto& scale = ctx.inputs[1]->values;
  const auto& bias = ctx.inputs[2]->values;
  auto& mean = ctx.outputs[1].values;
  auto& inv_std = ctx.outputs[2].values;
  const double count = static_cast<double>(src.shape.elements()) / static_cast<double>(src.shape[1]);
  std::vector<double> variance(mean.size());
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) { mean[c] += src.values[i] / count; });
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) {
    variance[c] += (src.values[i] - mean[c]) * (src.values[i] - mean[c]) / count;
  });
  for (std::size_t c = 0; c < mean.size(); ++c) inv_std[c] = 1 / std::sqrt(variance[c] + ctx.attrs.real("epsilon"));
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) {
    const double y = (src.values[i] - mean[c]) * inv_std[c] * scale[c] + bias[c];
    ctx.outputs[0].values[i] = y > 0 ? y : alpha * y;
  });
}

void reference_apply(ReferenceContext& ctx) {
  const double alpha = ctx.attrs.real("alpha");
  const HostTensor& src = *ctx.inputs[0];
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) {
    const double xhat = (src.values[i] - ctx.inputs[3]->values[c]) * ctx.inputs[4]->values[c];
    const double y = xhat * ctx.inputs[1]->values[c] + ctx.inputs[2]->values[c];
    ctx.outputs[0].values[i] = y > 0 ? y : alpha * y;
  });
}

void reference_backward(ReferenceContext& ctx) {
  const double alpha = ctx.attrs.real("alpha");
  const HostTensor& src = *ctx.inputs[1];
  const auto& scale = ctx.inputs[2]->values;
  const auto& bias = ctx.inputs[3]->values;
  const auto& mean = ctx.inputs[4]->values;
  const auto& inv_std = ctx.inputs[5]->values;
  auto& diff_scale = ctx.outputs[1].values;
  auto& diff_bias = ctx.outputs[2].values;
  const double count = static_cast<double>(src.shape.elements()) / static_cast<double>(src.shape[1]);
  const auto xhat = [&](std::size_t c, std::size_t i) { return (src.values[i] - mean[c]) * inv_std[c]; };
  const auto dz = [&](std::size_t c, std::size_t i) {
    return ctx.inputs[0]->values[i] * (xhat(c, i) * scale[c] + bias[c] > 0 ? 1 : alpha);
  };
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) {
    diff_bias[c] += dz(c, i);
    diff_scale[c] += dz(c, i) * xhat(c, i);
  });
  for_each_element(src.shape, [&](std::size_t c, std::size_t i) {
    ctx.outputs[0].values[i] =
        scale[c] * inv_std[c] * (dz(c, i) - diff_bias[c] / count - xhat(c, i) * diff_scale[c] / count);
  });
}

// ---- row loops
//
// A row is any run of whole pixels. Per-channel numbers come as vectors of `period` elements, a multiple of the
// layout's block, in which the channels repeat: one loop then serves row-major, blocked and channels-last alike.

// sum[j] = the sum of the elements congruent to j.
template <class T>
HG_CLONES void sum_row(const T* src, int64_t count, int64_t period, float* sum) {
  for (int64_t j = 0; j < period; ++j) sum[j] = 0;
  for (int64_t i = 0; i < count; i += period) {
    const T* x = src + i;
    const int64_t n = std::min(period, count - i);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) sum[j] += detail::load(x + j);
  }
}

// The sums of (src - shift) and of its squares. Four periods at a time: the sums are loaded and stored less often.
template <class T>
HG_CLONES void moments_row(const T* src, int64_t count, int64_t period, const float* shift, float* sum, float* square) {
  for (int64_t j = 0; j < period; ++j) sum[j] = square[j] = 0;
  int64_t i = 0;
  for (; i + 4 * period <= count; i += 4 * period) {
    const T* x = src + i;
#pragma omp simd
    for (int64_t j = 0; j < period; ++j) {
      const float d0 = detail::load(x + j) - shift[j];
      const float d1 = detail::load(x + period + j) - shift[j];
      const float d2 = detail::load(x + 2 * period + j) - shift[j];
      const float d3 = detail::load(x + 3 * period + j) - shift[j];
      sum[j] += (d0 + d1) + (d2 + d3);
      square[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
    }
  }
  for (; i < count; i += period) {
    const T* x = src + i;
    const int64_t n = std::min(period, count - i);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const float d = detail::load(x + j) - shift[j];
      sum[j] += d;
      square[j] += d * d;
    }
  }
}

// out[lane] = the sum of a period's elements that belong to it, in double.
HG_CLONES void fold_row(const float* vector, int64_t period, int64_t block, double* out) {
  if (block == 1) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < period; ++j) sum += static_cast<double>(vector[j]);
    *out = sum;
    return;
  }
  for (int64_t lane = 0; lane < block; ++lane) out[lane] = 0;
  for (int64_t j = 0; j < period; j += block) {
    for (int64_t lane = 0; lane < block; ++lane) out[lane] += static_cast<double>(vector[j + lane]);
  }
}

// Per-channel coefficients, each a vector of `period` elements.
struct Coefficients {
  const float *center, *factor, *offset;  // y = (src - center) * factor + offset
  const float *slope, *constant;          // backward: diff_src = factor * dz + slope * (src - center) + constant
};

template <class T>
HG_CLONES void normalize_row(const T* src, T* dst, int64_t count, int64_t period, const Coefficients& k, float alpha) {
  const float *center = k.center, *factor = k.factor, *offset = k.offset;
  for (int64_t i = 0; i < count; i += period) {
    const T* x = src + i;
    T* y = dst + i;
    const int64_t n = std::min(period, count - i);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const float value = (detail::load(x + j) - center[j]) * factor[j] + offset[j];
      detail::store(y + j, value > 0 ? value : alpha * value);
    }
  }
}

// The sums of dz and of dz * (src - center).
template <class T>
HG_CLONES void grad_sums_row(const T* diff_dst, const T* src, int64_t count, int64_t period, const Coefficients& k,
                             float alpha, float* sum, float* product) {
  const float *center = k.center, *factor = k.factor, *offset = k.offset;
  for (int64_t j = 0; j < period; ++j) sum[j] = product[j] = 0;
  int64_t i = 0;
  for (; i + 2 * period <= count; i += 2 * period) {
    const T *x = src + i, *dy = diff_dst + i;
#pragma omp simd
    for (int64_t j = 0; j < period; ++j) {
      const float d0 = detail::load(x + j) - center[j];
      const float d1 = detail::load(x + period + j) - center[j];
      const float g0 = detail::load(dy + j), g1 = detail::load(dy + period + j);
      const float z0 = d0 * factor[j] + offset[j] > 0 ? g0 : alpha * g0;
      const float z1 = d1 * factor[j] + offset[j] > 0 ? g1 : alpha * g1;
      sum[j] += z0 + z1;
      product[j] += z0 * d0 + z1 * d1;
    }
  }
  for (; i < count; i += period) {
    const T *x = src + i, *dy = diff_dst + i;
    const int64_t n = std::min(period, count - i);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const float d = detail::load(x + j) - center[j];
      const float g = detail::load(dy + j);
      const float z = d * factor[j] + offset[j] > 0 ? g : alpha * g;
      sum[j] += z;
      product[j] += z * d;
    }
  }
}

template <class T>
HG_CLONES void grad_apply_row(const T* diff_dst, const T* src, T* diff_src, int64_t count, int64_t period,
                              const Coefficients& k, float alpha) {
  const float *center = k.center, *factor = k.factor, *offset = k.offset, *slope = k.slope, *constant = k.constant;
  for (int64_t i = 0; i < count; i += period) {
    const T *x = src + i, *dy = diff_dst + i;
    T* dx = diff_src + i;
    const int64_t n = std::min(period, count - i);
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const float d = detail::load(x + j) - center[j];
      const float g = detail::load(dy + j);
      const float z = d * factor[j] + offset[j] > 0 ? g : alpha * g;
      detail::store(dx + j, factor[j] * z + (slope[j] * d + constant[j]));
    }
  }
}

// ---- the walk over memory

// Elements that a chunk has at least: two arrays of them stay in a 32 KB first-level cache.
constexpr int64_t kChunk = 4096;
// Below this many elements a second thread costs more than it brings.
constexpr int64_t kSerial = 16384;
// A channel group of at most so many bytes, all arrays together, is one thread's work if there are plenty of groups: it
// needs no barrier. What is larger, or left over, is cut into chunks that all threads share, a batch of groups at a
// time. Both numbers keep the working set of all threads in a cache of 8 MB and more, as the second pass wants it.
constexpr int64_t kOwnBytes = 4 << 20;
constexpr int64_t kBatchBytes = 8 << 20;

// How a tensor is cut. The numbers of workers and splits are fixed in plan(), so the sums don't depend on how many
// threads turn up.
struct Walk {
  View v;
  int64_t rows, row_pixels;      // of one image's channel group; one row when the plane is dense
  int64_t chunk_pixels, chunks;  // of a row
  int64_t period;                // of the coefficient vectors
  int64_t workers;
  int64_t splits;  // of a group: 1 or `workers`
  int64_t batch;   // groups

  Walk(const View& view, int64_t bytes_per_element) : v(view) {
    const bool dense = v.stride_h == v.w * v.block;
    rows = dense ? 1 : v.h;
    row_pixels = dense ? v.h * v.w : v.w;
    // A multiple of the block that fills whole vectors, unless that is too long to be worth it.
    period = std::lcm(v.block, int64_t{16});
    if (period > 1024) period = v.block;
    period *= (63 + period) / period;
    chunk_pixels = period * std::max<int64_t>(8, kChunk / period) / v.block;
    chunks = (row_pixels + chunk_pixels - 1) / chunk_pixels;
    const int64_t group_elements = v.n * v.h * v.w * v.block;
    const int64_t group_bytes = std::max<int64_t>(group_elements * bytes_per_element, 1);
    workers = group_elements * v.groups < kSerial ? 1 : omp_get_max_threads();
    const bool even = v.groups % workers == 0 || v.groups >= 8 * workers;
    splits = even && group_bytes <= kOwnBytes ? 1 : workers;
    batch = std::max<int64_t>(1, kBatchBytes / group_bytes);
  }
  [[nodiscard]] int64_t channels() const { return v.groups * v.block; }  // padding included
  [[nodiscard]] double count() const { return static_cast<double>(v.n * v.h * v.w); }

  // fn(group, offset, pixels) for the chunks of one split of groups [first, last).
  template <typename Function>
  void for_chunks(int64_t split, int64_t first, int64_t last, const Function& fn) const {
    const int64_t per_group = v.n * rows * chunks;
    const int64_t total = (last - first) * per_group;
    for (int64_t i = total * split / splits; i < total * (split + 1) / splits; ++i) {
      const int64_t group = first + i / per_group;
      const int64_t chunk = i % chunks, row = i / chunks % rows, n = i / chunks / rows % v.n;
      const int64_t begin = chunk * chunk_pixels;
      fn(group, v.offset(n, group, row, 0) + begin * v.block, std::min(chunk_pixels, row_pixels - begin));
    }
  }

  // For batches [first, last) of groups: reduce(worker, split, first, last) for every split, then finish(first, last)
  // once, then apply(split, first, last) for every split.
  template <typename Reduce, typename Finish, typename Apply>
  void run(const Reduce& reduce, const Finish& finish, const Apply& apply) const {
    if (splits == 1) {
      detail::parallel_for(workers, [&](int64_t worker) {
        for (int64_t group = v.groups * worker / workers; group < v.groups * (worker + 1) / workers; ++group) {
          reduce(worker, 0, group, group + 1);
          finish(group, group + 1);
          apply(0, group, group + 1);
        }
      });
      return;
    }
#pragma omp parallel
    {
      const int64_t me = omp_get_thread_num(), threads = omp_get_num_threads();
      for (int64_t first = 0; first < v.groups; first += batch) {
        const int64_t last = std::min(first + batch, v.groups);
        for (int64_t split = me; split < splits; split += threads) reduce(split, split, first, last);
#pragma omp barrier
#pragma omp single
        finish(first, last);
        for (int64_t split = me; split < splits; split += threads) apply(split, first, last);
      }
    }
  }
};

// Scratch memory: two double sums per split and channel; folded and work vectors per worker; coefficient vectors per
// group.
struct Scratch {
  static constexpr int64_t kCoefficients = 5, kWork = 3;

  static std::size_t bytes(const Walk& walk) {
    return static_cast<std::size_t>((walk.splits * walk.channels() + walk.workers * walk.v.block) * 2) *
               sizeof(double) +
           static_cast<std::size_t>((walk.v.groups * kCoefficients + walk.workers * kWork) * walk.period) *
               sizeof(float);
  }
  Scratch(const Walk& walk, void* memory)
      : walk_(walk),
        sums_(static_cast<double*>(memory)),
        folded_(sums_ + walk.splits * walk.channels() * 2),
        coefficients_(reinterpret_cast<float*>(folded_ + walk.workers * walk.v.block * 2)),
        work_(coefficients_ + walk.v.groups * kCoefficients * walk.period) {}

  // The two sums of a channel (padding channels included) in one split.
  [[nodiscard]] double* sum(int64_t split, int64_t channel) const {
    return sums_ + (split * walk_.channels() + channel) * 2;
  }
  [[nodiscard]] double* folded(int64_t worker, int64_t which) const {
    return folded_ + (worker * 2 + which) * walk_.v.block;
  }
  void clear(int64_t split, int64_t first, int64_t last) const {
    std::fill(sum(split, first * walk_.v.block), sum(split, last * walk_.v.block), 0.0);
  }
  // Over all splits, in order.
  [[nodiscard]] std::pair<double, double> total(int64_t channel) const {
    double a = 0, b = 0;
    for (int64_t split = 0; split < walk_.splits; ++split) {
      a += sum(split, channel)[0];
      b += sum(split, channel)[1];
    }
    return {a, b};
  }
  [[nodiscard]] float* vector(int64_t worker, int64_t which) const {
    return work_ + (worker * kWork + which) * walk_.period;
  }
  [[nodiscard]] float* coefficient(int64_t group, int64_t which) const {
    return coefficients_ + (group * kCoefficients + which) * walk_.period;
  }
  void set(int64_t group, int64_t which, int64_t lane, double value) const {
    float* vector = coefficient(group, which);
    for (int64_t j = lane; j < walk_.period; j += walk_.v.block) vector[j] = static_cast<float>(value);
  }
  [[nodiscard]] Coefficients of(int64_t group) const {
    return {coefficient(group, 0), coefficient(group, 1), coefficient(group, 2), coefficient(group, 3),
            coefficient(group, 4)};
  }

 private:
  const Walk& walk_;
  double *sums_, *folded_;
  float *coefficients_, *work_;
};

// Adds a chunk's count * mean and sum of squares to its split's sums. Squares are taken around a mean of the chunk, in
// float; the chunks are put together in double, where a mean of a million standard deviations still leaves digits.
// The mean of the chunk's first eighth is near enough: it is never further than sqrt(7) of the chunk's own standard
// deviations from the chunk's mean (Cauchy-Schwarz on the eighth's deviation), so at most a factor 8 cancels.
template <class T>
void add_moments(const Walk& walk, const Scratch& scratch, int64_t worker, int64_t split, int64_t group, const T* src,
                 int64_t pixels) {
  const int64_t block = walk.v.block, period = walk.period;
  float *sum = scratch.vector(worker, 0), *square = scratch.vector(worker, 1), *shift = scratch.vector(worker, 2);
  const int64_t some = std::min(pixels, (pixels / 8 * block + period - 1) / period * period / block + 1);
  double *sums = scratch.folded(worker, 0), *squares = scratch.folded(worker, 1);
  sum_row(src, some * block, period, sum);
  fold_row(sum, period, block, sums);
  for (int64_t lane = 0; lane < block; ++lane) {
    const auto center = static_cast<float>(sums[lane] / static_cast<double>(some));
    for (int64_t j = lane; j < period; j += block) shift[j] = center;
  }
  moments_row(src, pixels * block, period, shift, sum, square);
  fold_row(sum, period, block, sums);
  fold_row(square, period, block, squares);
  const auto count = static_cast<double>(pixels);
  for (int64_t lane = 0; lane < block; ++lane) {
    const double d = sums[lane];
    const double mean = static_cast<double>(shift[lane]) + d / count;
    double* into = scratch.sum(split, group * block + lane);
    into[0] += count * mean;
    into[1] += squares[lane] - d * d / count + count * mean * mean;
  }
}

// ---- kernels

View view_for(const MemoryDesc& desc, const Shape& shape) {
  if (shape.rank() == 4) return detail::view_of(desc);
  View v;  // row-major, space in one row
  v.n = shape[0];
  v.c = v.groups = shape[1];
  v.h = 1;
  v.w = shape.elements() / std::max<int64_t>(v.n * v.c, 1);
  v.stride_w = 1;
  v.stride_g = v.stride_h = v.w;
  v.stride_n = v.c * v.w;
  return v;
}

MemoryDesc layout_for(const MemoryDesc& given, const TensorType& type) {
  const bool fits = type.shape.rank() == 4 && detail::is_viewable(given) && detail::view_of(given).dense_rows();
  return fits ? given : detail::plain(type);
}

template <class T>
void run_forward(const Walk& walk, const Addresses& at, double epsilon, float alpha) {
  const Scratch scratch(walk, at.scratch);
  const int64_t block = walk.v.block;
  const auto* src = static_cast<const T*>(at.src[0]);
  const auto* scale = static_cast<const float*>(at.src[1]);
  const auto* bias = static_cast<const float*>(at.src[2]);
  auto* dst = static_cast<T*>(at.dst[0]);
  auto* mean_out = static_cast<float*>(at.dst[1]);
  auto* inv_std_out = static_cast<float*>(at.dst[2]);
  const auto reduce = [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
    scratch.clear(split, first, last);
    walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
      add_moments(walk, scratch, worker, split, group, src + offset, pixels);
    });
  };
  const auto finish = [&](int64_t first, int64_t last) {
    for (int64_t c = first * block; c < last * block; ++c) {
      const int64_t group = c / block, lane = c % block;
      if (c >= walk.v.c) {  // padding stays zero
        for (int64_t which = 0; which < 3; ++which) scratch.set(group, which, lane, 0);
        continue;
      }
      const auto [sum, squares] = scratch.total(c);
      const double mean = sum / walk.count();
      const double variance = std::max(squares / walk.count() - mean * mean, 0.0);
      const double inv_std = 1 / std::sqrt(variance + epsilon);
      mean_out[c] = static_cast<float>(mean);
      inv_std_out[c] = static_cast<float>(inv_std);
      // src - (the mean's float) is exact near the mean; what the float lacks goes into the offset.
      const double factor = static_cast<double>(scale[c]) * inv_std;
      scratch.set(group, 0, lane, mean);
      scratch.set(group, 1, lane, factor);
      scratch.set(group, 2, lane, static_cast<double>(bias[c]) - (mean - static_cast<double>(mean_out[c])) * factor);
    }
  };
  walk.run(reduce, finish, [&](int64_t split, int64_t first, int64_t last) {
    walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
      normalize_row(src + offset, dst + offset, pixels * block, walk.period, scratch.of(group), alpha);
    });
  });
}

// From parameters and statistics, for all channels; padding stays zero.
void set_coefficients(const Walk& walk, const Scratch& scratch, const float* scale, const float* bias,
                      const float* mean, const float* inv_std) {
  const int64_t block = walk.v.block;
  for (int64_t c = 0; c < walk.channels(); ++c) {
    const bool real = c < walk.v.c;
    scratch.set(c / block, 0, c % block, real ? static_cast<double>(mean[c]) : 0);
    scratch.set(c / block, 1, c % block, real ? static_cast<double>(scale[c]) * static_cast<double>(inv_std[c]) : 0);
    scratch.set(c / block, 2, c % block, real ? static_cast<double>(bias[c]) : 0);
  }
}

template <class T>
void run_apply(const Walk& walk, const Addresses& at, float alpha) {
  const Scratch scratch(walk, at.scratch);
  const auto* src = static_cast<const T*>(at.src[0]);
  auto* dst = static_cast<T*>(at.dst[0]);
  const auto parameter = [&](std::size_t i) { return static_cast<const float*>(at.src[i]); };
  set_coefficients(walk, scratch, parameter(1), parameter(2), parameter(3), parameter(4));
  detail::parallel_for(walk.splits, [&](int64_t split) {
    walk.for_chunks(split, 0, walk.v.groups, [&](int64_t group, int64_t offset, int64_t pixels) {
      normalize_row(src + offset, dst + offset, pixels * walk.v.block, walk.period, scratch.of(group), alpha);
    });
  });
}

template <class T>
void run_backward(const Walk& walk, const Addresses& at, float alpha) {
  const Scratch scratch(walk, at.scratch);
  const int64_t block = walk.v.block;
  const auto* diff_dst = static_cast<const T*>(at.src[0]);
  const auto* src = static_cast<const T*>(at.src[1]);
  const auto* scale = static_cast<const float*>(at.src[2]);
  const auto* bias = static_cast<const float*>(at.src[3]);
  const auto* mean = static_cast<const float*>(at.src[4]);
  const auto* inv_std = static_cast<const float*>(at.src[5]);
  auto* diff_src = static_cast<T*>(at.dst[0]);
  auto* diff_scale = static_cast<float*>(at.dst[1]);
  auto* diff_bias = static_cast<float*>(at.dst[2]);
  // Every share reads the coefficients of its own groups, so they are made before the batches start.
  set_coefficients(walk, scratch, scale, bias, mean, inv_std);
  const auto reduce = [&](int64_t worker, int64_t split, int64_t first, int64_t last) {
    scratch.clear(split, first, last);
    float *sum = scratch.vector(worker, 0), *product = scratch.vector(worker, 1);
    walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
      grad_sums_row(diff_dst + offset, src + offset, pixels * block, walk.period, scratch.of(group), alpha, sum,
                    product);
      double *sums = scratch.folded(worker, 0), *products = scratch.folded(worker, 1);
      fold_row(sum, walk.period, block, sums);
      fold_row(product, walk.period, block, products);
      for (int64_t lane = 0; lane < block; ++lane) {
        double* into = scratch.sum(split, group * block + lane);
        into[0] += sums[lane];
        into[1] += products[lane];
      }
    });
  };
  const auto finish = [&](int64_t first, int64_t last) {
    for (int64_t c = first * block; c < last * block; ++c) {
      const int64_t group = c / block, lane = c % block;
      double slope = 0, constant = 0;
      if (c < walk.v.c) {
        const auto [sum, product] = scratch.total(c);
        const auto inverse = static_cast<double>(inv_std[c]);
        diff_bias[c] = static_cast<float>(sum);
        diff_scale[c] = static_cast<float>(product * inverse);
        const double factor = static_cast<double>(scale[c]) * inverse;
        slope = -factor * inverse * inverse * product / walk.count();
        constant = -factor * sum / walk.count();
      }
      scratch.set(group, 3, lane, slope);
      scratch.set(group, 4, lane, constant);
    }
  };
  walk.run(reduce, finish, [&](int64_t split, int64_t first, int64_t last) {
    walk.for_chunks(split, first, last, [&](int64_t group, int64_t offset, int64_t pixels) {
      grad_apply_row(diff_dst + offset, src + offset, diff_src + offset, pixels * block, walk.period, scratch.of(group),
                     alpha);
    });
  });
}

// Row-major descriptors of a node's values from `first` on.
template <typename Ids>
void append_plain(const PlanContext& ctx, const Ids& ids, std::size_t first, std::vector<MemoryDesc>& descs) {
  for (std::size_t i = first; i < ids.size(); ++i) descs.push_back(detail::plain(ctx.graph.type(ids[i])));
}

KernelPlan plan_forward(PlanContext& ctx) {
  const TensorType& type = ctx.in(0);
  const MemoryDesc desc = layout_for(ctx.src[0], type);
  const Walk walk(view_for(desc, type.shape), 2 * static_cast<int64_t>(size_of(type.dtype)));
  KernelPlan plan{
      .src = {desc}, .dst = {desc}, .scratch_bytes = Scratch::bytes(walk), .implementation = "loop", .kernel = nullptr};
  append_plain(ctx, ctx.node.inputs, 1, plan.src);
  append_plain(ctx, ctx.node.outputs, 1, plan.dst);
  const double epsilon = ctx.node.attrs.real("epsilon");
  const auto alpha = static_cast<float>(ctx.node.attrs.real("alpha"));
  detail::with_element(type.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) { run_forward<T>(walk, at, epsilon, alpha); });
  });
  return plan;
}

KernelPlan plan_apply(PlanContext& ctx) {
  const TensorType& type = ctx.in(0);
  const MemoryDesc desc = layout_for(ctx.src[0], type);
  Walk walk(view_for(desc, type.shape), 2 * static_cast<int64_t>(size_of(type.dtype)));
  walk.splits = walk.workers;  // nothing is summed: any cut will do
  KernelPlan plan{.src = {desc},
                  .dst = {desc},
                  .scratch_bytes = Scratch::bytes(walk),
                  .in_place = {{0, 0}},
                  .implementation = "loop",
                  .kernel = nullptr};
  append_plain(ctx, ctx.node.inputs, 1, plan.src);
  const auto alpha = static_cast<float>(ctx.node.attrs.real("alpha"));
  detail::with_element(type.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) { run_apply<T>(walk, at, alpha); });
  });
  return plan;
}

KernelPlan plan_backward(PlanContext& ctx) {
  const TensorType& type = ctx.in(1);
  const MemoryDesc desc = layout_for(ctx.src[1], type);
  const Walk walk(view_for(desc, type.shape), 2 * static_cast<int64_t>(size_of(type.dtype)));
  KernelPlan plan{.src = {desc, desc},
                  .dst = {desc},
                  .scratch_bytes = Scratch::bytes(walk),
                  .in_place = {{0, 0}, {0, 1}},
                  .implementation = "loop",
                  .kernel = nullptr};
  append_plain(ctx, ctx.node.inputs, 2, plan.src);
  append_plain(ctx, ctx.node.outputs, 1, plan.dst);
  const auto alpha = static_cast<float>(ctx.node.attrs.real("alpha"));
  detail::with_element(type.dtype == DType::bf16, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    plan.kernel = loop_kernel([=](const Addresses& at) { run_backward<T>(walk, at, alpha); });
  });
  return plan;
}

}  // namespace

std::span<const OpDef> batch_normalization_ops() {
  static const OpDef ops[] = {
      {.name = "BatchNormalization",
       .min_inputs = 3,
       .max_inputs = 3,
       .attrs = {{"epsilon", 1e-5}, {"momentum", 0.9}, {"training_mode", int64_t{0}}, {"alpha", 1.0}},
       .normalize = normalize,
       .to_onnx = to_onnx,
       .infer = infer_forward,
       .vjp = vjp,
       .plan = plan_forward,
       .reference = reference_forward,
       .bf16_inputs = 0b001,
       .again = "BatchNormalizationApply",
       .cases = {"1x8x5x7 8 8", "2x17x9x5 17 17 | alpha=0.2", "3x3x11x13 3 3 | alpha=0 epsilon=0.1", "1x16x33x32 16 16",
                 "1x132x5x3 132 132", "2x1x3x3 1 1", "1x5x40x40 5 5", "2x4x6 4 4", "7x5 5 5",
                 "2x3x2x3x4 3 3 | alpha=0.5", "1x4x64x64@99.8..100.2 4 4",
                 // A mean of 5000 standard deviations is about as far as f32 elements themselves carry.
                 "1x3x48x64@-1000.3..-999.7 3 3 | alpha=0.2 epsilon=1e-9", "2x19x9x8 19 19",
                 // Several batches of groups that threads share.
                 "1x17x260x255 17 17 | alpha=0.2"}},
      {.name = "BatchNormalizationApply",
       .internal = true,
       .min_inputs = 5,
       .max_inputs = 5,
       .attrs = {{"alpha", 1.0}},
       .infer = infer_apply,
       .plan = plan_apply,
       .reference = reference_apply,
       .bf16_inputs = 0b1,
       .cases = {"1x8x5x7 8 8 8 8@0.5..2", "2x17x9x5 17 17 17 17@0.5..2 | alpha=0.2", "2x4x6 4 4 4 4@0.5..2",
                 "1x132x40x41 132 132 132 132@0.5..2 | alpha=0"}},
      {.name = "BatchNormalizationGrad",
       .internal = true,
       .min_inputs = 6,
       .max_inputs = 6,
       .attrs = {{"alpha", 1.0}},
       .infer = infer_backward,
       .plan = plan_backward,
       .reference = reference_backward,
       .bf16_inputs = 0b11,
       .cases = {"1x8x5x7 1x8x5x7 8 8 8 8@0.5..2", "2x17x9x5 2x17x9x5 17 17 17 17@0.5..2 | alpha=0.2",
                 "1x3x40x41 1x3x40x41 3 3 3 3@0.5..2 | alpha=0", "2x4x6 2x4x6 4 4 4 4@0.5..2",
                 "1x16x33x32 1x16x33x32 16 16 16 16@0.5..2"}},
  };
  return ops;
}

}  // namespace hourglass::ops
