// Every case of every op, from tests/ops/cases.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "graph/autodiff.h"
#include "graph/error.h"
#include "graph/evaluate.h"
#include "ops/loops/element.h"
#include "ops/memory/onednn.h"
#include "ops/memory/view.h"
#include "ops/table.h"
#include "tests/allocations.h"
#include "tests/ops/case.h"

namespace hourglass::test {
namespace {

using kernels::Tag;

// Whether nothing of the kernel is oneDNN's, which allocates as it runs.
bool is_ours(const KernelPlan& plan) { return plan.ours || plan.implementation.starts_with("loop"); }

// Aligned memory between two guard bands.
class Buffer {
 public:
  explicit Buffer(std::size_t size_) : size(size_), blocks_((size_ + 2 * kGuard + kAlign - 1) / kAlign) {
    std::memset(blocks_.data(), kMark, blocks_.size() * kAlign);
  }
  std::size_t size;
  char* data() { return begin() + kGuard; }
  void fill_nan() {
    const uint16_t nan = 0x7fc0;  // as bf16, and two of them as f32
    for (std::size_t i = 0; i + sizeof nan <= size; i += sizeof nan) std::memcpy(data() + i, &nan, sizeof nan);
  }
  bool guards_intact() {
    for (char* p = begin(); p < data(); ++p) {
      if (*p != kMark) return false;
    }
    for (char* p = data() + size; p < begin() + blocks_.size() * kAlign; ++p) {
      if (*p != kMark) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t kAlign = 64, kGuard = 256;
  static constexpr char kMark = 0x5a;
  struct alignas(kAlign) Block {
    char bytes[kAlign];
  };
  char* begin() { return blocks_.front().bytes; }
  std::vector<Block> blocks_;
};

// A stand-alone run of one node's kernel.
class KernelRun {
 public:
  KernelRun(const OpDef& op, const Case& c, const std::vector<HostTensor>& values, Tag tag)
      : builder_(graph_, op_table()), engine_(kernels::make_engine()), stream_(engine_) {
    std::vector<ValueId> ids;
    for (const CaseInput& input : c.inputs) {
      ids.push_back(input.given ? builder_.input("x", input.type) : kNoValue);
    }
    builder_.add_all(op.name, ids, c.attrs);
    const Node& node = graph_.nodes.back();
    std::vector<MemoryDesc> given;
    for (const CaseInput& input : c.inputs) {
      if (!input.given) {
        given.emplace_back();
      } else if (input.type.shape.rank() == 4 && is_floating(input.type.dtype)) {
        given.push_back(kernels::with_tag(input.type, tag));
      } else {
        given.push_back(kernels::plain(input.type));
      }
    }
    PlanContext ctx(graph_, node, engine_, given, tag == Tag::nhwc ? LayoutPolicy::channels_last : LayoutPolicy::any);
    plan_ = op.plan(ctx);
    REQUIRE(plan_.src.size() == node.inputs.size());
    REQUIRE(plan_.dst.size() == node.outputs.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      src_.emplace_back(c.inputs[i].given ? plan_.src[i].get_size() : 0);
      if (c.inputs[i].given) load(values[i], plan_.src[i], src_.back());
    }
    for (const MemoryDesc& desc : plan_.dst) dst_.emplace_back(desc.get_size());
    scratch_ = std::make_unique<Buffer>(plan_.scratch_bytes);
  }

  // Runs with outputs pre-filled with NaN; input `shared.second` is also output `shared.first` when given.
  std::vector<HostTensor> run(std::pair<int, int> shared = {-1, -1}) {
    Addresses at;
    std::vector<Buffer> copies = src_;
    for (std::size_t i = 0; i < copies.size(); ++i) at.src.push_back(copies[i].size == 0 ? nullptr : copies[i].data());
    for (auto& buffer : dst_) {
      buffer.fill_nan();
      at.dst.push_back(buffer.data());
    }
    if (shared.first >= 0)
      at.dst[static_cast<std::size_t>(shared.first)] = at.src[static_cast<std::size_t>(shared.second)];
    at.scratch = scratch_->data();
    scratch_->fill_nan();
    plan_.kernel->bind(at, stream_);
    const int allocated = allocations([&] { plan_.kernel->run(); });
    CAPTURE(plan_.implementation);
    if (is_ours(plan_)) CHECK(allocated == 0);
    stream_.wait();
    for (auto& buffer : copies) CHECK(buffer.guards_intact());
    for (auto& buffer : dst_) CHECK(buffer.guards_intact());
    CHECK(scratch_->guards_intact());
    std::vector<HostTensor> results;
    const Node& node = graph_.nodes.back();
    for (std::size_t i = 0; i < plan_.dst.size(); ++i) {
      results.push_back(unload(at.dst[i], plan_.dst[i], graph_.type(node.outputs[i])));
      check_padding(at.dst[i], plan_.dst[i]);
    }
    return results;
  }
  [[nodiscard]] const KernelPlan& plan() const { return plan_; }

 private:
  void reorder(const MemoryDesc& from, void* src, const MemoryDesc& to, void* dst) {
    dnnl::memory a(from, engine_, src), b(to, engine_, dst);
    dnnl::reorder(a, b).execute(stream_, a, b);
    stream_.wait();
  }
  void load(const HostTensor& tensor, const MemoryDesc& desc, Buffer& into) {
    if (tensor.values.empty()) return;
    if (is_floating(tensor.dtype)) {
      std::vector<float> plain(tensor.values.begin(), tensor.values.end());
      std::memset(into.data(), 0, into.size);
      reorder(kernels::plain({DType::f32, tensor.shape}), plain.data(), desc, into.data());
    } else {
      std::vector<int32_t> plain(tensor.values.begin(), tensor.values.end());
      reorder(kernels::plain({DType::i32, tensor.shape}), plain.data(), desc, into.data());
    }
  }
  HostTensor unload(void* address, const MemoryDesc& desc, const TensorType& type) {
    HostTensor tensor(type.dtype, type.shape);
    if (tensor.values.empty()) return tensor;
    const auto unload_as = [&](auto element, DType dtype) {
      std::vector<decltype(element)> plain(tensor.values.size());
      reorder(desc, address, kernels::plain({dtype, type.shape}), plain.data());
      tensor.values.assign(plain.begin(), plain.end());
    };
    if (is_floating(type.dtype)) {
      unload_as(float{}, DType::f32);
    } else {
      unload_as(int32_t{}, DType::i32);
    }
    return tensor;
  }
  // The lanes that pad the channels of a blocked activation must be zero.
  static void check_padding(const void* address, const MemoryDesc& desc) {
    if (!kernels::is_viewable(desc)) return;
    const kernels::View v = kernels::view_of(desc);
    if (v.c % v.block == 0) return;
    const auto type = kernels::blocking_of(desc).data_type;
    if (type == dnnl::memory::data_type::f32) check_padding(static_cast<const float*>(address), v);
    if (type == dnnl::memory::data_type::bf16) check_padding(static_cast<const kernels::BFloat16*>(address), v);
  }
  template <class T>
  static void check_padding(const T* p, const kernels::View& v) {
    int64_t bad = 0;
    for (int64_t n = 0; n < v.n; ++n) {
      for (int64_t h = 0; h < v.h; ++h) {
        for (int64_t w = 0; w < v.w; ++w) {
          for (int64_t lane = v.lanes(v.groups - 1); lane < v.block; ++lane) {
            if (kernels::load(p + v.offset(n, v.groups - 1, h, w) + lane) != 0) ++bad;
          }
        }
      }
    }
    CHECK_MESSAGE(bad == 0, "padding lanes are not zero");
  }

  Graph graph_;
  GraphBuilder builder_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  KernelPlan plan_;
  std::vector<Buffer> src_, dst_;
  std::unique_ptr<Buffer> scratch_;
};

std::vector<const HostTensor*> pointers(const Case& c, const std::vector<HostTensor>& values) {
  std::vector<const HostTensor*> result;
  for (std::size_t i = 0; i < values.size(); ++i) result.push_back(c.inputs[i].given ? &values[i] : nullptr);
  return result;
}

// Sums of up to a few thousand f32 products of numbers near 1, compared relative to the tensor's largest element:
// f32 epsilon (6e-8) times the square root of the sum's length, with room for oneDNN's Winograd-free kernels.
constexpr double kTolerance = 2e-5;
// bf16 keeps 8 bits: sums are in f32, so one rounding of the result (2^-9), with room for a second inside the kernel.
constexpr double kToleranceBf16 = 1.0 / 256;
constexpr int64_t kLargestForGradient = 10'000;

// Of the largest element; of whole numbers any difference is one.
double worst_difference(const HostTensor& got, const HostTensor& expected) {
  if (!is_floating(expected.dtype)) return got.values == expected.values ? 0 : 1;
  double scale = 1, worst = 0;
  for (const double value : expected.values) scale = std::max(scale, std::abs(value));
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    const double difference = std::abs(got.values[i] - expected.values[i]);
    if (!(difference <= worst)) worst = difference;  // NaN wins
  }
  return worst / scale;
}

void check_kernel(const OpDef& op, const Case& c, Tag tag) {
  const std::vector<HostTensor> values = draw_inputs(c, 1);
  const std::vector<HostTensor> expected = evaluate_reference(op, c.attrs, pointers(c, values));
  KernelRun kernel(op, c, values, tag);
  const std::vector<HostTensor> got = kernel.run();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    INFO("output " << i << ", implementation " << kernel.plan().implementation);
    const double tolerance = expected[i].dtype == DType::bf16 ? kToleranceBf16 : kTolerance;
    CHECK(worst_difference(got[i], expected[i]) <= std::max(tolerance, kernel.plan().rounding));
  }
  const std::vector<HostTensor> again = kernel.run();
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK_MESSAGE(again[i].values == got[i].values, "not deterministic");
  for (const auto& pair : kernel.plan().in_place) {
    const std::vector<HostTensor> shared = kernel.run(pair);
    for (std::size_t i = 0; i < expected.size(); ++i)
      CHECK_MESSAGE(shared[i].values == got[i].values, "in place differs");
  }
}

// The vjp's nodes, evaluated in double, against central differences of the reference.
void check_gradient(const OpDef& op, const Case& c) {
  Graph graph;
  GraphBuilder builder(graph, op_table());
  std::vector<HostTensor> values = draw_inputs(c, 2);
  std::map<ValueId, HostTensor> given;
  std::vector<ValueId> ids;
  std::vector<bool> wanted;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    ids.push_back(c.inputs[i].given ? builder.input("x", c.inputs[i].type) : kNoValue);
    if (ids.back().valid()) given[ids.back()] = values[i];
    wanted.push_back(c.inputs[i].given && is_floating(c.inputs[i].type.dtype));
  }
  if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) return;  // whole numbers and truth values
  builder.add_all(op.name, ids, c.attrs);
  const Node node = graph.nodes.back();

