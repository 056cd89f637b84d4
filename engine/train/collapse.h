// A fit that suddenly comes apart is taken back to where it was well.
//
// Adam at a high rate makes a fit jump now and then; mostly it recovers, sometimes it does not. The guard watches the
// PSNR to the input and the loss, and keeps the state of some time ago, as a snapshot (fit.h).
//
//   CollapseGuard guard(fit);
//   fit.set_learning_rate(rate * guard.rate_factor());
//   const double loss = fit.step();
//   switch (guard.observe(fit, loss, psnr)) { ... }
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "engine/train/archive.h"
#include "engine/train/fit.h"

namespace hourglass {

class CollapseGuard {
 public:
  enum class Verdict : uint8_t {
    well,
    fell,      // the fit has been taken back; what it made last is worthless
    hopeless,  // it fell again and again, at ever lower rates; it has been taken back once more
  };

  // The state of `fit` is the first to return to. `wary`: also takes back a fit that, over 51 iterations, is no better
  // than at its beginning, and lowers the rate each time; for networks of which nothing is known.
  explicit CollapseGuard(Fit& fit, bool wary = false);
  // As save() left it; of the fit that it guards.
  CollapseGuard(const Archive& archive, const Fit& fit, bool wary = false);
  // Bytes that it holds of a fit whose trained values have so many elements, and whose image so many.
  static std::size_t bytes(int64_t trained, int64_t image);

  // After each step(): its loss, and the PSNR of its image to the input.
  Verdict observe(Fit& fit, double loss, double psnr);
  // Whether the state that the fit is taken back to is a later one than the first: it was well for a while.
  [[nodiscard]] bool has_been_well() const;
  // 1, halved at each fall that follows another before the fit was well again; of a wary guard, at each fall.
  [[nodiscard]] double rate_factor() const { return rate_factor_; }
  // Of the first iteration, and the median of the latest up to 51 since the last fall. NaN where there are none.
  [[nodiscard]] double first_loss() const { return first_loss_; }
  [[nodiscard]] double recent_loss() const;

  // Refers to the guard until the archive is written.
  void save(Archive& archive) const;

 private:
  [[nodiscard]] bool collapsed(double loss, double psnr) const;

  // The states of 50 to 100 iterations ago and of 0 to 50: the newer one becomes the one to return to only when the
  // fit has been well for so long after it.
  std::shared_ptr<const FitSnapshot> good_, candidate_;
  std::vector<double> psnrs_, losses_;  // of the latest iterations, oldest first
  bool wary_;
  double first_loss_ = std::numeric_limits<double>::quiet_NaN();
  int64_t since_candidate_ = 0;
  int64_t falls_in_a_row_ = 0;
  double rate_factor_ = 1;
};

}  // namespace hourglass
