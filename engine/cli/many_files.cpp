#include "engine/cli/many_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>  // SIGKILL is POSIX
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/cli/checkpoint_file.h"
#include "engine/cli/child_process.h"
#include "engine/cli/command_text.h"
#include "engine/cli/fit_request.h"
#include "engine/cli/interrupt.h"
#include "engine/cli/json.h"
#include "engine/cli/many_progress.h"
#include "engine/cli/network_option.h"
#include "engine/cli/output.h"
#include "engine/cli/progress.h"
#include "engine/cli/report_index.h"
#include "engine/cli/run_request.h"
#include "engine/cli/same_file.h"
#include "engine/cli/settings.h"
#include "engine/image/digest.h"
#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "engine/restore/learn.h"
#include "engine/runtime/cpus.h"
#include "engine/runtime/memory.h"
#include "engine/runtime/placement.h"
#include "engine/runtime/precision.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// What options are about one file alone.
constexpr const char* kOfOneFile[] = {"reference", "history", "save-network", "profile", "checkpoint", "resume"};

// A record of each file that ends, a line of JSON; every line is on disk before the next file begins.
class Manifest {
 public:
  explicit Manifest(const std::string& path) : path_(path) {
    if (path.empty()) return;
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail_to_write();
    // What a power cut has left of a line ends here.
    char last = '\n';
    const off_t size = ::lseek(descriptor_, 0, SEEK_END);
    if (size > 0 && ::pread(descriptor_, &last, 1, size - 1) == 1 && last != '\n') add_text("\n");
  }
  ~Manifest() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Manifest(const Manifest&) = delete;
  Manifest& operator=(const Manifest&) = delete;

  void add(const Json& object) { add_text(object.text() + "\n"); }

 private:
  void add_text(const std::string& text) {
    if (descriptor_ < 0) return;
    write_to(descriptor_, "--manifest " + path_, bytes_of(text));
    if (::fsync(descriptor_) != 0) fail_to_write();
  }
  [[noreturn]] void fail_to_write() const {
    fail("--manifest {}: cannot write: {}", path_, std::system_category().message(errno));
  }

  std::string path_;
  int descriptor_ = -1;
};

// A file under way.
struct Worker {
  std::size_t file = 0;  // index
  std::unique_ptr<ChildProcess> process;
  Clock::time_point start;
  std::size_t slot = 0;    // of those at once, counted from 0: which CPUs are its own
  std::size_t memory = 0;  // bytes that it is thought to need
  std::string stage = {};
  Json result = {};  // null until it has come
  std::string error = {};
};

std::size_t most_memory(int64_t pixels) { return learn_memory(pixels, 3, LearnOptions().iterations); }

// How much memory a file takes: at first as learning in colour does; what takes more shows it by its first file.
class MemoryModel {
 public:
  [[nodiscard]] std::size_t of(int64_t pixels) const {
    return most_memory(pixels) + static_cast<std::size_t>(more_per_pixel_ * static_cast<double>(pixels));
  }
  void learn(int64_t pixels, std::size_t peak) {
    const std::size_t usual = most_memory(pixels);
    if (pixels == 0 || peak <= usual) return;
    more_per_pixel_ = std::max(more_per_pixel_, static_cast<double>(peak - usual) / static_cast<double>(pixels));
  }

 private:
  double more_per_pixel_ = 0;
};

InputRule rule_of(const ManyArguments& arguments, const ManyRun& run) {
  InputRule rule = run.rule;
  rule.suffix = std::filesystem::path(rule.suffix).replace_extension("." + arguments.format).string();
  return rule;
}

