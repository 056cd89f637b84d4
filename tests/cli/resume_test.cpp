// Runs that are interrupted, killed and taken up again.
#include <doctest/doctest.h>
#include <fmt/core.h>
#include <signal.h>  // SIGINT, SIGTERM and SIGKILL

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "engine/train/archive.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

using Names = std::vector<std::string>;

// The lines of a history without the time, the one thing that differs from run to run.
Names without_seconds(const std::string& path) {
  std::ifstream file(path);
  Names lines;
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(','), second = line.find(',', first + 1);
    lines.push_back(line[0] == '#' ? line : line.substr(0, first) + line.substr(second));
  }
  return lines;
}

struct Fixture {
  TemporaryFolder folder;
  std::string input = folder / "in.jpg", checkpoint = folder / "run.ckpt";

  Fixture() { write_file_atomically(input, encode_jpeg(make_picture(32, 24, 3), {.quality = 10}), false); }

  // One thread: the image is too small for more.
  [[nodiscard]] Names command(const std::string& name, const Names& more) const {
    Names arguments{"restore", input, "-o", folder / (name + ".png"), "--history", folder / (name + ".csv")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  [[nodiscard]] Names history(const std::string& name) const { return without_seconds(folder / (name + ".csv")); }
  [[nodiscard]] bool same_image(const std::string& a, const std::string& b) const {
    return read_file(folder / (a + ".png")) == read_file(folder / (b + ".png"));
  }
  // How far the checkpoint is; 0 while there is none.
  [[nodiscard]] int64_t reached() const {
    return std::filesystem::exists(checkpoint) ? Archive::decode(read_file(checkpoint)).integer("total") : 0;
  }
  void resume_fails(const Names& more, const std::string& text) const {
    const Names before = folder.names();
    Names arguments{"restore", input, "-o", folder / "new.png", "--resume", checkpoint};
    arguments.insert(arguments.end(), more.begin(), more.end());
    check_fails(run(arguments), 1, text);
    CHECK(folder.names() == before);
  }
};

// The current folder, while it lives.
class InFolder {
 public:
  explicit InFolder(const std::string& path) { std::filesystem::current_path(path); }
  ~InFolder() { std::filesystem::current_path(before_); }
  InFolder(const InFolder&) = delete;
  InFolder& operator=(const InFolder&) = delete;

 private:
  std::filesystem::path before_ = std::filesystem::current_path();
};

void check_ok(const Run& result) {
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "200 iterations are 100, kill -9 and the rest") {
  // Two runs, input noise, and settings that are no defaults: all of it is in the checkpoint.
  const Names settings{"--threads", "1",    "--iterations", "100", "--runs",       "2",  "--input-noise", "0.02",
                       "--seed",    "7",    "--stop",       "wmv", "--stop-start", "30", "--patience",    "60",
                       "--energy",  "cell", "--no-cells"};
  check_ok(run(command("straight", settings)));
  Names killed = command("resumed", settings);
  killed.insert(killed.end(), {"--checkpoint", checkpoint, "--checkpoint-every", "0"});
  const Run first = run_and_signal_when(killed, SIGKILL, [&] { return reached() >= 100; });
  CHECK(first.exit_code == 128 + SIGKILL);
  CHECK(!std::filesystem::exists(folder / "resumed.png"));
  CHECK(std::filesystem::exists(folder / "resumed.csv"));
  const int64_t reached_at = reached();
  REQUIRE(reached_at >= 100);
  REQUIRE(reached_at < 200);

  const Run second = run(command("resumed", {"--resume", checkpoint}));
  check_ok(second);
  CHECK(same_image("resumed", "straight"));
  CHECK(history("resumed") == history("straight"));
  CHECK(folder.names() == Names{"in.jpg", "resumed.csv", "resumed.png", "straight.csv", "straight.png"});
}

TEST_CASE_FIXTURE(Fixture, "runs side by side go on side by side") {
  // The third begins when the first two have ended.
  check_ok(run(command("straight", {"--threads", "2", "--iterations", "60", "--runs", "3", "--at-once", "2"})));
  for (const int64_t pause : {40, 130}) {
    CAPTURE(pause);
    Names killed = command("resumed", {"--threads", "2", "--iterations", "60", "--runs", "3", "--at-once", "2"});
    killed.insert(killed.end(), {"--checkpoint", checkpoint, "--checkpoint-every", "0", "--force"});
    CHECK(run_and_signal_when(killed, SIGKILL, [&] { return reached() >= pause; }).exit_code == 128 + SIGKILL);
    resume_fails({"--at-once", "1"}, "was begun with --at-once 2, not 1");
    check_ok(run(command("resumed", {"--resume", checkpoint, "--force"})));
    CHECK(same_image("resumed", "straight"));
    CHECK(history("resumed") == history("straight"));
  }
}

TEST_CASE_FIXTURE(Fixture, "a signal ends the run early, keeps the result, and says how to go on") {
  for (const auto& [signal, code] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}}) {
    const auto& this_code = code;
    CAPTURE(this_code);
    // Long enough to be hit, short enough to be finished afterwards.
    Names arguments = command("out", {"--threads", "1", "--iterations", "400", "--stop", "none", "--json"});
    const Run result = run_and_signal(arguments, signal, "\n1/400  ");
    CAPTURE(result.err);
    REQUIRE(result.exit_code == code);
    CHECK(result.err.find("stopped early") != std::string::npos);
    const std::string advice = "to go on: hourglass restore " + input + " -o " + (folder / "out.png") + " --resume " +
                               (folder / "out.png.ckpt") + " --history " + (folder / "out.csv") + "\n";
    CHECK_CONTAINS(result.err, advice);
    CHECK(folder.names() == Names{"in.jpg", "out.csv", "out.png", "out.png.ckpt"});
    CHECK(read_image(folder / "out.png").image.width == 32);
    const nlohmann::json json = nlohmann::json::parse(last_line(result.out));
    CHECK(json.at("interrupted") == true);
    CHECK(json.at("iterations") < 400);

    // Again without --resume: what is there is not lost by mistake.
    check_fails(run(arguments), 1, "out.png: exists already");
    std::filesystem::remove(folder / "out.png");
    std::filesystem::remove(folder / "out.csv");
    check_fails(run(arguments), 1, "out.png.ckpt: exists already: an earlier run was not finished");

    // To the end, over the files that the run itself has written.
    write_file_atomically(folder / "out.png", Bytes{1}, false);
    const Run rest = run(command("out", {"--resume", folder / "out.png.ckpt"}));
    check_ok(rest);
    check_ok(run(command("straight", {"--threads", "1", "--iterations", "400", "--stop", "none"})));
    CHECK(same_image("out", "straight"));
    CHECK(history("out") == history("straight"));
    for (const char* name : {"out.csv", "out.png", "straight.csv", "straight.png"}) {
      CHECK(std::filesystem::remove(folder / name));
    }
    CHECK(folder.names() == Names{"in.jpg"});
  }
}

