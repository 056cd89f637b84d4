// hourglass experiment, end to end.
#include <doctest/doctest.h>
#include <fmt/core.h>
#include <signal.h>  // SIGINT

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/train/archive.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::string text_of(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

const std::vector<std::string> kAll{"compressed.jpg", "contact_sheet.png", "history.csv", "path.png",  "path.svg",
                                    "report.html",    "restored.png",      "snapshots",   "trend.png", "trend.svg"};

// A small network and few iterations, unless `more` says otherwise.
std::vector<std::string> experiment(const std::string& input, const std::string& folder,
                                    const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"experiment", input, "-o", folder, "--model", "small", "--threads", "1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace

TEST_CASE("an experiment leaves everything in its folder") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.png", out = folder / "new/experiment";
  write_png(input, make_picture(48, 40, 3), {}, false);
  const Run result =
      run(experiment(input, out, {"--ratio", "0.25", "--iterations", "6", "--snapshots", "2,4,99", "--json"}));
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(names_in(out) == kAll);
  CHECK(names_in(out + "/snapshots") ==
        std::vector<std::string>{"iteration_000002.png", "iteration_000004.png", "stop.png"});
  CHECK(read_file(out + "/compressed.jpg").size() <= read_file(input).size() / 4);
  CHECK(read_image(out + "/compressed.jpg").format == ImageFormat::jpeg);
  CHECK(read_file(out + "/restored.png").size() > 0);
  CHECK(read_image(out + "/snapshots/stop.png").image.pixels == read_image(out + "/restored.png").image.pixels);
  for (const char* name : {"contact_sheet.png", "trend.png", "path.png"}) {
    CHECK(read_image(out + "/" + name).image.width > 400);
  }
  // The report says how to do it again: with the original, not with what became of it.
  const std::string report = text_of(out + "/report.html");
  CHECK_CONTAINS(report, "hourglass experiment " + input);
  CHECK_CONTAINS(report, "<b>iteration 2</b>");
  CHECK_CONTAINS(report, "<b>iteration 4</b>");
  CHECK_CONTAINS(report, "The way through image space");
  CHECK_CONTAINS(report, "Against the original");
  CHECK_CONTAINS(report, "<h1>in.png</h1>");
  CHECK_CONTAINS(report, "The JPEG&#39;s cells.");
  const std::string history = text_of(out + "/history.csv");
  CHECK(std::count(history.begin(), history.end(), '\n') >= 7);
  // The last line is JSON, with the quality that was found.
  const std::size_t begin = result.out.rfind('\n', result.out.size() - 2);
  const auto json = nlohmann::json::parse(result.out.substr(begin == std::string::npos ? 0 : begin + 1));
  CHECK(json.at("quality").get<int>() >= 1);
  CHECK(json.contains("psnr_restored"));
  // What --ratio has chosen, and where to look.
  CHECK_CONTAINS(result.err,
                 fmt::format("the JPEG has quality {}: {} of the original's {} bytes (", json.at("quality").get<int>(),
                             read_file(out + "/compressed.jpg").size(), read_file(input).size()));
  CHECK_CONTAINS(result.err, "open " + out + "/report.html in a browser");
  if (json.at("psnr_restored") < json.at("psnr_degraded")) {
    CHECK_CONTAINS(result.err, "further from the original than the input was");
  }
}

TEST_CASE("a folder with something in it is left alone, unless forced") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.png", out = folder / "out";
  write_png(input, make_picture(32, 32, 1), {}, false);
  fs::create_directories(out + "/snapshots");
  std::ofstream(out + "/mine.txt") << "mine";
  std::ofstream(out + "/snapshots/iteration_000999.png") << "of another run";
  const std::vector<std::string> quick{"--quality", "10", "--iterations", "2", "--snapshots", "1"};
  check_fails(run(experiment(input, out, quick)), 1, out + ": is not empty; --force");
  CHECK(names_in(out) == std::vector<std::string>{"mine.txt", "snapshots"});

  std::vector<std::string> forced = quick;
  forced.push_back("--force");
  REQUIRE(run(experiment(input, out, forced)).exit_code == 0);
  CHECK(text_of(out + "/mine.txt") == "mine");
  CHECK(names_in(out + "/snapshots") == std::vector<std::string>{"iteration_000001.png", "stop.png"});
}

