// Photographs that are odd in one way or another, and a terminal that is: what the user gets, and is told once.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>  // posix_openpt, setenv are POSIX
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/orientation.h"
#include "engine/image/read_image.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

using namespace std::string_literals;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// One tag.
Metadata with_orientation(uint8_t orientation) {
  Metadata metadata;
  metadata.exif = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0};
  return metadata;
}

// What the program writes to a terminal of that kind, as its stderr.
std::string on_terminal(const std::vector<std::string>& arguments, const char* kind) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(terminal >= 0);
  REQUIRE(::grantpt(terminal) == 0);
  REQUIRE(::unlockpt(terminal) == 0);
  const std::string name = ::ptsname(terminal);
  const int held = ::open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);  // what is unread stays
  const char* before = std::getenv("TERM");
  const std::string restored = before == nullptr ? "" : before;
  ::setenv("TERM", kind, 1);
  const Run result = run(arguments, {}, {}, name);
  before == nullptr ? ::unsetenv("TERM") : ::setenv("TERM", restored.c_str(), 1);
  CHECK(result.exit_code == 0);
  std::string text;
  char buffer[4096];
  for (ssize_t size; (size = ::read(terminal, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(held), ::close(terminal);
  return text;
}

}  // namespace

TEST_CASE("an end marker that is missing is a warning, said once") {
  const TemporaryFolder folder;
  const Bytes whole = encode_jpeg(make_picture(40, 24, 3), {.quality = 20});
  write_file_atomically(folder / "whole.jpg", whole, false);
  write_file_atomically(folder / "cut.jpg", Bytes(whole.begin(), whole.end() - 2), false);
  REQUIRE(run({"restore", folder / "whole.jpg", "-q", "--fast"}).exit_code == 0);
  const Run cut = run({"restore", folder / "cut.jpg", "--fast"});
  CHECK(cut.exit_code == 0);
  CHECK(count(cut.err, "warning: ") == 1);
  CHECK_CONTAINS(cut.err, "warning: " + folder / "cut.jpg" + ": the end marker is missing");
  CHECK(read_image(folder / "cut.restored.png").image.pixels == read_image(folder / "whole.restored.png").image.pixels);
}

TEST_CASE("a colour profile that does not fit is left out with a warning; comments stay") {
  const TemporaryFolder folder;
  Metadata metadata = read_image(data_path("chelsea.png")).metadata;  // its profile is for RGB
  Bytes bytes = encode_jpeg(make_picture(24, 16, 1), {.quality = 20, .metadata = &metadata});
  bytes = with_segment(bytes, 0xfe, "(c) me"s);
  write_file_atomically(folder / "gray.jpg", bytes, false);
  const Run result = run({"restore", folder / "gray.jpg", "--fast"});
  CHECK(result.exit_code == 0);
  CHECK(count(result.err, "warning: ") == 1);
  CHECK_CONTAINS(result.err, "gray.jpg: the colour profile is left out: it is made for RGB, and the image is gray");
  const Metadata written = read_image(folder / "gray.restored.png").metadata;
  CHECK(written.icc_profile.empty());
  CHECK(std::count(written.text.begin(), written.text.end(), std::pair{"Comment"s, "(c) me"s}) == 1);
  const Run noisy = run({"degrade", folder / "gray.jpg", "-o", folder / "n.png", "--noise", "5", "--keep-metadata"});
  CHECK_CONTAINS(noisy.err, "the colour profile is left out");
}

TEST_CASE("the reference is turned as the input lies") {
  const TemporaryFolder folder;
  const Image picture = make_picture(40, 24, 3);
  const Metadata metadata = with_orientation(6);
  write_file_atomically(folder / "in.jpg", encode_jpeg(picture, {.quality = 20, .metadata = &metadata}), false);
  write_png(folder / "upright.png", upright(picture, 6), {}, false);
  write_png(folder / "same.png", picture, {.metadata = &metadata}, false);
  const auto measured = [&](const std::string& reference, std::size_t notes) {
    const Run result =
        run({"restore", folder / "in.jpg", "--reference", folder / reference, "--fast", "--json", "--force"});
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(count(result.err, "turned like the input") == notes);
    return nlohmann::json::parse(last_line(result.out)).at("psnr_degraded").get<double>();
  };
  const double expected = psnr(read_image(folder / "in.jpg").image, picture);
  CHECK(measured("upright.png", 1) == doctest::Approx(expected).epsilon(1e-4));
  CHECK(measured("same.png", 0) == doctest::Approx(expected).epsilon(1e-4));
}

TEST_CASE("a dumb terminal gets no escape codes") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "in.jpg", encode_jpeg(make_picture(24, 16, 3), {.quality = 10}), false);
  const std::vector<std::string> arguments{"restore", folder / "in.jpg", "--fast", "--force"};
  const std::string dumb = on_terminal(arguments, "dumb");
  CHECK_CONTAINS(dumb, "in.restored.png: restored in ");
  CHECK(dumb.find('\x1b') == std::string::npos);
  CHECK(on_terminal(arguments, "xterm").find("\r\x1b[K") != std::string::npos);
}

TEST_CASE("tables of nothing but zeros: a warning and a picture, by each method") {
  const TemporaryFolder folder;
  Bytes bytes = encode_jpeg(make_picture(80, 72, 3), {.quality = 20});
  constexpr std::size_t kBehindMarker = 5, kSteps = 64;  // 0xff, 0xdb, two bytes of length, the table's number
  for (std::size_t i = 0; i + kBehindMarker + kSteps < bytes.size(); ++i) {
    if (bytes[i] != 0xff || bytes[i + 1] != 0xdb) continue;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(i + kBehindMarker), kSteps, uint8_t{0});
  }
  write_file_atomically(folder / "zeros.jpg", bytes, false);
  for (const std::vector<std::string>& method :
       {std::vector<std::string>{"filter"}, {"learn", "--lessons", "2"}, {"fit", "--iterations", "2"}}) {
    std::vector<std::string> arguments{"restore", folder / "zeros.jpg", "-o", folder / "out.png", "--force",
                                       "--method"};
    arguments.insert(arguments.end(), method.begin(), method.end());
    const Run result = run(arguments);
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(count(result.err, "quantization tables hold") == 1);
    CHECK(result.err.find("nan") == std::string::npos);
    CHECK(read_image(folder / "out.png").image.width == 80);
  }
}

}  // namespace hourglass::test
