#include "engine/restore/restore.h"

#include "engine/restore/restoration.h"

namespace hourglass {

RestoreResult restore(const Task& task, const NetworkFactory& make, const OpTable& table, const RestoreOptions& options,
                      const std::function<bool(const RestoreStep&)>& on_step) {
  Restoration restoration(task, make, table, options);
  bool go_on = true;
  while (go_on && !restoration.done()) {
    for (const RestoreStep& step : restoration.round()) go_on = on_step(step) && go_on;
  }
  return restoration.finish();
}

}  // namespace hourglass
