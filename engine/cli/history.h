// The CSV of a run, one row per iteration:
//   iteration,seconds,loss,psnr_degraded,psnr_degraded_average,psnr_original,psnr_original_average
// The last two are empty when the original is not known. PSNRs are in dB. Several runs are counted through.
#pragma once

#include <string>

#include "engine/restore/restore.h"

namespace hourglass::cli {

class History {
 public:
  History();
  void add(const RestoreStep& step);
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace hourglass::cli
