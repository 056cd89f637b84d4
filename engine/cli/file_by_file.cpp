#include "engine/cli/file_by_file.h"

#include <fmt/core.h>
#include <signal.h>  // SIGKILL is POSIX

#include <algorithm>
#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/cli/command_text.h"
#include "engine/cli/earlier_result.h"
#include "engine/cli/file_workers.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/json.h"
#include "engine/cli/manifest.h"
#include "engine/cli/many_progress.h"
#include "engine/cli/output.h"
#include "engine/cli/progress.h"
#include "engine/cli/report_folder.h"
#include "engine/image/file.h"
#include "engine/runtime/cpus.h"
#include "engine/runtime/memory.h"
#include "engine/runtime/placement.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// The number of threads decides about the last bits of a result, so that of jobs has no say in it.
int threads_for(const ManyRun& run, std::size_t files) {
  const int count = static_cast<int>(std::clamp<std::size_t>(files, 1, 1U << 20));
  return run.fit.threads > 0 ? run.fit.threads : std::max(1, available_cpus() / count);
}

// Bound to CPUs, files at once would be bound to the same ones: each gets some of its own, and binds its threads there.
std::vector<CpuSet> shares_for(const ManyRun& run, int jobs) {
  if (jobs == 1 || run.fit.bind == name_of(Bind::none)) return {};
  const Topology topology = read_topology();
  std::vector<CpuSet> shares = split_cpus(topology, jobs, run.fit.threads);
  if (shares.empty()) {
    fail(
        "--bind {}: {} files at once on {} each need {} CPUs of their own, and there are {}: fewer --jobs or "
        "--threads, or no --bind",
        run.fit.bind, jobs, counted(run.fit.threads, "thread"), int64_t{jobs} * run.fit.threads,
        topology.usable().size());
  }
  return shares;
}

FileWorkers workers_for(const ManyArguments& arguments, const ManyRun& run, std::size_t files) {
  const std::size_t memory =
      run.fit.memory_limit ? static_cast<std::size_t>(*run.fit.memory_limit) : available_memory();
  const auto most = static_cast<int>(std::clamp<std::size_t>(files, 1, 1U << 20));
  const int jobs = std::min(most, arguments.jobs.value_or(std::max(1, available_cpus() / run.fit.threads)));
  return {jobs, memory, shares_for(run, jobs)};
}

class FileByFile {
 public:
  FileByFile(const ManyArguments& arguments, const ManyRun& run, const InputFiles& found)
      : run_(run),
        files_(found.files),
        progress_(run.fit.quiet),
        earlier_(run.line, run.fit, run.settled),
        reports_(run.fit.report, found.files, run.fit.force),
        writes_index_(arguments.files.shard.empty()),
        workers_(workers_for(arguments, run, found.files.size())),
        manifest_(place_of_manifest(arguments)) {
    reports_.make();  // now that nothing speaks against the run
    state_.files = files_.size();
    for (const UnreadableFolder& folder : found.unreadable) {
      ++unreadable_;
      tell_failure(folder.message);
      record_found(Json{{"input", folder.path}, {"error", folder.message}});
    }
  }

  ExitCode work() {
    const InterruptGuard interrupt;
    start_ = Clock::now();
    sort_out(interrupt);
    while (!workers_.empty() || (!waiting_.empty() && !ends_early(interrupt))) {
      while (!ends_early(interrupt) && may_start()) begin(waiting_.front());
      for (const EndedFile& ended : workers_.wait()) end(ended);
      update();
      if (asked_ || !ends_early(interrupt)) continue;
      asked_ = true;
      workers_.ask_to_end();
    }
    progress_.finish();
    tell_end(interrupt.signal() != 0);
    if (writes_index_ && full_.empty()) reports_.write_index(files_, failures_);
    if (interrupt.signal() != 0) return exit_code_of(interrupt.signal());
    if (!full_.empty()) return ExitCode::error;
    return state_.failed + unreadable_ > 0 ? ExitCode::some_failed : ExitCode::ok;
  }