  // The cotangent is random: with all ones, a normalisation's true gradient is zero and a broken one passes.
  const std::vector<HostTensor> outputs = evaluate_reference(op, c.attrs, pointers(c, values));
  std::vector<ValueId> output_grads;
  std::vector<HostTensor> cotangents;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const DType dtype = outputs[i].dtype;
    Case random{.inputs = {{.type = {dtype, outputs[i].shape}}}, .attrs = {}};
    cotangents.push_back(draw_inputs(random, 100 + i)[0]);
    // Outputs behind the first are what the backward pass saves (statistics, indices): no gradient flows into them.
    const bool flows = i == 0 && is_floating(dtype);
    output_grads.push_back(flows ? builder.input("cotangent", {dtype, outputs[i].shape}) : kNoValue);
    if (flows) given[output_grads.back()] = cotangents.back();
  }
  VjpContext ctx(builder, node, output_grads, wanted);
  op.vjp(ctx);

  const auto loss = [&](const std::vector<HostTensor>& at) {
    const std::vector<HostTensor> out = evaluate_reference(op, c.attrs, pointers(c, at));
    double sum = 0;
    for (std::size_t k = 0; k < out[0].values.size(); ++k) sum += out[0].values[k] * cotangents[0].values[k];
    return sum;
  };
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (!wanted[i]) continue;
    INFO("gradient of input " << i);
    if (!ctx.grads()[i].valid()) {
      // A rule may say "zero" by emitting nothing; then the differences must be zero.
      for (std::size_t k = 0; k < values[i].values.size(); k += 1 + values[i].values.size() / 16) {
        std::vector<HostTensor> up = values, down = values;
        up[i].values[k] += 1e-4;
        down[i].values[k] -= 1e-4;
        CHECK(std::abs(loss(up) - loss(down)) < 1e-9);
      }
      continue;
    }
    const HostTensor grad = evaluate(graph, given, {ctx.grads()[i]})[0];
    REQUIRE(grad.shape == values[i].shape);
    double scale = 1e-3, worst = 0;
    const std::size_t count = values[i].values.size();
    const std::size_t step = 1 + count / 97;  // a sample of about a hundred elements of a large input
    for (std::size_t k = 0; k < count; k += step) {
      constexpr double kStep = 1e-5;
      std::vector<HostTensor> up = values, down = values;
      up[i].values[k] += kStep;
      down[i].values[k] -= kStep;
      const double numeric = (loss(up) - loss(down)) / (2 * kStep);
      scale = std::max(scale, std::abs(numeric));
      const double difference = std::abs(numeric - grad.values[k]);
      if (!(difference <= worst)) worst = difference;
    }
    CHECK(worst / scale < 1e-6);
  }
}

