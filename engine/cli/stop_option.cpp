#include "engine/cli/stop_option.h"

#include <cmath>
#include <map>

#include "engine/cli/method.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

const std::map<std::string, StoppingKind>& rules() {
  static const std::map<std::string, StoppingKind> kRules{
      {"auto", StoppingKind::automatic}, {"none", StoppingKind::none}, {"discrepancy", StoppingKind::discrepancy},
      {"wmv", StoppingKind::wmv},        {"emv", StoppingKind::emv},   {"iteration", StoppingKind::fixed},
      {"energy", StoppingKind::energy}};
  return kRules;
}

}  // namespace

void add_stop_options(Command& command, StopArguments& a) {
  command.add(
      {{.names = "--stop",
        .target = &a.rule,
        .help = "When to end a fit before --iterations: discrepancy (it agrees with a JPEG, or with a noisy "
                "photograph, as the original would), wmv or emv (least variance of the iterates), iteration or energy "
                "(with --stop-at), none, or auto (discrepancy where it can be, else none)",
        .checks = {one_of({"auto", "none", "discrepancy", "wmv", "emv", "iteration", "energy"})},
        .methods = {kFit}},
       {.names = "--stop-at",
        .target = &a.at,
        .help = "The iteration or the energy to stop at",
        .checks = {positive()},
        .methods = {kFit}},
       {.names = "--stop-start",
        .target = &a.options.start,
        .help = "wmv, emv: the first iteration that counts",
        .checks = {non_negative()},
        .methods = {kFit}},
       {.names = "--patience",
        .target = &a.options.patience,
        .help = "wmv, emv: iterations without a new minimum before stopping",
        .checks = {positive()},
        .methods = {kFit}},
       {.names = "--window",
        .target = &a.options.window,
        .help = "wmv: iterations whose variance is taken",
        .checks = {range(2, 1000000)},
        .methods = {kFit}}});
}

StoppingOptions resolve_stop(const StopArguments& arguments, bool has_discrepancy) {
  StoppingOptions options = arguments.options;
  options.kind = rules().at(arguments.rule);
  const bool needs_at = options.kind == StoppingKind::fixed || options.kind == StoppingKind::energy;
  if (needs_at && !arguments.at) fail("--stop {0}: needs --stop-at, the {0} to stop at", arguments.rule);
  if (!needs_at && arguments.at) fail("--stop-at: belongs to --stop iteration and --stop energy only");
  const double at = arguments.at.value_or(0);
  if (options.kind == StoppingKind::fixed && at != std::floor(at)) {
    fail("--stop-at {}: an iteration is a whole number", at);
  }
  if (options.kind == StoppingKind::discrepancy && !has_discrepancy) {
    fail("--stop discrepancy: only a JPEG that is restored and a photograph with noise say how far the original is");
  }
  options.iteration = static_cast<int64_t>(at);
  options.energy = at;
  return options;
}

}  // namespace hourglass::cli
