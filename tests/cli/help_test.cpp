// What the program says of itself: --help, 'hourglass help', manual pages, completions, and what a misspelt word meant.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "engine/cli/commands.h"
#include "engine/cli/completion.h"
#include "engine/cli/help_page.h"
#include "engine/cli/help_topics.h"
#include "engine/cli/man_page.h"
#include "engine/cli/prose.h"
#include "engine/cli/spelling.h"
#include "models/builtin.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

using namespace hourglass::cli;
using Lines = std::vector<std::string>;

Lines lines_of(const std::string& text) {
  std::istringstream stream(text);
  Lines lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::size_t widest(const std::string& text) {
  std::size_t columns = 0;
  for (const std::string& line : lines_of(text)) columns = std::max(columns, columns_of(line));
  return columns;
}

// As a manual page has it.
std::string with_escaped_dashes(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '-' ? std::string("\\-") : std::string(1, c);
  return result;
}

}  // namespace

TEST_CASE("help: no line is wider than the terminal, and all of it is used") {
  const Command root = program();
  for (const std::size_t width : {40, 60, 80, 120}) {
    for (const CommandPath& path : all_commands(root)) {
      CAPTURE(name_of(path));
      CHECK(widest(help_text(path, width)) <= width);
    }
    const CommandPath restore{&root, &root.commands.front()};
    CHECK(widest(help_text(restore, width)) + 3 > width);
    for (const Topic& topic : topics()) {
      CAPTURE(topic.name);
      CHECK(widest(prose_text(topic.text, width)) <= width);
    }
  }
}

TEST_CASE("help: what most people need comes first, what belongs to one method last, examples at the end") {
  setenv("COLUMNS", "80", 1);
  const std::string help = run({"restore", "--help"}).out;
  CHECK(help.starts_with("Usage: hourglass restore [OPTIONS] [INPUT...]\n\nRestore a compressed photograph"));
  std::size_t at = 0;
  for (const char* part :
       {"\nArguments:\n  INPUT... ", "\nCommon options:\n  --method learn|filter|fit  ", "\n  -o, --output FILE  ",
        "\n  --threads N  ", " (default: 0)\n", "\n  -h, --help  ", "\nSeveral files:\n",
        "\nOptions of learning and of a fit:\n  --model NET ", "\nOptions of a fit:\n  --freeze ",
        "\nMethods:\n  learn ", "\nExamples:\n  hourglass restore photo.jpg "}) {
    CAPTURE(part);
    const std::size_t found = help.find(part, at);
    REQUIRE(found != std::string::npos);
    at = found;
  }
  CHECK_CONTAINS(run({"degrade", "--help"}).out, "\nHow (exactly one of these):\n  --quality N ");
  CHECK_CONTAINS(run({"inpaint", "--help"}).out, "Usage: hourglass inpaint [OPTIONS] INPUT --mask FILE\n");
}

TEST_CASE("help: every value has a name that says what it is") {
  const Command root = program();
  for (const CommandPath& path : all_commands(root)) {
    for (const Option* option : named_options(path)) {
      CAPTURE(option->names);
      CHECK(value_name(*option) != "TEXT");
      CHECK(is_flag(*option) == value_name(*option).empty());
    }
  }
}

