// The CSV of a run, one row per iteration:
//   iteration,seconds,loss,psnr_degraded,psnr_degraded_average,psnr_original,psnr_original_average
// The last two are empty when the original is not known. PSNRs are in dB. `run` counts from 0, `iteration` within it.
// Lines that begin with '#' come first and say what repeats the run; pandas.read_csv(file, comment='#') skips them.
//
// The rows reach the file about once a second, so that a run that is killed leaves its history.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "engine/restore/restore.h"

namespace hourglass::cli {

class History {
 public:
  // An empty path keeps the rows in memory only, "-" is standard output. `rows` are those of an earlier part of the run
  // (rows()), `record` what goes behind the '#'. Throws Error.
  History(const std::string& path, const std::string& record, std::string rows, bool overwrite);

  // A disk that is full is no reason to end a run: what can't be written now is tried again later.
  void add(const RestoreStep& step);
  // Brings all that was added into the file; whether that worked.
  bool try_flush();
  // The same. Throws Error.
  void flush();
  [[nodiscard]] const std::string& rows() const { return rows_; }

 private:
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
