// The program's frame: help, versions, exit codes.
#include <filesystem>

#include "tests/cli/run.h"

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

TEST_CASE("versions of the program and its libraries") {
  const Run version = run({"--version"});
  CHECK(version.exit_code == 0);
  for (const std::string name : {"hourglass ", "oneDNN ", "ONNX ", "libjpeg-turbo ", "libpng "}) {
    const auto at = version.out.find(name);
    REQUIRE(at != std::string::npos);
    const char first = version.out.at(at + name.size());
    CHECK(first >= '0');
    CHECK(first <= '9');
  }
}

TEST_CASE("a wrong command line is code 2 and says where help is") {
  check_fails(run({}), 2, "Try 'hourglass --help'");
  check_fails(run({"frobnicate"}), 2, "no command or option 'frobnicate'");
  check_fails(run({"--frobnicate"}), 2, "no command or option '--frobnicate'");
  check_fails(run({"compare"}), 2, "Try 'hourglass compare --help'");
  check_fails(run({"compare", "a", "b", "c"}), 2, "c");
  check_fails(run({"compare", "a", "b", "--no-such-option"}), 2, "--no-such-option");
}

TEST_CASE("output that cannot be written is an error") {
  if (!std::filesystem::exists("/dev/full")) return;
  const std::string image = data_path("camera.png");
  check_fails(run({"compare", image, image}, {}, "/dev/full"), 1, "standard output");
  check_fails(run({"degrade", image, "--quality", "50", "-o", "-"}, {}, "/dev/full"), 1, "standard output");
  check_fails(run({"degrade", image, "--quality", "50", "-o", "/dev/full"}), 1, "No space left");
}

}  // namespace hourglass::test
