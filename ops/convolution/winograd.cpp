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

constexpr int64_t kTile = 6, kOut = 4, kPoints = kTile * kTile;
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
int64_t point_stride(int64_t words) { return (up(words, kGemmLanes) / kGemmLanes | 1) * kGemmLanes; }

// Vectors of a panel of B with `columns` columns in all, split evenly: 9 = 3 + 3 + 3 rather than 4 + 4 + 1.
int64_t vectors_of(int64_t columns) {
  const int64_t all = columns / kGemmLanes;
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
  const auto follow = [](const Dims& positions, int64_t first, int64_t count) {
    const auto begin = positions.begin() + first;
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

struct WinogradSchedule {
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
  int64_t sets = 1;
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
  [[nodiscard]] int64_t width() const { return vectors_of(columns) * kGemmLanes; }
  [[nodiscard]] int64_t panels() const { return (columns + width() - 1) / width(); }
};

// Where tile `t` lies: its image, and its first row and column.
struct TileAt {
  int64_t image, row, column;
  int64_t column_block;  // first column of its column block
  int64_t run;           // tiles from this one to the end of its row in the column block
  TileAt(const WinogradSchedule& s, int64_t t) : image(t / s.tiles_of_image()) {
    const int64_t of_image = t % s.tiles_of_image();
    const int64_t first = of_image / (s.column_block * s.h.tiles) * s.column_block;
    const int64_t width = std::min(s.column_block, s.w.tiles - first), of_block = of_image - first * s.h.tiles;
    row = of_block / width * kOut;
    column = (first + of_block % width) * kOut;
    column_block = first * kOut;
    run = width - of_block % width;
  }
  // From tile t - 1 to t.
  void advance(const WinogradSchedule& s, int64_t t) {
    if (run == 1) {
      *this = TileAt(s, t);
      return;
    }
    column += kOut;
    --run;
  }
  [[nodiscard]] bool has_plain_sources(const WinogradSchedule& s) const {
    return is_plain(s.h.plain_sources, s.w.plain_sources);
  }
  [[nodiscard]] bool has_plain_targets(const WinogradSchedule& s) const {
    return is_plain(s.h.plain_targets, s.w.plain_targets);
  }

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
void find_sources(const WinogradSchedule& s, const View& view, const Dims& rows, const Dims& columns, bool is_plain,
                  const TileAt& at, const char* data, const void* zeros, const void** pixels) {
  data += at.image * view.stride_n * s.element();
  const int64_t row_bytes = view.stride_h * s.element(), pixel_bytes = view.stride_w * s.element();
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
  explicit WinogradKernel(std::shared_ptr<const WinogradSchedule> schedule) : schedule_(std::move(schedule)) {}

  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    if (schedule_->conv.direction == Direction::grad_weights) return run_grad_weights();
    run_tiles();
    if (!schedule_->additions.empty()) add_border();
  }

 private:
  [[nodiscard]] char* scratch(std::size_t offset) const { return static_cast<char*>(at_.scratch) + offset; }
  template <typename T>
  [[nodiscard]] T* words(std::size_t offset) const {
    return reinterpret_cast<T*>(scratch(offset));
  }

  // ---- reading the source

  [[nodiscard]] const WrittenStatistics& statistics() const {
    return alone() ? WrittenStatistics::none() : schedule_->statistics;
  }
  [[nodiscard]] const float* coefficients() const { return alone() ? nullptr : words<float>(schedule_->coefficients); }

  // The rows [row, row + kTile) of a column block that lie normalised in one of the thread's two ring buffers, `ring`.
  struct ColumnBlock {
    int64_t ring = 0, image = -1, row = 0, column = 0;
  };
  // Address of a row in the ring buffer.
  [[nodiscard]] char* block_row(const ColumnBlock& column_block, int64_t row) const {
    const auto index = static_cast<std::size_t>(2 * omp_get_thread_num() + column_block.ring);
    return scratch(schedule_->column_blocks + index * schedule_->column_block_bytes) +
           row % kRing * schedule_->block_row_bytes();
  }
  // Normalises the rows that a tile needs. Where the ring buffer holds the tile above, only the four new rows are made.
  void move_to(const TileAt& at, ColumnBlock& column_block) const {
    const WinogradSchedule& s = *schedule_;
    const bool same_block = at.image == column_block.image && at.column_block == column_block.column;
    if (same_block && at.row == column_block.row) return;
    const bool below = same_block && at.row == column_block.row + kOut;
    column_block = {.ring = below ? column_block.ring : 1 - column_block.ring,
                    .image = at.image,
                    .row = at.row,
                    .column = at.column_block};
    const int64_t columns =
        std::min(block_columns(s.column_block), static_cast<int64_t>(s.w.sources.size()) - at.column_block);
    const int64_t* const w = s.w.sources.data() + at.column_block;
    char* const buffer = block_row(column_block, 0) + kRing * s.block_row_bytes();
    for (int64_t i = below ? kTile - kOut : 0; i < kTile; ++i) {
      const int64_t h = s.h.sources[static_cast<std::size_t>(at.row + i)];
      char* const to = block_row(column_block, at.row + i);
      for (int64_t j = 0, run = 1; h >= 0 && j < columns; j += run) {
        run = 1;
        if (w[j] < 0) continue;
        while (j + run < columns && w[j + run] == w[j] + run) ++run;
        s.normalized->read(at_, coefficients(), at.image, h, w[j], run, to + j * s.pixel_bytes(), buffer);
      }
    }
  }
  void find_source(ColumnBlock& column_block, const TileAt& at, const void** pixels) const {
    const WinogradSchedule& s = *schedule_;
    const bool is_plain = at.has_plain_sources(s);
    if (!s.normalized) {
      return find_sources<kTile>(s, s.in, s.h.sources, s.w.sources, is_plain, at, static_cast<const char*>(at_.src[0]),
                                 scratch(s.zeros), pixels);
    }
    move_to(at, column_block);
    const int64_t *const h = s.h.sources.data() + at.row, *const w = s.w.sources.data() + at.column;
    const char* const rows = block_row(column_block, 0) + (at.column - at.column_block) * s.pixel_bytes();
    for (int i = 0; i < kTile; ++i) {
      const char* row = rows + (at.row + i) % kRing * s.block_row_bytes();
      for (int j = 0; j < kTile; ++j) {
        const bool inside = is_plain || (h[i] >= 0 && w[j] >= 0);
        pixels[i * kTile + j] = inside ? row + j * s.pixel_bytes() : scratch(s.zeros);
      }
    }
  }

  // ---- forward and the gradient of the source

  void transform_weights() const {
    const WinogradSchedule& s = *schedule_;
    const bool forward = s.conv.direction == Direction::forward;
    const int64_t ic = s.conv.src.shape[1], oc = s.conv.dst.shape[1];
    const WinogradTransforms::Weights weights{.weights = at_.src[1],
                                              .c_step = forward ? oc : 1,
                                              .n_step = forward ? 1 : oc,
                                              .tap_step = ic * oc,
                                              .flip = !forward,
                                              .c_count = forward ? ic : oc,
                                              .n_count = forward ? oc : ic,
                                              .columns = s.columns,
                                              .width = s.width(),
                                              .depth = s.depth,
                                              .words = words<uint32_t>(s.weights),
                                              .point = s.weights_point};
    parallel_ranges(s.depth, 1, [&](int64_t begin, int64_t end) {
      s.transforms->transform_weights(s.is_bf16, weights, begin, end);
    });
  }

  void run_tiles() const {
    const WinogradSchedule& s = *schedule_;
    transform_weights();
    statistics().begin(at_);
    std::fill_n(scratch(s.zeros), up(s.in.c, kGemmLanes) * s.element(), '\0');
    if (s.normalized) s.normalized->set_coefficients(at_, words<float>(s.coefficients));
    const int64_t blocks = s.blocks(), parts = parts_of(blocks);
    parallel_parts(parts, [&](int64_t, const auto& take) {
      ColumnBlock column_block;
      for (int64_t part = take(); part >= 0; part = take()) {
        for (int64_t b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b) {
          const int64_t count = std::min(s.block, s.tiles - b * s.block);
          run_block(b * s.block, count, column_block);
          add_statistics(part, b * s.block, count);
        }
        statistics().end_part(at_, part);
      }
    });
    statistics().end(at_);
  }

  // One block, tiles [first, first + count): transforms the sources, multiplies panel by panel, transforms back.
  void run_block(int64_t first, int64_t count, ColumnBlock& column_block) const {
    const WinogradSchedule& s = *schedule_;
    const std::size_t mine = static_cast<std::size_t>(omp_get_thread_num()) * s.thread_bytes;
    auto* in_words = words<uint32_t>(s.in_words + mine);
    auto* products = words<float>(s.products + mine);
    TileAt at(s, first);
    for (int64_t t = 0; t < count; at.advance(s, first + ++t)) {
      const void* pixels[kPoints];
      find_source(column_block, at, pixels);
      s.transforms->transform_src(s.is_bf16, pixels, s.in.c, in_words + t * s.in_row, s.in_point);
    }
    const int64_t width = s.width();
    for (int64_t column = 0; column < s.columns; column += width) {
      multiply_block(in_words, products, count, column, std::min(width, s.columns - column));
      const float* bias = s.conv.has_bias ? static_cast<const float*>(at_.src[s.conv.bias_input()]) : nullptr;
      at = TileAt(s, first);
      for (int64_t t = 0; t < count; at.advance(s, first + ++t)) {
        void* pixels[kOut * kOut];
        find_targets(at, pixels);
        s.transforms->transform_dst(s.is_bf16, products + t * s.out_row, s.product_point, column,
                                    std::min(width, s.out.c - column), bias, pixels);
      }
    }
  }

  // Adds the written pixels of tiles [first, first + count) to the statistics, by runs of neighbouring pixels.
  void add_statistics(int64_t part, int64_t first, int64_t count) const {
    const WinogradSchedule& s = *schedule_;
    for (int64_t t = first, tiles = 0; statistics().wanted() && t < first + count; t += tiles) {
      const TileAt at(s, t);
      tiles = std::min(at.run, first + count - t);
      for (int64_t row = at.row; row < std::min(at.row + kOut, s.out.h); ++row) {
        const int64_t offset = s.out.offset(at.image, 0, row, at.column);
        statistics().add(at_, part, static_cast<const char*>(at_.dst[0]) + offset * s.element(),
                         std::min(kOut * tiles, s.out.w - at.column));
      }
    }
  }

  void multiply_block(const uint32_t* in_words, float* products, int64_t count, int64_t column, int64_t width) const {
    const WinogradSchedule& s = *schedule_;
    for (int64_t p = 0; p < kPoints; ++p) {
      multiply_in_pieces(*s.gemm, s.is_bf16,
                         {.a = in_words + p * s.in_point,
                          .a_row = s.in_row,
                          .a_step = 1,
                          .b = words<uint32_t>(s.weights) + p * s.weights_point + column * s.depth,
                          .b_step = width,
                          .c = products + p * s.product_point,
                          .c_row = s.out_row,
                          .rows = count,
                          .vectors = width / kGemmLanes,
                          .depth = s.depth});
    }
  }

  void find_targets(const TileAt& at, void** pixels) const {
    const WinogradSchedule& s = *schedule_;
    char* image = static_cast<char*>(at_.dst[0]) + at.image * s.out.stride_n * s.element();
    if (at.has_plain_targets(s)) {
      const int64_t row_bytes = s.out.stride_h * s.element(), pixel_bytes = s.out.stride_w * s.element();
      const int64_t row = s.h.targets[static_cast<std::size_t>(at.row)];
      const int64_t column = s.w.targets[static_cast<std::size_t>(at.column)];
      return find_plain<kOut>(image + row * row_bytes + column * pixel_bytes, row_bytes, pixel_bytes, pixels);
    }
    char* border = scratch(s.border) + at.image * s.border_pixels * s.out.c * s.element();
    for (int64_t i = 0; i < kOut; ++i) {
      const int64_t row = s.h.targets[static_cast<std::size_t>(at.row + i)];
      for (int64_t j = 0; j < kOut; ++j) {
        const int64_t column = s.w.targets[static_cast<std::size_t>(at.column + j)];
        void*& pixel = pixels[i * kOut + j];
        pixel = nullptr;
        if (row == kNowhere || column == kNowhere) continue;
        if (row >= 0 && column >= 0) {
          pixel = image + (row * s.out.stride_h + column * s.out.stride_w) * s.element();
        } else {
          pixel = border + s.border_pixel(row, column, at.column + j) * s.out.c * s.element();
        }
      }
    }
  }

  void add_border() const {
    const WinogradSchedule& s = *schedule_;
    const int64_t images = s.out.n;
    parallel_for(images * static_cast<int64_t>(s.additions.size()), [&](int64_t i) {
      const int64_t image = i % images;
      const char* border = scratch(s.border) + image * s.border_pixels * s.out.c * s.element();
      char* data = static_cast<char*>(at_.dst[0]) + image * s.out.stride_n * s.element();
      for (const WinogradSchedule::Addition& a : s.additions[static_cast<std::size_t>(i / images)]) {
        s.gemm->add_pixel(s.is_bf16, border + a.from * s.element(), data + a.to * s.element(), s.out.c);
      }
    });
  }

  // ---- the gradient of the weights

  // Scratch memory of one set of sums: transformed tiles of src and diff_dst, and the 36 sums of products.
  struct SumSet {
    uint32_t *in_words, *out_words;
    float* products;
  };
  [[nodiscard]] SumSet sum_set(int64_t index) const {
    const WinogradSchedule& s = *schedule_;
    const std::size_t mine = static_cast<std::size_t>(index) * s.thread_bytes;
    return {words<uint32_t>(s.in_words + mine), words<uint32_t>(s.out_words + mine), words<float>(s.products + mine)};
  }

  void run_grad_weights() const {
    const WinogradSchedule& s = *schedule_;
    std::fill_n(scratch(s.zeros), up(std::max(s.in.c, s.out.c), kGemmLanes) * s.element(), '\0');
    if (s.normalized) s.normalized->set_coefficients(at_, words<float>(s.coefficients));
    const int64_t pairs = (s.tiles + 1) / 2, block = s.block / 2;
    const auto depth = [&](int64_t count) { return s.is_bf16 ? count : 2 * count; };
    const SumSet all = sum_set(0);
    if (s.sets == 1) {
      for (int64_t first = 0; first < pairs; first += block) {
        const int64_t count = std::min(block, pairs - first);
        const int64_t grain = s.normalized ? (s.column_block + 1) / 2 : 1, runs = (count + grain - 1) / grain;
        const int64_t parts = parts_of(runs);
        parallel_parts(parts, [&](int64_t, const auto& take) {
          ColumnBlock column_block;
          for (int64_t part = take(); part >= 0; part = take()) {
            const int64_t begin = runs * part / parts * grain, end = runs * (part + 1) / parts * grain;
            transform_pairs(all, first + begin, std::min(end, count) - begin, begin, column_block);
          }
        });
        parallel_for(kPoints * s.panels(), [&](int64_t i) { multiply_panel(all, i, depth(count), first > 0); });
      }
    } else {
      parallel_for(s.sets, [&](int64_t index) {
        const SumSet mine = sum_set(index);
        const int64_t begin = pairs * index / s.sets, end = pairs * (index + 1) / s.sets;
        ColumnBlock column_block;
        for (int64_t first = begin; first < end; first += block) {
          const int64_t count = std::min(block, end - first);
          transform_pairs(mine, first, count, 0, column_block);
          for (int64_t i = 0; i < kPoints * s.panels(); ++i) multiply_panel(mine, i, depth(count), first > begin);
        }
      });
      parallel_ranges(kPoints * s.product_point, kGemmLanes, [&](int64_t begin, int64_t end) {
        for (int64_t i = 1; i < s.sets; ++i) {
          s.gemm->add_pixel(false, sum_set(i).products + begin, all.products + begin, end - begin);
        }
      });
    }
    if (s.bias) s.bias->run(at_.src[1], at_.scratch, static_cast<float*>(at_.dst[1]));
    const int64_t oc = s.out.c;
    parallel_ranges(s.in.c, 1, [&](int64_t begin, int64_t end) {
      s.transforms->transform_grad(all.products, s.product_point, s.columns, oc, static_cast<float*>(at_.dst[0]),
                                   s.in.c * oc, begin, end);
    });
  }

  // Transforms tiles 2 * first to 2 * (first + count) of src and diff_dst, as pairs (in bf16 two tiles are one word),
  // to rows of the operands from `to` on.
  void transform_pairs(const SumSet& set, int64_t first, int64_t count, int64_t to, ColumnBlock& column_block) const {
    const WinogradSchedule& s = *schedule_;
    TileAt at(s, 2 * first);
    for (int64_t pair = 0; pair < count; ++pair) {
      const void *src[2 * kPoints], *diff[2 * kOut * kOut];
      for (int64_t i = 0; i < 2; ++i) {
        const int64_t t = 2 * (first + pair) + i;
        if (t >= s.tiles) {
          std::fill_n(src + i * kPoints, kPoints, scratch(s.zeros));
          std::fill_n(diff + i * kOut * kOut, kOut * kOut, scratch(s.zeros));
          continue;
        }
        if (pair + i > 0) at.advance(s, t);
        find_source(column_block, at, src + i * kPoints);
        find_sources<kOut>(s, s.out, s.h.targets, s.w.targets, at.has_plain_targets(s), at,
                           static_cast<const char*>(at_.src[1]), scratch(s.zeros), diff + i * kOut * kOut);
      }
      const int64_t row = s.is_bf16 ? to + pair : 2 * (to + pair);
      s.transforms->transform_src_pair(s.is_bf16, src, s.in.c, set.in_words + row * s.in_row, s.in_point, s.in_row);
      s.transforms->transform_diff_pair(s.is_bf16, diff, s.out.c, set.out_words + row * s.out_row, s.out_point,
                                        s.out_row);
    }
  }

  // One of kPoints * panels() products: a point, and one panel of its columns.
  void multiply_panel(const SumSet& set, int64_t index, int64_t depth, bool add) const {
    const WinogradSchedule& s = *schedule_;
    constexpr int64_t kRows = 24;
    const int64_t width = s.width(), panels = s.panels();
    const int64_t p = index / panels, column = index % panels * width;
    // A piece of operand B meets all rows of A while it lies in the cache.
    const int64_t piece = even_piece(depth, kGemmDepth);
    for (int64_t k = 0; k < depth; k += piece) {
      for (int64_t row = 0; row < s.in.c; row += kRows) {
        s.gemm->multiply(s.is_bf16, {.a = set.in_words + p * s.in_point + k * s.in_row + row,
                                     .a_row = 1,
                                     .a_step = s.in_row,
                                     .b = set.out_words + p * s.out_point + k * s.out_row + column,
                                     .b_step = s.out_row,
                                     .c = set.products + p * s.product_point + row * s.columns + column,
                                     .c_row = s.columns,
                                     .rows = std::min(kRows, s.in.c - row),
                                     .vectors = std::min(width, s.columns - column) / kGemmLanes,
                                     .depth = std::min(piece, depth - k),
                                     .add = add || k > 0});
      }
    }
  }

  std::shared_ptr<const WinogradSchedule> schedule_;
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
void list_additions(WinogradSchedule& s) {
  const auto& [h, w] = s.conv.window;
  if (s.conv.padding_mode == PaddingMode::constant || h.pad_begin + h.pad_end + w.pad_begin + w.pad_end == 0) return;
  const int64_t grid_columns = static_cast<int64_t>(s.w.targets.size());
  s.border_columns = w.pad_begin + w.pad_end;
  s.border_pixels = (h.pad_begin + h.pad_end) * grid_columns + h.src * s.border_columns;
  std::map<int64_t, std::vector<WinogradSchedule::Addition>> by_row;
  for (int64_t i = 0; i < h.src + h.pad_begin + h.pad_end; ++i) {
    for (int64_t j = 0; j < w.src + w.pad_begin + w.pad_end; ++j) {
      const int64_t row = s.h.targets[static_cast<std::size_t>(i)], column = s.w.targets[static_cast<std::size_t>(j)];
      if (row >= 0 && column >= 0) continue;
      const int64_t to_row = border_source(s.conv.padding_mode, i - h.pad_begin, h.src);
      const int64_t to_column = border_source(s.conv.padding_mode, j - w.pad_begin, w.src);
      by_row[to_row].push_back({.from = s.border_pixel(row, column, j) * s.out.c,
                                .to = to_row * s.out.stride_h + to_column * s.out.stride_w});
    }
  }
  for (auto& [row, list] : by_row) s.additions.push_back(std::move(list));
}

}  // namespace

Answer plan_winograd(const PlanContext&, const Convolution& conv) {
  if (!is_3x3(conv)) return Declined{"3x3 with stride 1 only"};
  const GemmLoops* loops = gemm_loops(conv.src.dtype);
  if (!has_enough_channels(conv, *loops)) return Declined{"on AVX2, more than 8 channels on both sides only"};
  auto schedule = std::make_shared<WinogradSchedule>();
  WinogradSchedule& s = *schedule;
  s.conv = conv;
  s.gemm = loops;
  s.transforms = winograd_transforms(conv.src.dtype);
  s.is_bf16 = conv.src.dtype == DType::bf16;
  s.threads = omp_get_max_threads();
  const MemoryDesc src = with_tag(conv.src, Tag::nhwc), dst = with_tag(conv.dst, Tag::nhwc);
  const MemoryDesc weights = with_tag(conv.weights, Tag::hwio);
  const auto& [h, w] = conv.window;
  const bool grad_src = conv.direction == Direction::grad_src, grad_weights = conv.direction == Direction::grad_weights;
  s.in = view_of(grad_src ? dst : src);
  s.out = view_of(grad_src ? src : dst);
  s.h = grad_src ? tile_gradient_axis(h, conv.padding_mode) : tile_axis(h.dst, -h.pad_begin, h.src, conv.padding_mode);
  s.w = grad_src ? tile_gradient_axis(w, conv.padding_mode) : tile_axis(w.dst, -w.pad_begin, w.src, conv.padding_mode);
  find_plain_tiles(s.h);
  find_plain_tiles(s.w);
  s.tiles = s.in.n * s.tiles_of_image();
  s.column_block = s.w.tiles;
  if (conv.normalized)
    s.column_block = std::clamp<int64_t>(kColumnBlockBytes / (kRing * kOut * s.pixel_bytes()), 1, s.w.tiles);
  s.columns = up(s.out.c, kGemmLanes);

  ScratchLayout offsets;
  const auto bytes = [](int64_t count) { return static_cast<std::size_t>(count); };
  s.zeros = offsets.add(bytes(up(std::max(s.in.c, s.out.c), kGemmLanes) * s.element()));
  if (grad_weights) {
    s.in_row = up(s.in.c, kGemmLanes);
    s.out_row = s.columns;
    const int64_t tile_bytes = kPoints * (s.in_row + s.out_row) * s.element();
    s.product_point = point_stride(s.in.c * s.columns);
    const int64_t sums_bytes = kPoints * s.product_point * 4;
    const bool apart = sums_bytes <= kOwnSumsBytes;
    if (apart) s.sets = std::min(s.threads, (s.tiles + 1) / 2);
    const int64_t mine = (s.tiles + s.sets - 1) / s.sets;
    const int64_t wanted = apart ? std::max<int64_t>((kBlockBytes - sums_bytes) / tile_bytes, 32)
                                 : std::max(kChunkBytes / tile_bytes, 2 * kGemmDepth);
    const int64_t blocks = (mine + wanted - 1) / wanted;
    s.block = up((mine + blocks - 1) / blocks, 2);
    s.depth = s.is_bf16 ? s.block / 2 : s.block;
    s.in_point = point_stride(s.depth * s.in_row);
    s.out_point = point_stride(s.depth * s.out_row);
    ScratchLayout of_thread;
    s.in_words = offsets.end() + of_thread.add(bytes(kPoints * s.in_point * 4));
    s.out_words = offsets.end() + of_thread.add(bytes(kPoints * s.out_point * 4));
    s.products = offsets.end() + of_thread.add(bytes(sums_bytes));
    s.thread_bytes = of_thread.end();
    offsets.add(of_thread.end() * bytes(s.sets));
    if (conv.has_bias) s.bias.emplace(s.out, s.is_bf16, offsets);
  } else {
    s.depth = s.is_bf16 ? (s.in.c + 1) / 2 : s.in.c;
    s.in_row = up(s.in.c, kGemmLanes) * s.element() / 4;
    s.out_row = s.width();
    const int64_t wanted = std::clamp<int64_t>(kBlockBytes / (kPoints * 4 * (s.in_row + s.out_row)), 8, 96);
    const int64_t blocks = up((s.tiles + wanted - 1) / wanted, s.threads);  // about as many blocks for each thread
    s.block = (s.tiles + blocks - 1) / blocks;
    s.in_point = point_stride(s.block * s.in_row);
    s.product_point = point_stride(s.block * s.out_row);
    s.weights_point = point_stride(s.depth * s.columns);
    s.weights = offsets.add(bytes(kPoints * s.weights_point * 4));
    if (grad_src) {
      list_additions(s);
      s.border = offsets.add(bytes(s.out.n * s.border_pixels * s.out.c * s.element()));
    }
    ScratchLayout of_thread;
    s.in_words = offsets.end() + of_thread.add(bytes(kPoints * s.in_point * 4));
    s.products = offsets.end() + of_thread.add(bytes(kPoints * s.product_point * 4));
    s.thread_bytes = of_thread.end();
    offsets.add(of_thread.end() * bytes(s.threads));
  }
  s.statistics = WrittenStatistics(conv.dst, conv.statistics, parts_of(s.blocks()), offsets);
  if (conv.normalized) {
    s.normalized.emplace(conv);
    s.coefficients = offsets.add(s.normalized->coefficient_bytes());
    s.column_block_bytes = bytes(up((kRing + 1) * s.block_row_bytes(), 64));
    s.column_blocks = offsets.add(2 * s.column_block_bytes * bytes(s.threads));
  }

  KernelPlan plan;
  plan.implementation = isa_of(*loops, conv.src.dtype);
  if (s.is_bf16) plan.rounding = kRoundingBf16;
  plan.scratch_bytes = offsets.end();
  switch (conv.direction) {
    case Direction::forward:
      plan.src = {src, weights};
      plan.dst = {dst};
      s.statistics.add_to(plan);
      if (conv.has_bias) plan.src.push_back(plain({DType::f32, Shape{conv.weights.shape[0]}}));
      if (s.normalized) plan.src = s.normalized->inputs(weights);
      break;
    case Direction::grad_src:
      plan.src = {dst, weights};
      plan.dst = {src};
      break;
    case Direction::grad_weights:
      plan.src = s.normalized ? s.normalized->inputs(dst) : std::vector<MemoryDesc>{src, dst};
      plan.dst = {weights};
      if (s.bias) plan.dst.push_back(plain({DType::f32, Shape{conv.weights.shape[0]}}));
      break;
  }
  plan.kernel = std::make_unique<WinogradKernel>(std::move(schedule));
  return plan;
}

}  // namespace hourglass::kernels
