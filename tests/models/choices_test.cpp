// The kernels that the plans of the built-in networks consist of, and the weights after some iterations: compared with
// tests/models/choices.txt, so that a change that only moves code shows that it did.
//
// choices.txt has a section for each oneDNN version, instruction set, network, precision and size:
//
//   [2.6 avx2 small f32 512x512]
//   FusedConv | winograd_forward:avx2 | nhwc | 12       op, kernel, layout of the first output, steps with these three
//   arena 54001664                              bytes
//   steps 4f0c9a...                             SHA-256 of all steps: node, op, kernel, layout, scratch bytes
//   weights 81b2e0...                           SHA-256 after 40 iterations, where the section has any
//
// oneDNN's own choices, and bytes, also depend on the CPU's caches and the compiler: `arena`, `steps`, `weights` and
// the lines of oneDNN's kernels are compared on the machine and build that the section's `on` line names; the lines of
// our kernels everywhere.
//
//   HOURGLASS_WRITE_CHOICES=tests/models/choices.txt choices_tests    writes the sections of this instruction set anew
//   HOURGLASS_DUMP_CHOICES=FILE choices_tests                         every step of every plan, for diff
#include <doctest/doctest.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "engine/image/digest.h"
#include "engine/measure/machine.h"
#include "engine/runtime/precision.h"
#include "engine/train/fit.h"
#include "graph/text.h"
#include "models/builtin.h"
#include "ops/table.h"

namespace hourglass::test {
namespace {

struct Size {
  int64_t height, width;
};
// Small ones, and one that is larger than any threshold of a kernel.
constexpr Size kSizes[] = {{192, 192}, {256, 320}, {512, 512}};
constexpr int kThreads = 2;
constexpr int kIterations = 40;

// A network of three channels against a picture of ramps, with the mean squared error.
Problem problem_of(std::string_view network, Size size) {
  Problem problem;
  problem.graph = make_builtin(network, {.height = size.height, .width = size.width});
  problem.input = problem.graph.inputs[0];
  problem.image = problem.graph.outputs[0];
  GraphBuilder b(problem.graph, op_table());
  HostTensor target(DType::f32, problem.graph.shape(problem.image));
  for (std::size_t i = 0; i < target.values.size(); ++i) target.values[i] = static_cast<double>(i % 97) / 97;
  const ValueId difference = b.add("Sub", {problem.image, b.constant(target)});
  problem.loss = b.add("ReduceMean", {b.add("Mul", {difference, difference})}, {{"keepdims", int64_t{0}}});
  return problem;
}

// What oneDNN's choices and the bytes of a result depend on besides the instruction set.
std::string this_build() {
  const auto kib = [](int name) { return sysconf(name) / 1024; };
#ifdef NDEBUG
  constexpr const char* kKind = "release";
#else
  constexpr const char* kKind = "debug";
#endif
  return fmt::format("{}; L1d {} KiB, L2 {} KiB, L3 {} KiB; {} {}.{}; {}", this_machine().cpu,
                     kib(_SC_LEVEL1_DCACHE_SIZE), kib(_SC_LEVEL2_CACHE_SIZE), kib(_SC_LEVEL3_CACHE_SIZE),
#ifdef __clang__
                     "clang", __clang_major__, __clang_minor__,
#else
                     "gcc", __GNUC__, __GNUC_MINOR__,
#endif
                     kKind);
}

std::string onednn_version() {
  const std::string version = this_machine().onednn;
  return version.substr(0, version.rfind('.'));
}

// "f32:1x8x64x64:nhwc" -> "nhwc"
std::string layout_name(const std::string& description) { return description.substr(description.rfind(':') + 1); }

using Sections = std::map<std::string, std::vector<std::string>>;

bool is_of_this_machine_alone(const std::string& line) {
  for (const char* begin : {"on ", "arena ", "steps ", "weights "}) {
    if (line.starts_with(begin)) return true;
  }
  return false;
}

bool is_ours(const std::string& line) {
  for (const char* kernel :
       {"loop", "winograd_", "blur_last_", "phase_filters_", "amx_", "pointwise_", "narrow_", "vector_"}) {
    if (line.find(fmt::format(" | {}", kernel)) != std::string::npos) return true;
  }
  return false;
}

// The lines by which two machines of one instruction set can be compared.
std::vector<std::string> common_lines(const std::vector<std::string>& section) {
  std::vector<std::string> lines;
  for (const std::string& line : section) {
    if (!is_of_this_machine_alone(line) && is_ours(line)) lines.push_back(line);
  }
  return lines;
}

const std::string* line_of(const std::vector<std::string>& section, std::string_view begin) {
  for (const std::string& line : section) {
    if (line.starts_with(begin)) return &line;
  }
  return nullptr;
}

Sections read_sections(const std::string& path) {
  Sections sections;
  std::ifstream file(path);
  std::string name;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with('[')) {
      name = line;
    } else {
      sections[name].push_back(line);
    }
  }
  return sections;
}

