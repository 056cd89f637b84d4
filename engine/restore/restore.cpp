#include "engine/restore/restore.h"

#include <omp.h>

#include <algorithm>
#include <chrono>

#include "engine/restore/restoration.h"
#include "engine/runtime/cpus.h"

namespace hourglass {

int lanes_of(const RestoreOptions& options) { return std::clamp(options.at_once, 1, options.runs); }

int threads_of(int threads) { return threads > 0 ? threads : available_cpus(); }
int threads_of(const RestoreOptions& options) { return threads_of(options.fit.threads); }

FitOptions share_of(const RestoreOptions& options, int run) {
  const int lanes = lanes_of(options);
  FitOptions share = options.fit;
  if (options.tile_side == 0) share.seed += static_cast<uint64_t>(run);
  share.threads = std::max(1, threads_of(options) / lanes);
  share.memory_limit = share.memory_besides = 0;
  return share;
}

std::optional<RestoreResult> filter(const Task& task, int bit_depth, int threads, const Advance& advance) {
  const auto start = std::chrono::steady_clock::now();
  RestoreResult result;
  omp_set_num_threads(threads_of(threads));
  std::optional<Finished> finished = task.filter(levels_of(bit_depth), watched(advance, result.interrupted));
  if (!finished) return {};
  result.finished = std::move(*finished);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

RestoreResult restore(const Task& task, const NetworkFactory& make, const OpTable& table, const RestoreOptions& options,
                      const std::function<bool(const RestoreStep&)>& on_step) {
  Restoration restoration(task, bind_network(make, table, task.baseline()), table, options);
  bool go_on = true;
  while (go_on && !restoration.done()) {
    for (const RestoreStep& step : restoration.round()) go_on = on_step(step) && go_on;
  }
  return restoration.finish();
}

}  // namespace hourglass
