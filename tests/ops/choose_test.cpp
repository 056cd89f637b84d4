// The list that chooses a convolution's kernel: its names, its order, and what HOURGLASS_SKIP leaves out.
#include "ops/convolution/choose.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "graph/error.h"
#include "ops/memory/onednn.h"
#include "ops/table.h"
#include "tests/ops/case.h"

namespace hourglass::test {
namespace {

using kernels::Candidate;

// Sets HOURGLASS_SKIP while it lives.
class Skip {
 public:
  explicit Skip(const std::string& names) { setenv("HOURGLASS_SKIP", names.c_str(), 1); }
  ~Skip() { unsetenv("HOURGLASS_SKIP"); }
  Skip(const Skip&) = delete;
  Skip& operator=(const Skip&) = delete;
};

// The plan of one node of the op, whose inputs and attributes a case string gives; channels-last, as a fit's.
KernelPlan plan_of(const char* op_name, const char* text) {
  const OpDef& op = *op_table().find(op_name);
  const Case c = parse_case(op, text);
  Graph graph;
  GraphBuilder b(graph, op_table());
  std::vector<ValueId> inputs;
  std::vector<MemoryDesc> given;
  for (const CaseInput& input : c.inputs) {
    inputs.push_back(input.given ? b.input("x", input.type) : kNoValue);
    given.push_back(!input.given                   ? MemoryDesc()
                    : input.type.shape.rank() == 4 ? kernels::with_tag(input.type, kernels::Tag::nhwc)
                                                   : kernels::plain(input.type));
  }
  b.add_all(op.name, inputs, c.attrs);
  const dnnl::engine engine = kernels::make_engine();
  PlanContext ctx(graph, graph.nodes.back(), engine, std::move(given), LayoutPolicy::channels_last);
  return op.plan(ctx);
}

std::string winner(const KernelPlan& plan) { return plan.implementation.substr(0, plan.implementation.find(':')); }

constexpr const char* kNormalized = "1x32x24x20 16x32x1x1 32 32 32 32@0.5..2 | alpha=0.2";
constexpr const char* kResized =
    "1x32x10x12 32x32x3x3 32 32 32 32@0.5..2 | pads=[1,1,1,1] pad_mode=reflect mode=linear scales=[1,1,2,2]";
constexpr const char* k3x3 = "1x32x24x20 32x32x3x3 | pads=[1,1,1,1] pad_mode=reflect";

}  // namespace

TEST_CASE("candidates have names of their own, which say their direction") {
  std::set<std::string_view> names;
  for (const Candidate& candidate : kernels::convolution_candidates()) {
    CAPTURE(candidate.name);
    CHECK(names.insert(candidate.name).second);
    CHECK(candidate.name.find_first_of(",: ") == std::string_view::npos);
    if (candidate.direction == kernels::Direction::grad_src) CHECK(candidate.name.ends_with("_grad_src"));
    if (candidate.direction == kernels::Direction::grad_weights) CHECK(candidate.name.ends_with("_grad_weights"));
  }
}

TEST_CASE("the best candidate wins, and those before it say why they declined") {
  const bool vectors = kernels::has(kernels::Isa::avx2);
  CHECK(winner(plan_of("FusedConv", kNormalized)) == (vectors ? "pointwise_vector" : "onednn_whole_forward"));
  CHECK(winner(plan_of("FusedConv", kResized)) == (vectors ? "blur_last_forward" : "onednn_bands_forward"));
  CHECK(winner(plan_of("Conv", k3x3)) == (vectors ? "winograd_forward" : "onednn_bands_forward"));
  CHECK(winner(plan_of("Conv", "1x8x9x8 12x2x3x3 12 | group=4 pads=[1,1,1,1]")) == "onednn_whole_forward");
  CHECK(winner(plan_of("ConvGradSrc", "1x4x8x5 4x17x1x1 | src_shape=[1,17,8,5]")) == "onednn_transposed_grad_src");
  CHECK(
      winner(plan_of("ConvGradSrc", "1x4x131x126 4x20x5x5 | pads=[2,2,2,2] pad_mode=reflect src_shape=[1,20,131,126]"))
          .starts_with("onednn_b"));
  CHECK(winner(plan_of("ConvGradWeights", "1x8x9x8 1x8x9x8 | weights_shape=[8,8,3,3] pads=[1,1,1,1]")) ==
        "narrow_3x3_grad_weights");
  CHECK(winner(plan_of("ConvGradWeights", "1x32x9x8 1x4x9x8 | weights_shape=[4,32,1,1]")) == "narrow_1x1_grad_weights");
  for (const char* attributes : {"", " with_bias=1"}) {
    const std::string same = std::string("1x24x9x8 1x48x9x8 | pads=[1,1,1,1] weights_shape=[48,24,3,3]") + attributes;
    CHECK(winner(plan_of("ConvGradWeights", same.c_str())).starts_with(vectors ? "winograd_grad_weights" : "onednn_"));
  }

  const KernelPlan plan = plan_of("Conv", k3x3);
  REQUIRE(!plan.declined.empty());
  CHECK(plan.declined.front().starts_with("blur_last_forward: "));
  for (const std::string& line : plan.declined) CHECK(line.size() > line.find(": ") + 2);
  CHECK(plan.ours == vectors);
}

TEST_CASE("HOURGLASS_SKIP leaves candidates out") {
  std::string all;
  for (const Candidate& candidate : kernels::convolution_candidates()) {
    if (!candidate.ours) continue;
    all += std::string(candidate.name) + ",";
  }
  const Skip skip(all);
  for (const auto& [op, text] : {std::pair("FusedConv", kNormalized), {"FusedConv", kResized}, {"Conv", k3x3}}) {
    const KernelPlan plan = plan_of(op, text);
    CAPTURE(plan.implementation);
    CHECK(winner(plan).starts_with("onednn_"));
    CHECK(!plan.ours);
  }
  const KernelPlan plan = plan_of("Conv", k3x3);
  CHECK(std::count(plan.declined.begin(), plan.declined.end(), "winograd_forward: HOURGLASS_SKIP names it") == 1);
}

TEST_CASE("HOURGLASS_SKIP of a name that no candidate has is an error, which lists the names") {
  const Skip skip("winograd_forward,winograd");
  CHECK_THROWS_WITH_AS(plan_of("Conv", k3x3), doctest::Contains("'winograd', which is no kernel"), Error);
  CHECK_THROWS_WITH_AS(plan_of("Conv", k3x3), doctest::Contains("narrow_1x1_grad_weights"), Error);
}

TEST_CASE("where every candidate is left out, the error says why each declined") {
  std::string all;
  for (const Candidate& candidate : kernels::convolution_candidates()) all += std::string(candidate.name) + ",";
  const Skip skip(all);
  CHECK_THROWS_WITH_AS(plan_of("Conv", k3x3), doctest::Contains("onednn_whole_forward: HOURGLASS_SKIP names it"),
                       Error);
}

}  // namespace hourglass::test
