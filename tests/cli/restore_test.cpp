// hourglass restore, end to end: what goes in, what comes out, what is said on the way.
#include <doctest/doctest.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/npy.h"
#include "engine/image/read_image.h"
#include "engine/restore/consistency.h"
#include "engine/restore/restore.h"
#include "engine/runtime/precision.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

// Two iterations unless `arguments` says otherwise. One thread: these images are too small for more.
Run restore_with(std::vector<std::string> arguments, const std::string& iterations = "2") {
  arguments.insert(arguments.begin(), "restore");
  arguments.insert(arguments.end(), {"--threads", "1", "--iterations", iterations});
  return run(arguments);
}

nlohmann::json json_of(const Run& result) {
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(last_line(result.out));
}

void save_jpeg(const std::string& path, const Image& image, JpegOptions options = {.quality = 10}) {
  write_file_atomically(path, encode_jpeg(image, options), true);
}

// The PNG agrees with the JPEG's file as well as can be asked after rounding.
double share_in_cells(const std::string& png, const std::string& jpeg) {
  return check_cells(read_image(png).image, JpegModel(read_jpeg_coefficients(read_file(jpeg)))).share();
}

// Those of a CSV without the comments at its start.
std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (line[0] != '#') lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == ',')
      cells.emplace_back();
    else
      cells.back() += c;
  }
  return cells;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE(
    "an output that ends as a JPEG is one, with the input's metadata, and what is said of it is true of the file") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg", output = folder / "out.JPG";
  Metadata metadata;
  metadata.density = PixelDensity{.x = 11811, .y = 11811, .per_metre = true};
  metadata.text = {{"Comment", "a comment"}, {kXmpKeyword, "<x:xmpmeta/>"}};
  save_jpeg(input, make_picture(48, 40, 3), {.quality = 60, .metadata = &metadata});
  REQUIRE(read_image(input).metadata.text ==
          std::vector<std::pair<std::string, std::string>>{{kXmpKeyword, "<x:xmpmeta/>"}, {"Comment", "a comment"}});
  const nlohmann::json json = json_of(run({"restore", input, "-o", output, "--fast", "--json", "--quality", "50"}));
  const std::vector<uint8_t> bytes = read_file(output);
  CHECK(image_format(bytes) == ImageFormat::jpeg);
  const DecodedImage written = decode_jpeg(bytes);
  CHECK(std::abs(written.metadata.density->x - 11811) < 1);
  auto text = written.metadata.text;
  REQUIRE(text.size() == 3);
  CHECK(text.back().first == kRecordKeyword);
  CHECK(text.back().second.starts_with("hourglass restore INPUT "));
  text.pop_back();
  CHECK(text == read_image(input).metadata.text);
  CHECK(read_jpeg_coefficients(bytes).max_h_sampling == 1);
  CHECK(json["cells_rounded"] == doctest::Approx(share_in_cells(output, input)));
  CHECK(json["cells_rounded"].get<double>() < json["cells_exact"].get<double>());
  CHECK(json["psnr_to_input"] == doctest::Approx(psnr(written.image, read_image(input).image)));
  // Learning writes twice; where nothing is learned, the file is the filter's, encoded once.
  CHECK(run({"restore", input, "-o", folder / "none.jpg", "--lessons", "0", "--quality", "50"}).exit_code == 0);
  CHECK(read_image(folder / "none.jpg").image.pixels == written.image.pixels);
  check_fails(run({"restore", input, "-o", folder / "x.jpg", "--bit-depth", "16"}), 1, "a JPEG holds 8 bits");
  check_fails(run({"restore", input, "-o", folder / "x.png", "--quality", "80"}), 1, "--quality: belongs to a JPEG");
  check_fails(run({"restore", input, "-o", folder / "x.webp"}), 1,
              "a JPEG or a JPEG XL: name it " + (folder / "x.png"));
}

