// Runs of several files that end early: killed, interrupted, on a full disk, beside another run.
#include <doctest/doctest.h>
#include <signal.h>  // kill is POSIX
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "engine/cli/child_process.h"
#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/png.h"
#include "tests/cli/photos.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {

TEST_CASE("killed at any moment, the same command goes on, and nothing half done stands under a name") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos";
  for (uint32_t i = 0; i < 6; ++i) save_jpeg(photos + "/" + std::to_string(i) + ".jpg", 160, i);
  const auto command = [&](const std::string& results) {
    return Names{"restore", photos, "-r", "--output-dir", results, "--lessons", "8", "--threads", "1", "--jobs", "2"};
  };
  const std::string undisturbed = folder / "undisturbed", killed = folder / "killed";
  CHECK(run(command(undisturbed)).exit_code == 0);
  int rounds = 0;
  std::size_t kept = 0;
  const auto done = [&] { return content(killed).size(); };
  for (const int signal : {SIGKILL, SIGTERM, SIGINT}) {
    // What a killed run's processes still bring to an end must not be taken for the next run's work, which would get
    // its signal before it has begun.
    std::size_t begun_with = done();
    for (int quiet = 0; quiet < 10; ++quiet) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      if (done() != begun_with) quiet = 0;
      begun_with = done();
    }
    const Run result = run_and_signal_when(command(killed), signal, [&] { return done() > begun_with; });
    CAPTURE(result.err);
    kept = done();
    if (result.exit_code == 0) break;  // it was faster
    ++rounds;
    CHECK(result.exit_code == 128 + signal);
    if (signal != SIGKILL) CHECK(result.err.find("the same command goes on") != std::string::npos);
    CHECK(kept > begun_with);
    for (const auto& [name, bytes] : content(killed)) CHECK(bytes == content(undisturbed)[name]);
  }
  CHECK(rounds > 0);
  const Run last = run(command(killed));
  CAPTURE(last.err);
  CHECK(last.exit_code == 0);
  CHECK(last.err.find(std::to_string(6 - kept) + " restored") != std::string::npos);
  CHECK(content(killed) == content(undisturbed));
}

TEST_CASE("a fit that was interrupted among others goes on where it was") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos";
  for (uint32_t i = 0; i < 2; ++i) save_jpeg(photos + "/" + std::to_string(i) + ".jpg", 16, i);
  const auto command = [&](const std::string& results) {
    return Names{"restore", photos,        "-r",  "--output-dir", results, "--iterations",
                 "400",     "--precision", "f32", "--threads",    "1",     "--json"};
  };
  CHECK(run(command(folder / "undisturbed")).exit_code == 0);
  const std::string results = folder / "results";
  const Run stopped =
      run_and_signal_when(command(results), SIGTERM, [start = ::time(nullptr)] { return ::time(nullptr) > start + 1; });
  if (stopped.exit_code != 0) {
    CHECK(stopped.exit_code == 143);
    const nlohmann::json object = nlohmann::json::parse(last_line(stopped.out));
    CHECK(object["event"] == "error");
    CHECK(object["interrupted"] == true);
    CHECK(std::any_of(fs::directory_iterator(results), {},
                      [](const auto& entry) { return entry.path().string().ends_with(".restored.png.ckpt"); }));
  }
  const Run last = run(command(results));
  CAPTURE(last.err);
  CHECK(last.exit_code == 0);
  const auto whole = content(folder / "undisturbed"), resumed = content(results);
  CHECK(names(resumed) == names(whole));
  for (const auto& [name, bytes] : whole) {
    CHECK(decode_png(read_file(results + "/" + name)).image.pixels ==
          decode_png(read_file(folder / ("undisturbed/" + name))).image.pixels);
  }
}

TEST_CASE("a full disk ends the run with one error, and the same command goes on") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", results = folder / "results";
  for (int i = 0; i < 4; ++i) save_jpeg(photos + "/" + std::to_string(i) + ".jpg", 64 - 8 * i);
  fs::create_directories(results);
  fs::create_symlink("/dev/full", results + "/1.restored.png");
  const auto command = [&] {
    return filter({photos, "-r", "--output-dir", results, "--jobs", "1", "--force", "--manifest", folder / "log"});
  };
  const Run full = command();
  CAPTURE(full.err);
  CHECK(full.exit_code == 1);
  const std::string reason = "No space left on device";
  CHECK(full.err.find("hourglass: " + results + "/1.restored.png: cannot write: " + reason) != std::string::npos);
  CHECK(full.err.find(reason) == full.err.rfind(reason));
  CHECK(full.err.find("4 files: 1 restored, 3 not done (") != std::string::npos);
  CHECK(full.err.find("the same command goes on") != std::string::npos);
  CHECK(!fs::exists(results + "/2.restored.png"));
  CHECK(objects_of(text_of(folder / "log")).size() == 1);
  fs::remove(results + "/1.restored.png");
  const Run on = command();
  CHECK(on.exit_code == 0);
  CHECK(on.err.find("4 files: 3 restored, 1 kept as it was (") != std::string::npos);
}

