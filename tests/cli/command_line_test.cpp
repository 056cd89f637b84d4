#include "engine/cli/command_line.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "engine/cli/command_text.h"
#include "engine/cli/commands.h"
#include "engine/cli/json.h"
#include "engine/cli/settings.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

// A command with an option of each kind, and where the values go.
struct Example {
  std::string input, name = "small", file;
  int threads = 2;
  double rate = 0.01;
  std::optional<uint64_t> bytes;
  std::vector<int64_t> snapshots = {10, 20};
  std::optional<double> noise, drop;
  bool loud = false, keep = true;
  int verbose = 0;

  Command command() {
    Command command{.name = "try", .help = "Tries"};
    command.add({{.names = "INPUT", .target = &input, .help = "What", .required = true},
                 {.names = "-f,--file", .takes = "FILE", .target = &file, .help = "Where", .heading = kFilesHeading},
                 {.names = "--noise", .target = &noise, .help = "", .checks = {positive()}, .choice = "How"},
                 {.names = "--drop", .target = &drop, .help = "", .choice = "How"},
                 {.names = "--name", .target = &name, .help = "", .checks = {one_of({"small", "large"})}},
                 {.names = "--threads", .target = &threads, .help = "", .checks = {range(1, 8)}},
                 {.names = "--rate", .target = &rate, .help = "", .only_with = {"drop"}},
                 {.names = "--bytes", .target = &bytes, .help = "", .checks = {memory_size()}},
                 {.names = "--snapshots", .target = &snapshots, .help = ""},
                 {.names = "--loud", .target = &loud, .help = ""},
                 {.names = "-v,--verbose", .target = Counts{&verbose}, .help = ""},
                 {.names = "--no-keep", .target = Clears{&keep}, .help = ""}});
    return command;
  }
  Command program() { return {.name = "program", .help = "Tests", .commands = {command()}}; }

  ParsedCommand parsed(std::vector<const char*> arguments) {
    return std::get<ParsedCommand>(asked(std::move(arguments)));
  }
  std::variant<ParsedCommand, std::string> asked(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "program");
    return parse(program(), "version 1", static_cast<int>(arguments.size()), arguments.data());
  }
  std::string refusal(std::vector<const char*> arguments) {
    try {
      asked(std::move(arguments));
    } catch (const UsageError& error) {
      return error.what();
    }
    return "none";
  }
};

}  // namespace

TEST_CASE("what is given goes to its place, and the rest keeps its default") {
  Example example;
  const ParsedCommand line =
      example.parsed({"try", "in", "--noise", "5", "-f", "out", "--bytes", "2K", "--snapshots", "1,2", "--no-keep"});
  CHECK(line.name == "try");
  CHECK(example.input == "in");
  CHECK(example.file == "out");
  CHECK(*example.noise == 5);
  CHECK(!example.drop);
  CHECK(*example.bytes == 2048);
  CHECK(example.snapshots == std::vector<int64_t>{1, 2});
  CHECK(!example.keep);
  CHECK(!example.loud);
  CHECK(example.threads == 2);

  CHECK(line.given("noise"));
  CHECK(!line.given("threads"));
  CHECK(line.find("INPUT") == nullptr);
  CHECK(line.find("file")->value == "out");
  // The choices come last.
  const NamedValues in_force{{"file", "out"},   {"name", "small"},    {"threads", "2"}, {"rate", "0.01"},
                             {"bytes", "2048"}, {"snapshots", "1,2"}, {"no-keep", ""},  {"noise", "5"}};
  CHECK(settings_of(line) == in_force);
}

TEST_CASE("a flag that counts says how often it was given") {
  for (const auto& [arguments, times] :
       std::vector<std::pair<std::vector<const char*>, int>>{{{"try", "in", "--noise", "1"}, 0},
                                                             {{"try", "in", "--noise", "1", "-v"}, 1},
                                                             {{"try", "in", "--noise", "1", "-vv"}, 2},
                                                             {{"try", "in", "--noise", "1", "-v", "--verbose"}, 2}}) {
    Example example;
    const ParsedCommand command = example.parsed(arguments);
    CHECK(example.verbose == times);
    CHECK(command.given("verbose") == (times > 0));
  }
}

TEST_CASE("arguments that make no command are refused with a reason and the help to read") {
  Example example;
  CHECK(example.refusal({"try"}) == "INPUT is required\nTry 'program try --help'.");
  CHECK(example.refusal({"fly"}) == "there is no command or option 'fly'\nTry 'program --help'.");
  CHECK(example.refusal({"try", "in", "--noise=-1"}).starts_with("--noise: expected a number above 0, got -1\n"));
  CHECK(example.refusal({"try", "in", "--threads", "9"}).starts_with("--threads: 9 is not between 1 and 8\n"));
  CHECK(example.refusal({"try", "in", "--name", "x"}).starts_with("--name: x not in {small,large}\n"));
  CHECK(example.refusal({"try", "in", "--drop", "x"}).starts_with("Could not convert: --drop = x\n"));
  CHECK(example.refusal({"try", "in", "--threads"})
            .starts_with("--threads: its value is missing, as in '--threads N'\n"));
  CHECK(example.refusal({"try", "in", "--threads", "1", "--threads", "2", "--threads", "3"})
            .starts_with("--threads: is given 3 times, and means one value\n"));
  CHECK(example.refusal({"try", "in", "--loud=no"}).starts_with("--loud: takes no value\n"));
  // A choice wants exactly one, and what goes with the one does not go with the other.
  CHECK(example.refusal({"try", "in"}).starts_with("one must be given of --noise, --drop\n"));
  CHECK(example.refusal({"try", "in", "--noise", "1", "--drop", "1"})
            .starts_with("only one may be given of --noise, --drop\n"));
  CHECK(example.refusal({"try", "in", "--noise", "1", "--rate", "1"}) ==
        "--rate excludes --noise\nTry 'program try --help'.");
  CHECK(example.refusal({"try", "in", "--drop", "1", "--rate", "1"}) == "none");
}

