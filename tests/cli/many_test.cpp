// Several files in one run, end to end: which are restored, where the results go, what is kept.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>  // kill is POSIX
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/read_image.h"
#include "engine/runtime/affinity.h"
#include "tests/cli/photos.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {

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

}  // namespace hourglass::test
