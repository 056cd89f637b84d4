#include "engine/image/file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "engine/image/jpeg.h"
#include "engine/image/read_image.h"
#include "tests/engine/image/fixtures.h"
#include "tests/temporary_folder.h"

namespace hourglass::test {
namespace {

namespace fs = std::filesystem;

const Bytes kOld = {1, 2, 3}, kNew = {4, 5};

}  // namespace

TEST_CASE("write and read back") {
  const TemporaryFolder folder;
  Bytes bytes(3'000'001);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 7 >> 3);
  write_file_atomically(folder / "a", bytes, false);
  CHECK(read_file(folder / "a") == bytes);
  CHECK(folder.names() == std::vector<std::string>{"a"});
  struct stat status {};
  REQUIRE(::stat((folder / "a").c_str(), &status) == 0);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  CHECK((status.st_mode & 0777) == (0666 & ~mask));
}

TEST_CASE("an existing file is replaced only on demand") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", kOld, false);
  CHECK_CONTAINS(error_of([&] { write_file_atomically(folder / "a", kNew, false); }), "exists already");
  CHECK_CONTAINS(error_of([&] { check_writable(folder / "a", false); }), "exists already");
  CHECK(read_file(folder / "a") == kOld);
  check_writable(folder / "a", true);
  CHECK(folder.names().size() == 1);
  write_file_atomically(folder / "a", kNew, true);
  CHECK(read_file(folder / "a") == kNew);
  CHECK(folder.names().size() == 1);
}

TEST_CASE("a symbolic link's target is replaced, the link stays") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "target", kOld, false);
  fs::create_symlink("target", folder / "link");
  CHECK_THROWS_AS(write_file_atomically(folder / "link", kNew, false), Error);
  write_file_atomically(folder / "link", kNew, true);
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_file(folder / "target") == kNew);
}

TEST_CASE("a dangling link is refused before there is anything to write") {
  const TemporaryFolder folder;
  fs::create_symlink("none", folder / "link");
  for (const bool overwrite : {false, true}) {
    CHECK_CONTAINS(error_of([&] { check_writable(folder / "link", overwrite); }), "link to none, which does not exist");
    CHECK_THROWS_AS(write_file_atomically(folder / "link", kNew, overwrite), Error);
  }
  CHECK(folder.names() == std::vector<std::string>{"link"});
}

