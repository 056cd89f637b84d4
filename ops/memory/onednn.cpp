#include "ops/memory/onednn.h"

#include <algorithm>

#include "graph/error.h"
#include "graph/text.h"

namespace hourglass {
namespace kernels {

using DataType = dnnl::memory::data_type;

DataType to_dnnl(DType dtype) {
  switch (dtype) {
    case DType::f32: return DataType::f32;
    case DType::bf16: return DataType::bf16;
    case DType::f16: return DataType::f16;
    case DType::i32:
    case DType::i64: return DataType::s32;  // indices and counts, which 32 bits hold
    case DType::u8:
    case DType::boolean: return DataType::u8;
    case DType::i8: return DataType::s8;
    case DType::f64: break;
  }
  fail("no kernel computes with {} elements", dtype);
}

DType from_dnnl(DataType type) {
  switch (type) {
    case DataType::f32: return DType::f32;
    case DataType::bf16: return DType::bf16;
    case DataType::f16: return DType::f16;
    case DataType::s32: return DType::i32;
    case DataType::u8: return DType::u8;
    case DataType::s8: return DType::i8;
    default: break;
  }
  fail("oneDNN data type {} is not known", static_cast<int>(type));
}

dnnl::engine make_engine() {
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
#if DNNL_VERSION_MAJOR < 3
  // oneDNN 2.6 looks reorders up in a std::map by operator[] and without a lock, so the first descriptor for a pair of
  // types writes to the map. Once every pair was asked for, later look-ups only read.
  [[maybe_unused]] static const bool is_filled = [&] {
    const DataType types[] = {DataType::f32, DataType::bf16, DataType::f16, DataType::s32, DataType::s8, DataType::u8};
    for (const DataType from : types) {
      for (const DataType to : types) {
        const MemoryDesc src({1}, from, Tag::a), dst({1}, to, Tag::a);
        dnnl_primitive_desc_t desc = nullptr;
        // Some pairs have no reorder.
        dnnl_reorder_primitive_desc_create(&desc, &src.data, engine.get(), &dst.data, engine.get(), nullptr);
        dnnl_primitive_desc_destroy(desc);
      }
    }
    return true;
  }();
#endif
  return engine;
}

dnnl::memory::dims to_dnnl(const Shape& shape) {
  if (shape.rank() == 0) return {1};
  return {shape.dims().begin(), shape.dims().end()};
}

MemoryDesc plain(const TensorType& type) {
  const dnnl::memory::dims dims = to_dnnl(type.shape);
  dnnl::memory::dims strides(dims.size(), 1);
  for (std::size_t i = dims.size() - 1; i-- > 0;) strides[i] = strides[i + 1] * std::max<int64_t>(dims[i + 1], 1);
  return {dims, to_dnnl(type.dtype), strides};
}

MemoryDesc any(const TensorType& type) { return {to_dnnl(type.shape), to_dnnl(type.dtype), Tag::any}; }
MemoryDesc any(const MemoryDesc& like) { return any(like, like); }
MemoryDesc any(const MemoryDesc& like, const MemoryDesc& typed) {
#if DNNL_VERSION_MAJOR >= 3
  return {like.get_dims(), typed.get_data_type(), Tag::any};
#else
  return {like.dims(), typed.data_type(), Tag::any};
#endif
}

MemoryDesc with_tag(const TensorType& type, Tag tag) { return {to_dnnl(type.shape), to_dnnl(type.dtype), tag}; }

Blocking blocking_of(const MemoryDesc& desc) {
  Blocking b;
#if DNNL_VERSION_MAJOR >= 3
  if (desc.get_format_kind() != dnnl::memory::format_kind::blocked) fail("layout is opaque");
  b.dims = desc.get_dims();
  b.padded_dims = desc.get_padded_dims();
  b.strides = desc.get_strides();
  b.inner_blocks = desc.get_inner_blks();
  b.inner_axes = desc.get_inner_idxs();
  b.offset = desc.get_submemory_offset();
  b.data_type = desc.get_data_type();
#else
  const dnnl_memory_desc_t& md = desc.data;
  if (md.format_kind != dnnl_blocked) fail("layout is opaque");
  const auto rank = static_cast<std::size_t>(md.ndims);
  const dnnl_blocking_desc_t& blk = md.format_desc.blocking;
  b.dims.assign(md.dims, md.dims + rank);
  b.padded_dims.assign(md.padded_dims, md.padded_dims + rank);
  b.strides.assign(blk.strides, blk.strides + rank);
  b.inner_blocks.assign(blk.inner_blks, blk.inner_blks + blk.inner_nblks);
  b.inner_axes.assign(blk.inner_idxs, blk.inner_idxs + blk.inner_nblks);
  b.offset = md.offset0;
  b.data_type = static_cast<DataType>(md.data_type);
#endif
  return b;
}

bool is_plain(const MemoryDesc& desc) {
  const Blocking b = blocking_of(desc);
  if (!b.inner_blocks.empty()) return false;
  int64_t expected = 1;
  for (std::size_t i = b.dims.size(); i-- > 0;) {
    if (b.dims[i] != 1 && b.strides[i] != expected) return false;
    expected *= b.dims[i];
  }
  return true;
}

MemoryDesc in_layout_of(const MemoryDesc& like, const TensorType& type) {
  const Blocking b = blocking_of(like);
  if (type.shape.rank() != 4 || b.dims.size() != 4) return plain(type);
  if (b.inner_blocks.size() == 1 && b.inner_axes[0] == 1) {
    if (b.inner_blocks[0] == 16) return with_tag(type, Tag::nChw16c);
    if (b.inner_blocks[0] == 8) return with_tag(type, Tag::nChw8c);
    if (b.inner_blocks[0] == 4) return with_tag(type, Tag::nChw4c);
  }
  if (b.inner_blocks.empty() && b.strides[1] == 1 && !is_plain(like)) return with_tag(type, Tag::nhwc);
  return plain(type);
}

MemoryDesc with_type(const MemoryDesc& like, const TensorType& type) {
  const Blocking b = blocking_of(like);
  return b.inner_blocks.empty() ? MemoryDesc(b.dims, to_dnnl(type.dtype), b.strides) : in_layout_of(like, type);
}

std::string describe(const MemoryDesc& desc) {
  const Blocking b = blocking_of(desc);
  std::string layout = "strided";
  if (is_plain(desc)) {
    layout = "plain";
  } else if (b.dims.size() == 4 && b.inner_blocks.empty() && b.strides[1] == 1) {
    layout = b.strides[0] < b.strides[2] ? "hwoi" : "nhwc";
  } else if (b.dims.size() == 4 && b.inner_blocks.empty() && b.strides[0] == 1) {
    layout = "hwio";
  } else if (b.inner_blocks.size() == 1 && b.inner_axes[0] == 1) {
    layout = fmt::format("nChw{}c", b.inner_blocks[0]);
  } else if (!b.inner_blocks.empty()) {
    layout = fmt::format("blocked{}", join(b.inner_blocks, "x"));
  }
  return fmt::format("{}:{}:{}", from_dnnl(b.data_type), join(b.dims, "x"), layout);
}

dnnl::primitive_attr scratchpad_attr() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

namespace {

class PrimitiveKernel final : public Kernel {
 public:
  PrimitiveKernel(dnnl::primitive primitive, const dnnl::engine& engine, std::vector<Argument> arguments)
      : primitive_(std::move(primitive)), engine_(engine), arguments_(std::move(arguments)) {}