// f32, and bf16 where oneDNN computes in it on this CPU.
const std::vector<DType>& computed_types() {
  static const std::vector<DType> types =
      kernels::computes_bf16(kernels::make_engine()) ? std::vector{DType::f32, DType::bf16} : std::vector{DType::f32};
  return types;
}

}  // namespace

TEST_CASE("every op is complete") {
  for (const OpDef* op : op_table().all()) {
    CAPTURE(op->name);
    // A composition of other ops is tested by its parts, and as a whole by ONNX's own cases (tests/conformance).
    if (op->lower != nullptr && op->infer == nullptr) continue;
    // It is what its nodes' bodies say: tests/engine/runtime/elementwise_test.cpp.
    if (op->name == "Elementwise") continue;
    CHECK((op->infer != nullptr));
    CHECK((op->reference != nullptr));
    if (!op->internal) CHECK((op->vjp != nullptr || !op->no_gradient.empty()));
  }
  for (const std::string_view name : ops_without_cases(op_table(), all_cases())) FAIL_CHECK(name, " has no cases");
}

constexpr Tag kTags[] = {Tag::nchw, Tag::nhwc, Tag::nChw8c, Tag::nChw16c};

TEST_CASE("kernels agree with the double reference in every layout") {
  for (const OpDef* op : op_table().all()) {
    if (op->plan == nullptr) continue;
    for (const std::string& text : cases_of(*op)) {
      for (const Tag tag : kTags) {
        CAPTURE(op->name);
        CAPTURE(text);
        CAPTURE(static_cast<int>(tag));
        try {
          check_kernel(*op, parse_case(*op, text), tag);
        } catch (const std::exception& error) {
          FAIL_CHECK(std::string(error.what()));
        }
      }
    }
  }
}