TEST_CASE_FIXTURE(Fixture, "a run goes on over its files, however they are named") {
  const InFolder here(folder.string());
  const Names settings{"--threads", "1", "--iterations", "400", "--stop", "none"};
  const auto interrupted = [&](Names arguments) {
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    const Run result = run_and_signal(arguments, SIGINT, "\n1/400  ");
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 130);
    return result.err;
  };
  // Bare names, the default one among them.
  const std::string advice = "to go on: hourglass restore in.jpg -o in.restored.png --resume in.restored.png.ckpt\n";
  CHECK_CONTAINS(interrupted({"restore", "in.jpg"}), advice);
  check_ok(run({"restore", "in.jpg", "-o", "in.restored.png", "--resume", "in.restored.png.ckpt"}));
  interrupted({"restore", "in.jpg", "-o", "out.png", "--history", "out.csv", "--checkpoint", "run.ckpt"});
  const std::string link = folder / "link";
  std::filesystem::create_directory_symlink(folder.string(), link);
  check_ok(run({"restore", "in.jpg", "-o", "./out.png", "--history", "link/out.csv", "--resume", "run.ckpt",
                "--checkpoint", "./run.ckpt"}));
  CHECK(folder.names() == Names{"in.jpg", "in.restored.png", "link", "out.csv", "out.png"});
}

TEST_CASE_FIXTURE(Fixture, "a second signal ends the program at once, and the last checkpoint is whole") {
  // An iteration takes longer than the signals are apart.
  write_file_atomically(input, encode_jpeg(make_picture(640, 640, 3), {.quality = 10}), true);
  const Run result = run_and_signal_when(
      command("out", {"--model", "standard", "--threads", "1", "--iterations", "100000", "--no-cells", "--checkpoint",
                      checkpoint, "--checkpoint-every", "0"}),
      SIGINT, [&] { return reached() >= 2; }, 2, 600);
  CHECK(result.exit_code == 130);
  CHECK(!std::filesystem::exists(folder / "out.png"));
  CHECK(reached() >= 2);
  check_fails(run({"restore", input, "-o", folder / "new.png", "--resume", checkpoint, "--iterations", "5"}), 1,
              "was begun with --iterations 100000");
}

