// The files of a run that are being worked on, each by a process of its own (child_process.h), as many at once as the
// number of jobs and the memory allow. How much memory a file takes is guessed from its pixels, and from the files that
// have ended.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/cli/child_process.h"
#include "engine/cli/json.h"
#include "engine/runtime/affinity.h"

namespace hourglass::cli {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct EndedFile {
  std::size_t file = 0;
  ChildProcess::End end = {};
  Json result = {};        // null where none has come
  std::string error = {};  // empty: none has come
  bool no_space = false;   // the error is of a full disk
  double seconds = 0;
};

struct FileUnderWay {
  std::size_t file = 0;
  double seconds = 0;  // since it has begun
  std::string stage;   // "learn 40 %"
};

class FileWorkers {
 public:
  // memory: bytes that all together may hold; 0: nobody knows. shares: the CPUs that each of as many files at once is
  // kept to; empty: wherever the system puts them.
  FileWorkers(int jobs, std::size_t memory, std::vector<CpuSet> shares)
      : jobs_(jobs), memory_(memory), shares_(std::move(shares)) {}

  [[nodiscard]] bool empty() const { return workers_.empty(); }
  // Whether a file of so many pixels may begin.
  [[nodiscard]] bool has_room(int64_t pixels) const;
  // Whether the work has begun. False where there can be no further process, and then fewer are done at once. Throws
  // Error where there can be none at all.
  bool begin(std::size_t file, int64_t pixels, const std::function<ExitCode()>& work);
  // Waits a moment for what the processes tell; those that have ended meanwhile.
  std::vector<EndedFile> wait();
  // All of them.
  void ask_to_end() const;
  [[nodiscard]] std::vector<FileUnderWay> under_way() const;

 private:
  using Clock = std::chrono::steady_clock;

  struct Worker {
    std::size_t file = 0;
    int64_t pixels = 0;
    std::unique_ptr<ChildProcess> process;
    Clock::time_point start;
    std::size_t slot = 0;    // of those at once, counted from 0: which share is its own
    std::size_t memory = 0;  // bytes that it was thought to need as it began
    std::string stage = {};
    Json result = {};
    std::string error = {};
    bool no_space = false;
  };

  [[nodiscard]] std::size_t free_slot() const;
  [[nodiscard]] std::size_t memory_of(int64_t pixels) const;
  void learn_memory_of(int64_t pixels, std::size_t peak);
  static void hear(Worker& worker, const std::string& line);
  EndedFile end(Worker worker);

  int jobs_;
  std::size_t memory_;
  std::vector<CpuSet> shares_;
  double more_per_pixel_ = 0;  // bytes that files have taken beyond what was thought
  std::vector<Worker> workers_;
};

}  // namespace hourglass::cli
