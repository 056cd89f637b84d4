#include "ops/convolution/winograd.h"

#include <omp.h>

#include <algorithm>
#include <map>

#include "ops/convolution/bias_gradient.h"
#include "ops/convolution/source.h"
#include "ops/loops/parallel.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/normalization/written_statistics.h"
#include "ops/simd/gemm.h"
#include "ops/simd/isa.h"
#include "ops/simd/winograd_transforms.h"

namespace hourglass::kernels {
namespace {

constexpr int64_t kLanes = 16, kTile = 6, kOut = 4, kPoints = kTile * kTile;
// A thread's transformed tiles and products of one block stay in its second-level cache.
constexpr int64_t kBlockBytes = 720 << 10;
// Gradient of the weights: the transformed tiles of src and diff_dst that are summed at a time, by all threads
// together, stay in the last-level cache.
constexpr int64_t kChunkBytes = 6 << 20;
// Gradient of the weights: where the 36 sums take at most so many bytes, each thread has sums of its own, and its tiles
// stay in its second-level cache.
constexpr int64_t kOwnSumsBytes = 320 << 10;
// A normalised source: rows of a column block that a ring buffer keeps, those of two tiles one below the other.
constexpr int64_t kRing = kTile + kOut;
// The ring buffer of one column block stays in a thread's second-level cache.
constexpr int64_t kColumnBlockBytes = 160 << 10;
// Most vectors of output channels in one panel of B.
constexpr int64_t kVectors = 4;

// Transformed tiles and filters are rounded to bf16: for random inputs, results are off by 1.1 % of their standard
// deviation (RMS).
constexpr double kRoundingBf16 = 1.0 / 32;

// Words between two points: an odd number of cache lines, so that the 36 points don't compete for one set of the cache.
int64_t point_stride(int64_t words) { return (up(words, kLanes) / kLanes | 1) * kLanes; }

// Vectors of a panel of B with `columns` columns in all, split evenly: 9 = 3 + 3 + 3 rather than 4 + 4 + 1.
int64_t vectors_of(int64_t columns) {
  const int64_t all = columns / kLanes;
  return all <= kVectors ? all : all % kVectors == 0 || all % 3 != 0 ? kVectors : 3;
}

// Source pixels in a row of so many tiles: neighbouring tiles overlap by two pixels.
int64_t block_columns(int64_t tiles) { return kOut * tiles + kTile - kOut; }

// One axis cut into tiles. Positions count from the first tile's first pixel.
struct TiledAxis {
  int64_t tiles = 0;
  Dims sources;  // where each of the 4 * tiles + 2 pixels that are read lies in the image
  // Where each of the 4 * tiles results goes: a position in the image; -1 - i for position i of the border; kNowhere
  // for a result beyond both.
  Dims targets;
  // Of each tile, whether all its sources (targets) are neighbouring positions of the image: the fast path.
  std::vector<bool> plain_sources, plain_targets;
};
constexpr int64_t kNowhere = INT64_MIN;

void find_plain_tiles(TiledAxis& axis) {
  const auto follow = [](const Dims& places, int64_t first, int64_t count) {
    const auto begin = places.begin() + first;
    return *begin >= 0 &&
           std::adjacent_find(begin, begin + count, [](int64_t a, int64_t b) { return b != a + 1; }) == begin + count;
  };
  for (int64_t t = 0; t < axis.tiles; ++t) {
    axis.plain_sources.push_back(follow(axis.sources, t * kOut, kTile));
    axis.plain_targets.push_back(follow(axis.targets, t * kOut, kOut));
  }
}

// The axis of `count` outputs, of which output i reads source positions i + shift to i + shift + 2.
TiledAxis tile_axis(int64_t count, int64_t shift, int64_t extent, PaddingMode border) {
  TiledAxis axis;
  axis.tiles = (count + kOut - 1) / kOut;
  for (int64_t i = 0; i < kOut * axis.tiles + 2; ++i) {
    const bool needed = i < count + 2;
    axis.sources.push_back(needed ? border_source(border, i + shift, extent) : kOutside);
  }
  for (int64_t i = 0; i < kOut * axis.tiles; ++i) axis.targets.push_back(i < count ? i : kNowhere);
  return axis;
}

// The axis of the gradient of a padded source: position i of the padded source reads diff_dst from i - 2 to i.
// Gradients of the border go to border pixels of their own, unless the border is constant.
TiledAxis tile_gradient_axis(const WindowAxis& axis, PaddingMode border) {
  const bool keeps = border != PaddingMode::constant;
  const int64_t begin = keeps ? 0 : axis.pad_begin;
  const int64_t count = keeps ? axis.src + axis.pad_begin + axis.pad_end : axis.src;
  TiledAxis tiled = tile_axis(count, begin - 2, axis.dst, PaddingMode::constant);
  int64_t borders = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = begin + i - axis.pad_begin;
    tiled.targets[static_cast<std::size_t>(i)] = at >= 0 && at < axis.src ? at : -1 - borders++;
  }
  return tiled;
}

struct Layout {
  Convolution conv;
  const GemmLoops* gemm = nullptr;
  const WinogradTransforms* transforms = nullptr;
  bool is_bf16 = false;
  int64_t threads = 1;
  // in: the image that is read, src or diff_dst. out: the image that is written; for a gradient of the weights
  // diff_dst, which is read too.
  View in, out;
  int64_t depth = 0;    // K of the products in words: channels, or (gradient of the weights) a block's tiles
  int64_t columns = 0;  // N of the products: out's channels, rounded up to whole vectors
  TiledAxis h, w;
  int64_t tiles = 0, block = 0;  // of all images, and of a block
  // Gradient of the weights: 1 where all threads share one set of sums, else the number of sets (see kOwnSumsBytes).
  int64_t parts = 1;
  int64_t in_row = 0, out_row = 0, in_point = 0, out_point = 0, product_point = 0, weights_point = 0;
  // Offsets into scratch memory, and the bytes that each thread has of it.
  std::size_t weights = 0, in_words = 0, out_words = 0, products = 0, thread_bytes = 0, border = 0, zeros = 0;
  // Gradient of the source: for each row of the image that the border shows, which border pixels are added to which of
  // its pixels.
  struct Addition {
    int64_t from = 0, to = 0;  // elements: in the border, in an image
  };
  int64_t border_pixels = 0, border_columns = 0;
  std::vector<std::vector<Addition>> additions;
  // Tiles are counted column block by column block. A column block is `column_block` tiles wide (the last one perhaps
  // fewer) and as high as the image; within it tiles go row by row.
  int64_t column_block = 1;
  // A normalised source: its coefficients, and for each thread two ring buffers with a buffer for one row: two, because
  // the pair of tiles of a weight gradient may end one column block and begin the next.
  std::optional<NormalizedSource> normalized;
  std::optional<BiasGradient> bias;
  WrittenStatistics statistics;
  std::size_t coefficients = 0, column_blocks = 0, column_block_bytes = 0;
  [[nodiscard]] int64_t pixel_bytes() const { return in.c * element(); }
  [[nodiscard]] int64_t block_row_bytes() const { return block_columns(column_block) * pixel_bytes(); }
  // The border in scratch memory: first whole rows of the grid of tiles (above and below the image), then for each row
  // of the image its border columns.
  [[nodiscard]] int64_t border_pixel(int64_t row, int64_t column, int64_t grid_column) const {
    const auto grid_columns = static_cast<int64_t>(w.targets.size());
    if (row < 0) return (-1 - row) * grid_columns + grid_column;
    return (conv.window.h.pad_begin + conv.window.h.pad_end) * grid_columns + row * border_columns + (-1 - column);
  }