class ManyFiles {
 public:
  ManyFiles(const ManyArguments& arguments, const ManyRun& run)
      : run_(run),
        files_(find_input_files(arguments.files, rule_of(arguments, run))),
        manifest_(arguments.manifest),
        progress_(run.fit.quiet) {
    const int cpus = available_cpus(), count = static_cast<int>(std::min<std::size_t>(files_.size(), 1U << 20));
    // The number of threads decides about the last bits of a result, so that of jobs has no say in it.
    threads_ = run.fit.threads > 0 ? run.fit.threads : std::max(1, cpus / std::max(count, 1));
    jobs_ = arguments.jobs.value_or(std::max(1, cpus / threads_));
    memory_ = run.fit.memory_limit ? static_cast<std::size_t>(*run.fit.memory_limit) : available_memory();
    run.fit.threads = threads_;
    state_.files = files_.size();
    share_cpus(count);
    check_report();
  }

  ExitCode work() {
    const InterruptGuard interrupt;
    start_ = Clock::now();
    sort_out(interrupt);
    if (interrupt.signal() != 0) {
      waiting_.clear();
      asked_ = true;
    }
    while (!workers_.empty() || (!waiting_.empty() && !asked_)) {
      while (!asked_ && may_start()) begin(waiting_.front());
      wait_for_news();
      update();
      if (interrupt.signal() == 0 || asked_) continue;
      asked_ = true;
      for (const Worker& worker : workers_) worker.process->ask_to_end();
    }
    progress_.finish();
    write_index();
    tell_end(asked_);
    if (asked_) return exit_code_of(interrupt.signal());
    return failures_.empty() ? ExitCode::ok : ExitCode::some_failed;
  }

 private:
  // Bound to CPUs, files at once would be bound to the same ones: each gets some of its own, and binds its threads
  // there.
  void share_cpus(int files) {
    if (run_.fit.bind == name_of(Bind::none)) return;
    jobs_ = std::min(jobs_, std::max(1, files));
    if (jobs_ == 1) return;
    const Topology topology = read_topology();
    shares_ = split_cpus(topology, jobs_, threads_);
    if (shares_.empty()) {
      fail(
          "--bind {}: {} files at once on {} each need {} CPUs of their own, and there are {}: fewer --jobs or "
          "--threads, or no --bind",
          run_.fit.bind, jobs_, counted(threads_, "thread"), int64_t{jobs_} * threads_, topology.usable().size());
    }
  }

  [[nodiscard]] std::size_t free_slot() const {
    std::size_t slot = 0;
    const auto taken = [&](const Worker& worker) { return worker.slot == slot; };
    while (std::any_of(workers_.begin(), workers_.end(), taken)) ++slot;
    return slot;
  }

  // --report names a folder here, in which each file has its page in the place of its result.
  [[nodiscard]] std::string page_of(const InputFile& file) const { return file.place + ".html"; }

