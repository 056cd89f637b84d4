#include "engine/cli/file_workers.h"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/restore/learn.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

// At first as learning in colour does; what takes more shows it by its first file.
std::size_t usual_memory(int64_t pixels) { return learn_memory(pixels, 3, LearnOptions().iterations); }

}  // namespace

std::size_t FileWorkers::memory_of(int64_t pixels) const {
  return usual_memory(pixels) + static_cast<std::size_t>(more_per_pixel_ * static_cast<double>(pixels));
}

void FileWorkers::learn_memory_of(int64_t pixels, std::size_t peak) {
  const std::size_t usual = usual_memory(pixels);
  if (pixels == 0 || peak <= usual) return;
  more_per_pixel_ = std::max(more_per_pixel_, static_cast<double>(peak - usual) / static_cast<double>(pixels));
}

bool FileWorkers::has_room(int64_t pixels) const {
  if (workers_.size() >= static_cast<std::size_t>(jobs_)) return false;
  if (workers_.empty() || memory_ == 0) return true;
  std::size_t needed = memory_of(pixels);
  for (const Worker& worker : workers_) needed += std::max(worker.memory, memory_of(worker.pixels));
  return needed <= memory_;
}

std::size_t FileWorkers::free_slot() const {
  std::size_t slot = 0;
  const auto taken = [&](const Worker& worker) { return worker.slot == slot; };
  while (std::any_of(workers_.begin(), workers_.end(), taken)) ++slot;
  return slot;
}

bool FileWorkers::begin(std::size_t file, int64_t pixels, const std::function<ExitCode()>& work) {
  try {
    const std::size_t slot = free_slot();
    auto process = std::make_unique<ChildProcess>([&] {
      if (!shares_.empty()) keep_to(mask_of(shares_[slot]));
      return work();
    });
    workers_.push_back({.file = file,
                        .pixels = pixels,
                        .process = std::move(process),
                        .start = Clock::now(),
                        .slot = slot,
                        .memory = memory_of(pixels)});
    return true;
  } catch (const Error&) {
    if (workers_.empty()) throw;
    jobs_ = static_cast<int>(workers_.size());
    return false;
  }
}

std::vector<EndedFile> FileWorkers::wait() {
  constexpr int kMilliseconds = 200;
  std::vector<pollfd> files;
  for (const Worker& worker : workers_) files.push_back({worker.process->descriptor(), POLLIN, 0});
  ::poll(files.data(), files.size(), kMilliseconds);
  std::vector<EndedFile> ended;
  for (std::size_t k = workers_.size(); k-- > 0;) {
    if (files[k].revents == 0) continue;
    Worker& worker = workers_[k];
    if (worker.process->read([&](const std::string& line) { hear(worker, line); })) continue;
    Worker last = std::move(worker);
    workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(k));
    ended.push_back(end(std::move(last)));
  }
  return ended;
}

EndedFile FileWorkers::end(Worker worker) {
  const ChildProcess::End end = worker.process->wait();
  learn_memory_of(worker.pixels, end.peak_bytes);
  return {.file = worker.file,
          .end = end,
          .result = std::move(worker.result),
          .error = std::move(worker.error),
          .no_space = worker.no_space,
          .seconds = seconds_since(worker.start)};
}

void FileWorkers::hear(Worker& worker, const std::string& line) {
  const std::optional<Json> object = Json::parse(line);
  if (!object) return;
  if (const Json* error = object->find("error")) {
    worker.error = error->text_or({});
    worker.no_space = object->find("no_space") != nullptr;
    return;
  }
  const Json* event = object->find("event");
  if (event == nullptr || event->text_or({}) == "result") {
    worker.result = *object;
  } else {
    const auto number = [&](const char* name) {
      const Json* value = object->find(name);
      return value == nullptr ? 0 : value->number_or(0);
    };
    const double all = number("iterations"), share = all > 0 ? number("iteration") / all : number("share");
    const Json* stage = object->find("stage");
    worker.stage = fmt::format("{} {:.0f} %", stage == nullptr ? "" : stage->text_or({}), 100 * share);
  }
}

void FileWorkers::ask_to_end() const {
  for (const Worker& worker : workers_) worker.process->ask_to_end();
}

std::vector<FileUnderWay> FileWorkers::under_way() const {
  std::vector<FileUnderWay> all;
  for (const Worker& worker : workers_) {
    all.push_back({.file = worker.file,
                   .seconds = seconds_since(worker.start),
                   .stage = worker.stage.empty() ? "begins" : worker.stage});
  }
  return all;
}

}  // namespace hourglass::cli
