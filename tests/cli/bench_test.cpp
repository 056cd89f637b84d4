#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "engine/cli/threads_arguments.h"
#include "engine/image/file.h"
#include "engine/image/jpeg.h"
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

// Two rounds on one and two threads, without trying bindings.
const Names kShort{"threads", "--rounds", "2", "--round-seconds", "0", "--bind", "none", "-q"};

Names with(Names names, const Names& more) {
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Names of all members, at any depth; not those of ops, which are the network's.
void collect_members(const nlohmann::json& json, std::set<std::string>& names) {
  for (const auto& [name, value] : json.items()) {
    if (json.is_object()) names.insert(name);
    if (name == "ops" && !value.empty()) {
      collect_members(value.begin().value(), names);
    } else if (value.is_structured() && name != "tried") {
      collect_members(value, names);
    }
  }
}

}  // namespace

TEST_CASE("bench threads: strong scaling as JSON and CSV") {
  const TemporaryFolder folder;
  const std::string csv = folder / "threads.csv";
  const Run result = bench(with(kShort, {"--threads", "2,1", "--json", "--csv", csv}));
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json["schema"] == "hourglass-bench-threads");
  CHECK(json["schema_version"] == 1);
  REQUIRE(json["points"].size() == 2);
  const auto &one = json["points"][0], &two = json["points"][1];
  CHECK(one["threads"] == 1);
  CHECK(one["speed_up"]["value"] == 1);
  CHECK(one["round_seconds"].size() == 2);
  const double ratio = one["seconds"]["value"].get<double>() / two["seconds"]["value"].get<double>();
  CHECK(two["speed_up"]["value"].get<double>() == doctest::Approx(ratio));
  CHECK(two["efficiency"]["value"].get<double>() == doctest::Approx(ratio / 2));
  CHECK(json["laws"]["preferred"] == (ratio > 1 ? "untested" : "none"));
  CHECK(json["bind"]["chosen"] == "none");
  CHECK(json["conditions"]["reference_seconds"].size() == 5);
  CHECK(json["machine"]["topology"]["usable_hardware_threads"].get<int>() >= 1);
  // The ops' seconds are all of an iteration's, and no more.
  double sum = 0;
  for (const auto& [op, activity] : two["ops"].items()) sum += activity["seconds"].get<double>();
  CHECK(sum == doctest::Approx(two["iteration"]["seconds"].get<double>()));
  CHECK(one["ops"]["ConvGradWeights"]["seconds"].get<double>() > 0);
  std::ifstream file(csv);
  std::string line;
  std::getline(file, line);
  CHECK_CONTAINS(line, "# hourglass bench threads --mode strong: small 32x32 f32, ");
  while (line.starts_with("# ")) std::getline(file, line);
  CHECK(line.starts_with("threads,width,height,seconds,seconds_low,seconds_high,iterations,far_out,speed_up,"));
  std::getline(file, line);
  CHECK(line.starts_with("1,32,32,"));
  check_fails(bench({"threads", "--threads", "1", "--csv", csv}), 1, "--force");
}

TEST_CASE("bench threads: its JSON is described member by member") {
  const std::string described = text_of(HOURGLASS_TEST_DATA "/../../bench/scaling_schema.md");
  REQUIRE_FALSE(described.empty());
  for (const char* mode : {"strong", "weak", "throughput", "memory"}) {
    CAPTURE(mode);
    Names names = with(kShort, {"--json", "--mode", mode});
    if (std::string(mode) == "memory") names = with(names, {"--memory-limit", "64M"});
    const Run result = bench(with(names, {"--threads", std::string(mode) == "strong" ? "1,2,3" : "2"}));
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    std::set<std::string> members;
    collect_members(nlohmann::json::parse(result.out), members);
    CHECK(members.size() > 20);
    for (const std::string& member : members) {
      CAPTURE(member);
      CHECK(described.find("`" + member + "`") != std::string::npos);
    }
  }
}

