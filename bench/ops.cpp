// Each op's kernel alone, over and over: Google Benchmark over case strings (tests/ops/case.h).
//
// Without --cases the cases are of the sizes that networks have; with it, they are those of the ops' tests
// (tests/ops/cases), which are small and show overheads. A name says op, type, layout and case, for --benchmark_filter:
//
//   bench_ops --benchmark_filter=BatchNormalization.*/bf16
//
// FLOP are twice the multiply-adds, and bytes are each operand's once; both are per second of wall-clock time. The
// operands stay where they are from run to run: what fits into the caches is read from there, other than in a network
// (`hourglass bench ops` times each op in its place). OMP_NUM_THREADS says how many threads there are.
#include <benchmark/benchmark.h>

#include <omp.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/measure/machine.h"
#include "engine/measure/steps.h"
#include "graph/error.h"
#include "ops/memory/onednn.h"
#include "ops/table.h"
#include "tests/ops/case.h"

namespace hourglass {
namespace {

using kernels::Tag;

struct NetworkCase {
  std::string_view op, text;
};

// Of the medium network (32 channels), the standard one (128) and the small one (8 and 16 at full size) at 512x512,
// where they spend their time.
constexpr NetworkCase kNetworkCases[] = {
    {"Conv", "1x32x256x256 32x32x3x3 | pads=[1,1,1,1]"},
    {"Conv", "1x32x256x256 32x32x3x3 | pads=[1,1,1,1] pad_mode=reflect"},
    {"Conv", "1x32x512x512 32x32x3x3 | pads=[1,1,1,1] pad_mode=reflect strides=[2,2]"},
    {"Conv", "1x36x512x512 32x36x3x3 | pads=[1,1,1,1] pad_mode=reflect"},
    {"Conv", "1x32x512x512 32x32x1x1"},
    {"Conv", "1x128x128x128 128x128x3x3 | pads=[1,1,1,1] pad_mode=reflect"},
    {"FusedConv",
     "1x16x512x512 8x16x3x3 16 16 16 16@0.5..2 | pads=[1,1,1,1] pad_mode=reflect alpha=0.2 with_statistics=1"},
    {"ConvGradSrc", "1x8x512x512 8x16x3x3 | pads=[1,1,1,1] pad_mode=reflect src_shape=[1,16,512,512]"},
    {"ConvGradSrc", "1x32x256x256 32x32x3x3 | pads=[1,1,1,1] pad_mode=reflect src_shape=[1,32,256,256]"},
    {"ConvGradSrc", "1x128x128x128 128x128x3x3 | pads=[1,1,1,1] pad_mode=reflect src_shape=[1,128,128,128]"},
    {"ConvGradWeights",
     "1x16x512x512 1x8x512x512 16 16 16 16@0.5..2 | pads=[1,1,1,1] pad_mode=reflect weights_shape=[8,16,3,3] "
     "alpha=0.2"},
    {"ConvGradWeights", "1x32x256x256 1x32x256x256 | pads=[1,1,1,1] pad_mode=reflect weights_shape=[32,32,3,3]"},
    {"ConvGradWeights", "1x128x128x128 1x128x128x128 | pads=[1,1,1,1] pad_mode=reflect weights_shape=[128,128,3,3]"},
    {"BatchNormalization", "1x32x512x512 32 32 | alpha=0.2"},
    {"BatchNormalization", "1x128x128x128 128 128 | alpha=0.2"},
    {"BatchNormalizationGrad", "1x32x512x512 1x32x512x512 32 32 32 32@0.5..2 | alpha=0.2"},
    {"BatchNormalizationGrad", "1x128x128x128 1x128x128x128 128 128 128 128@0.5..2 | alpha=0.2"},
    {"Resize", "1x32x256x256 | mode=linear scales=[1,1,2,2]"},
    {"ResizeGrad", "1x32x512x512 | mode=linear scales=[1,1,2,2] src_shape=[1,32,256,256]"},
    {"Concat", "1x32x512x512 1x4x512x512 | axis=1"},
    {"Pad", "1x32x256x256 | pads=[0,0,1,1,0,0,1,1] mode=reflect"},
    {"LeakyRelu", "1x32x512x512 | alpha=0.2"},
    {"LeakyReluGrad", "1x32x512x512 1x32x512x512 | alpha=0.2"},
    {"Sigmoid", "1x3x512x512"},
    {"Add", "1x32x512x512 1x32x512x512"},
    {"MatMul", "512x512 512x512"},
};

struct Layout {
  Tag tag;
  std::string_view name;
};
// channels_last is what a fit asks for; nchw is what files have.
constexpr Layout kLayouts[] = {{Tag::nhwc, "nhwc"}, {Tag::nchw, "nchw"}};

// Zeroed memory on a cache line.
class Memory {
 public:
  explicit Memory(std::size_t bytes) : lines_(bytes / sizeof(Line) + 1) {}
  void* data() { return lines_.data(); }

