#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/output.h"
#include "engine/cli/prose.h"
#include "engine/cli/terminal.h"
#include "engine/measure/machine.h"
#include "engine/runtime/placement.h"

namespace hourglass::cli {
namespace {

struct BenchMachineArguments {
  std::string synthetic;
};

constexpr const char* kLegend =
    "Each bracket is a core with its hardware threads' numbers; a dot is one that "
    "this process may not use.\n";

ExitCode run(const BenchMachineArguments& a) {
  if (!a.synthetic.empty()) {
    fmt::print("{}\n{}", picture(read_topology({.synthetic = a.synthetic}), report_columns()),
               wrapped_lines(kLegend, report_columns()));
    return ExitCode::ok;
  }
  const Machine machine = this_machine();
  fmt::print("{}\n{}", wrapped_lines(describe(machine), report_columns()), picture(machine.topology, report_columns()));
  if (machine.topology.from_hwloc) fmt::print("\n{}", wrapped_lines(kLegend, report_columns()));
  const std::vector<Landmark> marks = landmarks(machine.topology);
  if (!marks.empty()) fmt::print("\nThreads that have a core each:\n");
  for (const Landmark& mark : marks) fmt::print("{:6}  {}\n", mark.threads, mark.text);
  if (machine.limits.quota > 0) {
    fmt::print("\nThe cgroups pay for {:.3g} CPUs' worth of time; the default is {} threads.\n", machine.limits.quota,
               machine.available);
  }
  return ExitCode::ok;
}

}  // namespace

Command bench_machine_command() {
  const auto arguments = std::make_shared<BenchMachineArguments>();
  Command command{.name = "machine", .help = "Packages, nodes, caches and cores of this machine, as a picture"};
  command.add({{.names = "--synthetic",
                .takes = "MACHINE",
                .target = &arguments->synthetic,
                .help = "Of another one, in hwloc's notation, as 'pack:2 l3:4 core:8 pu:2'"}});
  command.run = [arguments](ParsedCommand&) { return run(*arguments); };
  return command;
}

}  // namespace hourglass::cli