TEST_CASE("a file that is replaced keeps its mode") {
  const TemporaryFolder folder;
  for (const auto& mode : {0640, 0600, 0664, 0444, 0755}) {
    write_file_atomically(folder / "a", kOld, true);
    REQUIRE(::chmod((folder / "a").c_str(), static_cast<mode_t>(mode)) == 0);
    write_file_atomically(folder / "a", kNew, true);
    struct stat status {};
    REQUIRE(::stat((folder / "a").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == static_cast<mode_t>(mode));
    fs::remove(folder / "a");
  }
}

TEST_CASE("names of streams") {
  CHECK(output_name("/dev/stdout") == "-");
  CHECK(output_name("/dev/fd/1") == "-");
  CHECK(output_name("/proc/self/fd/1") == "-");
  for (const char* other : {"-", "/dev/fd/2", "/dev/fd/1x", "/dev/fd/", "stdout", "/dev/null", "", "fd/1"})
    CHECK(output_name(other) == other);
  for (const char* stream : {"-", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd/7"}) CHECK(is_stream(stream));
  for (const char* file : {"a", "/dev/null", "/dev/fd", ""}) CHECK_FALSE(is_stream(file));
  const TemporaryFolder folder;
  fs::create_symlink("/dev/stdout", folder / "link");
  CHECK(output_name(folder / "link") == "-");
  // Any descriptor that is open.
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const std::string name = "/dev/fd/" + std::to_string(ends[1]);
  check_writable(name, false);
  write_file_atomically(name, kNew, false);
  Bytes read(kNew.size());
  CHECK(::read(ends[0], read.data(), read.size()) == static_cast<ssize_t>(kNew.size()));
  CHECK(read == kNew);
  CHECK_CONTAINS(error_of([&] { check_writable("/dev/fd/" + std::to_string(ends[0]), false); }), "open for writing");
  ::close(ends[0]), ::close(ends[1]);
  CHECK_CONTAINS(error_of([&] { check_writable(name, false); }), "is not open");
}

TEST_CASE("outputs that cannot be") {
  const TemporaryFolder folder;
  CHECK_CONTAINS(error_of([&] { write_file_atomically(folder / "no/a", kNew, true); }), "/no does not exist");
  CHECK_CONTAINS(error_of([&] { check_writable(folder / "no/a", true); }), "/no does not exist");
  CHECK_CONTAINS(error_of([&] { write_file_atomically(folder.string(), kNew, true); }), "is a folder");
  write_file_atomically(folder / "plain", kOld, false);
  CHECK_CONTAINS(error_of([&] { write_file_atomically(folder / "plain/a", kNew, true); }), "plain is not a folder");
  CHECK_THROWS_AS(write_file_atomically("", kNew, true), Error);
  CHECK(folder.names() == std::vector<std::string>{"plain"});
}

TEST_CASE("a full disk is an error") {
  if (!fs::exists("/dev/full")) return;
  CHECK_CONTAINS(error_of([&] { write_file_atomically("/dev/full", kNew, false); }), "No space left");
}

// A limit on file sizes stands in for the disk that fills up under the temporary file.
TEST_CASE("nothing is left behind when writing fails half way") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", kOld, false);
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit small{.rlim_cur = 4096, .rlim_max = limit.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string replacing, creating;
  try {
    write_file_atomically(folder / "a", Bytes(100'000), true);
  } catch (const Error& error) {
    replacing = error.what();
  }
  try {
    write_file_atomically(folder / "b", Bytes(100'000), false);
  } catch (const Error& error) {
    creating = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  CHECK_CONTAINS(replacing, "cannot write: File too large");
  CHECK_CONTAINS(creating, "cannot write: File too large");
  CHECK(folder.names() == std::vector<std::string>{"a"});
  CHECK(read_file(folder / "a") == kOld);
}

TEST_CASE("nothing is left behind when the program is killed half way") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", kOld, false);
  // Beyond the limit the write kills the process, as SIGXFSZ does where nobody ignores it.
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_DFL);
    const rlimit limit{1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    write_file_atomically(folder / "a", Bytes(4 << 20), true);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGXFSZ);
  CHECK(folder.names() == std::vector<std::string>{"a"});
  CHECK(read_file(folder / "a") == kOld);
}

TEST_CASE("inputs that cannot be") {
  const TemporaryFolder folder;
  CHECK_CONTAINS(error_of([&] { read_file(folder / "none"); }), "no such file");
  CHECK_CONTAINS(error_of([&] { read_file(folder.string()); }), "is a folder");
  std::ofstream(folder / "empty").close();
  CHECK_CONTAINS(error_of([&] { read_file(folder / "empty"); }), "is empty");
  write_file_atomically(folder / "secret", kOld, false);
  fs::permissions(folder / "secret", fs::perms::none);
  if (::geteuid() != 0) CHECK_CONTAINS(error_of([&] { read_file(folder / "secret"); }), "cannot open");
}

TEST_CASE("the format is told by the content, not by the name") {
  const TemporaryFolder folder;
  const Image picture = make_picture(20, 10, 3);
  write_png(folder / "really_png.jpg", picture, {}, false);
  write_file_atomically(folder / "really_jpeg.png", encode_jpeg(picture, {.quality = 95}), false);
  CHECK(read_image(folder / "really_png.jpg").format == ImageFormat::png);
  CHECK(read_image(folder / "really_jpeg.png").format == ImageFormat::jpeg);
  const auto refuses = [&](const std::string& content, const std::string& message) {
    const Bytes bytes(content.begin(), content.end());
    write_file_atomically(folder / "other", bytes, true);
    const std::string text = error_of([&] { read_image(folder / "other"); });
    CHECK_CONTAINS(text, message);
    CHECK_CONTAINS(text, folder / "other");
  };
  refuses("GIF89a....", "is a GIF file, and only JPEG, PNG and JPEG XL can be read");
  refuses("RIFF\x10\x20\x30\x40WEBPVP8 ", "WebP");
  refuses("hello", "neither a JPEG nor a PNG");
  refuses("\xff", "neither a JPEG nor a PNG");
  refuses("\xff\xd8\xff\xe0 and no more", "truncated or damaged");
  refuses("\x89PNG\r\n\x1a\n and no more", "truncated or damaged");
}

}  // namespace hourglass::test