 private:
  // The manifest may lie in the folder of the results, as the first of all files; else its folder must be there.
  static const std::string& place_of_manifest(const ManyArguments& arguments) {
    const fs::path folder = fs::path(arguments.manifest).parent_path(), results = arguments.files.output_dir;
    if (!folder.empty() && (folder / "").lexically_normal() == (results / "").lexically_normal()) {
      make_folders(results.string());
    }
    return arguments.manifest;
  }

  [[nodiscard]] bool ends_early(const InterruptGuard& interrupt) const {
    return interrupt.signal() != 0 || !full_.empty();
  }

  // Keeps what is there already, and refuses what is in the way.
  void sort_out(const InterruptGuard& interrupt) {
    for (std::size_t i = 0; i < files_.size() && interrupt.signal() == 0; ++i) {
      progress_.look(i, files_.size(), seconds_since(start_));
      const InputFile& file = files_[i];
      try {
        const EarlierResult earlier = earlier_.of(file);
        if (earlier == EarlierResult::alike && reports_.is_done(file)) {
          keep(file);
        } else if (earlier == EarlierResult::other && !run_.fit.force) {
          refused(i, fmt::format("{}: {} is there already, and was made of another input or with other settings: "
                                 "--force replaces it",
                                 file.path, file.output));
        } else {
          waiting_.push_back(i);
          if (earlier == EarlierResult::unfinished || earlier == EarlierResult::alike) replaced_.insert(i);
        }
      } catch (const Error& error) {
        refused(i, error.what());
      }
    }
    progress_.look(files_.size(), files_.size(), seconds_since(start_));
    to_manifest([&] { manifest_.sync(); });
    for (const std::size_t i : waiting_) state_.pixels += files_[i].pixels;
  }

  [[nodiscard]] bool may_start() const {
    if (waiting_.empty() || (alone_ && !workers_.empty())) return false;
    return workers_.has_room(files_[waiting_.front()].pixels);
  }

  void begin(std::size_t i) {
    waiting_.pop_front();
    const InputFile& file = files_[i];
    try {
      make_folders(fs::path(file.output).parent_path().string());
      if (reports_.is_wanted()) make_folders(fs::path(reports_.path_of(file)).parent_path().string());
    } catch (const NoSpace& error) {
      return disk_is_full(error.what());
    } catch (const Error& error) {
      return failed(i, error.what());
    }
    if (!workers_.begin(i, file.pixels, [this, i] { return run_in_child(i); })) waiting_.push_front(i);
  }

  ExitCode run_in_child(std::size_t i) const {
    const InputFile& file = files_[i];
    FitArguments& fit = run_.fit;
    const bool anew = fit.force;
    fit.input = file.path;
    fit.output = file.output;
    fit.json = fit.quiet = fit.final_only = true;
    fit.verbose = 0;
    if (reports_.is_wanted()) fit.report = reports_.path_of(file);
    if (replaced_.contains(i)) fit.force = true;
    const std::string checkpoint = file.output + ".ckpt";
    if (!anew && fs::is_regular_file(checkpoint)) {
      if (!earlier_.has_begun(checkpoint, file)) {
        fail(
            "{}: is of a run with other settings or another input: give these again to go on with it, or --force to "
            "begin anew",
            checkpoint);
      }
      fit.resume = checkpoint;
    }
    return run_.run();
  }