void write_sections(const std::string& path, const Sections& sections) {
  std::ofstream file(path);
  file << "# Written by tests/models/choices_test.cpp, which says what the lines mean.\n";
  for (const auto& [name, lines] : sections) {
    file << '\n' << name << '\n';
    for (const std::string& line : lines) file << line << '\n';
  }
}

std::string weights_after(const Problem& problem, const FitOptions& options) {
  Fit fit(problem, op_table(), options);
  for (int i = 0; i < kIterations; ++i) fit.step();
  Digest digest;
  for (const ValueId id : fit.parameters()) {
    const std::vector<float> values = fit.plan().read(id);
    digest.add(std::span(reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)));
  }
  return digest.hex();
}

bool trains(const Builtin& network, Size size) {
  const bool is_slow = this_machine().isa == "sse41";
  return (network.name == "small" || (network.name == "medium" && !is_slow)) && size.height == kSizes[0].height;
}

std::vector<std::string> section_of(const Builtin& network, Precision precision, Size size, std::ostream& dump) {
  const Problem problem = problem_of(network.name, size);
  FitOptions options;
  options.threads = kThreads;
  options.precision = precision;
  std::map<std::string, int> steps;
  Digest all;
  for (const StepInfo& step : Fit::planned_steps(problem, op_table(), options)) {
    CHECK(!step.implementation.empty());
    ++steps[fmt::format("{} | {} | {}", step.op, step.implementation, layout_name(step.layout))];
    const std::string whole = fmt::format("{} | {} | {} | {} | {}\n", step.name, step.op, step.implementation,
                                          step.layout, step.scratch_bytes);
    all.add(whole);
    dump << whole;
  }
  std::vector<std::string> lines{"on " + this_build()};
  for (const auto& [step, count] : steps) lines.push_back(fmt::format("{} | {}", step, count));
  lines.push_back(fmt::format("arena {}", Fit::planned_bytes(problem, op_table(), options)));
  lines.push_back("steps " + all.hex());
  if (trains(network, size)) lines.push_back("weights " + weights_after(problem, options));
  return lines;
}

std::string text_of(const std::vector<std::string>& lines) { return "\n" + join(lines, "\n") + "\n"; }

}  // namespace

TEST_CASE("the built-in networks run the kernels that choices.txt names, to the same bytes") {
  const std::string path = fmt::format("{}/../models/choices.txt", HOURGLASS_TEST_DATA);
  Sections recorded = read_sections(path);
  const char* dump_path = std::getenv("HOURGLASS_DUMP_CHOICES");
  std::ofstream dump(dump_path != nullptr ? dump_path : "/dev/null");
  std::vector<Precision> precisions{Precision::f32};
  if (has_native_bf16()) precisions.push_back(Precision::bf16);
  const std::string prefix = fmt::format("[{} {} ", onednn_version(), this_machine().isa);
  Sections made;
  int compared = 0, compared_whole = 0;
  std::set<std::string> elsewhere;
  for (const Builtin& network : builtins()) {
    for (const Precision precision : precisions) {
      for (const Size size : kSizes) {
        const std::string name = fmt::format("{}{} {} {}x{}]", prefix, network.name,
                                             precision == Precision::bf16 ? "bf16" : "f32", size.width, size.height);
        CAPTURE(name);
        dump << name << '\n';
        made[name] = section_of(network, precision, size, dump);
        const auto known = recorded.find(name);
        if (known == recorded.end()) continue;
        ++compared;
        const std::string expected = text_of(common_lines(known->second)), found = text_of(common_lines(made[name]));
        CHECK(found == expected);
        const std::string* on = line_of(known->second, "on ");
        if (on == nullptr || *on != made[name].front()) {
          if (on != nullptr) elsewhere.insert(*on);
          continue;
        }
        ++compared_whole;
        CHECK(text_of(made[name]) == text_of(known->second));
      }
    }
  }
  fmt::print("choices: {} plans for oneDNN {} and {}; {} recorded, {} of them on this machine and build ({})\n",
             made.size(), onednn_version(), this_machine().isa, compared, compared_whole, this_build());
  for (const std::string& on : elsewhere) fmt::print("choices: recorded {}\n", on);
  if (const char* target = std::getenv("HOURGLASS_WRITE_CHOICES")) {
    recorded = read_sections(target);
    std::erase_if(recorded, [&](const auto& section) { return section.first.starts_with(prefix); });
    recorded.merge(made);
    write_sections(target, recorded);
  }
}

}  // namespace hourglass::test
