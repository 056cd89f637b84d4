// compare and verify of many images: which belong together, what is printed, and what of them fails.
#include <signal.h>  // SIGTERM is POSIX

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <new>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "engine/cli/image_pairs.h"
#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/read_image.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

// An original as a PNG, and what a JPEG of that quality makes of it.
void save_pair(const std::string& original, const std::string& jpeg, uint32_t seed, int quality = 30) {
  const Image picture = make_picture(24, 16, 3, seed);
  for (const std::string& path : {original, jpeg}) fs::create_directories(fs::path(path).parent_path());
  write_png(original, picture, {}, true);
  write_file_atomically(jpeg, encode_jpeg(picture, {.quality = quality}), true);
}

std::map<std::string, nlohmann::json> by_image(const std::string& lines) {
  std::map<std::string, nlohmann::json> objects;
  std::istringstream stream(lines);
  for (std::string line; std::getline(stream, line);) {
    const nlohmann::json object = nlohmann::json::parse(line);
    objects[object.value("image", object.value("reference", ""))] = object;
  }
  return objects;
}

Names lines_of(const std::string& text) {
  std::istringstream stream(text);
  Names lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string text_of(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("compare: two folders, file by file, with what each pair gives alone") {
  const TemporaryFolder folder;
  const std::string a = folder / "a", b = folder / "b";
  save_pair(a + "/one.png", b + "/one.jpg", 1);
  save_pair(a + "/below/two, too.png", b + "/below/two, too.restored.jpg", 2, 60);
  const Run result = run({"compare", "-r", a, b, "--csv", folder / "out.csv"});
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.err == "2 images: 2 compared\n");
  const Names lines = lines_of(result.out);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].starts_with(b + "/one.jpg: PSNR "));
  CHECK(lines[2].starts_with("mean: PSNR "));

  const Run json = run({"compare", "-r", a, b, "--json"});
  auto objects = by_image(json.out);
  REQUIRE(objects.size() == 2);
  double sum = 0;
  for (const auto& [image, reference] :
       {std::pair{b + "/one.jpg", a + "/one.png"}, {b + "/below/two, too.restored.jpg", a + "/below/two, too.png"}}) {
    nlohmann::json& object = objects[image];
    CHECK(object["status"] == "done");
    CHECK(object["reference"] == reference);
    const auto alone = nlohmann::json::parse(run({"compare", reference, image, "--json"}).out);
    for (const char* value : {"psnr", "psnr_y", "psnr_b", "ssim"}) CHECK(object[value] == alone[value]);
    sum += alone["psnr"].get<double>();
  }
  CHECK_CONTAINS(lines[2], ("PSNR " + std::to_string(sum / 2)).substr(0, 9));

  const Names rows = lines_of(text_of(folder / "out.csv"));
  REQUIRE(rows.size() == 3);
  CHECK(rows[0] == "reference,image,psnr,psnr_y,psnr_b,ssim,error");
  CHECK(rows[1].starts_with(a + "/one.png," + b + "/one.jpg,"));
  CHECK(rows[1].ends_with(","));
  CHECK(rows[2].starts_with("\"" + a + "/below/two, too.png\",\"" + b + "/below/two, too.restored.jpg\","));
  check_fails(run({"compare", "-r", a, b, "--csv", folder / "out.csv"}), 1, "out.csv: exists already");
  CHECK(run({"compare", "-r", a, b, "--csv", folder / "out.csv", "--force"}).exit_code == 0);
}

