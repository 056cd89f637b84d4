// --json: every command that has it ends with one object, for its result or for its error.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "engine/cli/commands.h"
#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/png.h"
#include "engine/image/read_image.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

using Names = std::vector<std::string>;
using cli::all_commands;
using cli::Command;
using cli::CommandPath;

// "bench threads"
Names words_of(const CommandPath& path) {
  Names words;
  for (const Command* one : path) words.push_back(one->name);
  words.erase(words.begin());
  return words;
}

bool knows_json(const Command& command) {
  return std::any_of(command.options.begin(), command.options.end(),
                     [](const cli::Option& one) { return name_of(one) == "json"; });
}

std::vector<CommandPath> with_json(const Command& program) {
  std::vector<CommandPath> some = all_commands(program);
  std::erase_if(some, [](const CommandPath& path) { return !knows_json(*path.back()); });
  return some;
}

// Those that are no progress; each line of `out` must be one.
std::vector<nlohmann::json> last_objects(const std::string& out) {
  std::vector<nlohmann::json> objects;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    objects.push_back(nlohmann::json::parse(line));
    CAPTURE(line);
    CHECK(objects.back().contains("event"));
    if (objects.back().value("event", "") == "progress") objects.pop_back();
  }
  return objects;
}

void check_tells(const Run& result, int exit_code, const std::string& text) {
  CAPTURE(result.err);
  CAPTURE(result.out);
  CHECK(result.exit_code == exit_code);
  const std::vector<nlohmann::json> objects = last_objects(result.out);
  REQUIRE(objects.size() == 1);
  CHECK(objects[0].at("event") == "error");
  CHECK_CONTAINS(objects[0].at("error").get<std::string>(), text);
  // As people read it.
  CHECK_CONTAINS(result.err, "hourglass: " + objects[0].at("error").get<std::string>());
}

struct Folder : TemporaryFolder {
  Folder() {
    const Image picture = crop(read_image(data_path("chelsea.png")).image, 120, 60, 40, 32);
    write_png(png, picture, {}, true);
    Image hole(40, 32, 1);
    std::fill(hole.pixels.begin() + 40, hole.pixels.end(), 1.0F);
    write_png(mask, hole, {}, true);
    write_file_atomically(jpeg, encode_jpeg(picture, {.quality = 10}), true);
    const std::string line = R"({"event":"result","status":"done","input":"a","output":"b"})";
    write_file_atomically(manifest, std::vector<uint8_t>(line.begin(), line.end()), true);
  }
  std::string png = *this / "in.png", mask = *this / "mask.png", jpeg = *this / "in.jpg", manifest = *this / "m.jsonl";
};

}  // namespace

TEST_CASE("an error of any command is one object, of arguments as of work") {
  const Command program = cli::program();
  const TemporaryFolder folder;
  const std::string none = folder / "none", output = folder / "no/such/folder/out.png";
  const std::vector<CommandPath> commands = with_json(program);
  CHECK(commands.size() > 12);
  for (const CommandPath& path : commands) {
    CAPTURE(name_of(path));
    Names call = words_of(path);
    call.insert(call.end(), {"--json", "--no-such-option"});
    check_tells(run(call), 2, "there is no option '--no-such-option'");

    // Files that are not there, and places that can't be written to.
    call = words_of(path);
    call.push_back("--json");
    for (const cli::Option& one : path.back()->options) {
      if (is_positional(one)) {
        call.push_back(none);
      } else if (one.required) {
        call.insert(call.end(), {"--" + name_of(one), output});
      } else if (name_of(one) == "model") {
        call.insert(call.end(), {"--model", none});
      } else if (name_of(one) == "quality" && !one.choice.empty()) {
        call.insert(call.end(), {"--quality", "50"});
      }
    }
    check_tells(run(call), 1, folder / "no");
  }
}

