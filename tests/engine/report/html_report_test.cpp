#include "engine/report/html_report.h"

#include "engine/image/png.h"
#include "tests/engine/image/fixtures.h"

namespace hourglass::test {
namespace {

int64_t count(const std::string& text, const std::string& part) {
  int64_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

ReportPage page_with(const std::string& text) {
  const Picture picture{.bytes = encode_png(make_picture(8, 8, 3)), .width = 8, .height = 8};
  ReportPage page;
  page.title = page.lead = page.before_name = page.after_name = page.command = page.footer = text;
  page.result = page.comparison_note = page.command_note = text;
  page.remarks = {text};
  page.facts = page.explanations = page.changed = page.settings = page.machine = {{text, text}};
  page.before = page.after = page.original = picture;
  page.maps = page.snapshots = {{.picture = picture, .title = text, .caption = text}};
  page.plots = {{.figure = {.title = text}, .alternative = text}};
  page.op_seconds = {{text, 0.25}, {"Conv", 0.75}};
  return page;
}

}  // namespace

TEST_CASE("no text becomes markup, wherever it stands in the page") {
  const std::string evil = "</title></style><script>alert('\"')</script>&amp;\xFF";
  const std::string html = to_html(page_with(evil));
  const std::string harmless = to_html(page_with("harmless"));
  CHECK(count(html, "alert(&#39;&quot;&#39;)") == count(harmless, "harmless"));
  for (const char* tag : {"<script", "</script", "</title", "</style", "<img", "<p", "\""}) {
    CAPTURE(tag);
    CHECK(count(html, tag) == count(harmless, tag));
  }
  CHECK(html.find('\xFF') == std::string::npos);
}

TEST_CASE("the page needs nothing from elsewhere") {
  const std::string html = to_html(page_with("text"));
  CHECK(count(html, "src=\"") + count(html, "srcset=\"") + count(html, "href=\"") ==
        count(html, "src=\"data:") + count(html, "srcset=\"data:") + count(html, "href=\"data:"));
  CHECK(count(html, "http://") + count(html, "https://") + count(html, "url(") + count(html, "@import") == 0);
  CHECK_CONTAINS(html, "default-src 'none'");
  CHECK(count(html, "<img") == count(html, " alt=\""));
  CHECK(count(html, "data:image/svg+xml;base64,") == 2);  // on light paper and on dark
}

TEST_CASE("the result is a link where its place is known") {
  ReportPage page = page_with("text");
  CHECK(to_html(page).find("<a ") == std::string::npos);
  page.result = "/my photos/a\"b#c?%.png";
  CHECK_CONTAINS(to_html(page), "<a href=\"file:///my%20photos/a%22b%23c%3F%25.png\">/my photos/a&quot;b#c?%.png</a>");
}

TEST_CASE("what was asked for stands open, the other settings are folded away") {
  ReportPage page;
  page.changed = {{"iterations", "12"}};
  page.settings = {{"seed", "0"}};
  const std::string html = to_html(page);
  const std::size_t changed = html.find("iterations"), folded = html.find("<details>"), other = html.find("seed");
  CHECK(changed < folded);
  CHECK(folded < other);
}

TEST_CASE("a page refreshes itself as long as its run goes on") {
  ReportPage page = page_with("text");
  CHECK(to_html(page).find("data-written=") == std::string::npos);
  CHECK(to_html(page).find("http-equiv=\"refresh\"") == std::string::npos);
  page.progressing = Progressing{.done = 12, .total = 40, .left = "<soon>", .every_seconds = 7, .written_at = 1234567};
  const std::string html = to_html(page);
  CHECK_CONTAINS(html, "data-written=\"1234567\" data-every=\"7\"");
  CHECK_CONTAINS(html, "<progress max=\"40\" value=\"12\"");
  CHECK_CONTAINS(html, "iteration 12 of 40, &lt;soon&gt;");
  CHECK_CONTAINS(html, "<noscript><meta http-equiv=\"refresh\"");
}

TEST_CASE("parts that are empty are left out") {
  const std::string html = to_html({.title = "only a title"});
  for (const char* part : {"<section", "<figure", "<table", "<pre", "<dl", "<img"}) {
    CAPTURE(part);
    CHECK(count(html, part) == 0);
  }
  CHECK_CONTAINS(html, "<h1>only a title</h1>");
}

}  // namespace hourglass::test
