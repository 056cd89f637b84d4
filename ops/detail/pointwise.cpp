#include "ops/detail/pointwise.h"

#include <algorithm>

#include "ops/detail/loop.h"
#include "ops/detail/offsets.h"
#include "ops/detail/onednn.h"
#include "ops/detail/view.h"
#include "ops/detail/winograd.h"
#include "ops/detail/winograd_loops.h"

namespace hourglass::detail {
namespace {

constexpr int64_t kLanes = 16;
// Pixels that are multiplied at a time. Fewer stay in the first-level cache; more, where the sums don't, move those
// less often.
constexpr int64_t kFewPixels = 64, kMorePixels = 128;
constexpr int64_t kFewSumsBytes = 16 << 10;
// Rows and columns of one product: they stay in the first-level cache.
constexpr int64_t kRows = 24, kWidth = 64;
// A thread's sums stay in its second-level cache.
constexpr int64_t kSumsBytes = 320 << 10;

int64_t up(int64_t count, int64_t grain) { return (count + grain - 1) / grain * grain; }

struct Layout {
  const WinogradLoops* loops = nullptr;
  bool is_bf16 = false;
  int64_t pixels = 0, parts = 1, block = 0;
  // One of the two sides, source or gradient, makes the rows of the products, the other, with no fewer channels, the
  // columns. `packed`: its pixels are first put into words of the products' form.
  struct Side {
    int64_t channels = 0, words = 0;  // words: of a row of packed ones
    bool packed = false;
  };
  Side rows, columns;
  bool swapped = false;  // the rows are the gradient's
  std::size_t row_words = 0, column_words = 0, sums = 0, part_bytes = 0;

  [[nodiscard]] int64_t element() const { return is_bf16 ? 2 : 4; }
};

class PointwiseKernel final : public Kernel {
 public:
  explicit PointwiseKernel(const Layout& layout) : l_(layout) {}
  void bind(const Addresses& at, const dnnl::stream&) override { at_ = at; }

  void run() noexcept override {
    parallel_for(l_.parts, [&](int64_t part) {
      const int64_t end = begin(part + 1);
      for (int64_t first = begin(part); first < end; first += l_.block) {
        add_block(part, first, std::min(l_.block, end - first), first > begin(part));
      }
    });
    const int64_t count = l_.rows.channels * l_.columns.words;
    parallel_ranges(count, kLanes, [&](int64_t begin, int64_t end) {
      for (int64_t part = 1; part < l_.parts; ++part) {
        l_.loops->add_pixel(false, sums(part) + begin, sums(0) + begin, end - begin);
      }
    });
    auto* weights = static_cast<float*>(at_.dst[0]);
    for (int64_t r = 0; r < l_.rows.channels; ++r) {
      for (int64_t c = 0; c < l_.columns.channels; ++c) {
        weights[l_.swapped ? c * l_.rows.channels + r : r * l_.columns.channels + c] =
            sums(0)[r * l_.columns.words + c];
      }
    }
  }

 private:
  // Even, so that bf16's pairs don't reach into another part.
  [[nodiscard]] int64_t begin(int64_t part) const {
    return part == l_.parts ? l_.pixels : l_.pixels * part / l_.parts & ~int64_t{1};
  }
  template <typename T>
  [[nodiscard]] T* scratch(int64_t part, std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_.scratch) + static_cast<std::size_t>(part) * l_.part_bytes +
                                offset);
  }
  [[nodiscard]] float* sums(int64_t part) const { return scratch<float>(part, l_.sums); }

  struct Words {
    const uint32_t* data = nullptr;
    int64_t step = 0;  // from one depth to the next
  };
  [[nodiscard]] Words words(const Layout::Side& side, std::size_t input, int64_t first, int64_t count,
                            uint32_t* buffer) const {
    const char* pixels = static_cast<const char*>(at_.src[input]) + first * side.channels * l_.element();
    if (!side.packed) return {reinterpret_cast<const uint32_t*>(pixels), side.channels};
    l_.loops->pack(l_.is_bf16, pixels, count, side.channels, buffer, side.words);
    return {buffer, side.words};
  }

