// Several files in one run, end to end.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>  // kill is POSIX
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "engine/cli/child_process.h"
#include "engine/cli/report_index.h"
#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/png.h"
#include "engine/image/read_image.h"
#include "engine/runtime/affinity.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

void save_jpeg(const std::string& path, int64_t width, uint32_t seed = 1) {
  fs::create_directories(fs::path(path).parent_path());
  write_file_atomically(path, encode_jpeg(make_picture(width, 16, 3, seed), {.quality = 10}), true);
}

// Three photographs, one of them below, and a file that is none.
void fill(const std::string& photos) {
  save_jpeg(photos + "/a.jpg", 16, 1);
  save_jpeg(photos + "/b.jpg", 32, 2);
  save_jpeg(photos + "/below/c.jpeg", 48, 3);
  std::ofstream(photos + "/notes.txt") << "no photograph";
}

// The files in a folder, with the places that they have in it.
std::map<std::string, std::string> content(const std::string& folder) {
  std::map<std::string, std::string> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ostringstream bytes;
    bytes << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    files[entry.path().lexically_relative(folder).string()] = bytes.str();
  }
  return files;
}

Names names(const std::map<std::string, std::string>& files) {
  Names result;
  for (const auto& [name, bytes] : files) result.push_back(name);
  return result;
}

std::vector<nlohmann::json> objects_of(const std::string& lines) {
  std::vector<nlohmann::json> objects;
  std::istringstream stream(lines);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) objects.push_back(nlohmann::json::parse(line, nullptr, false));
  }
  return objects;
}

std::string text_of(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  return {bytes.begin(), bytes.end()};
}

// Process ids of the children that this test's children have.
Names children_of_children() {
  const auto children = [](const std::string& parent) {
    Names ids;
    std::error_code ignored;
    for (const auto& task : fs::directory_iterator("/proc/" + parent + "/task", ignored)) {
      std::ifstream file(task.path() / "children");
      for (std::string id; file >> id;) ids.push_back(id);
    }
    return ids;
  };
  Names found;
  for (const std::string& child : children("self")) {
    for (const std::string& id : children(child)) found.push_back(id);
  }
  return found;
}

Run filter(Names arguments) {
  arguments.insert(arguments.begin(), "restore");
  arguments.insert(arguments.end(), {"--fast", "--threads", "1"});
  return run(arguments);
}

}  // namespace

TEST_CASE("a folder is restored file by file, to the bytes that each gives alone") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos";
  fill(photos);
  std::map<std::string, std::string> first;
  for (const char* jobs : {"1", "3"}) {
    CAPTURE(jobs);
    const std::string results = folder / (std::string("results") + jobs);
    const Run result = filter({photos, "-r", "--output-dir", results, "--jobs", jobs});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.out.empty());
    CHECK(result.err.find("3 files: 3 restored (") != std::string::npos);
    CHECK(names(content(results)) == Names{"a.restored.png", "b.restored.png", "below/c.restored.png"});
    if (first.empty()) first = content(results);
    CHECK(content(results) == first);
  }
  const Run alone = filter({photos + "/below/c.jpeg", "-o", folder / "c.png"});
  CHECK(alone.exit_code == 0);
  CHECK(text_of(folder / "c.png") == first["below/c.restored.png"]);
}

TEST_CASE("results stand beside their inputs where no folder is named, and are no inputs afterwards") {
  const TemporaryFolder folder;
  fill(folder / "photos");
  const Names all{"a.jpg",        "a.restored.png",       "b.jpg",    "b.restored.png",
                  "below/c.jpeg", "below/c.restored.png", "notes.txt"};
  for (const char* said : {"3 files: 3 restored (", "3 files: 0 restored, 3 kept as they were ("}) {
    const Run result = filter({folder / "photos", "-r"});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.err.find(said) != std::string::npos);
    CHECK(names(content(folder / "photos")) == all);
  }
}