TEST_CASE_FIXTURE(Fixture, "two signals in quick succession are one") {
  // As timeout(1) sends them, to the program and to its group. An iteration takes longer than they are apart.
  write_file_atomically(input, encode_jpeg(make_picture(192, 192, 3), {.quality = 10}), true);
  const Run result = run_and_signal_when(
      command("out", {"--model", "medium", "--threads", "1", "--iterations", "100000", "--no-cells", "--checkpoint",
                      checkpoint, "--checkpoint-every", "0"}),
      SIGTERM, [&] { return reached() >= 2; }, 2);
  CAPTURE(result.err);
  CHECK(result.exit_code == 143);
  CHECK_CONTAINS(result.err, "to go on: ");
  CHECK(std::filesystem::exists(folder / "out.png"));
}

TEST_CASE_FIXTURE(Fixture, "a terminal that goes ends the run early, unless the run is to ignore that") {
  const auto before = ::signal(SIGHUP, SIG_DFL);
  const Names settings{"--threads", "1", "--iterations", "400", "--stop", "none", "--force"};
  const Run hung_up = run_and_signal(command("out", settings), SIGHUP, "\n1/400  ");
  ::signal(SIGHUP, SIG_IGN);
  const Run ignored = run_and_signal(command("out", settings), SIGHUP, "\n1/400  ");
  ::signal(SIGHUP, before);
  CAPTURE(hung_up.err);
  CHECK(hung_up.exit_code == 129);
  CHECK_CONTAINS(hung_up.err, "to go on: ");
  CAPTURE(ignored.err);
  CHECK(ignored.exit_code == 0);
}

TEST_CASE_FIXTURE(Fixture, "a large image is fitted in tiles, when that is asked for and when memory is short") {
  write_file_atomically(input, encode_jpeg(make_picture(300, 280, 3), {.quality = 10}), true);
  const Names tiles{"--method", "fit", "--tile", "160", "--iterations", "20", "--threads", "1", "--stop", "none"};
  const auto with = [&](const std::string& name, const Names& more) {
    Names arguments = command(name, tiles);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  };
  const Run whole = with("whole", {"--json", "--report", folder / "report.html"});
  check_ok(whole);
  const nlohmann::json json = nlohmann::json::parse(last_line(whole.out));
  CHECK(json.at("tiles") == 4);
  CHECK(json.at("iterations") == 80);
  CHECK_CONTAINS(whole.err, "in.jpg: fitted in 4 tiles of at most 188x184 pixels");
  CHECK_CONTAINS(find_text(read_file(folder / "whole.png"), kRecordKeyword).value_or(""), "--tile 160");
  const Names rows = history("whole");
  CHECK(std::any_of(rows.begin(), rows.end(), [](const std::string& row) { return row.ends_with(",3"); }));

  // Ended in the third tile, it goes on to the same bytes.
  const Run ended =
      run_and_signal_when(command("out",
                                  [&] {
                                    Names more = tiles;
                                    more.insert(more.end(), {"--checkpoint", checkpoint, "--checkpoint-every", "0"});
                                    return more;
                                  }()),
                          SIGINT, [&] { return reached() > 45; });
  CAPTURE(ended.err);
  REQUIRE(ended.exit_code == 130);
  // Until all tiles are done, the filter's result is the better one.
  REQUIRE(run({"restore", input, "-o", folder / "filtered.png", "--fast", "--threads", "1"}).exit_code == 0);
  CHECK(read_image(folder / "out.png").image.pixels == read_image(folder / "filtered.png").image.pixels);
  check_ok(run({"restore", input, "-o", folder / "out.png", "--history", folder / "out.csv", "--resume", checkpoint}));
  CHECK(read_image(folder / "out.png").image.pixels == read_image(folder / "whole.png").image.pixels);

  // As many tiles as fit into the limit; and none are enough.
  const Names small{"--method",    "fit", "--iterations",    "1",   "--threads", "1",
                    "--precision", "f32", "--learning-rate", "0.01"};
  const auto limited = [&](const std::string& limit) {
    Names more = small;
    more.insert(more.end(), {"--memory-limit", limit, "--force"});
    return run(command("limited", more));
  };
  const std::string refusal = limited("20M").err;
  CHECK_CONTAINS(refusal, "even in tiles of 256 pixels, the limit is 20 MiB");
  const double needs = std::stod(refusal.substr(refusal.find("needs ") + 6));
  const Run fits = limited(fmt::format("{}M", std::ceil(needs)));
  check_ok(fits);
  CHECK_CONTAINS(fits.err, "in.jpg: fitted in 4 tiles");
  CHECK_CONTAINS(fits.err, "as a whole it would take ");

  // Others than restore and denoise are refused, as ever.
  const Run experiment = run({"experiment", folder / "whole.png", "-o", folder / "all", "--quality", "20", "--model",
                              "small", "--iterations", "1", "--memory-limit", "60M"});
  CHECK(experiment.exit_code == 1);
  CHECK_CONTAINS(experiment.err, "the fit needs ");
  check_fails(with("x", {"--runs", "2"}), 1, "--tile and --runs");
  check_fails(with("x", {"--save-network", folder / "x.onnx"}), 1, "leave out --tile");
  check_fails(run(command("x", {"--tile", "100"})), 1, "the least are 128x128");
  check_fails(run({"upscale", input, "--tile", "160"}), 2, "there is no option '--tile'");
}

