#include "ops/convolution/onednn_border.h"

#include <algorithm>
#include <array>

#include "ops/convolution/onednn_bands.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"
#include "ops/loops/rows.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {
namespace {

// From this many pixels on, the four small primitives cost less than the copies of bands. Measured with AMX, 32 to 64
// channels: 0.93 of the time at 128x128, 1.3 at 64x64. With 128 channels bands are faster: 85 against 105 ms for the
// standard network's largest convolution.
constexpr int64_t kPixels = 128 * 128, kMostChannels = 64;

// One side of an axis: its border's lines (rows or columns), and the lines of diff_dst whose windows reach them.
struct Side {
  int64_t begin = 0, count = 0;  // counted from the padding's first line
  int64_t dst_begin = 0, dst_count = 0;
  int64_t crop_begin = 0, crop_end = 0;  // lines that these windows reach besides: the primitive crops them, as padding
};

// Lines of the padded axis that any window reaches.
int64_t covered(const WindowAxis& axis) { return (axis.dst - 1) * axis.stride + axis.extent(); }

Side side_before(const WindowAxis& axis) {
  Side side{.count = std::min(axis.pad_begin, covered(axis))};
  if (side.count <= 0) return {};
  side.dst_count = std::min(axis.dst, (side.count - 1) / axis.stride + 1);
  side.crop_end = (side.dst_count - 1) * axis.stride + axis.extent() - side.count;
  return side;
}
Side side_behind(const WindowAxis& axis) {
  Side side{.begin = axis.pad_begin + axis.src};
  side.count = covered(axis) - side.begin;
  if (side.count <= 0) return {};
  side.dst_begin = std::max<int64_t>(0, (side.begin - axis.extent() + axis.stride) / axis.stride);
  side.dst_count = axis.dst - side.dst_begin;
  // No window may reach the first border lines.
  side.begin = std::max(side.begin, side.dst_begin * axis.stride);
  side.count = covered(axis) - side.begin;
  side.crop_begin = side.begin - side.dst_begin * axis.stride;
  return side;
}

// The primitive for one side of the border: above and below whole padded rows, left and right the image's rows alone.
struct Strip {
  Side side;
  bool is_rows = false;
  dnnl::primitive primitive;
  MemoryDesc src, dst, scratchpad;
  int64_t src_row = 0, dst_row = 0;  // elements
  std::size_t src_offset = 0;        // offsets into scratch memory: of its result,
  std::size_t dst_offset = 0;        // and, for columns, of its copy of diff_dst
};

struct BorderSchedule {
  Convolution conv;
  View src, dst;
  dnnl::primitive primitive;  // of the image with zeros around it
  MemoryDesc src_desc, dst_desc, weights, scratchpad;
  std::vector<Strip> strips;
  // columns: the image's column that each padded column shows. shown: for each row of the image, the rows of strips
  // that show it.
  Dims columns;
  struct Shown {
    std::size_t strip;
    int64_t row;
  };
  std::vector<std::vector<Shown>> shown;
  std::size_t scratchpad_offset = 0;
};

class OnednnBorder final : public Kernel {
 public:
  OnednnBorder(std::shared_ptr<const BorderSchedule> schedule, const dnnl::engine& engine)
      : schedule_(std::move(schedule)), engine_(engine) {}

  void bind(const Addresses& at, const dnnl::stream& stream) override {
    at_ = at;
    stream_ = stream;
    const BorderSchedule& s = *schedule_;
    memories_.clear();
    strip_arguments_.clear();
    memories_.reserve(4 * (1 + s.strips.size() * static_cast<std::size_t>(s.dst.n)));
    arguments_ = arguments(s.src_desc, at.dst[0], s.dst_desc, at.src[0], s.scratchpad);
    for (int64_t n = 0; n < s.dst.n; ++n) {
      for (const Strip& strip : s.strips) {
        char* dst = strip.is_rows ? dst_pixel(n, strip.side.dst_begin, 0) : scratch(strip.dst_offset);
        strip_arguments_.push_back(arguments(strip.src, scratch(strip.src_offset), strip.dst, dst, strip.scratchpad));
      }
    }
  }

  void run() noexcept override {
    execute(schedule_->primitive, arguments_);
    for (int64_t n = 0; n < schedule_->dst.n; ++n) {
      copy_columns(n);
      run_strips(n);
      with_element(schedule_->conv.src.dtype == DType::bf16,
                   [&](auto* element) { add_strips<std::remove_pointer_t<decltype(element)>>(n); });
    }
  }

  void run_primitives() noexcept override {
    execute(schedule_->primitive, arguments_);
    for (int64_t n = 0; n < schedule_->dst.n; ++n) run_strips(n);
  }

 private:
  using Arguments = std::vector<dnnl_exec_arg_t>;