TEST_CASE("one bad file does not end the run") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", results = folder / "results", bad = photos + "/bad.jpg";
  fill(photos);
  std::vector<uint8_t> bytes = encode_jpeg(make_picture(64, 64, 3), {.quality = 50});
  bytes.resize(bytes.size() / 2);
  write_file_atomically(bad, bytes, true);
  const Run result = filter({photos, "-r", "--output-dir", results, "--json"});
  CAPTURE(result.err);
  CHECK(result.exit_code == 3);
  CHECK(result.err.find("hourglass: " + bad + ": the JPEG is truncated or damaged") != std::string::npos);
  CHECK(result.err.find("4 files: 3 restored, 1 failed (") != std::string::npos);
  CHECK(content(results).size() == 3);
  std::map<std::string, std::string> status;
  for (const nlohmann::json& object : objects_of(result.out)) {
    CHECK(object["event"] == (object["status"] == "failed" ? "error" : "result"));
    status[object["input"]] = object["status"];
  }
  CHECK(status == std::map<std::string, std::string>{{photos + "/a.jpg", "done"},
                                                     {photos + "/b.jpg", "done"},
                                                     {photos + "/below/c.jpeg", "done"},
                                                     {bad, "failed"}});
}

TEST_CASE("what was made of the same input with the same settings is kept, and all else is not replaced unasked") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", results = folder / "results";
  fill(photos);
  const auto again = [&](Names more) {
    Names arguments{photos, "-r", "--output-dir", results};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return filter(arguments);
  };
  CHECK(again({}).exit_code == 0);
  const auto before = content(results);
  const auto written = fs::last_write_time(results + "/a.restored.png");
  save_jpeg(photos + "/b.jpg", 32, 9);
  const Run changed = again({});
  CAPTURE(changed.err);
  CHECK(changed.exit_code == 3);
  CHECK(changed.err.find(photos + "/b.jpg: " + results +
                         "/b.restored.png is there already, and was made of another "
                         "input or with other settings: --force replaces it") != std::string::npos);
  CHECK(content(results) == before);
  const Run forced = again({"--force"});
  CHECK(forced.exit_code == 0);
  CHECK(forced.err.find("3 files: 1 restored, 2 kept as they were (") != std::string::npos);
  CHECK(fs::last_write_time(results + "/a.restored.png") == written);
  CHECK(content(results)["b.restored.png"] != before.at("b.restored.png"));
  // Other settings are another result.
  CHECK(again({"--bit-depth", "16"}).exit_code == 3);
  CHECK(again({"--bit-depth", "16", "--force"}).exit_code == 0);
  CHECK(again({}).exit_code == 3);
  CHECK(again({"--bit-depth", "16"}).err.find("3 kept as they were") != std::string::npos);
  // --fast is short for this; another way to say the same is the same.
  const Run spelled_out = run(
      {"restore", "-r", photos, "--output-dir", results, "--method", "filter", "--bit-depth", "16", "--threads", "1"});
  CHECK(spelled_out.err.find("3 kept as they were") != std::string::npos);
  // What tells and counts is no setting.
  CHECK(again({"--bit-depth", "16", "--jobs", "2", "--manifest", folder / "log", "--json", "-q"}).exit_code == 0);
}

TEST_CASE("the manifest gets a line for each file as it ends, also behind half a line") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", log = folder / "run.jsonl";
  fill(photos);
  std::ofstream(log) << R"({"status":"do)";
  CHECK(filter({photos, "-r", "--manifest", log}).exit_code == 0);
  const std::vector<nlohmann::json> objects = objects_of(text_of(log));
  REQUIRE(objects.size() == 4);
  CHECK(objects[0].is_discarded());
  Names inputs;
  for (std::size_t i = 1; i < objects.size(); ++i) {
    const nlohmann::json& object = objects[i];
    inputs.push_back(object["input"]);
    CHECK(object["status"] == "done");
    CHECK(object["input_sha256"].get<std::string>().size() == 64);
    CHECK(object["cells_rounded"] == 1.0);
    CHECK(object["psnr_to_input"].get<double>() > 20);
    CHECK(object["seconds"].get<double>() >= 0);
  }
  std::sort(inputs.begin(), inputs.end());
  CHECK(inputs == Names{photos + "/a.jpg", photos + "/b.jpg", photos + "/below/c.jpeg"});
}