  [[nodiscard]] int64_t element() const { return static_cast<int64_t>(is_bf16 ? 2 : 4); }
  [[nodiscard]] int64_t tiles_of_image() const { return h.tiles * w.tiles; }
  [[nodiscard]] int64_t blocks() const { return (tiles + block - 1) / block; }
  // Columns of one panel of B, and the number of panels.
  [[nodiscard]] int64_t width() const { return vectors_of(columns) * kLanes; }
  [[nodiscard]] int64_t panels() const { return (columns + width() - 1) / width(); }
};

// Where tile `t` lies: its image, and its first row and column.
struct TileAt {
  int64_t image, row, column;
  int64_t column_block;  // first column of its column block
  int64_t run;           // tiles from this one to the end of its row in the column block
  TileAt(const Layout& l, int64_t t) : image(t / l.tiles_of_image()) {
    const int64_t of_image = t % l.tiles_of_image();
    const int64_t first = of_image / (l.column_block * l.h.tiles) * l.column_block;
    const int64_t width = std::min(l.column_block, l.w.tiles - first), of_block = of_image - first * l.h.tiles;
    row = of_block / width * kOut;
    column = (first + of_block % width) * kOut;
    column_block = first * kOut;
    run = width - of_block % width;
  }
  // From tile t - 1 to t.
  void advance(const Layout& l, int64_t t) {
    if (run == 1) {
      *this = TileAt(l, t);
      return;
    }
    column += kOut;
    --run;
  }
  [[nodiscard]] bool has_plain_sources(const Layout& l) const { return is_plain(l.h.plain_sources, l.w.plain_sources); }
  [[nodiscard]] bool has_plain_targets(const Layout& l) const { return is_plain(l.h.plain_targets, l.w.plain_targets); }

