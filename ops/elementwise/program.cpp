#include "ops/elementwise/program.h"

#include <omp.h>

#include <algorithm>
#include <array>

#include "ops/loops/clones.h"
#include "ops/loops/element.h"
#include "ops/loops/parallel.h"

namespace hourglass::kernels {
namespace {

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

float* row_of(float* rows, std::size_t row) { return rows + row * ElementwiseProgram::kPiece; }
std::size_t in_lines(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

void ElementwiseProgram::run(const Addresses& at) const {
  char* scratch = static_cast<char*>(at.scratch);
  auto* repeated = reinterpret_cast<float*>(scratch);
  auto* of_pieces = reinterpret_cast<double*>(scratch + repeated_bytes());
  char* threads = scratch + repeated_bytes() + sums_bytes();
  for (const Repeated& r : repeated_) r.operand.read(at.src[r.input], 0, r.count, repeated + r.at);
  const int64_t pieces = pieces_per_image(), sums = static_cast<int64_t>(sums_.size());
  parallel_for(images_ * pieces, [&](int64_t i) {
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
    with_element(sum.is_bf16, [&](auto* element) {
      store(static_cast<decltype(element)>(at.dst[sum.output]), static_cast<float>(result));
    });
  }
}

std::size_t ElementwiseProgram::scratch_bytes() const {
  return repeated_bytes() + sums_bytes() + static_cast<std::size_t>(omp_get_max_threads()) * thread_bytes();
}

void ElementwiseProgram::run_piece(const Addresses& at, const float* repeated, const Piece& piece, float* rows,
                                   double* sums) const {
  for (const Transfer& load : loads_) {
    with_element(load.is_bf16,
                 [&](auto* element) { fetch(static_cast<decltype(element)>(at.src[load.image]), load, piece, rows); });
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
    const auto address = [&](const Location& location) -> float* {
      switch (location.kind) {
        case Location::Kind::source: return static_cast<float*>(at.src[location.index]) + in_memory;
        case Location::Kind::destination: return static_cast<float*>(at.dst[location.index]) + in_memory;
        case Location::Kind::row: return row_of(rows, location.index) + c * piece_;
        case Location::Kind::repeated: break;
      }
      return nullptr;
    };
    for (const Instruction& instruction : instructions_) {
      for (std::size_t k = 0; k < instruction.sources.size(); ++k) {
        const Location& location = instruction.sources[k];
        if (location.kind == Location::Kind::repeated) {
          const Repeated& r = repeated_[location.index];
          sources[k] = {repeated + r.at, r.count == 1 ? 0 : 1};
        } else {
          sources[k] = {address(location), 1};
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
    with_element(store.is_bf16,
                 [&](auto* element) { put(rows, store, piece, static_cast<decltype(element)>(at.dst[store.image])); });
  }
}

// Channels-last pixels pass through the row behind the last one.
template <class T>
void ElementwiseProgram::fetch(const T* from, const Transfer& load, const Piece& piece, float* rows) const {
  float* to = row_of(rows, load.row);
  if (load.is_interleaved) {
    float* pixels = row_of(rows, rows_);
    widen(from + piece.image + piece.first * channels_, piece.count * channels_, pixels);
    with_channels(channels_, [&](auto n) { split_row<n()>(pixels, piece.count, to, piece_); });
    return;
  }
  for (int64_t c = 0; c < channels_; ++c) {
    widen(from + piece.image + c * plane_ + piece.first, piece.count, to + c * piece_);
  }
}

template <class T>
void ElementwiseProgram::put(float* rows, const Transfer& store, const Piece& piece, T* to) const {
  const float* from = row_of(rows, store.row);
  if (store.is_interleaved) {
    float* pixels = row_of(rows, rows_);
    with_channels(channels_, [&](auto n) { join_row<n()>(from, piece_, piece.count, pixels); });
    narrow(pixels, piece.count * channels_, to + piece.image + piece.first * channels_);
    return;
  }
  for (int64_t c = 0; c < channels_; ++c) {
    narrow(from + c * piece_, piece.count, to + piece.image + c * plane_ + piece.first);
  }
}

// Scratch: the repeated operands, each piece's sums, each thread's rows and, if they are many, the sources of a row.
std::size_t ElementwiseProgram::repeated_bytes() const { return in_lines(repeated_floats_ * sizeof(float)); }
std::size_t ElementwiseProgram::sums_bytes() const {
  return in_lines(static_cast<std::size_t>(images_ * pieces_per_image()) * sums_.size() * sizeof(double));
}
// With the one behind the last, for channels-last pixels.
std::size_t ElementwiseProgram::all_rows() const { return channels_ > 1 ? rows_ + 1 : rows_; }
std::size_t ElementwiseProgram::thread_bytes() const {
  const std::size_t sources = most_sources_ > kMostRowSources ? most_sources_ : 0;
  return all_rows() * kPiece * sizeof(float) + in_lines(sources * sizeof(RowSource));
}

}  // namespace hourglass::kernels