TEST_CASE("restore writes beside its input, or where it is told, and keeps what is there") {
  const TemporaryFolder folder;
  const std::string input = folder / "photo.of.me.jpg", output = folder / "photo.of.me.restored.png";
  save_jpeg(input, make_picture(16, 16, 3));
  const Run first = restore_with({input});
  CAPTURE(first.err);
  CHECK(first.exit_code == 0);
  CHECK(first.out.empty());
  CHECK(first.err.find(input + ": colour JPEG 16x16\n") == 0);
  CHECK(first.err.find("\n1/2  ") != std::string::npos);
  CHECK(first.err.find("\n2/2  done  ") != std::string::npos);
  CHECK(first.err.find(output + ": restored in ") != std::string::npos);
  // A log is plain text.
  CHECK(first.err.find_first_of("\r\x1b") == std::string::npos);
  CHECK(folder.names() == Names{"photo.of.me.jpg", "photo.of.me.restored.png"});

  std::ofstream(output) << "mine";
  check_fails(restore_with({input}), 1, output + ": exists already; --force");
  CHECK(read_file(output).size() == 4);
  CHECK(restore_with({input, "--force"}).exit_code == 0);
  CHECK(read_image(output).image.width == 16);

  const Run quiet = restore_with({input, "-o", folder / "other.png", "-q"});
  CHECK(quiet.exit_code == 0);
  CHECK(quiet.err.empty());
  CHECK(quiet.out.empty());
  CHECK(folder.names() == Names{"other.png", "photo.of.me.jpg", "photo.of.me.restored.png"});
  CHECK(read_file(folder / "other.png") == read_file(output));

  // Streams: the PNG alone on stdout.
  const std::string piped = folder / "piped.png";
  const Run stream = run({"restore", "-", "--threads", "1", "--iterations", "2", "--json"}, input, piped);
  CHECK(stream.exit_code == 0);
  CHECK(read_file(piped) == read_file(output));
  CHECK(stream.err.find("{\"event\":\"result\",\"input\":\"-\"") != std::string::npos);
}

TEST_CASE("restore takes every kind of JPEG at every size") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg", output = folder / "in.restored.png";
  const std::vector<std::pair<int64_t, int64_t>> sizes{{8, 8}, {9, 13}, {17, 31}, {64, 64}, {100, 37}};
  struct Kind {
    const char* name;
    int channels;
    JpegOptions options;
  };
  const std::vector<Kind> kinds{
      {"gray", 1, {.quality = 10}},
      {"gray progressive", 1, {.quality = 10, .progressive = true}},
      {"4:4:4", 3, {.quality = 10, .subsampling = Subsampling::s444}},
      {"4:2:2", 3, {.quality = 10, .subsampling = Subsampling::s422}},
      {"4:2:0", 3, {.quality = 10, .subsampling = Subsampling::s420}},
      {"4:4:0", 3, {.quality = 10, .subsampling = Subsampling::s440}},
      {"progressive", 3, {.quality = 10, .progressive = true}},
      {"restart markers", 3, {.quality = 10, .restart_interval = 1}},
  };
  // Every kind at the awkward size, every size for two kinds.
  for (const Kind& kind : kinds) {
    for (const auto& [width, height] : sizes) {
      const std::string name = kind.name;
      if (width != 17 && name != "gray" && name != "4:2:0") continue;
      CAPTURE(name);
      const auto& this_width = width;
      CAPTURE(this_width);
      const auto& this_height = height;
      CAPTURE(this_height);
      save_jpeg(input, make_picture(width, height, kind.channels), kind.options);
      const nlohmann::json json = json_of(restore_with({input, "--force", "--json"}));
      const Image image = read_image(output).image;
      CHECK(image.width == width);
      CHECK(image.height == height);
      CHECK(image.channels == kind.channels);
      CHECK(json.at("cells_rounded") >= 0.99);
      CHECK(json.at("cells_exact") >= json.at("cells_rounded"));
      CHECK(share_in_cells(output, input) == doctest::Approx(json.at("cells_rounded").get<double>()));
    }
  }
}

TEST_CASE("where there is nothing to gain, the result stays near the JPEG, and that is said") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg";
  for (const int quality : {10, 100}) {
    CAPTURE(quality);
    save_jpeg(input, make_picture(64, 48, 1), {.quality = quality});
    const Run result = restore_with({input, "-o", folder / "out.png", "--force", "--json"}, "20");
    const double change = json_of(result).at("change_rms_255");
    const Image before = read_image(input).image, after = read_image(folder / "out.png").image;
    CHECK(change == doctest::Approx(255 * std::pow(10.0, -psnr(before, after) / 20)));
    CHECK((change < 0.5) == (quality == 100));
    CHECK_CONTAINS(result.err,
                   quality == 100 ? "there was hardly anything to restore" : "differs from the decoded JPEG");
  }
}