TEST_CASE("bench threads: modes and bindings have names") {
  const Run help = run({"bench", "threads", "--help"});
  CHECK_CONTAINS(help.out, "--mode strong|weak|throughput|memory");
  for (const char* mode : {"0", "1", "fast"}) {
    check_fails(bench({"threads", "--mode", mode}), 2, "{strong,weak,throughput,memory}");
  }
  check_fails(bench({"threads", "--bind", "sockets"}), 2, "{auto,none,cores,threads,spread,nodes}");
  for (const char* goal : {"200%", "-1%", "narrow", "%"}) {
    check_fails(bench({"threads", "--precision-goal", goal}), 2, "expected a share as 1% or 0.01");
  }
}

TEST_CASE("bench threads: what it was measured on, and plots") {
  const TemporaryFolder folder;
  const std::string plot = folder / "threads.svg";
  const Run strong = bench(with(kShort, {"--threads", "1,2", "--plot", plot}));
  CAPTURE(strong.err);
  REQUIRE(strong.exit_code == 0);
  for (const char* part : {"(affinity ", "cgroup quota ", "oneDNN ", " using ", "omp", "clock: governor ", " to ",
                           "GFLOP/s", "To use it:\n  hourglass restore photo.jpg --method fit --model small",
                           "2 rounds are too few for 95 % intervals"}) {
    CHECK_CONTAINS(strong.out, part);
  }
  // The program has told libgomp to spin briefly, unless told otherwise itself.
  CHECK_CONTAINS(strong.out, std::getenv("OMP_WAIT_POLICY") == nullptr ? "GOMP_SPINCOUNT=" : "OMP_WAIT_POLICY=");
  CHECK(svg_paths(plot) > 20);
  check_fails(bench({"threads", "--threads", "1", "--plot", plot}), 1, "threads.svg: exists already; --force");
  check_fails(bench({"threads", "--threads", "1", "--plot", folder / "a", "--csv", folder / "a"}), 1,
              "is both the --csv and the --plot");

  // One count: no law.
  const Names one = with(kShort, {"--threads", "1", "--force", "--plot", plot});
  CHECK(bench(one).exit_code == 0);
  CHECK(svg_paths(plot) > 10);
  CHECK(bench(with(one, {"--mode", "weak"})).exit_code == 0);
  CHECK(svg_paths(plot) > 10);
  const Run splits = bench(with(kShort, {"--mode", "throughput", "--threads", "2", "--plot", folder / "splits.svg",
                                         "--csv", folder / "splits.csv"}));
  CHECK(splits.exit_code == 0);
  CHECK_CONTAINS(splits.out, "2 CPUs divided");
  CHECK_CONTAINS(splits.out, "To use it:\n  hourglass restore -r photos/ --method fit ");
  CHECK_CONTAINS(bench({"iteration", "--threads", "1", "--iterations", "1"}).out, " on 1 thread: ");
  CHECK(svg_paths(folder / "splits.svg") > 10);
}

TEST_CASE("bench threads: what it recommends is what it measured") {
  const auto recommended = [](const Names& arguments) {
    const Run result = run(with({"bench", "threads", "--rounds", "1", "--round-seconds", "0", "-q", "--json", "--size",
                                 "32x32", "--precision", "f32"},
                                arguments));
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    return nlohmann::json::parse(result.out)["recommended"].get<std::string>();
  };
  CHECK(recommended({"--threads", "1", "--bind", "cores", "--memory-limit", "64M"}) ==
        "hourglass restore photo.jpg --method fit --model small --precision f32 --threads 1 --bind cores "
        "--memory-limit 67108864");
  CHECK(recommended({"--threads", "2", "--bind", "none"}) ==
        "hourglass restore photo.jpg --method fit --model small --precision f32 --threads 2");
  CHECK(recommended({"--threads", "1", "--mode", "throughput", "--bind", "threads"}) ==
        "hourglass restore -r photos/ --method fit --model small --precision f32 --jobs 1 --threads 1 --bind threads");
  CHECK(recommended({"--threads", "2", "--mode", "memory", "--memory-limit", "64M"}) ==
        "hourglass restore photo.jpg --method fit --model small --precision f32 --threads 2 --memory-limit 67108864");
  // It is a command that runs.
  const TemporaryFolder folder;
  write_file_atomically(folder / "photo.jpg", encode_jpeg(make_picture(16, 16, 3, 1), {.quality = 10}), true);
  std::istringstream words(recommended({"--threads", "1", "--bind", "cores"}));
  Names command;
  for (std::string word; words >> word;) command.push_back(word == "photo.jpg" ? folder / word : word);
  command.erase(command.begin());
  CHECK(run(with(command, {"--iterations", "2"})).exit_code == 0);
}

