// What repeats a run: the options that decide its result, by name, with the values in force. They go into the history's
// header, the PNG's text and the checkpoint; --resume takes them from there.
#pragma once

#include <map>
#include <string>

#include "engine/cli/command_line.h"
#include "engine/cli/command_text.h"

namespace hourglass::cli {

// The headings of the options that say where things go and what is told: all others are settings.
inline constexpr const char* kFilesHeading = "Files and messages";
inline constexpr const char* kFitFilesHeading = "Files and messages of a fit";
inline constexpr const char* kManyFilesHeading = "Several files";

bool is_setting(const ParsedOption& option);

// Options without a default on the command line, whose values in a run depend on its network or on a timing.
inline constexpr const char* kDecidedByRun[] = {"input-noise", "at-once"};

class Settings {
 public:
  Settings() = default;
  // As the command line and the defaults have them, and with the values of `in_force` in the place of what was said
  // ("auto"). An option without a value or a default is left out.
  explicit Settings(const ParsedCommand& command, const NamedValues& in_force = {});
  // Of text(). Throws Error.
  static Settings parse(const std::string& text);
  // Of command_line(), whatever the files in it.
  static Settings of_command_line(const std::string& line);

  // Whether a run of the settings `done` has done what these ask for: it has their values and no others, but where
  // these leave to the run what it decides for itself (kDecidedByRun). with_threads: so must their number be.
  [[nodiscard]] bool agrees(const Settings& done, bool with_threads) const;

  // Gives the command the values for what its command line leaves open. Throws Error for another command, and for what
  // the command line says otherwise; only `threads` may differ.
  void apply_to(ParsedCommand& command) const;

  // One "name=value" per line; the command comes first.
  [[nodiscard]] std::string text() const;
  // "hourglass restore INPUT --model small --iterations 1000 ...", with `files` where they stand.
  [[nodiscard]] std::string command_line(const std::string& files = "INPUT") const;

 private:
  std::string command_;
  // By name, so that the order does not tell what was said and what was a default. A flag's value is empty.
  std::map<std::string, std::string> values_;
};

}  // namespace hourglass::cli
