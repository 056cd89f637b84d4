#include "engine/image/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>

#include "graph/error.h"

namespace hourglass {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadChunk = std::size_t{1} << 20;

std::string reason(int code) { return std::system_category().message(code); }

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ > STDERR_FILENO) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  // Where file systems report late errors. 0 or errno.
  int close() {
    const int result = ::close(fd_);
    fd_ = -1;
    return result == 0 ? 0 : errno;
  }

 private:
  int fd_;
};

// Removes the file at the end of the scope unless it was kept, or has no name.
class TemporaryFile {
 public:
  explicit TemporaryFile(fs::path path) : path_(std::move(path)) {}
  ~TemporaryFile() {
    if (!kept_ && !path_.empty()) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }
  void set_path(fs::path path) { path_ = std::move(path); }
  void keep() { kept_ = true; }

 private:
  fs::path path_;
  bool kept_ = false;
};

[[noreturn]] void fail_exists(const std::string& path) { fail("{}: exists already; --force replaces it", path); }

// The descriptor that a path stands for: "/dev/stdout", "/dev/fd/3", "/proc/self/fd/3", or a symbolic link to such.
// What is behind it may have no path, as a pipe.
std::optional<int> descriptor_of(fs::path path) {
  constexpr int kLinks = 8;
  for (int i = 0; i < kLinks; ++i) {
    const std::string name = path.lexically_normal().string();
    if (name == "/dev/stdin") return STDIN_FILENO;
    if (name == "/dev/stdout") return STDOUT_FILENO;
    if (name == "/dev/stderr") return STDERR_FILENO;
    for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
      if (!name.starts_with(folder)) continue;
      int fd = 0;
      const char* end = name.data() + name.size();
      const auto [rest, error] = std::from_chars(name.data() + folder.size(), end, fd);
      if (error == std::errc() && rest == end && fd >= 0) return fd;
    }
    std::error_code error;
    const fs::path next = fs::read_symlink(path, error);
    if (error) return {};
    path = path.parent_path() / next;
  }
  return {};
}

struct Target {
  fs::path path;  // symbolic links followed
  bool exists = false;
  bool special = false;            // a device, a pipe or a stream
  std::optional<int> stream = {};  // its descriptor
};

void check_open(const std::string& path, int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) fail("{}: is not open", path);
  if ((flags & O_ACCMODE) == O_RDONLY) fail("{}: is not open for writing", path);
}

Target look_at(const std::string& path, bool overwrite) {
  if (path.empty()) fail("the output's path is empty");
  std::error_code error;
  Target target{.path = fs::path(path)};
  if (const std::optional<int> stream = descriptor_of(target.path)) {
    check_open(path, *stream);
    target.exists = target.special = true;
    target.stream = stream;
    return target;
  }
  if (fs::is_symlink(fs::symlink_status(target.path, error))) {
    if (!fs::exists(target.path, error))
      fail("{}: is a symbolic link to {}, which does not exist", path, fs::read_symlink(target.path, error).string());
    target.path = fs::weakly_canonical(target.path, error);
    if (error) fail("{}: cannot follow the symbolic link: {}", path, error.message());
  }
  const fs::file_status status = fs::status(target.path, error);
  target.exists = fs::exists(status);
  if (fs::is_directory(status)) fail("{}: is a folder; name a file in it", path);
  target.special = target.exists && !fs::is_regular_file(status);
  if (target.exists && !target.special && !overwrite) fail_exists(path);
  if (target.special) return target;
  const fs::path folder = target.path.has_parent_path() ? target.path.parent_path() : fs::path(".");
  if (!fs::exists(folder, error)) fail("{}: the folder {} does not exist", path, folder.string());
  if (!fs::is_directory(folder, error)) fail("{}: {} is not a folder", path, folder.string());
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    fail("{}: cannot write into the folder {}: {}", path, folder.string(), reason(errno));
  return target;
}

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

// Calls make(path) for new names beside the target until it succeeds; it returns whether, and sets errno.
template <typename Make>
fs::path named_beside(const Target& target, const std::string& path, const Make& make) {
  static std::atomic<unsigned> counter{0};
  constexpr int kAttempts = 100;
  int error = EEXIST;
  for (int i = 0; i < kAttempts && error == EEXIST; ++i) {
    fs::path temporary = target.path;
    temporary += fmt::format(".{}-{}.tmp", ::getpid(), counter++);
    if (make(temporary)) return temporary;
    error = errno;
  }
  fail_to_write(path, "cannot create the file", error);
}

