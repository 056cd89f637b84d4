#include "engine/cli/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "engine/cli/json.h"
#include "engine/cli/output.h"
#include "engine/cli/prose.h"
#include "engine/cli/terminal.h"

namespace hourglass::cli {
namespace {

constexpr double kObjectInterval = 1.0;  // seconds between objects

// Seconds between lines in a log: a short run shows that it goes on, a long one does not fill the log.
double plain_interval(double seconds) {
  constexpr double kLeast = 1, kMost = 10, kShare = 0.05;
  return std::clamp(kShare * seconds, kLeast, kMost);
}

// As many of the fields as there is room for, two blanks between them; the first in any case.
std::string joined_within(const std::vector<std::string>& fields, std::size_t room) {
  std::string line;
  for (const std::string& field : fields) {
    if (field.empty()) continue;
    const std::string longer = line.empty() ? field : line + "  " + field;
    if (!line.empty() && columns_of(longer) > room) break;
    line = longer;
  }
  return line;
}

std::string rate_text(double rate) {
  return rate >= 1 || rate <= 0 ? fmt::format("{:.1f} it/s", rate) : fmt::format("{:.1f} s/it", 1 / rate);
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  if (whole >= 3600) return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

std::string time_left_text(const TimeLeft::Range& range, bool may_stop_early) {
  const std::string low = duration_text(range.low), high = duration_text(range.high);
  if (may_stop_early) return "at most " + high + " left";
  return low == high ? high + " left" : low + " to " + high + " left";
}

Progress::Progress(ProgressOptions options) : options_(options), terminal_(is_terminal()) {}
Progress::~Progress() { finish(); }

void Progress::begin(const std::string& stage) {
  finish();
  stage_ = stage;
  line_shown_ = json_shown_ = -1;
  left_ = {};
}

bool Progress::due(int64_t done, int64_t total, double seconds) {
  left_.add(done, seconds);
  const auto passed = [&](double shown, double interval) {
    return done >= total || shown < 0 || seconds - shown >= interval;
  };
  line_due_ = !options_.quiet && passed(line_shown_, terminal_ ? kTerminalInterval : plain_interval(seconds));
  // Not the first iteration: what is over within a second needs no reports on the way.
  if (json_shown_ < 0) json_shown_ = seconds;
  json_due_ = options_.json != nullptr && done < total && seconds - json_shown_ >= kObjectInterval;
  return line_due_ || json_due_;
}

void Progress::show(const ProgressPoint& point) {
  if (line_due_) show_line(point);
  if (json_due_) show_json(point);
}

void Progress::show(int64_t done, int64_t total, double seconds) {
  if (due(done, total, seconds)) show({.done = done, .total = total, .seconds = seconds});
}

void Progress::show_share(double share, double seconds) {
  constexpr int64_t kAll = 1'000'000;
  const auto done = static_cast<int64_t>(std::llround(share * static_cast<double>(kAll)));
  if (due(done, kAll, seconds)) show({.done = done, .total = kAll, .seconds = seconds, .is_share = true});
}

void Progress::show_json(const ProgressPoint& point) {
  json_shown_ = point.seconds;
  Json object{{"event", "progress"}};
  if (!stage_.empty()) object["stage"] = stage_;
  if (point.is_share) {
    object["share"] = static_cast<double>(point.done) / static_cast<double>(point.total);
  } else {
    object["iteration"] = point.done;
    object["iterations"] = point.total;
  }
  object["seconds"] = point.seconds;
  if (const auto range = left_.until(point.total)) {
    object["seconds_left"] = std::vector<double>{point.may_stop_early ? 0.0 : range->low, range->high};
  }
  object.update(point.values);
  print_to(options_.json, object.text() + "\n");
}

void Progress::show_line(const ProgressPoint& point) {
  line_shown_ = point.seconds;
  const double share = static_cast<double>(point.done) / static_cast<double>(point.total);
  const double rate = point.seconds > 0 ? static_cast<double>(point.done) / point.seconds : 0;
  const auto range = left_.until(point.total);
  const bool all_done = point.done >= point.total;
  const std::string left = all_done ? "done" : (range ? time_left_text(*range, point.may_stop_early) : "");
  std::vector<std::string> fields{
      point.is_share ? fmt::format("{} {:.0f} %", stage_, 100 * share) : fmt::format("{}/{}", point.done, point.total),
      left};
  fields.insert(fields.end(), point.fields.begin(), point.fields.end());
  if (options_.rate && !point.is_share) fields.push_back(rate_text(rate));
  if (terminal_) {
    // A line that wraps could not be rewritten.
    constexpr std::size_t kBar = 13;
    const std::size_t room = terminal_columns() - 1;
    const bool has_bar = room >= 4 * kBar;
    const std::string line = joined_within(fields, has_bar ? room - kBar : room);
    print_to(stderr, "\r\x1b[K" + (has_bar ? bar(share, kBar - 3) + " " + line : line.substr(0, room)));
    line_open_ = true;
  } else {
    print_to(stderr, joined_within(fields, std::string::npos) + "\n");
  }
}

void Progress::say(const std::string& text) {
  if (options_.quiet) return;
  finish();
  print_message(stderr, text);
}

void Progress::say_table(const std::string& text) {
  if (options_.quiet) return;
  finish();
  print_table(stderr, text);
}

void Progress::say_command(const std::string& before, const std::string& command) {
  if (options_.quiet) return;
  finish();
  print_command(stderr, before, command);
}

void Progress::finish() {
  if (line_open_) print_to(stderr, "\n");
  line_open_ = false;
}

}  // namespace hourglass::cli
