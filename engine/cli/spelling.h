// What a misspelt word was meant to be.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "engine/cli/command_line.h"

namespace hourglass::cli {

// How many letters are to be put in, left out, replaced, or swapped with the next, to make one word of the other: the
// Damerau-Levenshtein distance, where no letter is touched twice.
std::size_t spelling_distance(std::string_view a, std::string_view b);

// The candidate that the word begins, or else the nearest one, where no more than a letter in three is wrong; empty
// where there is none.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

// What the last command of the path can be called with: "-o", "--output", "--help".
std::vector<std::string> option_names(const CommandPath& path);

// The command below the last one of the path that was meant, as the words that call it: "threads", and "model check"
// for the program's "chekc".
std::string nearest_command(const CommandPath& path, std::string_view word);

// "; did you mean 'WORD'?", and nothing for an empty word.
std::string did_you_mean(std::string_view word);

}  // namespace hourglass::cli
