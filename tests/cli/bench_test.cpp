#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

// A network that trains at once.
const std::vector<std::string> kSmall{"--model", "small", "--size", "32x32", "--precision", "f32"};

Run bench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "bench");
  arguments.insert(arguments.end(), kSmall.begin(), kSmall.end());
  return run(arguments);
}

using Names = std::vector<std::string>;

// Paths of a whole SVG.
int svg_paths(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const std::string svg = text.str();
  CHECK_CONTAINS(svg, "</svg>");
  int count = 0;
  for (std::size_t at = svg.find("<path"); at != std::string::npos; at = svg.find("<path", at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("bench threads: strong scaling as JSON and CSV") {
  const TemporaryFolder folder;
  const std::string csv = folder / "threads.csv";
  const Run result =
      bench({"threads", "--threads", "2,1", "--rounds", "1", "--round-seconds", "0", "--json", "--csv", csv});
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  REQUIRE(json["rows"].size() == 2);
  CHECK(json["rows"][0]["threads"] == 1);
  CHECK(json["rows"][0]["speed_up"] == 1);
  const double ratio = json["rows"][0]["seconds"].get<double>() / json["rows"][1]["seconds"].get<double>();
  CHECK(json["rows"][1]["speed_up"].get<double>() == doctest::Approx(ratio));
  CHECK(json["rows"][1]["efficiency"].get<double>() == doctest::Approx(ratio / 2));
  CHECK(json["serial_fraction"].get<double>() >= 0);
  CHECK(json["rows"][0]["op_seconds"]["ConvGradWeights"].get<double>() > 0);
  std::ifstream file(csv);
  std::string line;
  std::getline(file, line);
  CHECK(line == "threads,width,height,seconds,seconds_low,seconds_high,iterations,speed_up,efficiency");
  std::getline(file, line);
  CHECK(line.starts_with("1,32,32,"));
  check_fails(bench({"threads", "--threads", "1", "--csv", csv}), 1, "--force");
}

TEST_CASE("bench threads: modes have names") {
  const Run help = run({"bench", "threads", "--help"});
  CHECK_CONTAINS(help.out, "--mode strong|weak|throughput");
  for (const char* mode : {"0", "1", "fast"}) {
    check_fails(bench({"threads", "--mode", mode}), 2, "{strong,weak,throughput}");
  }
}

TEST_CASE("bench threads: what it was measured on, and plots") {
  const TemporaryFolder folder;
  const std::string plot = folder / "threads.svg";
  const Run strong =
      bench({"threads", "--threads", "1,2", "--rounds", "2", "--round-seconds", "0", "-q", "--plot", plot});
  CAPTURE(strong.err);
  REQUIRE(strong.exit_code == 0);
  for (const char* part : {"(affinity ", "cgroup quota ", "oneDNN ", " using ", "omp", "Amdahl's law: ", " to "}) {
    CHECK_CONTAINS(strong.out, part);
  }
  // The program has told libgomp to spin briefly, unless told otherwise itself.
  CHECK_CONTAINS(strong.out, std::getenv("OMP_WAIT_POLICY") == nullptr ? "GOMP_SPINCOUNT=" : "OMP_WAIT_POLICY=");
  CHECK(svg_paths(plot) > 20);
  check_fails(bench({"threads", "--threads", "1", "--plot", plot}), 1, "threads.svg: exists already; --force");
  check_fails(bench({"threads", "--threads", "1", "--plot", folder / "a", "--csv", folder / "a"}), 1,
              "is both the --csv and the --plot");

  // One count: no law.
  const Names one{"threads", "--threads", "1", "--rounds", "1", "--round-seconds", "0", "--force", "--plot", plot};
  CHECK(bench(one).exit_code == 0);
  CHECK(svg_paths(plot) > 10);
  Names weak = one;
  weak.insert(weak.end(), {"--mode", "weak"});
  CHECK(bench(weak).exit_code == 0);
  CHECK(svg_paths(plot) > 10);
  const Run splits = bench({"threads", "--mode", "throughput", "--threads", "2", "--seconds", "0.02", "--rounds", "2",
                            "--plot", folder / "splits.svg", "--csv", folder / "splits.csv", "-q"});
  CHECK(splits.exit_code == 0);
  CHECK_CONTAINS(splits.out, "2 CPUs divided, medians and quartiles over 2 rounds");
  const Run single = bench({"threads", "--mode", "throughput", "--threads", "1", "--seconds", "0.02", "--rounds", "1"});
  CHECK_CONTAINS(single.out, "1 CPU divided, medians and quartiles over 1 round of");
  CHECK_CONTAINS(bench({"iteration", "--threads", "1", "--iterations", "1"}).out, " on 1 thread: ");
  CHECK(svg_paths(folder / "splits.svg") > 10);
}

TEST_CASE("bench threads: the image grows with the threads") {
  const Run result =
      bench({"threads", "--mode", "weak", "--threads", "1,4", "--rounds", "1", "--round-seconds", "0", "--json"});
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json["rows"][1]["width"] == 64);
  CHECK(json["rows"][1]["height"] == 64);
  CHECK_FALSE(json.contains("serial_fraction"));
}

TEST_CASE("bench threads: every even division of the CPUs") {
  const Run result = bench(
      {"threads", "--mode", "throughput", "--threads", "2", "--seconds", "0.05", "--image-iterations", "10", "--json"});
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  REQUIRE(json["rows"].size() == 2);
  CHECK(json["rows"][0]["instances"] == 1);
  CHECK(json["rows"][0]["threads"] == 2);
  CHECK(json["rows"][1]["instances"] == 2);
  CHECK(json["rows"][1]["threads"] == 1);
  const double rate = json["rows"][1]["iterations_per_second"];
  CHECK(json["rows"][1]["images_per_hour"].get<double>() == doctest::Approx(rate * 360));
  CHECK(json["rows"][1]["iterations_per_second_low"].get<double>() <= rate);
  CHECK(json["rows"][1]["iterations_per_second_high"].get<double>() >= rate);
  check_fails(bench({"threads", "--mode", "throughput", "--threads", "1,2"}), 1, "one number");
}

TEST_CASE("bench iteration: the peak memory is its own, not that of who started it") {
  constexpr std::size_t kLarge = std::size_t{300} << 20;
  const std::vector<char> large(kLarge, 1);
  CHECK(large.back() == 1);
  const Run result = bench({"iteration", "--threads", "1", "--iterations", "1", "--json"});
  REQUIRE(result.exit_code == 0);
  const auto peak = nlohmann::json::parse(result.out).at("peak_rss_bytes").get<std::size_t>();
  CHECK(peak > std::size_t{5} << 20);
  CHECK(peak < kLarge);
}

TEST_CASE("bench ops: every step with its share of the peak") {
  const Run result = bench({"ops", "--threads", "1", "--iterations", "2", "--json"});
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json["peak_gflops"].get<double>() > 0);
  int convolutions = 0;
  for (const auto& step : json["steps"]) {
    if (step["op"] == "FusedConv") ++convolutions;
    CHECK(step["seconds"].get<double>() > 0);
    CHECK(step["share_of_peak"].get<double>() >= 0);
  }
  CHECK(convolutions >= 10);
}

}  // namespace hourglass::test
