#include "engine/report/index_page.h"

#include <algorithm>
#include <cctype>

#include "engine/report/page_parts.h"
#include "engine/report/text.h"

namespace hourglass {
namespace {

using detail::Page;

struct Column {
  const char* name;
  bool sortable = false, is_number = false;
};

constexpr Column kColumns[] = {{.name = "name", .sortable = true},
                               {.name = "result"},
                               {.name = "before"},
                               {.name = "after"},
                               {.name = "megapixels", .sortable = true, .is_number = true},
                               {.name = "change", .sortable = true, .is_number = true},
                               {.name = "seconds", .sortable = true, .is_number = true}};

void add_picture(Page& page, const IndexEntry& entry, const std::optional<Thumbnail>& picture, const char* what) {
  page.verbatim("<td class=\"thumb\">");
  if (picture) {
    const std::string text = escape_html(entry.name + ": " + what);
    if (!entry.page.empty()) page.raw("<a href=\"{}\">", escape_html(to_url(entry.page)));
    page.raw("<img alt=\"{}\" width=\"{}\" height=\"{}\" src=\"", text, picture->width, picture->height);
    page.verbatim(escape_html(picture->uri));
    page.raw("\">{}", entry.page.empty() ? "" : "</a>");
  }
  page.verbatim("</td>");
}

// `value` is what the column is sorted by; nothing where nobody knows. Small ones have two digits more.
void add_number(Page& page, const std::optional<double>& value, int digits) {
  constexpr double kSmall = 0.1;
  if (value) {
    if (*value < kSmall) digits += 2;
    page.raw("<td class=\"number\" data-value=\"{0}\">{0:.{1}f}</td>", *value, digits);
  } else {
    page.verbatim("<td class=\"number\"></td>");
  }
}

void add_entry(Page& page, const IndexEntry& entry) {
  page.verbatim("<tr>");
  const std::string name = escape_html(entry.name);
  page.raw("<td class=\"name\" data-value=\"{}\">", name);
  if (entry.page.empty()) {
    page.verbatim(name);
  } else {
    page.raw("<a href=\"{}\">{}</a>", escape_html(to_url(entry.page)), name);
  }
  if (!entry.failure.empty()) page.raw("<p class=\"stale\">{}</p>", escape_html(entry.failure));
  page.verbatim("</td>");
  add_picture(page, entry, entry.whole, "the result");
  add_picture(page, entry, entry.before, "before, where most changed");
  add_picture(page, entry, entry.after, "after");
  constexpr double kMegapixel = 1e6;
  const auto pixels = static_cast<double>(entry.width) * static_cast<double>(entry.height);
  add_number(page, pixels > 0 ? std::optional(pixels / kMegapixel) : std::nullopt, 2);
  add_number(page, entry.change_255, 1);
  add_number(page, entry.seconds, 1);
  page.verbatim("</tr>\n");
}

}  // namespace

std::string to_url(const std::string& path) {
  std::string url;
  for (const char c : path) {
    const auto code = static_cast<unsigned char>(c);
    const bool plain =
        (code < 0x80 && std::isalnum(code) != 0) || std::string_view("-._~/").find(c) != std::string::npos;
    url += plain ? std::string(1, c) : fmt::format("%{:02X}", code);
  }
  return url;
}

std::string to_html(const IndexPage& index) {
  Page page;
  detail::add_head(page, index.title, detail::summary_element(fmt::format("{{\"files\":{}}}", index.entries.size())));
  const auto failed = std::count_if(index.entries.begin(), index.entries.end(),
                                    [](const IndexEntry& entry) { return !entry.failure.empty(); });
  page.raw("<header>\n<h1>{}</h1>\n<p class=\"lead\">{} file{}", escape_html(index.title), index.entries.size(),
           index.entries.size() == 1 ? "" : "s");
  if (failed > 0) page.raw(", of which {} failed", failed);
  page.verbatim(
      ". A picture leads to the file's report. Before and after show the place where most changed, pixel by pixel; the "
      "change is the root mean square in grey levels (0 to 255).</p>\n</header>\n"
      "<p class=\"hint\">Move it sideways to see the rest.</p>\n<div class=\"scroll\"><table "
      "class=\"index\">\n<thead><tr>");
  for (const Column& column : kColumns) {
    if (column.sortable) {
      page.raw("<th scope=\"col\"{}><button type=\"button\">{}</button></th>",
               column.is_number ? " class=\"number\"" : "", column.name);
    } else {
      page.raw("<th scope=\"col\">{}</th>", column.name);
    }
  }
  page.verbatim("</tr></thead>\n<tbody>\n");
  for (const IndexEntry& entry : index.entries) add_entry(page, entry);
  page.verbatim("</tbody></table></div>\n");
  detail::add_end(page, index.footer, "index.js");
  return page.take();
}

}  // namespace hourglass