 private:
  [[nodiscard]] bool is_plain(const std::vector<bool>& h, const std::vector<bool>& w) const {
    return h[static_cast<std::size_t>(row / kOut)] && w[static_cast<std::size_t>(column / kOut)];
  }
};

// Addresses of kSide x kSide neighbouring pixels, from `base` on.
template <int kSide, typename Byte, typename Pixel>
void find_plain(Byte* base, int64_t row_bytes, int64_t pixel_bytes, Pixel** pixels) {
  for (int i = 0; i < kSide; ++i, base += row_bytes) {
    for (int j = 0; j < kSide; ++j) pixels[i * kSide + j] = base + j * pixel_bytes;
  }
}

// Addresses of the kSide x kSide pixels that a tile reads of an image; `zeros` for those outside.
template <int kSide>
void find_sources(const Layout& l, const View& view, const Dims& rows, const Dims& columns, bool is_plain,
                  const TileAt& at, const char* data, const void* zeros, const void** pixels) {
  data += at.image * view.stride_n * l.element();
  const int64_t row_bytes = view.stride_h * l.element(), pixel_bytes = view.stride_w * l.element();
  const int64_t *row = rows.data() + at.row, *column = columns.data() + at.column;
  if (is_plain) {
    return find_plain<kSide>(data + *row * row_bytes + *column * pixel_bytes, row_bytes, pixel_bytes, pixels);
  }
  for (int i = 0; i < kSide; ++i) {
    for (int j = 0; j < kSide; ++j) {
      const bool inside = row[i] >= 0 && column[j] >= 0;
      pixels[i * kSide + j] = inside ? data + row[i] * row_bytes + column[j] * pixel_bytes : zeros;
    }
  }
}

class WinogradKernel final : public ConvolutionKernel {
 public:
  explicit WinogradKernel(std::shared_ptr<const Layout> layout) : layout_(std::move(layout)) {}

  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    if (layout_->conv.direction == Direction::grad_weights) return run_grad_weights();
    run_tiles();
    if (!layout_->additions.empty()) add_border();
  }

 private:
  [[nodiscard]] char* scratch(std::size_t offset) const { return static_cast<char*>(at_.scratch) + offset; }
  template <typename T>
  [[nodiscard]] T* words(std::size_t offset) const {
    return reinterpret_cast<T*>(scratch(offset));
  }

  // ---- reading the source

  [[nodiscard]] const WrittenStatistics& statistics() const {
    return alone() ? WrittenStatistics::none() : layout_->statistics;
  }
  [[nodiscard]] const float* coefficients() const { return alone() ? nullptr : words<float>(layout_->coefficients); }

  // The rows [row, row + kTile) of a column block that lie normalised in one of the thread's two ring buffers, `place`.
  struct ColumnBlock {
    int64_t place = 0, image = -1, row = 0, column = 0;
  };
  // Address of a row in the ring buffer.
  [[nodiscard]] char* block_row(const ColumnBlock& column_block, int64_t row) const {
    const auto index = static_cast<std::size_t>(2 * omp_get_thread_num() + column_block.place);
    return scratch(layout_->column_blocks + index * layout_->column_block_bytes) +
           row % kRing * layout_->block_row_bytes();
  }
  // Normalises the rows that a tile needs. Where the ring buffer holds the tile above, only the four new rows are made.
  void move_to(const TileAt& at, ColumnBlock& column_block) const {
    const Layout& l = *layout_;
    const bool same_block = at.image == column_block.image && at.column_block == column_block.column;
    if (same_block && at.row == column_block.row) return;
    const bool below = same_block && at.row == column_block.row + kOut;
    column_block = {.place = below ? column_block.place : 1 - column_block.place,
                    .image = at.image,
                    .row = at.row,
                    .column = at.column_block};
    const int64_t columns =
        std::min(block_columns(l.column_block), static_cast<int64_t>(l.w.sources.size()) - at.column_block);
    const int64_t* const w = l.w.sources.data() + at.column_block;
    char* const buffer = block_row(column_block, 0) + kRing * l.block_row_bytes();
    for (int64_t i = below ? kTile - kOut : 0; i < kTile; ++i) {
      const int64_t h = l.h.sources[static_cast<std::size_t>(at.row + i)];
      char* const to = block_row(column_block, at.row + i);
      for (int64_t j = 0, run = 1; h >= 0 && j < columns; j += run) {
        run = 1;
        if (w[j] < 0) continue;
        while (j + run < columns && w[j + run] == w[j] + run) ++run;
        l.normalized->read(at_, coefficients(), at.image, h, w[j], run, to + j * l.pixel_bytes(), buffer);
      }
    }
  }
  void find_source(ColumnBlock& column_block, const TileAt& at, const void** pixels) const {
    const Layout& l = *layout_;
    const bool is_plain = at.has_plain_sources(l);
    if (!l.normalized) {
      return find_sources<kTile>(l, l.in, l.h.sources, l.w.sources, is_plain, at, static_cast<const char*>(at_.src[0]),
                                 scratch(l.zeros), pixels);
    }
    move_to(at, column_block);
    const int64_t *const h = l.h.sources.data() + at.row, *const w = l.w.sources.data() + at.column;
    const char* const rows = block_row(column_block, 0) + (at.column - at.column_block) * l.pixel_bytes();
    for (int i = 0; i < kTile; ++i) {
      const char* row = rows + (at.row + i) % kRing * l.block_row_bytes();
      for (int j = 0; j < kTile; ++j) {
        const bool inside = is_plain || (h[i] >= 0 && w[j] >= 0);
        pixels[i * kTile + j] = inside ? row + j * l.pixel_bytes() : scratch(l.zeros);
      }
    }
  }