 private:
  struct alignas(64) Line {
    char bytes[64] = {};
  };
  std::vector<Line> lines_;
};

// One node's kernel with its operands.
class KernelRun {
 public:
  KernelRun(const OpDef& op, const test::Case& c, Tag tag)
      : builder_(graph_, op_table()), engine_(kernels::make_engine()), stream_(engine_) {
    std::vector<ValueId> ids;
    std::vector<MemoryDesc> given;
    for (const test::CaseInput& input : c.inputs) {
      ids.push_back(input.given ? builder_.input("x", input.type) : kNoValue);
      const bool is_activation = input.given && input.type.shape.rank() == 4 && is_floating(input.type.dtype);
      given.push_back(!input.given    ? MemoryDesc()
                      : is_activation ? kernels::with_tag(input.type, tag)
                                      : kernels::plain(input.type));
    }
    builder_.add_all(op.name, ids, c.attrs);
    const Node& node = graph_.nodes.back();
    PlanContext context(graph_, node, engine_, given,
                        tag == Tag::nhwc ? LayoutPolicy::channels_last : LayoutPolicy::any);
    plan_ = op.plan(context);
    const std::vector<HostTensor> values = test::draw_inputs(c, 1);
    Addresses at;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      at.src.push_back(c.inputs[i].given ? add(plan_.src[i].get_size()) : nullptr);
      if (c.inputs[i].given) load(values[i], plan_.src[i], at.src.back());
    }
    for (const MemoryDesc& desc : plan_.dst) at.dst.push_back(add(desc.get_size()));
    at.scratch = add(plan_.scratch_bytes);
    plan_.kernel->bind(at, stream_);
  }

  void run() noexcept { plan_.kernel->run(); }
  [[nodiscard]] Work work() const { return work_of(graph_, graph_.nodes.back()); }
  [[nodiscard]] std::string label() const {
    return plan_.dst.empty() ? plan_.implementation
                             : fmt::format("{} {}", plan_.implementation, kernels::describe(plan_.dst[0]));
  }

 private:
  void* add(std::size_t bytes) { return memory_.emplace_back(std::make_unique<Memory>(bytes))->data(); }

  void load(const HostTensor& tensor, const MemoryDesc& desc, void* into) {
    if (tensor.values.empty()) return;
    const auto move = [&](auto values, DType dtype) {
      const MemoryDesc plain = kernels::plain({dtype, tensor.shape});
      dnnl::memory from(plain, engine_, values.data()), to(desc, engine_, into);
      dnnl::reorder(from, to).execute(stream_, from, to);
      stream_.wait();
    };
    if (is_floating(tensor.dtype)) {
      move(std::vector<float>(tensor.values.begin(), tensor.values.end()), DType::f32);
    } else {
      move(std::vector<int32_t>(tensor.values.begin(), tensor.values.end()), DType::i32);
    }
  }

  Graph graph_;
  GraphBuilder builder_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  KernelPlan plan_;
  std::vector<std::unique_ptr<Memory>> memory_;
};

void time_kernel(benchmark::State& state, const OpDef& op, std::string_view text, bool bf16, Tag tag) {
  try {
    const test::Case c = test::parse_case(op, text);
    KernelRun kernel(op, bf16 ? test::in_bf16(op, c) : c, tag);
    kernel.run();  // first touch
    for (auto _ : state) kernel.run();
    const Work work = kernel.work();
    const auto per_second = benchmark::Counter::kIsIterationInvariantRate;
    // In every case, or Google Benchmark's CSV has no room for it.
    state.counters["FLOP"] = benchmark::Counter(work.flops, per_second);
    state.counters["bytes"] = benchmark::Counter(work.bytes, per_second);
    state.SetLabel(kernel.label());
  } catch (const std::exception& error) {
    state.SkipWithError(error.what());
  }
}

void add_benchmark(const OpDef& op, std::string_view text) {
  static const bool has_bf16 = kernels::computes_bf16(kernels::make_engine());
  for (const bool bf16 : {false, true}) {
    if (bf16 && (op.bf16_inputs == 0 || !has_bf16)) continue;
    for (const Layout& layout : kLayouts) {
      const std::string name = fmt::format("{}/{}/{}/{}", op.name, bf16 ? "bf16" : "f32", layout.name, text);
      benchmark::RegisterBenchmark(
          name.c_str(),
          [&op, text, bf16, tag = layout.tag](benchmark::State& state) { time_kernel(state, op, text, bf16, tag); })
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

void add_benchmarks(bool of_tests) {
  if (!of_tests) {
    for (const NetworkCase& c : kNetworkCases) {
      const OpDef* op = op_table().find(c.op);
      if (op == nullptr) fail("there is no op '{}'", c.op);
      add_benchmark(*op, c.text);
    }
    return;
  }
  for (const OpDef* op : op_table().all()) {
    if (op->plan == nullptr) continue;
    for (const std::string& text : test::cases_of(*op)) add_benchmark(*op, text);
  }
}

constexpr std::string_view kHelp = R"(usage: bench_ops [--cases] [--benchmark_...=...]

Times each op's kernel alone, forward and backward, in f32 and bf16, in two layouts.

  --cases   the case strings of the ops' tests, in the place of the networks' sizes

Those of Google Benchmark:
)";

int run(int argc, char** argv) {
  std::vector<char*> arguments;
  bool of_tests = false;
  for (int i = 0; i < argc; ++i) {
    const std::string_view argument = argv[i];
    of_tests |= argument == "--cases";
    if (argument == "--help") fmt::print("{}", kHelp);
    if (argument != "--cases") arguments.push_back(argv[i]);
  }
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  const Machine machine = this_machine();
  omp_set_num_threads(std::getenv("OMP_NUM_THREADS") != nullptr ? omp_get_max_threads() : machine.available);
  benchmark::AddCustomContext("cpu", machine.cpu);
  benchmark::AddCustomContext("isa", machine.isa);
  benchmark::AddCustomContext("onednn", machine.onednn);
  benchmark::AddCustomContext("openmp", machine.openmp);
  benchmark::AddCustomContext("threads", std::to_string(omp_get_max_threads()));
  add_benchmarks(of_tests);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace hourglass

int main(int argc, char** argv) {
  try {
    return hourglass::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_ops: {}\n", error.what());
    return 1;
  }
}