TEST_CASE("restore takes PNG, then without cells") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.png", output = folder / "in.restored.png";
  for (const int channels : {1, 3}) {
    CAPTURE(channels);
    const Image image = make_picture(17, 31, channels);
    write_png(input, image, {}, true);
    const Run result = restore_with({input, "--force", "--json"});
    CHECK(result.err.find(": PNG 17x31\n") != std::string::npos);
    const nlohmann::json json = json_of(result);
    CHECK(!json.contains("cells_exact"));
    CHECK(!json.contains("cells_rounded"));
    const Image restored = read_image(output).image;
    CHECK(restored.width == 17);
    CHECK(restored.height == 31);
    CHECK(restored.channels == channels);
  }
}

TEST_CASE("profile, EXIF and density survive") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg", output = folder / "in.restored.png";
  Metadata metadata = read_image(data_path("chelsea.png")).metadata;
  if (metadata.icc_profile.empty())
    metadata.icc_profile = read_image(data_path("chelsea_q10.jpg")).metadata.icc_profile;
  // One tag: orientation 6.
  metadata.exif = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0};
  metadata.density = PixelDensity{.x = 11811, .y = 11811, .per_metre = true};
  save_jpeg(input, make_picture(17, 16, 3), {.quality = 10, .metadata = &metadata});
  REQUIRE(restore_with({input}).exit_code == 0);
  const Metadata before = read_image(input).metadata, after = read_image(output).metadata;
  CHECK(before.exif == metadata.exif);
  CHECK(after.exif == before.exif);
  CHECK(after.icc_profile == before.icc_profile);
  CHECK(exif_orientation(after.exif) == 6);
  REQUIRE(before.density.has_value());
  REQUIRE(after.density.has_value());
  CHECK(after.density->x == doctest::Approx(before.density->x));
  CHECK(after.density->y == doctest::Approx(before.density->y));
  CHECK(after.density->per_metre);
}

TEST_CASE("a reference is measured against, the history holds every iteration") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg", original = folder / "original.png", output = folder / "in.restored.png";
  const std::string history = folder / "history.csv";
  const Image picture = make_picture(40, 24, 3);
  write_png(original, picture, {}, true);
  save_jpeg(input, picture);

  const Run known = restore_with({input, "--reference", original, "--history", history, "--json"}, "5");
  const nlohmann::json json = json_of(known);
  const Image reference = read_image(original).image;
  CHECK(json.at("psnr_degraded").get<double>() == doctest::Approx(psnr(read_image(input).image, reference)));
  CHECK(json.at("psnr_restored").get<double>() == doctest::Approx(psnr(read_image(output).image, reference)));
  CHECK(json.at("input") == input);
  CHECK(json.at("output") == output);
  CHECK(json.at("iterations") == 5);
  CHECK(json.at("interrupted") == false);
  CHECK(json.at("seconds") > 0);
  CHECK(json.at("memory_bytes") > 0);
  CHECK(json.at("event") == "result");
  CHECK(json.at("threads") == 1);
  CHECK(json.at("version").get<std::string>().find('.') != std::string::npos);
  CHECK(json.at("psnr_gain").get<double>() ==
        doctest::Approx(json.at("psnr_restored").get<double>() - json.at("psnr_degraded").get<double>()));
  CHECK_CONTAINS(known.err, " dB to the JPEG, ");
  CHECK_CONTAINS(known.err, " to the original\n");
  CHECK(known.err.find("loss") == std::string::npos);
  CHECK(known.err.find("PSNR to the original: ") != std::string::npos);

  const std::string header =
      "iteration,seconds,loss,psnr_degraded,psnr_degraded_average,psnr_original,psnr_original_average,run";
  std::vector<std::string> lines = lines_of(history);
  REQUIRE(lines.size() == 6);
  CHECK(lines[0] == header);
  double seconds = 0;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> cells = cells_of(lines[i]);
    REQUIRE(cells.size() == 8);
    CHECK(cells[0] == std::to_string(i));
    CHECK(std::stod(cells[1]) >= seconds);
    seconds = std::stod(cells[1]);
    for (std::size_t k = 2; k < 7; ++k) CHECK(std::stod(cells[k]) > 0);
    // The loss is the mean squared error that the PSNR is made of.
    CHECK(std::stod(cells[3]) == doctest::Approx(-10 * std::log10(std::stod(cells[2]))).epsilon(1e-3));
  }

  check_fails(restore_with({input, "-o", folder / "b.png", "--history", history}), 1, "history.csv: exists already");
  const Run unknown = restore_with({input, "--history", history, "--force", "--json"}, "3");
  CHECK(!json_of(unknown).contains("psnr_restored"));
  CHECK(unknown.err.find("original") == std::string::npos);
  lines = lines_of(history);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0] == header);
  for (std::size_t i = 1; i < lines.size(); ++i) CHECK(lines[i].substr(lines[i].size() - 4) == ",,,0");

  // A colour original of a gray JPEG, and the other way round.
  save_jpeg(folder / "gray.jpg", to_gray(picture));
  CHECK(json_of(restore_with({folder / "gray.jpg", "--reference", original, "--json"})).at("psnr_restored") > 5);
  write_png(folder / "gray.png", to_gray(picture), {}, true);
  CHECK(json_of(restore_with({input, "--force", "--reference", folder / "gray.png", "--json"})).at("psnr_restored") >
        5);
}

