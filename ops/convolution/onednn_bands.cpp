#include "ops/convolution/onednn_bands.h"

#include <omp.h>

#include <algorithm>
#include <map>

#include "ops/convolution/padded_bands.h"
#include "ops/convolution/source.h"
#include "ops/loops/parallel.h"
#include "ops/loops/rows.h"
#include "ops/memory/onednn.h"
#include "ops/memory/scratch_layout.h"
#include "ops/memory/view.h"
#include "ops/normalization/written_statistics.h"
#include "ops/simd/isa.h"

namespace hourglass::kernels {
namespace {

// A band fills the last-level cache: larger is better, since each band costs up to three barriers between threads.
constexpr int64_t kBandBytes = 8 << 20;

// Layouts to try for the bands, best first. Measured with oneDNN 2.6 on AVX-512 with bf16 (Zen 4): forward,
// channels-last is the fastest; backward, its kernels are slower than the blocked ones where both sides fill blocks of
// 16; with up to 8 channels on a side, f32 does best with blocks of 8. On AVX2 (Zen 3) blocks of 8 are the fastest, for
// gradients of weights by two to five times; gradients come to them because oneDNN has no other kernel there but its
// reference. SSE4.1 has gradients in plain layouts only. oneDNN uses AMX with channels-last only: gradients of the
// standard network in blocks take ten times as long (hourglass bench ops --model standard --precision bf16, Xeon with
// AMX: 2720 ms an iteration against 609).
std::vector<Tag> layouts(const Convolution& conv) {
  const int64_t narrow = std::min(conv.src.shape[1], conv.dst.shape[1]);
  const bool few = narrow > 4 && narrow <= 8 && conv.src.dtype == DType::f32;
  const bool forward = conv.direction == Direction::forward;
  if (few || (forward && !has(Isa::avx512))) {
    return {Tag::nChw8c, Tag::nhwc, Tag::nchw, Tag::any};
  }
  const bool by_amx = conv.src.dtype == DType::bf16 && has(Isa::amx);
  if (forward || narrow < 16 || by_amx) return {Tag::nhwc, Tag::nChw8c, Tag::nchw, Tag::any};
  return {Tag::nChw16c, Tag::nChw8c, Tag::nhwc, Tag::nchw, Tag::any};
}

// The primitive for one size of band, in the same form for all three directions.
struct BandPrimitive {
  dnnl::primitive primitive;
  MemoryDesc src, weights, dst, scratchpad;
  std::string implementation;
  View src_view, dst_view;
};

template <typename Primitive, typename Desc>
std::optional<BandPrimitive> finish(const Desc& desc, const MemoryDesc& src, const MemoryDesc& weights,
                                    const MemoryDesc& dst) {
  if (!is_viewable(src) || !is_viewable(dst)) return std::nullopt;
  return BandPrimitive{.primitive = Primitive(desc),
                       .src = src,
                       .weights = weights,
                       .dst = dst,
                       .scratchpad = desc.scratchpad_desc(),
                       .implementation = implementation_of(desc),
                       .src_view = view_of(src),
                       .dst_view = view_of(dst)};
}

std::optional<BandPrimitive> make_primitive(const dnnl::engine& engine, Direction direction,
                                            const ConvolutionSpec& spec) {
  switch (direction) {
    case Direction::forward: {
      const auto desc = make_convolution(engine, spec);
      if (!desc) break;
      return finish<dnnl::convolution_forward>(desc, desc.src_desc(), desc.weights_desc(), desc.dst_desc());
    }
    case Direction::grad_src: {
      const auto desc = make_convolution_backward_data(engine, spec);
      if (!desc) break;
      return finish<dnnl::convolution_backward_data>(desc, desc.diff_src_desc(), desc.weights_desc(),
                                                     desc.diff_dst_desc());
    }
    case Direction::grad_weights: {
      const auto desc = make_convolution_backward_weights(engine, spec);
      if (!desc) break;
      return finish<dnnl::convolution_backward_weights>(desc, desc.src_desc(), desc.diff_weights_desc(),
                                                        desc.diff_dst_desc());
    }
  }
  return std::nullopt;
}

// Whether the image is channels-last without gaps between its rows.
bool is_one_run(const View& v) { return v.is_channels_last() && v.stride_h == v.w * v.c; }

struct BandsSchedule {
  explicit BandsSchedule(Convolution convolution)
      : conv(std::move(convolution)), padding(conv.window, conv.padding_mode) {}

