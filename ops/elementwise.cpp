// Kernels of elementwise ops, from their OpDef::row: inputs are read a piece of 2048 elements at a time and widened to
// f32, all functions of a node are applied to the piece, and the results are rounded and written, so intermediate
// results never leave the first-level cache.
//   plan_by_row(): an elementwise op by itself. Its inputs are broadcast to the output's shape.
//   Internal: Elementwise computes Node::body, elementwise ops of images of one shape, the Casts between them, and sums
//   over them to one number. Inputs are such images, f32 or bf16, and numbers. graph/fuse_elementwise.h:
//   fuse_elementwise() makes these nodes.
//
// Images of few channels may be channels-last on the one side, as convolutions want them, and row-major on the other,
// as whoever compares or shows images does: a piece is then some pixels, and its rows are their channels.
#include "ops/elementwise.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <numeric>
#include <optional>
#include <span>

#include "graph/text.h"
#include "ops/loops/broadcast.h"
#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/element_walk.h"
#include "ops/loops/parallel.h"

namespace hourglass::ops::elementwise {
namespace {

constexpr int64_t kMostChannels = 4;  // of images that are split into planes
constexpr int64_t kPiece = 2048;      // elements

template <int kChannels>
HG_CLONES void split_row(const float* x, int64_t count, float* planes, int64_t plane) {
  for (int c = 0; c < kChannels; ++c) {
    for (int64_t i = 0; i < count; ++i) planes[c * plane + i] = x[i * kChannels + c];
  }
}

template <int kChannels>
HG_CLONES void join_row(const float* planes, int64_t plane, int64_t count, float* x) {
  for (int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < kChannels; ++c) x[i * kChannels + c] = planes[c * plane + i];
  }
}

template <typename Body>
void with_channels(int64_t channels, const Body& body) {
  switch (channels) {
    case 2: return body(std::integral_constant<int, 2>());
    case 3: return body(std::integral_constant<int, 3>());
    default: return body(std::integral_constant<int, 4>());
  }
}

bool is_channels_last(const MemoryDesc& desc) {
  return kernels::is_viewable(desc) && kernels::view_of(desc).is_channels_last();
}

// Where an operand of a row lies.
struct Place {
  enum class Kind : uint8_t { source, destination, row, repeated } kind = Kind::row;
  std::size_t index = 0;  // the input, the output, the row in scratch, which of the repeated operands
};

// An image that is bf16 or channels-last in memory goes by way of a row in scratch.
struct Transfer {
  std::size_t image;  // the input or output
  std::size_t row;
  bool is_bf16, is_interleaved;
};

// An input that is broadcast goes by way of a row, too.
struct Broadcast {
  std::size_t input, row;
  kernels::BroadcastOperand operand;
};

// A broadcast input of which every piece reads the same elements: one number, or as many as a piece has. It is read
// once.
struct Repeated {
  std::size_t input;
  kernels::BroadcastOperand operand;
  int64_t count;
  std::size_t at;  // where they lie, in floats
};

struct Instruction {
  std::vector<Place> sources;
  Row row = {};            // none for a sum
  Place destination = {};  // of the row
  std::size_t sum = 0;     // which sum
};

struct Sum {
  RowSum functions;
  std::size_t output;
  bool is_bf16;
};

// `count` pixels from `first` on, of the image whose elements start at `image`.
struct Piece {
  int64_t image, first, count;
};

class Program {
 public:
  void run(const Addresses& at) const {
    char* scratch = static_cast<char*>(at.scratch);
    auto* repeated = reinterpret_cast<float*>(scratch);
    auto* of_pieces = reinterpret_cast<double*>(scratch + repeated_bytes());
    char* threads = scratch + repeated_bytes() + sums_bytes();
    for (const Repeated& r : repeated_) r.operand.read(at.src[r.input], 0, r.count, repeated + r.at);
    const int64_t pieces = pieces_per_image(), sums = static_cast<int64_t>(sums_.size());
    kernels::parallel_for(images_ * pieces, [&](int64_t i) {
      const int64_t first = i % pieces * piece_;
      const Piece piece{i / pieces * channels_ * plane_, first, std::min(piece_, plane_ - first)};
      char* mine = threads + static_cast<std::size_t>(omp_get_thread_num()) * thread_bytes();
      run_piece(at, repeated, piece, reinterpret_cast<float*>(mine), of_pieces + i * sums);
    });
    for (int64_t s = 0; s < sums; ++s) {
      const Sum& sum = sums_[static_cast<std::size_t>(s)];
      double total = 0;
      for (int64_t i = 0; i < images_ * pieces; ++i) total += of_pieces[i * sums + s];
      const double result = sum.functions.finish(total, static_cast<double>(images_ * channels_ * plane_));
      kernels::with_element(sum.is_bf16, [&](auto* element) {
        kernels::store(static_cast<decltype(element)>(at.dst[sum.output]), static_cast<float>(result));
      });
    }
  }

