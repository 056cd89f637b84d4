// Whole files in and out, with errors that a user understands and outputs that are complete or absent.
//
// The path "-" stands for standard input or output.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/error.h"

namespace hourglass {

// A full disk, or a quota that is used up: what else is to be written there will fail too.
class NoSpace : public Error {
 public:
  using Error::Error;
};

// A text's bytes, where they lie.
inline std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

inline constexpr std::size_t kMaxFileBytes = std::size_t{1} << 31;  // more than any image that we take

// Whether a path names no place for a file but something that is open: "-", "/dev/stdout", "/dev/fd/3".
bool is_stream(const std::string& path);
// "-" for every name of standard output; others as they are.
std::string output_name(const std::string& path);

// Throws Error when the file is missing, a folder, empty, unreadable or larger than max_bytes.
std::vector<uint8_t> read_file(const std::string& path, std::size_t max_bytes = kMaxFileBytes);

// The same of what is open already, from where it stands.
std::vector<uint8_t> read_from(int descriptor, const std::string& name, std::size_t max_bytes = kMaxFileBytes);

// A file that is read here and there, as long as there is a copy of read(). Bytes that are not there, or can't be read,
// throw Error. A pipe is read as a whole at once.
struct ReadableFile {
  uint64_t size = 0;
  std::function<void(uint64_t at, std::span<uint8_t> into)> read;
};
// Throws Error as read_file() does.
ReadableFile open_file(const std::string& path);

// The first bytes of a file, at most so many; fewer where it has no more, none where it can't be read.
std::vector<uint8_t> read_beginning(const std::string& path, std::size_t most);

// Writes a temporary file beside `path` and renames it, so that `path` is at all times absent, the old file or the
// whole new one, also after a power failure; whatever goes wrong, the temporary file is removed. An existing file is
// replaced only with `overwrite`, and its mode is kept. Devices, pipes and streams are written to directly; a symbolic
// link's target is replaced, not the link. Throws Error, and NoSpace where that is the reason.
void write_file_atomically(const std::string& path, std::span<const uint8_t> bytes, bool overwrite);
// The same of what is too large to be held at once: `produce` gives its bytes to `write`, piece by piece.
using WriteBytes = std::function<void(std::span<const uint8_t>)>;
void write_file_atomically(const std::string& path, const std::function<void(const WriteBytes& write)>& produce,
                           bool overwrite);

// Writes all of the bytes to a descriptor, however often it takes less than it is given. Throws Error, with the name.
void write_to(int descriptor, const std::string& name, std::span<const uint8_t> bytes);

// Throws the Error of what can't be written, or NoSpace: its name, what can't be done, and errno.
[[noreturn]] void fail_to_write(const std::string& name, const char* what, int code);

// Makes a folder, and those that it lies in, where they are not there; an empty path is the present one. Throws Error,
// and NoSpace where that is the reason.
void make_folders(const std::string& path);

// Throws the Error that write_file_atomically would, as far as that can be known before there is anything to write: a
// temporary file is made and removed. Call it before long work.
void check_writable(const std::string& path, bool overwrite);

}  // namespace hourglass