TEST_CASE("an experiment that can't begin leaves nothing behind") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.png", out = folder / "out";
  write_png(input, make_picture(32, 32, 3), {}, false);
  check_fails(run({"experiment", input, "-o", out, "--quality", "10", "--model", "nowhere.onnx"}), 1, "nowhere.onnx");
  check_fails(run({"experiment", input, "-o", out, "--ratio", "0.0001"}), 1, "no quality makes a JPEG");
  check_fails(run({"experiment", input, "-o", out}), 2, "--quality");
  check_fails(run({"experiment", input, "--quality", "10"}), 2, "--output");
  check_fails(run({"experiment", input, "-o", out, "--quality", "10", "--snapshots", "0"}), 2, "--snapshots");
  check_fails(run({"experiment", input, "-o", input, "--quality", "10"}), 1, "is no folder");
  CHECK(folder.names() == std::vector<std::string>{"in.png"});
}

TEST_CASE("an interrupted experiment is complete as far as it came") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.png", out = folder / "out";
  write_png(input, make_picture(32, 32, 3), {}, false);
  const Run result = run_and_signal(
      experiment(input, out, {"--quality", "10", "--iterations", "1000000", "--snapshots", "3"}), SIGINT, "/1000000  ");
  CAPTURE(result.err);
  CHECK(result.exit_code == 130);
  for (const std::string& name : kAll) {
    CAPTURE(name);
    CHECK(fs::exists(fs::path(out) / name));
  }
  CHECK(read_image(out + "/restored.png").image.width == 32);
  CHECK_CONTAINS(text_of(out + "/report.html"), "interrupted");
}

TEST_CASE("an experiment goes on where it was interrupted, as if nothing had happened") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.png", straight = folder / "straight", out = folder / "out";
  const std::string checkpoint = out + "/run.ckpt";
  write_png(input, make_picture(48, 40, 3), {}, false);
  const std::vector<std::string> settings{"--quality", "10", "--iterations", "400", "--snapshots", "5,390"};
  REQUIRE(run(experiment(input, straight, settings)).exit_code == 0);

  const auto reached = [&] {
    return fs::exists(checkpoint) ? Archive::decode(read_file(checkpoint)).integer("total") : 0;
  };
  std::vector<std::string> first = experiment(input, out, settings);
  first.insert(first.end(), {"--checkpoint-every", "0"});
  const Run interrupted = run_and_signal_when(first, SIGINT, [&] { return reached() >= 20; });
  CAPTURE(interrupted.err);
  REQUIRE(interrupted.exit_code == 130);
  const std::string advice =
      "to go on: hourglass experiment " + input + " -o " + out + " --resume " + checkpoint + " --quality 10\n";
  CHECK_CONTAINS(interrupted.err, advice);
  REQUIRE(reached() < 390);
  check_fails(run(experiment(input, out, settings)), 1, "--resume " + checkpoint + " goes on with it");
  check_fails(run({"experiment", input, "-o", folder / "other", "--resume", checkpoint, "--quality", "10"}), 1,
              "is of an experiment in another folder");
  check_fails(run({"experiment", input, "-o", out, "--resume", checkpoint, "--quality", "20"}), 1,
              "was begun with --quality 10, not 20");

  const Run resumed = run({"experiment", input, "-o", out, "--resume", out + "/./run.ckpt", "--quality", "10"});
  CAPTURE(resumed.err);
  REQUIRE(resumed.exit_code == 0);
  CHECK(names_in(out) == kAll);
  CHECK(names_in(out + "/snapshots") == names_in(straight + "/snapshots"));
  for (const char* name :
       {"restored.png", "snapshots/iteration_000390.png", "contact_sheet.png", "trend.png", "path.png"}) {
    CAPTURE(name);
    CHECK(read_image(out + "/" + name).image.pixels == read_image(straight + "/" + name).image.pixels);
  }
  // The report has its pictures from before the interruption too.
  const std::string report = text_of(out + "/report.html");
  for (const char* title : {"iteration 5<", "iteration 390<"}) CHECK_CONTAINS(report, title);
}

}  // namespace hourglass::test