TEST_CASE("bench threads: one round is sure of nothing, and says so") {
  const TemporaryFolder folder;
  const std::string csv = folder / "one.csv", plot = folder / "one.svg", saved = folder / "one.json";
  const Names once{"threads", "--rounds", "1", "--round-seconds", "0", "--bind", "none", "-q", "--threads", "1,2"};
  const Run result = bench(with(once, {"--csv", csv, "--plot", plot, "--save", saved}));
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_CONTAINS(result.out, " (?)");
  CHECK_CONTAINS(result.out, "One round: how sure it is, nobody knows");
  CHECK_CONTAINS(result.out, "one, as asked for, says nothing of how sure it is");
  for (const std::string& text : {result.out, text_of(csv), text_of(plot)}) {
    CHECK(text.find("inf") == std::string::npos);
    CHECK(text.find("nan") == std::string::npos);
  }
  CHECK(svg_paths(plot) > 20);
  const auto json = nlohmann::json::parse(text_of(saved));
  for (const char* end : {"low", "high"}) {
    CHECK(json["points"][0]["seconds"][end].is_null());
    CHECK(json["points"][1]["speed_up"][end].is_null());
    CHECK(json["points"][0]["speed_up"][end] == 1);
  }
  CHECK(json["precision"].is_null());
  // And is compared with nothing.
  const Run compared = run({"bench", "compare", saved, saved});
  CHECK(compared.exit_code == 1);
  CHECK_CONTAINS(compared.out, "too few rounds");
  CHECK_CONTAINS(compared.err, "with fewer than 5 rounds nothing can be told");
  const Run divided = bench({"threads", "--rounds", "1", "--round-seconds", "0", "-q", "--mode", "throughput",
                             "--threads", "2", "--csv", folder / "splits.csv"});
  REQUIRE(divided.exit_code == 0);
  CHECK_FALSE(contains(divided.out, "Most images per hour: 2 at a time"));
  CHECK((divided.out + text_of(folder / "splits.csv")).find("inf") == std::string::npos);
}

TEST_CASE("bench threads: one number of threads tells nothing of more") {
  const Run result = bench(with(kShort, {"--threads", "1"}));
  REQUIRE(result.exit_code == 0);
  CHECK_CONTAINS(result.out, "a second number of threads would tell");
  CHECK_FALSE(contains(result.out, "no faster"));
}

TEST_CASE("bench: the digits of an interval go by its largest number") {
  CHECK(cli::text_of({.value = 9.121, .low = 6.268, .high = 16.742}, 2) == "9.12 (6.27 to 16.74)");
  CHECK(cli::text_of({.value = 91.21, .low = 62.68, .high = 167.42}, 2) == "91.2 (62.7 to 167.4)");
  CHECK(cli::text_of({.value = 912.1, .low = 626.8, .high = 1674.2}, 2) == "912 (627 to 1674)");
}

TEST_CASE("bench: no line of a report is wider than a terminal") {
  for (const Names& arguments :
       {with(kShort, {"--threads", "1,2,3"}), with(kShort, {"--mode", "weak", "--threads", "1,2"}),
        with(kShort, {"--mode", "throughput", "--threads", "2"}),
        Names{"threads", "--mode", "memory", "--memory-limit", "64M", "-q"}}) {
    const Run result = bench(arguments);
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      CHECK(line.size() <= 80);
    }
  }
  std::istringstream lines(run({"bench", "machine"}).out);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(line.size() <= 80);
  }
}

TEST_CASE("bench threads: the image grows with the threads") {
  const Run result = bench(with(kShort, {"--mode", "weak", "--threads", "1,4", "--json"}));
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json["points"][1]["width"] == 64);
  CHECK(json["points"][1]["height"] == 64);
  CHECK(json["points"][1]["name"] == "4 threads, 64x64");
  CHECK_FALSE(json.contains("laws"));
}