  [[nodiscard]] std::size_t scratch_bytes() const {
    return repeated_bytes() + sums_bytes() + static_cast<std::size_t>(omp_get_max_threads()) * thread_bytes();
  }

 private:
  friend class Compiler;

  void run_piece(const Addresses& at, const float* repeated, const Piece& piece, float* rows, double* sums) const {
    for (const Transfer& load : loads_) {
      kernels::with_element(load.is_bf16, [&](auto* element) {
        fetch(static_cast<decltype(element)>(at.src[load.image]), load, piece, rows);
      });
    }
    for (const Broadcast& b : broadcasts_) {
      b.operand.read(at.src[b.input], piece.first, piece.count, row_of(rows, b.row));
    }
    std::array<RowSource, kMostRowSources> few_sources;
    RowSource* sources = few_sources.data();
    if (most_sources_ > few_sources.size()) sources = reinterpret_cast<RowSource*>(row_of(rows, all_rows()));
    std::fill(sums, sums + sums_.size(), 0.0);
    for (int64_t c = 0; c < channels_; ++c) {
      const int64_t in_memory = piece.image + c * plane_ + piece.first;
      const auto address = [&](const Place& place) -> float* {
        switch (place.kind) {
          case Place::Kind::source: return static_cast<float*>(at.src[place.index]) + in_memory;
          case Place::Kind::destination: return static_cast<float*>(at.dst[place.index]) + in_memory;
          case Place::Kind::row: return row_of(rows, place.index) + c * piece_;
          case Place::Kind::repeated: break;
        }
        return nullptr;
      };
      for (const Instruction& instruction : instructions_) {
        for (std::size_t k = 0; k < instruction.sources.size(); ++k) {
          const Place& place = instruction.sources[k];
          if (place.kind == Place::Kind::repeated) {
            const Repeated& r = repeated_[place.index];
            sources[k] = {repeated + r.at, r.count == 1 ? 0 : 1};
          } else {
            sources[k] = {address(place), 1};
          }
        }
        if (instruction.row) {
          instruction.row(sources, address(instruction.destination), piece.count);
        } else {
          sums[instruction.sum] += sums_[instruction.sum].functions.sum(sources[0].data, piece.count);
        }
      }
    }
    for (const Transfer& store : stores_) {
      kernels::with_element(store.is_bf16, [&](auto* element) {
        put(rows, store, piece, static_cast<decltype(element)>(at.dst[store.image]));
      });
    }
  }

  // Channels-last pixels pass through the row behind the last one.
  template <class T>
  void fetch(const T* from, const Transfer& load, const Piece& piece, float* rows) const {
    float* to = row_of(rows, load.row);
    if (load.is_interleaved) {
      float* pixels = row_of(rows, rows_);
      kernels::widen(from + piece.image + piece.first * channels_, piece.count * channels_, pixels);
      with_channels(channels_, [&](auto n) { split_row<n()>(pixels, piece.count, to, piece_); });
      return;
    }
    for (int64_t c = 0; c < channels_; ++c) {
      kernels::widen(from + piece.image + c * plane_ + piece.first, piece.count, to + c * piece_);
    }
  }

  template <class T>
  void put(float* rows, const Transfer& store, const Piece& piece, T* to) const {
    const float* from = row_of(rows, store.row);
    if (store.is_interleaved) {
      float* pixels = row_of(rows, rows_);
      with_channels(channels_, [&](auto n) { join_row<n()>(from, piece_, piece.count, pixels); });
      kernels::narrow(pixels, piece.count * channels_, to + piece.image + piece.first * channels_);
      return;
    }
    for (int64_t c = 0; c < channels_; ++c) {
      kernels::narrow(from + c * piece_, piece.count, to + piece.image + c * plane_ + piece.first);
    }
  }

