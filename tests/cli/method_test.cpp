// hourglass restore --method: which one is taken, what the filter does, and what a fit's output holds meanwhile.
#include "engine/cli/method.h"

#include <doctest/doctest.h>
#include <signal.h>  // SIGINT, SIGTERM and SIGKILL

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "engine/cli/commands.h"
#include "engine/image/file.h"
#include "engine/image/metrics.h"
#include "engine/image/read_image.h"
#include "engine/restore/consistency.h"
#include "engine/train/archive.h"
#include "graph/error.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

using Names = std::vector<std::string>;

nlohmann::json object_of(const Run& result) {
  CAPTURE(result.err);
  return nlohmann::json::parse(last_line(result.out));
}

std::string text_of(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

std::string record_of(const std::string& png) {
  const auto text = read_image(png).metadata.text;
  REQUIRE(text.size() == 1);
  CHECK(text[0].first == "hourglass");
  return text[0].second;
}

struct Fixture {
  TemporaryFolder folder;
  std::string input = folder / "in.jpg", original = folder / "original.png", output = folder / "out.png";
  Image picture = crop(read_image(data_path("chelsea.png")).image, 120, 60, 64, 48);

  Fixture() {
    write_png(original, picture, {}, true);
    write_file_atomically(input, encode_jpeg(picture, {.quality = 10}), false);
  }

  // One thread: the image is too small for more.
  [[nodiscard]] Names command(const Names& more) const {
    Names arguments{"restore", input, "-o", output, "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  [[nodiscard]] Run restore(const Names& more) const { return run(command(more)); }
  // The image that the filter makes of the input.
  [[nodiscard]] std::vector<float> filtered() const {
    const std::string name = folder / "filtered.png";
    const Run result = run({"restore", input, "-o", name, "--method", "filter", "--threads", "1", "--force"});
    REQUIRE(result.exit_code == 0);
    std::vector<float> pixels = read_image(name).image.pixels;
    std::filesystem::remove(name);
    return pixels;
  }
  // Whether the output holds that.
  [[nodiscard]] bool holds_filtered() const { return read_image(output).image.pixels == filtered(); }
  // In place of the input: so large that a pass of the filter takes a while.
  void make_large() const {
    write_file_atomically(input, encode_jpeg(make_picture(200, 200, 3), {.quality = 10}), true);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "the filter makes a JPEG better without any iteration") {
  const Run result = restore({"--fast", "--reference", original, "--json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(folder.names() == Names{"in.jpg", "original.png", "out.png"});
  const nlohmann::json json = object_of(result);
  CHECK(json.at("method") == "filter");
  CHECK(json.at("iterations") == 0);
  CHECK(json.at("interrupted") == false);
  CHECK(json.at("seconds") > 0);
  for (const char* of_a_fit : {"model", "seed", "stop", "memory_bytes", "energy", "result_of"}) {
    CAPTURE(of_a_fit);
    CHECK(!json.contains(of_a_fit));
  }
  const Image restored = read_image(output).image;
  CHECK(json.at("psnr_degraded").get<double>() == doctest::Approx(psnr(read_image(input).image, picture)));
  CHECK(json.at("psnr_restored").get<double>() == doctest::Approx(psnr(restored, picture)));
  CHECK(json.at("psnr_restored").get<double>() > json.at("psnr_degraded").get<double>() + 0.3);
  const double in_cells = check_cells(restored, JpegModel(read_jpeg_coefficients(read_file(input)))).share();
  CHECK(in_cells >= 0.99);
  CHECK(json.at("cells_rounded").get<double>() == doctest::Approx(in_cells));

  CHECK_CONTAINS(result.err, "in.jpg: colour JPEG 64x48\nfilter 0 %  ");
  CHECK_CONTAINS(result.err, "\nfilter 100 %  done\n");
  CHECK_CONTAINS(result.err, "PSNR to the original: ");
  CHECK_CONTAINS(result.err, "out.png: restored in ");
  CHECK_CONTAINS(result.err, " (the filter alone)\n");
  CHECK(result.err.find("it/s") == std::string::npos);

  // What is said changes nothing, and what is there is kept.
  const std::vector<uint8_t> bytes = read_file(output);
  check_fails(restore({"--fast"}), 1, "out.png: exists already; --force");
  const Run quiet = restore({"-q", "--force", "--method", "filter"});
  CHECK(quiet.exit_code == 0);
  CHECK(quiet.err.empty());
  CHECK(quiet.out.empty());
  CHECK(read_file(output) == bytes);

  const std::string piped = folder / "piped.png";
  const Run stream = run({"restore", "-", "--fast", "--threads", "1", "--json"}, input, piped);
  CHECK(stream.exit_code == 0);
  CHECK(read_file(piped) == bytes);
  CHECK_CONTAINS(stream.err, "\"method\":\"filter\"");

  REQUIRE(restore({"--fast", "--force", "--bit-depth", "16"}).exit_code == 0);
  CHECK(read_image(output).bit_depth == 16);
}

TEST_CASE_FIXTURE(Fixture, "less strength stays nearer to the JPEG and in its cells") {
  const Image decoded = read_image(input).image;
  const JpegCoefficients file = read_jpeg_coefficients(read_file(input));
  const JpegModel model(file);
  double before = 1e9;
  for (const std::string strength : {"0.1", "0.4", "0.7", "1"}) {
    CAPTURE(strength);
    REQUIRE(restore({"--fast", "--strength", strength, "--force"}).exit_code == 0);
    const Image result = read_image(output).image;
    CHECK(check_cells(result, model).share() >= 0.99);
    const double to_jpeg = psnr(result, decoded);
    CHECK(to_jpeg < before - 1);
    before = to_jpeg;
  }
  CHECK_CONTAINS(record_of(output), " --threads 1\n");
  const std::vector<uint8_t> whole = read_file(output);
  REQUIRE(restore({"--fast", "--force"}).exit_code == 0);
  CHECK(read_file(output) == whole);
  REQUIRE(restore({"--lessons", "0", "--strength", "0.3", "--force"}).exit_code == 0);
  CHECK(psnr(read_image(output).image, decoded) > before + 3);
  CHECK_CONTAINS(record_of(output), "--strength 0.3");

  check_fails(restore({"--no-cells", "--strength", "0.5", "--force"}), 1, "leave out --no-cells");
  check_fails(run({"restore", original, "-o", folder / "x.png", "--strength", "0.5"}), 1, "original.png is none");
  CHECK(restore({"--strength", "1.5", "--force"}).exit_code == 2);
}

TEST_CASE_FIXTURE(Fixture, "what was compressed twice is restored from the first compression, unless told otherwise") {
  const Image photo = read_image(data_path("astronaut.png")).image;
  const Image once = decode_jpeg(encode_jpeg(photo, {.quality = 10})).image;
  picture = crop(photo, 4, 4, photo.width - 4, photo.height - 4);
  write_png(original, picture, {}, true);
  const Image cut = crop(once, 4, 4, once.width - 4, once.height - 4);
  write_file_atomically(input, encode_jpeg(cut, {.quality = 40}), true);
  const auto psnr_of = [&](const Names& more) {
    Names arguments{"--reference", original, "--json", "--force"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Run result = restore(arguments);
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    const nlohmann::json json = object_of(result);
    const bool first = std::find(more.begin(), more.end(), "--once") == more.end();
    CHECK(json.contains("first_compression") == first);
    if (first) CHECK(json.at("first_compression") == nlohmann::json{{"quality", 10}, {"x", 4}, {"y", 4}});
    CHECK(json.contains("cells_rounded") != first);
    CHECK(
        (result.err.find("was compressed before, at quality 10 or so, in blocks that begin 4 pixels down and 4 to the "
                         "right") != std::string::npos) == first);
    return json.at("psnr_restored").get<double>();
  };
  const double filtered = psnr_of({"--fast"});
  CHECK(filtered > psnr_of({"--fast", "--once"}) + 0.2);
  CHECK(psnr_of({"--lessons", "40"}) > filtered - 0.02);
}

TEST_CASE_FIXTURE(Fixture, "the filter's PNG says what repeats it") {
  REQUIRE(restore({"--fast"}).exit_code == 0);
  const std::string record = record_of(output);
  CHECK(record.starts_with("hourglass restore INPUT --method filter --strength 1 --threads 1\ninput sha256 "));
  CHECK(record.find("network") == std::string::npos);
  CHECK_CONTAINS(record, "\nhourglass ");
  Names again{"restore", input, "-o", folder / "again.png"};
  std::istringstream words(record.substr(0, record.find('\n')));
  std::string word;
  for (int i = 0; words >> word; ++i) {
    if (i > 2) again.push_back(word);
  }
  REQUIRE(run(again).exit_code == 0);
  CHECK(read_file(folder / "again.png") == read_file(output));
}

TEST_CASE("each option of restore belongs to a fit, to learning, or to every method") {
  const std::set<std::string> of_all{"INPUT",      "output",     "method",  "fast",         "best",   "bit-depth",
                                     "threads",    "reference",  "report",  "force",        "quiet",  "verbose",
                                     "json",       "keep-times", "quality", "memory-limit", "format", "recursive",
                                     "output-dir", "files-from", "null",    "jobs",         "shard",  "manifest",
                                     "strength",   "once"};
  int of_a_fit = 0;
  const cli::Command command = cli::restore_command();
  for (const cli::Option& option : command.options) {
    const std::string name = cli::name_of(option);
    CAPTURE(name);
    CHECK(option.methods.empty() == of_all.contains(name));
    if (option.methods.empty()) continue;
    const bool is_of_learning = name == "lessons";
    const std::string method = is_of_learning ? "learn" : "fit";
    CHECK(option.methods.front() == method);
    if (option.methods.size() > 1) {
      CHECK((option.heading == "Options of learning and of a fit" || option.heading == "Files and messages"));
    } else {
      CHECK(option.heading.ends_with(is_of_learning ? " of learning" : " of a fit"));
    }
    of_a_fit += is_of_learning ? 0 : 1;

    // Given, it chooses its method; beside --method filter, it is refused by name.
    cli::ParsedCommand line(command);
    std::find_if(line.options.begin(), line.options.end(), [&](const auto& one) { return one.name == name; })->given =
        true;
    cli::ParsedCommand filtered = line;
    cli::choose_method(line, "filter");
    CHECK(line.find("method")->value == method);
    // Where learning is usual, one that belongs to it too leaves it so.
    cli::ParsedCommand learning = filtered;
    cli::choose_method(learning, "learn");
    const std::vector<std::string>& methods = option.methods;
    CHECK(learning.find("method")->value ==
          (std::find(methods.begin(), methods.end(), "learn") != methods.end() ? "learn" : method));
    filtered.set("method", "filter");
    CHECK_THROWS_WITH_AS(cli::choose_method(filtered, "filter"),
                         doctest::Contains(("--" + name + ": belongs to --method " + method).c_str()), Error);
  }
  CHECK(of_a_fit > 30);

  cli::ParsedCommand line(command);
  cli::choose_method(line, "filter");
  CHECK(line.find("method")->value == "filter");
  CHECK(line.find("iterations") == nullptr);
  CHECK(line.find("threads") != nullptr);
}

TEST_CASE("options of two methods contradict each other, and one of both goes with either") {
  const cli::Command command = cli::restore_command();
  const auto line_with = [&](const Names& given) {
    cli::ParsedCommand line(command);
    for (cli::ParsedOption& one : line.options)
      one.given = std::find(given.begin(), given.end(), one.name) != given.end();
    return line;
  };
  cli::ParsedCommand both = line_with({"iterations", "lessons"});
  CHECK_THROWS_WITH_AS(cli::choose_method(both, "filter"), doctest::Contains("belong to different methods"), Error);
  cli::ParsedCommand seeded = line_with({"seed", "lessons"});
  cli::choose_method(seeded, "filter");
  CHECK(seeded.find("method")->value == "learn");
  CHECK(seeded.find("seed") != nullptr);
  CHECK(seeded.find("iterations") == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "--fast and --best are short for others, which may be given beside them") {
  const cli::Command command = cli::restore_command();
  cli::ParsedCommand line(command);
  line.set("best", "");
  line.set("lessons", "7");
  cli::expand_flag(line, "best", {{"method", "learn"}, {"lessons", "3200"}});
  CHECK(line.find("best") == nullptr);
  CHECK(line.find("method")->value == "learn");
  CHECK(line.find("lessons")->value == "7");

  const Run fast = restore({"--fast", "--json"});
  CHECK(object_of(fast).at("method") == "filter");
  CHECK_CONTAINS(record_of(output), "hourglass restore INPUT --method filter --strength 1 --threads 1\n");
  CHECK(holds_filtered());
  const Run best = restore({"--best", "--lessons", "1", "--json", "--force"});
  CHECK(object_of(best).at("method") == "learn");
  CHECK_CONTAINS(record_of(output), "--lessons 1 --method learn ");
  check_fails(restore({"--fast", "--best", "--force"}), 1, "--fast and --best: leave out one of the two");
  check_fails(restore({"--fast", "--method", "fit", "--force"}), 1,
              "--fast is short for --method filter: leave out --method fit");
  check_fails(restore({"--fast", "--iterations", "3", "--force"}), 1, "--iterations: belongs to --method fit");
}

TEST_CASE_FIXTURE(Fixture,
                  "a lesson ends nearer to the original than the filter, and the same seed gives the same bytes") {
  picture = crop(read_image(data_path("astronaut.png")).image, 30, 10, 128, 112);
  write_png(original, picture, {}, true);
  write_file_atomically(input, encode_jpeg(picture, {.quality = 10}), true);
  const Run result =
      restore({"--method", "learn", "--lessons", "80", "--seed", "2", "--reference", original, "--json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const nlohmann::json json = object_of(result);
  CHECK(json.at("method") == "learn");
  CHECK(json.at("iterations") == 80);
  CHECK(json.at("weight").get<double>() > 0.1);
  CHECK(json.at("weight").get<double>() <= 1);
  CHECK_CONTAINS(result.err, "the filter, and 80 iterations of learning");
  const Image learned = read_image(output).image;
  CHECK(check_cells(learned, JpegModel(read_jpeg_coefficients(read_file(input)))).share() >= 0.99);
  Image filter = learned;
  filter.pixels = filtered();
  CHECK(psnr(learned, picture) > psnr(filter, picture) + 0.02);
  CHECK_CONTAINS(record_of(output), "--method learn");

  const std::string report = folder / "report.html";
  REQUIRE(restore({"--method", "learn", "--lessons", "80", "--seed", "2", "--force", "--report", report}).exit_code ==
          0);
  CHECK(read_image(output).image.pixels == learned.pixels);
  const std::string html = text_of(report);
  for (const char* part :
       {"restored by the filter and a network that has learned from the photograph itself", "The lesson",
        "The photograph made smaller.", "By the network after it.", "mixed from", " % network, ", "Mixed from what?",
        "means of 20 iterations", "grey levels", "dB before the lesson"}) {
    CHECK_CONTAINS(html, part);
  }
  REQUIRE(restore({"--lessons", "80", "--seed", "5", "--force"}).exit_code == 0);
  CHECK(read_image(output).image.pixels != learned.pixels);
}

TEST_CASE_FIXTURE(Fixture, "where there is nothing to learn from, the filter's result stays") {
  const Run result = restore({"--json"});  // 64x48: below the least side
  REQUIRE(result.exit_code == 0);
  CHECK(object_of(result).at("method") == "learn");
  CHECK(object_of(result).at("weight") == 0);
  CHECK(holds_filtered());
}

TEST_CASE_FIXTURE(Fixture, "a lesson that is ended early leaves a result, and what can't be learned from is refused") {
  make_large();
  const Run ended =
      run_and_signal(command({"--method", "learn", "--lessons", "100000", "--json"}), SIGINT, "learn 0 %");
  CHECK(ended.exit_code == 130);
  CHECK(object_of(ended).at("interrupted") == true);
  CHECK(read_image(output).image.width == 200);

  const Run png = run({"restore", original, "-o", folder / "x.png", "--method", "learn"});
  CHECK(png.exit_code == 1);
  CHECK_CONTAINS(png.err, "is no JPEG, and --method learn goes by the cells");
  const Run none = restore({"--method", "learn", "--model", folder / "none.onnx", "--force"});
  CHECK(none.exit_code == 1);
  CHECK_CONTAINS(none.err, "none.onnx");
  const Run other = restore({"--method", "learn", "--model", data_path("../../../models/unet.onnx"), "--force"});
  CHECK(other.exit_code == 1);
  CHECK_CONTAINS(other.err, "unet.onnx: the network makes ");
}

TEST_CASE_FIXTURE(Fixture, "an option of a fit chooses the fit, or contradicts --method filter") {
  for (const Names& options : std::vector<Names>{{"--iterations", "2"},
                                                 {"--iterations", "2", "--method", "fit"},
                                                 {"--stop", "iteration", "--stop-at", "2"}}) {
    const nlohmann::json json = object_of(restore([&] {
      Names all = options;
      all.insert(all.end(), {"--json", "--force"});
      return all;
    }()));
    CHECK(json.at("method") == "fit");
    CHECK(json.at("iterations") == 2);
    CHECK(json.at("model") == "small");
  }
  std::filesystem::remove(output);
  check_fails(restore({"--method", "filter", "--iterations", "2"}), 1,
              "--iterations: belongs to --method fit, and means nothing to --method filter");
  check_fails(restore({"--method", "filter", "--no-cells"}), 1, "--no-cells: belongs to --method fit");
  check_fails(restore({"--method", "sharpen"}), 2, "--method");
  CHECK(folder.names() == Names{"in.jpg", "original.png"});

  const std::string help = run({"restore", "--help"}).out;
  for (const char* part : {"Methods:\n  learn ", "\nOptions of a fit:\n", "\nFiles and messages of a fit:\n"}) {
    CHECK_CONTAINS(help, part);
  }
}

TEST_CASE_FIXTURE(Fixture, "what is no JPEG is fitted, and the reason said where that is refused") {
  const Run fit = run({"restore", original, "-o", output, "--json", "--stop", "iteration", "--stop-at", "1"});
  CHECK(object_of(fit).at("method") == "fit");
  check_fails(run({"restore", original, "-o", output, "--force", "--method", "filter"}), 1,
              "original.png: is no JPEG, and --method filter goes by the cells that a JPEG states");
  check_fails(run({"restore", original, "-o", output, "--force", "--method", "filter", "--degradation", "op.onnx"}), 1,
              "with --degradation there is only --method fit");
}

TEST_CASE_FIXTURE(Fixture, "while a fit goes on, its output holds the filter's result") {
  const Run killed = run_and_signal(command({"--iterations", "10000000", "--reference", original, "--stop", "none"}),
                                    SIGKILL, "/10000000  ");
  CHECK(killed.exit_code == 128 + SIGKILL);
  CHECK_CONTAINS(killed.err, "\nfilter 100 %  done\n");
  CHECK_CONTAINS(killed.err, "out.png: the filter's result, ");
  CHECK(killed.err.find("out.png: the filter's result, ") < killed.err.find("\n1/10000000  "));
  CHECK(holds_filtered());
  CHECK_CONTAINS(record_of(output), "hourglass restore INPUT --method filter --strength 1 --threads 1\n");

  // At its end, the fit's own takes its place, and it is the one that a stream gets.
  const Run whole = restore({"--iterations", "3", "--force", "--json"});
  CAPTURE(whole.err);
  CHECK(whole.exit_code == 0);
  CHECK(!object_of(whole).contains("result_of"));
  CHECK(!holds_filtered());
  CHECK_CONTAINS(record_of(output), " --method fit ");
  CHECK_CONTAINS(record_of(output), "network sha256 ");
  CHECK_CONTAINS(whole.err, "\nfinish 100 %  done\n");
  const std::string piped = folder / "piped.png";
  const Run stream = run({"restore", "-", "--threads", "1", "--iterations", "3"}, input, piped);
  CHECK(stream.exit_code == 0);
  CHECK(read_file(piped) == read_file(output));
  CHECK(stream.err.find("filter") == std::string::npos);

  // The paper's way knows no filter.
  const Run paper = restore({"--iterations", "3", "--method", "fit", "--no-cells", "--force"});
  CHECK(paper.exit_code == 0);
  CHECK(paper.err.find("filter") == std::string::npos);
  CHECK(paper.err.find("finish") == std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a signal ends the filter with what there is") {
  make_large();
  for (const auto& [signal, code] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}}) {
    const auto& this_code = code;
    CAPTURE(this_code);
    const Run result = run_and_signal(command({"--fast", "--json", "--force"}), signal, "filter 0 %");
    CAPTURE(result.err);
    CHECK(result.exit_code == code);
    CHECK_CONTAINS(result.err, "stopped early, as asked");
    CHECK(result.err.find("to go on") == std::string::npos);
    CHECK(result.err.find("filter 100 %") == std::string::npos);
    CHECK(object_of(result).at("interrupted") == true);
    CHECK(!holds_filtered());
    CHECK(folder.names() == Names{"in.jpg", "original.png", "out.png"});
  }
  // Before a fit, it is the end of that too.
  const Run fit = run_and_signal(command({"--json", "--force", "--iterations", "1000"}), SIGINT, "filter 0 %");
  CAPTURE(fit.err);
  CHECK(fit.exit_code == 130);
  const nlohmann::json json = object_of(fit);
  CHECK(json.at("method") == "fit");
  CHECK(json.at("result_of") == "filter");
  CHECK(json.at("iterations") == 0);
  CHECK(json.at("interrupted") == true);
  CHECK(fit.err.find("it/s") == std::string::npos);
  CHECK(folder.names() == Names{"in.jpg", "original.png", "out.png"});
}

TEST_CASE_FIXTURE(Fixture, "a trial of learning rates is a stage of its own, which a signal ends") {
  const std::string model = std::string(HOURGLASS_MODELS) + "/hourglass-small.onnx";
  const std::string large = folder / "large.png";
  write_png(large, crop(read_image(data_path("chelsea.png")).image, 0, 0, 384, 256), {}, true);
  const Run ended = run_and_signal({"denoise", large, "-o", output, "--method", "fit", "--model", model, "--iterations",
                                    "1000", "--threads", "1", "--json"},
                                   SIGINT, "learning rates are tried");
  CAPTURE(ended.err);
  CHECK(ended.exit_code == 130);
  CHECK_CONTAINS(ended.err, "stopped before the first iteration: nothing is written");
  const nlohmann::json told = nlohmann::json::parse(last_line(ended.out));
  CHECK(told.at("event") == "error");
  CHECK(told.at("interrupted") == true);
  CHECK(told.at("input") == large);
  CHECK_CONTAINS(told.at("error").get<std::string>(), "stopped before the first iteration");
  CHECK(folder.names() == Names{"in.jpg", "large.png", "original.png"});

  // A rate is said to be found where there was a trial.
  for (const auto& [iterations, text] :
       {std::pair{"100", "\nlearning rate found "}, {"99", "\nlearning rate 0.01\n"}}) {
    const Run whole = run(command({"--method", "fit", "--model", model, "--iterations", iterations, "--force"}));
    CAPTURE(whole.err);
    CHECK(whole.exit_code == 0);
    CHECK_CONTAINS(record_of(output), text);
  }
}

TEST_CASE_FIXTURE(Fixture, "a fit that is ended early leaves the filter's result, one that came far its own") {
  const std::string checkpoint = folder / "run.ckpt";
  const auto reached = [&] {
    return std::filesystem::exists(checkpoint) ? Archive::decode(read_file(checkpoint)).integer("total") : 0;
  };
  // A network whose iterations are short, and its checkpoints.
  const std::string net = folder / "net.onnx";
  REQUIRE(run({"model", "make", "-o", net, "--channels", "4,8", "--skips", "2,0"}).exit_code == 0);
  const Names endless{"--model", net,           "--iterations", "100000",       "--stop",   "none",
                      "--json",  "--reference", original,       "--checkpoint", checkpoint, "--checkpoint-every",
                      "0"};
  // Three iterations: the filter's.
  const Run early = run_and_signal_when(command(endless), SIGINT, [&] { return reached() >= 3; });
  CAPTURE(early.err);
  REQUIRE(early.exit_code == 130);
  nlohmann::json json = object_of(early);
  REQUIRE(json.at("iterations") < 200);
  CHECK(json.at("iterations") >= 3);
  CHECK(json.at("method") == "fit");
  CHECK(json.at("result_of") == "filter");
  CHECK(json.at("interrupted") == true);
  CHECK(json.at("psnr_restored").get<double>() == doctest::Approx(psnr(read_image(output).image, picture)));
  CHECK_CONTAINS(early.err, "; the result is the filter's)\n");
  CHECK_CONTAINS(early.err, "to go on: hourglass restore ");
  CHECK(holds_filtered());

  const Names resumed{"restore", input,    "-o",           output,     "--resume",           checkpoint, "--reference",
                      original,  "--json", "--checkpoint", checkpoint, "--checkpoint-every", "0.5"};
  // The run goes on, over the file that it left, filtering once more; past 200 iterations it has a result of its own.
  const Run later = run_and_signal_when(resumed, SIGINT, [&] { return reached() >= 210; });
  CAPTURE(later.err);
  REQUIRE(later.exit_code == 130);
  json = object_of(later);
  CHECK(json.at("iterations") >= 210);
  CHECK(!json.contains("result_of"));
  CHECK(!holds_filtered());
  CHECK_CONTAINS(later.err, "filter 100 %  done");

  // From there on, there is nothing to filter first.
  const int64_t before = reached();
  const Run last = run_and_signal_when(resumed, SIGINT, [&] { return reached() > before + 5; });
  CHECK(last.exit_code == 130);
  CHECK(last.err.find("filter") == std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a signal ends the finishing of a fit with what there is") {
  make_large();
  const Run result = run_and_signal(command({"--json", "--iterations", "2"}), SIGINT, "\nfinish ");
  CAPTURE(result.err);
  CHECK(result.exit_code == 130);
  CHECK(result.err.find("finish 100 %") == std::string::npos);
  CHECK(object_of(result).at("interrupted") == true);
  CHECK(object_of(result).at("iterations") == 2);
  CHECK(read_image(output).image.width == 200);
}

TEST_CASE_FIXTURE(Fixture, "the filter has a report") {
  const std::string report = folder / "report.html";
  const Run result = restore({"--fast", "--report", report, "--reference", original});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const std::string html = text_of(report);
  for (const char* part : {"A colour JPEG of 64x48 pixels, restored by the filter.", "class=\"after\"",
                           "PSNR to the original", "Difference.", "nothing that it says is contradicted",
                           "<th scope=\"row\">method</th><td>filter</td>", "--method</span> filter"}) {
    CHECK_CONTAINS(html, part);
  }
  for (const char* of_a_fit : {"The run", "On the way", "iteration", "<th scope=\"row\">model</th>"}) {
    CAPTURE(of_a_fit);
    CHECK(html.find(of_a_fit) == std::string::npos);
  }
  check_fails(run({"restore", input, "-o", folder / "other.png", "--report", report}), 1,
              "report.html: exists already; --force");
}

}  // namespace hourglass::test
