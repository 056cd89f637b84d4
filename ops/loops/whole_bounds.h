// Bounds of the whole numbers that a graph computes: interval arithmetic, node by node, which tells whether an i64,
// kept in 32 bits while a plan runs, may overflow them. Unknown numbers (a Cast from float) are assumed to be within
// [-255, 255], as levels of a byte are. A number that overflows all the same saturates.
#pragma once

#include <cstdint>
#include <map>

#include "ops/kernel.h"

namespace hourglass::kernels {

// Of a graph's whole numbers, each followed once: whoever plans all nodes of a graph keeps one for them
// (PlanContext::whole_bounds).
class WholeBounds {
 public:
  struct Bounds {
    double low = -255, high = 255;
  };

  // The graph must outlive it.
  explicit WholeBounds(const Graph& graph) : graph_(graph) {}

  // Of what the node makes, if it had as many bits as it needs.
  Bounds made_by(const Node& node);
  // How many nodes it has looked at.
  [[nodiscard]] int64_t followed() const { return followed_; }

 private:
  Bounds of(ValueId id);
  Bounds of_two(std::string_view op, const Bounds& a, ValueId other);

  const Graph& graph_;
  std::map<ValueId, Bounds> known_;
  int64_t followed_ = 0;
};

// Throws Error where, within those bounds, the node's i64 result may need more than 32 bits. Checks no other types, and
// no ReduceProd.
void require_32_bits(const PlanContext& ctx);

}  // namespace hourglass::kernels
