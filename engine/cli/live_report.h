// --report FILE.html: the page that shows a fit, rewritten while it goes on.
//
// The page is written again every few seconds, and less often where that would cost more than a twentieth of the time.
#pragma once

#include <string>

#include "engine/cli/fit_observer.h"
#include "engine/cli/fit_request.h"
#include "engine/report/html_report.h"

namespace hourglass::cli {

class LiveReport : public FitObserver {
 public:
  // The request must outlive the report.
  explicit LiveReport(const FitRequest& request);

  void on_step(const RestoreStep& step, const RunLog& log) override;
  void on_result(const RestoreResult& result, const RunLog& log) override;
  void save(Archive& checkpoint) const override;
  void load(const Archive& checkpoint) override;

 private:
  void add_snapshot(const RestoreStep& step, const Image& average);
  // What is the same while the run goes on and at its end.
  [[nodiscard]] ReportPage page(const Image& after, const RunLog& log) const;
  void write(const ReportPage& page);
  [[nodiscard]] Image image_of(std::span<const float> pixels) const;

  const FitRequest& request_;
  Table settings_;
  std::string command_;
  Picture before_;
  std::vector<CaptionedPicture> snapshots_;
  bool written_ = false;
  double next_write_ = 0;     // seconds of the run
  double every_seconds_ = 4;  // between two pages
};

}  // namespace hourglass::cli