TEST_CASE("a list keeps the folders of its names, and shards share the files out") {
  const TemporaryFolder folder;
  fill(folder / "photos");
  const std::string a = folder / "photos/a.jpg", b = folder / "photos/b.jpg", c = folder / "photos/below/c.jpeg";
  std::ofstream(folder / "lines") << a << "\n\n" << b << '\n' << c << '\n' << a;
  std::ofstream(folder / "zeros") << a << '\0' << b << '\0' << c << '\0';
  for (const Names& list : {Names{folder / "lines"}, Names{folder / "zeros", "-0"}}) {
    std::set<std::string> seen;
    for (const char* shard : {"1/2", "2/2"}) {
      const std::string results = folder / (fs::path(list[0]).filename().string() + shard[0]);
      Names arguments{"--output-dir", results, "--shard", shard, "--files-from"};
      arguments.insert(arguments.end(), list.begin(), list.end());
      const Run result = filter(arguments);
      CAPTURE(result.err);
      CHECK(result.exit_code == 0);
      // 48 pixels wide on one side, 16 and 32 on the other.
      CHECK(content(results).size() == (shard[0] == '1' ? 1 : 2));
      for (const auto& [name, bytes] : content(results)) CHECK(seen.insert(name).second);
    }
    CHECK(seen == std::set<std::string>{"a.restored.png", "b.restored.png", "c.restored.png"});
  }
  // Relative names keep their place.
  const fs::path here = fs::current_path();
  fs::current_path(folder / "photos");
  std::ofstream("list") << "below/c.jpeg\n../photos/a.jpg\n";
  const Run relative = filter({"--files-from", "list", "--output-dir", folder / "relative"});
  fs::current_path(here);
  CHECK(relative.exit_code == 0);
  CHECK(names(content(folder / "relative")) == Names{"a.restored.png", "below/c.restored.png"});
}

TEST_CASE("what can't be done for several files is refused before anything starts") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", a = photos + "/a.jpg", b = photos + "/b.jpg";
  fill(photos);
  const auto before = content(photos);
  check_fails(filter({}), 2, "INPUT is required");
  check_fails(filter({photos}), 1, photos + ": is a folder: -r takes the images in it and below");
  check_fails(filter({a, "-"}), 1, "standard input is one file");
  check_fails(filter({a, photos + "/none.jpg"}), 1, photos + "/none.jpg: does not exist");
  check_fails(filter({a, photos + "/notes.txt"}), 1, photos + "/notes.txt: is neither a JPEG nor a PNG file");
  check_fails(filter({a, b, "-o", folder / "x.png"}), 1, "-o names one file");
  check_fails(filter({a, b, "--reference", a}), 1, "--reference: is about one file");
  check_fails(filter({a, b, "--shard", "3/2"}), 1, "--shard 3/2: is none");
  check_fails(filter({a, "--jobs", "2"}), 1, "--jobs: belongs to several inputs");
  check_fails(filter({a, "-0"}), 1, "-0: belongs to --files-from");
  check_fails(filter({"--files-from", folder / "none"}), 1, (folder / "none") + ": no such file");
  fs::create_directories(folder / "empty");
  check_fails(filter({folder / "empty", "-r"}), 1, "there is no JPEG to work on");
  save_jpeg(photos + "/other/a.jpg", 16);
  check_fails(filter({a, photos + "/other/a.jpg", "--output-dir", folder / "results"}), 1, "would both be written to");
  fs::remove_all(photos + "/other");
  fs::copy_file(a, photos + "/a.restored.png");
  check_fails(filter({a, photos + "/a.restored.png"}), 1, "would be replaced by what is made of");
  fs::remove(photos + "/a.restored.png");
  CHECK(content(photos) == before);
  CHECK(!fs::exists(folder / "results"));
}

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

TEST_CASE("several files have a folder of reports and an index, which is made anew from what is there") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", reports = folder / "reports";
  fill(photos);
  std::ofstream(photos + "/cut.jpg", std::ios::binary) << text_of(photos + "/b.jpg").substr(0, 300);
  const auto command = [&] { return filter({photos, "-r", "--output-dir", folder / "results", "--report", reports}); };
  CHECK(command().exit_code == 3);
  CHECK(names(content(reports)) == Names{"a.html", "b.html", "below/c.html", "index.html"});
  std::string index = content(reports)["index.html"];
  for (const char* part : {"href=\"a.html\"", "href=\"below/c.html\"", "of which 1 failed", "cut.jpg: the JPEG is"}) {
    CAPTURE(part);
    CHECK(index.find(part) != std::string::npos);
  }
  // A run without a report comes to one by doing the files again.
  fs::remove(reports + "/a.html");
  const Run once_more = command();
  CHECK(once_more.err.find("1 restored, 2 kept") != std::string::npos);
  CHECK(fs::exists(reports + "/a.html"));
  // What is kept has its page and its row.
  fs::remove(photos + "/cut.jpg");
  fs::remove(folder / "results/b.restored.png");
  CHECK(command().exit_code == 0);
  index = content(reports)["index.html"];
  CHECK(index.find("href=\"a.html\"") != std::string::npos);
  CHECK(index.find("failed") == std::string::npos);
  std::ofstream(reports + "/a.html") << "someone else's";
  check_fails(command(), 1, reports + "/a.html: exists already");
  check_fails(filter({photos, "-r", "--report", photos + "/a.jpg"}), 1, "of several inputs it is a folder");
  save_jpeg(photos + "/index.jpg", 16);
  check_fails(filter({photos, "-r", "--report", folder / "more"}), 1, "the index and " + photos + "/index.jpg");
}