TEST_CASE("compare: what has no partner, or can't be read, is named, and the rest goes on") {
  const TemporaryFolder folder;
  const std::string a = folder / "a", b = folder / "b";
  save_pair(a + "/good.png", b + "/good.jpg", 1);
  save_pair(a + "/cut.png", b + "/cut.jpg", 2);
  save_pair(a + "/alone.png", b + "/other.jpg", 3);
  std::vector<uint8_t> bytes = read_file(b + "/cut.jpg");
  bytes.resize(bytes.size() / 2);
  write_file_atomically(b + "/cut.jpg", bytes, true);
  const Run result = run({"compare", "-r", a, b, "--json", "--csv", folder / "out.csv"});
  CHECK(result.exit_code == 3);
  CHECK_CONTAINS(result.err, "hourglass: " + b + "/cut.jpg: the JPEG is truncated");
  CHECK_CONTAINS(result.err, "hourglass: " + b + "/other.jpg: nothing in " + a + " is called other");
  CHECK_CONTAINS(result.err, "hourglass: " + a + "/alone.png: there is no image of that name");
  CHECK_CONTAINS(result.err, "4 images: 1 compared, 3 failed\n");
  auto objects = by_image(result.out);
  REQUIRE(objects.size() == 4);
  CHECK(objects[b + "/good.jpg"]["status"] == "done");
  for (const std::string& name : {b + "/cut.jpg", b + "/other.jpg", a + "/alone.png"}) {
    CHECK(objects[name]["status"] == "failed");
    CHECK(!objects[name]["error"].get<std::string>().empty());
  }
  const std::string csv = text_of(folder / "out.csv");
  CHECK_CONTAINS(csv, "," + b + "/other.jpg,,,,," + b + "/other.jpg: nothing in");
  // Who names files by hand does not mean the others.
  CHECK(run({"compare", "-r", a, b + "/good.jpg"}).exit_code == 0);
  fs::copy_file(a + "/good.png", a + "/good.jpg");
  check_fails(run({"compare", "-r", a, b}), 1, "which of them is meant by good");
}

TEST_CASE("compare: several images with one original, and a list") {
  const TemporaryFolder folder;
  const std::string original = folder / "o.png", first = folder / "x/30.jpg", second = folder / "x/60.jpg";
  save_pair(original, first, 1);
  save_pair(original, second, 1, 60);
  for (const Names& images : {Names{first, second}, Names{"-r", folder / "x"}}) {
    Names arguments{"compare", original, "--json"};
    arguments.insert(arguments.end(), images.begin(), images.end());
    auto objects = by_image(run(arguments).out);
    REQUIRE(objects.size() == 2);
    CHECK(objects[second]["psnr"].get<double>() > objects[first]["psnr"].get<double>() + 1);
  }
  // Of a list the names' folders count.
  save_pair(folder / "originals/x/30.png", folder / "ignored.jpg", 1);
  const fs::path here = fs::current_path();
  fs::current_path(folder.string());
  std::ofstream("list") << "x/30.jpg\n";
  const Run listed = run({"compare", "originals", "-r", "--files-from", "list", "--json"});
  fs::current_path(here);
  CHECK(listed.exit_code == 0);
  CHECK(by_image(listed.out)["x/30.jpg"]["reference"] == "originals/x/30.png");
  check_fails(run({"compare", original}), 2, "IMAGE is required");
  check_fails(run({"compare", folder / "originals", folder / "x"}), 1, "is a folder: -r takes the images in it");
  fs::create_directories(folder / "empty");
  check_fails(run({"compare", "-r", original, folder / "empty"}), 1, "there is no image to work on");
}

TEST_CASE("compare: two folders of results, and results beside their inputs") {
  const TemporaryFolder folder;
  save_pair(folder / "a/x.restored.png", folder / "b/x.restored.jpg", 1);
  const Run two = run({"compare", "-r", folder / "a", folder / "b"});
  CAPTURE(two.err);
  CHECK(two.exit_code == 0);
  CHECK_CONTAINS(two.err, "1 image: 1 compared\n");
  save_pair(folder / "a/x.png", folder / "ignored.jpg", 1);
  const Run beside = run({"compare", "-r", folder / "a", folder / "b", "--json"});
  CHECK(by_image(beside.out)[folder / "b/x.restored.jpg"]["reference"] == folder / "a/x.png");
}

TEST_CASE("compare: standard input is read once, and options that do nothing are refused") {
  const TemporaryFolder folder;
  const std::string a = folder / "a.png", b = folder / "b.jpg";
  save_pair(a, b, 1);
  CHECK(run({"compare", "-", b}, a).exit_code == 0);
  check_fails(run({"compare", "-", b, a}, a), 1, "-: can be read once");
  check_fails(run({"compare", "-", "-"}, a), 1, "-: can be read once");
  check_fails(run({"compare", a, b, "-0"}), 1, "-0: belongs to --files-from");
  check_fails(run({"compare", a, b, "--force"}), 1, "--force: belongs to --csv");
}

