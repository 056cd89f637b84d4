#include "engine/cli/history.h"

#include <fmt/format.h>

namespace hourglass::cli {
namespace {

std::string optional_text(const std::optional<double>& value) { return value ? fmt::format("{:.4f}", *value) : ""; }

}  // namespace

History::History()
    : text_("iteration,seconds,loss,psnr_degraded,psnr_degraded_average,psnr_original,psnr_original_average\n") {}

void History::add(const RestoreStep& step) {
  text_ += fmt::format("{},{:.3f},{:.8g},{:.4f},{:.4f},{},{}\n", step.run * step.iterations + step.iteration,
                       step.seconds, step.loss, step.psnr_degraded, step.psnr_degraded_average,
                       optional_text(step.psnr_original), optional_text(step.psnr_original_average));
}

}  // namespace hourglass::cli