TEST_CASE("a real photograph gets better; the seed decides every byte") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg", original = folder / "original.png";
  const Image picture = crop(read_image(data_path("chelsea.png")).image, 120, 60, 96, 96);
  write_png(original, picture, {}, true);
  save_jpeg(input, picture);
  const nlohmann::json json = json_of(restore_with({input, "--reference", original, "--json"}, "300"));
  CHECK(json.at("psnr_restored").get<double>() > json.at("psnr_degraded").get<double>() + 0.1);
  CHECK(json.at("cells_rounded") >= 0.99);

  const auto bytes = [&](const std::string& name, const std::string& seed) {
    REQUIRE(restore_with({input, "-o", folder / name, "--seed", seed}, "8").exit_code == 0);
    return read_file(folder / name);
  };
  const std::vector<uint8_t> once = bytes("a.png", "7"), twice = bytes("b.png", "7"), other = bytes("c.png", "8");
  const bool same = once == twice, differs = once != other;
  CHECK(same);
  CHECK(differs);
}

TEST_CASE("bf16 restores as well as f32") {
  if (!has_native_bf16()) return;
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg", original = data_path("camera.png");
  save_jpeg(input, read_image(original).image);
  double difference = 0;
  for (const char* seed : {"1", "2"}) {
    const auto restored = [&](const char* precision) {
      return json_of(restore_with({input, "--reference", original, "--json", "--force", "--seed", seed, "--precision",
                                   precision},
                                  "150"))
          .at("psnr_restored")
          .get<double>();
    };
    difference += (restored("bf16") - restored("f32")) / 2;
  }
  CHECK(std::abs(difference) < 0.05);  // dB; measured: 0.01
}

TEST_CASE("every option has its effect") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg";
  save_jpeg(input, make_picture(32, 24, 3));
  int count = 0;
  const auto restored = [&](const std::vector<std::string>& options) {
    const std::string output = folder / (std::to_string(count++) + ".png");
    std::vector<std::string> arguments{input, "-o", output};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Run result = restore_with(arguments, "6");
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(share_in_cells(output, input) >= (options.front() == "--no-cells" ? 0.0 : 0.99));
    return read_file(output);
  };
  const std::vector<uint8_t> plain = restored({"-q"});
  const std::vector<std::vector<std::string>> variations{{"--runs", "2"},
                                                         {"--schedule", "constant"},
                                                         {"--learning-rate", "0.002"},
                                                         {"--stop-at", "3", "--stop", "iteration"},
                                                         {"--input-noise", "0.1"},
                                                         {"--energy", "cell"},
                                                         {"--no-cells"},
                                                         {"--bit-depth", "16"},
                                                         {"--model", "unet"},
                                                         {"--model", "standard"}};
  for (const auto& options : variations) {
    CAPTURE(options[0]);
    const bool differs = restored(options) != plain;
    CHECK(differs);
  }
  CHECK(decode_png(restored({"--bit-depth", "16"})).bit_depth == 16);
  CHECK(decode_png(plain).bit_depth == 8);
  const bool half_width_counts =
      restored({"--energy", "cell", "--half-width", "0"}) != restored({"--energy", "cell", "--half-width", "0.5"});
  CHECK(half_width_counts);

  const std::vector<uint8_t> f32 = restored({"--precision", "f32"});
  if (has_native_bf16()) {
    const bool differs = restored({"--precision", "bf16"}) != f32;
    CHECK(differs);
  } else {
    const bool automatic = plain == f32;
    CHECK(automatic);
  }

  // Side by side or not, the history says which run an iteration is of.
  for (const int at_once : {1, 2}) {
    CAPTURE(at_once);
    const std::string history = folder / "history.csv";
    const nlohmann::json json =
        json_of(restore_with({input, "-o", folder / "runs.png", "--runs", "2", "--at-once", std::to_string(at_once),
                              "--history", history, "--json", "--force"},
                             "3"));
    CHECK(json.at("iterations") == 6);
    CHECK(json.at("at_once") == at_once);
    const std::vector<std::string> lines = lines_of(history);
    REQUIRE(lines.size() == 7);
    const std::vector<std::pair<int, int>> order =
        at_once == 1 ? std::vector<std::pair<int, int>>{{1, 0}, {2, 0}, {3, 0}, {1, 1}, {2, 1}, {3, 1}}
                     : std::vector<std::pair<int, int>>{{1, 0}, {1, 1}, {2, 0}, {2, 1}, {3, 0}, {3, 1}};
    for (std::size_t i = 0; i < order.size(); ++i) {
      CHECK(cells_of(lines[i + 1]).front() == std::to_string(order[i].first));
      CHECK(cells_of(lines[i + 1]).back() == std::to_string(order[i].second));
    }
  }
}

