#include "engine/restore/jpeg_degradation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "engine/restore/consistency.h"
#include "engine/restore/filter.h"
#include "engine/restore/jpeg_pipeline.h"
#include "engine/restore/pixel_psnr.h"

namespace hourglass {
namespace {

// The file's own pixels, its cells, and a pass of the filter behind a network.
class DegradedJpeg : public Degraded {
 public:
  // The degradation and the model must outlive it.
  DegradedJpeg(const Degradation& degradation, const JpegModel& model) : degradation_(degradation), model_(model) {}

  [[nodiscard]] const Degradation& degradation() const override { return degradation_; }
  [[nodiscard]] std::vector<Plane> planes() const override { return decode(model_); }
  void settle(std::vector<Plane>& estimate) const override { to_posterior_mean(estimate, model_, kLearnedSigmaFactor); }

  [[nodiscard]] Image refine(Image estimate, const Advance& advance) const override {
    // In units of the rms change of luma from the JPEG's; the filter's first pass takes 1.3 times as much. On the
    // photographs of kLearnedSigmaFactor, 0.35 to 0.6 are within 0.01 dB of each other.
    constexpr double kNoise = 0.4;
    const std::vector<float> from = decode(model_)[0].samples, to = model_.to_planes(estimate)[0].samples;
    const auto count = static_cast<int64_t>(to.size());
    const double change = std::sqrt(squared_distance(to.data(), from.data(), count) / static_cast<double>(count));
    if (!(change > 0)) return estimate;
    return filter_jpeg(estimate, estimate, model_,
                       {.passes = 1, .noise = kNoise * change, .sigma_factor = kLearnedSigmaFactor}, advance);
  }

 private:
  const Degradation& degradation_;
  const JpegModel& model_;
};

// A picture that was compressed here, with its file.
struct Compressed {
  explicit Compressed(JpegCoefficients made) : file(std::move(made)), model(file) {}
  const JpegCoefficients file;
  const JpegModel model;
};

class CompressedPicture : private Compressed, public DegradedJpeg {
 public:
  CompressedPicture(const Degradation& degradation, JpegCoefficients made)
      : Compressed(std::move(made)), DegradedJpeg(degradation, model) {}

  [[nodiscard]] Image filtered() const {
    Image image = model.to_image(planes());
    clamp(image);
    return filter_jpeg(image, image, model);
  }
};

// A JPEG that is there, with its degradation.
struct OwnDegradation {
  JpegDegradation own;
};

class GivenJpeg : private OwnDegradation, public DegradedJpeg {
 public:
  explicit GivenJpeg(const JpegModel& model)
      : OwnDegradation{.own = JpegDegradation(model.file())}, DegradedJpeg(own, model) {}
};

}  // namespace

JpegDegradation::JpegDegradation(const JpegCoefficients& file) : file_(without_coefficients(file)), model_(file_) {}

MapConditions JpegDegradation::conditions() const {
  const JpegPipeline pipeline(model_);
  const auto& components = pipeline.components();
  const double coarseness = pipeline.coarseness();
  return {.strength = coarseness,
          .noise = table_noise(coarseness),
          .blocks = true,
          .transposes =
              std::all_of(components.begin(), components.end(), [](const auto& c) { return c.ratio_v == c.ratio_h; })};
}

std::string JpegDegradation::obstacle() const {
  const bool has_luma = file_.color != JpegColor::rgb && model_.ratio_h(0) == 1 && model_.ratio_v(0) == 1;
  return has_luma ? "" : "the JPEG is RGB, or its luma has not the full resolution";
}

Spoiled JpegDegradation::spoil(const std::vector<Plane>& picture, uint64_t /*seed*/, uint32_t /*index*/) const {
  auto made = std::make_unique<CompressedPicture>(*this, compress_like(picture, model_));
  Image filtered = made->filtered();
  return {.picture = std::move(made), .filtered = std::move(filtered)};
}

void JpegDegradation::identify(Digest& digest) const {
  const auto add = [&](const auto* values, std::size_t count) {
    digest.add(std::span(reinterpret_cast<const uint8_t*>(values), count * sizeof(*values)));
  };
  const std::array kind{static_cast<int64_t>(file_.color), static_cast<int64_t>(file_.components.size())};
  add(kind.data(), kind.size());
  for (const JpegComponent& c : file_.components) {
    const std::array sampling{c.h_sampling, c.v_sampling};
    add(sampling.data(), sampling.size());
    add(c.quantization.data(), c.quantization.size());
    add(c.bits.missing.data(), c.bits.missing.size());
  }
}

std::unique_ptr<Degraded> degraded_jpeg(const JpegModel& model) { return std::make_unique<GivenJpeg>(model); }

}  // namespace hourglass
