// Whether an i64, of which a plan keeps 32 bits, may leave them. Bounds are followed from where whole numbers begin
// through the nodes that compute them; what is not known, such as what is cut off a floating number, is taken for a
// level of a byte, from -255 to 255. Numbers that leave 32 bits all the same stop at their bounds.
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

// Throws Error where sums or products of such levels leave them. Of other types, and of other ops, ReduceProd among
// them, it says nothing.
void require_32_bits(const PlanContext& ctx);

}  // namespace hourglass::kernels