  static float* row_of(float* rows, std::size_t row) { return rows + row * kPiece; }
  [[nodiscard]] int64_t pieces_per_image() const { return (plane_ + piece_ - 1) / piece_; }

  // Scratch: the repeated operands, each piece's sums, each thread's rows and, if they are many, the sources of a row.
  static std::size_t in_lines(std::size_t bytes) { return (bytes + 63) / 64 * 64; }
  [[nodiscard]] std::size_t repeated_bytes() const { return in_lines(repeated_floats_ * sizeof(float)); }
  [[nodiscard]] std::size_t sums_bytes() const {
    return in_lines(static_cast<std::size_t>(images_ * pieces_per_image()) * sums_.size() * sizeof(double));
  }
  // With the one behind the last, for channels-last pixels.
  [[nodiscard]] std::size_t all_rows() const { return channels_ > 1 ? rows_ + 1 : rows_; }
  [[nodiscard]] std::size_t thread_bytes() const {
    const std::size_t sources = most_sources_ > kMostRowSources ? most_sources_ : 0;
    return all_rows() * kPiece * sizeof(float) + in_lines(sources * sizeof(RowSource));
  }

  // Images of `channels` planes of `plane` elements, of which a piece has `piece`; one of one channel where their order
  // in memory does not matter.
  int64_t images_ = 1, channels_ = 1, plane_ = 0, piece_ = kPiece;
  std::size_t rows_ = 0;          // of kPiece floats
  std::size_t most_sources_ = 0;  // of an instruction
  std::vector<Repeated> repeated_;
  std::size_t repeated_floats_ = 0;
  std::vector<Transfer> loads_, stores_;
  std::vector<Broadcast> broadcasts_;
  std::vector<Instruction> instructions_;
  std::vector<Sum> sums_;
};

class Compiler {
 public:
  // What `body` makes of the node's inputs.
  Compiler(const PlanContext& ctx, std::span<const Node> body, const Shape& shape)
      : ctx_(ctx), node_(ctx.node), body_(body), shape_(shape), layout_(kernels::plain({DType::f32, shape})) {
    find_layouts();
    find_piece();
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) place_input(i);
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
  [[nodiscard]] bool is_image(ValueId id) const { return ctx_.graph.shape(id) == shape_; }
  [[nodiscard]] bool is_bf16(ValueId id) const { return ctx_.graph.type(id).dtype == DType::bf16; }
  [[nodiscard]] bool is_interleaved(const MemoryDesc& desc) const {
    return program_.channels_ > 1 && !kernels::is_plain(desc);
  }

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
      const MemoryDesc given = kernels::elementwise_layout(ctx_.src[major], ctx_.in(major));
      layout_ = kernels::has_padding(given) ? kernels::plain(ctx_.in(major)) : given;
    }

