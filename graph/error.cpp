#include "graph/error.h"

namespace hourglass {

Error Error::within(std::string_view context) const { return Error(fmt::format("{}: {}", context, what())); }

}  // namespace hourglass
