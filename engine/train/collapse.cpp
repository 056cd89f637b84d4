#include "engine/train/collapse.h"

#include <algorithm>
#include <cmath>

#include "graph/error.h"

namespace hourglass {
namespace {

constexpr std::size_t kRecent = 51;  // iterations whose median is what the next one is held against
constexpr int64_t kInterval = 50;    // between the states that are kept
constexpr int64_t kMostFalls = 8;    // in a row; the rate is then 1/128 of what it was
// In twelve runs of the small network an iterate lay at most 4.1 dB under that median and recovered; the loss, which is
// the PSNR's mean squared error or smaller where cells are fitted, may jump by more before it means anything.
constexpr double kPsnrDrop = 5;
constexpr double kLossJump = 100;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void remember(std::vector<double>& values, double value) {
  if (values.size() == kRecent) values.erase(values.begin());
  values.push_back(value);
}

}  // namespace

CollapseGuard::CollapseGuard(Fit& fit, bool wary)
    : good_(std::make_shared<const FitSnapshot>(fit.snapshot())), candidate_(good_), wary_(wary) {}

std::size_t CollapseGuard::bytes(int64_t trained, int64_t image) {
  constexpr std::size_t kSnapshots = 2;
  return kSnapshots * (static_cast<std::size_t>(trained) * (sizeof(uint16_t) + sizeof(uint8_t)) +
                       static_cast<std::size_t>(image) * sizeof(float));
}

bool CollapseGuard::has_been_well() const { return good_->iteration > 0; }

double CollapseGuard::recent_loss() const {
  return losses_.empty() ? std::numeric_limits<double>::quiet_NaN() : median(losses_);
}

bool CollapseGuard::collapsed(double loss, double psnr) const {
  if (!std::isfinite(loss)) return true;
  if (wary_ && losses_.size() == kRecent && recent_loss() >= first_loss_) return true;
  if (psnrs_.size() < kRecent / 2) return false;
  return !(psnr >= median(psnrs_) - kPsnrDrop) || loss > kLossJump * median(losses_);
}

CollapseGuard::Verdict CollapseGuard::observe(Fit& fit, double loss, double psnr) {
  if (std::isnan(first_loss_)) first_loss_ = loss;
  if (collapsed(loss, psnr)) {
    fit.restore(*good_);
    if (++falls_in_a_row_ > kMostFalls) return Verdict::hopeless;
    if (wary_ || falls_in_a_row_ > 1) rate_factor_ /= 2;
    candidate_ = good_;
    since_candidate_ = 0;
    psnrs_.clear();
    losses_.clear();
    return Verdict::fell;
  }
  remember(psnrs_, psnr);
  remember(losses_, loss);
  if (++since_candidate_ == kInterval) {
    since_candidate_ = 0;
    good_ = std::move(candidate_);
    candidate_ = std::make_shared<const FitSnapshot>(fit.snapshot());
    // Twice the interval since the last fall, which began with both states the same.
    if (psnrs_.size() == kRecent) falls_in_a_row_ = 0;
  }
  return Verdict::well;
}

void CollapseGuard::save(Archive& archive) const {
  for (const auto& [name, snapshot] : {std::pair{"guard/good", good_}, std::pair{"guard/candidate", candidate_}}) {
    Archive part;
    snapshot->save(part);
    archive.put(name, part);
  }
  archive.put("guard/psnrs", psnrs_);
  archive.put("guard/losses", losses_);
  archive.put("guard/first_loss", first_loss_);
  archive.put("guard/since_candidate", since_candidate_);
  archive.put("guard/falls_in_a_row", falls_in_a_row_);
  archive.put("guard/rate_factor", rate_factor_);
}

CollapseGuard::CollapseGuard(const Archive& archive, const Fit& fit, bool wary)
    : good_(std::make_shared<const FitSnapshot>(fit.load_snapshot(archive.part("guard/good")))),
      candidate_(std::make_shared<const FitSnapshot>(fit.load_snapshot(archive.part("guard/candidate")))),
      psnrs_(archive.numbers("guard/psnrs")),
      losses_(archive.numbers("guard/losses")),
      wary_(wary) {
  if (psnrs_.size() > kRecent || losses_.size() != psnrs_.size()) fail("its recent losses and PSNRs do not add up");
  first_loss_ = archive.number("guard/first_loss");
  since_candidate_ = archive.integer("guard/since_candidate", 0, kInterval - 1);
  falls_in_a_row_ = archive.integer("guard/falls_in_a_row", 0, kMostFalls + 1);
  rate_factor_ = archive.number("guard/rate_factor");
}

}  // namespace hourglass