  void end(const EndedFile& ended) {
    const InputFile& file = files_[ended.file];
    const int code = ended.end.exit_code, signal = ended.end.signal;
    if (asked_ && is_ending(code)) return;  // not done, and not failed either
    if ((signal == SIGKILL || is_ending(code)) && alone_ != ended.file) {
      // The system kills where memory runs out, and so do others before it: once more, with nothing beside it.
      alone_ = ended.file;
      waiting_.push_front(ended.file);
      return;
    }
    if (alone_ == ended.file) alone_.reset();
    if (code == 0 && ended.result.find("output") != nullptr) {
      succeeded(file, ended);
    } else if (ended.no_space) {
      disk_is_full(ended.error.starts_with(file.output) ? ended.error : file.output + ": " + ended.error);
    } else if (was_done_elsewhere(file)) {
      pixels_ended_ += static_cast<double>(file.pixels);
      keep(file);
    } else if (signal != 0 || is_ending(code)) {
      failed(ended.file, fmt::format("{}: its process was ended by signal {}{}", file.path, code - 128,
                                     signal == SIGKILL ? ", as the system does where memory runs out" : ""));
    } else {
      const std::string error = ended.error.empty() ? "failed" : ended.error;
      failed(ended.file, error.starts_with(file.path) ? error : file.path + ": " + error);
    }
  }

  // Another run with the same command was faster, such as one whose machine was thought to be lost.
  [[nodiscard]] bool was_done_elsewhere(const InputFile& file) const {
    try {
      return earlier_.of(file) == EarlierResult::alike && reports_.is_done(file);
    } catch (const Error&) {
      return false;
    }
  }

  // Whether a process that ends so has got a signal to end.
  static bool is_ending(int code) {
    return std::any_of(InterruptGuard::kSignals.begin(), InterruptGuard::kSignals.end(),
                       [&](int signal) { return code == static_cast<int>(exit_code_of(signal)); });
  }

  void succeeded(const InputFile& file, const EndedFile& ended) {
    ++state_.done;
    pixels_ended_ += static_cast<double>(file.pixels);
    seconds_of_ended_ += ended.seconds;
    tell_warnings(ended.result);
    progress_.file(state_, fmt::format("{}: {} in {}", file.output, run_.verb, duration_text(ended.seconds)));
    record(kDone, with_page(file, ended.result));
  }

  void keep(const InputFile& file) {
    ++state_.done;
    ++state_.kept;
    add_found(object_of(kKept, with_page(file, Json{{"input", file.path}, {"output", file.output}})));
  }

  // What leads from the manifest to the page.
  [[nodiscard]] Json with_page(const InputFile& file, Json values) const {
    if (reports_.is_wanted()) values["page"] = ReportFolder::page_of(file);
    return values;
  }

  void tell_warnings(const Json& result) {
    const Json* warnings = result.find("warnings");
    if (warnings == nullptr) return;
    for (const Json& one : warnings->elements()) progress_.say(one.text_or({}));
  }

  // Of its work.
  void failed(std::size_t i, const std::string& message) { record(kFailed, failure_of(i, message)); }
  // Before it could begin, and so at the next run.
  void refused(std::size_t i, const std::string& message) { record_found(failure_of(i, message)); }

  Json failure_of(std::size_t i, const std::string& message) {
    ++state_.done;
    ++state_.failed;
    pixels_ended_ += static_cast<double>(files_[i].pixels);
    failures_.emplace_back(i, message);
    tell_failure(message);
    return {{"input", files_[i].path}, {"output", files_[i].output}, {"error", message}};
  }

  void tell_failure(const std::string& message) {
    told_.push_back(message);
    progress_.error(message);
  }

  // The first file that finds it so speaks for all.
  void disk_is_full(const std::string& error) {
    if (!full_.empty()) return;
    full_ = error;
    waiting_.clear();
    progress_.error(full_);
  }

  static Json object_of(const char* status, const Json& values) {
    Json object{{"event", status == std::string_view(kFailed) ? "error" : "result"}, {"status", status}};
    object.update(values);
    return object;
  }

  // What the manifest and --json say of a file.
  void record(const char* status, const Json& values) {
    const Json object = object_of(status, values);
    to_manifest([&] { manifest_.add(object); });
    if (run_.fit.json) print_to(stdout, object.text() + "\n");
  }

