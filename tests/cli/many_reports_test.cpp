// What a run of several files leaves of itself: manifests, and the index of its reports.
#include <doctest/doctest.h>
#include <signal.h>  // kill is POSIX
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/cli/json.h"
#include "engine/cli/manifest.h"
#include "engine/cli/report_index.h"
#include "tests/cli/photos.h"
#include "tests/cli/run.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {

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

TEST_CASE("a manifest may lie in the folder of the results, which is made") {
  const TemporaryFolder folder;
  save_jpeg(folder / "photos/a.jpg", 16);
  const std::string results = folder / "new/results", log = results + "/run.jsonl";
  const Run result = filter({folder / "photos", "-r", "--output-dir", results, "--manifest", log});
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(objects_of(text_of(log)).size() == 1);
  check_fails(filter({folder / "photos", "-r", "--output-dir", results, "--manifest", folder / "no/run.jsonl"}), 1,
              "no/run.jsonl: cannot open: No such file");
}

TEST_CASE("what a run is refused for leaves no folder and no manifest behind") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", results = folder / "results", log = results + "/log";
  fill(photos);
  const auto refused = [&](Names more, const std::string& text) {
    Names arguments{"restore", photos, "-r", "--fast", "--output-dir", results, "--manifest", log};
    arguments.insert(arguments.end(), more.begin(), more.end());
    check_fails(run(arguments), 1, text);
    CHECK(!fs::exists(results));
  };
  refused({"--report", photos + "/b.jpg"}, "b.jpg: is a file");
  refused({"--report", folder / "pages", "--jobs", "2", "--threads", "4096", "--bind", "cores"}, "CPUs of their own");
  CHECK(!fs::exists(folder / "pages"));
  check_fails(run({"restore", photos, "-r", "--fast", "--output-dir", results, "--report", folder / "pages",
                   "--manifest", folder / "none/log"}),
              1, "none/log");
  CHECK(!fs::exists(results));
  CHECK(!fs::exists(folder / "pages"));
}

TEST_CASE("what fails again in the same words is told once in a manifest") {
  const TemporaryFolder folder;
  const std::string photos = folder / "photos", log = folder / "log";
  fill(photos);
  REQUIRE(filter({photos, "-r"}).exit_code == 0);
  const auto lines = [&] { return objects_of(text_of(log)); };
  for (int i = 0; i < 3; ++i) {
    // Made with other settings, all of them.
    const Run result = filter({photos, "-r", "--strength", "0.5", "--manifest", log, "--json"});
    CHECK(result.exit_code == 3);
    CHECK(objects_of(result.out).size() == 3);
    CHECK(lines().size() == 3);
  }
  CHECK(lines()[0]["status"] == "failed");
  // The same of results that are kept, which count more.
  for (int i = 0; i < 2; ++i) {
    CHECK(filter({photos, "-r", "--manifest", log}).exit_code == 0);
    CHECK(lines().size() == 6);
  }
  CHECK(lines()[5]["status"] == "kept");
}

TEST_CASE("a manifest knows what its last lines say of a folder that can't be read") {
  const TemporaryFolder folder;
  const auto failure = [](const char* why) {
    return cli::Json{{"status", cli::kFailed}, {"input", "photos/below"}, {"error", why}};
  };
  {
    cli::Manifest manifest(folder / "log");
    CHECK(!manifest.tells(failure("closed")));
    manifest.add_found(failure("closed"));
  }
  cli::Manifest manifest(folder / "log");
  CHECK(manifest.tells(failure("closed")));
  CHECK(!manifest.tells(failure("gone")));
  // A result in that folder says that it can be read again, also where its own line is there already.
  const cli::Json earlier{{"status", cli::kDone}, {"input", "photos/a.jpg"}, {"output", "b.png"}};
  manifest.add(earlier);
  CHECK(manifest.tells(earlier));
  CHECK(!manifest.tells(cli::Json{{"status", cli::kKept}, {"input", "photos/below/b.jpg"}, {"output", "b.png"}}));
  CHECK(manifest.tells(failure("closed")));
  manifest.add(cli::Json{{"status", cli::kDone}, {"input", "photos/below/a.jpg"}, {"output", "a.png"}});
  CHECK(!manifest.tells(failure("closed")));  // it could be read meanwhile
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
        nlohmann::json{{"event", "result"}, {"files", 4}, {"done", 4}, {"failed", 0}, {"unreadable_folders", 0}});
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

TEST_CASE("an index shows nothing of a page but its own pictures and sensible sizes") {
  const TemporaryFolder folder;
  std::ofstream(folder / "a.html")
      << R"(<script type="application/json" id="summary">{"width":1e300,"height":-1,)"
      << R"("whole":{"width":"x","height":2e9,"uri":"https://example.org/a.jpg"},)"
      << R"("before":{"width":-7,"height":"\"onload=","uri":"data:image/jpeg;base64,\">"},)"
      << R"("after":{"uri":[1]},"seconds":[],"change_rms_255":"<b>"}</script>)";
  cli::write_report_index(folder.string(), {{.name = "a.jpg", .page = "a.html", .failure = {}}});
  const std::string html = text_of(folder / "index.html");
  CAPTURE(html);
  CHECK(html.find("a.html") != std::string::npos);
  CHECK(html.find("example.org") == std::string::npos);
  CHECK(html.find("onload=") == std::string::npos);
  CHECK(html.find("<b>") == std::string::npos);
  CHECK(html.find(R"(width="0" height="0" src="data:image/jpeg;base64,&quot;&gt;")") != std::string::npos);
}

}  // namespace hourglass::test
