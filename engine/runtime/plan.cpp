#include "engine/runtime/plan.h"

#include <omp.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <limits>
#include <map>

#include "engine/runtime/arena.h"
#include "engine/runtime/cpus.h"
#include "engine/runtime/memory.h"
#include "engine/runtime/team.h"
#include "engine/runtime/waiting.h"
#include "graph/error.h"
#include "ops/kernel.h"
#include "ops/loops/whole_bounds.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"

namespace hourglass {
namespace {

// Whether two descriptors put every element at the same place. oneDNN's == also compares the strides of axes with
// one element, which place nothing.
bool same_place(const MemoryDesc& a, const MemoryDesc& b) {
  if (a == b) return true;
  const kernels::Blocking x = kernels::blocking_of(a), y = kernels::blocking_of(b);
  if (x.data_type != y.data_type || x.dims != y.dims || x.padded_dims != y.padded_dims || x.offset != y.offset ||
      x.inner_blocks != y.inner_blocks || x.inner_axes != y.inner_axes) {
    return false;
  }
  for (std::size_t i = 0; i < x.dims.size(); ++i) {
    if (x.padded_dims[i] != 1 && x.strides[i] != y.strides[i]) return false;
  }
  return true;
}

}  // namespace

class Plan::Impl {
 public:
  Impl(Graph graph, PlanOptions options) : graph_(std::move(graph)), options_(std::move(options)) {
    threads_ = options_.threads > 0 ? options_.threads : available_cpus();
    omp_set_num_threads(threads_);
    value_buffers_.assign(graph_.values.size(), -1);
    for (const Node& node : graph_.nodes) {
      if (options_.refusals == nullptr) {
        plan_node(node);
      } else {
        try_node(node);
      }
    }
    for (std::size_t i = 0; i < graph_.values.size(); ++i) {
      const Value& value = graph_.values[i];
      const bool undecided = value.kind != ValueKind::computed && value_buffers_[i] < 0;
      if (undecided && value.type.dtype == DType::f32) settle({static_cast<int32_t>(i)}, kernels::plain(value.type));
    }
    plan_outputs();
    place();
    if (!options_.allocate) return;
    bind();
    load_constants();
  }

  void write(ValueId id, const std::vector<float>& values, void* memory) const {
    fill(buffer_of(id).desc, memory, graph_.type(id), values);
  }

  // oneDNN does not write through the source pointer.
  [[nodiscard]] std::vector<float> read(ValueId id, const void* memory) const {
    const TensorType plain{DType::f32, graph_.shape(id)};
    std::vector<float> values(static_cast<std::size_t>(plain.shape.elements()));
    copy(buffer_of(id).desc, const_cast<void*>(memory), kernels::plain(plain), values.data());
    return values;
  }

  void run() noexcept {
    const Team team(threads_, options_.places);
    for (const Step& step : steps_) step.kernel->run();
  }