TEST_CASE("threads that are kept to cores restore the same pixels") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg";
  save_jpeg(input, make_picture(32, 24, 3));
  std::vector<Image> images;
  for (const char* bind : {"none", "cores", "spread"}) {
    const std::string output = folder / (std::string(bind) + ".png");
    const Run result =
        run({"restore", input, "-o", output, "--threads", "2", "--bind", bind, "--iterations", "4", "-q"});
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    images.push_back(read_image(output).image);
  }
  CHECK(images[1].pixels == images[0].pixels);
  CHECK(images[2].pixels == images[0].pixels);
  check_fails(restore_with({input, "-o", folder / "x.png", "--runs", "2", "--at-once", "2", "--bind", "cores"}, "4"), 1,
              "--bind cores: 2 runs at once divide the CPUs among them");
}

TEST_CASE("restore takes the networks that model make writes") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg", network = folder / "net.onnx", gray = folder / "gray.jpg";
  save_jpeg(input, make_picture(17, 31, 3));
  save_jpeg(gray, make_picture(17, 31, 1));
  REQUIRE(
      run({"model", "make", "-o", network, "--channels", "4,8", "--skips", "2,0", "--upsample", "nearest"}).exit_code ==
      0);
  for (const std::string& photo : {input, gray}) {
    const nlohmann::json json = json_of(restore_with({photo, "--model", network, "--json"}));
    CHECK(json.at("model") == network);
    CHECK(json.at("cells_rounded") >= 0.99);
  }
  CHECK(read_image(folder / "in.restored.png").image.channels == 3);
  CHECK(read_image(folder / "gray.restored.png").image.channels == 1);
}

TEST_CASE("degrade by an ONNX operator, and restore from that") {
  const TemporaryFolder folder;
  const std::string op = folder / "blur.onnx", photo = folder / "photo.png";
  REQUIRE(run({"model", "make", "--kind", "blur", "--sigma", "1.2", "-o", op}).exit_code == 0);
  write_png(photo, make_picture(48, 33, 3), {}, false);
  const Run png = run({"degrade", photo, "-o", folder / "blurred.png", "--degradation", op, "--json"});
  CAPTURE(png.err);
  REQUIRE(png.exit_code == 0);
  const nlohmann::json made = nlohmann::json::parse(png.out);
  CHECK(made.at("shape") == nlohmann::json({1, 3, 33, 48}));
  const Run npy = run({"degrade", photo, "-o", folder / "blurred.npy", "--degradation", op});
  REQUIRE(npy.exit_code == 0);
  CHECK(npy.out.find("blurred.npy: 1x3x33x48, by ") != std::string::npos);
  // The array has what the PNG rounds.
  const Array array = decode_npy(read_file(folder / "blurred.npy"));
  const Image image = read_image(folder / "blurred.png").image;
  REQUIRE(array.values.size() == image.pixels.size());
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    REQUIRE(std::abs(array.values[i] - image.pixels[i]) <= 0.5 / 255 + 1e-6);
  }
  const Run sharp = restore_with({folder / "blurred.npy", "--degradation", op, "-o", folder / "sharp.png"}, "10");
  CHECK(sharp.exit_code == 0);
  CHECK(sharp.err.find("blurred.npy: measurement 48x33\n") != std::string::npos);

  CHECK(run({"degrade", photo, "-o", folder / "x.png", "--degradation", op, "--noise", "5"}).exit_code == 2);
  const Run gray = run({"degrade", photo, "-o", folder / "x.png", "--degradation", op, "--gray"});
  CHECK(gray.exit_code == 1);
  CHECK(gray.err.find("takes an image of 3 channels, this one has 1") != std::string::npos);
}