  // The same of a failure that the next run would find out again.
  void record_found(const Json& values) {
    const Json object = object_of(kFailed, values);
    add_found(object);
    if (run_.fit.json) print_to(stdout, object.text() + "\n");
  }

  void add_found(const Json& object) {
    if (!manifest_.tells(object)) to_manifest([&] { manifest_.add_found(object); });
  }

  // The result stays, told of or not.
  void to_manifest(const std::function<void()>& add) {
    try {
      add();
    } catch (const NoSpace& error) {
      disk_is_full(error.what());
    }
  }

  void update() {
    state_.seconds = seconds_since(start_);
    state_.pixels_done = pixels_ended_;
    state_.under_way.clear();
    const double rate = seconds_of_ended_ > 0 ? pixels_ended_ / seconds_of_ended_ : 0;
    for (const FileUnderWay& one : workers_.under_way()) {
      // As fast as those before, as long as nothing speaks against it.
      constexpr double kMost = 0.95;
      const auto pixels = static_cast<double>(files_[one.file].pixels);
      state_.pixels_done += std::min(kMost * pixels, rate * one.seconds);
      state_.under_way.push_back(one.stage + "  " + files_[one.file].path);
    }
    progress_.show(state_);
  }

  void tell_interrupted() {
    const std::string text = "stopped early, as asked: the same command goes on";
    progress_.say(text);
    const Json object = interrupted_object(text);
    if (run_.fit.json) print_to(stdout, object.text() + "\n");
  }

  void tell_end(bool interrupted) {
    const std::size_t made = state_.done - state_.kept - state_.failed;
    std::string text = fmt::format("{}: {} {}", counted(static_cast<int64_t>(state_.files), "file"), made, run_.verb);
    if (state_.kept > 0) text += fmt::format(", {} kept as {}", state_.kept, state_.kept == 1 ? "it was" : "they were");
    if (state_.failed > 0) text += fmt::format(", {} failed", state_.failed);
    if (state_.done < state_.files) text += fmt::format(", {} not done", state_.files - state_.done);
    if (unreadable_ > 0) text += fmt::format(", {} unreadable", counted(static_cast<int64_t>(unreadable_), "folder"));
    progress_.say(text + fmt::format(" ({})", duration_text(seconds_since(start_))));
    if (interrupted) tell_interrupted();
    constexpr std::size_t kWorthRepeating = 8;  // files that have gone by since an error was told
    if (state_.files > kWorthRepeating) {
      for (const std::string& message : told_) progress_.say("failed: " + message);
    }
    if (!full_.empty()) {
      progress_.error("stopped early, as there is no more space: free some, and the same command goes on");
      if (run_.fit.json) print_to(stdout, error_object(full_).text() + "\n");
    }
  }

  const ManyRun& run_;
  const std::vector<InputFile>& files_;
  ManyProgress progress_;
  EarlierResults earlier_;
  ReportFolder reports_;
  bool writes_index_;  // one of several shards has only its own pages, and 'hourglass report' writes the index
  FileWorkers workers_;
  Manifest manifest_;
  std::deque<std::size_t> waiting_;
  std::set<std::size_t> replaced_;    // whose results a run has left before its end, or lack the page that is asked for
  bool asked_ = false;                // the workers, to end
  std::string full_;                  // the disk; why that is known
  std::optional<std::size_t> alone_;  // a file that was killed is done once more, with nothing beside it
  ManyState state_;
  std::size_t unreadable_ = 0;  // folders
  std::vector<std::pair<std::size_t, std::string>> failures_;
  std::vector<std::string> told_;  // of files and folders
  double pixels_ended_ = 0, seconds_of_ended_ = 0;
  Clock::time_point start_;
};

}  // namespace

ExitCode run_file_by_file(const ManyArguments& arguments, const ManyRun& run, const InputFiles& found) {
  run.fit.threads = threads_for(run, found.files.size());
  return FileByFile(arguments, run, found).work();
}

}  // namespace hourglass::cli
