// --profile and --verbose of the fitting commands: what ran, how, and how long it took.
#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/read_image.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

using Names = std::vector<std::string>;
using Json = nlohmann::json;

struct Fixture {
  TemporaryFolder folder;
  std::string input = folder / "in.jpg", trace = folder / "trace.json";

  Fixture() { write_file_atomically(input, encode_jpeg(make_picture(32, 24, 3), {.quality = 10}), false); }

  // One thread: the image is too small for more.
  [[nodiscard]] Run restore(const std::string& output, const Names& more, const std::string& iterations = "5") const {
    Names arguments{"restore", input,          "-o",       folder / output, "--threads",
                    "1",       "--iterations", iterations, "--precision",   "f32"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
  // The complete events.
  [[nodiscard]] std::vector<Json> events() const {
    std::vector<Json> events;
    const Json file = Json::parse(read_file(trace));
    for (const Json& event : file.at("traceEvents")) {
      if (event.at("ph") == "X") events.push_back(event);
    }
    return events;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a trace has every part of an iteration, and changes nothing") {
  const Run result = restore("out.png", {"--profile", trace, "-vv"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(Json::parse(read_file(trace)).at("otherData").at("iteration") == 3);

  const std::vector<Json> parts = events();
  std::map<std::string, int> counts;
  double end = 0;
  for (const Json& event : parts) {
    ++counts[event.at("name")];
    CHECK(event.at("ts").get<double>() >= end - 1);
    end = event.at("ts").get<double>() + event.at("dur").get<double>();
    if (event.at("cat") != "plan") continue;
    for (const char* key : {"op", "implementation", "layout", "node"}) {
      CHECK_FALSE(event.at("args").at(key).get<std::string>().empty());
    }
  }
  CHECK(parts.front().at("name") == "Noise");
  CHECK(parts.back().at("name") == "Adam");
  CHECK(counts["Average"] == 1);
  CHECK(counts["FusedConv"] > 10);
  CHECK(counts["ConvGradWeights"] > 10);

  // What was decided, and what is asked for once: the loss and the rate.
  CHECK_CONTAINS(result.err, "out.png: method fit, model small, ");
  CHECK_CONTAINS(result.err, "threads 1, precision ");
  CHECK_CONTAINS(result.err, "  loss ");
  CHECK((result.err.find("it/s") != std::string::npos || result.err.find("s/it") != std::string::npos));
  // The same plan, in words.
  CHECK_CONTAINS(result.err, "plan: op ");
  const int steps = static_cast<int>(parts.size()) - 3;
  const std::string count =
      counts["Reorder"] == 1 ? "1 of them reorder\n" : std::to_string(counts["Reorder"]) + " of them reorders\n";
  CHECK_CONTAINS(result.err, std::to_string(steps) + " steps on 1 thread, " + count);
  CHECK_CONTAINS(result.err, parts[1].at("args").at("implementation").get<std::string>());
  // By op, once.
  CHECK_CONTAINS(result.err, "\niteration 3, by op:\n");
  CHECK_CONTAINS(result.err, " x ConvGradWeights\n");
  CHECK_CONTAINS(result.err, " ms in " + std::to_string(parts.size()) + " steps\n");

  const Run verbose = restore("verbose.png", {"-v"});
  REQUIRE(verbose.exit_code == 0);
  CHECK_CONTAINS(verbose.err, "verbose.png: method fit, model small, ");
  CHECK(verbose.err.find("plan: op ") == std::string::npos);

  const Run plain = restore("plain.png", {});
  REQUIRE(plain.exit_code == 0);
  CHECK(plain.err.find("method fit") == std::string::npos);
  CHECK(read_file(folder / "out.png") == read_file(folder / "plain.png"));
}

TEST_CASE_FIXTURE(Fixture, "a run of two iterations has its last one traced; quiet is quiet") {
  const Run result = restore("out.png", {"--profile", trace, "-q"}, "2");
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  CHECK(Json::parse(read_file(trace)).at("otherData").at("iteration") == 2);
}

TEST_CASE_FIXTURE(Fixture, "a trace is no reason to lose a file, or a result") {
  write_file_atomically(trace, Bytes{1}, false);
  check_fails(restore("out.png", {"--profile", trace}), 1, "trace.json: exists already; --force");
  CHECK(folder.names() == Names{"in.jpg", "trace.json"});
  check_fails(restore("out.png", {"--profile", folder / "out.png"}), 1, "is both the --output and the --profile");
  check_fails(restore("out.png", {"--profile", folder / "no/trace.json"}), 1, "no does not exist");
  CHECK(restore("out.png", {"--profile", trace, "--force"}).exit_code == 0);
  CHECK(events().size() > 100);

  const Run full = restore("other.png", {"--profile", "/dev/full"});
  CHECK(full.exit_code == 1);
  CHECK_CONTAINS(full.err, "warning: /dev/full: cannot write");
  CHECK(folder.names() == Names{"in.jpg", "other.png", "out.png", "trace.json"});
}

TEST_CASE_FIXTURE(Fixture, "the other fitting commands have it too") {
  const std::string png = folder / "in.png";
  write_png(png, make_picture(32, 24, 3), {}, false);
  const Run result =
      run({"denoise", png, "--model", "small", "--iterations", "3", "--threads", "1", "--profile", trace});
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(events().size() > 100);
  check_fails(run({"experiment", png, "-o", folder / "experiment", "--quality", "10", "--profile", trace}), 1,
              "trace.json: exists already");
}

}  // namespace hourglass::test