    const auto in_planes = [](const MemoryDesc& desc) { return kernels::is_plain(desc) || is_channels_last(desc); };
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
      src_.push_back(as_given    ? ctx_.src[i]
                     : as_wanted ? kernels::with_type(layout_, ctx_.in(i))
                                 : kernels::plain(ctx_.in(i)));
    }
    for (std::size_t o = 0; o < node_.outputs.size(); ++o) {
      const ValueId id = node_.outputs[o];
      const auto& leaving = ctx_.graph.outputs;
      const bool leaves = std::find(leaving.begin(), leaving.end(), id) != leaving.end();
      const bool as_wanted = is_image(id) && !(few && leaves);
      dst_.push_back(as_wanted ? kernels::with_type(layout_, ctx_.out(o)) : kernels::plain(ctx_.out(o)));
    }
  }

  // Pieces in which every operand that is broadcast repeats itself, as far as its period allows.
  void find_piece() {
    int64_t common = 1;
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) {
      if (is_image(node_.inputs[i])) continue;
      const int64_t both = std::lcm(common, kernels::BroadcastOperand(ctx_.in(i), shape_, layout_).period());
      if (both <= program_.piece_) common = both;
    }
    program_.piece_ = program_.piece_ / common * common;
  }

  void place_input(std::size_t i) {
    const ValueId id = node_.inputs[i];
    if (!is_image(id)) {
      place_broadcast(i);
    } else if (is_bf16(id) || is_interleaved(src_[i])) {
      const Transfer load{i, take_row(), is_bf16(id), is_interleaved(src_[i])};
      program_.loads_.push_back(load);
      places_[id] = {Place::Kind::row, load.row};
    } else {
      places_[id] = {Place::Kind::source, i};
    }
  }

  void place_broadcast(std::size_t i) {
    const ValueId id = node_.inputs[i];
    kernels::BroadcastOperand operand(ctx_.in(i), shape_, layout_);
    const int64_t period = operand.period();
    if (program_.piece_ % period == 0) {
      const int64_t count = period == 1 ? 1 : std::min(program_.piece_, program_.plane_);
      places_[id] = {Place::Kind::repeated, program_.repeated_.size()};
      program_.repeated_.push_back({i, std::move(operand), count, program_.repeated_floats_});
      program_.repeated_floats_ += static_cast<std::size_t>(count);
    } else {
      places_[id] = {Place::Kind::row, take_row()};
      program_.broadcasts_.push_back({i, places_[id].index, std::move(operand)});
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
    for (const auto& [id, place] : places_) {
      if (place.kind == Place::Kind::row && last_read_.at(id) > k) in_use[place.index] = true;
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
    const Node& part = body_[k];
    const ValueId made = part.outputs[0];
    const std::optional<std::size_t> output = output_of(made);
    Instruction instruction;
    for (const ValueId id : part.inputs) instruction.sources.push_back(places_.at(id));
    program_.most_sources_ = std::max(program_.most_sources_, part.inputs.size());
    if (part.op->row_sum != nullptr) {
      instruction.sum = program_.sums_.size();
      program_.sums_.push_back({part.op->row_sum(), *output, is_bf16(made)});
      program_.instructions_.push_back(std::move(instruction));
      return;
    }
    const bool is_written = output && !is_bf16(made) && !is_interleaved(dst_[*output]);
    const bool is_cast = part.op->name == "Cast";
    if (is_cast && !is_written && instruction.sources[0].kind == Place::Kind::row) {
      places_[made] = instruction.sources[0];
    } else {
      places_[made] = is_written ? Place{Place::Kind::destination, *output} : Place{Place::Kind::row, take_row()};
      instruction.row = is_cast ? Row(copy_row) : part.op->row(part.attrs, part.inputs.size());
      instruction.destination = places_[made];
      program_.instructions_.push_back(std::move(instruction));
    }
    if (output && !is_written) {
      program_.stores_.push_back({*output, places_[made].index, is_bf16(made), is_interleaved(dst_[*output])});
    }
  }

  // An output takes over the memory of an input that is not read behind the part that writes.
  void find_in_place(std::size_t o) {
    const ValueId out = node_.outputs[o];
    if (!is_image(out)) return;
    std::size_t writer = body_.size();
    for (std::size_t k = 0; k < body_.size() && places_.at(out).kind == Place::Kind::destination; ++k) {
      if (body_[k].outputs[0] == out) writer = k;
    }
    for (std::size_t i = 0; i < node_.inputs.size(); ++i) {
      const ValueId in = node_.inputs[i];
      const bool is_read_before = places_.at(in).kind == Place::Kind::row || last_read_.at(in) <= writer;
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
  std::map<ValueId, Place> places_;
  std::map<ValueId, std::size_t> last_read_;  // the part of the body; its size for what is stored behind all of them
  std::vector<std::size_t> free_rows_;
  Program program_;
};

KernelPlan plan_body(PlanContext& ctx) {
  std::vector<std::string_view> ops;
  for (const Node& part : ctx.node.body) {
    if (part.op->name != "Cast") ops.push_back(part.op->name);
  }
  std::size_t largest = 0;
  for (std::size_t i = 1; i < ctx.node.inputs.size(); ++i) {
    if (ctx.in(i).shape.elements() > ctx.in(largest).shape.elements()) largest = i;
  }
  return Compiler(ctx, ctx.node.body, ctx.in(largest).shape).plan(fmt::format("loop of {}", join(ops, ", ")));
}

}  // namespace

std::span<const OpDef> family() {
  static const OpDef ops[] = {
      {.name = "Elementwise", .internal = true, .max_inputs = 1 << 20, .plan = plan_body},
  };
  return ops;
}

}  // namespace hourglass::ops::elementwise

namespace hourglass::ops {

KernelPlan plan_by_row(PlanContext& ctx) {
  kernels::require_one_float_type(ctx);
  return elementwise::Compiler(ctx, {&ctx.node, 1}, ctx.out().shape).plan("loop");
}

}  // namespace hourglass::ops
