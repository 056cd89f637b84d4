#include <doctest/doctest.h>

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
  check_fails(bench({"threads", "--mode", "throughput", "--threads", "1,2"}), 1, "one number");
}

TEST_CASE("bench ops: every step with its share of the peak") {
  const Run result = bench({"ops", "--threads", "1", "--iterations", "2", "--json"});
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json["peak_gflops"].get<double>() > 0);
  int convolutions = 0;
  for (const auto& step : json["steps"]) {
    if (step["op"] == "Conv") ++convolutions;
    CHECK(step["seconds"].get<double>() > 0);
    CHECK(step["share_of_peak"].get<double>() >= 0);
  }
  CHECK(convolutions >= 10);
}

}  // namespace hourglass::test