  Convolution conv;
  Tag layout = Tag::nhwc;  // of the bands
  PaddedImage padding;
  std::vector<Band> bands;
  std::vector<BandPrimitive> primitives;                // one per size of band
  std::vector<std::size_t> primitive_of;                // of each band
  std::vector<std::vector<PaddedImage::Row>> complete;  // grad_src: of each band
  MemoryDesc src, weights, dst, bias;                   // the graph's, as the kernel wants them
  View src_view, dst_view;
  std::optional<NormalizedSource> normalized;
  WrittenStatistics statistics;
  // Where the primitive works on the graph's own memory, without a copy.
  bool src_in_place = false, dst_in_place = false, weights_in_place = false;
  // Offsets into scratch memory.
  std::size_t scratchpad = 0, band_src = 0, band_dst = 0, left_over = 0, band_weights = 0, weights_sum = 0,
              band_bias = 0;
  // A normalised source: its coefficients, and for each thread a row and a buffer for it.
  std::size_t coefficients = 0, normal_rows = 0, normal_row_bytes = 0;
};

class OnednnBands final : public Kernel {
 public:
  OnednnBands(std::shared_ptr<const BandsSchedule> schedule, const dnnl::engine& engine)
      : schedule_(std::move(schedule)), engine_(engine) {}

  void bind(const Addresses& at, const dnnl::stream& stream) override {
    stream_ = stream;
    at_ = at;
    memories_.clear();
    arguments_.assign(schedule_->bands.size(), {});
    memories_.reserve(8 * schedule_->bands.size() + 4);
    for (std::size_t b = 0; b < schedule_->bands.size(); ++b) bind_band(b);
    const BandsSchedule& s = *schedule_;
    if (s.weights_in_place) return;
    // Weights are reordered into the primitive's layout, their gradient out of it.
    const MemoryDesc& inner = s.primitives[0].weights;
    const bool leaves = s.conv.direction == Direction::grad_weights;
    const auto reorder = leaves ? make_reorder(engine_, inner, s.weights) : make_reorder(engine_, s.weights, inner);
    weights_reorder_ = dnnl::reorder(reorder);
    reorder_arguments_.clear();
    const auto add = [&](int index, const MemoryDesc& desc, void* address) {
      if (desc.get_size() > 0) reorder_arguments_.push_back({index, remember(desc, address).get()});
    };
    add(leaves ? DNNL_ARG_FROM : DNNL_ARG_TO, inner, scratch(leaves ? s.weights_sum : s.band_weights));
    add(leaves ? DNNL_ARG_TO : DNNL_ARG_FROM, s.weights, leaves ? at.dst[0] : at.src[1]);
    add(DNNL_ARG_SCRATCHPAD, reorder.scratchpad_desc(), scratch(s.scratchpad));
  }

  void run() noexcept override {
    const BandsSchedule& s = *schedule_;
    const bool gradient = s.conv.direction == Direction::grad_weights;
    if (!s.weights_in_place && !gradient) execute(weights_reorder_, reorder_arguments_);
    if (s.normalized) s.normalized->set_coefficients(at_, static_cast<float*>(scratch(s.coefficients)));
    s.statistics.begin(at_);
    for (std::size_t b = 0; b < s.bands.size(); ++b) run_band(b);
    s.statistics.end(at_);
    if (!s.weights_in_place && gradient) execute(weights_reorder_, reorder_arguments_);
  }

  // Copies and normalisation are left out.
  void run_primitives() noexcept override {
    const BandsSchedule& s = *schedule_;
    for (std::size_t b = 0; b < s.bands.size(); ++b) execute(s.primitives[s.primitive_of[b]].primitive, arguments_[b]);
  }

 private:
  [[nodiscard]] void* scratch(std::size_t offset) const { return static_cast<char*>(at_.scratch) + offset; }

  const dnnl::memory& remember(const MemoryDesc& desc, void* address) {
    return memories_.emplace_back(desc, engine_, address);
  }

  void execute(const dnnl::primitive& primitive, const std::vector<dnnl_exec_arg_t>& arguments) noexcept {
    dnnl_primitive_execute(primitive.get(), stream_.get(), static_cast<int>(arguments.size()), arguments.data());
  }