  void check_report() const {
    const std::string& folder = run_.fit.report;
    if (folder.empty()) return;
    std::error_code ignored;
    if (fs::exists(folder, ignored) && !fs::is_directory(folder, ignored)) {
      fail("--report {}: is a file, and of several inputs it is a folder that gets a page for each, and an index",
           folder);
    }
    std::map<std::string, std::string> pages{{"index.html", "the index"}};
    for (const InputFile& file : files_) {
      const auto [other, is_new] = pages.emplace(page_of(file), file.path);
      if (!is_new)
        fail("--report {}: {} and {} would have one page, {}", folder, other->second, file.path, page_of(file));
    }
    for (const auto& [page, input] : pages) {
      const std::string path = (fs::path(folder) / page).string();
      if (!run_.fit.force && fs::exists(path, ignored) && !is_report(path))
        fail("{}: exists already; --force replaces it", path);
    }
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) fail("--report {}: cannot be made: {}", folder, error.message());
  }

  void write_index() const {
    const std::string& folder = run_.fit.report;
    if (folder.empty()) return;
    std::vector<ReportedFile> files;
    for (const InputFile& file : files_) files.push_back({.name = file.path, .page = page_of(file), .failure = {}});
    for (const auto& [i, message] : failures_) files[i].failure = message;
    write_report_index(folder, files);
  }

  // Keeps what is there already, and refuses what is in the way.
  void sort_out(const InterruptGuard& interrupt) {
    for (std::size_t i = 0; i < files_.size() && interrupt.signal() == 0; ++i) {
      const InputFile& file = files_[i];
      std::error_code error;
      const fs::file_status status = fs::status(file.output, error);
      const State state = fs::exists(status) ? state_of(file) : State::absent;
      if (error && status.type() != fs::file_type::not_found) {
        failed(i, fmt::format("{}: {}: {}", file.path, file.output, error.message()));
      } else if (state == State::alike && has_page(file)) {
        ++state_.done;
        ++state_.kept;
      } else if (state == State::other && !run_.fit.force) {
        failed(i, fmt::format("{}: {} is there already, and was made of another input or with other settings: --force "
                              "replaces it",
                              file.path, file.output));
      } else {
        waiting_.push_back(i);
        if (state == State::unfinished || state == State::alike) replaced_.insert(i);
      }
    }
    for (const std::size_t i : waiting_) state_.pixels += files_[i].pixels;
  }

  [[nodiscard]] bool has_page(const InputFile& file) const {
    const std::string& folder = run_.fit.report;
    return folder.empty() || is_report((fs::path(folder) / page_of(file)).string());
  }

  enum class State : uint8_t { absent, alike, unfinished, other };

  // Of a result that is there.
  [[nodiscard]] State state_of(const InputFile& file) const {
    try {
      const auto record = find_text(read_beginning(file.output, kMetadataWithin), kRecordKeyword);
      if (!record) return State::other;
      const ParsedCommand line = settled(file);
      const std::string sha256 = sha256_hex(read_file(file.path));
      if (is_record_of(*record, line, in_force(line), sha256)) return State::alike;
      return is_unfinished_record(*record, sha256) ? State::unfinished : State::other;
    } catch (const Error&) {
      return State::other;  // and what is wrong with it is told when it is replaced
    }
  }

  [[nodiscard]] ParsedCommand settled(const InputFile& file) const {
    return run_.settled && file.format ? run_.settled(*file.format) : run_.line;
  }

  [[nodiscard]] NamedValues in_force(const ParsedCommand& line) const {
    NamedValues values{{"threads", fmt::format("{}", threads_)}};
    if (line.find("precision") != nullptr) {
      values.emplace_back("precision", std::string(name_of(choose_precision(run_.fit.precision))));
    }
    if (const std::optional<double> rate = set_rate(run_.fit); rate && line.find("learning-rate") != nullptr) {
      values.emplace_back("learning-rate", fmt::format("{}", *rate));
    }
    return values;
  }

  [[nodiscard]] bool may_start() const {
    if (waiting_.empty() || workers_.size() >= static_cast<std::size_t>(jobs_)) return false;
    if (workers_.empty()) return true;
    if (alone_) return false;
    std::size_t needed = model_.of(files_[waiting_.front()].pixels);
    for (const Worker& worker : workers_) needed += std::max(worker.memory, model_.of(files_[worker.file].pixels));
    return memory_ == 0 || needed <= memory_;
  }

  void begin(std::size_t i) {
    waiting_.pop_front();
    const InputFile& file = files_[i];
    std::error_code error;
    const fs::path folder = fs::path(file.output).parent_path();
    if (!folder.empty()) fs::create_directories(folder, error);
    if (error) return failed(i, fmt::format("{}: cannot be made: {}", folder.string(), error.message()));
    try {
      const std::size_t slot = free_slot();
      auto process = std::make_unique<ChildProcess>([this, i, slot] {
        if (!shares_.empty()) keep_to(mask_of(shares_[slot]));
        return run_in_child(i);
      });
      workers_.push_back({.file = i,
                          .process = std::move(process),
                          .start = Clock::now(),
                          .slot = slot,
                          .memory = model_.of(file.pixels)});
    } catch (const Error&) {
      // No more of them, then.
      if (workers_.empty()) throw;
      jobs_ = static_cast<int>(workers_.size());
      waiting_.push_front(i);
    }
  }

  ExitCode run_in_child(std::size_t i) const {
    const InputFile& file = files_[i];
    FitArguments& fit = run_.fit;
    const bool anew = fit.force;
    fit.input = file.path;
    fit.output = file.output;
    fit.json = fit.quiet = fit.final_only = true;
    fit.verbose = 0;
    if (!fit.report.empty()) {
      const fs::path page = fs::path(fit.report) / page_of(file);
      fs::create_directories(page.parent_path());
      fit.report = page.string();
      fit.force = true;  // the output has been looked at, and an earlier page is replaced
    }
    if (replaced_.contains(i)) fit.force = true;
    const std::string checkpoint = file.output + ".ckpt";
    if (!anew && fs::is_regular_file(checkpoint)) {
      if (!is_of_this(checkpoint, file)) {
        fail(
            "{}: is of a run with other settings or another input: give these again to go on with it, or --force to "
            "begin anew",
            checkpoint);
      }
      fit.resume = checkpoint;
    }
    return run_.run_one();
  }

  // Whether the run in the checkpoint is one of these settings with this input.
  [[nodiscard]] bool is_of_this(const std::string& checkpoint, const InputFile& file) const {
    try {
      const Archive archive = read_checkpoint(checkpoint);
      const ParsedCommand line = settled(file);
      return Settings(line, in_force(line)).agrees(Settings::parse(archive.text("settings")), line.given("threads")) &&
             archive.text("input_sha256") == sha256_hex(read_file(file.path));
    } catch (const Error&) {
      return false;
    }
  }

  void wait_for_news() {
    constexpr int kMilliseconds = 200;
    std::vector<pollfd> files;
    for (const Worker& worker : workers_) files.push_back({worker.process->descriptor(), POLLIN, 0});
    ::poll(files.data(), files.size(), kMilliseconds);
    for (std::size_t k = workers_.size(); k-- > 0;) {
      if (files[k].revents == 0) continue;
      Worker& worker = workers_[k];
      if (worker.process->read([&](const std::string& line) { heard(worker, line); })) continue;
      Worker ended = std::move(worker);
      workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(k));
      end(ended);
    }
  }

  static void heard(Worker& worker, const std::string& line) {
    const std::optional<Json> object = Json::parse(line);
    if (!object) return;
    if (const Json* error = object->find("error")) {
      worker.error = error->text_or({});
    } else if (object->find("event") != nullptr) {
      const auto number = [&](const char* name) {
        const Json* value = object->find(name);
        return value == nullptr ? 0 : value->number_or(0);
      };
      const double all = number("iterations"), share = all > 0 ? number("iteration") / all : number("share");
      const Json* stage = object->find("stage");
      worker.stage = fmt::format("{} {:.0f} %", stage == nullptr ? "" : stage->text_or({}), 100 * share);
    } else {
      worker.result = *object;
    }
  }

  void end(Worker& worker) {
    const InputFile& file = files_[worker.file];
    const ChildProcess::End end = worker.process->wait();
    model_.learn(file.pixels, end.peak_bytes);
    if (asked_ && is_ending(end.exit_code)) return;  // not done, and not failed either
    if ((end.signal == SIGKILL || is_ending(end.exit_code)) && alone_ != worker.file) {
      // The system kills where memory runs out, and so do others before it: once more, with nothing beside it.
      alone_ = worker.file;
      waiting_.push_front(worker.file);
      return;
    }
    if (alone_ == worker.file) alone_.reset();
    if (end.exit_code == 0 && worker.result.find("output") != nullptr) {
      succeeded(file, worker, seconds_since(worker.start));
    } else if (end.signal != 0 || is_ending(end.exit_code)) {
      failed(worker.file, fmt::format("{}: its process was ended by signal {}{}", file.path, end.exit_code - 128,
                                      end.signal == SIGKILL ? ", as the system does where memory runs out" : ""));
    } else {
      const std::string error = worker.error.empty() ? "failed" : worker.error;
      failed(worker.file, error.starts_with(file.path) ? error : file.path + ": " + error);
    }
  }

  // Whether a process that ends so has got a signal to end.
  static bool is_ending(int code) {
    return std::any_of(InterruptGuard::kSignals.begin(), InterruptGuard::kSignals.end(),
                       [&](int signal) { return code == static_cast<int>(exit_code_of(signal)); });
  }

  void succeeded(const InputFile& file, const Worker& worker, double seconds) {
    ++state_.done;
    pixels_ended_ += static_cast<double>(file.pixels);
    seconds_of_ended_ += seconds;
    tell_warnings(worker.result);
    progress_.file(state_, fmt::format("{}: {} in {}", file.output, run_.verb, duration_text(seconds)));
    record("done", worker.result);
  }

  void tell_warnings(const Json& result) {
    const Json* warnings = result.find("warnings");
    if (warnings == nullptr) return;
    for (const Json& one : warnings->elements()) progress_.say(one.text_or({}));
  }

  void failed(std::size_t i, const std::string& message) {
    ++state_.done;
    ++state_.failed;
    pixels_ended_ += static_cast<double>(files_[i].pixels);
    failures_.emplace_back(i, message);
    progress_.error(message);
    record("failed", Json{{"input", files_[i].path}, {"output", files_[i].output}, {"error", message}});
  }

  // What the manifest and --json say of a file.
  void record(const char* status, const Json& values) {
    Json object{{"status", status}};
    object.update(values);
    manifest_.add(object);
    if (run_.fit.json) print_to(stdout, object.text() + "\n");
  }

  void update() {
    state_.seconds = seconds_since(start_);
    state_.pixels_done = pixels_ended_;
    state_.under_way.clear();
    const double rate = seconds_of_ended_ > 0 ? pixels_ended_ / seconds_of_ended_ : 0;
    for (const Worker& worker : workers_) {
      // As fast as those before, as long as nothing speaks against it.
      constexpr double kMost = 0.95;
      const auto pixels = static_cast<double>(files_[worker.file].pixels);
      state_.pixels_done += std::min(kMost * pixels, rate * seconds_since(worker.start));
      state_.under_way.push_back((worker.stage.empty() ? "begins" : worker.stage) + "  " + files_[worker.file].path);
    }
    progress_.show(state_);
  }

  void tell_end(bool interrupted) {
    const std::size_t made = state_.done - state_.kept - state_.failed;
    std::string text = fmt::format("{}: {} {}", counted(static_cast<int64_t>(state_.files), "file"), made, run_.verb);
    if (state_.kept > 0) text += fmt::format(", {} kept as {}", state_.kept, state_.kept == 1 ? "it was" : "they were");
    if (state_.failed > 0) text += fmt::format(", {} failed", state_.failed);
    if (interrupted) text += fmt::format(", {} not done", state_.files - state_.done);
    progress_.say(text + fmt::format(" ({})", duration_text(seconds_since(start_))));
    if (interrupted) progress_.say("stopped early, as asked: the same command goes on");
    constexpr std::size_t kWorthRepeating = 8;  // files that have gone by since an error was told
    if (state_.files > kWorthRepeating) {
      for (const auto& [i, message] : failures_) progress_.say("failed: " + message);
    }
  }

  const ManyRun& run_;
  std::vector<InputFile> files_;
  Manifest manifest_;
  ManyProgress progress_;
  int threads_ = 1, jobs_ = 1;
  std::vector<CpuSet> shares_;  // of files at once, with --bind; none: wherever the system puts them
  std::size_t memory_ = 0;      // bytes that all together may hold; 0: nobody knows
  std::deque<std::size_t> waiting_;
  std::set<std::size_t> replaced_;  // whose results a run has left before its end, or lack the page that is asked for
  std::vector<Worker> workers_;
  bool asked_ = false;                // by a signal, to end
  std::optional<std::size_t> alone_;  // a file that was killed is done once more, with nothing beside it
  MemoryModel model_;
  ManyState state_;
  std::vector<std::pair<std::size_t, std::string>> failures_;
  double pixels_ended_ = 0, seconds_of_ended_ = 0;
  Clock::time_point start_;
};

