// How the planner may steer the layouts of a plan's values; engine/runtime/plan.h takes it as an option, and every op
// finds it in its PlanContext (ops/kernel.h).
#pragma once

#include <cstdint>

namespace hourglass {

enum class LayoutPolicy : uint8_t {
  any,            // let oneDNN choose (format_tag::any)
  channels_last,  // activations NHWC throughout, filters [KH][KW][C][OC] where nothing else is better
};

}  // namespace hourglass
