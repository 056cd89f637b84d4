// --report of the fitting commands.
#include <doctest/doctest.h>
#include <signal.h>  // SIGKILL

#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/read_image.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

std::string text_of(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

void save_jpeg(const std::string& path) {
  write_file_atomically(path, encode_jpeg(make_picture(32, 24, 3), {.quality = 10}), false);
}

}  // namespace

TEST_CASE("a finished run's report holds its parts, and no longer refreshes itself") {
  const TemporaryFolder folder;
  const std::string input = folder / "a <b>&'c.jpg", report = folder / "report.html";
  save_jpeg(input);
  write_png(folder / "original.png", make_picture(32, 24, 3), {}, false);
  const Run result = run({"restore", input, "-o", folder / "out.png", "--iterations", "12", "--threads", "1",
                          "--report", report, "--reference", folder / "original.png"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const std::string html = text_of(report);
  CHECK_CONTAINS(html, "<h1>a &lt;b&gt;&amp;&#39;c.jpg</h1>");
  CHECK(html.find("a <b>") == std::string::npos);
  CHECK_CONTAINS(html, "PSNR to the original");
  CHECK_CONTAINS(html, "The JPEG&#39;s cells.");
  CHECK_CONTAINS(html, "<b>iteration 10</b>");
  CHECK_CONTAINS(html, "ConvGradWeights");
  CHECK_CONTAINS(html, "<th scope=\"row\">iterations</th><td>12</td>");
  CHECK_CONTAINS(html, "hourglass restore &#39;");
  CHECK_CONTAINS(html, "--iterations 12");
  CHECK(html.find("data-written=") == std::string::npos);
  // The result is in it, byte by byte as far as pixels go.
  CHECK(read_image(folder / "out.png").image.width == 32);

  check_fails(run({"restore", input, "-o", folder / "other.png", "--iterations", "2", "--report", report}), 1,
              "report.html: exists already; --force");
  check_fails(run({"restore", input, "-o", report, "--iterations", "2", "--report", report, "--force"}), 1,
              "is both the --output and the --report");
  check_fails(run({"restore", input, "-o", folder / "other.png", "--report", folder / "no/report.html"}), 1,
              "no does not exist");
}

TEST_CASE("a run that goes on has a live report; killed, it leaves a whole one") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg", report = folder / "report.html";
  save_jpeg(input);
  const Run result = run_and_signal(
      {"restore", input, "--iterations", "10000000", "--threads", "1", "--report", report}, SIGKILL, "/10000000  ");
  CHECK(result.exit_code == 128 + SIGKILL);
  const std::string html = text_of(report);
  CHECK_CONTAINS(html, "data-written=\"");
  CHECK_CONTAINS(html, " of 10000000, at most about ");
  CHECK(html.ends_with("</html>\n"));
}

TEST_CASE("a report that can't be rewritten is no reason to end a run") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg";
  save_jpeg(input);
  const Run result =
      run({"restore", input, "-o", folder / "out.png", "--iterations", "2", "--threads", "1", "--report", "/dev/full"});
  CHECK_CONTAINS(result.err, "warning: /dev/full: cannot write");
  CHECK(read_image(folder / "out.png").image.width == 32);
}

}  // namespace hourglass::test