TEST_CASE_FIXTURE(Fixture, "a short run leaves no checkpoint") {
  const Run result = run(command("out", {"--threads", "1", "--iterations", "20", "--checkpoint-every", "0"}));
  check_ok(result);
  CHECK(folder.names() == Names{"in.jpg", "out.csv", "out.png"});
}

TEST_CASE_FIXTURE(Fixture, "checkpoints that don't fit are refused, each in its own words") {
  const Names settings{"--threads",    "1",        "--iterations",       "100000",
                       "--checkpoint", checkpoint, "--checkpoint-every", "0"};
  run_and_signal_when(command("out", settings), SIGKILL, [&] { return reached() >= 2; });
  const Bytes good = read_file(checkpoint);
  const auto put = [&](const Bytes& bytes) { write_file_atomically(checkpoint, bytes, true); };

  resume_fails({"--iterations", "50"}, "run.ckpt: was begun with --iterations 100000, not 50: leave it out");
  resume_fails({"--no-cells"}, "run.ckpt: was begun without --no-cells: leave it out");
  resume_fails({"--model", "medium"}, "run.ckpt: was begun with --model small, not medium");
  const std::string other = folder / "other.jpg";
  write_file_atomically(other, encode_jpeg(make_picture(32, 24, 3, 2), {.quality = 10}), false);
  check_fails(run({"restore", other, "-o", folder / "new.png", "--resume", checkpoint}), 1,
              "run.ckpt: was begun with another input than " + other);
  check_fails(run(command("out", {"--checkpoint", checkpoint})), 1, "out.png: exists already");
  check_fails(run({"restore", input, "-o", folder / "new.png", "--checkpoint", checkpoint}), 1,
              "run.ckpt: exists already: an earlier run was not finished. --resume " + checkpoint + " goes on with it");

  Bytes bytes = good;
  bytes[bytes.size() / 2] ^= 1;
  put(bytes);
  resume_fails({}, "run.ckpt: is damaged: its checksum is wrong");
  bytes = good;
  bytes.resize(bytes.size() / 2);
  put(bytes);
  resume_fails({}, "run.ckpt: is cut off");
  put({1, 2, 3});
  resume_fails({}, "run.ckpt: is no checkpoint of hourglass");
  // A whole one of another kind of run, and one of another topology under the same settings.
  Archive archive = Archive::decode(good);
  archive.put("settings", std::string("denoise\n"));
  put(archive.encode());
  resume_fails({}, "run.ckpt: was begun with 'hourglass denoise', not restore");
  archive = Archive::decode(good);
  archive.put("network_sha256", std::string("0"));
  put(archive.encode());
  resume_fails({}, "run.ckpt: its network is another one");
  std::filesystem::remove(checkpoint);
  resume_fails({}, "run.ckpt: no such file");
}

TEST_CASE_FIXTURE(Fixture, "history and PNG say what repeats the run") {
  const Names settings{"--threads", "1", "--iterations", "3", "--seed", "5", "--no-cells"};
  check_ok(run(command("out", settings)));
  std::ifstream file(folder / "out.csv");
  std::string record;
  for (std::string line; std::getline(file, line) && line.starts_with("# ");) record += line.substr(2) + "\n";
  CHECK(record.starts_with("hourglass restore INPUT --"));
  for (const char* part :
       {" --model small", " --iterations 3", " --seed 5", " --threads 1", " --no-cells", "\nhourglass ", ",oneDNN "}) {
    CHECK_CONTAINS(record, part);
  }
  CHECK_CONTAINS(record, "\ninput sha256 " + read_image(input).sha256 + "\n");
  const auto text = read_image(folder / "out.png").metadata.text;
  REQUIRE(text.size() == 1);
  CHECK(text[0].first == "hourglass");
  CHECK(text[0].second == record);

  // The command line in it gives the same bytes.
  Names again{"restore", input, "-o", folder / "again.png"};
  std::istringstream words(record.substr(0, record.find('\n')));
  std::string word;
  for (int i = 0; words >> word; ++i) {
    if (i > 2) again.push_back(word);
  }
  check_ok(run(again));
  CHECK(same_image("again", "out"));
}

