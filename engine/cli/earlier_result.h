// What stands in the place of a result: one of the same file with the same settings, which is kept, or something else.
// Told by the record that a result carries (run_request.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/cli/command_line.h"
#include "engine/cli/fit_options.h"
#include "engine/cli/input_files.h"
#include "engine/cli/settings.h"

namespace hourglass::cli {

enum class EarlierResult : uint8_t {
  absent,
  alike,
  unfinished,  // of the same file, by a run that has ended before it was through
  other
};

class EarlierResults {
 public:
  // The command as it is given, with the targets of its options; `settled` as in ManyRun. All must outlive this.
  EarlierResults(const ParsedCommand& line, const FitArguments& fit,
                 const std::function<ParsedCommand(ImageFormat)>& settled)
      : line_(line), fit_(fit), settled_(settled) {}

  // Throws Error where it can't be seen whether there is one.
  [[nodiscard]] EarlierResult of(const InputFile& file) const;
  // Whether the run in the checkpoint is one of these settings with this input.
  [[nodiscard]] bool has_begun(const std::string& checkpoint, const InputFile& file) const;

 private:
  [[nodiscard]] ParsedCommand settled(const InputFile& file) const;
  [[nodiscard]] NamedValues in_force(const ParsedCommand& line) const;

  const ParsedCommand& line_;
  const FitArguments& fit_;
  const std::function<ParsedCommand(ImageFormat)>& settled_;
};

}  // namespace hourglass::cli
