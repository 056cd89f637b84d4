// The CSV of a run, one row per iteration, which reaches the file about once a second, so that a run that is killed
// leaves its history. Of a fit:
//   iteration,seconds,loss,psnr_degraded,psnr_degraded_average,psnr_original,psnr_original_average,run
// where the PSNRs are in dB, the last two of them empty when the original is not known, and `run` counts from 0,
// `iteration` within it. Of a lesson:
//   iteration,seconds,error
// where the error is the rms, in grey levels, of what the network's picture of smaller pictures is off by.
// Lines that begin with '#' come first and say what repeats the run; pandas.read_csv(file, comment='#') skips them.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "engine/restore/learn.h"
#include "engine/restore/restore.h"

namespace hourglass::cli {

inline constexpr std::string_view kFitColumns =
    "iteration,seconds,loss,psnr_degraded,psnr_degraded_average,psnr_original,psnr_original_average,run";
inline constexpr std::string_view kLessonColumns = "iteration,seconds,error";

class History {
 public:
  // An empty path keeps the rows in memory only, "-" is standard output. `rows` are those of an earlier part of the run
  // (rows()), `record` what goes behind the '#'. Throws Error.
  History(const std::string& path, std::string_view columns, const std::string& record, std::string rows,
          bool overwrite);

  // A disk that is full is no reason to end a run: what can't be written now is tried again later.
  void add(const RestoreStep& step);
  void add(const LearnStep& step, double seconds);
  // Brings all that was added into the file; whether that worked.
  bool try_flush();
  // The same. Throws Error.
  void flush();
  [[nodiscard]] const std::string& rows() const { return rows_; }

 private:
  void add_row(const std::string& row, double seconds);

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::string rows_;
  std::size_t written_ = 0;  // of rows_
  double flushed_at_ = 0;    // seconds
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace hourglass::cli
