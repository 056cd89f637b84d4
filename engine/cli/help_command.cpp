// hourglass help [COMMAND|TOPIC]: what --help prints, topics, and the same as manual pages and completions of shells.
#include <fmt/core.h>

#include <filesystem>
#include <memory>

#include "engine/cli/commands.h"
#include "engine/cli/completion.h"
#include "engine/cli/help_page.h"
#include "engine/cli/help_topics.h"
#include "engine/cli/man_page.h"
#include "engine/cli/output.h"
#include "engine/cli/spelling.h"
#include "engine/cli/terminal.h"
#include "engine/cli/version.h"
#include "engine/image/file.h"
#include "graph/error.h"
#include "graph/text.h"

namespace hourglass::cli {
namespace {

namespace fs = std::filesystem;

struct HelpOptions {
  std::vector<std::string> words;
  bool man = false;
  std::string shell, folder;
};

constexpr const char* kHelpFooter =
    R"(Examples:
  hourglass help restore                         what 'hourglass restore --help' prints
  hourglass help stopping                        a topic; 'hourglass --help' lists them
  hourglass help --man bench threads | man -l -  the manual page, where it is not installed
  hourglass help --write ~/.local/share          manual pages and completions, for one user alone)";

const Topic* find_topic(const std::vector<std::string>& words) {
  for (const Topic& topic : topics()) {
    if (words.size() == 1 && words[0] == topic.name) return &topic;
  }
  return nullptr;
}

// The command that the words call. Throws UsageError.
CommandPath find_command(const Command& root, const std::vector<std::string>& words) {
  CommandPath path{&root};
  for (const std::string& word : words) {
    const Command* next = nullptr;
    for (const Command& one : path.back()->commands) {
      if (one.name == word) next = &one;
    }
    if (next == nullptr) {
      std::vector<std::string> names;
      for (const Topic& topic : topics()) names.emplace_back(topic.name);
      std::string meant = nearest_command(path, word);
      if (path.size() == 1 && meant.empty()) meant = nearest(word, names);
      throw UsageError(fmt::format("there is no help for '{}'{}\nTry '{} --help'.", join(words, " "),
                                   did_you_mean(meant), name_of(path)));
    }
    path.push_back(next);
  }
  return path;
}

void write_text(const fs::path& path, const std::string& text) {
  make_folders(path.parent_path().string());
  write_file_atomically(path.string(), std::vector<uint8_t>(text.begin(), text.end()), true);
}

// All manual pages and completions, in the places where they are looked for below share/, and the bill of materials.
void write_all(const Command& root, const fs::path& share) {
  for (const CommandPath& path : all_commands(root)) {
    write_text(share / "man/man1" / man_page_name(path), man_page(path));
  }
  for (const Topic& topic : topics()) write_text(share / "man/man7" / man_page_name(topic), man_page(topic));
  for (const Shell& shell : shells()) write_text(share / shell.folder / shell.file, shell.script(root));
  write_text(share / "doc/hourglass/hourglass.cdx.json", bill_of_materials());
}

ExitCode run(const HelpOptions& options) {
  const Command root = program();
  const int asked = (options.man ? 1 : 0) + (options.shell.empty() ? 0 : 1) + (options.folder.empty() ? 0 : 1);
  const bool of_all = !options.shell.empty() || !options.folder.empty();
  if (asked > 1) fail("--man, --completion and --write: leave out all but one");
  if (of_all && !options.words.empty()) fail("{}: --completion and --write are of all commands", options.words[0]);
  if (!options.folder.empty()) {
    write_all(root, options.folder);
    return ExitCode::ok;
  }
  std::string text;
  for (const Shell& shell : shells()) {
    if (options.shell == shell.name) text = shell.script(root);
  }
  if (const Topic* topic = find_topic(options.words)) {
    text = options.man ? man_page(*topic) : prose_text(topic->text, help_columns());
  } else if (text.empty()) {
    const CommandPath path = find_command(root, options.words);
    text = options.man ? man_page(path) : help_text(path, help_columns());
  }
  print_to(stdout, text);
  return ExitCode::ok;
}

}  // namespace

Command help_command() {
  const auto options = std::make_shared<HelpOptions>();
  Command command{.name = "help",
                  .help = "Explain a command or a topic, or write manual pages and completions",
                  .footer = kHelpFooter};
  std::vector<std::string> names;
  for (const Shell& shell : shells()) names.emplace_back(shell.name);
  command.add({{.names = "WORD",
                .takes = "COMMAND",
                .target = &options->words,
                .help = "A command, as in 'help bench threads', or a topic; without any, the whole program"},
               {.names = "--man", .target = &options->man, .help = "As a manual page, in man(7)'s language"},
               {.names = "--completion",
                .target = &options->shell,
                .help = "Print what completes commands, options and values in this shell instead",
                .checks = {one_of(names)}},
               {.names = "--write",
                .takes = "FOLDER",
                .target = &options->folder,
                .help = "Write all manual pages and all completions below this folder, each where it is looked for "
                        "below share/"}});
  command.run = [options](ParsedCommand&) { return run(*options); };
  return command;
}

}  // namespace hourglass::cli
