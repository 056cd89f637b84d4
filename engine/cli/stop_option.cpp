#include "engine/cli/stop_option.h"

#include <cmath>
#include <map>

#include "engine/cli/fit_options.h"
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

void add_stop_options(CLI::App& command, StopArguments& a) {
  command
      .add_option(
          "--stop", a.rule,
          "When to end a fit before --iterations: discrepancy (it agrees with a JPEG, or with a noisy "
          "photograph, as the original would), wmv or emv (least variance of the iterates), iteration or energy "
          "(with --stop-at), none, or auto (discrepancy where it can be, else none)")
      ->check(CLI::IsMember({"auto", "none", "discrepancy", "wmv", "emv", "iteration", "energy"}))
      ->capture_default_str();
  command.add_option("--stop-at", a.at, "The iteration or the energy to stop at")->check(positive());
  command.add_option("--stop-start", a.options.start, "wmv, emv: the first iteration that counts")
      ->check(non_negative())
      ->capture_default_str();
  command.add_option("--patience", a.options.patience, "wmv, emv: iterations without a new minimum before stopping")
      ->check(positive())
      ->capture_default_str();
  command.add_option("--window", a.options.window, "wmv: iterations whose variance is taken")
      ->check(CLI::Range(int64_t{2}, int64_t{1000000}))
      ->capture_default_str();
}

StoppingOptions resolve_stop(const StopArguments& arguments, bool has_discrepancy) {
  StoppingOptions options = arguments.options;
  options.kind = rules().at(arguments.rule);
  const bool needs_at = options.kind == StoppingKind::fixed || options.kind == StoppingKind::energy;
  if (needs_at && arguments.at <= 0) fail("--stop {0}: needs --stop-at, the {0} to stop at", arguments.rule);
  if (!needs_at && arguments.at > 0) fail("--stop-at: belongs to --stop iteration and --stop energy only");
  if (options.kind == StoppingKind::fixed && arguments.at != std::floor(arguments.at)) {
    fail("--stop-at {}: an iteration is a whole number", arguments.at);
  }
  if (options.kind == StoppingKind::discrepancy && !has_discrepancy) {
    fail("--stop discrepancy: only a JPEG that is restored and a photograph with noise say how far the original is");
  }
  options.iteration = static_cast<int64_t>(arguments.at);
  options.energy = arguments.at;
  return options;
}

}  // namespace hourglass::cli
