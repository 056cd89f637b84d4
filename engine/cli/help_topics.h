// What 'hourglass help TOPIC' explains: what belongs to no single command.
#pragma once

#include <span>
#include <string_view>

namespace hourglass::cli {

struct Topic {
  std::string_view name;   // one word
  std::string_view title;  // "when a fit ends"
  std::string_view text;   // engine/cli/prose.h; a screen of 80 columns
};

std::span<const Topic> topics();

}  // namespace hourglass::cli