TEST_CASE("bench threads: every even division of the CPUs") {
  const Run result =
      bench(with(kShort, {"--mode", "throughput", "--threads", "2", "--image-iterations", "10", "--json"}));
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  REQUIRE(json["points"].size() == 2);
  CHECK(json["points"][0]["name"] == "1 x 2 threads");
  CHECK(json["points"][1]["instances"] == 2);
  CHECK(json["points"][1]["threads"] == 1);
  const double rate = json["points"][1]["iterations_per_second"]["value"];
  CHECK(json["points"][1]["images_per_hour"]["value"].get<double>() == doctest::Approx(rate * 360));
  CHECK(json["points"][1]["iterations_per_second"]["low"].get<double>() <= rate);
  check_fails(bench({"threads", "--mode", "throughput", "--threads", "1,2"}), 1, "one number");
}

TEST_CASE("bench threads: how large an image fits into so much memory") {
  const Names memory = with(kShort, {"--mode", "memory", "--threads", "1", "--json"});
  const auto largest = [&](const char* limit) {
    const Run result = bench(with(memory, {"--memory-limit", limit}));
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    return nlohmann::json::parse(result.out);
  };
  const auto little = largest("64M"), more = largest("128M");
  const auto bytes = [](const auto& json) { return json["points"].back()["bytes"].template get<uint64_t>(); };
  CHECK(bytes(little) <= uint64_t{64} << 20);
  CHECK(bytes(more) <= uint64_t{128} << 20);
  CHECK(bytes(more) > uint64_t{110} << 20);  // and no size between would fit much better
  CHECK(little["largest_width"].get<int>() < more["largest_width"].get<int>());
  CHECK_FALSE(largest("1M").contains("largest_width"));
}

TEST_CASE("bench compare: two measurements, in words, as JSON and as an exit code") {
  const TemporaryFolder folder;
  const std::string saved = folder / "saved.json", other = folder / "other.json";
  REQUIRE(bench(with(kShort, {"--threads", "1,2", "--save", saved})).exit_code == 0);
  auto json = nlohmann::json::parse(text_of(saved));
  const auto write = [&](double factor) {
    auto changed = json;
    for (auto& point : changed["points"]) {
      // Eight rounds near each other, so that only the factor differs.
      const double seconds = json["points"][0]["seconds"]["value"].get<double>() * factor;
      point["round_seconds"] = nlohmann::json::array();
      for (int i = 0; i < 8; ++i) point["round_seconds"].push_back(seconds * (1 + 0.001 * i));
    }
    std::ofstream(other) << changed;
    return changed;
  };
  std::ofstream(saved) << write(1);
  write(1.001);
  const Run same = run({"bench", "compare", saved, other});
  CHECK(same.exit_code == 0);
  CHECK_CONTAINS(same.out, "no difference");
  CHECK_CONTAINS(same.out, "The loop that always does the same");
  write(0.8);
  const Run faster = run({"bench", "compare", saved, other, "--json"});
  CHECK(faster.exit_code == 0);
  const auto verdicts = nlohmann::json::parse(faster.out);
  CHECK(verdicts["points"][1]["verdict"] == "faster");
  CHECK(verdicts["points"][1]["speed"]["value"].get<double>() == doctest::Approx(1.25).epsilon(0.01));
  auto slower = write(1.1);
  CHECK(run({"bench", "compare", saved, other}).exit_code == 4);
  CHECK(run({"bench", "compare", saved, other, "--tolerance", "20%"}).exit_code == 0);

  // Another machine, and a point that one of the two lacks.
  slower["machine"]["cpu"] = "Another CPU";
  slower["machine"]["topology"]["usable_cores"] = 99;
  slower["bind"]["chosen"] = "spread";
  slower["points"].erase(1);
  std::ofstream(other) << slower;
  const Run elsewhere = run({"bench", "compare", saved, other, "--tolerance", "20%"});
  CHECK(elsewhere.exit_code == 1);
  CHECK_CONTAINS(elsewhere.out, "now 'Another CPU'.");
  CHECK_CONTAINS(elsewhere.out, "now '99'.");
  CHECK_CONTAINS(elsewhere.out, "Another binding: 'none', and now 'spread'.");
  CHECK_CONTAINS(elsewhere.out, "saved.json alone has 2 threads");
  CHECK_CONTAINS(elsewhere.err, "has no '2 threads'");
  std::istringstream lines(elsewhere.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(".json alone has") == std::string::npos) CHECK(line.size() <= 80);
  }
  CHECK(run({"bench", "compare", saved, other}).exit_code == 4);  // the other point is slower all the same
  const Run added = run({"bench", "compare", other, saved, "--json"});
  CHECK(added.exit_code == 0);
  const auto more = nlohmann::json::parse(added.out);
  CHECK(more["added"] == nlohmann::json{"2 threads"});
  CHECK(more["gone"].empty());
  CHECK(more["differences"].size() == 3);

  check_fails(run({"bench", "compare", saved, folder / "none.json"}), 1, "none.json");
  std::ofstream(other) << "{}";
  check_fails(run({"bench", "compare", saved, other}), 1, "is none of what 'hourglass bench threads --save' writes");
  json["schema_version"] = 99;
  std::ofstream(other) << json;
  check_fails(run({"bench", "compare", saved, other}), 1, "another schema_version");
  json["schema_version"] = 1;
  json["model"] = "medium";
  std::ofstream(other) << json;
  check_fails(run({"bench", "compare", saved, other}), 1, "they can't be compared");
  json["model"] = "small";
  json["points"][0]["round_seconds"][0] = 0;
  std::ofstream(other) << json;
  check_fails(run({"bench", "compare", saved, other}), 1, "has a round of 0 s");
}