TEST_CASE("help: COMMAND is --help, TOPIC a screen of prose") {
  setenv("COLUMNS", "80", 1);
  CHECK(run({"help"}).out == run({"--help"}).out);
  CHECK(run({"help", "bench", "threads"}).out == run({"bench", "threads", "--help"}).out);
  for (const Topic& topic : topics()) {
    const std::string name(topic.name);
    CAPTURE(name);
    const std::string text = run({"help", name}).out;
    CHECK(text == prose_text(topic.text, 80));
    CHECK(lines_of(text).size() < 24);
    CHECK_CONTAINS(run({"--help"}).out, "\n  " + name + " ");
  }
  for (const Builtin& network : builtins()) {
    CHECK_CONTAINS(run({"help", "networks"}).out, "\n  " + std::string(network.name) + " ");
  }
  check_fails(run({"help", "stoping"}), 2, "there is no help for 'stoping'; did you mean 'stopping'?");
  check_fails(run({"help", "restor"}), 2, "did you mean 'restore'?");
  check_fails(run({"help", "bench", "thread"}), 2, "did you mean 'threads'?");
  check_fails(run({"help", "--man", "--completion", "bash"}), 1, "leave out all but one");
  check_fails(run({"help", "restore", "--completion", "bash"}), 1, "are of all commands");
}

TEST_CASE("prose: paragraphs and entries are told apart by how they are written") {
  const std::string text =
      "Two lines\nof one.\n\nExamples:\n  hourglass help  prints\n                  help\n  x    y\nEnd.";
  const std::vector<Block> blocks = parse_prose(text);
  REQUIRE(blocks.size() == 4);
  CHECK(blocks[0].paragraph == "Two lines of one.");
  CHECK(blocks[1].title() == "Examples");
  REQUIRE(blocks[2].entries.size() == 2);
  CHECK(blocks[2].entries[0].term == "hourglass help");
  CHECK(blocks[2].entries[0].text == "prints help");
  CHECK(prose_text(text, 80) ==
        "Two lines of one.\n\nExamples:\n  hourglass help  prints help\n  x               y\nEnd.\n");
  CHECK(wrapped("one two three", 7) == Lines{"one two", "three"});
  CHECK(wrapped("auto|none|energy", 10) == Lines{"auto|none|", "energy"});
  CHECK(wrapped("größer größer", 6) == Lines{"größer", "größer"});
  // Characters of two columns, and of none.
  CHECK(columns_of("写真 é e\u0301 \U0001F600") == 4 + 1 + 1 + 1 + 1 + 1 + 2);
  CHECK(first_columns("写真.jpg", 3) == "写");
  CHECK(first_columns("e\u0301x", 1) == "e\u0301");
  CHECK(wrapped("写真写真", 3) == Lines{"写", "真", "写", "真"});
  CHECK(wrapped("写真", 1) == Lines{"写", "真"});
  // A message's names stay as they are.
  CHECK(broken_at_blanks("my  photo.jpg: no such file", 27) == Lines{"my  photo.jpg: no such file"});
  CHECK(broken_at_blanks("my  photo.jpg: no such file", 20) == Lines{"my  photo.jpg: no", "such file"});
  CHECK(broken_at_blanks("in a/long/path,with=marks.jpg it ends", 10) ==
        Lines{"in", "a/long/path,with=marks.jpg", "it ends"});
  CHECK(broken_at_blanks("  a  b   c d e ", 3) == Lines{"  a  b   c", "d", "e "});
  CHECK(broken_at_blanks("", 3) == Lines{""});
  CHECK(wrapped_command("hourglass restore a.jpg -o b.png", 24) == Lines{"hourglass restore \\", "    a.jpg -o b.png"});
  CHECK(wrapped_command("hourglass restore a.jpg -o b.png", 30) == Lines{"hourglass restore a.jpg \\", "    -o b.png"});
  // What is quoted is not torn.
  CHECK(wrapped_command("hourglass restore 'an old photo.jpg' -o b.png", 24) ==
        Lines{"hourglass restore \\", "    'an old photo.jpg' \\", "    -o b.png"});
  CHECK(wrapped_command(R"(restore 'it'\''s one.jpg' now, or later)", 28) ==
        Lines{R"(restore 'it'\''s one.jpg' \)", "    now, or later"});
}