TEST_CASE("help and version are texts") {
  setenv("COLUMNS", "80", 1);
  Example example;
  CHECK(std::get<std::string>(example.asked({"--version"})) == "version 1\n");
  const std::string help = std::get<std::string>(example.asked({"try", "--help"}));
  for (const char* part :
       {"Usage: program try [OPTIONS] INPUT\n", "--name small|large   (default: small)", "--rate X  ",
        "(default: 0.01)", "--snapshots N,N,...  (default: 10,20)", "--bytes N\n", "--no-keep\n", "--noise X\n",
        "How (exactly one of these):\n", "Files and messages:\n  -f, --file FILE  Where\n"}) {
    CAPTURE(part);
    CHECK(help.find(part) != std::string::npos);
  }
}

TEST_CASE("a value can be set afterwards, as if it had been given") {
  Example example;
  ParsedCommand line = example.parsed({"try", "in", "--drop", "1"});
  line.set("threads", "3");
  line.set("bytes", "1M");
  line.set("snapshots", "7");
  line.set("no-keep", "");
  line.set("loud", "");
  CHECK(example.threads == 3);
  CHECK(*example.bytes == 1 << 20);
  CHECK(example.snapshots == std::vector<int64_t>{7});
  CHECK(!example.keep);
  CHECK(example.loud);
  CHECK(line.given("threads"));
  CHECK(line.find("bytes")->value == "1048576");
  CHECK_THROWS_AS(line.set("threads", "9"), Error);
}

TEST_CASE("JSON reads what it writes") {
  const Json json{{"text", "a \"b\"\n"},
                  {"number", 1.5},
                  {"count", -3},
                  {"yes", true},
                  {"nothing", Json()},
                  {"list", std::vector<int64_t>{1, 2}},
                  {"within", Json{{"x", 1}}}};
  const std::optional<Json> again = Json::parse(json.text());
  REQUIRE(again);
  CHECK(again->text() == json.text());
  REQUIRE(again->find("text") != nullptr);
  CHECK(again->find("text")->text_or("none") == "a \"b\"\n");
  CHECK(again->find("number")->text_or("none") == "none");
  CHECK(again->find("number")->number_or(0) == 1.5);
  CHECK(again->find("yes")->number_or(7) == 7);
  CHECK(again->find("list")->elements().size() == 2);
  CHECK(again->find("text")->elements().empty());
  CHECK(again->find("absent") == nullptr);
  CHECK(Json(1).find("x") == nullptr);
  CHECK(!Json::parse("{\"a\":"));
  for (const char* text : {"{}", "[]", "null", "{\"a\":{}}", "[[],{}]", "\"\"", "-0.0", "18446744073709551615"}) {
    CAPTURE(text);
    const std::optional<Json> json = Json::parse(text);
    REQUIRE(json);
    CHECK(json->text() == text);
  }
}

TEST_CASE("JSON that is nested deeply is refused, not followed to the end of the stack") {
  const auto nested = [](const std::string& open, const std::string& close, int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += open;
    text += "1";
    for (int i = 0; i < depth; ++i) text += close;
    return text;
  };
  for (const auto& [open, close] : {std::pair<std::string, std::string>{"[", "]"}, {"{\"a\":", "}"}}) {
    CHECK(Json::parse(nested(open, close, 50)));
    CHECK(!Json::parse(nested(open, close, 100)));
    CHECK(!Json::parse(nested(open, close, 1000000)));
  }
  CHECK(!Json::parse("{\"a\":" + nested("[", "]", 1000000) + "}"));
}

TEST_CASE("settings know a command without any parser") {
  Example first;
  first.threads = 5;
  ParsedCommand begun(first.command());
  begun.options.back().given = true;  // --drop
  begun.options.back().value = "0.5";
  const Settings settings(begun);
  CHECK(settings.command_line() ==
        "hourglass try INPUT --drop 0.5 --name small --rate 0.01 --snapshots 10,20 --threads 5");

  Example second;
  ParsedCommand resumed(second.command());
  Settings::parse(settings.text()).apply_to(resumed);
  CHECK(second.threads == 5);
  CHECK(*second.drop == 0.5);
  CHECK(Settings(resumed).text() == settings.text());

  // Names of files may hold anything.
  first.name = "a\nthreads=7\\n";
  const Settings odd{ParsedCommand(first.command())};
  CHECK(odd.text().find("\nname=a\\nthreads=7\\\\n\n") != std::string::npos);
  CHECK(odd.text().find("\nthreads=5\n") != std::string::npos);
  CHECK(Settings::parse(odd.text()).command_line() == odd.command_line());
}

TEST_CASE("every command of the program says what it does, and every option where its value goes") {
  const auto check = [](const auto& self, const Command& command) -> void {
    CAPTURE(command.name);
    CHECK(!command.help.empty());
    CHECK(command.commands.empty() == static_cast<bool>(command.run));
    for (const Option& option : command.options) {
      CAPTURE(option.names);
      CHECK(!option.help.empty());
      for (const std::string& other : option.only_with) {
        const auto is_it = [&](const Option& one) { return name_of(one) == other && !one.choice.empty(); };
        CHECK(std::count_if(command.options.begin(), command.options.end(), is_it) == 1);
      }
    }
    for (const Command& one : command.commands) self(self, one);
  };
  check(check, program());
}

}  // namespace hourglass::cli