TEST_CASE("results may be JPEGs, which are kept and passed over like PNGs") {
  const TemporaryFolder folder;
  fill(folder / "photos");
  for (const char* said : {"3 files: 3 restored (", "3 files: 0 restored, 3 kept as they were ("}) {
    const Run result = filter({folder / "photos", "-r", "--format", "jpg", "--quality", "90"});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.err.find(said) != std::string::npos);
  }
  CHECK(fs::exists(folder / "photos/below/c.restored.jpg"));
  CHECK(filter({folder / "photos", "-r", "--format", "jpg", "--quality", "91"}).exit_code == 3);
  check_fails(filter({folder / "photos", "-r", "--quality", "90"}), 1, "--quality: belongs to --format jpg");
  CHECK(filter({folder / "photos", "-r"}).err.find("3 files: 3 restored (") != std::string::npos);
}

TEST_CASE("a folder below that can't be read is named, and the rest is done") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", results = folder / "results";
  fill(photos);
  // Whoever the tests run as: so deep that its path is too long for the system.
  const int top = ::open(photos.c_str(), O_RDONLY | O_DIRECTORY);
  const std::string name(250, 'd');
  int at = top;
  for (int depth = 0; depth < 20; ++depth) {
    REQUIRE(::mkdirat(at, name.c_str(), 0777) == 0);
    const int next = ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY);
    ::close(at);
    at = next;
  }
  ::close(at);
  const Run result = filter({photos, "-r", "--output-dir", results, "--manifest", folder / "log"});
  CAPTURE(result.err);
  CHECK(result.exit_code == 3);
  CHECK(result.err.find(name + ": cannot read the folder: File name too long") != std::string::npos);
  CHECK(result.err.find("3 files: 3 restored, 1 folder unreadable (") != std::string::npos);
  CHECK(content(results).size() == 3);
  const std::vector<nlohmann::json> objects = objects_of(text_of(folder / "log"));
  REQUIRE(objects.size() == 4);
  CHECK(objects[0]["status"] == "failed");
  CHECK(objects[0]["error"].get<std::string>().find("cannot read the folder") != std::string::npos);
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

TEST_CASE("the manifests of all shards are put together, and so is the index of their pages") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", results = folder / "results", pages = folder / "pages";
  fill(photos);
  std::ofstream(photos + "/cut.jpg", std::ios::binary) << text_of(photos + "/b.jpg").substr(0, 300);
  for (const char* shard : {"1/2", "2/2"}) {
    filter({photos, "-r", "--output-dir", results, "--shard", shard, "--manifest",
            folder / (std::string("log") + shard[0]), "--report", pages});
  }
  CHECK(!fs::exists(pages + "/index.html"));
  const Run report = run({"report", folder / "log1", folder / "log2", "-o", folder / "all", "--index", pages});
  CAPTURE(report.err);
  CHECK(report.exit_code == 3);
  CHECK(report.out == "4 files: 3 done, 1 failed\n");
  CHECK(report.err.find("failed: " + photos + "/cut.jpg: ") != std::string::npos);
  CHECK(objects_of(text_of(folder / "all")).size() == 4);
  const std::string index = text_of(pages + "/index.html");
  for (const char* part : {"href=\"a.html\"", "href=\"b.html\"", "href=\"below/c.html\"", "of which 1 failed"}) {
    CAPTURE(part);
    CHECK(index.find(part) != std::string::npos);
  }
  check_fails(run({"report", folder / "log1", "-o", folder / "all"}), 1, "all: exists already");
  check_fails(run({"report", photos + "/notes.txt"}), 1, "is no manifest");
  check_fails(run({"report", folder / "log1", "--index", photos + "/a.jpg"}), 1, "is no folder of --report");

  // Done again with success, and told of what is there although the line was lost.
  fs::remove(photos + "/cut.jpg");
  save_jpeg(photos + "/cut.jpg", 24, 4);
  fs::remove(folder / "log1");
  CHECK(filter({photos, "-r", "--output-dir", results, "--manifest", folder / "log1", "--report", pages}).exit_code ==
        0);
  std::map<std::string, int> count;
  for (const nlohmann::json& object : objects_of(text_of(folder / "log1"))) ++count[object["status"]];
  CHECK(count == std::map<std::string, int>{{"done", 1}, {"kept", 3}});
  CHECK(filter({photos, "-r", "--output-dir", results, "--manifest", folder / "log1", "--report", pages}).exit_code ==
        0);
  CHECK(objects_of(text_of(folder / "log1")).size() == 4);
  const Run again = run({"report", folder / "log2", folder / "log1", "--json"});
  CHECK(again.exit_code == 0);
  CHECK(nlohmann::json::parse(again.out) ==
        nlohmann::json{{"files", 4}, {"done", 4}, {"failed", 0}, {"unreadable_folders", 0}});
  std::ofstream(folder / "log2", std::ios::app) << R"({"status":"do)";
  CHECK(run({"report", folder / "log2"}).err.find("1 line left out") != std::string::npos);
}

