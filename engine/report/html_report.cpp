#include "engine/report/html_report.h"

#include <fmt/format.h>

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

void add_opening(Page& page, const ReportPage& report) {
  page.raw("<header>\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n", escape_html(report.title), escape_html(report.lead));
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
  page.verbatim("</header>\n");
}

void add_comparison(Page& page, const ReportPage& report) {
  if (!report.before || !report.after) return;
  const std::string before = escape_html(report.before_name), after = escape_html(report.after_name);
  page.raw("<section aria-labelledby=\"compare\">\n<h2 id=\"compare\">{} | {}</h2>\n", before, after);
  page.verbatim(
      "<div class=\"bar\"><label for=\"share\">Divider</label>"
      "<input id=\"share\" type=\"range\" min=\"0\" max=\"100\" value=\"50\">"
      "<span class=\"zoom\" role=\"group\" aria-label=\"Zoom\">");
  for (const auto& [zoom, name] : {std::pair{"fit", "Fit"}, {"1", "1:1"}, {"2", "2×"}, {"4", "4×"}, {"8", "8×"}}) {
    page.raw("<button type=\"button\" data-zoom=\"{}\" aria-pressed=\"{}\">{}</button>", zoom,
             zoom == std::string_view("fit"), name);
  }
  page.raw(
      "</span></div>\n<div class=\"compare\">\n<div class=\"view\" tabindex=\"0\" aria-label=\"{0} on the left of the "
      "divider, {1} on its right\">\n<div class=\"stage\" data-width=\"{2}\" data-height=\"{3}\">\n",
      before, after, report.before->width, report.before->height);
  page.raw("<img class=\"before\" alt=\"The image: {}\" draggable=\"false\" src=\"", before);
  page.verbatim(data_uri(*report.before));
  page.raw("\">\n<img class=\"after\" alt=\"The image: {}\" draggable=\"false\" src=\"", after);
  page.verbatim(data_uri(*report.after));
  page.raw(
      "\">\n</div>\n</div>\n<div class=\"divider\"></div>\n<span class=\"tag left\">{}</span>"
      "<span class=\"tag right\">{}</span>\n</div>\n</section>\n",
      before, after);
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
    page.verbatim("<figure class=\"plain\"><picture><source media=\"(prefers-color-scheme: dark)\" srcset=\"");
    page.verbatim(data_uri(plot.figure, kDark));
    page.raw("\"><img alt=\"{}\" src=\"", escape_html(plot.alternative));
    page.verbatim(data_uri(plot.figure, kLight));
    page.verbatim("\"></picture></figure>\n");
  }
  page.verbatim("</section>\n");
}

void add_table(Page& page, const std::string& heading, const Table& table) {
  if (table.empty()) return;
  page.raw("<section>\n<h2>{}</h2>\n<table>\n", heading);
  for (const auto& [name, value] : table) {
    page.raw("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape_html(name), escape_html(value));
  }
  page.verbatim("</table>\n</section>\n");
}

void add_timings(Page& page, const ReportPage& report) {
  if (report.op_seconds.empty()) return;
  const double total = std::accumulate(report.op_seconds.begin(), report.op_seconds.end(), 0.0,
                                       [](double sum, const auto& entry) { return sum + entry.second; });
  page.raw(
      "<section>\n<h2>Where an iteration goes</h2>\n<p class=\"note\">One forward and backward pass, {:.1f} ms, by "
      "operation.</p>\n<table>\n",
      total * 1e3);
  for (const auto& [op, seconds] : report.op_seconds) {
    const double percent = total > 0 ? 100 * seconds / total : 0;
    page.raw(
        "<tr><th scope=\"row\">{}</th><td class=\"number\">{:.2f} ms</td><td class=\"number\">{:.1f} %</td>"
        "<td style=\"width:55%\"><span class=\"share\" style=\"width:{:.1f}%\"></span></td></tr>\n",
        escape_html(op), seconds * 1e3, percent, percent);
  }
  page.verbatim("</table>\n</section>\n");
}

void add_command(Page& page, const ReportPage& report) {
  if (report.command.empty()) return;
  page.raw(
      "<section>\n<h2>Once more</h2>\n<p class=\"note\">The same command on the same machine gives the same "
      "bytes.</p>\n"
      "<pre id=\"command\">{}</pre>\n<button type=\"button\" id=\"copy\">Copy</button>\n</section>\n",
      escape_html(report.command));
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
  page.verbatim("<div class=\"columns\">\n");
  add_table(page, "Settings", report.settings);
  add_table(page, "Machine", report.machine);
  page.verbatim("</div>\n");
  add_timings(page, report);
  add_command(page, report);
  detail::add_end(page, report.footer, "report.js");
  return page.take();
}

}  // namespace hourglass