TEST_CASE("kernels agree with the double reference in bf16") {
  if (!kernels::computes_bf16(kernels::make_engine())) {
    MESSAGE("skipped: oneDNN does not compute in bf16 on this CPU");
    return;
  }
  for (const OpDef* op : op_table().all()) {
    if (op->plan == nullptr || op->bf16_inputs == 0) continue;
    for (const std::string& text : cases_of(*op)) {
      for (const Tag tag : kTags) {
        CAPTURE(op->name);
        CAPTURE(text);
        CAPTURE(static_cast<int>(tag));
        try {
          check_kernel(*op, in_bf16(*op, parse_case(*op, text)), tag);
        } catch (const std::exception& error) {
          FAIL_CHECK(std::string(error.what()));
        }
      }
    }
  }
}

// Backward kernels of elementwise ops where gradients or what was saved are 0 or infinite: what is infinite and what is
// no number must be so in the reference too, and the rest agree.
TEST_CASE("elementwise gradients agree with the double reference at zeros and infinities") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kValues[] = {0, 1, -1, 0.5, -0.5, 0.25, kInfinity, -kInfinity};
  int checked = 0;
  for (const OpDef* op : op_table().all()) {
    if (!op->internal || op->row == nullptr || op->min_inputs != 2) continue;
    for (const std::string& text : cases_of(*op)) {
      for (const DType dtype : computed_types()) {
        for (const Tag tag : kTags) {
          const Case c = dtype == DType::bf16 ? in_bf16(*op, parse_case(*op, text)) : parse_case(*op, text);
          std::vector<HostTensor> values = draw_inputs(c, 1);
          for (std::size_t i = 0; i < values.size(); ++i) {
            std::size_t k = i;  // the inputs' lists have different lengths, so that everything meets everything
            for (double& value : values[i].values) value = kValues[k++ % (std::size(kValues) - i)];
          }
          const HostTensor expected = evaluate_reference(*op, c.attrs, pointers(c, values))[0];
          const HostTensor got = KernelRun(*op, c, values, tag).run()[0];
          CAPTURE(op->name);
          CAPTURE(text);
          CAPTURE(static_cast<int>(tag));
          int bad = 0;
          for (std::size_t k = 0; k < expected.values.size(); ++k, ++checked) {
            const double want = expected.values[k], have = got.values[k];
            const double tolerance =
                (dtype == DType::bf16 ? kToleranceBf16 : kTolerance) * std::max(1.0, std::abs(want));
            const bool agree = std::isnan(want)   ? std::isnan(have)
                               : std::isinf(want) ? have == want
                                                  : std::abs(have - want) <= tolerance;
            if (!agree) ++bad;
          }
          CHECK(bad == 0);
        }
      }
    }
  }
  CHECK(checked > 0);
}

