// --stop, and what the progress says of it; the time that is left.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "tests/cli/run.h"
#include "tests/engine/image/fixtures.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

using Names = std::vector<std::string>;

struct Fixture {
  TemporaryFolder folder;
  std::string jpeg = folder / "in.jpg", png = folder / "in.png";

  Fixture() {
    const Image picture = make_picture(32, 24, 1);
    write_file_atomically(jpeg, encode_jpeg(picture, {.quality = 5}), false);
    write_png(png, picture, {}, false);
  }
  [[nodiscard]] Run restore(const std::string& input, const Names& options) const {
    Names arguments{"restore", input, "-o", folder / "out.png", "--force", "--threads", "1", "--json"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return run(arguments);
  }
};

// The last object.
nlohmann::json result_of(const Run& result) {
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(last_line(result.out));
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "each rule ends a run") {
  const Run fixed = restore(jpeg, {"--stop", "iteration", "--stop-at", "7", "--runs", "2"});
  CHECK(result_of(fixed).at("iterations") == 14);
  CHECK(result_of(fixed).at("stopped_early") == true);
  CHECK(result_of(fixed).at("stop") == "iteration");
  CHECK(fixed.err.find("\n14/14  done  ") != std::string::npos);
  CHECK_CONTAINS(fixed.err, "stops at 7 ");

  const Run none = restore(jpeg, {"--stop", "none", "--iterations", "9"});
  CHECK(result_of(none).at("iterations") == 9);
  CHECK(result_of(none).at("stopped_early") == false);

  const Run energy = restore(png, {"--stop", "energy", "--stop-at", "0.02", "--iterations", "500"});
  CHECK(result_of(energy).at("iterations") < 500);
  CHECK_CONTAINS(energy.err, "times its target ");

  const Run variance = restore(png, {"--stop", "wmv", "--window", "10", "--stop-start", "15", "--patience", "5",
                                     "--iterations", "2000", "--schedule", "constant"});
  CHECK(result_of(variance).at("stop") == "wmv");
  CHECK(result_of(variance).at("iterations") < 2000);
  CHECK_CONTAINS(variance.err, "of its minimum, patience 5/5 ");

  // The default: for a JPEG only.
  CHECK(result_of(restore(png, {"--iterations", "20"})).at("stopped_early") == false);
  const Run discrepancy = restore(jpeg, {"--iterations", "3000"});
  CHECK(result_of(discrepancy).at("stop") == "auto");
  CHECK(result_of(discrepancy).at("iterations") < 3000);
  CHECK_CONTAINS(discrepancy.err, " times as far from it as the original");
}

TEST_CASE_FIXTURE(Fixture, "rules that make no sense are refused") {
  const Names before = folder.names();
  check_fails(restore(png, {"--stop", "discrepancy"}), 1, "--stop discrepancy: only a JPEG");
  check_fails(restore(jpeg, {"--stop", "iteration"}), 1, "--stop iteration: needs --stop-at, the iteration to stop at");
  check_fails(restore(jpeg, {"--stop", "energy"}), 1, "--stop energy: needs --stop-at, the energy to stop at");
  check_fails(restore(jpeg, {"--stop-at", "5"}), 1, "--stop-at: belongs to");
  check_fails(restore(jpeg, {"--stop", "iteration", "--stop-at", "2.5"}), 1, "--stop-at 2.5: an iteration is a whole");
  check_fails(restore(jpeg, {"--stop", "soon"}), 2, "--stop");
  check_fails(restore(jpeg, {"--window", "1"}), 2, "--window");
  CHECK(folder.names() == before);
}

}  // namespace hourglass::test