  // ---- forward and the gradient of the source

  void transform_weights() const {
    const Layout& l = *layout_;
    const bool forward = l.conv.direction == Direction::forward;
    const int64_t ic = l.conv.src.shape[1], oc = l.conv.dst.shape[1];
    const WinogradTransforms::Weights weights{.weights = at_.src[1],
                                              .c_step = forward ? oc : 1,
                                              .n_step = forward ? 1 : oc,
                                              .tap_step = ic * oc,
                                              .flip = !forward,
                                              .c_count = forward ? ic : oc,
                                              .n_count = forward ? oc : ic,
                                              .columns = l.columns,
                                              .width = l.width(),
                                              .depth = l.depth,
                                              .words = words<uint32_t>(l.weights),
                                              .point = l.weights_point};
    parallel_ranges(l.depth, 1, [&](int64_t begin, int64_t end) {
      l.transforms->transform_weights(l.is_bf16, weights, begin, end);
    });
  }

  void run_tiles() const {
    const Layout& l = *layout_;
    transform_weights();
    statistics().begin(at_);
    std::fill_n(scratch(l.zeros), up(l.in.c, kLanes) * l.element(), '\0');
    if (l.normalized) l.normalized->set_coefficients(at_, words<float>(l.coefficients));
    const int64_t blocks = l.blocks(), parts = parts_of(blocks);
    parallel_parts(parts, [&](int64_t, const auto& take) {
      ColumnBlock column_block;
      for (int64_t part = take(); part >= 0; part = take()) {
        for (int64_t b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b) {
          const int64_t count = std::min(l.block, l.tiles - b * l.block);
          run_block(b * l.block, count, column_block);
          add_statistics(part, b * l.block, count);
        }
        statistics().end_part(at_, part);
      }
    });
    statistics().end(at_);
  }

  // One block, tiles [first, first + count): transforms the sources, multiplies panel by panel, transforms back.
  void run_block(int64_t first, int64_t count, ColumnBlock& column_block) const {
    const Layout& l = *layout_;
    const std::size_t mine = static_cast<std::size_t>(omp_get_thread_num()) * l.thread_bytes;
    auto* in_words = words<uint32_t>(l.in_words + mine);
    auto* products = words<float>(l.products + mine);
    TileAt at(l, first);
    for (int64_t t = 0; t < count; at.advance(l, first + ++t)) {
      const void* pixels[kPoints];
      find_source(column_block, at, pixels);
      l.transforms->transform_src(l.is_bf16, pixels, l.in.c, in_words + t * l.in_row, l.in_point);
    }
    const int64_t width = l.width();
    for (int64_t column = 0; column < l.columns; column += width) {
      multiply_block(in_words, products, count, column, std::min(width, l.columns - column));
      const float* bias = l.conv.has_bias ? static_cast<const float*>(at_.src[l.conv.bias_input()]) : nullptr;
      at = TileAt(l, first);
      for (int64_t t = 0; t < count; at.advance(l, first + ++t)) {
        void* pixels[kOut * kOut];
        find_targets(at, pixels);
        l.transforms->transform_dst(l.is_bf16, products + t * l.out_row, l.product_point, column,
                                    std::min(width, l.out.c - column), bias, pixels);
      }
    }
  }

