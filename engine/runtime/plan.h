// A plan: a graph compiled for repeated runs on this machine.
//
// Built once: kernels in order, a layout for every value, reorders where a producer and a consumer disagree, an
// offset in one arena for every intermediate value. run() then executes the kernels; it neither allocates nor
// throws. The same graph, options and inputs give the same bytes.
//
//   Plan plan(graph, {.threads = 4});
//   plan.write(z, values);
//   plan.run();
//   float loss = plan.output(loss_id)[0];
//
// A plan is used by one thread at a time; it sets that thread's number of OpenMP threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/runtime/placement.h"
#include "engine/runtime/step_info.h"
#include "graph/autodiff.h"
#include "graph/graph.h"
#include "ops/geometry/activation_view.h"
#include "ops/layout_policy.h"

namespace hourglass {

struct PlanOptions {
  int threads = 0;  // 0: available_cpus(), see cpus.h
  // The CPUs that each thread is kept to while the plan runs, as Team has it; its memory lies where these are. None:
  // wherever the system puts them.
  std::vector<CpuSet> places = {};
  LayoutPolicy policy = LayoutPolicy::any;
  // Outputs that must lie in memory as another value does (a gradient as its parameter, so that an optimizer can
  // walk both side by side). All other outputs are row-major.
  std::vector<std::pair<ValueId, ValueId>> output_like = {};
  // Whoever runs the plan keeps what it reads of its f32 parameters in bf16, at bf16_copy(): a Cast of one is no step.
  bool given_bf16_copies = false;
  // false: a plan on paper, which holds no memory. It answers steps(), view(), is_row_major(), padded_elements(),
  // arena_bytes() and persistent_bytes(); nothing may be written, read or run.
  bool allocate = true;
  // Where the nodes go that can't be planned, of a plan on paper, with what stands in the way of each.
  std::vector<Refusal>* refusals = nullptr;
};

class Plan {
 public:
  // Throws Error for the first node without a kernel, unless PlanOptions::refusals takes them all, and when the memory
  // can't be had.
  Plan(Graph graph, PlanOptions options);
  ~Plan();
  Plan(Plan&&) noexcept;
  Plan& operator=(Plan&&) noexcept;

  // Sets an input, a parameter or a constant from row-major values; not the copy that bf16_copy() may say.
  void write(ValueId id, const std::vector<float>& values);
  // The row-major values of an input, a parameter or a constant.
  [[nodiscard]] std::vector<float> read(ValueId id) const;
  // The same for memory outside the plan that lies as `id` does, padding included (an optimizer's moments).
  void write_like(ValueId id, const std::vector<float>& values, float* memory) const;
  [[nodiscard]] std::vector<float> read_like(ValueId id, const float* memory) const;

  void run() noexcept;
  // The same, and says after each step how long it took.
  void run_profiled(const std::function<void(std::size_t step, double seconds)>& on_step);
  // The seconds that one step's primitives take, alone and over and over, each of `times` times. Leaves the plan's
  // intermediate values without meaning until the next run().
  std::vector<double> time_primitives(std::size_t step, int64_t times);

  // Where an input or parameter lies, in a layout of the plan's choice, with its padding: its address never changes.
  [[nodiscard]] float* data(ValueId id) const;
  // Elements at data(id), padding included.
  [[nodiscard]] int64_t padded_elements(ValueId id) const;
  // Whether the elements at data(id) are all there is, in row-major order.
  [[nodiscard]] bool is_row_major(ValueId id) const;
  // Where each element of an image stands at data(id). Throws Error for a value that does not lie as images do.
  [[nodiscard]] kernels::View view(ValueId id) const;
  // With PlanOptions::given_bf16_copies: where a parameter's values must lie in bf16 before run(), in its layout and
  // with its padding; null where the plan reads it in f32 alone.
  [[nodiscard]] void* bf16_copy(ValueId parameter) const;
  // Where a graph output lies after run(): f32, row-major unless PlanOptions::output_like says otherwise.
  [[nodiscard]] const float* output(ValueId id) const;

  [[nodiscard]] const Graph& graph() const;
  [[nodiscard]] int threads() const;
  [[nodiscard]] const std::vector<StepInfo>& steps() const;
  // Bytes for intermediate values and scratch, and for inputs, parameters, constants and outputs.
  [[nodiscard]] std::size_t arena_bytes() const;
  [[nodiscard]] std::size_t persistent_bytes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hourglass
