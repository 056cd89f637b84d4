// One inverse problem, as the loop in restore.h sees it: what the network's image is fitted to, and what is done with
// the result.
//
//   const RestoreInput input = load_input("photo.jpg");
//   const std::unique_ptr<Task> task = make_jpeg_task(input, {});
//   const RestoreResult result = restore(*task, network, table, options, on_step);
//
// A task is a forward operator D and a data term: E(image) = |D(image) - x0|^2, in the weights that the task says. It
// is immutable once made, so one task serves several fits.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "engine/image/image.h"
#include "engine/restore/rectangle.h"
#include "engine/train/stopping.h"
#include "graph/graph.h"

namespace hourglass {

// The largest code of a PNG's samples, which results are rounded to.
inline constexpr int levels_of(int bit_depth) { return bit_depth == 16 ? 65535 : 255; }

// Share of a JPEG's coefficients that come out as in the file when the image is put through its pipeline.
struct CellShares {
  double exact = 0;    // before rounding to the levels
  double rounded = 0;  // after it: what the PNG has
};

struct Finished {
  Image image;  // in [0, 1], on the grid of the levels
  std::optional<CellShares> cells;
};

// Told now and then which share of a piece of work is done, from 0 to 1; answers false to have it ended early, with the
// best that there is by then. Called from one thread at a time.
using Advance = std::function<bool(double done)>;
// Asks `advance`, where there is one, and sets `ended_early` when that ends the work before all of it is done. Refers
// to both.
Advance watched(const Advance& advance, bool& ended_early);

class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  // What can be had without a fit, with the size and channels of the image that is sought: the network is bound to
  // these, and the result is compared with it.
  [[nodiscard]] virtual const Image& baseline() const = 0;
  // Appends E(image) to the graph and returns the scalar loss. image is [1, C, H, W] as the baseline has them.
  virtual ValueId energy(GraphBuilder& builder, ValueId image) const = 0;
  // PSNR in dB of D(image) to x0, over what x0 knows. image is planar, of the baseline's size. Called twice in every
  // iteration.
  [[nodiscard]] virtual double psnr_degraded(const float* image) const = 0;
  // How far an image is from the input in units of what the original must be: see StoppingKind::discrepancy. Empty
  // where the input does not say what its error is. The function refers to the task.
  [[nodiscard]] virtual Discrepancy discrepancy() const { return {}; }
  // Makes the result of the network's average: by default clamped and rounded to multiples of 1/levels, by some tasks
  // first moved to what the input states for certain.
  [[nodiscard]] virtual Finished finish(Image average, int levels, const Advance& advance) const;
  // The result that needs no network, in seconds: empty where the input alone says too little for one.
  [[nodiscard]] virtual std::optional<Finished> filter(int /*levels*/, const Advance& /*advance*/) const { return {}; }
  // The fit of a rectangle of the image alone, which begins at multiples of tile_unit(), and ends at such or with the
  // image. Nothing where the task can't be cut. What it makes is not to be finished. This must outlive it.
  [[nodiscard]] virtual std::unique_ptr<Task> tile(const Rectangle& /*rectangle*/) const { return {}; }
  // 0 where tile() makes nothing.
  [[nodiscard]] virtual int64_t tile_unit() const { return 0; }
};

}  // namespace hourglass
