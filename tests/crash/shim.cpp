// Loaded before libc (LD_PRELOAD), makes calls that write to files fail as a full or a broken disk does:
//
//   HG_SHIM_AT=7 HG_SHIM_ERROR=28 LD_PRELOAD=libhourglass_shim.so hourglass restore photo.jpg
//
//   HG_SHIM_AT      the call that fails, counted from 1 over all calls below that change regular files or folders
//   HG_SHIM_ERROR   its errno
//   HG_SHIM_LASTING all calls behind it fail too
//   HG_SHIM_SHORT   a write() writes the half of its bytes first, and the next one fails
//   HG_SHIM_COUNT   a file that gets a byte for each call
//
// What stdio writes does not come by here, since libc calls itself within; the tests limit the size of files for that.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <string_view>

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

long number(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::atol(text);
}

enum class Verdict { pass, half, fail };

// What becomes of the next call.
Verdict verdict(bool may_be_half) {
  static std::atomic<long> calls{0};
  static const long at = number("HG_SHIM_AT"), error = number("HG_SHIM_ERROR");
  static const bool lasting = number("HG_SHIM_LASTING") != 0, halves = number("HG_SHIM_SHORT") != 0;
  static std::atomic<bool> halved{false};
  if (const char* count = std::getenv("HG_SHIM_COUNT")) {
    const int fd = next<int(const char*, int, ...)>("open")(count, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    static_cast<void>(!next<ssize_t(int, const void*, size_t)>("write")(fd, "x", 1));
    ::close(fd);
  }
  const long call = ++calls;
  if (at == 0 || call < at) return Verdict::pass;
  if (halves && !halved.exchange(true) && may_be_half) return Verdict::half;
  const bool fails = call == at || lasting || (halves && call == at + 1);
  if (fails) errno = static_cast<int>(error);
  return fails ? Verdict::fail : Verdict::pass;
}

bool is_regular(int fd) {
  struct stat status {};
  return fd > STDERR_FILENO && ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

bool is_real(const char* path) {
  const std::string_view name(path);
  return !name.starts_with("/proc/") && !name.starts_with("/dev/") && !name.starts_with("/sys/");
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t count) {
  static auto* real = next<ssize_t(int, const void*, size_t)>("write");
  const Verdict what = is_regular(fd) ? verdict(count > 1) : Verdict::pass;
  return what == Verdict::fail ? -1 : real(fd, bytes, what == Verdict::half ? count / 2 : count);
}

int fsync(int fd) {
  static auto* real = next<int(int)>("fsync");
  return is_regular(fd) && verdict(false) == Verdict::fail ? -1 : real(fd);
}

int open(const char* path, int flags, ...) {
  static auto* real = next<int(const char*, int, ...)>("open");
  mode_t mode = 0;
  const bool creates = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  if (creates) {
    va_list more;
    va_start(more, flags);
    mode = va_arg(more, mode_t);
    va_end(more);
  }
  return creates && is_real(path) && verdict(false) == Verdict::fail ? -1 : real(path, flags, mode);
}

int rename(const char* from, const char* to) noexcept {
  static auto* real = next<int(const char*, const char*)>("rename");
  return verdict(false) == Verdict::fail ? -1 : real(from, to);
}

int link(const char* from, const char* to) noexcept {
  static auto* real = next<int(const char*, const char*)>("link");
  return verdict(false) == Verdict::fail ? -1 : real(from, to);
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  static auto* real = next<int(int, const char*, int, const char*, int)>("linkat");
  return verdict(false) == Verdict::fail ? -1 : real(from_folder, from, to_folder, to, flags);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* real = next<int(const char*, mode_t)>("mkdir");
  return verdict(false) == Verdict::fail ? -1 : real(path, mode);
}
}