TEST_CASE("restore from a measurement that an ONNX operator made") {
  const TemporaryFolder folder;
  const std::string op = folder / "blur.onnx", measurement = folder / "blurred.png", array = folder / "blurred.npy";
  REQUIRE(run({"model", "make", "--kind", "blur", "--sigma", "1", "-o", op}).exit_code == 0);
  Image image(40, 33, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<float>(i % 40) / 40;
  write_png(measurement, image, {}, false);

  const Run result = restore_with({measurement, "--degradation", op, "--json"}, "20");
  const nlohmann::json json = json_of(result);
  CHECK(json.at("degradation") == op);
  CHECK(!json.contains("degradation_output"));
  const Image restored = read_image(folder / "blurred.restored.png").image;
  CHECK(restored.width == 40);
  CHECK(restored.height == 33);

  // The same numbers as an array: the same fit.
  const Image rounded = read_image(measurement).image;
  write_file_atomically(array, encode_npy({.shape = {3, 33, 40}, .values = rounded.pixels}), false);
  REQUIRE(restore_with({array, "--degradation", op, "-o", folder / "other.png"}, "20").exit_code == 0);
  CHECK(read_image(folder / "other.png").image.pixels == restored.pixels);

  const Run wrong = restore_with({measurement, "--degradation", op, "--size", "8x8"});
  CHECK(wrong.exit_code == 1);
  CHECK(wrong.err.find("of an image of 8x8, the operator makes 1x3x8x8; the measurement is 3x33x40") !=
        std::string::npos);
  CHECK(restore_with({measurement, "--degradation", op, "--energy", "cell"}).exit_code == 1);

  // Of several outputs one is the measurement, for degrade as for restore.
  onnx::ModelProto two;
  const std::vector<uint8_t> bytes = read_file(op);
  REQUIRE(two.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  const std::string blurred = two.graph().output(0).name(), both = folder / "two.onnx";
  auto& node = *two.mutable_graph()->add_node();
  node.set_op_type("Neg");
  node.add_input(blurred);
  node.add_output("negative");
  auto& info = *two.mutable_graph()->add_output();
  info = two.graph().output(0);
  info.set_name("negative");
  const std::string text = two.SerializeAsString();
  write_file_atomically(both, std::vector<uint8_t>(text.begin(), text.end()), false);
  const std::string asked = "has 2 outputs, '" + blurred + "', 'negative': say by --degradation-output NAME";
  check_fails(run({"degrade", measurement, "-o", folder / "two.png", "--degradation", both}), 1, asked);
  check_fails(restore_with({measurement, "--degradation", both}), 1, asked);
  for (const auto& [name, file] : {std::pair(both, "two.png"), std::pair(op, "one.png")}) {
    std::vector<std::string> arguments{"degrade", measurement, "-o", folder / file, "--degradation", name};
    if (name == both) arguments.insert(arguments.end(), {"--degradation-output", blurred});
    arguments.emplace_back("--json");
    const nlohmann::json made = json_of(run(arguments));
    CHECK(made.value("degradation_output", "") == (name == both ? blurred : ""));
  }
  CHECK(read_image(folder / "two.png").image.pixels == read_image(folder / "one.png").image.pixels);
  const Run chosen =
      restore_with({measurement, "--degradation", both, "--degradation-output", blurred, "--force", "--json"});
  CHECK(json_of(chosen).at("degradation_output") == blurred);
  check_fails(restore_with({measurement, "--degradation-output", blurred}), 1, "belongs to --degradation");
  CHECK(restore_with({measurement, "--degradation", op, "--tv", "0.1"}).exit_code == 1);
  CHECK(restore_with({measurement, "--size", "8x8"}).exit_code == 1);
}

}  // namespace hourglass::test