// Every fifth element is NaN. Also the reductions that GlobalAveragePool and GlobalMaxPool are, and the elementwise ops
// of which LpPool is made.
TEST_CASE("pooling agrees with the double reference where there is NaN") {
  int numbers = 0, no_numbers = 0;
  for (const char* name :
       {"MaxPool", "MaxPoolGrad", "MaxPoolIndices", "AveragePool", "AveragePoolGrad", "GlobalMaxPool",
        "GlobalAveragePool", "ReduceMax", "ReduceMin", "ReduceMean", "Abs", "Pow", "Mul"}) {
    const OpDef* op = op_table().find(name);
    REQUIRE(op != nullptr);
    for (const std::string& text : cases_of(*op)) {
      for (const DType dtype : computed_types()) {
        for (const Tag tag : kTags) {
          const Case c = dtype == DType::bf16 ? in_bf16(*op, parse_case(*op, text)) : parse_case(*op, text);
          std::vector<HostTensor> values = draw_inputs(c, 1);
          for (std::size_t i = 0; i < values.size(); ++i) {
            for (std::size_t k = i; k < values[i].values.size() && is_floating(values[i].dtype); k += 5) {
              values[i].values[k] = std::nan("");
            }
          }
          const HostTensor expected = evaluate_reference(*op, c.attrs, pointers(c, values))[0];
          KernelRun kernel(*op, c, values, tag);
          const HostTensor got = kernel.run()[0];
          CAPTURE(op->name);
          CAPTURE(text);
          CAPTURE(static_cast<int>(tag));
          CAPTURE(kernel.plan().implementation);
          int bad = 0;
          for (std::size_t k = 0; k < expected.values.size(); ++k) {
            const double want = expected.values[k], have = got.values[k];
            const double tolerance =
                (dtype == DType::bf16 ? kToleranceBf16 : kTolerance) * std::max(1.0, std::abs(want));
            // Kernels of MaxPool take the maximum of NaN alone for the lowest number, or for -infinity.
            const bool lowest = op->name == "MaxPool" && have < -3e38;
            const bool agree = std::isnan(want) ? std::isnan(have) || lowest : std::abs(have - want) <= tolerance;
            if (!agree) ++bad;
            ++(std::isnan(want) ? no_numbers : numbers);
          }
          CHECK(bad == 0);
        }
      }
    }
  }
  CHECK(numbers > 0);
  CHECK(no_numbers > 0);
}