  void bind(const Addresses& addresses, const dnnl::stream& stream) override {
    stream_ = stream;
    memories_.clear();
    exec_args_.clear();
    memories_.reserve(arguments_.size());
    for (const Argument& argument : arguments_) {
      if (argument.desc.get_size() == 0) continue;
      void* address = nullptr;
      switch (argument.from) {
        case Argument::From::src: address = addresses.src[static_cast<std::size_t>(argument.index)]; break;
        case Argument::From::dst: address = addresses.dst[static_cast<std::size_t>(argument.index)]; break;
        case Argument::From::scratchpad: address = addresses.scratch; break;
        case Argument::From::scratch: address = static_cast<char*>(addresses.scratch) + argument.index; break;
      }
      memories_.emplace_back(argument.desc, engine_, address);
      exec_args_.push_back({argument.dnnl_arg, memories_.back().get()});
    }
  }

  void run() noexcept override {
    // Can only fail on a broken argument list; bind() made the arguments from the descriptor's own layouts.
    dnnl_primitive_execute(primitive_.get(), stream_.get(), static_cast<int>(exec_args_.size()), exec_args_.data());
  }

 private:
  dnnl::primitive primitive_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  std::vector<Argument> arguments_;
  std::vector<dnnl::memory> memories_;
  std::vector<dnnl_exec_arg_t> exec_args_;
};

class LoopKernel final : public Kernel {
 public:
  explicit LoopKernel(std::function<void(const Addresses&)> run) : run_(std::move(run)) {}
  void bind(const Addresses& addresses, const dnnl::stream&) override { addresses_ = addresses; }
  void run() noexcept override { run_(addresses_); }