TEST_CASE("bench machine: a picture of this machine, and of another") {
  const Run here = run({"bench", "machine"});
  REQUIRE(here.exit_code == 0);
  CHECK_CONTAINS(here.out, "(affinity ");
  if (here.out.find("built without hwloc") != std::string::npos) {
    MESSAGE("built without hwloc: there is no picture");
    check_fails(run({"bench", "machine", "--synthetic", "core:2"}), 1, "built without hwloc");
    return;
  }
  CHECK_CONTAINS(here.out, "package 0\n  node 0");
  const Run other = run({"bench", "machine", "--synthetic", "pack:2 core:2 pu:2"});
  CHECK_CONTAINS(other.out, "[4 5] [6 7]");
  check_fails(run({"bench", "machine", "--synthetic", "many"}), 1, "is no machine that hwloc understands");
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

TEST_CASE("bench ops: the slowest first or in the plan's order, shares that are all of it, and as CSV") {
  const TemporaryFolder folder;
  const std::string csv = folder / "ops.csv";
  const Run by_time = bench({"ops", "--threads", "1", "--iterations", "2", "--csv", csv});
  REQUIRE(by_time.exit_code == 0);
  CHECK_CONTAINS(by_time.out, "\nby op:\n");
  const auto first_columns = [](const std::string& out) {
    std::vector<std::pair<double, double>> rows;  // ms, share
    std::istringstream lines(out.substr(out.find("implementation")));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line) && !line.empty()) {
      std::istringstream columns(line);
      columns >> rows.emplace_back().first >> rows.back().second;
    }
    return rows;
  };
  const auto rows = first_columns(by_time.out);
  REQUIRE(rows.size() > 50);
  double share = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i > 0) CHECK(rows[i].first <= rows[i - 1].first);
    share += rows[i].second;
  }
  CHECK(share == doctest::Approx(100).epsilon(0.06));  // each is rounded to a tenth
  const auto in_order = first_columns(bench({"ops", "--threads", "1", "--iterations", "2", "--sort", "plan"}).out);
  CHECK(in_order.size() == rows.size());
  CHECK_FALSE(std::is_sorted(in_order.rbegin(), in_order.rend()));
  const std::string table = text_of(csv);
  CHECK(std::count(table.begin(), table.end(), '\n') == static_cast<std::ptrdiff_t>(rows.size() + 1));
  CHECK_CONTAINS(table, "step,op,node,");
  check_fails(bench({"ops", "--threads", "1", "--csv", csv}), 1, "--force");
}

}  // namespace hourglass::test
