#include "ops/detail/normalized_source.h"

#include "graph/error.h"
#include "ops/detail/onednn.h"

namespace hourglass::detail {
namespace {

constexpr std::size_t kScale = 2, kBias = 3, kMean = 4, kInvStd = 5, kSecond = 6;

}  // namespace

TensorType joined(const TensorType& a, const TensorType& b) {
  const bool fits = a.shape.rank() == 4 && b.shape.rank() == 4 && a.dtype == b.dtype && is_floating(a.dtype) &&
                    a.shape[0] == b.shape[0] && a.shape[2] == b.shape[2] && a.shape[3] == b.shape[3];
  if (!fits) fail("a is {}:{}, b is {}:{}; they may differ in their channels only", a.dtype, a.shape, b.dtype, b.shape);
  return {a.dtype, Shape{a.shape[0], a.shape[1] + b.shape[1], a.shape[2], a.shape[3]}};
}

NormalizedSource::NormalizedSource(const Convolution& conv) : is_bf16_(conv.src.dtype == DType::bf16) {
  const Shape& whole = conv.src.shape;
  numbers_ = plain({DType::f32, Shape{whole[1]}});
  int64_t coefficients = 0;
  const auto add = [&](std::size_t input, int64_t first, int64_t channels) {
    const MemoryDesc desc = with_tag({conv.src.dtype, Shape{whole[0], channels, whole[2], whole[3]}}, Tag::nhwc);
    const PixelNormalizer normalizer(channels, whole[1], conv.normalized->alpha);
    parts_.push_back({input, desc, view_of(desc), first, normalizer, coefficients});
    coefficients += normalizer.coefficient_floats();
  };
  const int64_t first = conv.normalized->first_channels;
  add(0, 0, first);
  if (first < whole[1]) add(kSecond, first, whole[1] - first);
}

std::vector<MemoryDesc> NormalizedSource::inputs(const MemoryDesc& diff_dst) const {
  std::vector<MemoryDesc> inputs{parts_[0].desc, diff_dst, numbers_, numbers_, numbers_, numbers_};
  if (parts_.size() > 1) inputs.push_back(parts_[1].desc);
  return inputs;
}

std::size_t NormalizedSource::coefficient_bytes() const {
  const Part& last = parts_.back();
  return static_cast<std::size_t>(last.coefficients + last.normalizer.coefficient_floats()) * sizeof(float);
}

void NormalizedSource::set_coefficients(const Addresses& at, float* coefficients) const {
  for (const Part& part : parts_) {
    const auto numbers = [&](std::size_t input) { return static_cast<const float*>(at.src[input]) + part.first; };
    part.normalizer.set_coefficients(numbers(kScale), numbers(kBias), numbers(kMean), numbers(kInvStd),
                                     coefficients + part.coefficients);
  }
}

void NormalizedSource::read(const Addresses& at, const float* coefficients, int64_t n, int64_t h, int64_t w,
                            int64_t count, void* dst, void* buffer) const {
  with_element(is_bf16_, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    for (const Part& part : parts_) {
      part.normalizer.run(static_cast<const T*>(at.src[part.input]) + part.view.offset(n, 0, h, w), count,
                          coefficients + part.coefficients, static_cast<T*>(dst) + part.first, static_cast<T*>(buffer));
    }
  });
}

}  // namespace hourglass::detail