  [[nodiscard]] char* scratch(std::size_t offset) const { return static_cast<char*>(at_.scratch) + offset; }
  [[nodiscard]] std::size_t element_bytes() const { return size_of(schedule_->conv.src.dtype); }
  [[nodiscard]] char* src_row(int64_t n, int64_t row) const {
    return static_cast<char*>(at_.dst[0]) +
           static_cast<std::size_t>(schedule_->src.offset(n, 0, row, 0)) * element_bytes();
  }
  [[nodiscard]] char* dst_pixel(int64_t n, int64_t row, int64_t column) const {
    return static_cast<char*>(const_cast<void*>(at_.src[0])) +
           static_cast<std::size_t>(schedule_->dst.offset(n, 0, row, column)) * element_bytes();
  }

  Arguments arguments(const MemoryDesc& src, void* src_data, const MemoryDesc& dst, void* dst_data,
                      const MemoryDesc& scratchpad) {
    Arguments arguments;
    const auto add = [&](int index, const MemoryDesc& desc, void* data) {
      if (desc.get_size() > 0) arguments.push_back({index, memories_.emplace_back(desc, engine_, data).get()});
    };
    add(DNNL_ARG_DIFF_SRC, src, src_data);
    add(DNNL_ARG_DIFF_DST, dst, dst_data);
    add(DNNL_ARG_WEIGHTS, schedule_->weights, const_cast<void*>(at_.src[1]));
    add(DNNL_ARG_SCRATCHPAD, scratchpad, scratch(schedule_->scratchpad_offset));
    return arguments;
  }
  void execute(const dnnl::primitive& primitive, const Arguments& arguments) const noexcept {
    dnnl_primitive_execute(primitive.get(), stream_.get(), static_cast<int>(arguments.size()), arguments.data());
  }
  void run_strips(int64_t n) const noexcept {
    const std::vector<Strip>& strips = schedule_->strips;
    for (std::size_t i = 0; i < strips.size(); ++i) {
      execute(strips[i].primitive, strip_arguments_[static_cast<std::size_t>(n) * strips.size() + i]);
    }
  }

  void copy_columns(int64_t n) const noexcept {
    parallel_for(schedule_->dst.h, [&](int64_t row) {
      for (const Strip& strip : schedule_->strips) {
        if (strip.is_rows) continue;
        const std::size_t bytes = static_cast<std::size_t>(strip.dst_row) * element_bytes();
        std::copy_n(dst_pixel(n, row, strip.side.dst_begin), bytes,
                    scratch(strip.dst_offset) + static_cast<std::size_t>(row) * bytes);
      }
    });
  }

  // Row by row of the image, so that one thread alone adds to a pixel.
  template <class T>
  void add_strips(int64_t n) const noexcept {
    const BorderSchedule& s = *schedule_;
    const int64_t channels = s.src.c;
    const auto row_of = [&](const Strip& strip, int64_t row) {
      return reinterpret_cast<const T*>(scratch(strip.src_offset)) + row * strip.src_row;
    };
    parallel_for(s.src.h, [&](int64_t row) {
      T* to = reinterpret_cast<T*>(src_row(n, row));
      const auto add = [&](const T* from, int64_t padded_column) {
        const int64_t column = s.columns[static_cast<std::size_t>(padded_column)];
        if (column != kOutside) add_run(from, to + column * channels, channels);
      };
      for (const auto& [index, strip_row] : s.shown[static_cast<std::size_t>(row)]) {
        const T* from = row_of(s.strips[index], strip_row);
        const auto reached = static_cast<int64_t>(s.columns.size());
        const int64_t begin = std::min(s.conv.window.w.pad_begin, reached), end = std::min(begin + s.src.w, reached);
        for (int64_t i = 0; i < begin; ++i) add(from + i * channels, i);
        add_run(from + begin * channels, to, (end - begin) * channels);
        for (int64_t i = end; i < reached; ++i) add(from + i * channels, i);
      }
      for (const Strip& strip : s.strips) {
        if (strip.is_rows) continue;
        for (int64_t i = 0; i < strip.side.count; ++i) {
          add(row_of(strip, row) + i * channels, strip.side.begin + i);
        }
      }
    });
  }