TEST_CASE("manifests of several commands are told apart, and a folder that was read in the end is none that failed") {
  const TemporaryFolder folder;
  const auto write = [&](const char* name, const std::string& lines) { std::ofstream(folder / name) << lines; };
  const auto counts = [&](const Names& manifests) {
    Names arguments{"report"};
    for (const std::string& name : manifests) arguments.push_back(folder / name);
    return run(arguments);
  };
  write("restored", R"({"status":"done","input":"p/a.jpg","output":"r/a.png"})"
                    "\n"
                    R"({"status":"failed","input":"p/b.jpg","output":"r/b.png","error":"bad"})"
                    "\n");
  write("enlarged", R"({"status":"failed","input":"p/a.jpg","output":"u/a.png","error":"bad"})"
                    "\n"
                    R"({"status":"done","input":"p/b.jpg","output":"r/b.png"})"
                    "\n");
  CHECK(counts({"restored", "enlarged"}).out == "3 files: 2 done, 1 failed\n");
  const std::string unreadable = R"({"status":"failed","input":"p/below","error":"p/below: cannot read"})"
                                 "\n";
  write("unreadable", unreadable + R"({"status":"done","input":"p/belowish/c.jpg","output":"r/c.png"})"
                                   "\n");
  const Run before = counts({"unreadable"});
  CHECK(before.exit_code == 3);
  CHECK(before.out == "1 file: 1 done, 0 failed, 1 folder unreadable\n");
  write("readable", R"({"status":"done","input":"p/below/x/d.jpg","output":"r/d.png"})"
                    "\n");
  const Run after = counts({"unreadable", "readable"});
  CHECK(after.exit_code == 0);
  CHECK(after.out == "2 files: 2 done, 0 failed\n");
  CHECK(counts({"readable", "unreadable"}).exit_code == 3);
}

TEST_CASE("an index takes no other file's place unasked, and nothing is written where it can't be") {
  const TemporaryFolder folder;
  const std::string manifest = folder / "log", pages = folder / "pages", index = pages + "/index.html";
  std::ofstream(manifest) << R"({"status":"done","input":"a.jpg","output":"a.png"})"
                          << "\n";
  fs::create_directories(pages);
  std::ofstream(index) << "mine";
  check_fails(run({"report", manifest, "-o", folder / "all", "--index", pages}), 1, "index.html: exists already");
  CHECK(text_of(index) == "mine");
  CHECK(!fs::exists(folder / "all"));
  CHECK(run({"report", manifest, "-o", folder / "all", "--index", pages, "--force"}).exit_code == 0);
  CHECK(text_of(index) != "mine");
  CHECK(run({"report", manifest, "--index", pages}).exit_code == 0);  // in the place of an earlier one
  check_fails(run({"report", manifest, "-o", folder / "more", "--index", folder / "none"}), 1, "is no folder");
  CHECK(!fs::exists(folder / "more"));
  check_fails(run({"report", manifest, "--force"}), 1, "--force: belongs to -o or --index");
}

