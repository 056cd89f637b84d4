// The terminal behind stderr, where progress is rewritten in place, and how wide a text may be.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

namespace hourglass::cli {

inline constexpr double kTerminalInterval = 0.1;  // seconds between rewrites

// Whether a line can be rewritten there: an editor's shell, or a serial line, calls itself dumb.
bool is_terminal(std::FILE* stream = stderr);
// How many columns it has; 80 where it does not say.
std::size_t terminal_columns(std::FILE* stream = stderr);
// What a page of help may take of stdout: as COLUMNS says, else as its terminal has, else 80; at least 40, at most 120.
std::size_t help_columns();
// The same for a text with tables, which are made for 80: no more than that.
std::size_t report_columns();
// And rows; 24 where it does not say.
std::size_t terminal_rows();
// "[=====>    ]", so many columns between the brackets; share: 0 to 1.
std::string bar(double share, int columns = 20);

}  // namespace hourglass::cli
