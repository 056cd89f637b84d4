// The program's frame: help, versions, exit codes.
#include <signal.h>  // SIGTERM

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {

TEST_CASE("help teaches, on stdout") {
  const Run help = run({"--help"});
  CHECK(help.exit_code == 0);
  CHECK(help.err.empty());
  CHECK(help.out.find("Examples:") != std::string::npos);
  for (const std::string command : {"compare", "degrade"}) {
    CHECK(help.out.find("\n  " + command) != std::string::npos);
    const Run command_help = run({command, "--help"});
    CHECK(command_help.exit_code == 0);
    CHECK(command_help.out.find("Examples:\n  hourglass " + command) != std::string::npos);
  }
}

TEST_CASE("all libraries, with versions and licences, and the same list as a bill of materials") {
  for (const std::vector<std::string>& order :
       {std::vector<std::string>{"--version", "--json"}, {"--json", "--version"}}) {
    const Run version = run(order);
    CHECK(version.exit_code == 0);
    const nlohmann::json json = nlohmann::json::parse(version.out);
    CHECK(json.at("name") == "hourglass");
    CHECK(json.at("licence") == "Apache-2.0");
    CHECK(json.at("libraries").size() > 12);
    for (const nlohmann::json& one : json.at("libraries")) {
      CAPTURE(one.dump());
      CHECK(!one.at("licence").get<std::string>().empty());
      const std::string number = one.at("version");
      CHECK((!number.empty() && number[0] >= '0' && number[0] <= '9'));
      CHECK(one.at("home").get<std::string>().starts_with("http"));
    }
  }
  // What only some builds have is listed where they have it.
  const bool has_hwloc = run({"bench", "machine"}).out.find("built without hwloc") == std::string::npos;
  CHECK((run({"--version", "--json"}).out.find("\"hwloc\"") != std::string::npos) == has_hwloc);
  const TemporaryFolder folder;
  REQUIRE(run({"help", "--write", folder.string()}).exit_code == 0);
  std::ifstream file(folder / "doc/hourglass/hourglass.cdx.json");
  const nlohmann::json bom = nlohmann::json::parse(file),
                       json = nlohmann::json::parse(run({"--version", "--json"}).out);
  CHECK(bom.at("bomFormat") == "CycloneDX");
  CHECK(bom.at("metadata").at("component").at("version") == json.at("version"));
  REQUIRE(bom.at("components").size() == json.at("libraries").size());
  CHECK(bom.at("dependencies").at(0).at("dependsOn").size() == json.at("libraries").size());
  for (std::size_t i = 0; i < json.at("libraries").size(); ++i) {
    CHECK(bom.at("components")[i].at("name") == json.at("libraries")[i].at("name"));
    CHECK(bom.at("components")[i].at("version") == json.at("libraries")[i].at("version"));
    CHECK(bom.at("components")[i].at("licenses").dump().find(json.at("libraries")[i].at("licence")) !=
          std::string::npos);
  }
}

TEST_CASE("an empty argument is refused, wherever it stands") {
  check_fails(run({""}), 2, "argument 1 is empty");
  check_fails(run({"degrade", "a.png", "", "--downscale", "2", "--degradation", "1", "--seed"}), 2,
              "argument 3 is empty");
  check_fails(run({"restore", "a.jpg", "-o", ""}), 2, "argument 4 is empty");
}

TEST_CASE("versions of the program and its libraries") {
  const Run version = run({"--version"});
  CHECK(run({"version"}).out == version.out);
  CHECK(run({"version", "--json"}).out == run({"--version", "--json"}).out);
  CHECK(version.exit_code == 0);
  for (const std::string name : {"hourglass ", "oneDNN ", "ONNX ", "libjpeg-turbo ", "libpng ", "libjxl "}) {
    const auto at = version.out.find(name);
    REQUIRE(at != std::string::npos);
    const char first = version.out.at(at + name.size());
    CHECK(first >= '0');
    CHECK(first <= '9');
  }
}

TEST_CASE("threads spin briefly, which costs no second start, no name and no variable") {
  // libgomp prints what it has read, once for each time that it is loaded.
  const auto settings_with = [](const char* name, const char* value) {
    if (name != nullptr) setenv(name, value, 1);
    setenv("OMP_DISPLAY_ENV", "VERBOSE", 1);
    const std::string text = run({"--version"}).err;
    unsetenv("OMP_DISPLAY_ENV");
    if (name != nullptr) unsetenv(name);
    return text;
  };
  const char* policy = std::getenv("OMP_WAIT_POLICY");
  const std::string kept = policy == nullptr ? "" : policy;
  unsetenv("OMP_WAIT_POLICY");
  unsetenv("GOMP_SPINCOUNT");
  const std::string text = settings_with(nullptr, nullptr);
  if (text.find("GOMP_SPINCOUNT") == std::string::npos) {
    MESSAGE("skipped: the OpenMP runtime is not libgomp");
  } else {
    CHECK_CONTAINS(text, "GOMP_SPINCOUNT = '10000'");
    const std::string begin = "OPENMP DISPLAY ENVIRONMENT BEGIN";
    CHECK(text.find(begin) == text.rfind(begin));
    CHECK_CONTAINS(settings_with("GOMP_SPINCOUNT", "123"), "GOMP_SPINCOUNT = '123'");
    CHECK(settings_with("OMP_WAIT_POLICY", "PASSIVE").find("'10000'") == std::string::npos);
  }
  if (!kept.empty()) setenv("OMP_WAIT_POLICY", kept.c_str(), 1);

  // While it runs, it is found by its name.
  const TemporaryFolder folder;
  const std::string photo = folder / "photo.jpg";
  write_file_atomically(photo, encode_jpeg(read_image(data_path("chelsea.png")).image, {.quality = 10}), false);
  std::string name;
  run_and_signal_when({"restore", photo, "-o", folder / "out.png"}, SIGTERM, [&] {
    for (const auto& process : std::filesystem::directory_iterator("/proc")) {
      const auto text_of = [&](const char* file) {
        std::ifstream stream(process.path() / file, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(stream), {});
      };
      if (text_of("cmdline").find(photo) == std::string::npos) continue;
      name = text_of("comm");
    }
    return name == "hourglass\n";
  });
  CHECK(name == "hourglass\n");
}

TEST_CASE("a wrong command line is code 2 and says where help is") {
  check_fails(run({}), 2, "Try 'hourglass --help'");
  check_fails(run({"frobnicate"}), 2, "no command or option 'frobnicate'");
  check_fails(run({"--frobnicate"}), 2, "no command or option '--frobnicate'");
  check_fails(run({"compare"}), 2, "Try 'hourglass compare --help'");
  check_fails(run({"model", "info", "a", "b"}), 2, "b");
  check_fails(run({"bench"}), 2, "Try 'hourglass bench --help'");
  check_fails(run({"bench", "threads", "--no-such-option"}), 2, "Try 'hourglass bench threads --help'");
  check_fails(run({"model", "make"}), 2, "Try 'hourglass model make --help'");
  check_fails(run({"compare", "a", "b", "--no-such-option"}), 2, "--no-such-option");
}

TEST_CASE("a wrong value may be long") {
  const Run result = run({"restore", "a.jpg", "--jobs", std::string(120'000, 'x')});
  CHECK(result.exit_code == 2);
  CHECK(result.err.starts_with("hourglass: --jobs: "));
  CHECK(result.err.ends_with("Try 'hourglass restore --help'.\n"));
}

TEST_CASE("output that cannot be written is an error") {
  if (!std::filesystem::exists("/dev/full")) return;
  const std::string image = data_path("camera.png");
  check_fails(run({"compare", image, image}, {}, "/dev/full"), 1, "standard output");
  check_fails(run({"degrade", image, "--quality", "50", "-o", "-"}, {}, "/dev/full"), 1, "standard output");
  check_fails(run({"degrade", image, "--quality", "50", "-o", "/dev/full"}), 1, "No space left");
  for (const char* out : {"/dev/full", "closed"}) {
    check_fails(run({"--help"}, {}, out), 1, "standard output: cannot write");
    check_fails(run({"restore", "--help"}, {}, out), 1, "standard output: cannot write");
    check_fails(run({"--version"}, {}, out), 1, "standard output: cannot write");
    check_fails(run({"model", "check", "standard", "--json"}, {}, out), 1, "standard output: cannot write");
  }
  // The result is there all the same.
  const TemporaryFolder folder;
  const Run fit =
      run({"restore", image, "-o", folder / "out.png", "--json", "-q", "--iterations", "2", "--threads", "1"}, {},
          "/dev/full");
  check_fails(fit, 1, "standard output: cannot write");
  CHECK(folder.names() == std::vector<std::string>{"out.png"});
}

TEST_CASE("messages that cannot be written end nothing") {
  const std::string image = data_path("camera.png");
  for (const char* err : {"/dev/full", "closed"}) {
    if (std::string(err) == "/dev/full" && !std::filesystem::exists(err)) continue;
    CAPTURE(err);
    const TemporaryFolder folder;
    CHECK(run({"frobnicate"}, {}, {}, err).exit_code == 2);
    CHECK(run({"compare", image, folder / "none"}, {}, {}, err).exit_code == 1);
    const std::vector<std::string> fit{"restore", image,       "--history", folder / "out.csv", "--iterations",
                                       "2",       "--threads", "1",         "--json",           "--verbose"};
    std::vector<std::string> to_file = fit, to_stdout = fit;
    to_file.insert(to_file.end(), {"-o", folder / "out.png"});
    CHECK(run(to_file, {}, {}, err).exit_code == 0);
    to_stdout.insert(to_stdout.end(), {"-o", "-", "--force"});
    CHECK(run(to_stdout, {}, folder / "stdout.png", err).exit_code == 0);
    CHECK(run({"degrade", image, "--quality", "50", "-o", "-"}, {}, folder / "out.jpg", err).exit_code == 0);
    CHECK(run({"model", "make", "-o", "-"}, {}, folder / "out.onnx", err).exit_code == 0);
    CHECK(folder.names() == std::vector<std::string>{"out.csv", "out.jpg", "out.onnx", "out.png", "stdout.png"});
    CHECK(read_image(folder / "stdout.png").image.width == 128);
    // What is opened does not take the place of the stream.
    const std::vector<uint8_t> history = read_file(folder / "out.csv");
    CHECK(std::string(history.begin(), history.end()).find("camera.png") == std::string::npos);
  }
}

TEST_CASE("file names that are no UTF-8") {
  const TemporaryFolder folder;
  const std::string name = "\xff\xfe.png";
  std::filesystem::copy_file(data_path("camera.png"), folder / name);
  const Run result = run({"restore", folder / name, "-o", folder / ("out" + name), "--report", folder / "out.html",
                          "--json", "--iterations", "2", "--threads", "1"});
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(nlohmann::json::parse(last_line(result.out)).at("iterations") == 2);
  const Run holes = run({"degrade", folder / name, "-o", folder / ("holes" + name), "--drop", "0.5", "--json"});
  CHECK(holes.exit_code == 0);
  CHECK(nlohmann::json::parse(holes.out).contains("mask"));
}

}  // namespace hourglass::test