  void run_profiled(const std::function<void(std::size_t, double)>& on_step) {
    const Team team(threads_, options_.places);
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      steps_[i].kernel->run();
      on_step(i, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
  }

  std::vector<double> time_primitives(std::size_t step, int64_t times) {
    const Team team(threads_, options_.places);
    std::vector<double> seconds;
    for (int64_t i = 0; i < times; ++i) {
      const auto start = std::chrono::steady_clock::now();
      steps_[step].kernel->run_primitives();
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return seconds;
  }

  struct Buffer {
    MemoryDesc desc;
    std::size_t bytes = 0;
    bool persistent = false;
    int first = 0, last = 0;  // steps in which it is alive
    int shares = -1;          // the buffer whose memory it takes over, when in place
    char* address = nullptr;
  };

  [[nodiscard]] const Buffer& buffer_of(ValueId id) const {
    const int buffer = value_buffers_[at(id)];
    assert(buffer >= 0);
    return buffers_[static_cast<std::size_t>(buffer)];
  }
  [[nodiscard]] const Buffer& output_buffer(ValueId id) const {
    return buffers_[static_cast<std::size_t>(outputs_.at(id))];
  }

  [[nodiscard]] void* bf16_copy(ValueId parameter) const {
    const auto copy = bf16_copies_.find(parameter);
    return copy == bf16_copies_.end() ? nullptr : buffers_[static_cast<std::size_t>(copy->second)].address;
  }

  Graph graph_;
  int threads_ = 1;
  std::vector<StepInfo> infos_;
  std::size_t arena_bytes_ = 0, persistent_bytes_ = 0;

 private:
  struct Step {
    std::unique_ptr<Kernel> kernel;
    std::vector<int> src, dst;  // buffers; -1 for an optional input that is not given
    std::size_t scratch_bytes = 0;
    std::vector<std::pair<int, int>> in_place;
  };

  int add_buffer(const MemoryDesc& desc, bool persistent) {
    Buffer buffer;
    buffer.desc = desc;
    buffer.bytes = desc.get_size();
    buffer.persistent = persistent;
    buffer.first = buffer.last = static_cast<int>(steps_.size());
    buffers_.push_back(buffer);
    return static_cast<int>(buffers_.size() - 1);
  }

  // Gives a value that nobody computes its layout: that of its first reader.
  void settle(ValueId id, const MemoryDesc& desc) { value_buffers_[at(id)] = add_buffer(desc, true); }

  // The buffer from which a kernel reads `id` in layout `wanted`, by way of a reorder if need be.
  int read_as(ValueId id, const MemoryDesc& wanted) {
    if (value_buffers_[at(id)] < 0) settle(id, wanted);
    const int buffer = value_buffers_[at(id)];
    if (same_place(buffers_[static_cast<std::size_t>(buffer)].desc, wanted)) return buffer;
    for (const int copy : copies_[id]) {
      if (same_place(buffers_[static_cast<std::size_t>(copy)].desc, wanted)) return copy;
    }
    const int copy = graph_.value(id).kind == ValueKind::constant ? add_buffer(wanted, true) : add_reorder(id, wanted);
    copies_[id].push_back(copy);
    return copy;
  }

  int add_reorder(ValueId id, const MemoryDesc& wanted) {
    const int from = value_buffers_[at(id)];
    const MemoryDesc src = buffers_[static_cast<std::size_t>(from)].desc;
    const int to = add_buffer(wanted, false);
    const auto pd = kernels::make_reorder(engine_, src, wanted);
    using From = kernels::Argument::From;
    Step step;
    step.kernel = kernels::primitive_kernel(dnnl::reorder(pd), engine_,
                                            {{DNNL_ARG_FROM, From::src, 0, src},
                                             {DNNL_ARG_TO, From::dst, 0, wanted},
                                             {DNNL_ARG_SCRATCHPAD, From::scratchpad, 0, pd.scratchpad_desc()}});
    step.src = {from};
    step.dst = {to};
    step.scratch_bytes = pd.scratchpad_desc().get_size();
    steps_.push_back(std::move(step));
    infos_.push_back({.name = "reorder " + graph_.value(id).name,
                      .op = "Reorder",
                      .implementation = "onednn",
                      .layout = kernels::describe(src) + " -> " + kernels::describe(wanted),
                      .scratch_bytes = pd.scratchpad_desc().get_size(),
                      .declined = {}});
    return to;
  }

  // What a value that nobody computes looks like to its first reader, who may ask for something else: channels-last are
  // images and, [KH][KW][C][OC], filters.
  [[nodiscard]] MemoryDesc offered(ValueId id) const {
    const Value& value = graph_.value(id);
    const bool is_4d =
        options_.policy == LayoutPolicy::channels_last && value.type.shape.rank() == 4 && is_floating(value.type.dtype);
    if (is_4d && value.kind == ValueKind::input) return kernels::with_tag(value.type, kernels::Tag::nhwc);
    if (is_4d && value.kind == ValueKind::parameter) return kernels::with_tag(value.type, kernels::Tag::hwio);
    return kernels::plain(value.type);
  }

  // A Cast of a parameter whose result is given has no step.
  bool is_given(const Node& node) {
    const bool casts =
        options_.given_bf16_copies && node.op->name == "Cast" && graph_.type(node.outputs[0]).dtype == DType::bf16 &&
        graph_.value(node.inputs[0]).kind == ValueKind::parameter && graph_.type(node.inputs[0]).dtype == DType::f32;
    if (!casts) return false;
    const ValueId parameter = node.inputs[0];
    if (const auto known = bf16_copies_.find(parameter); known != bf16_copies_.end()) {
      value_buffers_[at(node.outputs[0])] = known->second;
      return true;
    }
    if (value_buffers_[at(parameter)] < 0) settle(parameter, offered(parameter));
    const MemoryDesc& desc = buffer_of(parameter).desc;
    if (!kernels::blocking_of(desc).inner_blocks.empty()) return false;
    const MemoryDesc lowered = kernels::with_type(desc, graph_.type(node.outputs[0]));
    bf16_copies_[parameter] = value_buffers_[at(node.outputs[0])] = add_buffer(lowered, true);
    return true;
  }

  // What reads of a node that can't be planned goes on as if it had been.
  void try_node(const Node& node) {
    const bool is_blocked = std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
      return id.valid() && graph_.value(id).kind == ValueKind::computed && value_buffers_[at(id)] < 0;
    });
    if (is_blocked) return;
    const std::size_t before = steps_.size();
    try {
      plan_node(node);
    } catch (const Error& error) {
      const std::string prefix = fmt::format("node '{}' ({}): ", node.name, node.op->name);
      std::string_view reason = error.what();
      if (reason.starts_with(prefix)) reason.remove_prefix(prefix.size());
      options_.refusals->push_back({node.name, std::string(node.op->name), std::string(reason)});
      steps_.resize(before);
      infos_.resize(before);
      for (const ValueId id : node.outputs) {
        const DType dtype = graph_.type(id).dtype;
        if (dtype == DType::f64 || dtype == DType::f16) continue;  // nothing lies in memory so
        value_buffers_[at(id)] = add_buffer(kernels::plain(graph_.type(id)), false);
      }
    }
  }

