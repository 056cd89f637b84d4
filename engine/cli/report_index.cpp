#include "engine/cli/report_index.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "engine/cli/run_report.h"
#include "engine/image/file.h"
#include "engine/image/jpeg.h"
#include "engine/image/metrics.h"
#include "engine/report/contact_sheet.h"
#include "engine/report/index_page.h"
#include "engine/report/run_log.h"
#include "engine/report/text.h"
#include "graph/error.h"

namespace hourglass::cli {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSide = 144;  // pixels of a thumbnail
constexpr const char* kTitle = "Restored photographs";
constexpr const char* kDataUri = "data:image/jpeg;base64,";

// All pictures of a file are some 17 KB of an index, the whole result 6, a small one 2: so much for each, and an index
// of ten thousand files stays one that browsers open.
constexpr std::size_t kFilesWithAll = 1000, kFilesWithWhole = 3000, kFilesWithSmall = 12000;
constexpr int64_t kSmallSide = 48;

// The corner of the square of kSide pixels in which two images differ most, of those that begin at multiples of a
// quarter of it.
std::pair<int64_t, int64_t> most_changed(const Image& a, const Image& b) {
  constexpr int64_t kStep = kSide / 4;
  const int64_t width = std::min(a.width, kSide), height = std::min(a.height, kSide);
  std::pair<int64_t, int64_t> best{0, 0};
  double most = -1;
  for (int64_t y = 0; y + height <= a.height; y += kStep) {
    for (int64_t x = 0; x + width <= a.width; x += kStep) {
      double sum = 0;
      // Every other pixel is enough to tell.
      for (int64_t v = y; v < y + height; v += 2) {
        for (int64_t u = x; u < x + width; u += 2) {
          const double d = a.at(0, v, u) - b.at(0, v, u);
          sum += d * d;
        }
      }
      if (sum > most) most = sum, best = {x, y};
    }
  }
  return best;
}

Json picture_json(const Image& image) {
  constexpr int kQuality = 88;
  const std::vector<uint8_t> bytes = encode_jpeg(image, {.quality = kQuality, .subsampling = Subsampling::s444});
  return {{"width", image.width}, {"height", image.height}, {"uri", kDataUri + to_base64(bytes)}};
}

// RFC 4648, section 4. What is none of its letters ends it.
std::vector<uint8_t> from_base64(std::string_view text) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<uint8_t> bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t value = kLetters.find(c);
    if (value == std::string_view::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<uint8_t>(bits >> count));
  }
  return bytes;
}

// A thumbnail of a thumbnail.
std::optional<Thumbnail> smaller(const std::optional<Thumbnail>& picture) {
  if (!picture) return {};
  try {
    const std::string_view uri = picture->uri;
    const Image image = thumbnail(decode_jpeg(from_base64(uri.substr(uri.find(',') + 1))).image, kSmallSide);
    constexpr int kSmallQuality = 70;
    const std::vector<uint8_t> bytes = encode_jpeg(image, {.quality = kSmallQuality, .optimize = true});
    return Thumbnail{.width = image.width, .height = image.height, .uri = kDataUri + to_base64(bytes)};
  } catch (const Error&) {
    return {};
  }
}

// A page may be anybody's: 0 for what is no side of a picture.
int64_t side_in(const Json& object, const char* name) {
  constexpr double kMost = 1e9;
  const Json* value = object.find(name);
  const double side = value == nullptr ? 0 : value->number_or(0);
  return side >= 0 && side <= kMost ? static_cast<int64_t>(side) : 0;
}

// Nothing for a picture that is not in the page itself.
std::optional<Thumbnail> thumbnail_of(const Json& summary, const char* name) {
  const Json* picture = summary.find(name);
  const Json* uri = picture == nullptr ? nullptr : picture->find("uri");
  if (uri == nullptr || !uri->text_or({}).starts_with(kDataUri)) return {};
  return Thumbnail{.width = side_in(*picture, "width"), .height = side_in(*picture, "height"), .uri = uri->text_or({})};
}

std::optional<Json> summary_in(const std::string& path) {
  const std::vector<uint8_t> begin = read_beginning(path, kSummaryWithin);
  const std::optional<std::string> summary = find_summary({reinterpret_cast<const char*>(begin.data()), begin.size()});
  return summary ? Json::parse(*summary) : std::nullopt;
}

// Of an index of so many files.
IndexEntry entry_of(const std::string& folder, const ReportedFile& file, std::size_t files) {
  IndexEntry entry;
  entry.name = file.name;
  entry.failure = file.failure;
  const std::optional<Json> summary = summary_in((fs::path(folder) / file.page).string());
  if (!summary || !file.failure.empty()) return entry;
  entry.page = file.page;
  const auto number = [&](const char* name) -> std::optional<double> {
    const Json* value = summary->find(name);
    if (value == nullptr) return {};
    return value->number_or(0);
  };
  entry.width = side_in(*summary, "width");
  entry.height = side_in(*summary, "height");
  entry.change_255 = number("change_rms_255");
  entry.seconds = number("seconds");
  if (files <= kFilesWithSmall) entry.whole = thumbnail_of(*summary, "whole");
  if (files > kFilesWithWhole) entry.whole = smaller(entry.whole);
  if (files > kFilesWithAll) return entry;
  entry.before = thumbnail_of(*summary, "before");
  entry.after = thumbnail_of(*summary, "after");
  return entry;
}

}  // namespace

std::string summary_of(const RunRequest& request, const Outcome& outcome) {
  Image before = request.what.task.baseline(), after = outcome.result.finished.image;
  clamp(before);
  clamp(after);
  Json summary{{"width", after.width}, {"height", after.height}, {"seconds", outcome.result.seconds}};
  summary["whole"] = picture_json(thumbnail(after, kSide));
  if (before.width == after.width && before.height == after.height) {
    summary["change_rms_255"] = rms_255(psnr(before, after));
    const auto [x, y] = most_changed(before, after);
    const int64_t width = std::min(after.width, kSide), height = std::min(after.height, kSide);
    summary["before"] = picture_json(crop(before, x, y, width, height));
    summary["after"] = picture_json(crop(after, x, y, width, height));
  }
  return summary.text();
}

bool is_report(const std::string& path) { return summary_in(path).has_value(); }

void write_report_index(const std::string& folder, const std::vector<ReportedFile>& files) {
  IndexPage index{.title = kTitle, .entries = {}, .footer = fmt::format("Written {} UTC by hourglass.", now_in_utc())};
  for (const ReportedFile& file : files) index.entries.push_back(entry_of(folder, file, files.size()));
  if (files.size() > kFilesWithAll) {
    const bool shows_none = files.size() > kFilesWithSmall;
    index.footer += fmt::format(" Of more than {} files it shows {}.", shows_none ? kFilesWithSmall : kFilesWithAll,
                                shows_none ? "no pictures" : "the results alone");
  }
  std::sort(index.entries.begin(), index.entries.end(), [](const IndexEntry& a, const IndexEntry& b) {
    return std::pair(a.failure.empty(), a.name) < std::pair(b.failure.empty(), b.name);
  });
  write_file_atomically((fs::path(folder) / "index.html").string(), bytes_of(to_html(index)), true);
}

}  // namespace hourglass::cli
