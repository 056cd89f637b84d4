// --report FILE.html, as far as it is alike for every method: what went in and what came out, compared, the maps, the
// settings, the machine, and the command.
//
//   RunReport report(request, values_of_filter(request));
//   report.write(report.result_page(outcome));
#pragma once

#include <optional>
#include <string>

#include "engine/cli/outcome.h"
#include "engine/cli/run_request.h"
#include "engine/report/html_report.h"
#include "engine/report/run_log.h"

namespace hourglass::cli {

// "2026-01-31 12:00:00"
std::string now_in_utc();

// "31.20 dB"
std::string decibels(double value);

class RunReport {
 public:
  // The request must outlive the report. in_force: the values that were left to the machine.
  RunReport(const RunRequest& request, const NamedValues& in_force);

  // `after` as it stands; `by` ends the sentence that says what was done: "by the filter".
  [[nodiscard]] ReportPage page(const Image& after, const std::string& by) const;
  // At the end.
  [[nodiscard]] ReportPage result_page(const Outcome& outcome, const std::string& by) const;
  // Replaces what the run itself has written. Throws Error.
  void write(const ReportPage& page);
  // What is there is of the run's first part.
  void adopt() { written_ = true; }

  // Upright, in the colours that the input means; a large one as a JPEG.
  [[nodiscard]] Picture picture_of(const Image& image) const;
  // What the plots show beside the iterations, before the run's end.
  [[nodiscard]] RunEnds ends() const;

 private:
  [[nodiscard]] Image seen(const Image& image) const;
  void add_command(ReportPage& page) const;

  const RunRequest& request_;
  Table settings_;
  Picture before_;
  std::optional<Picture> original_;
  bool written_ = false;
};

}  // namespace hourglass::cli