  void add_block(int64_t part, int64_t first, int64_t count, bool add) const {
    const std::size_t row_input = l_.swapped ? 1 : 0;
    const Words a = words(l_.rows, row_input, first, count, scratch<uint32_t>(part, l_.row_words));
    const Words b = words(l_.columns, 1 - row_input, first, count, scratch<uint32_t>(part, l_.column_words));
    for (int64_t column = 0; column < l_.columns.words; column += kWidth) {
      for (int64_t row = 0; row < l_.rows.channels; row += kRows) {
        l_.loops->multiply(l_.is_bf16, {.a = a.data + row,
                                        .a_row = 1,
                                        .a_step = a.step,
                                        .b = b.data + column,
                                        .b_step = b.step,
                                        .c = sums(part) + row * l_.columns.words + column,
                                        .c_row = l_.columns.words,
                                        .rows = std::min(kRows, l_.rows.channels - row),
                                        .vectors = std::min(kWidth, l_.columns.words - column) / kLanes,
                                        .depth = l_.is_bf16 ? (count + 1) / 2 : count,
                                        .add = add});
      }
    }
  }

  Layout l_;
  Addresses at_;
};

}  // namespace

std::optional<KernelPlan> plan_pointwise_grad_weights(const Convolution& conv) {
  const auto is_pointwise = [](const WindowAxis& axis) {
    return axis.kernel == 1 && axis.stride == 1 && axis.pad_begin == 0 && axis.pad_end == 0;
  };
  Layout l;
  l.loops = winograd_loops(conv.src.dtype);
  l.is_bf16 = conv.src.dtype == DType::bf16;
  if (l.loops == nullptr || conv.has_bias || !is_pointwise(conv.window.h) || !is_pointwise(conv.window.w) ||
      conv.src.dtype != conv.dst.dtype || conv.weights.dtype != DType::f32) {
    return std::nullopt;
  }
  const int64_t c = conv.src.shape[1], oc = conv.dst.shape[1];
  l.pixels = conv.src.shape.elements() / c;
  l.swapped = oc < c;
  const auto side = [&](int64_t channels, bool whole_vectors) {
    return Layout::Side{.channels = channels,
                        .words = up(channels, kLanes),
                        .packed = l.is_bf16 || (whole_vectors && channels % kLanes != 0)};
  };
  l.rows = side(std::min(c, oc), false);
  l.columns = side(std::max(c, oc), true);
  const int64_t sums_bytes = l.rows.channels * l.columns.words * 4;
  if (l.pixels == 0 || sums_bytes > kSumsBytes) return std::nullopt;
  l.block = sums_bytes <= kFewSumsBytes ? kFewPixels : kMorePixels;
  l.parts = std::min<int64_t>(omp_get_max_threads(), (l.pixels + 1) / 2);
  Offsets offsets;
  const auto bytes = [](int64_t words) { return static_cast<std::size_t>(words) * 4; };
  l.row_words = offsets.add(l.rows.packed ? bytes(l.block * l.rows.words) : 0);
  l.column_words = offsets.add(l.columns.packed ? bytes(l.block * l.columns.words) : 0);
  l.sums = offsets.add(bytes(l.rows.channels * l.columns.words));
  l.part_bytes = offsets.end();

  const MemoryDesc src = with_tag(conv.src, Tag::nhwc), dst = with_tag(conv.dst, Tag::nhwc);
  return KernelPlan{.src = {src, dst},
                    .dst = {with_tag(conv.weights, Tag::hwio)},
                    .scratch_bytes = l.part_bytes * static_cast<std::size_t>(l.parts),
                    .implementation = fmt::format("pointwise:{}{}", l.loops->isa, l.is_bf16 ? "_bf16" : ""),
                    .kernel = std::make_unique<PointwiseKernel>(l)};
}

}  // namespace hourglass::detail