  // Adds the written pixels of tiles [first, first + count) to the statistics, by runs of neighbouring pixels.
  void add_statistics(int64_t part, int64_t first, int64_t count) const {
    const Layout& l = *layout_;
    for (int64_t t = first, tiles = 0; statistics().wanted() && t < first + count; t += tiles) {
      const TileAt at(l, t);
      tiles = std::min(at.run, first + count - t);
      for (int64_t row = at.row; row < std::min(at.row + kOut, l.out.h); ++row) {
        const int64_t offset = l.out.offset(at.image, 0, row, at.column);
        statistics().add(at_, part, static_cast<const char*>(at_.dst[0]) + offset * l.element(),
                         std::min(kOut * tiles, l.out.w - at.column));
      }
    }
  }

  void multiply_block(const uint32_t* in_words, float* products, int64_t count, int64_t column, int64_t width) const {
    const Layout& l = *layout_;
    for (int64_t p = 0; p < kPoints; ++p) {
      multiply_in_pieces(*l.gemm, l.is_bf16,
                         {.a = in_words + p * l.in_point,
                          .a_row = l.in_row,
                          .a_step = 1,
                          .b = words<uint32_t>(l.weights) + p * l.weights_point + column * l.depth,
                          .b_step = width,
                          .c = products + p * l.product_point,
                          .c_row = l.out_row,
                          .rows = count,
                          .vectors = width / kLanes,
                          .depth = l.depth});
    }
  }

  void find_targets(const TileAt& at, void** pixels) const {
    const Layout& l = *layout_;
    char* image = static_cast<char*>(at_.dst[0]) + at.image * l.out.stride_n * l.element();
    if (at.has_plain_targets(l)) {
      const int64_t row_bytes = l.out.stride_h * l.element(), pixel_bytes = l.out.stride_w * l.element();
      const int64_t row = l.h.targets[static_cast<std::size_t>(at.row)];
      const int64_t column = l.w.targets[static_cast<std::size_t>(at.column)];
      return find_plain<kOut>(image + row * row_bytes + column * pixel_bytes, row_bytes, pixel_bytes, pixels);
    }
    char* border = scratch(l.border) + at.image * l.border_pixels * l.out.c * l.element();
    for (int64_t i = 0; i < kOut; ++i) {
      const int64_t row = l.h.targets[static_cast<std::size_t>(at.row + i)];
      for (int64_t j = 0; j < kOut; ++j) {
        const int64_t column = l.w.targets[static_cast<std::size_t>(at.column + j)];
        void*& pixel = pixels[i * kOut + j];
        pixel = nullptr;
        if (row == kNowhere || column == kNowhere) continue;
        if (row >= 0 && column >= 0) {
          pixel = image + (row * l.out.stride_h + column * l.out.stride_w) * l.element();
        } else {
          pixel = border + l.border_pixel(row, column, at.column + j) * l.out.c * l.element();
        }
      }
    }
  }

  void add_border() const {
    const Layout& l = *layout_;
    const int64_t images = l.out.n;
    parallel_for(images * static_cast<int64_t>(l.additions.size()), [&](int64_t i) {
      const int64_t image = i % images;
      const char* border = scratch(l.border) + image * l.border_pixels * l.out.c * l.element();
      char* data = static_cast<char*>(at_.dst[0]) + image * l.out.stride_n * l.element();
      for (const Layout::Addition& a : l.additions[static_cast<std::size_t>(i / images)]) {
        l.gemm->add_pixel(l.is_bf16, border + a.from * l.element(), data + a.to * l.element(), l.out.c);
      }
    });
  }

  // ---- the gradient of the weights

  // Scratch memory of one set of sums: transformed tiles of src and diff_dst, and the 36 sums of products.
  struct Part {
    uint32_t *in_words, *out_words;
    float* products;
  };
  [[nodiscard]] Part part(int64_t index) const {
    const Layout& l = *layout_;
    const std::size_t mine = static_cast<std::size_t>(index) * l.thread_bytes;
    return {words<uint32_t>(l.in_words + mine), words<uint32_t>(l.out_words + mine), words<float>(l.products + mine)};
  }