void check_inputs(const ManyArguments& arguments, const ManyRun& run) {
  const InputArguments& files = arguments.files;
  if (files.inputs.empty() && files.files_from.empty()) {
    throw UsageError(fmt::format("INPUT is required\nTry 'hourglass {} --help'.", run.line.name));
  }
  if (files.null_separated && files.files_from.empty()) fail("-0: belongs to --files-from");
}

}  // namespace

void add_many_options(Command& command, ManyArguments& a) {
  Option& input = command.option("INPUT");
  input.target = &a.files.inputs;
  input.help += "; several, or folders with -r";
  input.required = false;
  const std::string heading = kManyFilesHeading;
  command.add({{.names = "-r,--recursive",
                .target = &a.files.recursive,
                .help = "Take the images in folders, and in those below",
                .heading = heading,
                .common = true},
               {.names = "--output-dir",
                .takes = "FOLDER",
                .target = &a.files.output_dir,
                .help = "Where the results go, each in the place that its input has in its folder (default: beside it)",
                .heading = heading,
                .common = true},
               {.names = "--files-from",
                .takes = "FILE",
                .target = &a.files.files_from,
                .help = "A list of inputs, one a line; -: from standard input",
                .heading = heading},
               {.names = "-0,--null",
                .target = &a.files.null_separated,
                .help = "The names in the list end with a zero byte, as 'find -print0' writes them",
                .heading = heading},
               {.names = "--format",
                .target = &a.format,
                .help = "Of the results: png, or jpg of --quality",
                .checks = {one_of({"png", "jpg"})},
                .heading = heading},
               {.names = "--jobs",
                .target = &a.jobs,
                .help = "How many files at once, each with --threads (default: as many as CPUs and memory allow); the "
                        "results are the same",
                .checks = {range(1, 4096)},
                .heading = heading},
               {.names = "--shard",
                .takes = "PART/PARTS",
                .target = &a.files.shard,
                .help = "2/8: the second of eight parts of the files, about equal in pixels, for as many machines",
                .heading = heading},
               {.names = "--manifest",
                .takes = "FILE",
                .target = &a.manifest,
                .help = "A file to which a JSON object is added for each file as it ends: input, SHA-256, output, "
                        "seconds, what was measured, warnings, or the error",
                .heading = heading}});
}

ExitCode run_files(const ManyArguments& arguments, const ManyRun& run) {
  check_inputs(arguments, run);
  if (arguments.files.one_file()) {
    if (arguments.jobs || !arguments.manifest.empty()) {
      fail("--{}: belongs to several inputs, a folder or --output-dir", arguments.jobs ? "jobs" : "manifest");
    }
    run.fit.input = arguments.files.inputs[0];
    if (run.line.given("output") && arguments.format != "png") {
      fail("--format {}: -o says it by its ending: leave out one of the two", arguments.format);
    }
    if (arguments.format != "png" && !is_stream(run.fit.input)) {
      run.fit.output = fs::path(run.fit.input).replace_extension(rule_of(arguments, run).suffix).string();
    }
    return run.run_one();
  }
  if (run.line.given("output")) {
    fail("-o names one file, and there may be several: name a folder by --output-dir, or leave it out");
  }
  for (const char* name : kOfOneFile) {
    if (run.line.given(name)) fail("--{}: is about one file, and there may be several", name);
  }
  if (run.fit.quality && arguments.format != "jpg") fail("--quality: belongs to --format jpg");
  return ManyFiles(arguments, run).work();
}

}  // namespace hourglass::cli