  // The graph's src (or diff_src) and dst (or diff_dst).
  [[nodiscard]] Pixels src() const {
    void* data = schedule_->conv.direction == Direction::grad_src ? at_.dst[0] : at_.src[0];
    return {.view = schedule_->src_view, .type = schedule_->conv.src.dtype, .data = data};
  }
  [[nodiscard]] Pixels dst() const {
    void* data = nullptr;
    switch (schedule_->conv.direction) {
      case Direction::forward: data = at_.dst[0]; break;
      case Direction::grad_src: data = at_.src[0]; break;
      case Direction::grad_weights: data = at_.src[1]; break;
    }
    return {.view = schedule_->dst_view, .type = schedule_->conv.dst.dtype, .data = data};
  }
  [[nodiscard]] Pixels band_pixels(const View& view, std::size_t offset) const {
    return {.view = view, .type = schedule_->conv.src.dtype, .data = scratch(offset)};
  }
  // Address of row `row` of image `n`.
  static void* row_address(const Pixels& pixels, int64_t n, int64_t row) {
    return static_cast<char*>(pixels.data) +
           static_cast<std::size_t>(pixels.view.offset(n, 0, row, 0)) * size_of(pixels.type);
  }

  void bind_band(std::size_t b) {
    const BandsSchedule& s = *schedule_;
    const Band& band = s.bands[b];
    const BandPrimitive& p = s.primitives[s.primitive_of[b]];
    auto& arguments = arguments_[b];
    const auto add = [&](int index, const MemoryDesc& desc, void* address) {
      if (desc.get_size() > 0) arguments.push_back({index, remember(desc, address).get()});
    };
    void* src_data = s.src_in_place ? row_address(src(), band.image, band.src_begin) : scratch(s.band_src);
    void* dst_data = s.dst_in_place ? row_address(dst(), band.image, band.dst_begin) : scratch(s.band_dst);
    add(DNNL_ARG_SCRATCHPAD, p.scratchpad, scratch(s.scratchpad));
    switch (s.conv.direction) {
      case Direction::forward:
        add(DNNL_ARG_SRC, p.src, src_data);
        add(DNNL_ARG_DST, p.dst, dst_data);
        add(DNNL_ARG_WEIGHTS, p.weights, s.weights_in_place ? at_.src[1] : scratch(s.band_weights));
        if (s.conv.has_bias) add(DNNL_ARG_BIAS, s.bias, at_.src[s.conv.bias_input()]);
        break;
      case Direction::grad_src:
        add(DNNL_ARG_DIFF_SRC, p.src, src_data);
        add(DNNL_ARG_DIFF_DST, p.dst, dst_data);
        add(DNNL_ARG_WEIGHTS, p.weights, s.weights_in_place ? at_.src[1] : scratch(s.band_weights));
        break;
      case Direction::grad_weights:
        add(DNNL_ARG_SRC, p.src, src_data);
        add(DNNL_ARG_DIFF_DST, p.dst, dst_data);
        add(DNNL_ARG_DIFF_WEIGHTS, p.weights, b == 0 ? sum_weights() : scratch(s.band_weights));
        if (s.conv.has_bias) add(DNNL_ARG_DIFF_BIAS, s.bias, b == 0 ? at_.dst[1] : scratch(s.band_bias));
        break;
    }
  }

  [[nodiscard]] void* sum_weights() const {
    return schedule_->weights_in_place ? at_.dst[0] : scratch(schedule_->weights_sum);
  }

  void run_band(std::size_t b) noexcept {
    const BandsSchedule& s = *schedule_;
    const Band& band = s.bands[b];
    const BandPrimitive& p = s.primitives[s.primitive_of[b]];
    const bool forward = s.conv.direction == Direction::forward;
    if (s.normalized) {
      s.padding.gather(src(), NormalizedRows(*this, band.image), band, band_pixels(p.src_view, s.band_src));
    } else if (s.conv.direction != Direction::grad_src && !s.src_in_place) {
      s.padding.gather(src(), band, band_pixels(p.src_view, s.band_src));
    }
    if (!forward && !s.dst_in_place) {
      copy_rows(dst(), band.image, band.dst_begin, band_pixels(p.dst_view, s.band_dst), 0, 0, band.dst_rows);
    }
    execute(p.primitive, arguments_[b]);
    if (forward && !s.dst_in_place) {
      copy_rows(band_pixels(p.dst_view, s.band_dst), 0, 0, dst(), band.image, band.dst_begin, band.dst_rows);
    }
    if (s.statistics.wanted()) {
      const int64_t parts = parts_of(s.conv.window.h.dst);
      parallel_for(parts, [&](int64_t part) {
        for (int64_t i = band.dst_rows * part / parts; i < band.dst_rows * (part + 1) / parts; ++i) {
          s.statistics.add(at_, part, row_address(dst(), band.image, band.dst_begin + i), s.conv.window.w.dst);
        }
        if (b + 1 == s.bands.size()) s.statistics.end_part(at_, part);
      });
    }
    if (s.conv.direction == Direction::grad_src && !s.src_in_place) fold(b);
    if (s.conv.direction == Direction::grad_weights && b > 0) {
      const auto add = [](void* from, void* sum, int64_t count) {
        parallel_ranges(count, 4096, [&](int64_t begin, int64_t end) {
          add_run(static_cast<const float*>(from) + begin, static_cast<float*>(sum) + begin, end - begin);
        });
      };
      add(scratch(s.band_weights), sum_weights(), padded_elements(p.weights));
      if (s.conv.has_bias) add(scratch(s.band_bias), at_.dst[1], s.conv.dst.shape[1]);
    }
  }

