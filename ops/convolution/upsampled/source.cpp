#include "ops/convolution/upsampled/source.h"

#include <algorithm>

#include "ops/geometry/resize_taps.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/loops/rows.h"
#include "ops/memory/onednn.h"

namespace hourglass::kernels {
namespace {

constexpr int64_t kSides = 4;

}  // namespace

std::optional<BlurAxes> blur_axes(const Convolution& conv) {
  const int64_t first = conv.normalized->first_channels, second = conv.src.shape[1] - first;
  if (conv.src.dtype == DType::bf16 && (first % 2 != 0 || second % 2 != 0)) return std::nullopt;
  const auto& [from, attrs] = *conv.normalized->resized;
  auto h = blur_axis(conv.window.h, conv.padding_mode, taps_of_axis(attrs, from, 2), from[2]);
  auto w = blur_axis(conv.window.w, conv.padding_mode, taps_of_axis(attrs, from, 3), from[3]);
  if (!h || !w) return std::nullopt;
  return BlurAxes{std::move(*h), std::move(*w)};
}

std::optional<UpsampledSource> UpsampledSource::of(const Convolution& conv, ScratchLayout& scratch) {
  auto axes = blur_axes(conv);
  if (!axes) return std::nullopt;
  return UpsampledSource(conv, std::move(*axes), scratch);
}

UpsampledSource::UpsampledSource(const Convolution& conv, BlurAxes axes, ScratchLayout& scratch)
    : h_(std::move(axes.h)),
      w_(std::move(axes.w)),
      border_(conv.padding_mode),
      small_(conv, NormalizedSource::Of::small),
      channels_(conv.normalized->first_channels),
      second_channels_(conv.src.shape[1] - channels_),
      images_(conv.src.shape[0]),
      element_(size_of(conv.src.dtype)),
      has_frame_(h_.ends_differ() || w_.ends_differ()) {
  small_coefficients_ = scratch.add(small_.coefficient_bytes());
  if (second_channels_ > 0) {
    second_.emplace(conv, NormalizedSource::Of::second);
    second_coefficients_ = scratch.add(second_->coefficient_bytes());
  }
  if (!has_frame_) return;
  lines_ = scratch.add(static_cast<std::size_t>(images_ * kSides) * line_elements() * element_);
  // Two mixed rows, one line in f32, and a row of the image.
  buffer_bytes_ = static_cast<std::size_t>(up(static_cast<int64_t>(5 * line_elements() * sizeof(float)), 64));
  buffers_ = scratch.add(buffer_bytes_ * static_cast<std::size_t>(images_ * kSides));
}

std::size_t UpsampledSource::line_elements() const {
  return static_cast<std::size_t>((2 * std::max(h_.extent, w_.extent) + 2) * channels_);
}

void UpsampledSource::prepare(bool as_is) {
  as_is_ = as_is;
  small_.set_coefficients(at_, reinterpret_cast<float*>(scratch(small_coefficients_)));
  if (second_) second_->set_coefficients(at_, reinterpret_cast<float*>(scratch(second_coefficients_)));
  if (!has_frame_) return;
  parallel_for(images_ * kSides, [&](int64_t i) {
    with_element(element_ == 2, [&](auto* element) {
      using T = std::remove_pointer_t<decltype(element)>;
      auto* to = reinterpret_cast<T*>(scratch(lines_)) + static_cast<std::size_t>(i) * line_elements();
      auto* buffer = reinterpret_cast<float*>(scratch(buffers_ + static_cast<std::size_t>(i) * buffer_bytes_));
      const auto side = static_cast<Side>(i % kSides);
      const bool is_row = side == Side::top || side == Side::bottom;
      is_row ? make_row_of_frame(i / kSides, side, buffer, to) : make_column_of_frame(i / kSides, side, buffer, to);
    });
  });
}

// A row of the frame: what the window sees less what the blur makes. Along H the rows of the small image are mixed to
// two lines, by `padded` and by `blurred`; along W each line is mixed by its own weights.
template <class T>
void UpsampledSource::make_row_of_frame(int64_t image, Side side, float* buffer, T* to) const {
  const auto at_end = [&](const std::vector<TapList>& lists) -> const TapList& {
    return side == Side::top ? lists.front() : lists.back();
  };
  const int64_t row = w_.extent * channels_, line = (2 * w_.extent + 2) * channels_;
  float *padded = buffer, *blurred = padded + row, *sums = blurred + row;
  auto* pixels = reinterpret_cast<T*>(sums + line);
  std::fill_n(buffer, 2 * row + line, 0.0F);
  const auto mix = [&](const TapList& list, float* mixed) {
    for (const auto& [element, weight] : list) {
      read(image, element, 0, w_.extent, pixels);
      add_scaled(pixels, static_cast<float>(weight), row, mixed);
    }
  };
  mix(at_end(h_.padded), padded);
  mix(at_end(h_.blurred), blurred);
  for (std::size_t j = 0; j < w_.padded.size(); ++j) {
    float* sum = sums + static_cast<int64_t>(j) * channels_;
    for (const auto& [element, weight] : w_.padded[j]) {
      add_scaled(padded + element * channels_, static_cast<float>(weight), channels_, sum);
    }
    for (const auto& [element, weight] : w_.blurred[j]) {
      add_scaled(blurred + element * channels_, -static_cast<float>(weight), channels_, sum);
    }
  }
  narrow(sums, line, to);
}

template <class T>
void UpsampledSource::make_column_of_frame(int64_t image, Side side, float* buffer, T* to) const {
  const TapList& missing = w_.missing[side == Side::right ? 1 : 0];
  const int64_t column = h_.extent * channels_, line = (2 * h_.extent + 2) * channels_;
  float *mixed = buffer, *sums = mixed + column;
  auto* pixels = reinterpret_cast<T*>(sums + line);
  std::fill_n(buffer, column + line, 0.0F);
  for (int64_t i = 0; i < h_.extent; ++i) {
    for (const auto& [element, weight] : missing) {
      read(image, i, element, 1, pixels);
      add_scaled(pixels, static_cast<float>(weight), channels_, mixed + i * channels_);
    }
  }
  for (std::size_t j = 1; j + 1 < h_.padded.size(); ++j) {
    for (const auto& [element, weight] : h_.padded[j]) {
      add_scaled(mixed + element * channels_, static_cast<float>(weight), channels_,
                 sums + static_cast<int64_t>(j) * channels_);
    }
  }
  narrow(sums, line, to);
}

void UpsampledSource::read_image(const NormalizedSource& source, std::size_t coefficients, int64_t image, int64_t row,
                                 int64_t column, int64_t count, char* to, void* buffer) const {
  source.read(at_, as_is_ ? nullptr : reinterpret_cast<const float*>(scratch(coefficients)), image, row, column, count,
              to, buffer);
}

void UpsampledSource::read(int64_t image, int64_t row, int64_t column, int64_t count, void* to) const {
  const auto pixel = static_cast<std::size_t>(channels_) * element_;
  auto* const first = static_cast<char*>(to);
  const auto pixel_at = [&](int64_t i) { return first + static_cast<std::size_t>(i) * pixel; };
  // The pixels inside of the image; at least the nearest one.
  const int64_t before = std::clamp<int64_t>(-column, 0, count - 1);
  const int64_t begin = std::min(column + before, w_.extent - 1), end = std::min(column + count, w_.extent);
  const int64_t inside = std::max<int64_t>(end - begin, 1);
  read_image(small_, small_coefficients_, image, std::clamp<int64_t>(row, 0, h_.extent - 1), begin, inside,
             pixel_at(before), pixel_at(count));
  for (int64_t i = 0; i < before; ++i) std::copy_n(pixel_at(before), pixel, pixel_at(i));
  for (int64_t i = before + inside; i < count; ++i) std::copy_n(pixel_at(before + inside - 1), pixel, pixel_at(i));
}

void UpsampledSource::read_second(int64_t image, int64_t row, int64_t column, int64_t count, void* to) const {
  const auto pixel = static_cast<std::size_t>(second_channels_) * element_;
  char *first = static_cast<char*>(to), *buffer = first + static_cast<std::size_t>(count) * pixel;
  const int64_t from = border_source(border_, row, 2 * h_.extent);
  for (int64_t i = 0, run = 0; i < count; i += run) {
    run = 1;
    char* at = first + static_cast<std::size_t>(i) * pixel;
    const int64_t position = column + i, source = border_source(border_, position, 2 * w_.extent);
    if (from == kOutside || source == kOutside) {
      std::fill_n(at, pixel, '\0');
      continue;
    }
    if (position == source) run = std::min(count - i, 2 * w_.extent - position);
    read_image(*second_, second_coefficients_, image, from, source, run, at, buffer);
  }
}

const void* UpsampledSource::frame(int64_t image, Side side) const {
  const bool is_row = side == Side::top || side == Side::bottom;
  if (!has_frame_ || (!is_row && !w_.ends_differ())) return nullptr;
  return scratch(lines_) +
         static_cast<std::size_t>(image * kSides + static_cast<int64_t>(side)) * line_elements() * element_;
}

}  // namespace hourglass::kernels
