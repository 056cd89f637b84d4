#include "engine/cli/spelling.h"

#include <algorithm>
#include <vector>

#include "engine/cli/help_page.h"

namespace hourglass::cli {

std::size_t spelling_distance(std::string_view a, std::string_view b) {
  // distance[i][j]: of the first i letters of a to the first j of b.
  std::vector<std::vector<std::size_t>> distance(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      std::size_t& here = distance[i][j];
      if (i == 0 || j == 0) {
        here = i + j;
        continue;
      }
      here = std::min(distance[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1),
                      std::min(distance[i - 1][j], distance[i][j - 1]) + 1);
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) here = std::min(here, distance[i - 2][j - 2] + 1);
    }
  }
  return distance[a.size()][b.size()];
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  const std::size_t letters = word.size() - std::min(word.find_first_not_of('-'), word.size());
  constexpr std::size_t kFew = 3;  // begin too much
  std::string best;
  std::size_t least = letters / 3 + 1;
  for (const std::string& candidate : candidates) {
    if (letters >= kFew && candidate.starts_with(word)) return candidate;
    const std::size_t distance = spelling_distance(word, candidate);
    if (distance >= least) continue;
    least = distance;
    best = candidate;
  }
  return best;
}

std::vector<std::string> option_names(const CommandPath& path) {
  std::vector<std::string> names;
  for (const Option* option : named_options(path)) {
    for (const std::string& name : names_of(*option)) names.push_back(name);
  }
  return names;
}

std::string nearest_command(const CommandPath& path, std::string_view word) {
  std::vector<std::string> last_words, calls;
  for (const CommandPath& one : all_commands(*path.back())) {
    if (one.size() == 1) continue;
    last_words.push_back(one.back()->name);
    calls.push_back(name_of(CommandPath(one.begin() + 1, one.end())));
  }
  const std::string meant = nearest(word, last_words);
  if (meant.empty()) return {};
  return calls[static_cast<std::size_t>(std::find(last_words.begin(), last_words.end(), meant) - last_words.begin())];
}

std::string did_you_mean(std::string_view word) {
  return word.empty() ? std::string() : "; did you mean '" + std::string(word) + "'?";
}

}  // namespace hourglass::cli