  // Rows of a normalised image, each made by the thread that asks for it.
  class NormalizedRows final : public PaddedImage::Rows {
   public:
    NormalizedRows(const OnednnBands& kernel, int64_t image) : kernel_(kernel), image_(image) {}
    [[nodiscard]] const void* row(int64_t row) const override { return kernel_.normalized_row(image_, row); }

   private:
    const OnednnBands& kernel_;
    int64_t image_;
  };
  [[nodiscard]] const void* normalized_row(int64_t image, int64_t row) const {
    const BandsSchedule& s = *schedule_;
    const auto mine = static_cast<std::size_t>(2 * omp_get_thread_num()) * s.normal_row_bytes;
    char* to = static_cast<char*>(scratch(s.normal_rows)) + mine;
    s.normalized->read(at_, static_cast<const float*>(scratch(s.coefficients)), image, row, 0, s.conv.window.w.src, to,
                       to + s.normal_row_bytes);
    return to;
  }

  void fold(std::size_t b) noexcept {
    const BandsSchedule& s = *schedule_;
    const Band& band = s.bands[b];
    const Pixels made = band_pixels(s.primitives[s.primitive_of[b]].src_view, s.band_src);
    const Pixels kept = left_over(made);
    s.padding.fold(s.complete[b], made, kept, src(), band.image);
    const bool goes_on = b + 1 < s.bands.size() && s.bands[b + 1].image == band.image;
    if (goes_on && kept.view.h > 0) copy_rows(made, 0, band.src_rows - kept.view.h, kept, 0, 0, kept.view.h);
  }

  // Memory for the rows that neighbouring bands share, laid out as the band is.
  [[nodiscard]] Pixels left_over(const Pixels& band) const {
    Pixels kept = band;
    View& v = kept.view;
    v.h = overlap_of(schedule_->conv.window.h);
    if (v.groups > 1) v.stride_g = v.h * v.w * v.block;
    kept.data = scratch(schedule_->left_over);
    return kept;
  }

