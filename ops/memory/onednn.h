// oneDNN's API with the differences between versions 2.6 and 3.x hidden in this header and its .cpp: descriptors of
// layouts, of primitives, and kernels that execute a primitive.
//
// Primitive descriptors are made by the make_* functions, whose signatures do not change with the version. They return
// an empty descriptor (operator bool false) where oneDNN has no implementation.
#pragma once

#include <dnnl.hpp>

#include <memory>
#include <string>
#include <vector>

#include "graph/shape.h"
#include "ops/kernel.h"

namespace hourglass::kernels {

using Tag = dnnl::memory::format_tag;

dnnl::memory::data_type to_dnnl(DType dtype);
DType from_dnnl(dnnl::memory::data_type type);

// A CPU engine. Every engine is made here, so that several threads may create primitives at once, each on its own
// engine.
dnnl::engine make_engine();

// Dims as oneDNN wants them: a scalar is {1}.
dnnl::memory::dims to_dnnl(const Shape& shape);

// A row-major layout.
MemoryDesc plain(const TensorType& type);
// format_tag::any: oneDNN chooses the layout.
MemoryDesc any(const TensorType& type);
MemoryDesc any(const MemoryDesc& like);                           // its extents and type
MemoryDesc any(const MemoryDesc& like, const MemoryDesc& typed);  // the extents of `like`, the type of `typed`
MemoryDesc with_tag(const TensorType& type, Tag tag);
// The layout of `like` for another type: blocked by the same channel block, channels-last, or row-major; dense. For
// ranks other than 4 row-major.
MemoryDesc in_layout_of(const MemoryDesc& like, const TensorType& type);
// The layout of `like`, which may have inner blocks of channels only, for another element type: each element at the
// same offset.
MemoryDesc with_type(const MemoryDesc& like, const TensorType& type);
bool is_plain(const MemoryDesc& desc);

// The contents of a blocked memory descriptor, whatever oneDNN's version calls them.
struct Blocking {
  dnnl::memory::dims dims, padded_dims, strides;  // strides in elements, of the outer dimensions
  std::vector<int64_t> inner_blocks, inner_axes;
  int64_t offset = 0;
  dnnl::memory::data_type data_type = dnnl::memory::data_type::undef;
};
Blocking blocking_of(const MemoryDesc& desc);
// "f32:1x8x64x64:nChw16c"-like, for -vv and reports: type, extents, and how the channels lie.
std::string describe(const MemoryDesc& desc);

// Primitive attributes with a user-managed scratchpad, as every primitive here is made.
dnnl::primitive_attr scratchpad_attr();

// One argument of a primitive: oneDNN's index (DNNL_ARG_SRC), where the address comes from, and its layout.
struct Argument {
  enum class From : uint8_t { src, dst, scratch, scratchpad };
  int dnnl_arg;
  From from;
  int64_t index;  // into Addresses::src or ::dst; for From::scratch a byte offset
  MemoryDesc desc;
};

// A kernel that executes one primitive. Execution goes through the C interface with arguments made at bind(), so
// run() allocates nothing of ours.
std::unique_ptr<Kernel> primitive_kernel(dnnl::primitive primitive, const dnnl::engine& engine,
                                         std::vector<Argument> arguments);

// The name of the implementation behind a primitive descriptor: "jit:avx512_core", "brgconv:avx512_core", "ref:any".
std::string implementation_of(const dnnl::primitive_desc_base& desc);
// Whether the implementation is one of oneDNN's references: correct, and hundreds of times slower than any other.
bool is_reference(std::string_view implementation);
// Whether oneDNN has an implementation that is none of its references.
bool has_fast_implementation(const dnnl::primitive_desc_base& desc);

// A convolution's layouts and window, as oneDNN counts them (dilation 0 is a dense kernel; grouped weights are 5-D).
// Descriptors may be format_tag::any. bias is a zero descriptor when there is none.
struct ConvolutionSpec {
  MemoryDesc src, weights, bias, dst;
  dnnl::memory::dims strides, dilations, padding_l, padding_r;
};
dnnl::convolution_forward::primitive_desc make_convolution(const dnnl::engine& engine, const ConvolutionSpec& spec);
dnnl::convolution_backward_data::primitive_desc make_convolution_backward_data(const dnnl::engine& engine,
                                                                               const ConvolutionSpec& spec);
dnnl::convolution_backward_weights::primitive_desc make_convolution_backward_weights(const dnnl::engine& engine,
                                                                                     const ConvolutionSpec& spec);

// Whether this CPU has `isa`, an instruction set of x86, as far as oneDNN may use it. Never on other architectures.
bool has_isa(dnnl::cpu_isa isa);

// Whether this CPU's oneDNN convolves bf16 at all.
bool computes_bf16(const dnnl::engine& engine);

#if DNNL_VERSION_MAJOR >= 3
using PoolingForward = dnnl::pooling_forward;
using PoolingBackward = dnnl::pooling_backward;
#else
using PoolingForward = dnnl::pooling_v2_forward;
using PoolingBackward = dnnl::pooling_v2_backward;
#endif
struct PoolingSpec {
  dnnl::algorithm algorithm;
  MemoryDesc src, dst;
  dnnl::memory::dims kernel, strides, dilations, padding_l, padding_r;
};
// For inference: no workspace is made.
PoolingForward::primitive_desc make_pooling(const dnnl::engine& engine, const PoolingSpec& spec);
// For average pooling; the gradient of max pooling would need the forward pass's workspace.
PoolingBackward::primitive_desc make_pooling_backward(const dnnl::engine& engine, const PoolingSpec& spec);

// dst = src * weights over the last two dimensions; the leading dimensions are broadcast.
dnnl::matmul::primitive_desc make_matmul(const dnnl::engine& engine, const MemoryDesc& src, const MemoryDesc& weights,
                                         const MemoryDesc& dst);

// Copies between layouts and types.
dnnl::reorder::primitive_desc make_reorder(const dnnl::engine& engine, const MemoryDesc& src, const MemoryDesc& dst);
std::unique_ptr<Kernel> reorder_kernel(const dnnl::engine& engine, const dnnl::reorder::primitive_desc& desc,
                                       const Argument& from, const Argument& to);

}  // namespace hourglass::kernels