TEST_CASE("where the image goes to stdout, the object of an error makes way") {
  const Folder folder;
  for (const Names& call : {Names{"restore", "-", "--json", "--tv", "1", "--degradation", "none.onnx"},
                            {"inpaint", folder.png, "--mask", folder / "none.png", "-o", "-", "--json"},
                            {"degrade", folder / "none.png", "-o", "/dev/stdout", "--quality", "10", "--json"}}) {
    CAPTURE(call[0]);
    const Run result = run(call, folder.png);
    CHECK(result.exit_code == 1);
    CHECK(result.out.empty());
    CHECK(nlohmann::json::parse(last_line(result.err)).at("event") == "error");
  }
  // Arguments that make no command may name standard output too.
  for (const Names& call : {Names{"restore", folder.png, "-o", "-", "--json", "--no-such-option"},
                            {"degrade", folder.png, "--output=/dev/stdout", "--json", "--no-such-option"},
                            {"inpaint", folder.png, "-o-", "--json"},
                            {"denoise", "--json", "-", "--no-such-option"}}) {
    CAPTURE(call[0]);
    const Run result = run(call, folder.png);
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
    CHECK(nlohmann::json::parse(last_line(result.err)).at("event") == "error");
  }
}

TEST_CASE("where nothing else goes to stdout, the object of an error is there") {
  const Folder folder;
  const std::string empty = folder / "empty";
  write_file_atomically(empty, std::vector<uint8_t>(), true);
  check_tells(run({"report", "-", "--json"}, empty), 1, "is empty");
  check_tells(run({"report", "-", "--json", "--no-such-option"}, empty), 2, "--no-such-option");
  check_tells(run({"restore", "-", "-o", folder / "out.png", "--json", "--no-such-option"}), 2, "--no-such-option");
  check_tells(run({"experiment", folder / "none.png", "-o", "-", "--quality", "10", "--json"}), 1, "none.png");
  check_tells(run({"experiment", folder / "none.png", "-o", "-", "--json", "--no-such-option"}), 2, "--no-such-option");
}

TEST_CASE("a network that is learned is no stream") {
  const Run result = run({"learn", "-o", "/dev/stdout", "--mosaics", "1", "--drawings", "2", "--channels", "4",
                          "--gray", "--qualities", "20", "--iterations", "1", "--threads", "1", "--json"});
  CHECK(result.exit_code == 1);
  CHECK(result.out.empty());
  CHECK_CONTAINS(result.err, "hourglass: -o /dev/stdout: a checkpoint stands beside the network");
}

TEST_CASE("a flag takes no value but true") {
  check_tells(run({"compare", "a.png", "b.png", "--json=true"}), 1, "a.png");
  for (const char* flag : {"--json=false", "--json=0", "--json=7"}) {
    CAPTURE(flag);
    check_tells(run({"compare", "a.png", "b.png", flag}), 2, "--json: takes no value\n");
  }
  check_fails(run({"restore", "a.jpg", "--no-cells=true"}), 2, "--no-cells: takes no value\n");
  check_fails(run({"restore", "a.jpg", "--verbose=3"}), 2, "--verbose: takes no value\n");
}

TEST_CASE("of several files each has its object, which names its event") {
  const Folder folder;
  const std::string bad = folder / "bad.jpg";
  std::vector<uint8_t> bytes = read_file(folder.jpeg);
  bytes.resize(bytes.size() - 20);
  write_file_atomically(bad, bytes, true);
  for (const auto& [call, exit_code] :
       std::vector<std::pair<Names, int>>{{{"compare", folder.png, folder.jpeg, bad}, 3},
                                          {{"compare", folder.png, bad, folder.jpeg}, 3},
                                          {{"verify", folder.jpeg, folder.png, bad}, 3},
                                          {{"verify", folder.jpeg, bad, folder.png}, 3},
                                          {{"restore", folder.jpeg, bad, "--fast", "--threads", "1"}, 3}}) {
    const auto& this_call = call;
    CAPTURE(this_call[0]);
    Names with_json = call;
    with_json.push_back("--json");
    const Run result = run(with_json);
    CAPTURE(result.err);
    CAPTURE(result.out);
    CHECK(result.exit_code == exit_code);
    const std::vector<nlohmann::json> objects = last_objects(result.out);
    REQUIRE(objects.size() == 2);
    std::multiset<std::string> events;
    for (const nlohmann::json& object : objects) {
      events.insert(object.value("event", ""));
      CHECK((object.at("event") == "error") == object.contains("error"));
      CHECK((object.at("status") == "failed") == object.contains("error"));
    }
    CHECK(events == std::multiset<std::string>{"error", "result"});
  }
  const std::string failed = R"({"event":"error","status":"failed","input":"a","output":"b","error":"it is so"})";
  write_file_atomically(folder.manifest, std::vector<uint8_t>(failed.begin(), failed.end()), true);
  const Run report = run({"report", folder.manifest, "--json"});
  CHECK(report.exit_code == 3);
  const std::vector<nlohmann::json> objects = last_objects(report.out);
  REQUIRE(objects.size() == 1);
  CHECK(objects[0].at("event") == "result");
  CHECK(objects[0].at("failed") == 1);
}