TEST_CASE("two runs of one command at once do each file once, and both end well") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", results = folder / "results";
  for (uint32_t i = 0; i < 4; ++i) save_jpeg(photos + "/" + std::to_string(i) + ".jpg", 96, i);
  const auto command = [&](const std::string& log) {
    return run({"restore", photos, "-r", "--output-dir", results, "--lessons", "8", "--threads", "1", "--jobs", "1",
                "--manifest", log});
  };
  Run other;
  std::thread second([&] { other = command(folder / "2"); });
  const Run first = command(folder / "1");
  second.join();
  CAPTURE(first.err);
  CAPTURE(other.err);
  CHECK(first.exit_code == 0);
  CHECK(other.exit_code == 0);
  CHECK(content(results).size() == 4);
  Names done;
  for (const char* log : {"1", "2"}) {
    std::set<std::string> told;
    for (const nlohmann::json& object : objects_of(text_of(folder / log))) {
      CHECK(object["status"] != "failed");
      CHECK(told.insert(object["input"]).second);
      if (object["status"] == "done") done.push_back(object["input"]);
    }
    CHECK(told.size() == 4);
  }
  std::sort(done.begin(), done.end());
  CHECK(done == Names{photos + "/0.jpg", photos + "/1.jpg", photos + "/2.jpg", photos + "/3.jpg"});
}

TEST_CASE("a full disk below the manifest ends the run with words, and what is done stays") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", results = folder / "results";
  fill(photos);
  const Run full = filter({photos, "-r", "--output-dir", results, "--jobs", "1", "--manifest", "/dev/full"});
  CAPTURE(full.err);
  CHECK(full.exit_code == 1);
  CHECK(full.err.find("--manifest /dev/full: cannot write: No space left on device") != std::string::npos);
  CHECK(full.err.find("3 files: 1 restored, 2 not done (") != std::string::npos);
  CHECK(full.err.find("the same command goes on") != std::string::npos);
  CHECK(content(results).size() == 1);
}

TEST_CASE("what a single run has left before its end is done again, and counts of threads make no difference unasked") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", input = photos + "/a.jpg", output = photos + "/a.restored.png";
  fs::create_directories(photos);
  write_file_atomically(input, encode_jpeg(make_picture(96, 96, 3), {.quality = 10}), true);  // large enough to learn
  // Killed: the filter's result is there. Interrupted: what the lesson had come to.
  for (const int signal : {SIGKILL, SIGTERM}) {
    const Run left = run_and_signal_when({"restore", input, "--threads", "1", "--lessons", "100000", "--force"}, signal,
                                         [&] { return fs::exists(output); });
    CHECK(left.exit_code == 128 + signal);
    REQUIRE(fs::exists(output));
    const Run result = run({"restore", photos, "-r", "--lessons", "8"});
    CAPTURE(result.err);
    CHECK(result.err.find("1 file: 1 restored") != std::string::npos);
    CHECK(run({"restore", photos, "-r", "--lessons", "8"}).err.find("1 kept as it was") != std::string::npos);
    fs::remove(output);
  }
  // Among others a file may have fewer threads.
  CHECK(run({"restore", photos, "-r", "--fast", "--jobs", "1"}).exit_code == 0);
  save_jpeg(photos + "/b.jpg", 16);
  CHECK(run({"restore", photos, "-r", "--fast"}).err.find("1 restored, 1 kept as it was") != std::string::npos);
  CHECK(run({"restore", photos, "-r", "--fast", "--threads", "17"}).exit_code == 3);
}

TEST_CASE("a process that others have ended is begun once more, alone, and told of when that ends so too") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos";
  save_jpeg(photos + "/a.jpg", 160, 1);
  save_jpeg(photos + "/b.jpg", 160, 2);
  // As soon as its children are there, they are killed, twice.
  int killed = 0;
  const Run result =
      run_and_signal_when({"restore", photos, "-r", "--lessons", "20", "--threads", "1", "--jobs", "2"}, SIGCONT, [&] {
        for (const std::string& child : children_of_children()) {
          if (killed < 2 && ::kill(std::stoi(child), SIGTERM) == 0) ++killed;
        }
        return killed >= 2;
      });
  CAPTURE(result.err);
  CHECK(killed == 2);
  CHECK(result.exit_code == 0);
  CHECK(result.err.find("2 files: 2 restored") != std::string::npos);
}

TEST_CASE("a process that is killed, or that throws, is told of") {
  const auto end_of = [](const std::function<cli::ExitCode()>& work, std::string& lines) {
    cli::ChildProcess child(work);
    while (child.read([&](const std::string& line) { lines += line + "\n"; })) ::usleep(1000);
    return child.wait();
  };
  std::string lines;
  CHECK(end_of([] { return ::puts("one\ntwo"), cli::ExitCode::some_failed; }, lines).exit_code == 3);
  CHECK(lines == "one\ntwo\n");
  lines.clear();
  CHECK(end_of([]() -> cli::ExitCode { throw Error("it is so"); }, lines).exit_code == 1);
  CHECK(lines == "{\"error\":\"it is so\"}\n");
  const cli::ChildProcess::End killed = end_of([] { return ::raise(SIGKILL), cli::ExitCode::ok; }, lines);
  CHECK(killed.signal == SIGKILL);
  CHECK(killed.exit_code == 137);
  CHECK(killed.peak_bytes > 0);
}

}  // namespace hourglass::test