 private:
  std::function<void(const Addresses&)> run_;
  Addresses addresses_;
};

class SequenceKernel final : public Kernel {
 public:
  SequenceKernel(std::vector<std::unique_ptr<Kernel>> steps, std::size_t main)
      : steps_(std::move(steps)), main_(*steps_.at(main)) {}
  void bind(const Addresses& addresses, const dnnl::stream& stream) override {
    for (const auto& step : steps_) step->bind(addresses, stream);
  }
  void run() noexcept override {
    for (const auto& step : steps_) step->run();
  }
  void run_primitives() noexcept override { main_.run_primitives(); }

 private:
  std::vector<std::unique_ptr<Kernel>> steps_;
  Kernel& main_;
};

}  // namespace

std::unique_ptr<Kernel> primitive_kernel(dnnl::primitive primitive, const dnnl::engine& engine,
                                         std::vector<Argument> arguments) {
  return std::make_unique<PrimitiveKernel>(std::move(primitive), engine, std::move(arguments));
}

std::string implementation_of(const dnnl::primitive_desc_base& desc) { return desc.impl_info_str(); }
bool is_reference(std::string_view implementation) { return implementation.starts_with("ref"); }
bool has_fast_implementation(const dnnl::primitive_desc_base& desc) {
  return static_cast<bool>(desc) && !is_reference(implementation_of(desc));
}

namespace {

// The spec with layouts of oneDNN's choice everywhere and the weights in the activations' type, as a backward pass's
// forward hint must be.
ConvolutionSpec hint_of(const ConvolutionSpec& spec) {
  ConvolutionSpec hint = spec;
  hint.src = any(spec.src, spec.dst);
  hint.weights = any(spec.weights, spec.dst);
  hint.dst = any(spec.dst, spec.dst);
  hint.bias = {};
  return hint;
}

constexpr auto kDirect = dnnl::algorithm::convolution_direct;

}  // namespace

dnnl::convolution_forward::primitive_desc make_convolution(const dnnl::engine& engine, const ConvolutionSpec& spec) {
  constexpr auto kProp = dnnl::prop_kind::forward_training;
#if DNNL_VERSION_MAJOR >= 3
  return {engine,       kProp,          kDirect,        spec.src,       spec.weights,      spec.bias, spec.dst,
          spec.strides, spec.dilations, spec.padding_l, spec.padding_r, scratchpad_attr(), true};
#else
  const dnnl::convolution_forward::desc desc(kProp, kDirect, spec.src, spec.weights, spec.bias, spec.dst, spec.strides,
                                             spec.dilations, spec.padding_l, spec.padding_r);
  return {desc, scratchpad_attr(), engine, true};
#endif
}

dnnl::convolution_backward_data::primitive_desc make_convolution_backward_data(const dnnl::engine& engine,
                                                                               const ConvolutionSpec& spec) {
  const auto hint = make_convolution(engine, hint_of(spec));
  if (!hint) return {};
#if DNNL_VERSION_MAJOR >= 3
  return {engine,         kDirect,        spec.src,       spec.weights, spec.dst,          spec.strides,
          spec.dilations, spec.padding_l, spec.padding_r, hint,         scratchpad_attr(), true};
#else
  const dnnl::convolution_backward_data::desc desc(kDirect, spec.src, spec.weights, spec.dst, spec.strides,
                                                   spec.dilations, spec.padding_l, spec.padding_r);
  return {desc, scratchpad_attr(), engine, hint, true};
#endif
}

#if DNNL_VERSION_MAJOR < 3
// oneDNN 2.6's AMX kernel of the weights' gradient also changes the 3 KiB before the gradient in memory where rows are
// long: seen from 352 columns on, not up to 350, with 3x3 filters.
static bool breaks_by_amx(const ConvolutionSpec& spec) {
  constexpr int64_t kMostColumns = 256;
  const dnnl::memory::dims weights = spec.weights.dims(), dst = spec.dst.dims();
  return dst.back() > kMostColumns && weights.back() * weights[weights.size() - 2] > 1;
}
#endif

dnnl::convolution_backward_weights::primitive_desc make_convolution_backward_weights(const dnnl::engine& engine,
                                                                                     const ConvolutionSpec& spec) {
  const auto hint = make_convolution(engine, hint_of(spec));
  if (!hint) return {};
#if DNNL_VERSION_MAJOR >= 3
  return {engine,         kDirect,        spec.src,       spec.weights, spec.bias,         spec.dst, spec.strides,
          spec.dilations, spec.padding_l, spec.padding_r, hint,         scratchpad_attr(), true};
#else
  const dnnl::convolution_backward_weights::desc desc(kDirect, spec.src, spec.weights, spec.bias, spec.dst,
                                                      spec.strides, spec.dilations, spec.padding_l, spec.padding_r);
  dnnl::convolution_backward_weights::primitive_desc made(desc, scratchpad_attr(), engine, hint, true);
  while (made && breaks_by_amx(spec) && implementation_of(made).find("amx") != std::string::npos) {
    if (!made.next_impl()) return {};
  }
  return made;
#endif
}

bool has_isa([[maybe_unused]] dnnl::cpu_isa isa) {
#if defined(__x86_64__)
  // An instruction set's number has the bits of all that it includes; it is 0 where there are none to choose from.
  const auto needed = static_cast<unsigned>(isa);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & needed) == needed;
#else
  return false;  // oneDNN on aarch64 answers with the same numbers, and means SVE
#endif
}

bool computes_bf16(const dnnl::engine& engine) {
  return static_cast<bool>(make_convolution(engine, {.src = MemoryDesc({1, 16, 8, 8}, DataType::bf16, Tag::any),
                                                     .weights = MemoryDesc({16, 16, 3, 3}, DataType::bf16, Tag::any),
                                                     .bias = {},
                                                     .dst = MemoryDesc({1, 16, 6, 6}, DataType::bf16, Tag::any),
                                                     .strides = {1, 1},
                                                     .dilations = {0, 0},
                                                     .padding_l = {0, 0},
                                                     .padding_r = {0, 0}}));
}

PoolingForward::primitive_desc make_pooling(const dnnl::engine& engine, const PoolingSpec& spec) {
  constexpr auto kProp = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
  return {engine,      kProp,          spec.algorithm, spec.src,       spec.dst,          spec.strides,
          spec.kernel, spec.dilations, spec.padding_l, spec.padding_r, scratchpad_attr(), true};
#else
  const PoolingForward::desc desc(kProp, spec.algorithm, spec.src, spec.dst, spec.strides, spec.kernel, spec.dilations,
                                  spec.padding_l, spec.padding_r);
  return {desc, scratchpad_attr(), engine, true};
#endif
}

PoolingBackward::primitive_desc make_pooling_backward(const dnnl::engine& engine, const PoolingSpec& spec) {
  const auto hint = make_pooling(engine, spec);
  if (!hint) return {};
#if DNNL_VERSION_MAJOR >= 3
  return {engine,         spec.algorithm, spec.src,       spec.dst, spec.strides,      spec.kernel,
          spec.dilations, spec.padding_l, spec.padding_r, hint,     scratchpad_attr(), true};
#else
  const PoolingBackward::desc desc(spec.algorithm, spec.src, spec.dst, spec.strides, spec.kernel, spec.dilations,
                                   spec.padding_l, spec.padding_r);
  return {desc, scratchpad_attr(), engine, hint, true};
#endif
}

dnnl::matmul::primitive_desc make_matmul(const dnnl::engine& engine, const MemoryDesc& src, const MemoryDesc& weights,
                                         const MemoryDesc& dst) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, src, weights, dst, scratchpad_attr(), true};
#else
  const dnnl::matmul::desc desc(src, weights, dst);
  return {desc, scratchpad_attr(), engine, true};
#endif
}

dnnl::reorder::primitive_desc make_reorder(const dnnl::engine& engine, const MemoryDesc& src, const MemoryDesc& dst) {
  return {engine, src, engine, dst, scratchpad_attr()};
}

std::unique_ptr<Kernel> reorder_kernel(const dnnl::engine& engine, const dnnl::reorder::primitive_desc& desc,
                                       const Argument& from, const Argument& to) {
  const Argument scratchpad{DNNL_ARG_SCRATCHPAD, Argument::From::scratchpad, 0, desc.scratchpad_desc()};
  return primitive_kernel(dnnl::reorder(desc), engine, {from, to, scratchpad});
}

}  // namespace kernels

std::unique_ptr<Kernel> loop_kernel(std::function<void(const Addresses&)> run) {
  return std::make_unique<kernels::LoopKernel>(std::move(run));
}

std::unique_ptr<Kernel> sequence_kernel(std::vector<std::unique_ptr<Kernel>> steps, std::size_t main) {
  return std::make_unique<kernels::SequenceKernel>(std::move(steps), main);
}

}  // namespace hourglass
