#include "graph/onnx_import.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <utility>

#include "graph/detail/onnx_binder.h"
#include "graph/detail/onnx_model.h"
#include "graph/error.h"
#include "graph/text.h"

namespace hourglass {

std::string open_shape(const Shape& shape) {
  std::vector<std::string> extents;
  for (const int64_t extent : shape.dims()) extents.push_back(extent == 0 ? "?" : fmt::format("{}", extent));
  return extents.empty() ? "scalar" : join(extents, "x");
}

OnnxFile::OnnxFile(OnnxModel model) : model_(std::make_shared<const OnnxModel>(std::move(model))) {}

OnnxFile OnnxFile::read(const std::filesystem::path& path) {
  std::string bytes;
  try {
    bytes = read_onnx_bytes(path);
  } catch (const Error& error) {
    throw error.within(path.string());
  }
  return OnnxFile(parse_onnx(bytes, path.string(), path.has_parent_path() ? path.parent_path() : "."));
}

OnnxFile OnnxFile::parse(std::string_view bytes, std::string_view name) {
  return OnnxFile(parse_onnx(bytes, std::string(name), {}));
}

ImportedModel OnnxFile::bind(const OpTable& table, const ImportOptions& options) const {
  try {
    return Binder(*model_, table, options).bind();
  } catch (const Error& error) {
    throw error.within(model_->file);
  }
}

Examination OnnxFile::examine(const OpTable& table, const ImportOptions& options) const {
  return Binder(*model_, table, options).examine();
}

ImageInput OnnxFile::image_input() const {
  try {
    const OnnxInput& input = image_input_of(*model_);
    return {.name = input.name,
            .channels = input.type.shape[1],
            .height = input.type.shape[2],
            .width = input.type.shape[3]};
  } catch (const Error& error) {
    throw error.within(model_->file);
  }
}

std::vector<std::string> OnnxFile::output_names() const {
  std::vector<std::string> names;
  for (const OnnxInput& output : model_->outputs) names.push_back(output.name);
  return names;
}

std::vector<int64_t> OnnxFile::likely_sides() const {
  constexpr int64_t kLeast = 8, kMost = 4096;
  constexpr std::size_t kMostSides = 24, kMostExtents = 8;
  std::set<int64_t, std::greater<>> sides;
  const auto add_side = [&](int64_t side) {
    if (side >= kLeast && side <= kMost) sides.insert(side);
  };
  const auto add_extent = [&](int64_t extent) {
    add_side(extent);
    const auto root = static_cast<int64_t>(std::sqrt(static_cast<double>(std::max<int64_t>(extent, 0))));
    if (root * root == extent) add_side(root);
  };
  const auto add_tensor = [&](const HostTensor& tensor) {
    if (tensor.dtype == DType::i64 && tensor.values.size() <= kMostExtents) {
      for (const double value : tensor.values) {
        if (value <= static_cast<double>(kMost * kMost)) add_extent(static_cast<int64_t>(value));
      }
    }
    if (tensor.shape.rank() < 3) return;
    for (const int64_t extent : tensor.shape.dims()) add_extent(extent);
  };
  for (const auto& [name, data] : model_->initializers) add_tensor(*data);
  for (const OnnxNode& node : model_->nodes) {
    if (node.op == "Constant" && node.attrs.has("value")) add_tensor(node.attrs.tensor("value"));
  }
  std::vector<int64_t> result(sides.begin(), sides.end());
  if (result.size() > kMostSides) result.resize(kMostSides);
  return result;
}

ImportedModel import_onnx(const std::filesystem::path& path, const OpTable& table, const ImportOptions& options) {
  return OnnxFile::read(path).bind(table, options);
}

ImportedModel import_onnx(std::string_view bytes, std::string_view name, const OpTable& table,
                          const ImportOptions& options) {
  return OnnxFile::parse(bytes, name).bind(table, options);
}

}  // namespace hourglass