  void run_grad_weights() const {
    const Layout& l = *layout_;
    std::fill_n(scratch(l.zeros), up(std::max(l.in.c, l.out.c), kLanes) * l.element(), '\0');
    if (l.normalized) l.normalized->set_coefficients(at_, words<float>(l.coefficients));
    const int64_t pairs = (l.tiles + 1) / 2, block = l.block / 2;
    const auto depth = [&](int64_t count) { return l.is_bf16 ? count : 2 * count; };
    const Part whole = part(0);
    if (l.parts == 1) {
      for (int64_t first = 0; first < pairs; first += block) {
        const int64_t count = std::min(block, pairs - first);
        const int64_t grain = l.normalized ? (l.column_block + 1) / 2 : 1, runs = (count + grain - 1) / grain;
        const int64_t shares = parts_of(runs);
        parallel_parts(shares, [&](int64_t, const auto& take) {
          ColumnBlock column_block;
          for (int64_t share = take(); share >= 0; share = take()) {
            const int64_t begin = runs * share / shares * grain, end = runs * (share + 1) / shares * grain;
            transform_pairs(whole, first + begin, std::min(end, count) - begin, begin, column_block);
          }
        });
        parallel_for(kPoints * l.panels(), [&](int64_t i) { multiply_part(whole, i, depth(count), first > 0); });
      }
    } else {
      parallel_for(l.parts, [&](int64_t index) {
        const Part mine = part(index);
        const int64_t begin = pairs * index / l.parts, end = pairs * (index + 1) / l.parts;
        ColumnBlock column_block;
        for (int64_t first = begin; first < end; first += block) {
          const int64_t count = std::min(block, end - first);
          transform_pairs(mine, first, count, 0, column_block);
          for (int64_t i = 0; i < kPoints * l.panels(); ++i) multiply_part(mine, i, depth(count), first > begin);
        }
      });
      parallel_ranges(kPoints * l.product_point, kLanes, [&](int64_t begin, int64_t end) {
        for (int64_t i = 1; i < l.parts; ++i) {
          l.gemm->add_pixel(false, part(i).products + begin, whole.products + begin, end - begin);
        }
      });
    }
    if (l.bias) l.bias->run(at_.src[1], at_.scratch, static_cast<float*>(at_.dst[1]));
    const int64_t oc = l.out.c;
    parallel_ranges(l.in.c, 1, [&](int64_t begin, int64_t end) {
      l.transforms->transform_grad(whole.products, l.product_point, l.columns, oc, static_cast<float*>(at_.dst[0]),
                                   l.in.c * oc, begin, end);
    });
  }

  // Transforms tiles 2 * first to 2 * (first + count) of src and diff_dst, as pairs (in bf16 two tiles are one word),
  // to rows of the operands from `to` on.
  void transform_pairs(const Part& part, int64_t first, int64_t count, int64_t to, ColumnBlock& column_block) const {
    const Layout& l = *layout_;
    TileAt at(l, 2 * first);
    for (int64_t pair = 0; pair < count; ++pair) {
      const void *src[2 * kPoints], *diff[2 * kOut * kOut];
      for (int64_t i = 0; i < 2; ++i) {
        const int64_t t = 2 * (first + pair) + i;
        if (t >= l.tiles) {
          std::fill_n(src + i * kPoints, kPoints, scratch(l.zeros));
          std::fill_n(diff + i * kOut * kOut, kOut * kOut, scratch(l.zeros));
          continue;
        }
        if (pair + i > 0) at.advance(l, t);
        find_source(column_block, at, src + i * kPoints);
        find_sources<kOut>(l, l.out, l.h.targets, l.w.targets, at.has_plain_targets(l), at,
                           static_cast<const char*>(at_.src[1]), scratch(l.zeros), diff + i * kOut * kOut);
      }
      const int64_t row = l.is_bf16 ? to + pair : 2 * (to + pair);
      l.transforms->transform_src_pair(l.is_bf16, src, l.in.c, part.in_words + row * l.in_row, l.in_point, l.in_row);
      l.transforms->transform_diff_pair(l.is_bf16, diff, l.out.c, part.out_words + row * l.out_row, l.out_point,
                                        l.out_row);
    }
  }

  // One of kPoints * panels() products: a point, and one panel of its columns.
  void multiply_part(const Part& part, int64_t index, int64_t depth, bool add) const {
    const Layout& l = *layout_;
    constexpr int64_t kRows = 24;
    const int64_t width = l.width(), panels = l.panels();
    const int64_t p = index / panels, column = index % panels * width;
    // A piece of operand B meets all rows of A while it lies in the cache.
    const int64_t piece = even_piece(depth, kGemmDepth);
    for (int64_t k = 0; k < depth; k += piece) {
      for (int64_t row = 0; row < l.in.c; row += kRows) {
        l.gemm->multiply(l.is_bf16, {.a = part.in_words + p * l.in_point + k * l.in_row + row,
                                     .a_row = 1,
                                     .a_step = l.in_row,
                                     .b = part.out_words + p * l.out_point + k * l.out_row + column,
                                     .b_step = l.out_row,
                                     .c = part.products + p * l.product_point + row * l.columns + column,
                                     .c_row = l.columns,
                                     .rows = std::min(kRows, l.in.c - row),
                                     .vectors = std::min(width, l.columns - column) / kLanes,
                                     .depth = std::min(piece, depth - k),
                                     .add = add || k > 0});
      }
    }
  }

