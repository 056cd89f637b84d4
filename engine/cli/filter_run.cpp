#include "engine/cli/filter_run.h"

#include <fmt/core.h>

#include <chrono>
#include <utility>

#include "graph/error.h"

namespace hourglass::cli {

NamedValues values_of_filter(const RunRequest& request) {
  return {{"threads", fmt::format("{}", threads_of(request.threads))}};
}

Outcome run_filter(const RunRequest& request, Progress& progress, const InterruptGuard& interrupt) {
  const auto start = std::chrono::steady_clock::now();
  const auto show = [&](double done) {
    progress.show_share(done, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return interrupt.signal() == 0;
  };
  progress.begin("filter");
  show(0);
  std::optional<RestoreResult> result = filter(request.what.task, request.bit_depth, request.threads, show);
  if (!result) fail("{}: says too little for a filter", request.input);
  const Settings settings(of_method(request.call.line, kFilter), values_of_filter(request));
  return {.result = std::move(*result), .method = kFilter, .record = record_of(request, settings, {})};
}

}  // namespace hourglass::cli