// A new file in the target's folder, with the permissions that any new file gets. It has no name until it is whole, so
// that nothing is left where the program is killed. -1 where the file system has no such files.
int open_unnamed(const Target& target) {
#ifdef O_TMPFILE
  if (::access("/proc/self/fd", X_OK) == 0) {
    return ::open(folder_of(target.path).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  }
#endif
  return -1;
}

// Gives the file without a name this one. False, with errno, where there is such a file.
bool give_name(int fd, const fs::path& name) {
  const std::string unnamed = fmt::format("/proc/self/fd/{}", fd);
  return ::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

fs::path name_beside(const Target& target, const std::string& path, int fd) {
  return named_beside(target, path, [&](const fs::path& name) { return give_name(fd, name); });
}

// The same with a name from the beginning.
fs::path create_beside(const Target& target, const std::string& path, int& fd) {
  return named_beside(target, path, [&](const fs::path& name) {
    fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return fd >= 0;
  });
}

// The permissions of the file that is replaced; where its group can't be kept, no more for ours than for others.
void keep_mode(const Target& target, int fd) {
  struct stat old {};
  if (!target.exists || ::stat(target.path.c_str(), &old) != 0) return;
  mode_t mode = old.st_mode & 0777;
  struct stat now {};
  const bool same_group = (::fstat(fd, &now) == 0 && now.st_gid == old.st_gid && now.st_uid == old.st_uid) ||
                          ::fchown(fd, old.st_uid, old.st_gid) == 0 ||
                          ::fchown(fd, static_cast<uid_t>(-1), old.st_gid) == 0;
  if (!same_group) mode &= static_cast<mode_t>(0707 | (mode & 07) << 3);
  ::fchmod(fd, mode);
}

// Makes a name that was just given survive a power failure; file systems that can't are let be.
void sync_folder(const fs::path& file) {
  const Descriptor descriptor(::open(folder_of(file).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() >= 0) ::fsync(descriptor.get());
}

// Gives the finished file its name. link() fails where the name is taken, whoever took it in the meantime; file systems
// without hard links get a check and a rename.
void publish(TemporaryFile& temporary, const Target& target, const std::string& path, bool overwrite) {
  if (!overwrite) {
    if (::link(temporary.path().c_str(), target.path.c_str()) == 0) return;
    if (errno == EEXIST || ::access(target.path.c_str(), F_OK) == 0) fail_exists(path);
  }
  if (::rename(temporary.path().c_str(), target.path.c_str()) != 0)
    fail_to_write(path, "cannot name the finished file", errno);
  temporary.keep();
}

}  // namespace

void fail_to_write(const std::string& name, const char* what, int code) {
  const std::string message = fmt::format("{}: {}: {}", name, what, reason(code));
  if (code == ENOSPC || code == EDQUOT) throw NoSpace(message);
  throw Error(message);
}

void make_folders(const std::string& path) {
  std::error_code error;
  if (!path.empty()) fs::create_directories(path, error);
  if (error) fail_to_write(path, "cannot make the folder", error.value());
}

bool is_stream(const std::string& path) { return path == "-" || descriptor_of(path); }

std::string output_name(const std::string& path) {
  return descriptor_of(path) == STDOUT_FILENO ? std::string("-") : path;
}

namespace {

int open_to_read(const std::string& path, const std::string& name) {
  const int fd = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) return fd;
  if (errno == ENOENT) fail("{}: no such file", name);
  fail("{}: cannot open: {}", name, reason(errno));
}

void read_at(int fd, const std::string& path, uint64_t at, std::span<uint8_t> into) {
  while (!into.empty()) {
    const ssize_t count = ::pread(fd, into.data(), into.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("{}: cannot read: {}", path, reason(errno));
    if (count == 0) fail("{}: became shorter while it was read", path);
    at += static_cast<uint64_t>(count);
    into = into.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace

std::vector<uint8_t> read_from(int descriptor, const std::string& name, std::size_t max_bytes) {
  struct stat status {};
  if (::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) fail("{}: is a folder, not a file", name);
  std::vector<uint8_t> bytes;
  std::size_t used = 0;
  for (;;) {
    if (used == bytes.size()) bytes.resize(std::max(used + kReadChunk, used + used / 2));
    const ssize_t count = ::read(descriptor, bytes.data() + used, bytes.size() - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("{}: cannot read: {}", name, reason(errno));
    if (count == 0) break;
    used += static_cast<std::size_t>(count);
    if (used > max_bytes) fail("{}: is larger than {} MiB", name, max_bytes >> 20);
  }
  if (used == 0) fail("{}: is empty", name);
  bytes.resize(used);
  bytes.shrink_to_fit();
  return bytes;
}

ReadableFile open_file(const std::string& path) {
  const auto file = std::make_shared<const Descriptor>(open_to_read(path, path));
  struct stat status {};
  if (::fstat(file->get(), &status) == 0 && S_ISREG(status.st_mode)) {
    return {.size = static_cast<uint64_t>(status.st_size),
            .read = [file, path](uint64_t at, std::span<uint8_t> into) { read_at(file->get(), path, at, into); }};
  }
  const auto bytes = std::make_shared<const std::vector<uint8_t>>(
      read_from(file->get(), path, std::numeric_limits<std::size_t>::max()));
  return {.size = bytes->size(), .read = [bytes, path](uint64_t at, std::span<uint8_t> into) {
            if (at + into.size() > bytes->size()) fail("{}: has no {} bytes at {}", path, into.size(), at);
            std::copy_n(bytes->begin() + static_cast<std::ptrdiff_t>(at), into.size(), into.begin());
          }};
}

std::vector<uint8_t> read_file(const std::string& path, std::size_t max_bytes) {
  const std::string name = path == "-" ? "standard input" : path;
  const Descriptor file(open_to_read(path, name));
  return read_from(file.get(), name, max_bytes);
}

void write_to(int descriptor, const std::string& name, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_to_write(name, "cannot write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

std::vector<uint8_t> read_beginning(const std::string& path, std::size_t most) {
  std::vector<uint8_t> bytes(most);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

void write_file_atomically(const std::string& path, std::span<const uint8_t> bytes, bool overwrite) {
  write_file_atomically(
      path, [&](const WriteBytes& write) { write(bytes); }, overwrite);
}

void write_file_atomically(const std::string& path, const std::function<void(const WriteBytes& write)>& produce,
                           bool overwrite) {
  const auto write_all_to = [&](int descriptor, const std::string& name) {
    produce([&](std::span<const uint8_t> bytes) { write_to(descriptor, name, bytes); });
  };
  if (path == "-") return write_all_to(STDOUT_FILENO, "standard output");
  const Target target = look_at(path, overwrite);
  if (target.stream) return write_all_to(*target.stream, path);
  if (target.special) {
    const Descriptor file(::open(target.path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.get() < 0) fail("{}: cannot open: {}", path, reason(errno));
    return write_all_to(file.get(), path);
  }
  int fd = open_unnamed(target);
  const bool unnamed = fd >= 0;
  TemporaryFile temporary(unnamed ? fs::path() : create_beside(target, path, fd));
  Descriptor file(fd);
  keep_mode(target, fd);
  write_all_to(fd, path);
  if (::fsync(fd) != 0) fail_to_write(path, "cannot write", errno);
  // Where nothing is to be replaced, there is no moment with another name.
  if (unnamed && !target.exists && give_name(fd, target.path)) return sync_folder(target.path);
  if (unnamed) temporary.set_path(name_beside(target, path, fd));
  if (const int error = file.close()) fail_to_write(path, "cannot write", error);
  publish(temporary, target, path, overwrite);
  sync_folder(target.path);
}

void check_writable(const std::string& path, bool overwrite) {
  if (path == "-") return;
  const Target target = look_at(path, overwrite);
  if (target.special) return;
  int fd = open_unnamed(target);
  if (fd >= 0) {
    const Descriptor file(fd);
    const fs::path name = named_beside(target, path, [](const fs::path&) { return true; });
    struct stat ignored {};
    if (::lstat(name.c_str(), &ignored) != 0 && errno == ENAMETOOLONG) {
      fail("{}: cannot create the file: {}", path, reason(ENAMETOOLONG));
    }
    return;
  }
  const TemporaryFile temporary(create_beside(target, path, fd));
  const Descriptor file(fd);
}

}  // namespace hourglass
