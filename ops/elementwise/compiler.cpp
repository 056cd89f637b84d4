#include "ops/elementwise/compiler.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "ops/elementwise/program.h"
#include "ops/loops/broadcast.h"
#include "ops/loops/element_walk.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"

namespace hourglass::kernels {
namespace {

bool is_channels_last(const MemoryDesc& desc) { return is_viewable(desc) && view_of(desc).is_channels_last(); }

}  // namespace

class ElementwiseCompiler {
 public:
  // What `body` makes of the node's inputs.
  ElementwiseCompiler(const PlanContext& ctx, std::span<const Node> body, const Shape& shape)
      : ctx_(ctx), node_(ctx.node), body_(body), shape_(shape), layout_(plain({DType::f32, shape})) {
    find_layouts();
    find_piece();
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) locate_input(i);
    for (std::size_t k = 0; k < body_.size(); ++k) {
      for (const ValueId id : body_[k].inputs) last_read_[id] = k;
    }
    for (const ValueId id : node_.outputs) last_read_[id] = body_.size();
    for (std::size_t k = 0; k < body_.size(); ++k) {
      free_rows_behind(k);  // before it takes one: a function may write over what it reads
      compile(k);
    }
    for (std::size_t o = 0; o < node_.outputs.size(); ++o) find_in_place(o);
  }

  [[nodiscard]] KernelPlan plan(std::string implementation) const {
    return {.src = src_,
            .dst = dst_,
            .scratch_bytes = program_.scratch_bytes(),
            .in_place = in_place_,
            .implementation = std::move(implementation),
            .kernel = loop_kernel([program = program_](const Addresses& at) { program.run(at); })};
  }

 private:
  using Location = ElementwiseProgram::Location;
  static constexpr int64_t kPiece = ElementwiseProgram::kPiece, kMostChannels = ElementwiseProgram::kMostChannels;

  [[nodiscard]] bool is_image(ValueId id) const { return ctx_.graph.shape(id) == shape_; }
  [[nodiscard]] bool is_bf16(ValueId id) const { return ctx_.graph.type(id).dtype == DType::bf16; }
  [[nodiscard]] bool is_interleaved(const MemoryDesc& desc) const { return program_.channels_ > 1 && !is_plain(desc); }

  void find_layouts() {
    // The input that sets the layout: one that a kernel made, if there is one.
    std::size_t major = node_.inputs.size();
    const auto is_computed = [&](std::size_t i) {
      return ctx_.graph.value(node_.inputs[i]).kind == ValueKind::computed;
    };
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) {
      const bool is_better = major == node_.inputs.size() || (is_computed(i) && !is_computed(major));
      if (is_image(node_.inputs[i]) && is_better) major = i;
    }
    if (major < node_.inputs.size()) {
      const MemoryDesc given = elementwise_layout(ctx_.src[major], ctx_.in(major));
      layout_ = has_padding(given) ? plain(ctx_.in(major)) : given;
    }

    const auto in_planes = [](const MemoryDesc& desc) { return is_plain(desc) || is_channels_last(desc); };
    const bool fused = !node_.body.empty();
    const bool few = fused && shape_.rank() == 4 && shape_[1] > 1 && shape_[1] <= kMostChannels && in_planes(layout_);
    if (few) {
      program_.images_ = shape_[0];
      program_.channels_ = shape_[1];
      program_.piece_ = kPiece / shape_[1];
    }
    program_.plane_ = shape_.elements() / (program_.images_ * program_.channels_);

