// The compression of one JPEG as a degradation: its tables, its sampling, its colours (J, jpeg_pipeline.h), and
// the filter of filter.h.
#pragma once

#include <memory>
#include <vector>

#include "engine/image/jpeg.h"
#include "engine/restore/degradation.h"
#include "engine/restore/jpeg_model.h"

namespace hourglass {

class JpegDegradation : public Degradation {
 public:
  // Of the file, tables, sampling and colour alone.
  explicit JpegDegradation(const JpegCoefficients& file);

  [[nodiscard]] std::size_t channels() const override { return file_.components.size(); }
  [[nodiscard]] std::vector<Plane> to_planes(const Image& image) const override { return model_.to_planes(image); }
  [[nodiscard]] Image to_image(const std::vector<Plane>& planes) const override { return model_.to_image(planes); }
  [[nodiscard]] MapConditions conditions() const override;
  [[nodiscard]] std::string obstacle() const override;
  [[nodiscard]] Spoiled spoil(const std::vector<Plane>& picture, uint64_t seed, uint32_t index) const override;
  void identify(Digest& digest) const override;

 private:
  JpegCoefficients file_;  // without coefficients
  JpegModel model_;
};

// Of the posterior mean behind the network (consistency.h). The network was shown the decoded pixels and has learned
// where in the cells originals lie, so its picture is moved less than the filter's. On five photographs in colour at
// quality 10, 0.35 and 0.7 are within 0.009 dB of it, 1 costs up to 0.05 (bench/README.md, "Lessons").
inline constexpr double kLearnedSigmaFactor = 0.5;

// A JPEG that is there. The model must outlive it.
std::unique_ptr<Degraded> degraded_jpeg(const JpegModel& model);

}  // namespace hourglass
