#include "engine/report/html_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <numeric>

#include "engine/image/file.h"
#include "engine/report/embedded.h"
#include "engine/report/page_parts.h"
#include "engine/report/text.h"

namespace hourglass {
namespace {

constexpr const char* kSummaryBegin = "<script type=\"application/json\" id=\"summary\">";
constexpr const char* kSummaryEnd = "</script>";

}  // namespace

namespace detail {

std::string summary_element(const std::string& json) {
  std::string text = kSummaryBegin;
  // No tag can be seen in it.
  for (const char c : json) text += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return text + kSummaryEnd + "\n";
}

std::string data_uri(const std::string& mime, std::span<const uint8_t> bytes) {
  return "data:" + mime + ";base64," + to_base64(bytes);
}

void add_head(Page& page, const std::string& title, std::string_view more) {
  page.verbatim("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
  // Nothing is fetched, whatever a file is called.
  page.verbatim(
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n");
  page.verbatim(more);
  page.raw("<title>{}</title>\n<style>\n", escape_html(title));
  page.verbatim(embedded_page("report.css"));
  page.verbatim("</style>\n</head>\n<body>\n<main>\n");
}

void add_end(Page& page, const std::string& footer, std::string_view script) {
  page.raw("<footer>{}</footer>\n</main>\n<script>\n", escape_html(footer));
  page.verbatim(embedded_page(script));
  page.verbatim("</script>\n</body>\n</html>\n");
}

}  // namespace detail

namespace {

using detail::data_uri;
using detail::Page;

std::string data_uri(const Figure& figure, const Theme& theme) {
  return data_uri("image/svg+xml", bytes_of(to_svg(figure, theme)));
}

// RFC 3986: what is not unreserved, but for the slashes, as %XX.
std::string file_uri(const std::string& path) {
  std::string uri = "file://";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) != 0 || std::string_view("-._~/").find(c) != std::string_view::npos;
    uri += plain && byte < 0x80 ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return uri;
}

void add_result_link(Page& page, const std::string& path) {
  if (path.empty()) return;
  const std::string name = escape_html(path);
  if (path.starts_with('/')) {
    page.raw("<p class=\"result\">The result: <a href=\"{}\">{}</a></p>\n", file_uri(path), name);
  } else {
    page.raw("<p class=\"result\">The result: {}</p>\n", name);
  }
}

void add_opening(Page& page, const ReportPage& report) {
  page.raw("<header>\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n", escape_html(report.title), escape_html(report.lead));
  for (const std::string& remark : report.remarks) page.raw("<p class=\"lead\">{}</p>\n", escape_html(remark));
  add_result_link(page, report.result);
  if (const auto& progressing = report.progressing) {
    page.raw(
        "<p class=\"state\" data-written=\"{}\" data-every=\"{:.0f}\"><progress max=\"{}\" value=\"{}\" "
        "aria-label=\"iterations\"></progress> iteration {} of {}, {}</p>\n",
        progressing->written_at, progressing->every_seconds, progressing->total, progressing->done, progressing->done,
        progressing->total, escape_html(progressing->left));
  }
  if (!report.facts.empty()) {
    page.verbatim("<dl class=\"facts\">\n");
    for (const auto& [name, value] : report.facts) {
      page.raw("<div><dt>{}</dt><dd>{}</dd></div>\n", escape_html(name), escape_html(value));
    }
    page.verbatim("</dl>\n");
  }
  for (const auto& [question, answer] : report.explanations) {
    page.raw("<details class=\"note\"><summary>{}</summary><p>{}</p></details>\n", escape_html(question),
             escape_html(answer));
  }
  page.verbatim("</header>\n");
}

// One of the images of the comparison. All lie on top of each other.
void add_layer(Page& page, const char* name, const std::string& title, const Picture& picture) {
  page.raw("<img class=\"{}\" alt=\"The image: {}\" draggable=\"false\" src=\"", name, title);
  page.verbatim(data_uri(picture));
  page.verbatim("\">\n");
}

void add_comparison_bar(Page& page, const ReportPage& report) {
  page.verbatim(
      "<div class=\"bar\"><label for=\"share\">Divider</label>"
      "<input id=\"share\" type=\"range\" min=\"0\" max=\"100\" value=\"50\">");
  if (report.original) {
    page.verbatim("<button type=\"button\" id=\"against\" aria-pressed=\"false\">Against the original</button>");
  }
  page.verbatim(
      "<button type=\"button\" id=\"blink\" aria-keyshortcuts=\"b\">Blink</button>"
      "<span class=\"zoom\" role=\"group\" aria-label=\"Zoom\">");
  for (const auto& [zoom, name] : {std::pair{"fit", "Fit"}, {"1", "1:1"}, {"2", "2×"}, {"4", "4×"}, {"8", "8×"}}) {
    page.raw("<button type=\"button\" data-zoom=\"{}\" aria-pressed=\"{}\">{}</button>", zoom,
             zoom == std::string_view("fit"), name);
  }
  page.verbatim("</span></div>\n");
}

void add_comparison(Page& page, const ReportPage& report) {
  if (!report.before || !report.after) return;
  const std::string before = escape_html(report.before_name), after = escape_html(report.after_name);
  page.raw("<section aria-labelledby=\"compare\">\n<h2 id=\"compare\">{} | {}</h2>\n", before, after);
  add_comparison_bar(page, report);
  page.raw(
      "<div class=\"compare\">\n<div class=\"view\" role=\"group\" tabindex=\"0\" aria-label=\"{0} on the left of "
      "the divider, {1} on its right\">\n<div class=\"stage\" data-width=\"{2}\" data-height=\"{3}\">\n",
      before, after, report.before->width, report.before->height);
  add_layer(page, "before", before, *report.before);
  if (report.original) add_layer(page, "original", "Original", *report.original);
  add_layer(page, "after", after, *report.after);
  page.raw(
      "</div>\n</div>\n<div class=\"divider\"></div>\n<span class=\"tag left\">{}</span>"
      "<span class=\"tag right\">{}</span>\n</div>\n",
      before, after);
  page.verbatim(
      "<p class=\"note\">Drag the divider, or move it by the arrow keys; <kbd>b</kbd> blinks between the two, "
      "<kbd>+</kbd>, <kbd>-</kbd> and "
      "<kbd>0</kbd> zoom, as Ctrl with the wheel or two fingers do; drag an enlarged picture to move it.");
  page.raw(" {}</p>\n</section>\n", escape_html(report.comparison_note));
}

void add_pictures(Page& page, const std::vector<CaptionedPicture>& pictures, const std::string& heading,
                  const std::string& note, const char* grid) {
  if (pictures.empty()) return;
  page.raw("<section>\n<h2>{}</h2>\n", heading);
  if (!note.empty()) page.raw("<p class=\"note\">{}</p>\n", note);
  page.raw("<div class=\"{}\">\n", grid);
  for (const CaptionedPicture& entry : pictures) {
    page.raw("<figure><img{} alt=\"{} {}\" src=\"", entry.blocks ? " class=\"blocks\"" : "", escape_html(entry.title),
             escape_html(entry.caption));
    page.verbatim(data_uri(entry.picture));
    page.raw("\"><figcaption><b>{}</b> {}</figcaption></figure>\n", escape_html(entry.title),
             escape_html(entry.caption));
  }
  page.verbatim("</div>\n</section>\n");
}

void add_plots(Page& page, const std::vector<PlotInReport>& plots) {
  if (plots.empty()) return;
  page.verbatim("<section>\n<h2>The run</h2>\n");
  for (const PlotInReport& plot : plots) {
    page.verbatim(
        "<figure class=\"plain\"><div class=\"sideways\"><picture><source media=\"(prefers-color-scheme: dark)\" "
        "srcset=\"");
    page.verbatim(data_uri(plot.figure, kDark));
    page.raw("\"><img alt=\"{}\" src=\"", escape_html(plot.alternative));
    page.verbatim(data_uri(plot.figure, kLight));
    page.verbatim("\"></picture></div><p class=\"hint\">Move it sideways to see the rest.</p></figure>\n");
  }
  page.verbatim("</section>\n");
}

void add_rows(Page& page, const Table& table) {
  page.verbatim("<table>\n");
  for (const auto& [name, value] : table) {
    page.raw("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape_html(name), escape_html(value));
  }
  page.verbatim("</table>\n");
}

void add_folded(Page& page, const std::string& heading, const Table& table) {
  if (table.empty()) return;
  page.raw("<details>\n<summary>{}</summary>\n", heading);
  add_rows(page, table);
  page.verbatim("</details>\n");
}

void add_settings(Page& page, const ReportPage& report) {
  if (report.changed.empty() && report.settings.empty()) return;
  page.verbatim("<section>\n<h2>Settings</h2>\n");
  if (!report.changed.empty()) add_rows(page, report.changed);
  add_folded(page, report.changed.empty() ? "All as they come" : "The others, as they come", report.settings);
  page.verbatim("</section>\n");
}

void add_timings(Page& page, const ReportPage& report) {
  if (report.op_seconds.empty()) return;
  const double total = std::accumulate(report.op_seconds.begin(), report.op_seconds.end(), 0.0,
                                       [](double sum, const auto& entry) { return sum + entry.second; });
  page.raw(
      "<details>\n<summary>Where an iteration goes</summary>\n<p class=\"note\">One forward and backward pass, {:.1f} "
      "ms, by operation.</p>\n<div class=\"scroll\"><table class=\"times\">\n",
      total * 1e3);
  for (const auto& [op, seconds] : report.op_seconds) {
    const double percent = total > 0 ? 100 * seconds / total : 0;
    page.raw(
        "<tr><th scope=\"row\">{}</th><td class=\"number\">{:.2f} ms</td><td class=\"number\">{:.1f} %</td>"
        "<td class=\"shares\"><span class=\"share\" style=\"width:{:.1f}%\"></span></td></tr>\n",
        escape_html(op), seconds * 1e3, percent, percent);
  }
  page.verbatim("</table></div>\n</details>\n");
}

// Broken between options, not within their names: a browser would behind their dashes.
std::string html_of_command(const std::string& command) {
  std::string html;
  std::size_t at = 0;
  for (std::size_t name = 0; (name = command.find(" --", at)) != std::string::npos;) {
    ++name;
    html += escape_html(command.substr(at, name - at));
    at = std::min(command.find_first_of(" \n", name), command.size());
    html += "<span class=\"option\">" + escape_html(command.substr(name, at - name)) + "</span>";
  }
  html += escape_html(command.substr(at));
  return html;
}

void add_command(Page& page, const ReportPage& report) {
  if (report.command.empty()) return;
  page.raw(
      "<section>\n<h2>Once more</h2>\n<p class=\"note\">{}</p>\n"
      "<pre id=\"command\">{}</pre>\n<button type=\"button\" id=\"copy\">Copy</button>\n</section>\n",
      escape_html(report.command_note), html_of_command(report.command));
}

}  // namespace

std::optional<std::string> find_summary(std::string_view html) {
  const std::size_t at = html.find(kSummaryBegin);
  if (at == std::string_view::npos) return {};
  const std::size_t first = at + std::string_view(kSummaryBegin).size(), end = html.find(kSummaryEnd, first);
  if (end == std::string_view::npos) return {};
  return std::string(html.substr(first, end - first));
}

std::string to_html(const ReportPage& report) {
  Page page;
  std::string head;
  if (report.progressing) head += "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n";
  if (!report.summary.empty()) head += detail::summary_element(report.summary);
  detail::add_head(page, report.title, head);
  add_opening(page, report);
  add_comparison(page, report);
  add_pictures(page, report.maps, "What changed, and what was kept", "", "grid");
  add_plots(page, report.plots);
  add_pictures(
      page, report.lesson, "The lesson",
      "The network learns from the photograph made smaller: of that, the original is known. It is shown the JPEG "
      "of it and what the filter makes of the JPEG, and is corrected by how far its picture is from the "
      "original. Here is a piece that is half as large as in the photograph.",
      "grid small");
  add_pictures(page, report.snapshots, "On the way", "The network's average as it came into being.", "grid small");
  add_settings(page, report);
  add_folded(page, "Machine", report.machine);
  add_timings(page, report);
  add_command(page, report);
  detail::add_end(page, report.footer, "report.js");
  return page.take();
}

}  // namespace hourglass
