// JSON as the program reads it again: what is parsed comes back when it is written, on one line and on many. The bytes
// are also the lines of a manifest, which merged twice are what they are merged once, and a page that holds a summary.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cli/json.h"
#include "engine/cli/manifest.h"
#include "engine/report/html_report.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace hourglass;
using namespace hourglass::cli;
using fuzz::expect;

void check(std::string_view text) {
  const std::optional<Json> json = Json::parse(text);
  if (!json) return;
  const std::string line = json->text();
  expect(line.find('\n') == std::string::npos, "a text without indentation is a line");
  const std::optional<Json> again = Json::parse(text.size() % 2 == 0 ? line : json->text(2));
  expect(again && again->text() == line, "what is written comes back");
}

std::vector<std::string> texts_of(const std::vector<Json>& objects) {
  std::vector<std::string> texts;
  for (const Json& object : objects) texts.push_back(object.text());
  return texts;
}

void check_manifest(std::string_view text) {
  const ManifestLines lines = parse_manifest(text);
  if (lines.objects.empty()) return;
  const std::vector<Json> merged = merge_manifests(lines.objects);
  expect(!merged.empty() && merged.size() <= lines.objects.size(), "merging leaves some of the lines");
  expect(texts_of(merge_manifests(merged)) == texts_of(merged), "what is merged stays");
  for (const Json& object : merged) {
    expect(!text_of(object, "input").empty() && !text_of(object, "status").empty(), "each says what became of what");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  return fuzz::refusing({data, size}, [&](fuzz::Bytes) {
    check(text);
    if (text.find("status") != std::string_view::npos) check_manifest(text);
    if (const std::optional<std::string> summary = find_summary(text)) check(*summary);
  });
}
