// --report FILE.html of a fit: rewritten while it goes on, with the course of the run and snapshots of the way.
//
// The page is written again every few seconds, and less often where that would cost more than a twentieth of the time.
#pragma once

#include <string>

#include "engine/cli/fit_observer.h"
#include "engine/cli/fit_request.h"
#include "engine/cli/run_report.h"

namespace hourglass::cli {

class LiveReport : public FitObserver {
 public:
  // The request must outlive the report.
  explicit LiveReport(const FitRequest& request);

  void on_step(const RestoreStep& step, const RunLog& log) override;
  void on_result(const Outcome& outcome, const RunLog& log) override;
  void save(Archive& checkpoint) const override;
  void load(const Archive& checkpoint) override;

 private:
  void add_snapshot(const RestoreStep& step, const Image& average);
  // Puts in what only a fit has.
  void add_course(ReportPage& page, const RunLog& log, const RunEnds& ends) const;
  [[nodiscard]] std::string by_network() const;
  [[nodiscard]] Image image_of(std::span<const float> pixels) const;

  const FitRequest& request_;
  RunReport report_;
  std::vector<CaptionedPicture> snapshots_;
  double next_write_ = 0;     // seconds of the run
  double every_seconds_ = 4;  // between two pages
};

}  // namespace hourglass::cli
