#include "engine/report/run_log.h"

#include <cmath>

#include "tests/engine/image/fixtures.h"

namespace hourglass::test {
namespace {

// Ten iterations; the original is nearest at the seventh, the state of the eighth is kept.
RunLog log_of_ten(bool with_original) {
  RunLog log;
  for (int i = 1; i <= 10; ++i) {
    RestoreStep step;
    step.iteration = i;
    step.loss = 1.0 / i;
    step.psnr_degraded_average = 20 + i;
    if (with_original) step.psnr_original_average = 25 - 0.1 * (i - 7) * (i - 7);
    step.is_best = i <= 8;
    log.add(step);
  }
  return log;
}

}  // namespace

TEST_CASE("a log knows the best iteration and the kept one") {
  const RunLog log = log_of_ten(true);
  REQUIRE(log.runs.size() == 1);
  CHECK(log.runs[0].kept == 8);
  CHECK(log.runs[0].best() == 7);
  CHECK(log.runs[0].iteration.size() == 10);
  CHECK(!log_of_ten(false).runs[0].best());
}

TEST_CASE("the distance behind a PSNR") {
  CHECK(rms_255(0) == 255);
  CHECK(rms_255(20) == doctest::Approx(25.5));
  CHECK(rms_255(INFINITY) == 0);
}

TEST_CASE("the trend shows loss and PSNRs, the input's own, the stop, the best and the result") {
  const RunEnds going{.input_psnr = 24};
  const Figure figure = trend_figure(log_of_ten(true), "title", "note", going);
  REQUIRE(figure.charts.size() == 2);
  CHECK(figure.charts[0].y.scale == ScaleKind::log);
  CHECK(figure.charts[0].series[0].y == log_of_ten(true).runs[0].loss);
  const Chart& chart = figure.charts[1];
  REQUIRE(chart.series.size() == 2);
  CHECK(chart.series[0].name == "to the original");
  CHECK(chart.series[1].name == "to the JPEG");
  // Where one lies on the other both are seen.
  CHECK(chart.series[0].line == Line::solid);
  CHECK(chart.series[1].line == Line::dashed);
  REQUIRE(chart.marks.size() == 1);
  CHECK(chart.marks[0].x == 7);
  CHECK(chart.marks[0].label == "best average 25.00 dB");
  // A run that goes on has no stop yet.
  REQUIRE(chart.rules.size() == 1);
  CHECK(chart.rules[0].value == 24);
  CHECK(chart.rules[0].label == "the JPEG to the original: 24.00 dB");
  CHECK(figure.charts[0].rules.empty());

  RunEnds ended{.input_psnr = 24, .ended = true, .result = "filtered", .result_psnr = 27, .result_to_input = 29};
  const Figure last = trend_figure(log_of_ten(true), "title", "note", ended);
  for (const Chart& one : last.charts) CHECK(one.rules.back().value == 8);
  REQUIRE(last.charts[1].marks.size() == 2);
  CHECK(last.charts[1].marks[1].label == "filtered 27.00 dB");
  CHECK(last.charts[1].marks[1].x == 10);
  // The result of a fit that nothing comes behind is a point of the line.
  ended.result_psnr = 24.9;
  CHECK(trend_figure(log_of_ten(true), "", "", ended).charts[1].marks.size() == 1);
  const Figure blind = trend_figure(log_of_ten(false), "", "", {});
  CHECK(blind.charts[1].series.size() == 1);
  CHECK(blind.charts[1].series[0].line == Line::solid);
  CHECK(blind.charts[1].marks.empty());
  CHECK(!to_svg(trend_figure({}, "", "", {})).empty());
}

TEST_CASE("runs side by side are lines of their own, and survive a checkpoint") {
  RunLog log;
  for (int i = 1; i <= 4; ++i) {
    for (const int run : {0, 1}) {
      RestoreStep step;
      step.run = run;
      step.iteration = i;
      step.loss = 1.0 / (i + run);
      step.psnr_original_average = 20 + i - run;
      step.is_best = true;
      log.add(step);
    }
  }
  Archive archive;
  log.save(archive);
  RunLog again;
  again.load(archive);
  REQUIRE(again.runs.size() == 2);
  CHECK(again.runs[1].loss == std::vector<double>{1.0 / 2, 1.0 / 3, 1.0 / 4, 1.0 / 5});
  const Figure figure = trend_figure(again, "", "", {});
  CHECK(figure.charts[0].series.size() == 2);
  REQUIRE(figure.charts[1].series.size() == 4);
  CHECK(figure.charts[1].series[0].name == "to the original");
  CHECK(figure.charts[1].series[2].name.empty());
  CHECK(figure.charts[1].series[2].color == figure.charts[1].series[0].color);
  CHECK(figure.charts[1].rules.empty());
  CHECK(figure.charts[1].marks.empty());
  CHECK(path_figure(again, "", "", {}).charts[0].series[0].x.size() == 4);
}

TEST_CASE("the path goes from the start past the best point to the stop and the result") {
  const RunEnds ends{.input_psnr = 24, .ended = true, .result_psnr = 27, .result_to_input = 29};
  const Figure figure = path_figure(log_of_ten(true), "", "", ends);
  REQUIRE(figure.charts.size() == 2);
  const Chart& whole = figure.charts[0];
  REQUIRE(whole.series.size() == 2);
  CHECK(whole.series[0].x.size() == 10);
  CHECK(whole.series[0].arrow);
  REQUIRE(whole.marks.size() == 4);
  CHECK(whole.marks[0].x == doctest::Approx(rms_255(21)));
  CHECK(whole.marks[1].label == "stop, 8");
  CHECK(whole.marks[1].y == doctest::Approx(rms_255(24.9)));
  CHECK(whole.marks[2].label == "best, 7");
  CHECK(whole.marks[2].y == doctest::Approx(rms_255(25)));
  CHECK(whole.marks[3].label == "restored 27.00 dB");
  CHECK(whole.marks[3].x == doctest::Approx(rms_255(29)));
  // The last piece leads from the stop to the result.
  CHECK(whole.series[1].y == std::vector<double>{whole.marks[1].y, whole.marks[3].y});
  CHECK(whole.rules.at(0).value == doctest::Approx(rms_255(24)));
  CHECK_CONTAINS(whole.x.label, "the JPEG");
  CHECK_CONTAINS(whole.x.unit, "logarithmic");
  CHECK(figure.charts[1].series[0].x.size() < 10);
  CHECK_CONTAINS(figure.charts[1].title, "enlarged");
  CHECK(path_figure(log_of_ten(true), "", "", {}).charts[0].marks[1].label == "now, 10");
  CHECK(path_figure(log_of_ten(false), "", "", {}).charts.empty());
}

}  // namespace hourglass::test