TEST_CASE("with reports, only pages are replaced unasked") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", results = folder / "results", pages = folder / "pages";
  save_jpeg(photos + "/a.jpg", 200, 1);
  save_jpeg(photos + "/b.jpg", 160, 2);
  const Names command{"restore", photos,      "-r", "--output-dir", results, "--report", pages, "--lessons",
                      "20",      "--threads", "1",  "--jobs",       "1"};
  // Somebody puts a file in a result's place while another one is made.
  const std::string second = results + "/b.restored.png";
  const Run result = run_and_signal_when(command, SIGCONT, [&] {
    if (!fs::exists(results)) return false;
    std::ofstream(second) << "mine";
    return true;
  });
  CAPTURE(result.err);
  CHECK(result.exit_code == 3);
  CHECK(text_of(second) == "mine");
  CHECK(result.err.find("b.restored.png: exists already") != std::string::npos);
  fs::remove(second);
  fs::remove(results + "/a.restored.png");
  CHECK(run(command).exit_code == 0);  // in the place of an earlier page
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

TEST_CASE("a format that can't be written is refused, not passed over") {
  const TemporaryFolder folder;
  const std::string photo = folder / "a.jpg";
  save_jpeg(photo, 16);
  check_fails(run({"restore", "-", "--fast", "--format", "jxl"}, photo), 1, "--format jxl: what is made of standard");
  check_fails(filter({photo, "-o", folder / "x.jpg", "--format", "png"}), 1, "--format png: -o says it");
  check_fails(filter({photo, "-0"}), 1, "-0: belongs to --files-from");
  // Four times its side is more than a JPEG XL's.
  write_png(folder / "long.png", make_picture(65537, 8, 1), {}, true);
  check_fails(run({"upscale", folder / "long.png", "-o", folder / "x.jxl", "--factor", "4", "--iterations", "1"}), 1,
              "a JPEG XL of 262148x32 cannot be written");
}

