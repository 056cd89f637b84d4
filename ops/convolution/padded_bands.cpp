#include "ops/convolution/padded_bands.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/loops/rows.h"

namespace hourglass::kernels {
namespace {

// Copies `lanes` neighbouring channels of `pixels` pixels, each followed by `fill` zeros. kLanes: the number of lanes
// where it is known, or 0.
template <class From, class To, int kLanes>
HG_CLONES void copy_pixels(const From* src, int64_t src_stride, To* dst, int64_t dst_stride, int64_t lanes,
                           int64_t fill, int64_t pixels) {
  if constexpr (kLanes > 0) lanes = kLanes;
  for (int64_t i = 0; i < pixels; ++i) {
    const From* x = src + i * src_stride;
    To* y = dst + i * dst_stride;
    if constexpr (std::is_same_v<From, To>) {
      std::memcpy(y, x, static_cast<std::size_t>(lanes) * sizeof(To));
    } else {
      for (int64_t l = 0; l < lanes; ++l) store(y + l, load(x + l));
    }
    for (int64_t l = lanes; l < lanes + fill; ++l) store(y + l, 0.0F);
  }
}

template <class From, class To>
void copy_lanes_filled(const From* src, int64_t src_stride, To* dst, int64_t dst_stride, int64_t lanes, int64_t fill,
                       int64_t pixels) {
  if (fill == 0 && src_stride == lanes && dst_stride == lanes) {
    return copy_pixels<From, To, 0>(src, 0, dst, 0, lanes * pixels, 0, 1);
  }
  switch (lanes) {
    case 4: return copy_pixels<From, To, 4>(src, src_stride, dst, dst_stride, lanes, fill, pixels);
    case 8: return copy_pixels<From, To, 8>(src, src_stride, dst, dst_stride, lanes, fill, pixels);
    case 16: return copy_pixels<From, To, 16>(src, src_stride, dst, dst_stride, lanes, fill, pixels);
    default: return copy_pixels<From, To, 0>(src, src_stride, dst, dst_stride, lanes, fill, pixels);
  }
}

int64_t channel_offset(const View& view, int64_t c) { return c / view.block * view.stride_g + c % view.block; }

// Channels that lie side by side in both layouts. After the last ones, `fill` lanes of dst's channel block are zeroed.
struct Run {
  int64_t channel = 0, lanes = 0, fill = 0;
};

template <typename Function>
void for_each_run(const View& src, const View& dst, const Function& fn) {
  for (int64_t c = 0; c < src.c;) {
    const int64_t lanes = std::min({src.block - c % src.block, dst.block - c % dst.block, src.c - c});
    fn(Run{.channel = c, .lanes = lanes, .fill = c + lanes == src.c ? dst.groups * dst.block - dst.c : 0});
    c += lanes;
  }
}

// Pixels that are copied for all channels in turn, so that the cache lines read stay in the first-level cache.
constexpr int64_t kBlock = 64;

// Copies all channels of `count` neighbouring pixels of a row.
template <class From, class To>
void copy_stretch(const View& from, const From* src, const View& to, To* dst, int64_t count) {
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t pixels = std::min(kBlock, count - begin);
    for_each_run(from, to, [&](const Run& run) {
      copy_lanes_filled(src + channel_offset(from, run.channel) + begin * from.stride_w, from.stride_w,
                        dst + channel_offset(to, run.channel) + begin * to.stride_w, to.stride_w, run.lanes, run.fill,
                        pixels);
    });
  }
}

template <class To>
void zero_pixels(const View& to, To* dst, int64_t count) {
  for (int64_t g = 0; g < to.groups; ++g) {
    for (int64_t w = 0; w < count; ++w) fill_run(dst + g * to.stride_g + w * to.stride_w, to.block, 0.0F);
  }
}

// sum[i * lanes + l] += lane l of source pixel i, for up to kBlock pixels. kLanes as for copy_pixels.
template <class From, int kLanes>
HG_CLONES void add_pixels(const From* src, int64_t src_stride, float* sum, int64_t lanes, int64_t pixels) {
  if constexpr (kLanes > 0) lanes = kLanes;
  for (int64_t i = 0; i < pixels; ++i) {
    for (int64_t l = 0; l < lanes; ++l) sum[i * lanes + l] += load(src + i * src_stride + l);
  }
}

constexpr int64_t kSumLanes = 16;  // channels that are summed at a time

template <class From>
void add_lanes(const From* src, int64_t src_stride, float* sum, int64_t lanes, int64_t pixels) {
  switch (lanes) {
    case 8: return add_pixels<From, 8>(src, src_stride, sum, lanes, pixels);
    case kSumLanes: return add_pixels<From, kSumLanes>(src, src_stride, sum, lanes, pixels);
    default: return add_pixels<From, 0>(src, src_stride, sum, lanes, pixels);
  }
}

// Calls fn with null pointers of the element types.
template <typename Function>
void with_elements(DType from, DType to, const Function& fn) {
  with_element(from == DType::bf16, [&](auto* f) { with_element(to == DType::bf16, [&](auto* t) { fn(f, t); }); });
}

// The rows of an image in memory.
class ImageRows final : public PaddedImage::Rows {
 public:
  ImageRows(const Pixels& image, int64_t n) : image_(image), n_(n) {}
  [[nodiscard]] const void* row(int64_t row) const override {
    const auto elements = static_cast<std::size_t>(image_.view.offset(n_, 0, row, 0));
    return static_cast<const char*>(image_.data) + elements * size_of(image_.type);
  }

