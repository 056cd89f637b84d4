// Runs a fuzz target over files without libFuzzer, so that any compiler builds it:
//
//   jpeg_replay [--changes N] [--keep FILE] FILE-OR-FOLDER...
//
// Each file is run as it is and, with --changes, N times with bytes that are changed, cut off or repeated, by random
// numbers that depend on the file alone. --keep writes each input to FILE before it is run, so that what ended the
// program is known.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

using File = std::vector<uint8_t>;

File read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void run(const File& bytes, const char* keep) {
  if (keep != nullptr) {
    std::ofstream(keep, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  }
  // Of exactly that size, so that a sanitizer sees what reads on.
  const File exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

void change(File& bytes, std::mt19937& random) {
  const auto place = [&] { return static_cast<std::ptrdiff_t>(random() % std::max<std::size_t>(bytes.size(), 1)); };
  const int times = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < times && !bytes.empty(); ++i) {
    constexpr uint8_t kTelling[] = {0, 1, 0x7f, 0x80, 0xff};
    const auto at = bytes.begin() + place();
    switch (random() % 6) {
      case 0: *at = static_cast<uint8_t>(random()); break;
      case 1: *at = kTelling[random() % std::size(kTelling)]; break;
      case 2: *at ^= static_cast<uint8_t>(1U << random() % 8); break;
      case 3:
        bytes.erase(at, bytes.begin() + std::min<std::ptrdiff_t>(at - bytes.begin() + 8, std::ssize(bytes)));
        break;
      case 4: bytes.insert(at, static_cast<uint8_t>(random())); break;
      default: bytes.resize(static_cast<std::size_t>(place()));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int changes = 0;
  const char* keep = nullptr;
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--changes") == 0 && i + 1 < argc) {
      changes = std::atoi(argv[++i]);
    } else if (std::strcmp(argv[i], "--keep") == 0 && i + 1 < argc) {
      keep = argv[++i];
    } else if (fs::is_directory(argv[i])) {
      for (const auto& entry : fs::directory_iterator(argv[i])) files.push_back(entry.path());
    } else {
      files.emplace_back(argv[i]);
    }
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    std::fprintf(stderr, "%s: there are no files to run\n", argv[0]);
    return 1;
  }
  for (const fs::path& path : files) {
    const File file = read(path);
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);  // so that the last line names what ends the program
    run(file, keep);
    std::mt19937 random(static_cast<uint32_t>(file.size()));
    for (int i = 0; i < changes; ++i) {
      File changed = file;
      change(changed, random);
      run(changed, keep);
    }
  }
  std::printf("%zu files, each with %d changes\n", files.size(), changes);
  return 0;
}