TEST_CASE("compare: a run that is interrupted leaves no table of a part") {
  const TemporaryFolder folder;
  const std::string original = folder / "o.png", image = folder / "i.jpg", cut = folder / "cut.jpg";
  save_pair(original, image, 1);
  std::vector<uint8_t> bytes = read_file(image);
  bytes.resize(bytes.size() / 2);
  write_file_atomically(cut, bytes, true);
  std::ofstream list(folder / "list");
  list << cut << '\n';
  for (int i = 0; i < 20000; ++i) list << image << '\n';
  list.close();
  const Run result = run_and_signal({"compare", original, "--files-from", folder / "list", "--csv", folder / "t.csv"},
                                    SIGTERM, "truncated");
  CAPTURE(result.err);
  CHECK(result.exit_code == 143);
  CHECK_CONTAINS(result.err, " not done");
  CHECK(!fs::exists(folder / "t.csv"));
  CHECK(result.out.find("mean: ") == std::string::npos);
  const Run json =
      run_and_signal({"compare", original, "--files-from", folder / "list", "--json"}, SIGTERM, "truncated");
  CHECK(json.exit_code == 143);
  CHECK(nlohmann::json::parse(last_line(json.out)).at("interrupted") == true);
}

TEST_CASE("pairs: whatever a pair throws, the rest goes on") {
  const TemporaryFolder folder;
  const std::string original = folder / "o.png";
  std::vector<std::string> images;
  for (uint32_t i = 0; i < 3; ++i) {
    images.push_back(folder / (std::to_string(i) + ".jpg"));
    save_pair(original, images.back(), i);
  }
  cli::PairArguments arguments;
  arguments.first = original;
  arguments.images.inputs = images;
  std::vector<std::string> failures;
  const cli::ExitCode code = cli::judge_pairs(
      arguments,
      {.command = "compare",
       .verb = "compared",
       .judge = [&](const std::string&, const std::string& image) -> cli::Judgement {
         if (image == images[0]) throw std::bad_alloc();
         if (image == images[1]) throw std::length_error("too long");
         return {.line = "good", .values = {}};
       },
       .took = [&](const cli::ImagePair& pair, const cli::Judgement*) { failures.push_back(pair.failure); }});
  CHECK(code == cli::ExitCode::some_failed);
  CHECK(failures == Names{images[0] + ": out of memory", images[1] + ": unexpected: too long", ""});
}

TEST_CASE("verify: photographs with what was restored of them, beside them or in a folder of their own") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", results = folder / "results";
  for (const char* name : {"/a.jpg", "/below/b.jpg"}) {
    fs::create_directories(fs::path(photos + name).parent_path());
    write_file_atomically(photos + name, encode_jpeg(make_picture(24, 16, 3, 7), {.quality = 20}), true);
  }
  const Names restore{"restore", "-r", photos, "--fast", "--threads", "1"};
  const auto with = [](Names first, const Names& more) {
    first.insert(first.end(), more.begin(), more.end());
    return first;
  };
  REQUIRE(run(with(restore, {"--output-dir", results})).exit_code == 0);
  REQUIRE(run(with(restore, {"--format", "jxl"})).exit_code == 0);
  for (const std::string& images : {results, photos}) {
    CAPTURE(images);
    const Run result = run({"verify", "-r", photos, images, "--json"});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK_CONTAINS(result.err, "2 images: 2 verified\n");
    for (const auto& [image, object] : by_image(result.out)) {
      CHECK(object["share"] == 1.0);
      CHECK(object["reference"].get<std::string>().ends_with(".jpg"));
    }
  }
  const Run text = run({"verify", "-r", photos, results});
  CHECK(lines_of(text.out).size() == 2);
  CHECK_CONTAINS(text.out,
                 results + "/below/b.restored.png: yes: " + photos +
                     "/below/b.jpg can be a JPEG of this image: each of the 640 coefficients in the file comes "
                     "out of the image too\n");
  // One that another photograph is put in the place of.
  write_png(results + "/a.restored.png", make_picture(24, 16, 3, 8), {}, true);
  const Run other = run({"verify", "-r", photos, results});
  CHECK(other.exit_code == 5);
  CHECK_CONTAINS(other.out, "/a.restored.png: no: ");
  CHECK_CONTAINS(other.err, "2 images: 2 verified\n");
  fs::remove(results + "/a.restored.png");
  CHECK(run({"verify", "-r", photos, results}).exit_code == 3);
}

}  // namespace hourglass::test