TEST_CASE("a lesson that was ended goes on to the same bytes") {
  const TemporaryFolder folder;
  const std::string input = folder / "in.jpg", output = folder / "out.png", checkpoint = output + ".ckpt";
  write_file_atomically(input, encode_jpeg(make_picture(96, 80, 3), {.quality = 10}), false);
  const Names settings{"--method", "learn", "--lessons", "60", "--threads", "1", "--seed", "3"};
  Names whole{"restore", input, "-o", folder / "whole.png", "--history", folder / "whole.csv"};
  Names begun{"restore", input, "-o", output, "--history", folder / "out.csv"};
  whole.insert(whole.end(), settings.begin(), settings.end());
  begun.insert(begun.end(), settings.begin(), settings.end());
  check_ok(run(whole));
  CHECK(folder.names() == Names{"in.jpg", "whole.csv", "whole.png"});

  // Ended somewhere in the lesson.
  const auto reached_by = [](const std::string& path) {
    return std::filesystem::exists(path) ? Archive::decode(read_file(path)).integer("fit/iteration") : 0;
  };
  begun.insert(begun.end(), {"--checkpoint", checkpoint, "--checkpoint-every", "0"});
  const Run ended = run_and_signal_when(begun, SIGINT, [&] { return reached_by(checkpoint) >= 5; });
  CAPTURE(ended.err);
  REQUIRE(ended.exit_code == 130);
  REQUIRE(std::filesystem::exists(checkpoint));
  const int64_t reached = reached_by(checkpoint);
  CHECK(reached > 0);
  CHECK(reached < 60);
  CHECK_CONTAINS(ended.err, "to go on: hourglass restore " + input + " -o " + output + " --resume " + checkpoint);
  CHECK(read_image(output).image.pixels != read_image(folder / "whole.png").image.pixels);

  // Of another input, or with other settings, it is refused, and nothing is touched.
  const std::string other = folder / "other.jpg";
  write_file_atomically(other, encode_jpeg(make_picture(96, 80, 1), {.quality = 10}), false);
  const Names before = folder.names();
  check_fails(run({"restore", other, "-o", folder / "new.png", "--resume", checkpoint}), 1,
              "out.png.ckpt: was begun with another input than " + other);
  check_fails(run({"restore", input, "-o", output, "--resume", checkpoint, "--fast"}), 1, "--fast");
  check_fails(run({"restore", input, "-o", output, "--resume", checkpoint, "--seed", "4"}), 1, "--seed");
  CHECK(folder.names() == before);

  // The settings are the checkpoint's; neither --force nor --method is needed.
  const Run resumed =
      run({"restore", input, "-o", output, "--history", folder / "out.csv", "--resume", checkpoint, "--json"});
  check_ok(resumed);
  CHECK(nlohmann::json::parse(last_line(resumed.out)).at("iterations") == 60);
  // Every iteration once, with the same errors; the seconds are this run's.
  const Names straight = without_seconds(folder / "whole.csv");
  CHECK(std::count(straight.begin(), straight.end(), "iteration,error") == 1);
  REQUIRE(!straight.empty());
  CHECK(straight.back().starts_with("60,"));
  CHECK(without_seconds(folder / "out.csv") == straight);
  CHECK(read_image(output).image.pixels == read_image(folder / "whole.png").image.pixels);
  CHECK(!std::filesystem::exists(checkpoint));

  // What an abandoned run has put away goes with --force, which takes its place.
  write_file_atomically(checkpoint, std::vector<uint8_t>{1, 2, 3}, false);
  check_fails(run({"restore", input, "-o", output, "--lessons", "2", "--force", "--resume", checkpoint}), 1,
              checkpoint);
  check_ok(run({"restore", input, "-o", output, "--lessons", "2", "--force"}));
  CHECK(!std::filesystem::exists(checkpoint));
}

}  // namespace hourglass::test