  std::shared_ptr<const BorderSchedule> schedule_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  Addresses at_;
  std::vector<dnnl::memory> memories_;
  Arguments arguments_;
  std::vector<Arguments> strip_arguments_;  // image by image
};

MemoryDesc channels_last(DType type, int64_t n, int64_t channels, int64_t rows, int64_t columns) {
  return with_tag({type, Shape{n, channels, rows, columns}}, Tag::nhwc);
}

// Adds the primitive for one side: above or below (is_rows), left or right. False where oneDNN has no kernel for it.
bool make_strip(const dnnl::engine& engine, const Side& side, bool is_rows, BorderSchedule& s) {
  if (side.count == 0) return true;
  const Convolution& conv = s.conv;
  const auto& [h, w] = conv.window;
  const DType type = conv.src.dtype;
  Strip strip;
  strip.side = side;
  strip.is_rows = is_rows;
  ConvolutionSpec spec;
  spec.weights = s.weights;
  spec.strides = conv.window.strides();
  spec.dilations = conv.window.dilations();
  if (is_rows) {
    spec.src = channels_last(type, 1, s.src.c, side.count, covered(w));
    spec.dst = channels_last(type, 1, s.dst.c, side.dst_count, w.dst);
    spec.padding_l = {side.crop_begin, 0};
    spec.padding_r = {side.crop_end, 0};
  } else {
    spec.src = channels_last(type, 1, s.src.c, h.src, side.count);
    spec.dst = channels_last(type, 1, s.dst.c, h.dst, side.dst_count);
    spec.padding_l = {h.pad_begin, side.crop_begin};
    spec.padding_r = {h.reach_end(), side.crop_end};
  }
  const auto desc = make_convolution_backward_data(engine, spec);
  if (!has_fast_implementation(desc)) return false;
  strip.primitive = dnnl::convolution_backward_data(desc);
  strip.src = spec.src;
  strip.dst = spec.dst;
  strip.scratchpad = desc.scratchpad_desc();
  strip.src_row = s.src.c * (is_rows ? covered(w) : side.count);
  strip.dst_row = s.dst.c * (is_rows ? w.dst : side.dst_count);
  s.strips.push_back(std::move(strip));
  return true;
}

}  // namespace

Answer plan_onednn_border(const PlanContext& ctx, const Convolution& conv) {
  if (conv.padding_mode == PaddingMode::constant) return Declined{"the border is constant"};
  if (conv.window.h.src * conv.window.w.src < kPixels) return Declined{fmt::format("fewer than {} pixels", kPixels)};
  if (conv.src.shape[1] > kMostChannels) return Declined{fmt::format("more than {} channels", kMostChannels)};
  if (has_wide_border(conv)) return Declined{"a border that shows many pixels"};
  if (!prefers_channels_last(conv)) return Declined{"oneDNN is faster in another layout"};
  auto schedule = std::make_shared<BorderSchedule>();
  BorderSchedule& s = *schedule;
  s.conv = conv;
  const auto& [h, w] = conv.window;
  s.src_desc = with_tag(conv.src, Tag::nhwc);
  s.dst_desc = with_tag(conv.dst, Tag::nhwc);
  s.src = view_of(s.src_desc);
  s.dst = view_of(s.dst_desc);
  const auto desc = make_convolution_backward_data(ctx.engine, {.src = s.src_desc,
                                                                .weights = any(conv.weights),
                                                                .bias = {},
                                                                .dst = s.dst_desc,
                                                                .strides = conv.window.strides(),
                                                                .dilations = conv.window.dilations(),
                                                                .padding_l = conv.window.padding_l(),
                                                                .padding_r = conv.window.padding_r()});
  if (!has_fast_implementation(desc)) return Declined{"oneDNN has no kernel"};
  s.primitive = dnnl::convolution_backward_data(desc);
  s.weights = desc.weights_desc();
  s.scratchpad = desc.scratchpad_desc();
  for (const Side& side : {side_before(h), side_behind(h)}) {
    if (!make_strip(ctx.engine, side, /*is_rows=*/true, s))
      return Declined{"oneDNN has no kernel for the rows of the border"};
  }
  for (const Side& side : {side_before(w), side_behind(w)}) {
    if (!make_strip(ctx.engine, side, /*is_rows=*/false, s))
      return Declined{"oneDNN has no kernel for the columns of the border"};
  }
  for (int64_t i = 0; i < covered(w); ++i)
    s.columns.push_back(border_source(conv.padding_mode, i - w.pad_begin, w.src));
  s.shown.resize(static_cast<std::size_t>(h.src));
  for (std::size_t index = 0; index < s.strips.size(); ++index) {
    const Strip& strip = s.strips[index];
    for (int64_t i = 0; strip.is_rows && i < strip.side.count; ++i) {
      const int64_t row = border_source(conv.padding_mode, strip.side.begin + i - h.pad_begin, h.src);
      s.shown[static_cast<std::size_t>(row)].push_back({index, i});
    }
  }

  ScratchLayout offsets;
  std::size_t scratchpad = s.scratchpad.get_size();
  for (const Strip& strip : s.strips) scratchpad = std::max(scratchpad, strip.scratchpad.get_size());
  s.scratchpad_offset = offsets.add(scratchpad);
  for (Strip& strip : s.strips) {
    strip.src_offset = offsets.add(strip.src.get_size());
    if (!strip.is_rows) strip.dst_offset = offsets.add(strip.dst.get_size());
  }
  KernelPlan plan{.src = {s.dst_desc, s.weights},
                  .dst = {s.src_desc},
                  .scratch_bytes = offsets.end(),
                  .implementation = implementation_of(desc),
                  .rounding = conv.src.dtype == DType::bf16 ? kBorderRoundingBf16 : 0,
                  .kernel = nullptr};
  plan.kernel = std::make_unique<OnednnBorder>(std::move(schedule), ctx.engine);
  return plan;
}

}  // namespace hourglass::kernels