  std::shared_ptr<const BandsSchedule> schedule_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  Addresses at_;
  std::vector<dnnl::memory> memories_;
  std::vector<std::vector<dnnl_exec_arg_t>> arguments_;
  dnnl::primitive weights_reorder_;
  std::vector<dnnl_exec_arg_t> reorder_arguments_;
};

// The primitive's problem for a band of that size: no padding, the copy has it.
ConvolutionSpec spec_of(const Convolution& conv, Tag layout, const Band& band,
                        const std::optional<MemoryDesc>& weights) {
  const Window& window = conv.window;
  const bool gradient = conv.direction == Direction::grad_weights;
  const int64_t columns = window.w.src + window.w.pad_begin + window.w.pad_end;
  const auto activation = [&](int64_t channels, int64_t rows, int64_t width) {
    return with_tag({conv.src.dtype, Shape{1, channels, rows, width}}, layout);
  };
  return {.src = activation(conv.src.shape[1], band.src_rows, columns),
          .weights = weights ? *weights : any({gradient ? DType::f32 : conv.src.dtype, conv.weights.shape}),
          .bias = conv.has_bias ? plain({DType::f32, Shape{conv.weights.shape[0]}}) : MemoryDesc(),
          .dst = activation(conv.dst.shape[1], band.dst_rows, window.w.dst),
          .strides = window.strides(),
          .dilations = window.dilations(),
          .padding_l = {0, 0},
          .padding_r = {0, 0}};
}

int64_t band_rows(const Convolution& conv) {
  if (conv.band_rows > 0) return conv.band_rows;
  const auto& [h, w] = conv.window;
  const auto bytes = static_cast<int64_t>(size_of(conv.src.dtype));
  const int64_t row_bytes = bytes * (conv.src.shape[1] * w.src * h.stride + conv.dst.shape[1] * w.dst);
  return std::max<int64_t>(8, kBandBytes / row_bytes);
}

// Cuts the image into bands and makes their primitives. False where oneDNN has no primitive for a band, or where the
// gradient of some row would need rows of an earlier band that are not in the overlap.
bool cut(const dnnl::engine& engine, int64_t rows, BandsSchedule& s) {
  const Convolution& conv = s.conv;
  s.bands = cut_into_bands(conv.window.h, conv.src.shape[0], rows);
  s.primitives.clear();
  s.primitive_of.clear();
  if (conv.direction == Direction::grad_src) {
    s.complete = s.padding.completed_rows(s.bands, overlap_of(conv.window.h));
    if (s.complete.empty()) return false;
  }
  std::map<std::pair<int64_t, int64_t>, std::size_t> known;
  for (const Band& band : s.bands) {
    const auto [at, is_new] = known.try_emplace({band.src_rows, band.dst_rows}, s.primitives.size());
    if (is_new) {
      std::optional<MemoryDesc> weights;
      if (!s.primitives.empty()) weights = s.primitives[0].weights;
      auto primitive = make_primitive(engine, conv.direction, spec_of(conv, s.layout, band, weights));
      if (!primitive) return false;
      s.primitives.push_back(std::move(*primitive));
    }
    s.primitive_of.push_back(at->second);
  }
  return true;
}

// Whether bands are worth their copies even though the border is constant and channels-last needs none: where blocked
// layouts are much faster, or where a whole image would take too much scratch memory.
bool prefers_bands(const Convolution& conv) {
  if (conv.direction == Direction::forward) return false;
  const int64_t narrow = std::min(conv.src.shape[1], conv.dst.shape[1]);
  const bool is_1x1 = conv.window.h.kernel == 1 && conv.window.w.kernel == 1;
  // oneDNN's backward 1x1 kernels in bf16 want scratch memory of several times the image.
  if (is_1x1 && conv.src.dtype == DType::bf16) return true;
  return conv.direction == Direction::grad_weights && narrow >= (is_1x1 ? 64 : 16);
}

}  // namespace

bool prefers_channels_last(const Convolution& conv) { return layouts(conv).front() == Tag::nhwc; }

Answer plan_onednn_bands(const PlanContext& ctx, const Convolution& conv) {
  const bool has_border = conv.padding_mode != PaddingMode::constant;
  // The source is normalised while it is copied, and only a border makes that copy necessary.
  if (conv.normalized && !has_border) return Declined{"normalises only what it copies for its border"};
  if (!has_border && !prefers_bands(conv)) return Declined{"the border is constant, and bands are no faster"};
  auto schedule = std::make_shared<BandsSchedule>(conv);
  BandsSchedule& s = *schedule;
  const auto can = [&](Tag layout) {
    s.layout = layout;
    return cut(ctx.engine, band_rows(conv), s) || cut(ctx.engine, conv.window.h.dst, s);
  };
  const auto can_fast = [&](Tag layout) { return can(layout) && !is_reference(s.primitives[0].implementation); };
  const std::vector<Tag> candidates = layouts(conv);
  if (std::none_of(candidates.begin(), candidates.end(), can_fast) &&
      std::none_of(candidates.begin(), candidates.end(), can)) {
    return Declined{"oneDNN has no kernel, or the bands' gradients can't be folded"};
  }

  const BandPrimitive& primitive = s.primitives[0];
  const auto read = [&](std::size_t i, const TensorType& type) {
    if (ctx.policy == LayoutPolicy::channels_last) return with_tag(type, Tag::nhwc);
    return is_viewable(ctx.src[i]) ? ctx.src[i] : in_layout_of(primitive.src, type);
  };
  const auto write = [&](const MemoryDesc& like, const TensorType& type) {
    const bool last = ctx.policy == LayoutPolicy::channels_last || conv.statistics;
    return last ? with_tag(type, Tag::nhwc) : in_layout_of(like, type);
  };
  switch (conv.direction) {
    case Direction::forward:
      s.src = conv.normalized ? with_tag(conv.src, Tag::nhwc) : read(0, conv.src);
      s.dst = write(primitive.dst, conv.dst);
      break;
    case Direction::grad_src:
      s.src = write(primitive.src, conv.src);
      s.dst = read(0, conv.dst);
      break;
    case Direction::grad_weights:
      s.src = read(0, conv.src);
      s.dst = read(1, conv.dst);
      break;
  }
  s.src_view = view_of(s.src);
  s.dst_view = view_of(s.dst);
  if (conv.has_bias) s.bias = plain({DType::f32, Shape{conv.weights.shape[0]}});
  const bool same_type = conv.weights.dtype == from_dnnl(blocking_of(primitive.weights).data_type);
  s.weights = same_type ? primitive.weights : plain(conv.weights);
  s.weights_in_place = same_type;
  const bool padded =
      conv.window.h.pad_begin + conv.window.h.pad_end + conv.window.w.pad_begin + conv.window.w.pad_end > 0;
  // Without padding, overlapping gradients still have to be added up.
  const bool adds = conv.direction == Direction::grad_src && overlap_of(conv.window.h) > 0 && s.bands.size() > 1;
  s.src_in_place = !padded && !adds && !conv.normalized && is_one_run(s.src_view) && is_one_run(primitive.src_view);
  s.dst_in_place = is_one_run(s.dst_view) && is_one_run(primitive.dst_view);

  const auto largest = [&](const auto& bytes) {
    std::size_t most = 0;
    for (const BandPrimitive& p : s.primitives) most = std::max(most, bytes(p));
    return most;
  };
  ScratchLayout offsets;
  s.scratchpad = offsets.add(largest([](const BandPrimitive& p) { return p.scratchpad.get_size(); }));
  const std::size_t src_bytes = largest([](const BandPrimitive& p) { return p.src.get_size(); });
  if (!s.src_in_place) s.band_src = offsets.add(src_bytes);
  if (!s.dst_in_place) s.band_dst = offsets.add(largest([](const BandPrimitive& p) { return p.dst.get_size(); }));
  if (adds) s.left_over = offsets.add(src_bytes);
  const bool sums = conv.direction == Direction::grad_weights && s.bands.size() > 1;
  if (sums || (!s.weights_in_place && conv.direction != Direction::grad_weights)) {
    s.band_weights = offsets.add(primitive.weights.get_size());
  }
  if (!s.weights_in_place && conv.direction == Direction::grad_weights) {
    s.weights_sum = offsets.add(primitive.weights.get_size());
  }
  if (sums && conv.has_bias) s.band_bias = offsets.add(s.bias.get_size());
  s.statistics = WrittenStatistics(conv.dst, conv.statistics, parts_of(conv.window.h.dst), offsets);
  if (conv.normalized) {
    s.normalized.emplace(conv);
    s.coefficients = offsets.add(s.normalized->coefficient_bytes());
    s.normal_row_bytes = static_cast<std::size_t>(up(s.src_view.w * s.src_view.c, 64)) * size_of(conv.src.dtype);
    s.normal_rows = offsets.add(2 * s.normal_row_bytes * static_cast<std::size_t>(omp_get_max_threads()));
  }

  KernelPlan plan;
  switch (conv.direction) {
    case Direction::forward:
      plan.src = {s.src, s.weights};
      plan.dst = {s.dst};
      s.statistics.add_to(plan);
      if (conv.has_bias) plan.src.push_back(s.bias);
      if (s.normalized) plan.src = s.normalized->inputs(s.weights);
      break;
    case Direction::grad_src:
      plan.src = {s.dst, s.weights};
      plan.dst = {s.src};
      if (!s.src_in_place && conv.src.dtype == DType::bf16) plan.rounding = kBorderRoundingBf16;
      break;
    case Direction::grad_weights:
      plan.src = {s.src, s.dst};
      plan.dst = {s.weights};
      if (conv.has_bias) plan.dst.push_back(s.bias);
      break;
  }
  plan.scratch_bytes = offsets.end();
  if (s.normalized) plan.rounding = std::max(plan.rounding, s.normalized->rounding());
  plan.implementation =
      fmt::format("{} in {} band{}", primitive.implementation, s.bands.size(), s.bands.size() == 1 ? "" : "s");
  plan.kernel = std::make_unique<OnednnBands>(std::move(schedule), ctx.engine);
  return plan;
}

}  // namespace hourglass::kernels