  std::shared_ptr<const Layout> layout_;
  Addresses at_;
};

bool is_3x3(const Convolution& conv) {
  const auto fits = [](const WindowAxis& axis) {
    return axis.kernel == 3 && axis.stride == 1 && axis.dilation == 1 && axis.pad_begin >= 0 && axis.pad_end >= 0;
  };
  return fits(conv.window.h) && fits(conv.window.w);
}

// With few channels, oneDNN's direct convolution is faster on AVX2 (from 8 channels to 16 at 512x512, Zen 3: forward
// 21 ms against 23, gradient of the source 17 against 25; hourglass bench ops --model small).
bool has_enough_channels(const Convolution& conv, const GemmLoops& loops) {
  return &loops != gemm_avx2() || std::min(conv.src.shape[1], conv.dst.shape[1]) > 8;
}

// Lists the border pixels by the row of the image that each is added to, so that each row is one thread's.
void list_additions(Layout& l) {
  const auto& [h, w] = l.conv.window;
  if (l.conv.padding_mode == PaddingMode::constant || h.pad_begin + h.pad_end + w.pad_begin + w.pad_end == 0) return;
  const int64_t grid_columns = static_cast<int64_t>(l.w.targets.size());
  l.border_columns = w.pad_begin + w.pad_end;
  l.border_pixels = (h.pad_begin + h.pad_end) * grid_columns + h.src * l.border_columns;
  std::map<int64_t, std::vector<Layout::Addition>> by_row;
  for (int64_t i = 0; i < h.src + h.pad_begin + h.pad_end; ++i) {
    for (int64_t j = 0; j < w.src + w.pad_begin + w.pad_end; ++j) {
      const int64_t row = l.h.targets[static_cast<std::size_t>(i)], column = l.w.targets[static_cast<std::size_t>(j)];
      if (row >= 0 && column >= 0) continue;
      const int64_t to_row = border_source(l.conv.padding_mode, i - h.pad_begin, h.src);
      const int64_t to_column = border_source(l.conv.padding_mode, j - w.pad_begin, w.src);
      by_row[to_row].push_back({.from = l.border_pixel(row, column, j) * l.out.c,
                                .to = to_row * l.out.stride_h + to_column * l.out.stride_w});
    }
  }
  for (auto& [row, list] : by_row) l.additions.push_back(std::move(list));
}

}  // namespace