 private:
  const Pixels& image_;
  int64_t n_;
};

}  // namespace

std::vector<Band> cut_into_bands(const WindowAxis& h, int64_t images, int64_t rows) {
  // Bands begin at least as far apart as neighbours overlap, so that no row lies in three.
  const int64_t overlap = overlap_of(h), least = (overlap + h.stride - 1) / h.stride;
  int64_t count = std::max<int64_t>(1, (h.dst + rows - 1) / std::max<int64_t>(rows, 1));
  rows = std::max((h.dst + count - 1) / count, least);
  if (count > 1) rows = (rows + 3) / 4 * 4;
  count = (h.dst + rows - 1) / rows;
  const int64_t padded_rows = h.src + h.pad_begin + h.pad_end;
  std::vector<Band> bands;
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t b = 0; b < count; ++b) {
      Band band{.image = n,
                .dst_begin = b * rows,
                .dst_rows = std::min(rows, h.dst - b * rows),
                .src_begin = b * rows * h.stride};
      // Up to where the next band begins, also where the stride is larger than the window: every row is in a band.
      band.src_rows = b + 1 == count ? padded_rows - band.src_begin : band.dst_rows * h.stride + overlap;
      bands.push_back(band);
    }
  }
  return bands;
}

void copy_rows(const Pixels& from, int64_t from_n, int64_t from_begin, const Pixels& to, int64_t to_n, int64_t to_begin,
               int64_t rows) {
  with_elements(from.type, to.type, [&](auto* f, auto* t) {
    const auto* src = static_cast<decltype(f)>(from.data);
    auto* dst = static_cast<decltype(t)>(to.data);
    parallel_for(rows, [&](int64_t r) {
      copy_stretch(from.view, src + from.view.offset(from_n, 0, from_begin + r, 0), to.view,
                   dst + to.view.offset(to_n, 0, to_begin + r, 0), from.view.w);
    });
  });
}

PaddedImage::PaddedImage(const Window& window, PaddingMode border)
    : column_terms_(static_cast<std::size_t>(window.w.src)) {
  const auto sources = [border](const WindowAxis& axis) {
    Dims result;
    for (int64_t i = -axis.pad_begin; i < axis.src + axis.pad_end; ++i) {
      result.push_back(border_source(border, i, axis.src));
    }
    return result;
  };
  row_sources_ = sources(window.h);
  column_sources_ = sources(window.w);
  inner_ = {.begin = window.w.pad_begin, .end = window.w.pad_begin + window.w.src, .shift = -window.w.pad_begin};
  for (std::size_t i = 0; i < column_sources_.size(); ++i) {
    const int64_t at = column_sources_[i];
    if (at != kOutside) column_terms_[static_cast<std::size_t>(at)].push_back(static_cast<int64_t>(i));
  }
  single_.shift = window.w.pad_begin;
  for (int64_t w = 0; w < window.w.src;) {
    int64_t end = w;
    while (end < window.w.src && column_terms_[static_cast<std::size_t>(end)].size() == 1) ++end;
    if (end - w > single_.end - single_.begin) single_ = {.begin = w, .end = end, .shift = single_.shift};
    w = end + 1;
  }
}

void PaddedImage::gather(const Pixels& image, const Band& band, const Pixels& dst) const {
  gather(image, ImageRows(image, band.image), band, dst);
}

void PaddedImage::gather(const Pixels& image, const Rows& rows, const Band& band, const Pixels& dst) const {
  with_elements(image.type, dst.type, [&](auto* f, auto* t) {
    auto* dst_data = static_cast<decltype(t)>(dst.data);
    const View &from = image.view, &to = dst.view;
    parallel_for(band.src_rows, [&](int64_t r) {
      auto* out = dst_data + to.offset(0, 0, r, 0);
      const int64_t row = row_sources_[static_cast<std::size_t>(band.src_begin + r)];
      if (row == kOutside) return zero_pixels(to, out, to.w);
      const auto* in = static_cast<const std::remove_pointer_t<decltype(f)>*>(rows.row(row));
      const auto border = [&](int64_t begin, int64_t end) {
        for (int64_t w = begin; w < end; ++w) {
          const int64_t column = column_sources_[static_cast<std::size_t>(w)];
          if (column == kOutside) {
            zero_pixels(to, out + w * to.stride_w, 1);
          } else {
            copy_stretch(from, in + column * from.stride_w, to, out + w * to.stride_w, 1);
          }
        }
      };
      border(0, inner_.begin);
      copy_stretch(from, in, to, out + inner_.begin * to.stride_w, inner_.end - inner_.begin);
      border(inner_.end, to.w);
    });
  });
}