TEST_CASE("spelling: letters put in, left out, replaced and swapped") {
  CHECK(spelling_distance("", "abc") == 3);
  CHECK(spelling_distance("restore", "restore") == 0);
  CHECK(spelling_distance("restor", "restore") == 1);
  CHECK(spelling_distance("chekc", "check") == 1);
  CHECK(spelling_distance("modle", "model") == 1);
  CHECK(spelling_distance("kitten", "sitting") == 3);
  const Lines words{"--model", "--method", "--jobs"};
  CHECK(nearest("--modle", words) == "--model");
  CHECK(nearest("--met", words) == "--method");
  CHECK(nearest("--jbos", words) == "--jobs");
  CHECK(nearest("--colour", words).empty());
  CHECK(nearest("-x", words).empty());

  check_fails(run({"restore", "--modle", "small", "a.jpg"}), 2,
              "there is no option '--modle' of 'hourglass restore'; did you mean '--model'?\n"
              "Try 'hourglass restore --help'.");
  check_fails(run({"restore", "--modle=small", "a.jpg"}), 2, "did you mean '--model'?");
  check_fails(run({"compare", "--jsn"}), 2, "did you mean '--json'?");
  check_fails(run({"restor", "a.jpg"}), 2, "there is no command or option 'restor'; did you mean 'restore'?");
  check_fails(run({"check", "net.onnx"}), 2, "did you mean 'model check'?");
  check_fails(run({"bench", "thread"}), 2,
              "there is no command 'thread' of 'hourglass bench'; did you mean 'threads'?");
  check_fails(run({"bench", "xyz"}), 2,
              "there is no command 'xyz' of 'hourglass bench'; there are machine, iteration, threads");
  check_fails(run({"bench"}), 2, "a command is missing; there are machine, iteration, threads, ops, compare");
  check_fails(run({"model", "info", "a", "b"}), 2, "'b' is one argument too many");
}

TEST_CASE("manual pages and completions have every command and option") {
  const Command root = program();
  for (const CommandPath& path : all_commands(root)) {
    CAPTURE(name_of(path));
    const std::string page = man_page(path);
    for (const std::string& name : option_names(path))
      CHECK_CONTAINS(page, "\\fB" + with_escaped_dashes(name) + "\\fR");
    for (const Command& one : path.back()->commands) CHECK_CONTAINS(page, "\\fB" + one.name + "\\fR");
  }
  for (const Shell& shell : shells()) {
    CAPTURE(shell.name);
    const std::string script = shell.script(root);
    for (const CommandPath& path : all_commands(root)) {
      CHECK_CONTAINS(script, path.back()->name);
      for (const Option* option : named_options(path)) {
        // fish has them without dashes.
        const std::string name = shell.name == "fish" ? "-l " + name_of(*option) : "--" + name_of(*option);
        CHECK_CONTAINS(script, name);
      }
    }
  }
}

TEST_CASE("help: --write puts all of them where they are looked for") {
  const TemporaryFolder folder;
  const Run written = run({"help", "--write", folder / "share"});
  CHECK(written.exit_code == 0);
  CHECK(written.out.empty());
  for (const char* path : {"man/man1/hourglass.1", "man/man1/hourglass-bench-threads.1", "man/man7/hourglass-cells.7",
                           "bash-completion/completions/hourglass", "zsh/vendor-completions/_hourglass",
                           "fish/vendor_completions.d/hourglass.fish"}) {
    CAPTURE(path);
    CHECK(std::filesystem::file_size(std::filesystem::path(folder / "share") / path) > 500);
  }
  CHECK_CONTAINS(run({"help", "--man", "bench", "threads"}).out, ".TH HOURGLASS\\-BENCH\\-THREADS 1 ");
  CHECK_CONTAINS(run({"help", "--man", "cells"}).out, ".TH HOURGLASS\\-CELLS 7 ");
  CHECK(run({"help", "--completion", "zsh"}).out.starts_with("#compdef hourglass\n"));
  check_fails(run({"help", "--write", "/dev/null/share"}), 1, "/dev/null");
}

}  // namespace hourglass::test