TEST_CASE("a result of any command is one object") {
  const Folder folder;
  const auto fit = [&](Names call) {
    call.insert(call.end(), {"--model", "small", "--iterations", "2", "--threads", "1", "-o"});
    call.push_back(folder / (call[0] + ".png"));
    return call;
  };
  const std::string saved = folder / "saved.json";
  const Names size{"--model", "small", "--size", "32x32", "--threads", "1"};
  const auto bench = [&](Names call) {
    call.insert(call.end(), size.begin(), size.end());
    return call;
  };
  const Names threads = bench({"bench", "threads", "--rounds", "5", "--round-seconds", "0", "--bind", "none", "-q"});
  REQUIRE(run([&] {
            Names call = threads;
            call.insert(call.end(), {"--save", saved});
            return call;
          }())
              .exit_code == 0);
  const std::map<std::string, Names> calls{
      {"restore", {"restore", folder.jpeg, "--fast", "-o", folder / "restored.png"}},
      {"denoise", {"denoise", folder.png, "--fast", "--sigma", "10", "-o", folder / "denoised.png"}},
      {"inpaint", fit({"inpaint", folder.png, "--mask", folder.mask})},
      {"upscale", fit({"upscale", folder.png, "--factor", "2"})},
      {"experiment",
       {"experiment", folder.png, "--quality", "10", "--model", "small", "--iterations", "2", "-o", folder / "all"}},
      {"learn",
       {"learn", "-o", folder / "net.onnx", "--mosaics", "1", "--drawings", "2", "--channels", "4", "--convolutions",
        "1", "--qualities", "20", "--gray", "--iterations", "2", "--threads", "1"}},
      {"verify", {"verify", folder.jpeg, folder.jpeg}},
      {"compare", {"compare", folder.png, folder.jpeg}},
      {"degrade", {"degrade", folder.png, "--noise", "25", "-o", folder / "noisy.png"}},
      {"report", {"report", folder.manifest}},
      {"model info", {"model", "info", "small"}},
      {"model check", {"model", "check", "small"}},
      {"bench iteration", bench({"bench", "iteration", "--iterations", "1"})},
      {"bench threads", threads},
      {"bench ops", bench({"bench", "ops", "--iterations", "1"})},
      {"bench compare", {"bench", "compare", saved, saved}}};
  const Command program = cli::program();
  for (const CommandPath& path : with_json(program)) {
    const std::string name = name_of(path).substr(program.name.size() + 1);
    CAPTURE(name);
    REQUIRE(calls.contains(name));
    Names call = calls.at(name);
    call.push_back("--json");
    const Run result = run(call);
    CAPTURE(result.err);
    CAPTURE(result.out);
    CHECK(result.exit_code == 0);
    const std::vector<nlohmann::json> objects = last_objects(result.out);
    REQUIRE(objects.size() == 1);
    CHECK(objects[0].is_object());
    CHECK(objects[0].at("event") == "result");
  }
}

}  // namespace hourglass::test