std::vector<std::vector<PaddedImage::Row>> PaddedImage::completed_rows(const std::vector<Band>& bands,
                                                                       int64_t overlap) const {
  const auto padded_rows = static_cast<int64_t>(row_sources_.size());
  const int64_t image_rows = 1 + *std::max_element(row_sources_.begin(), row_sources_.end());
  std::vector<Dims> terms(static_cast<std::size_t>(image_rows));
  for (int64_t p = 0; p < padded_rows; ++p) {
    const int64_t row = row_sources_[static_cast<std::size_t>(p)];
    if (row != kOutside) terms[static_cast<std::size_t>(row)].push_back(p);
  }
  std::vector<std::vector<Row>> result;
  for (const Band& band : bands) {
    const bool starts = band.src_begin == 0;
    const int64_t end = band.src_begin + band.src_rows;
    const bool ends = end == padded_rows;
    const int64_t complete_from = starts ? 0 : band.src_begin, complete_to = ends ? end : end - overlap;
    std::vector<Row> rows;
    for (int64_t row = 0; row < image_rows; ++row) {
      const Dims& from = terms[static_cast<std::size_t>(row)];
      // Padded rows are in ascending order, but a border row may lie before or after the row that it shows.
      const auto [low, high] = std::minmax_element(from.begin(), from.end());
      if (*high < complete_from || *high >= complete_to) continue;
      if (*low < complete_from) return {};
      Row item{.row = row, .terms = {}};
      for (const int64_t p : from) {
        item.terms.push_back(p - band.src_begin);
        if (!starts && p - band.src_begin < overlap) item.terms.push_back(-1 - (p - band.src_begin));
      }
      rows.push_back(std::move(item));
    }
    result.push_back(std::move(rows));
  }
  return result;
}

void PaddedImage::fold(const std::vector<Row>& rows, const Pixels& gradient, const Pixels& left_over,
                       const Pixels& image, int64_t n) const {
  with_elements(gradient.type, image.type, [&](auto* f, auto* t) {
    const auto* band_data = static_cast<decltype(f)>(gradient.data);
    const auto* kept_data = static_cast<decltype(f)>(left_over.data);
    auto* dst = static_cast<decltype(t)>(image.data);
    const View &from = gradient.view, &kept = left_over.view, &to = image.view;
    parallel_for(static_cast<int64_t>(rows.size()), [&](int64_t i) {
      const Row& row = rows[static_cast<std::size_t>(i)];
      auto* out = dst + to.offset(n, 0, row.row, 0);
      // Sums columns [begin, end) of the image: one column that several padded columns show, or up to kBlock that are
      // shown once.
      const auto sum_block = [&](int64_t begin, int64_t end) {
        for_each_run(from, to, [&](const Run& run) {
          for (int64_t l = 0; l < run.lanes; l += kSumLanes) {
            const int64_t lanes = std::min(kSumLanes, run.lanes - l);
            const bool last = l + lanes == run.lanes;
            float sum[kBlock * kSumLanes] = {};
            for (const int64_t p : row.terms) {
              const auto* in = p >= 0 ? band_data + from.offset(0, 0, p, 0) : kept_data + kept.offset(0, 0, -1 - p, 0);
              in += channel_offset(p >= 0 ? from : kept, run.channel) + l;
              for (const int64_t column : column_terms_[static_cast<std::size_t>(begin)]) {
                add_lanes(in + column * from.stride_w, from.stride_w, sum, lanes, end - begin);
              }
            }
            copy_lanes_filled(sum, lanes, out + channel_offset(to, run.channel) + l + begin * to.stride_w, to.stride_w,
                              lanes, last ? run.fill : 0, end - begin);
          }
        });
      };
      const auto sum_pixels = [&](int64_t begin, int64_t end) {
        for (int64_t w = begin; w < end;) {
          const bool shown_once = w >= single_.begin && w < single_.end;
          const int64_t next = shown_once ? std::min({w + kBlock, single_.end, end}) : w + 1;
          sum_block(w, next);
          w = next;
        }
      };
      if (row.terms.size() != 1) return sum_pixels(0, to.w);
      sum_pixels(0, single_.begin);
      copy_stretch(from, band_data + from.offset(0, 0, row.terms[0], single_.begin + single_.shift), to,
                   out + single_.begin * to.stride_w, single_.end - single_.begin);
      sum_pixels(single_.end, to.w);
    });
  });
}

}  // namespace hourglass::kernels
