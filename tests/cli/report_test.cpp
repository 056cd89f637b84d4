// --report of the fitting commands.
#include <doctest/doctest.h>
#include <signal.h>  // SIGKILL

#include <filesystem>

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
  // All coefficients come out as in the file: a sentence, and no map of where they don't.
  CHECK_CONTAINS(html, "the result gives the very numbers that stand in the file");
  CHECK(html.find("The JPEG&#39;s cells.") == std::string::npos);
  CHECK_CONTAINS(html, "The result: <a href=\"file:///");
  CHECK_CONTAINS(html, "<b>the result</b>");
  CHECK_CONTAINS(html, "What are these decibels?");
  CHECK_CONTAINS(html, "<b>iteration 10</b>");
  CHECK_CONTAINS(html, "ConvGradWeights");
  CHECK_CONTAINS(html, "<th scope=\"row\">iterations</th><td>12</td>");
  CHECK_CONTAINS(html, "hourglass restore &#39;");
  CHECK_CONTAINS(html, "<span class=\"option\">--iterations</span> 12");
  CHECK_CONTAINS(html, "cd " + std::filesystem::current_path().string() + " &amp;&amp;\n");
  CHECK_CONTAINS(html, ">--force</span>");
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
  CHECK_CONTAINS(html, " of 10000000, about ");
  CHECK(html.ends_with("</html>\n"));
}

TEST_CASE("a report shows a photograph upright, as viewers do") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg", report = folder / "report.html";
  Metadata metadata;
  metadata.exif = make_exif(true, 6);
  write_file_atomically(input, encode_jpeg(make_picture(48, 24, 3), {.quality = 10, .metadata = &metadata}), false);
  REQUIRE(run({"restore", input, "--fast", "--threads", "1", "--report", report}).exit_code == 0);
  CHECK_CONTAINS(text_of(report), "data-width=\"24\" data-height=\"48\"");
  // The file itself keeps its pixels as they lay.
  CHECK(read_image(folder / "in.restored.png").image.width == 48);
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
