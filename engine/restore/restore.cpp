#include "engine/restore/restore.h"

#include "engine/restore/restoration.h"

namespace hourglass {

RestoreResult restore(const Task& task, const NetworkFactory& make, const OpTable& table, const RestoreOptions& options,
                      const std::function<bool(const RestoreStep&)>& on_step) {
  Restoration restoration(task, make, table, options);
  while (!restoration.done() && on_step(restoration.step())) {
  }
  return restoration.result();
}

}  // namespace hourglass
