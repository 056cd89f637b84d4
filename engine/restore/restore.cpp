#include "engine/restore/restore.h"

#include <algorithm>

#include "engine/restore/restoration.h"
#include "engine/runtime/cpus.h"

namespace hourglass {

int lanes_of(const RestoreOptions& options) { return std::clamp(options.at_once, 1, options.runs); }

int threads_of(const RestoreOptions& options) {
  return options.fit.threads > 0 ? options.fit.threads : available_cpus();
}

FitOptions share_of(const RestoreOptions& options, int run) {
  const int lanes = lanes_of(options);
  FitOptions share = options.fit;
  share.seed += static_cast<uint64_t>(run);
  share.threads = std::max(1, threads_of(options) / lanes);
  share.memory_limit /= static_cast<std::size_t>(lanes);
  return share;
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