    for (std::size_t i = 0; i < node_.inputs.size(); ++i) {
      const bool as_given = few && in_planes(ctx_.src[i]);
      const bool as_wanted = !few && is_image(node_.inputs[i]);
      src_.push_back(as_given ? ctx_.src[i] : as_wanted ? with_type(layout_, ctx_.in(i)) : plain(ctx_.in(i)));
    }
    for (std::size_t o = 0; o < node_.outputs.size(); ++o) {
      const ValueId id = node_.outputs[o];
      const auto& leaving = ctx_.graph.outputs;
      const bool leaves = std::find(leaving.begin(), leaving.end(), id) != leaving.end();
      const bool as_wanted = is_image(id) && !(few && leaves);
      dst_.push_back(as_wanted ? with_type(layout_, ctx_.out(o)) : plain(ctx_.out(o)));
    }
  }

  // Pieces in which every operand that is broadcast repeats itself, as far as its period allows.
  void find_piece() {
    int64_t common = 1;
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) {
      if (is_image(node_.inputs[i])) continue;
      const int64_t both = std::lcm(common, BroadcastOperand(ctx_.in(i), shape_, layout_).period());
      if (both <= program_.piece_) common = both;
    }
    program_.piece_ = program_.piece_ / common * common;
  }

  void locate_input(std::size_t i) {
    const ValueId id = node_.inputs[i];
    if (!is_image(id)) {
      locate_broadcast(i);
    } else if (is_bf16(id) || is_interleaved(src_[i])) {
      const ElementwiseProgram::Transfer load{i, take_row(), is_bf16(id), is_interleaved(src_[i])};
      program_.loads_.push_back(load);
      locations_[id] = {Location::Kind::row, load.row};
    } else {
      locations_[id] = {Location::Kind::source, i};
    }
  }

  void locate_broadcast(std::size_t i) {
    const ValueId id = node_.inputs[i];
    BroadcastOperand operand(ctx_.in(i), shape_, layout_);
    const int64_t period = operand.period();
    if (program_.piece_ % period == 0) {
      const int64_t count = period == 1 ? 1 : std::min(program_.piece_, program_.plane_);
      locations_[id] = {Location::Kind::repeated, program_.repeated_.size()};
      program_.repeated_.push_back({i, std::move(operand), count, program_.repeated_floats_});
      program_.repeated_floats_ += static_cast<std::size_t>(count);
    } else {
      locations_[id] = {Location::Kind::row, take_row()};
      program_.broadcasts_.push_back({i, locations_[id].index, std::move(operand)});
    }
  }

  std::size_t take_row() {
    if (free_rows_.empty()) return program_.rows_++;
    const std::size_t row = free_rows_.back();
    free_rows_.pop_back();
    return row;
  }

  // Frees the rows whose values no node behind node k reads, and that hold no output.
  void free_rows_behind(std::size_t k) {
    std::vector<bool> in_use(program_.rows_, false);
    for (const auto& [id, location] : locations_) {
      if (location.kind == Location::Kind::row && last_read_.at(id) > k) in_use[location.index] = true;
    }
    free_rows_.clear();
    for (std::size_t row = 0; row < in_use.size(); ++row) {
      if (!in_use[row]) free_rows_.push_back(row);
    }
  }

  // Which of the outputs the value is.
  [[nodiscard]] std::optional<std::size_t> output_of(ValueId id) const {
    const auto found = std::find(node_.outputs.begin(), node_.outputs.end(), id);
    if (found == node_.outputs.end()) return std::nullopt;
    return static_cast<std::size_t>(found - node_.outputs.begin());
  }

  void compile(std::size_t k) {
    const Node& node = body_[k];
    const ValueId made = node.outputs[0];
    const std::optional<std::size_t> output = output_of(made);
    ElementwiseProgram::Instruction instruction;
    for (const ValueId id : node.inputs) instruction.sources.push_back(locations_.at(id));
    program_.most_sources_ = std::max(program_.most_sources_, node.inputs.size());
    if (node.op->row_sum != nullptr) {
      instruction.sum = program_.sums_.size();
      program_.sums_.push_back({node.op->row_sum(), *output, is_bf16(made)});
      program_.instructions_.push_back(std::move(instruction));
      return;
    }
    const bool is_written = output && !is_bf16(made) && !is_interleaved(dst_[*output]);
    const bool is_cast = node.op->name == "Cast";
    if (is_cast && !is_written && instruction.sources[0].kind == Location::Kind::row) {
      locations_[made] = instruction.sources[0];
    } else {
      locations_[made] =
          is_written ? Location{Location::Kind::destination, *output} : Location{Location::Kind::row, take_row()};
      instruction.row = is_cast ? Row(copy_row) : node.op->row(node.attrs, node.inputs.size());
      instruction.destination = locations_[made];
      program_.instructions_.push_back(std::move(instruction));
    }
    if (output && !is_written) {
      program_.stores_.push_back({*output, locations_[made].index, is_bf16(made), is_interleaved(dst_[*output])});
    }
  }

  // An output takes over the memory of an input that is not read behind the node that writes.
  void find_in_place(std::size_t o) {
    const ValueId out = node_.outputs[o];
    if (!is_image(out)) return;
    std::size_t writer = body_.size();
    for (std::size_t k = 0; k < body_.size() && locations_.at(out).kind == Location::Kind::destination; ++k) {
      if (body_[k].outputs[0] == out) writer = k;
    }
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) {
      const ValueId in = node_.inputs[i];
      const bool is_read_before = locations_.at(in).kind == Location::Kind::row || last_read_.at(in) <= writer;
      if (src_[i] == dst_[o] && is_read_before) in_place_.emplace_back(static_cast<int>(o), static_cast<int>(i));
    }
  }

  static void copy_row(const RowSource* src, float* dst, int64_t count) {
    std::memcpy(dst, src[0].data, static_cast<std::size_t>(count) * sizeof(float));
  }

  const PlanContext& ctx_;
  const Node& node_;
  std::span<const Node> body_;
  Shape shape_;        // of the images
  MemoryDesc layout_;  // of those that are not split into planes, but for their types
  std::vector<MemoryDesc> src_, dst_;
  std::vector<std::pair<int, int>> in_place_;
  std::map<ValueId, Location> locations_;
  std::map<ValueId, std::size_t>
      last_read_;  // the node of the body; the size of the body for what is stored behind all
  std::vector<std::size_t> free_rows_;
  ElementwiseProgram program_;
};

KernelPlan plan_elementwise(const PlanContext& ctx, std::span<const Node> body, const Shape& shape,
                            std::string implementation) {
  return ElementwiseCompiler(ctx, body, shape).plan(std::move(implementation));
}

}  // namespace hourglass::kernels
