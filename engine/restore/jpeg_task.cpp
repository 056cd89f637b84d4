#include "engine/restore/jpeg_task.h"

#include <algorithm>
#include <numeric>

#include "engine/image/file.h"
#include "engine/image/read_image.h"
#include "engine/restore/energy.h"
#include "engine/restore/jpeg_part.h"
#include "engine/restore/pixel_psnr.h"
#include "graph/error.h"

namespace hourglass {
namespace {

class JpegTask : public Task {
 public:
  JpegTask(const RestoreInput& input, const JpegTaskOptions& options)
      : options_(options),
        input_(input),
        degraded_(input.degraded.image),
        first_(input.first ? &*input.first : nullptr) {
    if (input.jpeg) model_.emplace(*input.jpeg);
    if (options.cell_weight > 0 && !model_) fail("the cell energy needs a JPEG: only its file states cells");
  }

  [[nodiscard]] const Image& baseline() const override { return degraded_; }

  ValueId energy(GraphBuilder& builder, ValueId image) const override {
    const double weight = options_.cell_weight;
    const auto mse = [&] { return mse_energy(builder, image, degraded_); };
    const auto cell = [&] { return cell_energy(builder, image, *model_, options_.half_width); };
    const ValueId energy = weight <= 0 ? mse() : weight >= 1 ? cell() : blended_energy(builder, mse(), cell(), weight);
    return options_.total_variation > 0 ? with_total_variation(builder, energy, image, options_.total_variation)
                                        : energy;
  }

  [[nodiscard]] double psnr_degraded(const float* image) const override { return pixel_psnr(image, degraded_); }

  [[nodiscard]] Discrepancy discrepancy() const override {
    if (!model_) return {};
    return [this](std::span<const float> values) {
      Image image(degraded_.width, degraded_.height, degraded_.channels);
      std::copy(values.begin(), values.end(), image.pixels.begin());
      return rms_cell_offset(image, *model_) / kOriginalCellOffset;
    };
  }

  [[nodiscard]] Finished finish(Image average, int levels, const Advance& advance) const override {
    if (!model_ || !options_.use_cells) return Task::finish(std::move(average), levels, advance);
    const Image posterior = to_posterior_mean(average, *model_, options_.sigma_factor);
    return finish_in_cells(filter_jpeg(posterior, degraded_, *model_, {.passes = options_.refine_passes}, advance),
                           degraded_, *model_, {.levels = levels, .strength = options_.strength});
  }

  [[nodiscard]] std::optional<Finished> filter(int levels, const Advance& advance) const override {
    if (!model_) return {};
    JpegSource source(model_->file(), degraded_, first_, {.levels = levels, .strength = options_.strength});
    return source.finish(source.filter(advance));
  }

  [[nodiscard]] std::unique_ptr<Task> tile(const Rectangle& rectangle) const override;
  [[nodiscard]] int64_t tile_unit() const override {
    return input_.jpeg ? std::lcm(mcu_width(*input_.jpeg), mcu_height(*input_.jpeg)) : 1;
  }

 private:
  JpegTaskOptions options_;
  const RestoreInput& input_;
  const Image& degraded_;
  const FirstCompression* first_;
  std::optional<JpegModel> model_;
};

struct OwnInput {
  const RestoreInput own;
};

class JpegTileTask : OwnInput, public JpegTask {
 public:
  JpegTileTask(RestoreInput input, const JpegTaskOptions& options)
      : OwnInput{std::move(input)}, JpegTask(own, options) {}
};

std::unique_ptr<Task> JpegTask::tile(const Rectangle& rectangle) const {
  RestoreInput input;
  input.degraded.image = crop(degraded_, rectangle.x, rectangle.y, rectangle.width, rectangle.height);
  if (input_.jpeg) input.jpeg = part_of(*input_.jpeg, rectangle);
  return std::make_unique<JpegTileTask>(std::move(input), options_);
}

}  // namespace

RestoreInput load_input(const std::string& path, std::size_t memory_limit) {
  const std::vector<uint8_t> bytes = read_file(path);
  RestoreInput input{.degraded = decode_image(bytes, path, memory_limit), .jpeg = {}, .first = {}};
  if (input.degraded.format == ImageFormat::jpeg) {
    try {
      input.jpeg = read_jpeg_coefficients(bytes);
    } catch (const Error& error) {
      throw error.within(path);
    }
  }
  return input;
}

std::unique_ptr<Task> make_jpeg_task(const RestoreInput& input, const JpegTaskOptions& options) {
  return std::make_unique<JpegTask>(input, options);
}

}  // namespace hourglass