  // An i64 lies in 32 bits.
  void check_whole_constants(const Node& node) const {
    for (const ValueId id : node.inputs) {
      if (!id.valid() || graph_.type(id).dtype != DType::i64 || graph_.value(id).kind != ValueKind::constant) continue;
      for (const double number : graph_.value(id).data->values) {
        if (number >= std::numeric_limits<int32_t>::min() && number <= std::numeric_limits<int32_t>::max()) continue;
        fail("'{}' holds {:.0f}: whole numbers that are computed with while running may have 32 bits",
             graph_.value(id).name, number);
      }
    }
  }

  void plan_node(const Node& node) {
    if (is_given(node)) return;
    try {
      if (node.op->plan == nullptr) {
        fail("computes with values that are only known while running; there is no kernel for that");
      }
      std::vector<MemoryDesc> src;
      for (const ValueId id : node.inputs) {
        if (!id.valid()) {
          src.emplace_back();
        } else if (value_buffers_[at(id)] >= 0) {
          src.push_back(buffer_of(id).desc);
        } else {
          src.push_back(offered(id));
        }
      }
      check_whole_constants(node);
      PlanContext ctx(graph_, node, engine_, std::move(src), options_.policy);
      ctx.whole_bounds = &whole_bounds_;
      KernelPlan kernel = node.op->plan(ctx);
      Step step;
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        step.src.push_back(node.inputs[i].valid() ? read_as(node.inputs[i], kernel.src[i]) : -1);
      }
      for (std::size_t i = 0; i < node.outputs.size(); ++i) {
        step.dst.push_back(value_buffers_[at(node.outputs[i])] = add_buffer(kernel.dst[i], false));
      }
      step.kernel = std::move(kernel.kernel);
      step.scratch_bytes = kernel.scratch_bytes;
      step.in_place = std::move(kernel.in_place);
      infos_.push_back({.name = node.name,
                        .op = std::string(node.op->name),
                        .implementation = kernel.implementation,
                        .layout = kernel.dst.empty() ? "" : kernels::describe(kernel.dst[0]),
                        .scratch_bytes = kernel.scratch_bytes,
                        .declined = std::move(kernel.declined),
                        .node = &node - graph_.nodes.data()});
      steps_.push_back(std::move(step));
    } catch (const dnnl::error& error) {
      throw Error(fmt::format("node '{}' ({}): oneDNN: {}", node.name, node.op->name, error.what()));
    } catch (const Error& error) {
      throw error.within(fmt::format("node '{}' ({})", node.name, node.op->name));
    }
  }

  void plan_outputs() {
    for (const ValueId id : graph_.outputs) {
      if (options_.refusals != nullptr && graph_.value(id).kind == ValueKind::computed && value_buffers_[at(id)] < 0) {
        continue;
      }
      const auto like = std::find_if(options_.output_like.begin(), options_.output_like.end(),
                                     [&](const auto& pair) { return pair.first == id; });
      const MemoryDesc wanted = like != options_.output_like.end() ? buffer_of(like->second).desc
                                                                   : kernels::plain({DType::f32, graph_.shape(id)});
      const int buffer = read_as(id, wanted);
      outputs_[id] = buffer;
      kept_.push_back(buffer);
    }
  }

