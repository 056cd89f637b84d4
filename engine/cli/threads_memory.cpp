// Memory: how large an image fits. Plans on paper, at growing sizes; nothing is run.
#include <algorithm>
#include <cmath>

#include "engine/cli/scaling_figure.h"
#include "engine/cli/threads_arguments.h"
#include "engine/runtime/memory.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

struct Fitting {
  ImageSize size;
  std::size_t bytes = 0;
  [[nodiscard]] double megapixels() const { return static_cast<double>(size.width * size.height) * 1e-6; }
};

// Of the shape that --size has, with sides that every built-in topology takes as they are.
ImageSize shaped(const ImageSize& shape, double long_side) {
  constexpr int64_t kMultiple = 32;
  const double factor = long_side / static_cast<double>(std::max(shape.width, shape.height));
  const auto side = [&](int64_t length) {
    const auto steps = static_cast<int64_t>(static_cast<double>(length) * factor / kMultiple);
    return std::max<int64_t>(1, steps) * kMultiple;
  };
  return {.width = side(shape.width), .height = side(shape.height)};
}

}  // namespace

ThreadsReport run_memory(const ThreadsArguments& a, const Machine& machine, Progress& progress) {
  if (a.threads.size() > 1) fail("--mode memory plans for one number of threads: give --threads one number");
  const int threads = a.threads.empty() ? machine.available : a.threads[0];
  const std::size_t limit = a.network.memory_limit ? *a.network.memory_limit : available_memory();
  if (limit == 0) fail("the free memory is not known here: say what may be used with --memory-limit");
  BenchNetwork unlimited = a.network;
  unlimited.memory_limit.reset();
  const ImageSize shape = parse_size(a.network.size);
  progress.begin("planning");
  const auto planned = [&](double long_side) {
    const ImageSize size = shaped(shape, long_side);
    return Fitting{.size = size, .bytes = bench_bytes(unlimited, size, threads)};
  };
  std::vector<Fitting> rows;
  constexpr double kFirst = 256, kLargest = 32768;
  for (double side = kFirst; side <= kLargest; side *= 2) {
    rows.push_back(planned(side));
    if (rows.back().bytes > limit) break;
  }
  // Between the last that fits and the first that does not.
  double fits = rows.size() > 1 ? kFirst * std::exp2(static_cast<double>(rows.size()) - 2) : 0, too_large = 2 * fits;
  std::optional<Fitting> largest;
  if (rows.back().bytes <= limit) {
    largest = rows.back();
  } else if (fits > 0) {
    rows.pop_back();
    largest = rows.back();
    constexpr double kStep = 32;
    while (too_large - fits > kStep) {
      const double middle = (fits + too_large) / 2;
      const Fitting row = planned(middle);
      if (row.bytes <= limit) largest = row;
      (row.bytes <= limit ? fits : too_large) = middle;
    }
    if (largest->size.width != rows.back().size.width || largest->size.height != rows.back().size.height) {
      rows.push_back(*largest);
    }
  }
  progress.finish();

  ThreadsReport report;
  constexpr double kMiB = 1 << 20;
  report.text = fmt::format("{:>13}  {:>10}  {:>10}  {:>12}\n", "size", "megapixels", "MiB", "bytes/pixel");
  report.csv = "width,height,bytes\n";
  report.json["limit_bytes"] = limit;
  report.json["points"] = Json::array();
  std::vector<FigurePoint> dots;
  for (const Fitting& row : rows) {
    const auto bytes = static_cast<double>(row.bytes);
    const std::string size = fmt::format("{}x{}", row.size.width, row.size.height);
    report.text += fmt::format("{:>13}  {:10.2f}  {:10.0f}  {:12.0f}\n", size, row.megapixels(), bytes / kMiB,
                               bytes / static_cast<double>(row.size.width * row.size.height));
    report.csv += fmt::format("{},{},{}\n", row.size.width, row.size.height, row.bytes);
    report.json["points"].push_back(
        Json{{"name", size}, {"width", row.size.width}, {"height", row.size.height}, {"bytes", row.bytes}});
    dots.push_back(
        {.count = 0, .x = row.megapixels(), .rate = {bytes / kMiB, bytes / kMiB, bytes / kMiB}, .rounds = {}});
  }
  report.figure = memory_figure(dots, static_cast<double>(limit) / kMiB);
  const std::string where = a.network.memory_limit ? "--memory-limit" : "what is free now";
  if (!largest) {
    report.text += fmt::format("\nNot even {}x{} fits into {:.0f} MiB ({}).\n", rows[0].size.width, rows[0].size.height,
                               static_cast<double>(limit) / kMiB, where);
    report.recommended = fmt::format("hourglass restore {} --fast", kPhoto);
    return report;
  }
  const bool ends = largest->bytes <= limit && std::max(largest->size.width, largest->size.height) >= kLargest;
  report.text += fmt::format("\nThe largest that fits into {:.0f} MiB ({}) on {} thread{}: {}{:.1f} megapixels.\n",
                             static_cast<double>(limit) / kMiB, where, threads, threads == 1 ? "" : "s",
                             ends ? "more than " : "", largest->megapixels());
  report.json["largest_width"] = largest->size.width;
  report.json["largest_height"] = largest->size.height;
  report.recommended = restore_command(a, {.threads = threads, .memory_limit = limit});
  return report;
}

}  // namespace hourglass::cli