TEST_CASE("an index of thousands has smaller pictures, so that its size is bounded") {
  const TemporaryFolder folder;
  const std::string pages = folder / "pages";
  save_jpeg(folder / "photos/a.jpg", 200);
  REQUIRE(filter({folder / "photos", "-r", "--report", pages}).exit_code == 0);
  const auto index_of = [&](std::size_t files) {
    const cli::ReportedFile file{.name = "a.jpg", .page = "a.html", .failure = {}};
    cli::write_report_index(pages, std::vector<cli::ReportedFile>(files, file));
    return text_of(pages + "/index.html");
  };
  const auto pictures = [](const std::string& html) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = html.find("<img ", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  const std::string few = index_of(2), many = index_of(1001), thousands = index_of(3001);
  CHECK(pictures(few) == 6);
  CHECK(pictures(many) == 1001);
  CHECK(pictures(thousands) == 3001);
  CHECK(many.size() / 1001 < few.size() / 2);
  CHECK(thousands.size() / 3001 < 2500);  // bytes for each
  CHECK(many.find("the results alone") != std::string::npos);
  CHECK(few.find("the results alone") == std::string::npos);
}

TEST_CASE("results may be JPEG XLs, lossless and with the record, and earlier ones are no inputs") {
  const TemporaryFolder folder;
  fill(folder / "photos");
  for (const char* said : {"3 files: 3 restored (", "3 files: 0 restored, 3 kept as they were ("}) {
    const Run result = filter({folder / "photos", "-r", "--format", "jxl"});
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(result.err.find(said) != std::string::npos);
  }
  const std::string jxl = folder / "photos/below/c.restored.jxl", png = folder / "photos/below/c.restored.png";
  REQUIRE(fs::exists(jxl));
  CHECK(filter({folder / "photos", "-r", "--format", "jxl", "--bit-depth", "16"}).exit_code == 3);
  check_fails(filter({folder / "photos", "-r", "--format", "jxl", "--quality", "90"}), 1, "--quality: belongs to");
  CHECK(filter({folder / "photos", "-r"}).err.find("3 files: 3 restored (") != std::string::npos);
  CHECK(read_image(jxl).image.pixels == read_image(png).image.pixels);
  CHECK(filter({folder / "photos/a.jpg", folder / "photos/a.restored.jxl", "--format", "jxl"})
            .err.find("1 kept as it was") != std::string::npos);
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

TEST_CASE("earlier results that a pattern names too are no inputs, and odd names end nothing") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", a = photos + "/a.jpg", results = folder / "results";
  save_jpeg(a, 16);
  CHECK(filter({a, "--format", "jpg"}).exit_code == 0);
  const std::string result = photos + "/a.restored.jpg";
  REQUIRE(fs::exists(result));
  const Run again = filter({a, result, "--format", "jpg"});
  CAPTURE(again.err);
  CHECK(again.err.find("1 kept as it was") != std::string::npos);
  check_fails(filter({a, "-o", folder / "x.png", "--format", "jpg"}), 1, "--format jpg: -o says it by its ending");
  // A name that leaves no room for the result's, and one that would colour a terminal.
  save_jpeg(photos + "/" + std::string(249, 'n') + ".jpg", 16);
  std::ofstream(photos + "/\x1b[31m.jpg", std::ios::binary) << text_of(a).substr(0, 300);
  const Run odd = filter({photos, "-r", "--output-dir", results});
  CHECK(odd.exit_code == 3);
  CHECK(odd.err.find("3 files: 1 restored, 2 failed") != std::string::npos);
  CHECK(odd.err.find("File name too long") != std::string::npos);
  CHECK(odd.err.find('\x1b') == std::string::npos);
  // Pipes give no image twice.
  REQUIRE(::mkfifo((folder / "pipe.jpg").c_str(), 0600) == 0);
  check_fails(filter({a, folder / "pipe.jpg"}), 1, "is no regular file");
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

TEST_CASE("files at once that are bound to CPUs have some of their own each") {
  const CpuSet usable = affinity_cpus();
  if (usable.size() < 2) {
    MESSAGE("two files at once can't have a CPU each here");
    return;
  }
  const TemporaryFolder folder;
  const std::string photos = folder / "photos";
  for (uint32_t i = 0; i < 4; ++i) save_jpeg(photos + "/" + std::to_string(i) + ".jpg", 16, i);
  const Names command{"restore", photos,   "-r",    "--method",  "fit", "--iterations",
                      "200",     "--bind", "cores", "--threads", "1"};
  // Empty for one that has ended and is still listed.
  const auto allowed = [](const std::string& process) {
    std::ifstream status("/proc/" + process + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("State:") && line.find_first_of("ZX") != std::string::npos) return std::string();
      if (line.starts_with("Cpus_allowed_list:")) return line.substr(line.find_last_of("\t ") + 1);
    }
    return std::string();
  };
  std::map<std::string, std::string> cpus;  // of each process, once it is bound to one alone
  std::set<std::string> together;           // of two at the same time
  bool shared = false;
  Names two = command;
  two.insert(two.end(), {"--jobs", "2"});
  const Run result = run_and_signal_when(two, SIGCONT, [&] {
    std::set<std::string> now;
    std::map<std::string, std::string> holders;  // of each CPU, a process; the list of children may name one twice
    for (const std::string& child : children_of_children()) {
      const std::string list = allowed(child);
      if (list.empty() || list.find_first_not_of("0123456789") != std::string::npos) continue;
      cpus[child] = list;
      now.insert(list);
      const std::string holder = holders.emplace(list, child).first->second;
      // Looked at again: the one may have ended before the other began.
      if (holder != child && allowed(holder) == list && allowed(child) == list) {
        shared = true;
        MESSAGE("CPU ", list, " has ", holder, " and ", child);
      }
    }
    if (now.size() > together.size()) together = now;
    return together.size() == 2 && cpus.size() > 2;  // and the third has taken the place of one that has ended
  });
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(cpus.size() > 2);
  CHECK(together.size() == 2);
  CHECK_FALSE(shared);
  Names many = command;
  many.insert(many.end(), {"--output-dir", folder / "more", "--jobs", std::to_string(usable.size() + 1)});
  for (uint32_t i = 4; i < usable.size() + 1; ++i) save_jpeg(photos + "/" + std::to_string(i) + ".jpg", 16, i);
  check_fails(run(many), 1, "CPUs of their own, and there are " + std::to_string(usable.size()));
}

TEST_CASE("the time of the input is kept where that is asked for") {
  const TemporaryFolder folder;
  const std::string input = folder / "a.jpg", output = folder / "a.restored.png";
  save_jpeg(input, 16);
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(1000);
  fs::last_write_time(input, old);
  CHECK(filter({input, "--keep-times"}).exit_code == 0);
  CHECK(fs::last_write_time(output) == fs::last_write_time(input));
  CHECK(filter({input, "--force"}).exit_code == 0);
  CHECK(fs::last_write_time(output) > fs::last_write_time(input));
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