  // Lifetimes, sharing in place, offsets.
  void place() {
    const int end = static_cast<int>(steps_.size());
    for (int s = 0; s < end; ++s) {
      const Step& step = steps_[static_cast<std::size_t>(s)];
      for (const int b : step.dst) buffers_[static_cast<std::size_t>(b)].first = s;
      for (const std::vector<int>* list : {&step.src, &step.dst}) {
        for (const int b : *list) {
          if (b >= 0) buffers_[static_cast<std::size_t>(b)].last = s;
        }
      }
    }
    // An output stays where it is after the last step.
    for (const int b : kept_) buffers_[static_cast<std::size_t>(b)].last = end;

    for (int s = 0; s < end; ++s) share_in_place(steps_[static_cast<std::size_t>(s)], s);

    std::vector<Lifetime> lifetimes;
    std::vector<int> owners;  // the buffer, or -1 - step for a step's scratch
    for (std::size_t b = 0; b < buffers_.size(); ++b) {
      const Buffer& buffer = buffers_[b];
      if (buffer.persistent || buffer.shares >= 0) continue;
      lifetimes.push_back({.bytes = buffer.bytes, .first = buffer.first, .last = buffer.last});
      owners.push_back(static_cast<int>(b));
    }
    for (int s = 0; s < end; ++s) {
      const std::size_t bytes = steps_[static_cast<std::size_t>(s)].scratch_bytes;
      if (bytes == 0) continue;
      lifetimes.push_back({.bytes = bytes, .first = s, .last = s});
      owners.push_back(-1 - s);
    }
    arena_bytes_ = assign_offsets(lifetimes);
    for (Buffer& buffer : buffers_) {
      if (buffer.persistent) persistent_bytes_ += (buffer.bytes + kAlignment - 1) / kAlignment * kAlignment;
    }
    if (!options_.allocate) return;
    const Team team(threads_, options_.places);  // who writes to memory first decides where it lies
    arena_ = MemoryBlock(arena_bytes_, lifetimes);
    scratch_.assign(steps_.size(), nullptr);
    for (std::size_t i = 0; i < lifetimes.size(); ++i) {
      char* address = arena_.data() + lifetimes[i].offset;
      if (owners[i] >= 0) {
        buffers_[static_cast<std::size_t>(owners[i])].address = address;
      } else {
        scratch_[static_cast<std::size_t>(-1 - owners[i])] = address;
      }
    }
    persistent_ = MemoryBlock(persistent_bytes_);
    std::size_t offset = 0;
    for (Buffer& buffer : buffers_) {
      if (!buffer.persistent) continue;
      buffer.address = persistent_.data() + offset;
      offset += (buffer.bytes + kAlignment - 1) / kAlignment * kAlignment;
    }
    // A share always points to an owner, never to another share.
    for (Buffer& buffer : buffers_) {
      if (buffer.shares >= 0) buffer.address = buffers_[static_cast<std::size_t>(buffer.shares)].address;
    }
  }

  void share_in_place(const Step& step, int s) {
    for (const auto& [out, in] : step.in_place) {
      const int from = step.src[static_cast<std::size_t>(in)];
      const int to = step.dst[static_cast<std::size_t>(out)];
      if (from < 0) continue;
      const int read_by = static_cast<int>(std::count(step.src.begin(), step.src.end(), from));
      const Buffer& source = buffers_[static_cast<std::size_t>(from)];
      const int owner = source.shares >= 0 ? source.shares : from;
      Buffer& target = buffers_[static_cast<std::size_t>(to)];
      Buffer& owned = buffers_[static_cast<std::size_t>(owner)];
      // Only the last reader may overwrite, only memory that is ours to reuse, and only if it fits.
      if (source.persistent || source.last != s || read_by != 1 || target.shares >= 0 || target.bytes > owned.bytes) {
        continue;
      }
      if (owned.last != s) continue;
      target.shares = owner;
      owned.last = target.last;
    }
  }

