// The terminal behind stderr, where progress is rewritten in place.
#pragma once

#include <cstddef>
#include <string>

namespace hourglass::cli {

inline constexpr double kTerminalInterval = 0.1;  // seconds between rewrites

// Whether a line can be rewritten there: an editor's shell, or a serial line, calls itself dumb.
bool is_terminal();
// How many columns it has; 80 where it does not say.
std::size_t terminal_columns();
// And rows; 24 where it does not say.
std::size_t terminal_rows();
// "[=====>    ]"; share: 0 to 1.
std::string bar(double share);

}  // namespace hourglass::cli
