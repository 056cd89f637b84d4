// Restores one image: binds the network, fits it to what the file says, and makes the result one that the file could
// have come from.
//
//   RestoreInput input = load_input("photo.jpg");
//   RestoreResult result = restore(input, network, options, [](const RestoreStep& s) { ...; return true; });
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/image/decoded_image.h"
#include "engine/image/jpeg.h"
#include "engine/restore/consistency.h"
#include "engine/restore/network.h"
#include "engine/train/fit.h"

namespace hourglass {

struct RestoreInput {
  DecodedImage degraded;
  std::optional<JpegCoefficients> jpeg;  // absent for other formats
};

// Throws Error naming the file.
RestoreInput load_input(const std::string& path);

enum class EnergyKind : uint8_t { mse, cell };

// The learning rate over a run: constant, or half a cosine from its start value to zero, so that the iterates settle.
enum class Schedule : uint8_t { constant, cosine };

struct RestoreOptions {
  int64_t iterations = 1000;
  FitOptions fit;
  Schedule schedule = Schedule::cosine;
  int runs = 1;  // independent fits, with seeds fit.seed, fit.seed + 1, ...; their results are averaged
  EnergyKind energy = EnergyKind::mse;  // cell needs a JPEG
  double half_width = 0.3;              // of the cell energy, in quantization steps
  bool use_cells = true;                // the consistency step, for a JPEG
  double sigma_factor = kSigmaFactor;
  int bit_depth = 8;              // of the file that the result is meant for: 8 or 16
  std::optional<Image> original;  // known in experiments: its PSNR is reported on the way
};

// One iteration. PSNRs in dB over all channels, of the iterate and of the run's exponential average, both before the
// consistency step.
struct RestoreStep {
  int run = 0;                            // from 0
  int64_t iteration = 0, iterations = 0;  // of this run, from 1
  double seconds = 0;                     // since the first iteration began
  double loss = 0;
  double psnr_degraded = 0, psnr_degraded_average = 0;
  std::optional<double> psnr_original, psnr_original_average;
};

struct RestoreResult {
  Image image;             // in [0, 1], on the grid of the bit depth
  int64_t iterations = 0;  // over all runs
  double seconds = 0;
  bool interrupted = false;             // on_step asked to stop
  std::optional<double> cells_exact;    // share of coefficients as in the file, before rounding
  std::optional<double> cells_rounded;  // after it
  int64_t canvas_width = 0, canvas_height = 0;
  std::size_t memory_bytes = 0;
  std::size_t reorders = 0;
};

// on_step returns false to stop early; what has been reached is then finished and returned.
RestoreResult restore(const RestoreInput& input, const NetworkFactory& network, const OpTable& table,
                      const RestoreOptions& options, const std::function<bool(const RestoreStep&)>& on_step);

}  // namespace hourglass
