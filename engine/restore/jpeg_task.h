// Restoring a JPEG from what its file says: D is the JPEG's pipeline, or the identity for the plain MSE, and the
// result is moved into the file's cells.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/image/decoded_image.h"
#include "engine/image/jpeg.h"
#include "engine/restore/consistency.h"
#include "engine/restore/filter.h"
#include "engine/restore/jpeg_source.h"
#include "engine/restore/task.h"

namespace hourglass {

struct RestoreInput {
  DecodedImage degraded;
  std::optional<JpegCoefficients> jpeg;   // absent for other formats
  std::optional<FirstCompression> first;  // where the filter is to go by it; load_input() does not look for it
};

// Throws Error naming the file.
RestoreInput load_input(const std::string& path, std::size_t memory_limit = 0);

struct JpegTaskOptions {
  double cell_weight = 0;      // of the cell energy, which needs a JPEG; the rest is that of the MSE to the pixels
  double half_width = 0.3;     // of the cell energy, in quantization steps
  double total_variation = 0;  // lambda of with_total_variation()
  bool use_cells = true;       // the consistency step, for a JPEG
  double sigma_factor = kSigmaFactor;
  int refine_passes = kFilterPasses;  // behind a fit, see filter.h; with use_cells only
  double strength = 1;                // of the result, see CellsOptions; with use_cells only
};

// psnr_degraded() is to the decoded pixels with either energy. An input that is no JPEG is fitted with plain MSE and
// finished without cells. Throws Error when the cell energy is asked for it. The input must outlive the task, which
// holds no copy of it.
std::unique_ptr<Task> make_jpeg_task(const RestoreInput& input, const JpegTaskOptions& options);
std::unique_ptr<Task> make_jpeg_task(RestoreInput&& input, const JpegTaskOptions& options) = delete;

}  // namespace hourglass