// Elements that a kernel was not written for it must not take for floats. ReduceProd has cases of its own: many
// numbers' product is out of range.
TEST_CASE("kernels of whole numbers are right, or refuse") {
  int checked = 0;
  for (const OpDef* op : op_table().all()) {
    if (op->plan == nullptr || op->internal || op->name == "ReduceProd") continue;
    for (const std::string& text : cases_of(*op)) {
      for (const DType dtype : {DType::i64, DType::i32, DType::u8, DType::boolean}) {
        CAPTURE(op->name);
        CAPTURE(text);
        CAPTURE(to_string(dtype));
        Case c = parse_case(*op, text);
        bool changed = false;
        for (CaseInput& input : c.inputs) {
          if (!input.given || input.type.dtype != DType::f32) continue;
          input.type.dtype = dtype;
          input.low = dtype == DType::boolean ? 0 : 1;
          input.high = dtype == DType::boolean ? 2 : 4;
          changed = true;
        }
        if (!changed) continue;
        try {
          const std::vector<HostTensor> values = draw_inputs(c, 1);
          evaluate_reference(*op, c.attrs, pointers(c, values));
          KernelRun(*op, c, values, Tag::nhwc);
        } catch (const Error&) {
          continue;
        } catch (const dnnl::error&) {
          continue;
        }
        check_kernel(*op, c, Tag::nhwc);
        ++checked;
      }
    }
  }
  CHECK(checked > 200);
}

// An activation that a normalisation computes too: where it is dead, whatever the gradient holds does not matter.
TEST_CASE("a normalisation's gradient does not see what its Relu hides") {
  const OpDef& op = *op_table().find("BatchNormalizationGrad");
  for (const char* text : {"1x8x5x7 1x8x5x7 8 8 8 8@0.5..2 | alpha=0", "2x17x6x3 2x17x6x3 17 17 17 17@0.5..2 | alpha=0",
                           "1x64x9x9 1x64x9x9 64 64 64 64@0.5..2 | alpha=0"}) {
    for (const DType dtype : computed_types()) {
      for (const Tag tag : kTags) {
        CAPTURE(std::string(text));
        CAPTURE(static_cast<int>(dtype));
        CAPTURE(static_cast<int>(tag));
        const Case c = dtype == DType::bf16 ? in_bf16(op, parse_case(op, text)) : parse_case(op, text);
        std::vector<HostTensor> zeros = draw_inputs(c, 1);
        const Shape& shape = zeros[1].shape;
        const int64_t space = shape[2] * shape[3];
        std::vector<HostTensor> infinities = zeros;
        for (int64_t i = 0; i < shape.elements(); ++i) {
          const auto k = static_cast<std::size_t>(i), channel = static_cast<std::size_t>(i / space % shape[1]);
          const double xhat = (zeros[1].values[k] - zeros[4].values[channel]) * zeros[5].values[channel];
          if (xhat * zeros[2].values[channel] + zeros[3].values[channel] > -0.02) continue;
          zeros[0].values[k] = 0;
          infinities[0].values[k] = i % 2 == 0 ? HUGE_VAL : -HUGE_VAL;
        }
        const std::vector<HostTensor> expected = KernelRun(op, c, zeros, tag).run();
        const std::vector<HostTensor> got = KernelRun(op, c, infinities, tag).run();
        const std::vector<HostTensor> reference = evaluate_reference(op, c.attrs, pointers(c, infinities));
        for (std::size_t i = 0; i < expected.size(); ++i) {
          CHECK(got[i].values == expected[i].values);
          CHECK(worst_difference(got[i], reference[i]) <=
                (reference[i].dtype == DType::bf16 ? kToleranceBf16 : kTolerance));
        }
      }
    }
  }
}

TEST_CASE("gradients agree with central differences in double") {
  for (const OpDef* op : op_table().all()) {
    if (op->vjp == nullptr) continue;
    for (const std::string& text : cases_of(*op)) {
      CAPTURE(op->name);
      CAPTURE(text);
      const Case c = parse_case(*op, text);
      // Large cases are there for the kernels' ways to cut their work; hundreds of references of them take too long.
      if (c.inputs[0].type.shape.elements() > kLargestForGradient) continue;
      try {
        check_gradient(*op, c);
      } catch (const std::exception& error) {
        FAIL_CHECK(std::string(error.what()));
      }
    }
  }
}

}  // namespace hourglass::test
