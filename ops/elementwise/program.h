// An elementwise kernel as it runs: inputs are read a piece of 2048 elements at a time and widened to f32, the
// functions of all nodes (OpDef::row) are applied to the piece, and the results are rounded and written, so
// intermediate results never leave the first-level cache. ops/elementwise/compiler.h makes it.
//
// Images of few channels may be channels-last on the one side, as convolutions want them, and row-major on the other,
// as whoever compares or shows images does: a piece is then some pixels, and its rows are their channels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "graph/op.h"
#include "ops/kernel.h"
#include "ops/loops/broadcast.h"

namespace hourglass::kernels {

class ElementwiseProgram {
 public:
  static constexpr int64_t kMostChannels = 4;  // of images that are split into planes
  static constexpr int64_t kPiece = 2048;      // elements

  void run(const Addresses& at) const;
  [[nodiscard]] std::size_t scratch_bytes() const;

 private:
  friend class ElementwiseCompiler;

  // Where an operand of a row lies.
  struct Location {
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
    BroadcastOperand operand;
  };

  // A broadcast input of which every piece reads the same elements: one number, or as many as a piece has. It is read
  // once.
  struct Repeated {
    std::size_t input;
    BroadcastOperand operand;
    int64_t count;
    std::size_t at;  // where they lie, in floats
  };

  struct Instruction {
    std::vector<Location> sources;
    Row row = {};               // none for a sum
    Location destination = {};  // of the row
    std::size_t sum = 0;        // which sum
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

  void run_piece(const Addresses& at, const float* repeated, const Piece& piece, float* rows, double* sums) const;
  template <class T>
  void fetch(const T* from, const Transfer& load, const Piece& piece, float* rows) const;
  template <class T>
  void put(float* rows, const Transfer& store, const Piece& piece, T* to) const;

  [[nodiscard]] int64_t pieces_per_image() const { return (plane_ + piece_ - 1) / piece_; }
  [[nodiscard]] std::size_t repeated_bytes() const;
  [[nodiscard]] std::size_t sums_bytes() const;
  [[nodiscard]] std::size_t all_rows() const;
  [[nodiscard]] std::size_t thread_bytes() const;

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

}  // namespace hourglass::kernels