Answer plan_winograd(const PlanContext&, const Convolution& conv) {
  if (!is_3x3(conv)) return Declined{"3x3 with stride 1 only"};
  const GemmLoops* loops = gemm_loops(conv.src.dtype);
  if (!has_enough_channels(conv, *loops)) return Declined{"on AVX2, more than 8 channels on both sides only"};
  auto layout = std::make_shared<Layout>();
  Layout& l = *layout;
  l.conv = conv;
  l.gemm = loops;
  l.transforms = winograd_transforms(conv.src.dtype);
  l.is_bf16 = conv.src.dtype == DType::bf16;
  l.threads = omp_get_max_threads();
  const MemoryDesc src = with_tag(conv.src, Tag::nhwc), dst = with_tag(conv.dst, Tag::nhwc);
  const MemoryDesc weights = with_tag(conv.weights, Tag::hwio);
  const auto& [h, w] = conv.window;
  const bool grad_src = conv.direction == Direction::grad_src, grad_weights = conv.direction == Direction::grad_weights;
  l.in = view_of(grad_src ? dst : src);
  l.out = view_of(grad_src ? src : dst);
  l.h = grad_src ? tile_gradient_axis(h, conv.padding_mode) : tile_axis(h.dst, -h.pad_begin, h.src, conv.padding_mode);
  l.w = grad_src ? tile_gradient_axis(w, conv.padding_mode) : tile_axis(w.dst, -w.pad_begin, w.src, conv.padding_mode);
  find_plain_tiles(l.h);
  find_plain_tiles(l.w);
  l.tiles = l.in.n * l.tiles_of_image();
  l.column_block = l.w.tiles;
  if (conv.normalized)
    l.column_block = std::clamp<int64_t>(kColumnBlockBytes / (kRing * kOut * l.pixel_bytes()), 1, l.w.tiles);
  l.columns = up(l.out.c, kLanes);

  ScratchLayout offsets;
  const auto bytes = [](int64_t count) { return static_cast<std::size_t>(count); };
  l.zeros = offsets.add(bytes(up(std::max(l.in.c, l.out.c), kLanes) * l.element()));
  if (grad_weights) {
    l.in_row = up(l.in.c, kLanes);
    l.out_row = l.columns;
    const int64_t tile_bytes = kPoints * (l.in_row + l.out_row) * l.element();
    l.product_point = point_stride(l.in.c * l.columns);
    const int64_t sums_bytes = kPoints * l.product_point * 4;
    const bool apart = sums_bytes <= kOwnSumsBytes;
    if (apart) l.parts = std::min(l.threads, (l.tiles + 1) / 2);
    const int64_t mine = (l.tiles + l.parts - 1) / l.parts;
    const int64_t wanted = apart ? std::max<int64_t>((kBlockBytes - sums_bytes) / tile_bytes, 32)
                                 : std::max(kChunkBytes / tile_bytes, 2 * kGemmDepth);
    const int64_t blocks = (mine + wanted - 1) / wanted;
    l.block = up((mine + blocks - 1) / blocks, 2);
    l.depth = l.is_bf16 ? l.block / 2 : l.block;
    l.in_point = point_stride(l.depth * l.in_row);
    l.out_point = point_stride(l.depth * l.out_row);
    ScratchLayout of_thread;
    l.in_words = offsets.end() + of_thread.add(bytes(kPoints * l.in_point * 4));
    l.out_words = offsets.end() + of_thread.add(bytes(kPoints * l.out_point * 4));
    l.products = offsets.end() + of_thread.add(bytes(sums_bytes));
    l.thread_bytes = of_thread.end();
    offsets.add(of_thread.end() * bytes(l.parts));
    if (conv.has_bias) l.bias.emplace(l.out, l.is_bf16, offsets);
  } else {
    l.depth = l.is_bf16 ? (l.in.c + 1) / 2 : l.in.c;
    l.in_row = up(l.in.c, kLanes) * l.element() / 4;
    l.out_row = l.width();
    const int64_t wanted = std::clamp<int64_t>(kBlockBytes / (kPoints * 4 * (l.in_row + l.out_row)), 8, 96);
    const int64_t blocks = up((l.tiles + wanted - 1) / wanted, l.threads);  // about as many blocks for each thread
    l.block = (l.tiles + blocks - 1) / blocks;
    l.in_point = point_stride(l.block * l.in_row);
    l.product_point = point_stride(l.block * l.out_row);
    l.weights_point = point_stride(l.depth * l.columns);
    l.weights = offsets.add(bytes(kPoints * l.weights_point * 4));
    if (grad_src) {
      list_additions(l);
      l.border = offsets.add(bytes(l.out.n * l.border_pixels * l.out.c * l.element()));
    }
    ScratchLayout of_thread;
    l.in_words = offsets.end() + of_thread.add(bytes(kPoints * l.in_point * 4));
    l.products = offsets.end() + of_thread.add(bytes(kPoints * l.product_point * 4));
    l.thread_bytes = of_thread.end();
    offsets.add(of_thread.end() * bytes(l.threads));
  }
  l.statistics = WrittenStatistics(conv.dst, conv.statistics, parts_of(l.blocks()), offsets);
  if (conv.normalized) {
    l.normalized.emplace(conv);
    l.coefficients = offsets.add(l.normalized->coefficient_bytes());
    l.column_block_bytes = bytes(up((kRing + 1) * l.block_row_bytes(), 64));
    l.column_blocks = offsets.add(2 * l.column_block_bytes * bytes(l.threads));
  }

  KernelPlan plan;
  plan.implementation = isa_of(*loops, conv.src.dtype);
  if (l.is_bf16) plan.rounding = kRoundingBf16;
  plan.scratch_bytes = offsets.end();
  switch (conv.direction) {
    case Direction::forward:
      plan.src = {src, weights};
      plan.dst = {dst};
      l.statistics.add_to(plan);
      if (conv.has_bias) plan.src.push_back(plain({DType::f32, Shape{conv.weights.shape[0]}}));
      if (l.normalized) plan.src = l.normalized->inputs(weights);
      break;
    case Direction::grad_src:
      plan.src = {dst, weights};
      plan.dst = {src};
      break;
    case Direction::grad_weights:
      plan.src = l.normalized ? l.normalized->inputs(dst) : std::vector<MemoryDesc>{src, dst};
      plan.dst = {weights};
      if (l.bias) plan.dst.push_back(plain({DType::f32, Shape{conv.weights.shape[0]}}));
      break;
  }
  plan.kernel = std::make_unique<WinogradKernel>(std::move(layout));
  return plan;
}

}  // namespace hourglass::kernels
