// Internal to engine/image: libjpeg's errors as exceptions, without exceptions passing through C.
//
// libjpeg reports a fatal error by a callback that must not return. Ours jumps back (longjmp) to guarded(), which runs
// every call into libjpeg; only then is an Error thrown, in C++ frames. The jump skips destructors, so the body given
// to guarded() must hold no object with a destructor while it calls libjpeg: what it fills lives outside.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdio>  // jpeglib.h wants FILE

#include <jpeglib.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hourglass::detail {

// What libjpeg calls back. Passed to it as its base.
struct JpegErrors : jpeg_error_mgr {
  JpegErrors();

  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX] = {};    // of the fatal error
  bool damaged = false;               // the fatal error says that the file's data is damaged or cut off
  bool ended = false;                 // the file ends without an end marker
  int wrong_restarts = 0;             // restart markers with another number than the one that was due
  std::vector<std::string> warnings;  // the others
};

// Runs body(). False when libjpeg gave up: errors.text says why. Never inlined, so that the jump finds the caller's
// variables in memory as they were.
template <typename Body>
[[gnu::noinline]] bool guarded(JpegErrors& errors, const Body& body) {
  if (setjmp(errors.jump) != 0) return false;
  body();
  return true;
}

// A decompressor over bytes in memory, up to the point where the file's header is known and accepted.
class JpegReader {
 public:
  // Reads the header; refuses what we don't support.
  explicit JpegReader(std::span<const uint8_t> bytes);
  ~JpegReader();
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  // guarded(body), and an Error when it fails.
  template <typename Body>
  void run(const Body& body) {
    if (!guarded(errors_, body)) throw_error();
  }
  [[nodiscard]] jpeg_decompress_struct* get() { return &cinfo_; }
  // Ends the decompression. Throws Error where the file lacks data; adds warnings of what is odd in it.
  void finish();
  std::vector<std::string> take_warnings() { return std::move(errors_.warnings); }

 private:
  [[noreturn]] void throw_error() const;
  [[noreturn]] static void fail_damaged(std::string_view what);
  // Whether a progressive file's scans stop before full precision. Not after the end of decompression.
  [[nodiscard]] bool lacks_precision() const;
  void check_header(std::size_t file_bytes);

  JpegErrors errors_;
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct cinfo_{};
};

}  // namespace hourglass::detail