  void bind() {
    stream_ = dnnl::stream(engine_);
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      Addresses addresses;
      const auto address_of = [&](int b) -> void* {
        return b < 0 ? nullptr : buffers_[static_cast<std::size_t>(b)].address;
      };
      for (const int b : steps_[s].src) addresses.src.push_back(address_of(b));
      for (const int b : steps_[s].dst) addresses.dst.push_back(address_of(b));
      addresses.scratch = scratch_[s];
      steps_[s].kernel->bind(addresses, stream_);
    }
  }

  void load_constants() {
    for (std::size_t i = 0; i < graph_.values.size(); ++i) {
      const Value& value = graph_.values[i];
      if (value.kind != ValueKind::constant || value_buffers_[i] < 0) continue;
      const ValueId id{static_cast<int32_t>(i)};
      if (!is_floating(value.type.dtype)) {
        load_whole_constant(id, *value.data);
        continue;
      }
      const std::vector<float> values(value.data->values.begin(), value.data->values.end());
      write(id, values, buffer_of(id).address);
      const auto copies = copies_.find(id);
      if (copies == copies_.end()) continue;
      for (const int copy : copies->second) {
        const Buffer& buffer = buffers_[static_cast<std::size_t>(copy)];
        fill(buffer.desc, buffer.address, value.type, values);
      }
    }
  }

  // f32 does not hold all of them.
  void load_whole_constant(ValueId id, const HostTensor& data) const {
    if (data.values.empty()) return;
    std::vector<int32_t> values;
    for (const double value : data.values) values.push_back(static_cast<int32_t>(value));
    const MemoryDesc given = kernels::plain({DType::i32, data.shape});
    copy(given, values.data(), buffer_of(id).desc, buffer_of(id).address);
    const auto copies = copies_.find(id);
    if (copies == copies_.end()) return;
    for (const int buffer : copies->second) {
      const Buffer& other = buffers_[static_cast<std::size_t>(buffer)];
      copy(given, values.data(), other.desc, other.address);
    }
  }

  void fill(const MemoryDesc& desc, void* memory, const TensorType& type, const std::vector<float>& values) const {
    if (static_cast<int64_t>(values.size()) != type.shape.elements()) {
      fail("{} values given for a value of shape {}", values.size(), type.shape);
    }
    if (values.empty()) return;
    // oneDNN does not write through the source pointer.
    copy(kernels::plain({DType::f32, type.shape}), const_cast<float*>(values.data()), desc, memory);
  }

  void copy(const MemoryDesc& from, void* src, const MemoryDesc& to, void* dst) const {
    dnnl::memory a(from, engine_, src), b(to, engine_, dst);
    dnnl::stream stream(engine_);
    dnnl::reorder(a, b).execute(stream, a, b);
    stream.wait();
  }

  PlanOptions options_;
  dnnl::engine engine_ = kernels::make_engine();
  kernels::WholeBounds whole_bounds_{graph_};
  dnnl::stream stream_;
  std::vector<Buffer> buffers_;
  std::vector<int> value_buffers_;              // per value; -1 until it is known
  std::map<ValueId, std::vector<int>> copies_;  // the same value in other layouts
  std::map<ValueId, int> bf16_copies_;          // of parameters, where they are given
  std::map<ValueId, int> outputs_;
  std::vector<int> kept_;
  std::vector<Step> steps_;
  std::vector<void*> scratch_;  // per step
  MemoryBlock arena_, persistent_;
};

Plan::Plan(Graph graph, PlanOptions options) : impl_(std::make_unique<Impl>(std::move(graph), std::move(options))) {}
Plan::~Plan() = default;
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;

void Plan::write(ValueId id, const std::vector<float>& values) { impl_->write(id, values, data(id)); }
std::vector<float> Plan::read(ValueId id) const { return impl_->read(id, data(id)); }
void Plan::write_like(ValueId id, const std::vector<float>& values, float* memory) const {
  impl_->write(id, values, memory);
}
std::vector<float> Plan::read_like(ValueId id, const float* memory) const { return impl_->read(id, memory); }
void Plan::run() noexcept {
  impl_->run();
  count_run();
}
std::vector<double> Plan::time_primitives(std::size_t step, int64_t times) {
  return impl_->time_primitives(step, times);
}
void Plan::run_profiled(const std::function<void(std::size_t, double)>& on_step) { impl_->run_profiled(on_step); }
float* Plan::data(ValueId id) const { return reinterpret_cast<float*>(impl_->buffer_of(id).address); }
kernels::View Plan::view(ValueId id) const { return kernels::view_of(impl_->buffer_of(id).desc); }
int64_t Plan::padded_elements(ValueId id) const {
  return static_cast<int64_t>(impl_->buffer_of(id).bytes / size_of(impl_->graph_.type(id).dtype));
}
bool Plan::is_row_major(ValueId id) const {
  return same_place(impl_->buffer_of(id).desc, kernels::plain(impl_->graph_.type(id)));
}
void* Plan::bf16_copy(ValueId parameter) const { return impl_->bf16_copy(parameter); }
const float* Plan::output(ValueId id) const { return reinterpret_cast<const float*>(impl_->output_buffer(id).address); }
const Graph& Plan::graph() const { return impl_->graph_; }
int Plan::threads() const { return impl_->threads_; }
const std::vector<StepInfo>& Plan::steps() const { return impl_->infos_; }
std::size_t Plan::arena_bytes() const { return impl_->arena_bytes_; }
std::size_t Plan::persistent_bytes() const { return impl_->persistent_bytes_; }

}  // namespace hourglass
